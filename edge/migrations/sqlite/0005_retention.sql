-- A settled checkout stays for good. What only its settling and its replays needed (the story of its steps,
-- the refusal word by word, the request ids that stand for it) is forgotten after a while: by when it was
-- settled, as long as there is something to forget.
CREATE INDEX checkout_to_clear ON checkout (settled_at) WHERE story IS NOT NULL;
CREATE INDEX checkout_request_of ON checkout_request (checkout_id);
