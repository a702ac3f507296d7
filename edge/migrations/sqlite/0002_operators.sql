-- What an operator sees of a checkout: since when it waits for a person, and what was tried (JSON, one line a step and outcome).
ALTER TABLE checkout ADD COLUMN parked_at INTEGER;
ALTER TABLE checkout ADD COLUMN story TEXT;
CREATE INDEX checkout_parked ON checkout (created_at, checkout_id) WHERE parked_at IS NOT NULL;
