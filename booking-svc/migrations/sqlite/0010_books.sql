-- The seller's books: what was sold of a show, and taken back.
CREATE INDEX reservation_of_show ON reservation (show_id);
CREATE INDEX hold_refunded_of_show ON hold (show_id) WHERE refunded_payment_id IS NOT NULL;
-- What is to come, by date.
CREATE INDEX show_to_come ON show (starts_at, concert_id);
