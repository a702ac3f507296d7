-- The waiting room: lines, the tokens that stand in them, and the requests that were answered.
-- Instants and spans are microseconds (instants since 1970, UTC). Memory holds the live part of this; these rows are its log.

-- One line. Locking its row is what puts the commits of all replicas into one order; `version` counts them.
CREATE TABLE queue (
    queue_id         TEXT PRIMARY KEY CHECK (length(queue_id) BETWEEN 1 AND 64),
    -- The policy.
    max_active       BIGINT NOT NULL CHECK (max_active >= 0),
    max_waiting      BIGINT NOT NULL CHECK (max_waiting >= 0),
    active_ttl       BIGINT NOT NULL CHECK (active_ttl > 0),
    waiting_ttl      BIGINT NOT NULL CHECK (waiting_ttl > 0),
    admit_per_minute BIGINT NOT NULL CHECK (admit_per_minute > 0),
    on_expiry        BIGINT NOT NULL CHECK (on_expiry IN (1, 2)), -- 1 requeue, 2 expire
    paused           BOOLEAN NOT NULL,
    -- The counters.
    version          BIGINT NOT NULL,
    last_ticket      BIGINT NOT NULL,
    serving_ticket   BIGINT NOT NULL CHECK (serving_ticket <= last_ticket),
    decided_at       BIGINT NOT NULL,
    -- JSON: how many were admitted in which second and minute, so that the rate cap is exact over replicas and restarts.
    admissions       TEXT NOT NULL,
    created_at       BIGINT NOT NULL
);

-- One token. How many are ACTIVE is counted from these rows, never kept beside them.
CREATE TABLE token (
    token        UUID PRIMARY KEY,
    -- No foreign key: whoever writes a token holds its queue's row, and queues are never deleted.
    queue_id     TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    status       BIGINT NOT NULL CHECK (status BETWEEN 1 AND 5), -- 1 waiting, 2 active, 3 completed, 4 expired, 5 left
    priority     BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 9),
    ticket       BIGINT NOT NULL,
    entered_at   BIGINT NOT NULL,
    active_until BIGINT,
    valid_until  BIGINT NOT NULL,
    admitted_at  BIGINT,
    requeues     BIGINT NOT NULL,
    -- The queue's version that last changed this row: replicas follow by reading what is above their own.
    version      BIGINT NOT NULL,
    CONSTRAINT token_active_until CHECK ((status = 2) = (active_until IS NOT NULL)),
    CONSTRAINT token_ticket_once UNIQUE (queue_id, ticket)
);

-- A user has one live token in a queue, however many requests race for it.
CREATE UNIQUE INDEX token_live_once ON token (queue_id, user_id) WHERE status IN (1, 2);
-- What changed since.
CREATE INDEX token_by_version ON token (queue_id, version);

-- Requests that carried an id, and what was answered (see chassis::idempotency).
CREATE TABLE request (
    request_id  TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    answer      TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);
