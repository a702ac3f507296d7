-- The time zone of the show's venue as the show was moved, by its IANA name. NULL where a program that does not know the column wrote
-- the row: the one of the concert is told then.
ALTER TABLE show_event ADD COLUMN time_zone TEXT;
