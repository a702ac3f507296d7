-- Moves of shows that are to be told to other systems. A row is written by the transaction that has a show begin at another
-- time, and removed when it is taken.
CREATE TABLE show_event (
    -- None is used twice: whoever takes an event by its number, late and once more, must not meet another.
    number             INTEGER PRIMARY KEY AUTOINCREMENT,
    -- By which whoever is told of the move recognises it.
    event_id           BLOB NOT NULL,
    show_id            INTEGER NOT NULL,
    -- As they were told to whoever made the change: a later one may change them again.
    title              TEXT NOT NULL,
    starts_at          INTEGER NOT NULL,
    previous_starts_at INTEGER NOT NULL,
    happened_at        INTEGER NOT NULL,
    CONSTRAINT show_event_moves CHECK (starts_at <> previous_starts_at)
) STRICT;
