-- Booking: what is on sale and who has it. Instants are microseconds since the epoch (UTC); money is in minor units.
--
-- The same as for PostgreSQL, in SQLite's words (a BLOB id is a UUID's 16 bytes). The invariants that the database itself keeps:
--   I-SEAT-ONCE     a seat is one row, so it has one hold at most; whoever writes `hold_id` has it
--   I-SOLD-STAYS    a sold seat names the hold that bought it
--   I-PAID-ONCE     a payment confirms one reservation, a reservation is confirmed by one payment

-- A concert never changes once it is there, so its rows may be remembered for good.
CREATE TABLE concert (
    concert_id INTEGER PRIMARY KEY AUTOINCREMENT,
    title      TEXT   NOT NULL CONSTRAINT concert_title CHECK (length(title) BETWEEN 1 AND 200),
    queue_id   TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- Neither does a show.
CREATE TABLE show (
    show_id          INTEGER PRIMARY KEY AUTOINCREMENT,
    concert_id       BIGINT NOT NULL REFERENCES concert,
    starts_at        BIGINT NOT NULL,
    duration_minutes BIGINT NOT NULL CONSTRAINT show_duration CHECK (duration_minutes BETWEEN 1 AND 1440),
    title            TEXT   NOT NULL CONSTRAINT show_title CHECK (length(title) BETWEEN 1 AND 200),
    description      TEXT   NOT NULL CONSTRAINT show_description CHECK (length(description) <= 4000),
    price            BIGINT NOT NULL CONSTRAINT show_price CHECK (price BETWEEN 0 AND 1000000000),
    seat_count       BIGINT NOT NULL CONSTRAINT show_seat_count CHECK (seat_count BETWEEN 1 AND 100000),
    created_at       BIGINT NOT NULL
);
CREATE INDEX show_by_concert ON show (concert_id, show_id);
CREATE INDEX show_by_date ON show (concert_id, starts_at);

-- Who has which seat, and until when. Free means: not sold, and no hold or one that has lapsed by the clock.
-- There is no index on `hold_id` on purpose: a hold names its seats, so they are always reached by their key.
CREATE TABLE seat (
    show_id     BIGINT  NOT NULL REFERENCES show,
    seat_number BIGINT  NOT NULL CONSTRAINT seat_number_positive CHECK (seat_number >= 1),
    hold_id     BLOB,
    held_until  BIGINT,
    sold        BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (show_id, seat_number),
    CONSTRAINT seat_hold_has_an_end CHECK ((hold_id IS NULL) = (held_until IS NULL)),
    CONSTRAINT seat_sold_to_somebody CHECK (NOT sold OR hold_id IS NOT NULL)
) WITHOUT ROWID;

-- Temporary reservations, and what became of them. A HELD row past `expires_at` counts as EXPIRED, swept or not.
-- (No table `holder` here: SQLite has one writer at a time, so a user's holds are in order by themselves.)
CREATE TABLE hold (
    reservation_id BLOB   PRIMARY KEY,
    user_id        TEXT   NOT NULL,
    concert_id     BIGINT NOT NULL,
    show_id        BIGINT NOT NULL,
    queue_id       TEXT   NOT NULL,
    seats          TEXT   NOT NULL,  -- a JSON list of seat numbers, rising: [1,2]
    seat_total     BIGINT NOT NULL CONSTRAINT hold_seat_total CHECK (seat_total BETWEEN 1 AND 50),
    amount         BIGINT NOT NULL CONSTRAINT hold_amount CHECK (amount >= 0),  -- fixed when the seats were taken
    status         TEXT   NOT NULL CONSTRAINT hold_status CHECK (status IN ('HELD', 'CONFIRMED', 'EXPIRED', 'CANCELLED')),
    held_at        BIGINT NOT NULL,
    promised_until BIGINT NOT NULL,  -- what HoldSeats said; extensions are bounded by it
    expires_at     BIGINT NOT NULL,
    closed_at      BIGINT,
    payment_id     BLOB,
    CONSTRAINT hold_never_shortened CHECK (expires_at >= promised_until),
    CONSTRAINT hold_closed_or_held CHECK ((status = 'HELD') = (closed_at IS NULL)),
    CONSTRAINT hold_paid_or_not CHECK ((status = 'CONFIRMED') = (payment_id IS NOT NULL))
);
-- The sweep reads only what is still HELD.
CREATE INDEX hold_to_sweep ON hold (expires_at) WHERE status = 'HELD';
-- A user's list, newest first; also the count of what they hold of a show.
CREATE INDEX hold_by_user ON hold (user_id, held_at, reservation_id);

-- Confirmed reservations: written once, never changed.
CREATE TABLE reservation (
    reservation_id BLOB   PRIMARY KEY REFERENCES hold,
    payment_id     BLOB   NOT NULL CONSTRAINT reservation_payment UNIQUE,
    user_id        TEXT   NOT NULL,
    concert_id     BIGINT NOT NULL,
    show_id        BIGINT NOT NULL,
    seats          TEXT   NOT NULL,
    amount         BIGINT NOT NULL CONSTRAINT reservation_amount CHECK (amount >= 0),
    confirmed_at   BIGINT NOT NULL
);

-- Answers by request id (AIP-155), written by the transaction that did the work.
CREATE TABLE request (
    request_id  TEXT   PRIMARY KEY,
    fingerprint TEXT   NOT NULL,
    answer      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL
);
