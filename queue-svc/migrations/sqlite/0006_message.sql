-- What the seller says to everybody in a queue, in each language; NULL: nothing. Programs that do not know these columns leave them
-- as they are and say nothing.
ALTER TABLE queue ADD COLUMN message_ko TEXT CHECK (length(message_ko) BETWEEN 1 AND 280);
ALTER TABLE queue ADD COLUMN message_en TEXT CHECK (length(message_en) BETWEEN 1 AND 280);
