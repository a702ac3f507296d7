-- Alerts on their way to people: a row a kind, in which equal ones are added up until they are sent. The row stays, with nothing in it.
CREATE TABLE alert (
    kind     TEXT PRIMARY KEY,
    -- The text of the latest one.
    latest   TEXT NOT NULL,
    -- How many have not been sent, and when the first of them was written down.
    times    INTEGER NOT NULL CONSTRAINT alert_times_not_negative CHECK (times >= 0),
    since    INTEGER NOT NULL,
    -- Not to be sent before; whoever takes a kind moves this on, which is its claim.
    due_at   INTEGER NOT NULL,
    attempts INTEGER NOT NULL
) STRICT;
