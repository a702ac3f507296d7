//! The hall of a show: what is read of the sections of a new one, and how its plan and its seats are told.

use boxoffice_proto::{booking as proto, bounds};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::fields::{Fields, FromFields};

/// A section of a new show's hall: either rows of seats, or room in which people stand.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"name": "Stalls", "price": 90_000, "rows": [{"name": "A", "seats": 20}]}))]
pub(crate) struct NewSection {
    /// The name of the section, which no other section of the show has.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The price of one seat, in minor units.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    price: i64,
    /// The rows, in the order in which their seats are numbered; left out with `capacity`.
    // There may be 20,000 in all sections, which is more than a body holds.
    #[schema(min_items = 1)]
    rows: Option<Vec<NewRow>>,
    /// How many people may stand in the section; left out with `rows`.
    #[schema(minimum = 1, maximum = 100_000)]
    capacity: Option<i32>,
}

/// A row of a new show's hall.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"name": "A", "seats": 20, "firstSeat": 1}))]
pub(crate) struct NewRow {
    /// The name of the row, such as `A`.
    #[schema(min_length = 1, max_length = 20)]
    name: String,
    /// How many seats it has.
    #[schema(minimum = 1, maximum = 100_000)]
    seats: i32,
    /// What stands on the ticket of its first seat, from which the others count on; 1 when left out.
    #[schema(minimum = 1, maximum = 100_000)]
    first_seat: Option<i32>,
}

impl NewSection {
    /// The section as the service reads it.
    pub(crate) fn into_message(self) -> proto::NewSection {
        let row =
            |row: NewRow| proto::NewRow { name: row.name, seats: row.seats, first_seat: row.first_seat };
        proto::NewSection {
            name: self.name,
            price: self.price,
            rows: self.rows.into_iter().flatten().map(row).collect(),
            capacity: self.capacity.unwrap_or_default(),
        }
    }
}

impl FromFields for NewSection {
    fn read(fields: &mut Fields) -> Self {
        Self {
            name: fields.text("name", bounds::SECTION),
            price: fields.integer("price", bounds::PRICE),
            rows: fields.optional_objects("rows", 1..=bounds::ROWS),
            capacity: fields.optional_small("capacity", bounds::SEATS),
        }
    }
}

impl FromFields for NewRow {
    fn read(fields: &mut Fields) -> Self {
        Self {
            name: fields.text("name", bounds::ROW),
            seats: fields.small("seats", bounds::SEATS),
            first_seat: fields.optional_small("firstSeat", bounds::LABEL),
        }
    }
}

/// The plan of a show's hall.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeatPlan {
    /// The number of the show.
    #[schema(example = 1)]
    show_id: i64,
    /// The sections, in the order in which their seats are numbered. A show that was created without sections
    /// has one, of one row, both without a name.
    sections: Vec<Section>,
}

/// A section of a hall, whose seats have one price.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Section {
    /// The name of the section.
    #[schema(example = "Stalls")]
    name: String,
    /// The price of one seat, in minor units.
    #[schema(minimum = 0, example = 90_000)]
    price: i64,
    /// Whether people stand in it; it has no rows then.
    #[schema(example = false)]
    standing: bool,
    /// The number of its first seat.
    #[schema(minimum = 1, example = 1)]
    first_seat: i32,
    /// The number of its last seat.
    #[schema(minimum = 1, example = 20)]
    last_seat: i32,
    /// The rows, in the order in which their seats are numbered.
    rows: Vec<PlanRow>,
}

/// A row of seats.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PlanRow {
    /// The name of the row.
    #[schema(example = "A")]
    name: String,
    /// The number of its first seat.
    #[schema(minimum = 1, example = 1)]
    first_seat: i32,
    /// The number of its last seat.
    #[schema(minimum = 1, example = 20)]
    last_seat: i32,
    /// What stands on the ticket of its first seat, from which the others count on.
    #[schema(minimum = 1, example = 1)]
    first_label: i32,
}

impl From<proto::GetSeatPlanResponse> for SeatPlan {
    fn from(plan: proto::GetSeatPlanResponse) -> Self {
        let row = |row: proto::Row| PlanRow {
            name: row.name,
            first_seat: row.first_seat,
            last_seat: row.last_seat,
            first_label: row.first_label,
        };
        let section = |section: proto::Section| Section {
            name: section.name,
            price: section.price,
            standing: section.standing,
            first_seat: section.first_seat,
            last_seat: section.last_seat,
            rows: section.rows.into_iter().map(row).collect(),
        };
        Self { show_id: plan.show_id, sections: plan.sections.into_iter().map(section).collect() }
    }
}

/// A seat of a reservation, with what stands on its ticket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReservedSeat {
    /// The number of the seat in its show.
    #[schema(minimum = 1, example = 7)]
    seat_number: i32,
    /// The name of its section; empty when the show was created without sections.
    #[schema(example = "Stalls")]
    section: String,
    /// The name of its row; empty where people stand.
    #[schema(example = "A")]
    row: String,
    /// The number of the seat in its row, or in its section where people stand.
    #[schema(minimum = 1, example = 7)]
    label: i32,
    /// What it cost when it was held, in minor units.
    #[schema(minimum = 0, example = 50_000)]
    price: i64,
}

impl From<proto::ReservedSeat> for ReservedSeat {
    fn from(seat: proto::ReservedSeat) -> Self {
        let proto::ReservedSeat { seat_number, section, row, label, price } = seat;
        Self { seat_number, section, row, label, price }
    }
}

/// What a seat of a map costs: the price of the range in which it is. A service of an older release tells no
/// ranges; all seats have the show's price then.
pub(crate) fn price_of(seat: i32, prices: &[proto::SeatPrice], of_show: i64) -> i64 {
    let at = prices.partition_point(|range| range.last_seat < seat);
    prices.get(at).filter(|range| range.first_seat <= seat).map_or(of_show, |range| range.price)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_costs_what_its_range_does_and_else_what_the_show_does() {
        let range = |first_seat, last_seat, price| proto::SeatPrice { first_seat, last_seat, price };
        let ranges = [range(1, 3, 30), range(4, 4, 20), range(7, 9, 10)];
        let told = (1..=10).map(|seat| price_of(seat, &ranges, 5));
        assert_eq!(told.collect::<Vec<_>>(), [30, 30, 30, 20, 5, 5, 10, 10, 10, 5]);
        assert_eq!(price_of(1, &[], 5), 5);
    }
}
