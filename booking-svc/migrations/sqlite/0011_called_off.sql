-- A show that is called off: since when nobody gets its seats, and when all of its sales were refunded. Both
-- are written once. Replicas of before do not look at them: all must be new before a show is called off.
ALTER TABLE show ADD COLUMN called_off_at INTEGER;
ALTER TABLE show ADD COLUMN cancelled_at INTEGER CONSTRAINT show_cancelled_was_called_off
    CHECK (cancelled_at IS NULL OR cancelled_at >= COALESCE(called_off_at, cancelled_at + 1));
