-- A sale that was taken back, because its payment is refunded (I-BACK-IFF-FREE): the payment that had
-- confirmed it, and when that was; `closed_at` is when it was taken back, and its row in `reservation` is
-- gone. Its status is CANCELLED, which is all that older programs need to know of it.
ALTER TABLE hold ADD COLUMN refunded_payment_id UUID;
ALTER TABLE hold ADD COLUMN sold_at BIGINT CONSTRAINT hold_refunded_was_sold
    CHECK ((refunded_payment_id IS NULL) = (sold_at IS NULL) AND (sold_at IS NULL OR status = 'CANCELLED'));
-- A payment is refunded for one sale.
CREATE UNIQUE INDEX hold_refunded_once ON hold (refunded_payment_id) WHERE refunded_payment_id IS NOT NULL;
