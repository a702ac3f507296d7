-- A draw may have a beacon, a round of a public randomness network. `beacon_chain` is the info of the network's chain (JSON, as the network
-- tells it), fixed with the draw; the round follows from it and from `opens_at`. At the opening it is fixed who takes part: how many
-- (`entrants`), the last ticket before those that are kept for them, the root that is told, and when. `beacon_signature` is that of
-- the round that the draw was held with, empty where an operator had it held without one (`without_beacon`).
ALTER TABLE queue ADD COLUMN without_beacon INTEGER NOT NULL DEFAULT 0 CHECK (without_beacon IN (0, 1));
ALTER TABLE queue ADD COLUMN beacon_chain TEXT;
ALTER TABLE queue ADD COLUMN entrants_after INTEGER;
ALTER TABLE queue ADD COLUMN entrants INTEGER;
ALTER TABLE queue ADD COLUMN entrants_root BLOB CHECK (length(entrants_root) = 32);
ALTER TABLE queue ADD COLUMN entrants_at INTEGER;
-- Programs that do not know these columns would draw without the beacon that was announced: the database refuses it. Nor do they go on
-- with a draw that was held with one. So a beacon is to be named once all replicas know it.
ALTER TABLE queue ADD COLUMN beacon_signature BLOB
    CONSTRAINT queue_beacon_not_ignored CHECK (drawn IS NULL OR beacon_chain IS NULL OR draw_secret IS NULL OR beacon_signature IS NOT NULL);

-- Who takes part in a draw that waits for its beacon, sixteen bytes a token. The row goes with the draw, which has them by their numbers.
CREATE TABLE draw_entry (
    queue_id TEXT PRIMARY KEY,
    tokens   BLOB NOT NULL CHECK (length(tokens) % 16 = 0)
) STRICT;
