-- The ledger: wallets, their entries, and the payments that some entries belong to.
--
-- The program decides; this schema refuses what must never be, whoever writes:
--   I-WALLET-ONCE          one wallet a user                  wallet_pkey
--   I-LEDGER-POSITIVE      no balance below zero              wallet_balance_not_negative, entry_balance_not_negative
--   I-LEDGER-APPEND-ONLY   no entry is changed or removed     trigger entry_append_only
--   I-LEDGER-NO-GAP        entries of a wallet are 1, 2, 3 …  entry_pkey (no number twice) under the wallet's row lock
--   I-PAY-ONCE             one debit and one refund a payment entry_once_a_payment
--
-- Times are microseconds since the epoch; money is in the currency's minor unit.

-- What a user has now. `balance` is the newest entry's `balance_after`, `entries` its `sequence`; both are written in the same
-- transaction as that entry, under this row's lock. The free space in each page keeps these updates in place (HOT).
CREATE TABLE wallet (
    user_id TEXT   NOT NULL,
    balance BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    CONSTRAINT wallet_pkey PRIMARY KEY (user_id),
    CONSTRAINT wallet_balance_not_negative CHECK (balance >= 0),
    CONSTRAINT wallet_entries_not_negative CHECK (entries >= 0)
) WITH (fillfactor = 80);

-- One row a payment id, for ever. A row without user and reservation is a tombstone: the payment was cancelled before it arrived.
CREATE TABLE payment (
    payment_id     UUID   NOT NULL,
    user_id        TEXT,
    reservation_id UUID,
    amount         BIGINT NOT NULL,
    status         TEXT   NOT NULL,
    -- Empty on a completed payment, a stable word on the others.
    reason         TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    settled_at     BIGINT NOT NULL,
    CONSTRAINT payment_pkey PRIMARY KEY (payment_id),
    CONSTRAINT payment_amount_not_negative CHECK (amount >= 0),
    CONSTRAINT payment_status_known CHECK (status IN ('COMPLETED', 'FAILED', 'CANCELLED')),
    CONSTRAINT payment_reason_unless_completed CHECK ((status = 'COMPLETED') = (reason = '')),
    CONSTRAINT payment_whole_or_tombstone CHECK (
        (user_id IS NOT NULL AND reservation_id IS NOT NULL)
        OR (user_id IS NULL AND reservation_id IS NULL AND status = 'CANCELLED' AND amount = 0)
    )
);
-- Pages of a user's payments, newest first.
CREATE INDEX payment_of_user ON payment (user_id, created_at, payment_id) WHERE user_id IS NOT NULL;

-- Every movement of money, immutable.
CREATE TABLE entry (
    user_id       TEXT   NOT NULL,
    sequence      BIGINT NOT NULL,
    entry_id      UUID   NOT NULL,
    kind          TEXT   NOT NULL,
    -- What it added: positive or negative as its kind says.
    amount        BIGINT NOT NULL,
    balance_after BIGINT NOT NULL,
    payment_id    UUID,
    created_at    BIGINT NOT NULL,
    CONSTRAINT entry_pkey PRIMARY KEY (user_id, sequence),
    CONSTRAINT entry_id_once UNIQUE (entry_id),
    CONSTRAINT entry_once_a_payment UNIQUE (payment_id, kind),
    CONSTRAINT entry_of_wallet FOREIGN KEY (user_id) REFERENCES wallet (user_id),
    CONSTRAINT entry_of_payment FOREIGN KEY (payment_id) REFERENCES payment (payment_id),
    CONSTRAINT entry_sequence_positive CHECK (sequence >= 1),
    CONSTRAINT entry_balance_not_negative CHECK (balance_after >= 0 AND balance_after - amount >= 0),
    CONSTRAINT entry_sign_of_kind CHECK (
        (kind IN ('CHARGE', 'REFUND') AND amount > 0) OR (kind IN ('USE', 'PAYMENT') AND amount < 0)
    ),
    CONSTRAINT entry_payment_of_kind CHECK ((payment_id IS NOT NULL) = (kind IN ('PAYMENT', 'REFUND')))
);

-- I-LEDGER-APPEND-ONLY. A mistake is put right by another entry, never by changing one.
CREATE FUNCTION refuse_to_rewrite_the_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_append_only', TABLE = 'entry';
END
$$;
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE ON entry
    FOR EACH ROW EXECUTE FUNCTION refuse_to_rewrite_the_ledger();
CREATE TRIGGER entry_append_only_whole BEFORE TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_the_ledger();

-- The first answer to each `request_id`, written in the transaction that did the work.
CREATE TABLE request (
    request_id  TEXT   NOT NULL PRIMARY KEY,
    fingerprint TEXT   NOT NULL,
    answer      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL
);
