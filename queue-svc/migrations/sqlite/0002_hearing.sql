-- People who went away do not block the line: when somebody was heard of, and for how long a silence may last. Whoever is there at the
-- change counts as heard of when the token was last known to be used.
ALTER TABLE queue ADD COLUMN waiting_grace INTEGER NOT NULL DEFAULT 600000000 CHECK (waiting_grace >= 0);
ALTER TABLE queue ADD COLUMN show_up_within INTEGER NOT NULL DEFAULT 90000000 CHECK (show_up_within >= 0);
ALTER TABLE token ADD COLUMN heard_at INTEGER NOT NULL DEFAULT 0;
UPDATE token SET heard_at = COALESCE(admitted_at, entered_at) WHERE status IN (1, 2);
