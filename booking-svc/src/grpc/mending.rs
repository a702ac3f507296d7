//! Reading changes of concerts and shows: the fields that a mask names, or without one those that are set.

use boxoffice_proto::{
    Fault,
    booking::{SectionPrice, UpdateConcertRequest, UpdateShowRequest},
    bounds,
    validate::Checks,
};
use prost_types::FieldMask;

use super::catalog::{instant, time_zone};
use crate::domain::{ConcertChange, ShowChange};

/// What is to be changed, the state that it is meant for, and the request id.
type Change<T> = Result<(T, Option<String>, Option<String>), Fault>;

/// The fields that a request changes.
struct Mask(Vec<&'static str>);

impl Mask {
    /// The mask of a request that may change these fields, each with whether it is set.
    fn of(checks: &mut Checks, mask: Option<&FieldMask>, fields: &[(&'static str, bool)]) -> Self {
        let paths = mask.map_or(&[][..], |mask| &mask.paths);
        if paths.is_empty() {
            return Self(fields.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect());
        }
        let known = |path: &String| fields.iter().map(|(name, _)| *name).find(|name| name == path);
        if paths.iter().any(|path| known(path).is_none()) {
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            checks.refuse("update_mask", format!("must name fields of {}", names.join(", ")));
        }
        Self(paths.iter().filter_map(known).collect())
    }

    /// What is read of a field, if it is to be changed.
    fn field<T>(&self, name: &'static str, read: impl FnOnce(&'static str) -> T) -> Option<T> {
        self.0.contains(&name).then(|| read(name))
    }
}

pub(super) fn concert(request: &UpdateConcertRequest) -> Change<ConcertChange> {
    let UpdateConcertRequest {
        concert_id: _,
        title,
        time_zone: zone,
        queue_id,
        update_mask,
        etag,
        request_id,
    } = request;
    Checks::of(|checks| {
        let fields =
            [("title", title.is_some()), ("time_zone", zone.is_some()), ("queue_id", queue_id.is_some())];
        let mask = Mask::of(checks, update_mask.as_ref(), &fields);
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let title = mask.field("title", |name| checks.text(name, &text(title), bounds::TITLE));
        let queue_id = mask.field("queue_id", |name| checks.queue_id(name, &text(queue_id)));
        let time_zone = mask.field("time_zone", |name| {
            checks.present(name, Some(text(zone)).filter(|zone| !zone.is_empty()));
            time_zone(checks, &text(zone))
        });
        let change = ConcertChange { title, queue_id, time_zone: time_zone.flatten() };
        (change, meant(etag), checks.request_id(request_id))
    })
}

pub(super) fn show(request: &UpdateShowRequest) -> Change<ShowChange> {
    Checks::of(|checks| {
        let fields = [
            ("title", request.title.is_some()),
            ("description", request.description.is_some()),
            ("starts_at", request.starts_at.is_some()),
            ("duration_minutes", request.duration_minutes.is_some()),
            ("opens_at", request.opens_at.is_some()),
            ("closes_at", request.closes_at.is_some()),
            ("max_seats_per_user", request.max_seats_per_user.is_some()),
            ("prices", !request.prices.is_empty()),
        ];
        let mask = Mask::of(checks, request.update_mask.as_ref(), &fields);
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let title = mask.field("title", |name| checks.text(name, &text(&request.title), bounds::TITLE));
        let description = mask
            .field("description", |name| checks.text(name, &text(&request.description), bounds::DESCRIPTION));
        let starts_at = mask.field("starts_at", |name| {
            let at = checks.present(name, request.starts_at.as_ref());
            at.map_or(0, |at| instant(checks, name, at))
        });
        let duration_minutes = mask.field("duration_minutes", |name| {
            checks.range(name, request.duration_minutes.unwrap_or_default(), bounds::MINUTES)
        });
        let opens_at =
            mask.field("opens_at", |name| request.opens_at.as_ref().map(|at| instant(checks, name, at)));
        let closes_at =
            mask.field("closes_at", |name| request.closes_at.as_ref().map(|at| instant(checks, name, at)));
        let max_seats_per_user = mask.field("max_seats_per_user", |name| {
            request.max_seats_per_user.map(|limit| checks.range(name, limit, bounds::SEATS))
        });
        let prices = mask.field("prices", |name| prices(checks, name, &request.prices));
        let change = ShowChange {
            title,
            description,
            starts_at,
            duration_minutes,
            opens_at,
            closes_at,
            max_seats_per_user,
            prices: prices.unwrap_or_default(),
        };
        (change, meant(&request.etag), checks.request_id(&request.request_id))
    })
}

fn prices(checks: &mut Checks, field: &str, prices: &[SectionPrice]) -> Vec<(String, i64)> {
    if !bounds::SECTIONS.contains(&prices.len()) {
        checks.refuse(field, format!("must be 1 to {} prices", bounds::SECTIONS.end()));
        return Vec::new();
    }
    let mut read: Vec<(String, i64)> = Vec::with_capacity(prices.len());
    for (nth, SectionPrice { section, price }) in prices.iter().enumerate() {
        let mut inside = Checks::default();
        let name = inside.text("section", section, bounds::PRICED);
        if read.iter().any(|(known, _)| *known == name) {
            inside.refuse("section", "must be another one than those of the other prices");
        }
        read.push((name, inside.range("price", *price, bounds::PRICE)));
        checks.within(&format!("{field}[{nth}]"), inside);
    }
    read
}

/// The state that a change is meant for; `None`: any.
fn meant(etag: &str) -> Option<String> {
    Some(etag.to_owned()).filter(|etag| !etag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(paths: &[&str]) -> UpdateShowRequest {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        UpdateShowRequest { update_mask: Some(FieldMask { paths }), ..UpdateShowRequest::default() }
    }

    #[test]
    fn without_a_mask_what_is_set_is_changed_and_with_one_what_it_names() {
        let set = UpdateShowRequest { max_seats_per_user: Some(4), ..UpdateShowRequest::default() };
        let (change, etag, _) = show(&set).expect("a change");
        assert_eq!((change.max_seats_per_user, change.opens_at, etag), (Some(Some(4)), None, None));
        let (change, ..) = show(&masked(&["opens_at", "description"])).expect("a change");
        assert_eq!((change.opens_at, change.description.as_deref()), (Some(None), Some("")));
        assert_eq!((change.closes_at, change.title), (None, None));
    }

    #[test]
    fn what_must_be_there_is_asked_for_by_its_name() {
        let wrong = |request: &UpdateShowRequest| {
            let fault = show(request).expect_err("a fault");
            fault.violations.into_iter().map(|v| v.field).collect::<Vec<_>>()
        };
        assert_eq!(
            wrong(&masked(&["title", "starts_at", "duration_minutes", "prices"])),
            ["title", "starts_at", "duration_minutes", "prices"]
        );
        assert_eq!(wrong(&masked(&["seat_count"])), ["update_mask"]);
        let price = |price| SectionPrice { section: "A".to_owned(), price };
        let twice = UpdateShowRequest { prices: vec![price(1), price(-1)], ..UpdateShowRequest::default() };
        assert_eq!(wrong(&twice), ["prices[1].section", "prices[1].price"]);
    }
}
