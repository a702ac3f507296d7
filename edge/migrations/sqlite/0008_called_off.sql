-- Shows that are called off: a row is written before booking is asked, and goes on until each sale of the show is refunded. It is no
-- row of the checkouts' journal, since it has neither user nor money; the refunds it begins are rows there.
CREATE TABLE call_off (
    show_id     INTEGER PRIMARY KEY,
    asked_at    INTEGER NOT NULL,
    -- Since when booking sells nothing more of the show; written once, together with the event that tells it.
    closed_at   INTEGER,
    -- How many sales are to be refunded, are, and wait for an operator, as they were counted last.
    sales       INTEGER NOT NULL DEFAULT 0,
    refunded    INTEGER NOT NULL DEFAULT 0,
    parked      INTEGER NOT NULL DEFAULT 0,
    -- When every sale was refunded, and booking knew it.
    done_at     INTEGER,
    -- Who works on it, and until when the others leave it alone.
    runner      BLOB,
    lease_until INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT call_off_done_is_whole CHECK (done_at IS NULL OR (closed_at IS NOT NULL AND refunded = sales))
) STRICT;
CREATE INDEX call_off_under_way ON call_off (lease_until) WHERE done_at IS NULL;

-- The show whose calling off undoes this sale, whoever asked for its refund first.
ALTER TABLE checkout ADD COLUMN called_off_show INTEGER;
CREATE INDEX checkout_called_off ON checkout (called_off_show) WHERE called_off_show IS NOT NULL;

-- Changes that may move a show, written before booking is asked: what was told of its beginning before. The row goes when the move
-- was told, or when it was found that there was none.
CREATE TABLE show_move (
    move_id   BLOB PRIMARY KEY,
    show_id   INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    -- From when on any replica may finish it: whoever asked for the change is lost by then.
    due_at    INTEGER NOT NULL
) STRICT;
