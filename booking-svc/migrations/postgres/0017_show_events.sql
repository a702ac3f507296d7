-- Moves of shows that are to be told to other systems. A row is written by the transaction that has a show begin at another
-- time, and removed when it is taken.
CREATE TABLE show_event (
    -- None is used twice.
    number             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- By which whoever is told of the move recognises it.
    event_id           UUID NOT NULL,
    show_id            BIGINT NOT NULL,
    -- As they were told to whoever made the change: a later one may change them again.
    title              TEXT NOT NULL,
    starts_at          BIGINT NOT NULL,
    previous_starts_at BIGINT NOT NULL,
    happened_at        BIGINT NOT NULL,
    CONSTRAINT show_event_moves CHECK (starts_at <> previous_starts_at)
);
