//! The seller's books.

use boxoffice_proto::booking as proto;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Hollow, whole};

/// What a show has sold.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShowSales {
    /// The number of the show.
    #[schema(example = 1)]
    show_id: i64,
    /// The sums of all sections.
    #[serde(flatten)]
    total: Sales,
    /// The sums of each section, in the order in which their seats are numbered.
    sections: Vec<SectionSales>,
    /// The currency of the sums: ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$", example = "KRW")]
    currency: String,
    /// How many decimal digits its minor unit is: 0 for KRW, 2 for EUR.
    #[schema(minimum = 0, maximum = 4, example = 0)]
    currency_exponent: i32,
}

/// Seats as they are now, and money in minor units.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sales {
    /// How many seats are in live holds.
    #[schema(minimum = 0, example = 2)]
    held: i32,
    /// How many seats are sold.
    #[schema(minimum = 0, example = 3)]
    sold: i32,
    /// How many seats are free.
    #[schema(minimum = 0, example = 45)]
    free: i32,
    /// The price of all seats that were ever sold, those that were given back included.
    #[schema(minimum = 0, example = 200_000)]
    gross: i64,
    /// The part of it that was given back.
    #[schema(minimum = 0, example = 50_000)]
    refunded: i64,
    /// What remains of it.
    #[schema(minimum = 0, example = 150_000)]
    net: i64,
}

/// What was sold in a section.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SectionSales {
    /// The name of the section; empty where the show has none.
    #[schema(example = "Stalls")]
    name: String,
    /// The sums of the section.
    #[serde(flatten)]
    sales: Sales,
}

impl From<proto::Sales> for Sales {
    fn from(sales: proto::Sales) -> Self {
        let proto::Sales { held, sold, free, gross, refunded, net } = sales;
        Self { held, sold, free, gross, refunded, net }
    }
}

impl TryFrom<proto::GetShowSalesResponse> for ShowSales {
    type Error = Hollow;

    fn try_from(told: proto::GetShowSalesResponse) -> Result<Self, Hollow> {
        let section = |section: proto::SectionSales| {
            Ok(SectionSales { name: section.name, sales: whole(section.sales)?.into() })
        };
        Ok(Self {
            show_id: told.show_id,
            total: whole(told.total)?.into(),
            sections: told.sections.into_iter().map(section).collect::<Result<_, _>>()?,
            currency: told.currency,
            currency_exponent: told.currency_exponent,
        })
    }
}
