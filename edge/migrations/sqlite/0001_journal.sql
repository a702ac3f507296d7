-- The saga's journal: one row a checkout. It is written before the first step and finished after the last; the steps are
-- idempotent by the checkout's id, so nothing is kept a step, only what somebody else must know to take it up.
-- Times are microseconds since the epoch, UTC; money is whole minor units.
CREATE TABLE checkout (
    -- Also the payment's id in the wallet.
    checkout_id    BLOB PRIMARY KEY,
    user_id        TEXT NOT NULL,
    reservation_id BLOB NOT NULL,
    -- The queue token it was begun with, completed at its end.
    token          BLOB NOT NULL,
    amount         INTEGER NOT NULL CONSTRAINT checkout_amount_not_negative CHECK (amount >= 0),
    status         TEXT NOT NULL CONSTRAINT checkout_status CHECK (status IN ('PENDING', 'COMPLETED', 'FAILED', 'COMPENSATED')),
    -- The stable word of the refusal that ended it, and the whole refusal (JSON), told again to a replay.
    reason         TEXT,
    refusal        TEXT,
    -- Who works on it, and until when the others leave it alone.
    runner         BLOB NOT NULL,
    lease_until    INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    settled_at     INTEGER,
    CONSTRAINT checkout_pending_or_settled CHECK ((status = 'PENDING') = (settled_at IS NULL)),
    CONSTRAINT checkout_refused_has_reason CHECK ((status IN ('FAILED', 'COMPENSATED')) = (reason IS NOT NULL))
) STRICT;

-- I-ONE-LIVE-CHECKOUT: a reservation is being paid for, or has been, at most once. This is the lock against paying twice, on
-- whatever replica, and it outlives any process.
CREATE UNIQUE INDEX checkout_one_live ON checkout (reservation_id) WHERE status IN ('PENDING', 'COMPLETED');

-- A second click looks for the first.
CREATE INDEX checkout_by_reservation ON checkout (reservation_id, created_at);
-- Lists, newest first.
CREATE INDEX checkout_by_time ON checkout (created_at, checkout_id);
CREATE INDEX checkout_by_user ON checkout (user_id, created_at, checkout_id);
-- Checkouts that lost their runner.
CREATE INDEX checkout_pending ON checkout (lease_until) WHERE status = 'PENDING';

-- Which checkout a request id stands for: a replay gets its outcome. Several clicks with several ids may share one checkout.
CREATE TABLE checkout_request (
    request_id  TEXT PRIMARY KEY,
    checkout_id BLOB NOT NULL REFERENCES checkout (checkout_id)
) STRICT;

-- Outcomes to be told to the world, written in the transaction that settles the checkout.
CREATE TABLE outbox (
    -- The order within a checkout.
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id     TEXT NOT NULL CONSTRAINT outbox_once UNIQUE,
    checkout_id  BLOB NOT NULL REFERENCES checkout (checkout_id),
    kind         TEXT NOT NULL,
    -- The whole CloudEvent, as JSON.
    body         TEXT NOT NULL,
    -- Not to be tried before; a relay that takes an event moves this on, which is its claim.
    due_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    published_at INTEGER
) STRICT;
CREATE INDEX outbox_waiting ON outbox (checkout_id, sequence) WHERE published_at IS NULL;
CREATE INDEX outbox_told ON outbox (published_at) WHERE published_at IS NOT NULL;
