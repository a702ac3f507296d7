-- A queue may open at an instant that is set before. Until a decision is made at or after it, nobody is admitted; a token that
-- waits (status 1) is told as registered. NULL: the queue is open. Programs that do not know the column admit without regard to
-- it, so it is to be set once all replicas know it.
ALTER TABLE queue ADD COLUMN opens_at INTEGER;
