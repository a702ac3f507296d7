-- How the sale went within the last hour, for the charts of the box office: each edge writes every ten seconds what it has counted since
-- it began, and one of them how the lines and the sales stand. A row is a JSON document. It is forgotten after an hour.
CREATE TABLE sample (
    -- The edge that has counted; empty where it is told how the lines and the sales stand.
    source  TEXT NOT NULL,
    -- The beginning of the ten seconds.
    at      INTEGER NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (source, at)
) STRICT;
-- They are read from an instant on, and forgotten oldest first.
CREATE INDEX sample_by_time ON sample (at);
