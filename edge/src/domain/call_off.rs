//! Calling a show off: what the journal knows of it, and what is to be done next.
//!
//! ```text
//! asked ─▶ booking sells nothing more of it ─▶ each sale of it is refunded ─▶ booking knows it too: done
//! ```
//! I-CALLED-OFF: it is done when nothing is left to be given back. Each step may be made again without
//! harm, so a runner that takes it over begins from the first.

/// The words that a refund has for its reason which calling a show off began.
pub(crate) const REASON: &str = "The show was called off.";

/// The calling off of a show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallOff {
    /// The number of the show.
    pub(crate) show_id: i64,
    /// How far its refunds are, as they were counted last.
    pub(crate) tally: Tally,
    /// Whether booking is known to sell nothing more of the show.
    pub(crate) is_closed: bool,
    /// Whether all of it is done.
    pub(crate) is_done: bool,
}

/// How far the refunds of a show are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The sales to be refunded, as far as they are known.
    pub(crate) sales: i64,
    /// Those that are refunded: money and seats are back.
    pub(crate) refunded: i64,
    /// Those that wait for an operator.
    pub(crate) parked: i64,
}

/// What to do for a show of which booking sells nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Booking has sales left: ask for the refund of each.
    Refund,
    /// All sales were taken back, and money is still on its way.
    Wait,
    /// Everything is back: tell booking.
    Finish,
}

/// The next step when booking has so many sales left, and the refunds that were begun are so far.
pub(crate) const fn next(sales_left: i32, begun: Tally) -> Step {
    if sales_left > 0 {
        Step::Refund
    } else if begun.refunded < begun.sales {
        Step::Wait
    } else {
        Step::Finish
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_show_is_cancelled_when_no_sale_is_left_and_all_money_is_back() {
        let begun = |sales, refunded| Tally { sales, refunded, parked: 0 };
        assert_eq!(next(1, begun(0, 0)), Step::Refund);
        assert_eq!(next(1, begun(3, 3)), Step::Refund, "one was being paid for when the others were counted");
        assert_eq!(next(0, begun(3, 2)), Step::Wait);
        assert_eq!(next(0, begun(3, 3)), Step::Finish);
        assert_eq!(next(0, begun(0, 0)), Step::Finish, "nothing was sold");
    }
}
