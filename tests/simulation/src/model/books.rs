//! The books of the show, as its seller reads them in the end: what everybody's reservations and payments
//! make, to the unit, section by section.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Affairs;
use crate::{
    history::{count, violated},
    plan::OFFICE,
    rest::{list, number, text},
};

/// Sold in all, and the part of it that was given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    gross: i64,
    refunded: i64,
}

impl Sums {
    fn told(json: &Value) -> Self {
        Self { gross: number(json, "gross"), refunded: number(json, "refunded") }
    }

    fn add(&mut self, price: i64, is_back: bool) {
        self.gross += price;
        self.refunded += if is_back { price } else { 0 };
    }
}

/// Judges what the seller was told of the show.
pub(super) fn judge(books: &Value, all: &[Affairs]) {
    count("books read");
    let (mut sums, mut sections) = (Sums::default(), BTreeMap::<&str, Sums>::new());
    for reservation in all.iter().flat_map(|affairs| &affairs.reservations) {
        let is_back = match text(reservation, "status") {
            "CONFIRMED" => false,
            "REFUNDED" => true,
            _ => continue,
        };
        sums.add(number(reservation, "amount"), is_back);
        for seat in list(reservation, "seats") {
            sections.entry(text(seat, "section")).or_default().add(number(seat, "price"), is_back);
        }
    }
    let payments = all.iter().flat_map(|affairs| &affairs.payments);
    let paid = payments.filter(|payment| text(payment, "status") == "COMPLETED");
    let paid: i64 = paid.map(|payment| number(payment, "amount")).sum();
    let told: BTreeMap<&str, Sums> =
        list(books, "sections").map(|section| (text(section, "name"), Sums::told(section))).collect();
    let by_section = told.iter().all(|(name, told)| *told == sections.get(name).copied().unwrap_or_default());
    let are_right = Sums::told(books) == sums
        && number(books, "net") == paid
        && sums.gross - sums.refunded == paid
        && (by_section && sections.keys().all(|name| told.contains_key(name)));
    if !are_right {
        violated("BOOKS", &[OFFICE], format!("{sums:?}, {paid} paid and {sections:?}, told {books}"));
    }
}
