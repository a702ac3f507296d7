-- Answers to requests are forgotten oldest first, by time alone: those whose ids were made up for one call
-- (`brief/…`) after minutes, the others after days. Each row is in one of the two indexes, at its end, which
-- costs the request next to nothing.
CREATE INDEX request_brief ON request (created_at) WHERE substr(request_id, 1, 6) = 'brief/';
CREATE INDEX request_lasting ON request (created_at) WHERE substr(request_id, 1, 6) <> 'brief/';

-- Tokens that have ended, by when they could have been valid at most: they too are forgotten after a while.
CREATE INDEX token_ended ON token (valid_until) WHERE status > 2;
