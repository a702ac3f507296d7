-- What is live has two conditions that mean the same, and each of the two indexes of it has its own: a statement
-- that looks for the holds of a user names the status, one that looks for those to be closed the time at which
-- they were. With one condition PostgreSQL took the index of the time for the holds of a user as well, where it
-- had made its plan while the table was small, and read every live hold for each.
--
-- What is dropped is dropped first: so the strongest lock on the table is the first that is taken, and nobody who
-- has read it waits for what waits for them.
DROP INDEX hold_to_sweep;
DROP INDEX hold_ended;
CREATE INDEX hold_to_close ON hold (expires_at) WHERE closed_at IS NULL;
-- Holds whose sale was refunded are never forgotten. The index of those that are has no others, so that looking
-- for what can go does not walk past every refund there ever was.
CREATE INDEX hold_to_forget ON hold (closed_at) WHERE status IN ('EXPIRED', 'CANCELLED') AND refunded_payment_id IS NULL;
