-- The hall of a show: its sections with their rows, a JSON document that is written once with the show. A
-- show without one has one row of seats, as every show had before.
CREATE TABLE hall (
    show_id  BIGINT PRIMARY KEY,
    sections TEXT   NOT NULL
);
-- What the sections cost, a JSON list in their order; null where all seats have the one price. `price` is the
-- lowest of them.
ALTER TABLE show ADD COLUMN prices TEXT;
-- The seller's rules; null: open until the show begins, and the operator's limit of held seats.
ALTER TABLE show ADD COLUMN opens_at BIGINT;
ALTER TABLE show ADD COLUMN closes_at BIGINT;
ALTER TABLE show ADD COLUMN max_seats_per_user BIGINT
    CONSTRAINT show_max_seats_per_user CHECK (max_seats_per_user >= 1);
-- What each seat of a hold is in its hall and what it cost, a JSON list in the order of the seats; null where
-- the show has no sections.
ALTER TABLE hold ADD COLUMN places TEXT;
