-- What an operator is shown of alerts, whether or not a chat is told of them: how many of a kind there were since when. They are counted
-- together until an hour has passed without one. What is written by an older program is not counted here.
ALTER TABLE alert ADD COLUMN program    TEXT    NOT NULL DEFAULT '';
ALTER TABLE alert ADD COLUMN seen       BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE alert ADD COLUMN seen_since BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE alert ADD COLUMN seen_at    BIGINT  NOT NULL DEFAULT 0;
-- 1: this kind is shown and logged, and sent to no chat.
ALTER TABLE alert ADD COLUMN silenced   BIGINT  NOT NULL DEFAULT 0;
