//! The faults of seats and of their log, as SQL over the rows of the story, and what is to be found of each.

use super::faults::{Fault, fault};

pub(super) const SEAT_FAULTS: &[Fault] = &[
    // --- seats
    fault(
        "a free seat is marked as sold",
        "booking",
        "INSERT INTO seat (show_id, seat_number, sold, hold_id, held_until) VALUES ({show}, 9, TRUE, {id:ghost}, 0)",
        &["I-SOLD-STAYS show={show} seat=9 reservation={ghost}"],
    ),
    fault(
        "a held seat is marked as sold",
        "booking",
        "UPDATE seat SET sold = TRUE WHERE show_id = {show} AND seat_number = 4",
        &["I-SOLD-STAYS show={show} seat=4 reservation={cid}", "I-SEAT-FOLLOWED show={show} seat=4"],
    ),
    fault(
        "a sold seat was freed",
        "booking",
        "UPDATE seat SET sold = FALSE, hold_id = NULL, held_until = NULL WHERE show_id = {show} AND seat_number = 3",
        &["I-SOLD-STAYS show={show} seat=3 reservation={bob}", "I-SEAT-FOLLOWED show={show} seat=3"],
    ),
    fault(
        "a sold seat was given to somebody else",
        "booking",
        "UPDATE seat SET sold = FALSE, hold_id = {id:cid}, held_until = 9000000000000000 WHERE show_id = {show} AND seat_number = 3",
        &["I-SOLD-STAYS show={show} seat=3 reservation={bob}", "I-SEAT-FOLLOWED show={show} seat=3"],
    ),
    fault(
        "two reservations have one seat",
        "booking",
        "UPDATE hold SET seats = '[1,3]', seat_total = 2 WHERE reservation_id = {id:bob}; \
         UPDATE reservation SET seats = '[1,3]' WHERE reservation_id = {id:bob}",
        &["I-SEAT-ONCE show={show} seat=1 {ann_and_bob}"],
    ),
    fault(
        "two live holds have one seat",
        "booking",
        "UPDATE hold SET seats = '[4,5]', seat_total = 2 WHERE reservation_id = {id:dan}",
        &["I-SEAT-ONCE show={show} seat=4 {cid_and_dan}"],
    ),
    fault(
        "a seat is held by a hold that is not there",
        "booking",
        "DELETE FROM hold WHERE reservation_id = {id:cid}",
        &["I-SOLD-STAYS show={show} seat=4 reservation={cid}"],
    ),
    fault(
        "a live hold has lost its seat",
        "booking",
        "UPDATE seat SET hold_id = NULL, held_until = NULL WHERE show_id = {show} AND seat_number = 5",
        &["I-SOLD-STAYS show={show} seat=5 reservation={dan}", "I-SEAT-FOLLOWED show={show} seat=5"],
    ),
    fault(
        "a seat lapses before its hold",
        "booking",
        "UPDATE seat SET held_until = 1 WHERE show_id = {show} AND seat_number = 5",
        &["I-SOLD-STAYS show={show} seat=5 reservation={dan}", "I-SEAT-FOLLOWED show={show} seat=5"],
    ),
    fault(
        "a hold was reopened behind its reservation",
        "booking",
        "UPDATE hold SET status = 'EXPIRED', payment_id = NULL WHERE reservation_id = {id:bob}",
        &["I-PAID-ONCE reservation={bob} payment="],
    ),
    fault(
        "a reservation has another user than its hold",
        "booking",
        "UPDATE hold SET user_id = 'somebody' WHERE reservation_id = {id:bob}",
        &["I-PAID-ONCE reservation={bob} payment={bob_pay}"],
    ),
    fault(
        "a sold seat's row is gone",
        "booking",
        "DELETE FROM seat WHERE show_id = {show} AND seat_number = 3",
        &["I-SOLD-STAYS show={show} seat=3 reservation={bob}", "I-SEAT-FOLLOWED show={show} seat=3"],
    ),
    fault(
        "a live hold's seat row is gone",
        "booking",
        "DELETE FROM seat WHERE show_id = {show} AND seat_number = 5",
        &["I-SOLD-STAYS show={show} seat=5 reservation={dan}", "I-SEAT-FOLLOWED show={show} seat=5"],
    ),
    fault(
        "a seat that nobody has is without a row, which is no fault",
        "booking",
        "DELETE FROM seat WHERE show_id = {show} AND hold_id IS NULL",
        &[],
    ),
    fault(
        "a row is of a seat beyond the last",
        "booking",
        "INSERT INTO seat (show_id, seat_number, sold) VALUES ({show}, 11, FALSE)",
        &["I-ALL-OR-NONE show={show} seat=11"],
    ),
    fault(
        "a hold lists no seats",
        "booking",
        "UPDATE hold SET seats = 'nonsense' WHERE reservation_id = {id:dan}",
        &["I-ALL-OR-NONE reservation={dan}", "I-SOLD-STAYS show={show} seat=5 reservation={dan}"],
    ),
    fault(
        "the seats of a sale cost less than was paid",
        "booking",
        "UPDATE hold SET places = '[{\"section\":\"\",\"row\":\"\",\"label\":3,\"price\":3999}]' WHERE reservation_id = {id:bob}",
        &["I-BOOKS reservation={bob}"],
    ),
    fault(
        "a seat of a sale is booked under another section",
        "booking",
        "UPDATE hold SET places = replace(places, '\"Floor\"', '\"Stalls\"') WHERE reservation_id = {id:gia}",
        &["I-BOOKS reservation={gia}"],
    ),
    fault(
        "a show has other seats than its hall",
        "booking",
        "UPDATE show SET seat_count = seat_count + 1 WHERE show_id = {hall}",
        &["I-ALL-OR-NONE show={hall}"],
    ),
    // --- the log of the seats
    fault(
        "seats were taken, and it was not written down",
        "booking",
        "UPDATE seat_change SET seats = '[]' WHERE show_id = {show} AND seats LIKE '[[5,%'",
        &["I-SEAT-FOLLOWED show={show} seat=5"],
    ),
    fault(
        "another seat was written down than was taken",
        "booking",
        "UPDATE seat_change SET seats = replace(seats, '[[5,', '[[8,') WHERE show_id = {show}",
        &["I-SEAT-FOLLOWED show={show} seat=5", "I-SEAT-FOLLOWED show={show} seat=8"],
    ),
    fault(
        "a version of the seats was written twice",
        "booking",
        "INSERT INTO seat_change (show_id, version, seats, changed_at) \
         SELECT show_id, version, seats, changed_at FROM seat_change WHERE show_id = {show} AND version = 2",
        &["I-SEAT-FOLLOWED show={show} version=2"],
    )
    .without(bare!("seat_change")),
    fault(
        "a version of the seats was never written",
        "booking",
        "DELETE FROM seat_change WHERE show_id = {show} AND version = 2",
        &["I-SEAT-FOLLOWED show={show} version=2"],
    ),
    fault(
        "the log of the seats is ahead of their version",
        "booking",
        "UPDATE seat_version SET version = 1 WHERE show_id = {show}",
        &["I-SEAT-FOLLOWED show={show} version=1"],
    ),
    fault("the log of the seats is forgotten, which is no fault", "booking", "DELETE FROM seat_change", &[]),
];
