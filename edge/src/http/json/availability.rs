//! What can be had of a show.

use base64::{Engine, engine::general_purpose::STANDARD};
use boxoffice_proto::booking as proto;
use serde::Serialize;
use utoipa::ToSchema;

/// What can be had of a show.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Availability<'a> {
    /// The number of the show.
    #[schema(example = 1)]
    show_id: i64,
    /// What this state is known by, and its `ETag`. Two states of a show with the same version are the same.
    #[schema(minimum = 0, example = 262_144)]
    version: i64,
    /// The number of seats; they are numbered from 1 to this.
    #[schema(minimum = 1, example = 10)]
    seat_count: i32,
    /// How many seats can be had.
    #[schema(minimum = 0, example = 7)]
    available: i32,
    /// The sections of the hall in the order of their seats. A show that was created without sections has one
    /// without a name.
    sections: Vec<SectionAvailability<'a>>,
    /// A bit for each seat, in base64: bit i, the least significant bit of each byte first, is set if seat
    /// i + 1 cannot be had because it is held or sold, or because the sale has closed.
    #[schema(value_type = String, format = Byte, example = "QwA=")]
    taken: String,
}

/// How much of a section can be had.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SectionAvailability<'a> {
    /// The name of the section.
    #[schema(example = "Stalls")]
    name: &'a str,
    /// How many of its seats can be had.
    #[schema(minimum = 0, example = 7)]
    available: i32,
}

/// What has changed of a show since the event before.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AvailabilityChanges<'a> {
    /// The version of the state after these changes.
    #[schema(minimum = 0, example = 393_216)]
    version: i64,
    /// The numbers of the seats that can no longer be had, rising.
    #[schema(example = json!([3, 4]))]
    taken: &'a [i32],
    /// The numbers of the seats that can be had again, rising.
    #[schema(example = json!([7]))]
    freed: &'a [i32],
}

impl<'a> From<&'a proto::Availability> for Availability<'a> {
    fn from(told: &'a proto::Availability) -> Self {
        let proto::Availability { show_id, version, seat_count, available, sections, taken } = told;
        let section = |section: &'a proto::SectionAvailability| SectionAvailability {
            name: &section.name,
            available: section.available,
        };
        Self {
            show_id: *show_id,
            version: *version,
            seat_count: *seat_count,
            available: *available,
            sections: sections.iter().map(section).collect(),
            taken: STANDARD.encode(taken),
        }
    }
}

impl<'a> From<&'a proto::AvailabilityChanges> for AvailabilityChanges<'a> {
    fn from(told: &'a proto::AvailabilityChanges) -> Self {
        Self { version: told.version, taken: &told.taken, freed: &told.freed }
    }
}
