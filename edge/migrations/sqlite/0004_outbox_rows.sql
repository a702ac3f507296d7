-- What a checkout's end is told as is one row: its events in order, and how many of them were told. One row is one place in the order,
-- so no other row must be looked at before it is told. No foreign key: it is written by the transaction that settles its checkout.
CREATE TABLE outbox_rows (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    checkout_id  BLOB NOT NULL,
    -- CloudEvents, a JSON list.
    events       TEXT NOT NULL,
    told         INTEGER NOT NULL DEFAULT 0,
    -- Not to be tried before; a relay that takes a row moves this on, which is its claim.
    due_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    published_at INTEGER
) STRICT;
INSERT INTO outbox_rows (sequence, checkout_id, events, due_at, attempts)
    SELECT MIN(sequence), checkout_id, '[' || group_concat(body, ',' ORDER BY sequence) || ']', MIN(due_at), MAX(attempts)
    FROM outbox WHERE published_at IS NULL GROUP BY checkout_id;
DROP TABLE outbox;
ALTER TABLE outbox_rows RENAME TO outbox;
CREATE INDEX outbox_due ON outbox (sequence) WHERE published_at IS NULL;
CREATE INDEX outbox_told ON outbox (published_at) WHERE published_at IS NOT NULL;
