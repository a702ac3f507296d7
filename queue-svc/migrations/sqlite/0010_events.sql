-- Openings of queues that are to be told to other systems. A row is written by the transaction that opens the queue, and
-- removed when it is taken.
CREATE TABLE queue_event (
    -- None is used twice: whoever takes an event by its number, late and once more, must not meet another.
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_id   TEXT NOT NULL,
    -- The queue's version when it was open: a queue that is closed again and opens once more has another.
    version    INTEGER NOT NULL,
    opening    INTEGER NOT NULL CHECK (opening IN (1, 2)),
    -- NULL where it was opened by taking the instant away.
    opens_at   INTEGER,
    -- How many had registered.
    registered INTEGER NOT NULL,
    opened_at  INTEGER NOT NULL,
    CONSTRAINT queue_event_once UNIQUE (queue_id, version)
) STRICT;
