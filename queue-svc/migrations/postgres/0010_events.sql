-- Openings of queues that are to be told to other systems. A row is written by the transaction that opens the queue, and
-- removed when it is taken.
CREATE TABLE queue_event (
    -- None is used twice.
    number     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue_id   TEXT NOT NULL,
    -- The queue's version when it was open: a queue that is closed again and opens once more has another.
    version    BIGINT NOT NULL,
    opening    BIGINT NOT NULL CHECK (opening IN (1, 2)),
    -- NULL where it was opened by taking the instant away.
    opens_at   BIGINT,
    -- How many had registered.
    registered BIGINT NOT NULL,
    opened_at  BIGINT NOT NULL,
    CONSTRAINT queue_event_once UNIQUE (queue_id, version)
);
