//! Changes of concerts and shows: a member that is left out stays as it is, and null takes a rule away.

use boxoffice_proto::{booking as proto, bounds, time};
use prost_types::FieldMask;
use utoipa::ToSchema;

use super::Instant;
use crate::http::fields::{Fields, FromFields};

/// What is to be changed of a concert; what is left out stays.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"title": "Winter Gala"}))]
pub(crate) struct ConcertChange {
    /// The name of the concert.
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    title: Option<String>,
    /// The time zone of its venue by its IANA name. Its shows begin at the same instants as before.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9_+/-]*$")]
    time_zone: Option<String>,
    /// The id of the queue that guards it from now on.
    #[schema(max_length = 64, pattern = "^[a-zA-Z0-9._-]*$")]
    queue_id: Option<String>,
    #[schema(ignore)]
    mask: FieldMask,
}

impl ConcertChange {
    /// The request to the service.
    pub(crate) fn into_request(self, concert_id: i64) -> proto::UpdateConcertRequest {
        proto::UpdateConcertRequest {
            concert_id,
            title: self.title,
            time_zone: self.time_zone,
            queue_id: self.queue_id,
            update_mask: Some(self.mask),
            etag: String::new(),
            request_id: String::new(),
        }
    }
}

impl FromFields for ConcertChange {
    fn read(fields: &mut Fields) -> Self {
        let mask = [("title", "title"), ("timeZone", "time_zone"), ("queueId", "queue_id")];
        Self {
            mask: masked(fields, &mask),
            title: fields.optional_text("title", bounds::TITLE),
            time_zone: fields.optional_text("timeZone", bounds::TIME_ZONE),
            queue_id: fields.optional_queue_id("queueId"),
        }
    }
}

/// What is to be changed of a show; what is left out stays.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"startsAt": "2030-12-24T20:00:00Z", "prices": [{"section": "Stalls", "price": 60_000}]}))]
pub(crate) struct ShowChange {
    /// The name of the show.
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    title: Option<String>,
    /// Anything else that is to be known about it.
    #[schema(max_length = 4000)]
    description: Option<String>,
    /// When it begins, with any offset; not in the past.
    #[schema(value_type = Option<Instant>, nullable = false)]
    starts_at: Option<i64>,
    /// How long it lasts.
    #[schema(minimum = 1, maximum = 1440, nullable = false)]
    duration_minutes: Option<i32>,
    /// When its sale opens (everywhere within a second), with any offset; null opens it.
    #[schema(value_type = Option<Instant>)]
    opens_at: Option<i64>,
    /// When its sale closes, with any offset; null closes it when the show begins.
    #[schema(value_type = Option<Instant>)]
    closes_at: Option<i64>,
    /// How many seats one user may have, held and bought together; null lets the operator's limit count.
    #[schema(minimum = 1, maximum = 100_000)]
    max_seats_per_user: Option<i32>,
    /// New prices by section. What is held keeps its price.
    #[schema(min_items = 1, max_items = 500, nullable = false)]
    prices: Option<Vec<SectionPrice>>,
    #[schema(ignore)]
    mask: FieldMask,
}

/// What a seat in a section costs from now on.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"section": "Stalls", "price": 60_000}))]
pub(crate) struct SectionPrice {
    /// The name of the section; empty where the show has no sections.
    #[schema(max_length = 100)]
    section: Option<String>,
    /// The price of one seat, in minor units.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    price: i64,
}

impl ShowChange {
    /// The request to the service.
    pub(crate) fn into_request(self, show_id: i64) -> proto::UpdateShowRequest {
        let price = |SectionPrice { section, price }| proto::SectionPrice {
            section: section.unwrap_or_default(),
            price,
        };
        proto::UpdateShowRequest {
            show_id,
            title: self.title,
            description: self.description,
            starts_at: self.starts_at.map(time::timestamp),
            duration_minutes: self.duration_minutes,
            opens_at: self.opens_at.map(time::timestamp),
            closes_at: self.closes_at.map(time::timestamp),
            max_seats_per_user: self.max_seats_per_user,
            prices: self.prices.into_iter().flatten().map(price).collect(),
            update_mask: Some(self.mask),
            etag: String::new(),
            request_id: String::new(),
        }
    }
}

impl FromFields for ShowChange {
    // A price for each of 500 sections fits, however long their names are.
    const LIMIT: usize = 256 * 1_024;

    fn read(fields: &mut Fields) -> Self {
        let mask = [
            ("title", "title"),
            ("description", "description"),
            ("startsAt", "starts_at"),
            ("durationMinutes", "duration_minutes"),
            ("opensAt", "opens_at"),
            ("closesAt", "closes_at"),
            ("maxSeatsPerUser", "max_seats_per_user"),
            ("prices", "prices"),
        ];
        Self {
            mask: masked(fields, &mask),
            title: fields.optional_text("title", bounds::TITLE),
            description: fields.optional_text("description", bounds::DESCRIPTION),
            starts_at: fields.optional_instant("startsAt"),
            duration_minutes: fields.optional_small("durationMinutes", bounds::MINUTES),
            opens_at: fields.optional_instant("opensAt"),
            closes_at: fields.optional_instant("closesAt"),
            max_seats_per_user: fields.optional_small("maxSeatsPerUser", bounds::SEATS),
            prices: fields.optional_objects("prices", bounds::SECTIONS),
        }
    }
}

impl FromFields for SectionPrice {
    fn read(fields: &mut Fields) -> Self {
        Self {
            section: fields.optional_text("section", bounds::PRICED),
            price: fields.integer("price", bounds::PRICE),
        }
    }
}

/// The fields that are named, as the service calls them.
fn masked(fields: &Fields, names: &[(&str, &str)]) -> FieldMask {
    let named = names.iter().filter(|(member, _)| fields.names(member));
    FieldMask { paths: named.map(|(_, field)| (*field).to_owned()).collect() }
}
