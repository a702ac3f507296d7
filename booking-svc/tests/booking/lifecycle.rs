//! How a hold expires, is extended, confirmed and cancelled; and that nothing frees seats of another hold.

use booking_svc::{
    domain::{Availability, Refusal, Status, hold::MAX_EXTENSION},
    error::Error,
};
use chassis::clock::Clock;
use uuid::Uuid;

use crate::world::{DAY, MINUTE, PRICE, SECOND, START, TTL, hold, hold_with_id, id, refusal, taken, worlds};

const PAYMENT: Uuid = Uuid::from_u128(1);
const OTHER_PAYMENT: Uuid = Uuid::from_u128(2);

#[tokio::test]
async fn a_hold_is_all_or_none_at_the_price_of_the_show() {
    for world in worlds().await {
        let show = world.show(5).await;
        let first = world.hold("ann", &show, &[3, 2]).await.unwrap();
        assert_eq!((first.hold.amount, first.hold.seats.as_slice()), (2 * PRICE, [2, 3].as_slice()));
        assert_eq!((first.status, first.hold.expires_at), (Status::Held, START + TTL));
        assert_eq!(first.hold.queue_id, "vip");
        assert_eq!(refusal(world.hold("bob", &show, &[1, 2, 3, 4]).await), taken(&[2, 3]));
        assert_eq!(refusal(world.hold("ann", &show, &[2]).await), taken(&[2]), "also for the same user");
        world.hold("bob", &show, &[1, 4]).await.unwrap();
        let beyond = refusal(world.hold("bob", &show, &[5, 6, 0]).await);
        assert_eq!(beyond, Refusal::SeatNotFound([0, 6].into()));
        world.hold("bob", &show, &[5]).await.unwrap();
        world.audit().await;
    }
}

#[tokio::test]
async fn a_seat_without_a_row_is_free_and_one_with_a_row_is_as_its_row_says() {
    for world in worlds().await {
        let show = world.show(6).await;
        // Release 0.1 makes a show with a row for each seat. Here every other seat has one.
        let rows = "INSERT INTO seat (show_id, seat_number) VALUES ($1, 2), ($1, 4), ($1, 6)";
        let mut session = world.db.begin().await.unwrap();
        session.execute(rows, chassis::args![show.show_id]).await.unwrap();
        session.commit().await.unwrap();
        let held = world.hold("ann", &show, &[1, 2, 3]).await.unwrap();
        assert_eq!(refusal(world.hold("bob", &show, &[3, 4, 5]).await), taken(&[3]));
        assert_eq!(
            world.seat_rows().await,
            5,
            "{}: a hold that was refused has left no row",
            world.database.name
        );
        world.app.cancel_reservation(id(&held), "ann", None).await.unwrap();
        world.clock.advance(SECOND);
        let all = world.hold("bob", &show, &[1, 2, 3, 4, 5, 6]).await.unwrap();
        world.clock.advance(TTL);
        let later = world.hold("cid", &show, &[6, 5]).await.unwrap();
        assert_eq!(world.app.sweep().await.unwrap(), 1);
        assert_eq!(world.status(&all).await, Status::Expired);
        world.app.confirm_reservation(id(&later), "cid", PAYMENT, None).await.unwrap();
        let map = world.map(&show).await;
        assert_eq!((&map[..4], &map[4..]), (&[Availability::Available; 4][..], &[Availability::Sold; 2][..]));
        world.audit().await;
    }
}

#[tokio::test]
async fn a_lapsed_hold_is_expired_and_its_seat_free_without_any_sweep() {
    for world in worlds().await {
        let show = world.show(2).await;
        let lapsed = world.hold("ann", &show, &[1]).await.unwrap();
        world.clock.advance(TTL - 1);
        assert_eq!(world.status(&lapsed).await, Status::Held);
        assert_eq!(refusal(world.hold("bob", &show, &[1]).await), taken(&[1]));
        world.clock.advance(1);
        assert_eq!(world.status(&lapsed).await, Status::Expired);
        assert_eq!(world.map(&show).await, [Availability::Available; 2]);
        world.hold("bob", &show, &[1]).await.unwrap();
        assert_eq!(world.status(&lapsed).await, Status::Expired);
    }
}

#[tokio::test]
async fn a_paid_seat_survives_every_sweep() {
    for world in worlds().await {
        let show = world.show(3).await;
        let paid = world.hold("ann", &show, &[1, 2]).await.unwrap();
        let lapsing = world.hold("bob", &show, &[3]).await.unwrap();
        world.app.confirm_reservation(id(&paid), "ann", PAYMENT, None).await.unwrap();
        world.clock.advance(10 * TTL);
        assert_eq!(world.app.sweep().await.unwrap(), 1);
        assert_eq!(world.app.sweep().await.unwrap(), 0);
        assert_eq!(world.map(&show).await, [Availability::Sold, Availability::Sold, Availability::Available]);
        assert_eq!(refusal(world.hold("bob", &show, &[1]).await), taken(&[1]));
        assert_eq!(world.status(&paid).await, Status::Confirmed);
        assert_eq!(world.status(&lapsing).await, Status::Expired);
        world.audit().await;
    }
}

#[tokio::test]
async fn a_sale_that_is_taken_back_frees_its_seats_for_others_and_is_never_confirmed_again() {
    for world in worlds().await {
        let show = world.show(3).await;
        let sold = world.hold("ann", &show, &[1, 2]).await.unwrap();
        let not_sold = refusal(world.app.refund_reservation(id(&sold), "ann", PAYMENT).await);
        assert_eq!(not_sold, Refusal::NotSold);
        let sold = world.app.confirm_reservation(id(&sold), "ann", PAYMENT, None).await.unwrap();
        world.clock.advance(10 * TTL);
        let other = refusal(world.app.refund_reservation(id(&sold), "ann", OTHER_PAYMENT).await);
        assert_eq!(other, Refusal::AlreadyPaid);
        let undone = world.app.refund_reservation(id(&sold), "ann", PAYMENT).await.unwrap();
        assert_eq!(undone.status, Status::Refunded);
        assert_eq!(world.map(&show).await, [Availability::Available; 3]);
        world.audit().await;
        // The same again, also after somebody else has the seats; and a late confirmation.
        let now_bobs = world.hold("bob", &show, &[2, 3]).await.unwrap();
        world.app.confirm_reservation(id(&now_bobs), "bob", OTHER_PAYMENT, None).await.unwrap();
        world.clock.advance(SECOND);
        assert_eq!(world.app.refund_reservation(id(&sold), "ann", PAYMENT).await.unwrap(), undone);
        let late = refusal(world.app.confirm_reservation(id(&sold), "ann", PAYMENT, None).await);
        assert_eq!(late, Refusal::ReservationCancelled);
        assert_eq!(world.map(&show).await, [Availability::Available, Availability::Sold, Availability::Sold]);
        assert_eq!(world.app.reservation(id(&sold)).await.unwrap(), undone);
        world.audit().await;
    }
}

#[tokio::test]
async fn an_old_hold_never_frees_a_seat_that_somebody_else_has_now() {
    for world in worlds().await {
        let show = world.show(2).await;
        let cancelled = world.hold("ann", &show, &[1]).await.unwrap();
        world.app.cancel_reservation(id(&cancelled), "ann", None).await.unwrap();
        let lapsed = world.hold("ann", &show, &[2]).await.unwrap();
        world.clock.advance(TTL);
        // Bob takes both before anything was swept; Ann's old holds are then cancelled again, confirmed, and
        // swept.
        let now_bobs = world.hold("bob", &show, &[1, 2]).await.unwrap();
        assert_eq!(
            world.app.cancel_reservation(id(&cancelled), "ann", None).await.unwrap().status,
            Status::Cancelled
        );
        assert_eq!(
            world.app.cancel_reservation(id(&lapsed), "ann", None).await.unwrap().status,
            Status::Expired
        );
        assert_eq!(
            refusal(world.app.confirm_reservation(id(&lapsed), "ann", PAYMENT, None).await),
            Refusal::HoldExpired
        );
        world.app.sweep().await.unwrap();
        assert_eq!(world.map(&show).await, [Availability::Held; 2], "{}", world.database.name);
        assert_eq!(refusal(world.hold("cid", &show, &[1]).await), taken(&[1]));
        world.app.confirm_reservation(id(&now_bobs), "bob", PAYMENT, None).await.unwrap();
        world.audit().await;
    }
}

#[tokio::test]
async fn confirming_names_reservation_user_and_payment_and_happens_once() {
    for world in worlds().await {
        let app = &world.app;
        let show = world.show(5).await;
        let held = world.hold("ann", &show, &[1, 2]).await.unwrap();
        assert_eq!(
            refusal(app.confirm_reservation(Uuid::nil(), "ann", PAYMENT, None).await),
            Refusal::ReservationNotFound
        );
        assert_eq!(
            refusal(app.confirm_reservation(id(&held), "bob", PAYMENT, None).await),
            Refusal::NotOwner
        );
        world.clock.advance(SECOND);
        let confirmed = app.confirm_reservation(id(&held), "ann", PAYMENT, None).await.unwrap();
        assert_eq!(confirmed.status, Status::Confirmed);
        world.clock.advance(2 * TTL);
        assert_eq!(
            app.confirm_reservation(id(&held), "ann", PAYMENT, None).await.unwrap(),
            confirmed,
            "the same call, the same answer"
        );
        assert_eq!(app.extend_hold(id(&held), "ann", PAYMENT, MINUTE, None).await.unwrap(), confirmed);
        assert_eq!(
            refusal(app.confirm_reservation(id(&held), "ann", OTHER_PAYMENT, None).await),
            Refusal::AlreadyPaid
        );
        assert_eq!(
            refusal(app.extend_hold(id(&held), "ann", OTHER_PAYMENT, MINUTE, None).await),
            Refusal::AlreadyPaid
        );
        assert_eq!(refusal(app.cancel_reservation(id(&held), "ann", None).await), Refusal::AlreadyPaid);
        let other = world.hold("ann", &show, &[3]).await.unwrap();
        assert_eq!(
            refusal(app.confirm_reservation(id(&other), "ann", PAYMENT, None).await),
            Refusal::PaymentUsed
        );
        assert_eq!(
            world.status(&other).await,
            Status::Held,
            "{}: nothing of it was done",
            world.database.name
        );
        app.confirm_reservation(id(&other), "ann", OTHER_PAYMENT, None).await.unwrap();
        world.audit().await;
    }
}

#[tokio::test]
async fn a_refused_confirmation_stays_refused_even_by_a_slower_clock() {
    for world in worlds().await {
        let show = world.show(2).await;
        let held = world.hold("ann", &show, &[1]).await.unwrap();
        let fast = world.replica(Clock::manual(START + TTL));
        assert_eq!(
            refusal(fast.confirm_reservation(id(&held), "ann", PAYMENT, None).await),
            Refusal::HoldExpired
        );
        assert_eq!(
            refusal(world.app.confirm_reservation(id(&held), "ann", PAYMENT, None).await),
            Refusal::HoldExpired
        );
        assert_eq!(world.status(&held).await, Status::Expired);
        world.hold("bob", &show, &[1]).await.unwrap();
        world.audit().await;
    }
}

#[tokio::test]
async fn a_hold_whose_seat_went_by_a_faster_clock_is_lost_for_good_and_gives_back_the_rest() {
    for world in worlds().await {
        let show = world.show(3).await;
        let extend = |held| world.app.extend_hold(held, "ann", PAYMENT, MINUTE * 5, None);
        for confirming in [true, false] {
            let held = world.hold("ann", &show, &[1, 2]).await.unwrap();
            let fast = world.replica(Clock::manual(world.clock.now() + TTL));
            let bobs = hold(&fast, "bob", show.show_id, &[2]).await.unwrap();
            world.clock.advance(SECOND);
            let refused = if confirming {
                world.app.confirm_reservation(id(&held), "ann", PAYMENT, None).await
            } else {
                extend(id(&held)).await
            };
            assert_eq!(refusal(refused), Refusal::HoldExpired, "{}", world.database.name);
            assert_eq!(world.status(&held).await, Status::Expired);
            assert_eq!(refusal(extend(id(&held)).await), Refusal::HoldExpired);
            let look = world.map(&show).await;
            assert_eq!(look, [Availability::Available, Availability::Held, Availability::Available]);
            world.app.cancel_reservation(id(&bobs), "bob", None).await.unwrap();
            world.audit().await;
        }
    }
}

#[tokio::test]
async fn a_cancelled_hold_is_cancelled_for_good_and_its_seats_are_free() {
    for world in worlds().await {
        let app = &world.app;
        let show = world.show(2).await;
        let held = world.hold("ann", &show, &[1, 2]).await.unwrap();
        assert_eq!(refusal(app.cancel_reservation(id(&held), "bob", None).await), Refusal::NotOwner);
        assert_eq!(
            refusal(app.cancel_reservation(Uuid::nil(), "ann", None).await),
            Refusal::ReservationNotFound
        );
        for _ in 0..2 {
            assert_eq!(
                app.cancel_reservation(id(&held), "ann", None).await.unwrap().status,
                Status::Cancelled
            );
        }
        assert_eq!(
            refusal(app.confirm_reservation(id(&held), "ann", PAYMENT, None).await),
            Refusal::ReservationCancelled
        );
        assert_eq!(
            refusal(app.extend_hold(id(&held), "ann", PAYMENT, MINUTE, None).await),
            Refusal::ReservationCancelled
        );
        world.hold("bob", &show, &[1, 2]).await.unwrap();
        world.audit().await;
    }
}

#[tokio::test]
async fn an_extension_never_shortens_is_bounded_and_keeps_the_seats_too() {
    for world in worlds().await {
        let app = &world.app;
        let show = world.show(2).await;
        let held = world.hold("ann", &show, &[1, 2]).await.unwrap();
        let extend = |by| app.extend_hold(id(&held), "ann", PAYMENT, by, None);
        assert_eq!(extend(SECOND).await.unwrap().hold.expires_at, START + TTL, "never shorter");
        assert_eq!(
            refusal(app.extend_hold(id(&held), "bob", PAYMENT, MINUTE, None).await),
            Refusal::NotOwner
        );
        world.clock.advance(TTL - SECOND);
        assert_eq!(extend(2 * MINUTE).await.unwrap().hold.expires_at, START + TTL + 2 * MINUTE - SECOND);
        world.clock.advance(MINUTE);
        assert_eq!(refusal(world.hold("bob", &show, &[1]).await), taken(&[1]), "{}", world.database.name);
        assert_eq!(app.sweep().await.unwrap(), 0);
        assert_eq!(extend(5 * MINUTE).await.unwrap().hold.expires_at, START + TTL + MAX_EXTENSION);
        world.clock.advance(MINUTE);
        assert_eq!(
            extend(5 * MINUTE).await.unwrap().hold.expires_at,
            START + TTL + MAX_EXTENSION,
            "not beyond the bound"
        );
        world.clock.advance(5 * MINUTE);
        assert_eq!(refusal(extend(MINUTE).await), Refusal::HoldExpired);
        world.hold("bob", &show, &[1, 2]).await.unwrap();
        world.audit().await;
    }
}

#[tokio::test]
async fn a_replay_gives_the_first_answer_before_any_other_check_and_another_request_is_refused() {
    for world in worlds().await {
        let show = world.show(3).await;
        let first = hold_with_id(&world.app, "ann", show.show_id, &[1], Some("r-1")).await.unwrap();
        let other = hold_with_id(&world.app, "ann", show.show_id, &[2], Some("r-1")).await;
        assert!(matches!(other, Err(Error::RequestIdReused)));
        // The hold has lapsed, the seat is somebody else's, the show has begun: the answer is still the first
        // one.
        world.clock.advance(TTL);
        world.hold("bob", &show, &[1]).await.unwrap();
        world.clock.advance(40 * DAY);
        assert_eq!(hold_with_id(&world.app, "ann", show.show_id, &[1], Some("r-1")).await.unwrap(), first);
        assert_eq!(refusal(world.hold("cid", &show, &[2]).await), Refusal::SalesClosed);
        assert_eq!(refusal(hold(&world.app, "cid", 999, &[2]).await), Refusal::ShowNotFound);
    }
}

#[tokio::test]
async fn a_refused_request_may_succeed_later_under_the_same_id() {
    for world in worlds().await {
        let show = world.show(1).await;
        let in_the_way = world.hold("bob", &show, &[1]).await.unwrap();
        let attempt = || hold_with_id(&world.app, "ann", show.show_id, &[1], Some("r-2"));
        assert_eq!(refusal(attempt().await), taken(&[1]));
        world.app.cancel_reservation(id(&in_the_way), "bob", None).await.unwrap();
        attempt().await.unwrap();
    }
}

#[tokio::test]
async fn a_sweep_closes_thousands_of_lapsed_holds_batch_by_batch() {
    for world in worlds().await {
        let show = world.show(1_200).await;
        for seat in 1..=1_200 {
            hold(&world.app, &format!("user-{seat}"), show.show_id, &[seat]).await.unwrap();
        }
        world.clock.advance(TTL);
        assert_eq!(world.app.sweep().await.unwrap(), 1_200, "{}", world.database.name);
        world.audit().await;
    }
}
