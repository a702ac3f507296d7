-- A sale that is undone. The checkout stays COMPLETED until the money is back and the seats are free; then it
-- is COMPENSATED, which is all that older programs need to know of it. It is asked for once (I-REFUND-ONCE):
-- these columns are written where they are null.
ALTER TABLE checkout ADD COLUMN refund_asked_at INTEGER;
-- Why, in the words of whoever asked.
ALTER TABLE checkout ADD COLUMN refund_reason TEXT;
ALTER TABLE checkout ADD COLUMN refunded_at INTEGER CONSTRAINT checkout_refunded_is_undone CHECK (
    (refund_asked_at IS NULL) = (refund_reason IS NULL)
    AND (refunded_at IS NULL OR refunded_at >= COALESCE(refund_asked_at, refunded_at + 1))
    AND (refund_asked_at IS NULL OR status = CASE WHEN refunded_at IS NULL THEN 'COMPLETED' ELSE 'COMPENSATED' END)
);
-- Refunds that lost their runner.
CREATE INDEX checkout_refunding ON checkout (lease_until) WHERE refund_asked_at IS NOT NULL AND refunded_at IS NULL;
