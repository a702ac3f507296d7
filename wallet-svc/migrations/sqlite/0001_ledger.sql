-- The ledger: wallets, their entries, and the payments that some entries belong to.
--
-- The program decides; this schema refuses what must never be, whoever writes:
--   I-WALLET-ONCE          one wallet a user                  primary key of wallet
--   I-LEDGER-POSITIVE      no balance below zero              wallet_balance_not_negative, entry_balance_not_negative
--   I-LEDGER-APPEND-ONLY   no entry is changed or removed     triggers entry_append_only_*
--   I-LEDGER-NO-GAP        entries of a wallet are 1, 2, 3 …  primary key of entry (no number twice) and the one writer
--   I-PAY-ONCE             one debit and one refund a payment entry_once_a_payment
--
-- Times are microseconds since the epoch; money is in the currency's minor unit; a UUID is its 16 bytes. The same tables as
-- migrations/postgres, where each column is explained.

CREATE TABLE wallet (
    user_id TEXT    NOT NULL PRIMARY KEY,
    balance INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    CONSTRAINT wallet_balance_not_negative CHECK (balance >= 0),
    CONSTRAINT wallet_entries_not_negative CHECK (entries >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE payment (
    payment_id     BLOB    NOT NULL PRIMARY KEY,
    user_id        TEXT,
    reservation_id BLOB,
    amount         INTEGER NOT NULL,
    status         TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    settled_at     INTEGER NOT NULL,
    CONSTRAINT payment_amount_not_negative CHECK (amount >= 0),
    CONSTRAINT payment_status_known CHECK (status IN ('COMPLETED', 'FAILED', 'CANCELLED')),
    CONSTRAINT payment_reason_unless_completed CHECK ((status = 'COMPLETED') = (reason = '')),
    CONSTRAINT payment_whole_or_tombstone CHECK (
        (user_id IS NOT NULL AND reservation_id IS NOT NULL)
        OR (user_id IS NULL AND reservation_id IS NULL AND status = 'CANCELLED' AND amount = 0)
    )
) STRICT;
CREATE INDEX payment_of_user ON payment (user_id, created_at, payment_id) WHERE user_id IS NOT NULL;

CREATE TABLE entry (
    user_id       TEXT    NOT NULL,
    sequence      INTEGER NOT NULL,
    entry_id      BLOB    NOT NULL,
    kind          TEXT    NOT NULL,
    amount        INTEGER NOT NULL,
    balance_after INTEGER NOT NULL,
    payment_id    BLOB,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (user_id, sequence),
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
) STRICT;

-- I-LEDGER-APPEND-ONLY. A mistake is put right by another entry, never by changing one.
CREATE TRIGGER entry_append_only_update BEFORE UPDATE ON entry
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;
CREATE TRIGGER entry_append_only_delete BEFORE DELETE ON entry
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- The first answer to each `request_id`, written in the transaction that did the work.
CREATE TABLE request (
    request_id  TEXT    NOT NULL PRIMARY KEY,
    fingerprint TEXT    NOT NULL,
    answer      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
