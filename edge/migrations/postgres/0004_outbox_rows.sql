-- What a checkout's end is told as is one row: its events in order, and how many of them were told. One row is one place in the order,
-- so no other row must be looked at before it is told. No foreign key: it is written by the statement that settles its checkout.
UPDATE outbox o SET body = (SELECT '[' || string_agg(e.body, ',' ORDER BY e.sequence) || ']' FROM outbox e
                            WHERE e.checkout_id = o.checkout_id AND e.published_at IS NULL)
    WHERE o.published_at IS NULL AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.checkout_id = o.checkout_id
                                                 AND e.published_at IS NULL AND e.sequence < o.sequence);
DELETE FROM outbox o WHERE o.published_at IS NOT NULL
    OR EXISTS (SELECT 1 FROM outbox e WHERE e.checkout_id = o.checkout_id AND e.published_at IS NULL AND e.sequence < o.sequence);
DROP INDEX outbox_waiting;
ALTER TABLE outbox DROP CONSTRAINT outbox_checkout_id_fkey;
ALTER TABLE outbox DROP COLUMN event_id;
ALTER TABLE outbox DROP COLUMN kind;
-- CloudEvents, a JSON list.
ALTER TABLE outbox RENAME COLUMN body TO events;
ALTER TABLE outbox ADD COLUMN told BIGINT NOT NULL DEFAULT 0;
