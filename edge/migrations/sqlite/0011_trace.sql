-- The trace in which a checkout was begun, as a traceparent, if it is sampled: a replica that takes the checkout
-- over links its own trace to it. Nothing is decided by it, and programs of before need not know it.
ALTER TABLE checkout ADD COLUMN trace TEXT;
