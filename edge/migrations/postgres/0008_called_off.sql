-- Shows that are called off: a row is written before booking is asked, and goes on until each sale of the show is refunded. It is no
-- row of the checkouts' journal, since it has neither user nor money; the refunds it begins are rows there.
CREATE TABLE call_off (
    show_id     BIGINT PRIMARY KEY,
    asked_at    BIGINT NOT NULL,
    -- Since when booking sells nothing more of the show; written once, together with the event that tells it.
    closed_at   BIGINT,
    -- How many sales are to be refunded, are, and wait for an operator, as they were counted last.
    sales       BIGINT NOT NULL DEFAULT 0,
    refunded    BIGINT NOT NULL DEFAULT 0,
    parked      BIGINT NOT NULL DEFAULT 0,
    -- When every sale was refunded, and booking knew it.
    done_at     BIGINT,
    -- Who works on it, and until when the others leave it alone.
    runner      UUID,
    lease_until BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT call_off_done_is_whole CHECK (done_at IS NULL OR (closed_at IS NOT NULL AND refunded = sales))
);
CREATE INDEX call_off_under_way ON call_off (lease_until) WHERE done_at IS NULL;

-- The show whose calling off undoes this sale, whoever asked for its refund first.
ALTER TABLE checkout ADD COLUMN called_off_show BIGINT;
CREATE INDEX checkout_called_off ON checkout (called_off_show) WHERE called_off_show IS NOT NULL;

-- Changes that may move a show, written before booking is asked: what was told of its beginning before. The row goes when the move
-- was told, or when it was found that there was none.
CREATE TABLE show_move (
    move_id   UUID PRIMARY KEY,
    show_id   BIGINT NOT NULL,
    starts_at BIGINT NOT NULL,
    -- From when on any replica may finish it: whoever asked for the change is lost by then.
    due_at    BIGINT NOT NULL
);
