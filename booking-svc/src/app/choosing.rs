//! Choosing seats for those who leave the choice to us, within the transaction of their batch.
//!
//! Whoever chooses has the show's row locked until the commit: over all replicas one batch after the other
//! chooses of a show, and each sees what those before it were granted. Seats that are asked for by number
//! need no such lock, so one of them can be gone when the chosen rows are locked; then the choice is made
//! anew in another batch ([`Refusal::Overtaken`](crate::domain::Refusal::Overtaken)).
//!
//! Nothing is chosen, and no row locked, for who is refused whatever is free: before the sale opens and
//! after it has closed a crowd that wishes costs a look at the clock. Where the sale opens between that look
//! and the decision, the choice is made in another batch as well.

use std::collections::{BTreeMap, BTreeSet};

use chassis::{
    clock::Clock,
    db::{Error, Session},
};

use crate::{
    domain::{Choices, NewHold, Rules, SeatSet, Wanted, best},
    store::{catalog, seats},
};

/// Chooses for those among the new holds of a batch who wish, in the order in which they came.
pub(super) async fn choose(
    session: &mut Session,
    clock: &Clock,
    rules: Rules,
    holds: &[&NewHold],
) -> Result<Choices, Error> {
    let mut choices = Choices::new();
    let asked_at = clock.now();
    let wishes = by_show(holds.iter().copied().filter(|new| new.check(rules, asked_at).is_ok()));
    if wishes.is_empty() {
        return Ok(choices);
    }
    catalog::lock_shows(session, &wishes.keys().copied().collect::<BTreeSet<i64>>()).await?;
    for (show_id, new) in wishes {
        let Some(hall) = new.first().map(|new| &new.hall) else { continue };
        let now = clock.now();
        let unfree = seats::unfree(session, show_id, now).await?;
        let mut taken = SeatSet::none_of(hall.seats());
        unfree.into_iter().for_each(|seat| taken.insert(seat));
        let wishes: Vec<_> = new.iter().filter_map(|new| wish(new)).collect();
        let chosen = best::choose_for_all(hall, &wishes, asked_by_number(holds, show_id), &taken);
        choices.extend(new.iter().map(|new| new.reservation_id).zip(chosen));
    }
    Ok(choices)
}

fn by_show<'a>(holds: impl Iterator<Item = &'a NewHold>) -> BTreeMap<i64, Vec<&'a NewHold>> {
    let mut wishes: BTreeMap<i64, Vec<&NewHold>> = BTreeMap::new();
    for new in holds.filter(|new| wish(new).is_some()) {
        wishes.entry(new.show.show_id).or_default().push(new);
    }
    wishes
}

const fn wish(new: &NewHold) -> Option<&best::Best> {
    match &new.seats {
        Wanted::Best(wish) => Some(wish),
        Wanted::These(_) => None,
    }
}

fn asked_by_number(holds: &[&NewHold], show_id: i64) -> impl Iterator<Item = i32> {
    let seats = move |new: &&NewHold| match &new.seats {
        Wanted::These(seats) if new.show.show_id == show_id => seats.numbers().collect(),
        Wanted::These(_) | Wanted::Best(_) => Vec::new(),
    };
    holds.iter().flat_map(seats)
}
