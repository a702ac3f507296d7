-- Every event has one place in one order, and each subscriber a position in it. The outbox is only how an event gets there: it is
-- written by the transaction of the fact, whose commit may come later than that of a higher `sequence`. Whoever moves rows from the
-- outbox to `event` holds the row of `event_head`, so positions appear in their order and nobody reads past one that is still to come.
CREATE TABLE event_head (
    one      INTEGER PRIMARY KEY CONSTRAINT event_head_is_one CHECK (one = 1),
    -- The newest position that was given; it stays when the events are forgotten.
    position INTEGER NOT NULL
) STRICT;
INSERT INTO event_head (one, position) VALUES (1, 0);

CREATE TABLE event (
    position    INTEGER PRIMARY KEY,
    -- The CloudEvent's id, by which receivers know it again.
    event_id    TEXT NOT NULL CONSTRAINT event_once UNIQUE,
    kind        TEXT NOT NULL,
    -- What it is about. Events of one subject are told one after the other.
    subject     TEXT NOT NULL,
    -- The whole CloudEvent, as JSON.
    body        TEXT NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;
-- They are forgotten by their age.
CREATE INDEX event_by_time ON event (recorded_at);

-- Who is told. The name says where without what is secret in the address.
CREATE TABLE subscriber (
    name          TEXT PRIMARY KEY,
    -- Everything up to here was taken.
    position      INTEGER NOT NULL,
    -- Not to be tried before, and how often in a row it was in vain, since when, and why.
    due_at        INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    failing_since INTEGER,
    failure       TEXT,
    -- It has said that it wants no events any more; nothing is sent until an operator says so.
    gone_at       INTEGER,
    -- Which edge tells it, until when the others leave it alone. One that no edge tells any more is forgotten after a while.
    runner        BLOB NOT NULL,
    lease_until   INTEGER NOT NULL
) STRICT;
-- What was told by older programs is not told again.
DELETE FROM outbox WHERE published_at IS NOT NULL;
