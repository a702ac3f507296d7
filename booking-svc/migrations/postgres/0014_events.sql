-- What has happened to reservations and is to be told to other systems: that seats were held, and that held seats were
-- released. A row is written by the transaction in which it happens, while somebody takes events, and removed when it is
-- taken. What is told of the hold stands in the hold's row, where none of it changes any more.
CREATE TABLE reservation_event (
    -- The order, in which none is used twice.
    number         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reservation_id UUID NOT NULL,
    -- Why the seats were released; NULL where they were held.
    released       TEXT CONSTRAINT reservation_event_released CHECK (released IN ('CANCELLED', 'EXPIRED', 'SHOW_CANCELLED')),
    happened_at    BIGINT NOT NULL
);
-- Those that nobody takes are forgotten by their age.
CREATE INDEX reservation_event_old ON reservation_event (happened_at);

-- When events were taken last, within a minute. Without a row, or a day later, none are written down.
CREATE TABLE event_taker (
    one     BIGINT PRIMARY KEY CONSTRAINT event_taker_is_one CHECK (one = 1),
    took_at BIGINT NOT NULL
);
