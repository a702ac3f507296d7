-- Relays take what is not told yet in order; what was told stays for a day and must not be walked.
CREATE INDEX outbox_due ON outbox (sequence) WHERE published_at IS NULL;
