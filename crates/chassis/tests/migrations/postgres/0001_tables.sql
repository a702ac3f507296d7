-- What the tests of the database door write into.
CREATE TABLE thing (
    id    UUID PRIMARY KEY,
    name  TEXT,
    size  BIGINT NOT NULL CONSTRAINT size_is_not_negative CHECK (size >= 0),
    fresh BOOLEAN NOT NULL
);

CREATE TABLE request (
    request_id  TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    answer      TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);
