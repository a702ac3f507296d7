//! What may be changed of a concert or a show that is there, and what becomes of it.
//!
//! What is held was promised at a price and under a queue, which stand in the hold: a change is for holds to
//! come (I-FIXED-PRICE). Everything else about a show follows from its row: where its sale has no end of its
//! own it ends when the show begins, and its date is that of its beginning.

use chrono_tz::Tz;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Concert, Hall, Refusal, Show, refusal::NamedIn};

/// A change of a concert: what is `None` stays. A request's fingerprint is made of these fields.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConcertChange {
    /// The new title.
    pub title: Option<String>,
    /// The queue that admits users from now on.
    pub queue_id: Option<String>,
    /// The time zone of its venue.
    pub time_zone: Option<Tz>,
}

/// A change of a show: what is `None` stays, and `Some(None)` takes a rule away. A request's fingerprint is
/// made of these fields.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShowChange {
    /// The new title.
    pub title: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// When it begins, in microseconds since 1970 UTC.
    pub starts_at: Option<i64>,
    /// How long it lasts, in minutes.
    pub duration_minutes: Option<i32>,
    /// When its sale opens, in microseconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Option<i64>>,
    /// When its sale closes, in microseconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Option<i64>>,
    /// How many of its seats one user may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_seats_per_user: Option<Option<i32>>,
    /// New prices, each with the name of its section.
    pub prices: Vec<(String, i64)>,
}

impl ConcertChange {
    /// The concert after this change.
    #[must_use]
    pub fn of(&self, concert: Concert) -> Concert {
        let Self { title, queue_id, time_zone } = self.clone();
        Concert {
            title: title.unwrap_or(concert.title),
            queue_id: queue_id.unwrap_or(concert.queue_id),
            time_zone: time_zone.unwrap_or(concert.time_zone),
            ..concert
        }
    }
}

impl ShowChange {
    /// The show after this change, at this time.
    ///
    /// # Errors
    /// `BeginsInThePast` when it is moved there, `NeverOnSale`, `ClosesTooLate`, `SectionNotFound`.
    pub fn of(&self, show: Show, hall: &Hall, now: i64) -> Result<Show, Refusal> {
        let Self { title, description, starts_at, duration_minutes, .. } = self.clone();
        let is_moved = starts_at.is_some_and(|at| at != show.starts_at);
        let mut after = self.priced(show, hall)?;
        after.title = title.unwrap_or(after.title);
        after.description = description.unwrap_or(after.description);
        after.starts_at = starts_at.unwrap_or(after.starts_at);
        after.duration_minutes = duration_minutes.unwrap_or(after.duration_minutes);
        let sale = &mut after.sale;
        sale.opens_at = self.opens_at.unwrap_or(sale.opens_at);
        sale.closes_at = self.closes_at.unwrap_or(sale.closes_at);
        sale.max_seats_per_user = self.max_seats_per_user.unwrap_or(sale.max_seats_per_user);
        if is_moved && after.begins_in_the_past(now) {
            return Err(Refusal::BeginsInThePast);
        }
        after.check_rules()?;
        Ok(after)
    }

    fn priced(&self, mut show: Show, hall: &Hall) -> Result<Show, Refusal> {
        let mut prices = show.section_prices().to_vec();
        for (name, price) in &self.prices {
            let nth = hall.sections().position(|(section, _)| section.name == *name);
            let priced = nth.and_then(|nth| prices.get_mut(nth));
            *priced.ok_or(Refusal::SectionNotFound(NamedIn::Prices))? = *price;
        }
        show.price = prices.iter().copied().min().unwrap_or(show.price);
        if !show.prices.is_empty() {
            show.prices = prices;
        }
        Ok(show)
    }
}

/// Refuses a change that is meant for other states than this one, if it says for which (I-FASTER): a comma
/// stands between two.
///
/// # Errors
/// `Outdated`.
pub fn check_etag(meant: Option<&str>, now: &str) -> Result<(), Refusal> {
    let is_meant = meant.is_none_or(|meant| meant.split(',').any(|meant| meant == now));
    if is_meant { Ok(()) } else { Err(Refusal::Outdated) }
}

impl Concert {
    /// What this state of it is known by.
    #[must_use]
    pub fn etag(&self) -> String {
        etag(self)
    }
}

impl Show {
    /// What this state of it is known by.
    #[must_use]
    pub fn etag(&self) -> String {
        etag(self)
    }
}

/// The same on every replica and for every release that knows the same fields: the first half of a hash of
/// all of them.
fn etag(state: &impl Serialize) -> String {
    let hash = Sha256::digest(serde_json::to_vec(state).unwrap_or_default());
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::domain::{Section, show::tests::show};

    #[test]
    fn what_is_not_named_stays_and_a_rule_can_be_taken_away() {
        let hall = Hall::of_one_row(5);
        let ruled =
            ShowChange { opens_at: Some(Some(5)), closes_at: Some(Some(900)), ..ShowChange::default() };
        let ruled = ruled.of(show(5), &hall, 0).unwrap();
        assert_eq!((ruled.sale.opens_at, ruled.sale.closes_at, ruled.price), (Some(5), Some(900), 10));
        let change =
            ShowChange { closes_at: Some(None), title: Some("New".to_owned()), ..ShowChange::default() };
        let after = change.of(ruled.clone(), &hall, 0).unwrap();
        assert_eq!((after.sale.opens_at, after.sale.closes_at, after.title.as_str()), (Some(5), None, "New"));
        assert_ne!(after.etag(), ruled.etag());
        assert_eq!(ShowChange::default().of(after.clone(), &hall, i64::MAX).unwrap().etag(), after.etag());
    }

    #[test]
    fn a_show_moves_into_the_future_alone_and_takes_the_end_of_its_sale_along() {
        let hall = Hall::of_one_row(5);
        let to = |starts_at| ShowChange { starts_at: Some(starts_at), ..ShowChange::default() };
        let now = 1_000_000_000;
        assert_eq!(to(5_000).of(show(5), &hall, now), Err(Refusal::BeginsInThePast));
        assert!(to(1_000).of(show(5), &hall, now).is_ok(), "it is not moved");
        let moved = to(2 * now).of(show(5), &hall, now).unwrap();
        assert!(moved.check_sale(2 * now - 1).is_ok() && moved.check_sale(2 * now).is_err());
        let opens = ShowChange { opens_at: Some(Some(2 * now)), ..to(2 * now) };
        assert_eq!(opens.of(show(5), &hall, now), Err(Refusal::NeverOnSale));
    }

    #[test]
    fn prices_change_by_the_names_of_sections_and_the_lowest_is_the_shows() {
        let section = |name: &str| Section { name: name.to_owned(), rows: Vec::new(), capacity: 3 };
        let hall = Hall::new(vec![section("Stalls"), section("Floor")]);
        let before = Show { prices: vec![9, 5], price: 5, ..show(6) };
        let change = |prices: &[(&str, i64)]| ShowChange {
            prices: prices.iter().map(|(name, price)| ((*name).to_owned(), *price)).collect(),
            ..ShowChange::default()
        };
        let after = change(&[("Floor", 12)]).of(before.clone(), &hall, 0).unwrap();
        assert_eq!((after.price, after.prices), (9, vec![9, 12]));
        assert_eq!(change(&[("", 1)]).of(before, &hall, 0), Err(Refusal::SectionNotFound(NamedIn::Prices)));
        let plain = change(&[("", 7)]).of(show(6), &Hall::of_one_row(6), 0).unwrap();
        assert_eq!((plain.price, plain.prices.len()), (7, 0));
    }

    #[test]
    fn a_change_for_another_state_is_refused() {
        assert_eq!(check_etag(None, "a"), Ok(()));
        assert_eq!(check_etag(Some("a"), "a"), Ok(()));
        assert_eq!(check_etag(Some("b,a"), "a"), Ok(()));
        for other in ["b", "b,c", "aa", ""] {
            assert_eq!(check_etag(Some(other), "a"), Err(Refusal::Outdated), "{other:?}");
        }
    }
}
