-- A queue may open by lot: `opening` says how (1 in the order of coming, 2 by a draw). `draw_secret` is fixed when that is set and told
-- at the opening; `token_key` is never told, and the ids of registered tokens are made of it. `drawn_after` is the last ticket before
-- the draw and `drawn` how many took part; both are NULL until then. Programs that do not know these columns open such a queue in the
-- order of coming, so a draw is to be set once all replicas know it.
ALTER TABLE queue ADD COLUMN opening INTEGER NOT NULL DEFAULT 1 CHECK (opening IN (1, 2));
ALTER TABLE queue ADD COLUMN draw_secret BLOB CHECK (length(draw_secret) = 32);
ALTER TABLE queue ADD COLUMN token_key BLOB CHECK (length(token_key) = 32);
ALTER TABLE queue ADD COLUMN drawn_after INTEGER;
ALTER TABLE queue ADD COLUMN drawn INTEGER;

-- What was drawn, written in the transaction that opens the queue and never again: the primary key refuses a second draw. `tokens` has
-- the sixteen bytes of each token that took part, first the one that is first. Their rows in `token` keep the tickets of their
-- coming until something else changes them; who reads them counts the drawn ones (`drawn_after` and the number).
CREATE TABLE draw (
    queue_id TEXT PRIMARY KEY,
    root     BLOB NOT NULL CHECK (length(root) = 32),
    seed     BLOB NOT NULL CHECK (length(seed) = 32),
    tokens   BLOB NOT NULL CHECK (length(tokens) % 16 = 0)
) STRICT;
