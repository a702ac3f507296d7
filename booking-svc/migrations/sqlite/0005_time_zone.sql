-- The venue's time zone by its IANA name: a show is on the date that the clock there shows. What was made before, and what older programs
-- make, is in UTC, as it was. (A date is looked up as a span of instants, by the index show_by_date.)
ALTER TABLE concert ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';
