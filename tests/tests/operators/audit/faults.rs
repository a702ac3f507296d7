//! The faults, as SQL over the rows of the story, and what is to be found of each. Those of seats are in
//! [`super::seat_faults`].

/// Something that must never be.
pub(super) struct Fault {
    pub(super) name: &'static str,
    /// Whose data.
    pub(super) service: &'static str,
    /// What goes before in a SQLite file: taking away the rule of the schema that would refuse it. (A copy on
    /// PostgreSQL has no rules.)
    pub(super) rule: &'static str,
    pub(super) sql: &'static str,
    /// Law and ids of every difference that it makes.
    pub(super) found: &'static [&'static str],
    /// How many notes.
    pub(super) notes: usize,
}

pub(super) const fn fault(
    name: &'static str,
    service: &'static str,
    sql: &'static str,
    found: &'static [&'static str],
) -> Fault {
    Fault { name, service, rule: "", sql, found, notes: 0 }
}

impl Fault {
    pub(super) const fn without(self, rule: &'static str) -> Self {
        Self { rule, ..self }
    }
}

/// Writes an action long ago.
macro_rules! an_action {
    () => {
        "INSERT INTO operator_action (action_id, who, role, what, target, trace_id, created_at) \
         VALUES ({id:ghost}, 'olga', 'operator', 'UpdateQueue', 'default', '', 1)"
    };
}

const APPEND_ONLY: &str = "DROP TRIGGER entry_append_only_update; DROP TRIGGER entry_append_only_delete;";

pub(super) const FAULTS: &[Fault] = &[
    // --- money
    Fault {
        notes: 1,
        ..fault(
            "a wallet was opened in a form of its name in which nobody is looked for, which is no fault",
            "wallet",
            "INSERT INTO wallet (user_id, balance, entries) VALUES ('Zoe\u{308}', 0, 0)",
            &[],
        )
    },
    fault(
        "a balance was changed",
        "wallet",
        "UPDATE wallet SET balance = balance + 1 WHERE user_id = '{ann_user}'",
        &["I-LEDGER-SUM user={ann_user}"],
    ),
    fault(
        "an entry in the middle is gone",
        "wallet",
        "DELETE FROM entry WHERE user_id = '{ann_user}' AND sequence = 2",
        &["I-LEDGER-NO-GAP user={ann_user} sequence=2"],
    )
    .without(APPEND_ONLY),
    fault(
        "the last entry is gone",
        "wallet",
        "DELETE FROM entry WHERE user_id = '{saver}' AND sequence = 2",
        &["I-LEDGER-NO-GAP user={saver}"],
    )
    .without(APPEND_ONLY),
    fault(
        "an entry's amount was changed",
        "wallet",
        "UPDATE entry SET amount = 299, entry_id = {id:ghost} WHERE user_id = '{saver}' AND sequence = 2",
        &["I-LEDGER-SUM user={saver} sequence=2 entry={ghost}"],
    )
    .without(APPEND_ONLY),
    fault(
        "a wallet is gone",
        "wallet",
        "UPDATE entry SET entry_id = {id:ghost} WHERE user_id = '{saver}' AND sequence = 1; \
         DELETE FROM entry WHERE user_id = '{saver}' AND sequence = 2; DELETE FROM wallet WHERE user_id = '{saver}'",
        &["I-LEDGER-SUM user={saver} sequence=1 entry={ghost}"],
    )
    .without(bare!("entry")),
    fault(
        "a payment was debited twice",
        "wallet",
        "INSERT INTO entry (user_id, sequence, entry_id, kind, amount, balance_after, payment_id, created_at) \
         SELECT user_id, 4, {id:ghost}, kind, -4000, balance_after - 4000, payment_id, created_at FROM entry \
         WHERE user_id = '{bob_user}' AND sequence = 3; \
         UPDATE wallet SET balance = balance - 4000, entries = 4 WHERE user_id = '{bob_user}'",
        &["I-PAY-ONCE payment={bob_pay} kind=PAYMENT", "I-BOOKS show={show}"],
    )
    .without(bare!("entry")),
    fault(
        "a completed payment was never debited",
        "wallet",
        "DELETE FROM entry WHERE user_id = '{bob_user}' AND sequence = 3; \
         UPDATE wallet SET balance = 15000, entries = 2 WHERE user_id = '{bob_user}'",
        &["I-PAY-ONCE payment={bob_pay} user={bob_user}", "I-BOOKS show={show}"],
    )
    .without(APPEND_ONLY),
    fault(
        "a debit is of another amount than the price",
        "wallet",
        "UPDATE entry SET amount = amount + 1, balance_after = balance_after + 1 WHERE payment_id = {id:ann_pay}; \
         UPDATE wallet SET balance = balance + 1 WHERE user_id = '{ann_user}'",
        &["I-PAY-ONCE payment={ann_pay} user={ann_user}", "I-BOOKS show={show}"],
    )
    .without(APPEND_ONLY),
    // --- payments against reservations
    fault(
        "a completed payment was cancelled, its reservation stands",
        "wallet",
        "UPDATE payment SET status = 'CANCELLED', reason = 'PLANTED' WHERE payment_id = {id:ann_pay}",
        &["I-PAY-ONCE payment={ann_pay} user={ann_user}", "I-PAID-IFF-MINE checkout={ann_pay} reservation={ann}"],
    ),
    fault(
        "a settled checkout tells another ending",
        "edge",
        "UPDATE checkout SET status = 'FAILED', reason = 'PLANTED' WHERE checkout_id = {id:ann_pay}",
        &["I-ONE-OUTCOME checkout={ann_pay} reservation={ann}"],
    ),
    fault(
        "a checkout is over another amount than its payment",
        "edge",
        "UPDATE checkout SET amount = amount + 1 WHERE checkout_id = {id:ann_pay}",
        &["I-ONE-OUTCOME checkout={ann_pay} reservation={ann}"],
    ),
    fault(
        "a checkout was forgotten",
        "edge",
        "DELETE FROM outbox WHERE checkout_id = {id:ann_pay}; DELETE FROM checkout_request WHERE checkout_id = {id:ann_pay}; \
         DELETE FROM checkout WHERE checkout_id = {id:ann_pay}",
        &["I-ONE-OUTCOME payment={ann_pay} reservation={ann}"],
    ),
    fault(
        "a reservation was lost after its payment",
        "booking",
        "DELETE FROM reservation WHERE reservation_id = {id:bob}; \
         UPDATE seat SET sold = FALSE, hold_id = NULL, held_until = NULL WHERE show_id = {show} AND seat_number = 3; \
         UPDATE hold SET status = 'CANCELLED', payment_id = NULL WHERE reservation_id = {id:bob}",
        &["I-PAID-IFF-MINE checkout={bob_pay} reservation={bob}", "I-SEAT-FOLLOWED show={show} seat=3"],
    ),
    fault(
        "a hold was confirmed without a payment",
        "booking",
        "UPDATE hold SET status = 'CONFIRMED', payment_id = {id:ghost}, closed_at = held_at WHERE reservation_id = {id:dan}; \
         INSERT INTO reservation (reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, confirmed_at) \
         SELECT reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, held_at FROM hold \
         WHERE reservation_id = {id:dan}; \
         UPDATE seat SET sold = TRUE WHERE show_id = {show} AND seat_number = 5",
        &[
            "I-PAID-IFF-MINE payment={ghost} reservation={dan}",
            "I-BOOKS show={show}",
            "I-SEAT-FOLLOWED show={show} seat=5",
        ],
    ),
    fault(
        "a checkout is overdue",
        "edge",
        "UPDATE checkout SET status = 'PENDING', settled_at = NULL, created_at = created_at - 3600000000 \
         WHERE checkout_id = {id:ann_pay}",
        &["I-SETTLED checkout={ann_pay} user={ann_user} reservation={ann}"],
    ),
    fault(
        "a checkout is in flight, which is no fault",
        "edge",
        "UPDATE checkout SET status = 'PENDING', settled_at = NULL WHERE checkout_id = {id:ann_pay}",
        &[],
    ),
    fault(
        "two checkouts of one reservation are live",
        "edge",
        "UPDATE checkout SET reservation_id = {id:bob}, status = 'PENDING', settled_at = NULL WHERE checkout_id = {id:ann_pay}",
        &["I-ONE-LIVE-CHECKOUT reservation={bob} {both_pays}"],
    )
    .without("DROP INDEX checkout_one_live;"),
    // --- sales that were undone
    fault(
        "a refund gave the money back, and its seats stayed sold",
        "booking",
        "INSERT INTO reservation (reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, confirmed_at) \
         SELECT reservation_id, refunded_payment_id, user_id, concert_id, show_id, seats, amount, sold_at FROM hold \
         WHERE reservation_id = {id:eve}; \
         UPDATE hold SET status = 'CONFIRMED', payment_id = refunded_payment_id, refunded_payment_id = NULL, sold_at = NULL \
         WHERE reservation_id = {id:eve}; \
         UPDATE seat SET sold = TRUE, hold_id = {id:eve}, held_until = 0 WHERE show_id = {show} AND seat_number = 7",
        &[
            "I-BACK-IFF-FREE checkout={eve_pay} reservation={eve}",
            "I-BOOKS show={show}",
            "I-SEAT-FOLLOWED show={show} seat=7",
        ],
    ),
    fault(
        "a refund freed the seats, and the money stayed out",
        "wallet",
        "DELETE FROM entry WHERE user_id = '{eve_user}' AND sequence = 4; \
         UPDATE wallet SET balance = balance - 4000, entries = 3 WHERE user_id = '{eve_user}'; \
         UPDATE payment SET status = 'COMPLETED', reason = '' WHERE payment_id = {id:eve_pay}",
        &["I-BACK-IFF-FREE checkout={eve_pay} reservation={eve}", "I-BOOKS show={show}"],
    )
    .without(APPEND_ONLY),
    fault(
        "a sale that was undone is gone",
        "booking",
        "DELETE FROM hold WHERE reservation_id = {id:eve}",
        &["I-BACK-IFF-FREE checkout={eve_pay} reservation={eve}"],
    ),
    fault(
        "the journal lost a refund",
        "edge",
        "UPDATE checkout SET status = 'COMPLETED', reason = NULL, refunded_at = NULL, refund_asked_at = NULL, refund_reason = NULL \
         WHERE checkout_id = {id:eve_pay}",
        &["I-ONE-OUTCOME checkout={eve_pay} reservation={eve}"],
    ),
    fault(
        "a refund is overdue",
        "edge",
        "UPDATE checkout SET status = 'COMPLETED', reason = NULL, refunded_at = NULL, \
         refund_asked_at = refund_asked_at - 3600000000 WHERE checkout_id = {id:eve_pay}",
        &["I-SETTLED checkout={eve_pay} user={eve_user} reservation={eve}"],
    ),
    fault(
        "a refund is in flight, which is no fault",
        "edge",
        "UPDATE checkout SET status = 'COMPLETED', reason = NULL, refunded_at = NULL WHERE checkout_id = {id:eve_pay}",
        &[],
    ),
    // --- shows that are called off
    fault(
        "a show is cancelled, and its sales stand",
        "booking",
        "UPDATE show SET called_off_at = 1, cancelled_at = 1 WHERE show_id = {show}",
        &[
            "I-CALLED-OFF show={show} reservation={ann} payment={ann_pay}",
            "I-CALLED-OFF show={show} reservation={bob} payment={bob_pay}",
        ],
    ),
    fault(
        "a refund is counted as done that is not",
        "edge",
        "UPDATE checkout SET status = 'COMPLETED', reason = NULL, refunded_at = NULL WHERE checkout_id = {id:fay_pay}",
        &["I-CALLED-OFF show={off}"],
    ),
    fault(
        "a show is called off for the journal alone",
        "booking",
        "UPDATE show SET cancelled_at = NULL WHERE show_id = {off}",
        &["I-CALLED-OFF show={off}"],
    ),
    fault(
        "calling a show off is overdue",
        "edge",
        "UPDATE call_off SET done_at = NULL, asked_at = asked_at - 3600000000 WHERE show_id = {off}",
        &["I-CALLED-OFF show={off}"],
    ),
    fault(
        "a show is being called off, which is no fault",
        "edge",
        "UPDATE call_off SET done_at = NULL WHERE show_id = {off}",
        &[],
    ),
    // --- lines
    fault(
        "a user is in a line twice",
        "queue",
        "UPDATE token SET user_id = (SELECT user_id FROM token WHERE token = {id:third}) \
         WHERE token = {id:fourth}",
        &["I-LINE-ONE line={line} user={third_user} {third_and_fourth}"],
    )
    .without("DROP INDEX token_live_once;"),
    fault(
        "one more was let in than may be",
        "queue",
        "UPDATE token SET status = 2, active_until = 9000000000000000, \
         admitted_at = (SELECT decided_at FROM queue WHERE queue_id = '{line}'), \
         version = (SELECT version FROM queue WHERE queue_id = '{line}') WHERE token = {id:third}; \
         UPDATE queue SET serving_ticket = 3 WHERE queue_id = '{line}'",
        &["I-LINE-CAP line={line}"],
    ),
    Fault {
        notes: 1,
        ..fault(
            "a limit was lowered below those who are in, which is no fault",
            "queue",
            "UPDATE queue SET max_active = 1 WHERE queue_id = '{line}'",
            &[],
        )
    },
    fault(
        "more were let in within a minute than may be",
        "queue",
        "UPDATE queue SET admit_per_minute = 1 WHERE queue_id = '{line}'; \
         UPDATE token SET version = (SELECT version FROM queue WHERE queue_id = '{line}'), \
         admitted_at = (SELECT decided_at FROM queue WHERE queue_id = '{line}') WHERE token = {id:second}",
        &["I-LINE-RATE line={line}"],
    ),
    fault(
        "somebody was overtaken",
        "queue",
        "UPDATE token SET status = 2, active_until = 9000000000000000, \
         admitted_at = (SELECT decided_at FROM queue WHERE queue_id = '{line}') WHERE token = {id:fourth}; \
         UPDATE queue SET serving_ticket = 4, max_active = 9 WHERE queue_id = '{line}'",
        &["I-LINE-ORDER line={line} token={third} token={fourth}"],
    ),
    fault(
        "two were admitted in the wrong order",
        "queue",
        "UPDATE token SET admitted_at = admitted_at + 10000000 WHERE token = {id:first}",
        &["I-LINE-ORDER line={line} token={first} token={second}"],
    ),
    fault(
        "a ticket is older than the one before it",
        "queue",
        "UPDATE token SET entered_at = 1 WHERE token = {id:fourth}",
        &["I-LINE-ORDER line={line} token={third} token={fourth}"],
    ),
    fault(
        "a ticket was given twice",
        "queue",
        "UPDATE token SET ticket = 3 WHERE token = {id:fourth}; \
         UPDATE token SET entered_at = (SELECT entered_at FROM token WHERE token = {id:third}) WHERE token = {id:fourth}",
        &["I-LINE-ORDER line={line} {third_and_fourth}"],
    )
    .without(bare!("token")),
    fault(
        "tickets beyond the last were given",
        "queue",
        "UPDATE queue SET last_ticket = 3 WHERE queue_id = '{line}'",
        &["I-LINE-ORDER line={line}"],
    ),
    fault("a line was forgotten", "queue", "DELETE FROM queue WHERE queue_id = '{line}'", &["I-LINE-ORDER line={line}"]),
    // --- the operators' journal
    fault(
        "an action was done, and what came of it is not told",
        "edge",
        concat!(
            an_action!(),
            "; INSERT INTO operator_outcome (action_id, outcome, ended_at) VALUES ({id:ghost}, 'DONE', 2)"
        ),
        &["I-ACTION-KEPT action={ghost}"],
    )
    .without(bare!("operator_outcome")),
    fault(
        "an outcome is there of an action that was never written",
        "edge",
        "INSERT INTO operator_outcome (action_id, outcome, reason, ended_at) VALUES ({id:ghost}, 'REFUSED', 'NO', 2)",
        &["I-ACTION-KEPT action={ghost}"],
    ),
    Fault { notes: 1, ..fault("an action was cut off, which is no fault", "edge", an_action!(), &[]) },
];
