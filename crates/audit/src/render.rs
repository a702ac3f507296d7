//! A report in words for people, and as JSON for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::report::{Checked, Report};

/// The report for people.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut text = summary(&report.checked);
    for skipped in &report.skipped {
        text.push_str(&format!("\nnot checked: {skipped}"));
    }
    for note in &report.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    let mut law = None;
    for difference in &report.differences {
        if law.replace(difference.law) != Some(difference.law) {
            text.push_str(&format!("\n\n{}: {}", difference.law.id(), difference.law.says()));
        }
        text.push_str(&format!("\n  {}\n   ", difference.what));
        for (name, value) in &difference.ids {
            // Writing into a String cannot fail.
            let _always = write!(text, " {name}={value}");
        }
    }
    for (law, more) in &report.more {
        text.push_str(&format!("\n  and {more} more of {}", law.id()));
    }
    let found = u64::try_from(report.differences.len())
        .unwrap_or(u64::MAX)
        .saturating_add(report.more.values().sum());
    text + &match found {
        0 => "\n\nNothing is wrong.\n".to_owned(),
        1 => "\n\n1 difference.\n".to_owned(),
        _ => format!("\n\n{found} differences.\n"),
    }
}

fn summary(checked: &Checked) -> String {
    let Checked {
        lines,
        tokens,
        active,
        waiting,
        shows,
        seats,
        sold,
        holds,
        held,
        reservations,
        wallets,
        entries,
        payments,
        ..
    } = checked;
    let Checked {
        charged,
        used,
        paid,
        refunded,
        balances,
        checkouts,
        completed,
        failed,
        compensated,
        refunds,
        in_flight,
        direct,
        ..
    } = checked;
    let sum = charged - used - paid + refunded;
    let equal = if sum == *balances { "=" } else { "but the balances are" };
    let balances = if sum == *balances { "the balances".to_owned() } else { balances.to_string() };
    let direct = if *direct > 0 {
        format!("; {direct} payments or reservations past the edge, not judged")
    } else {
        String::new()
    };
    format!(
        "lines      {lines} with {tokens} tokens: {active} active, {waiting} waiting\n\
         seats      {seats} in {shows} shows: {sold} sold, {held} held; {holds} holds, {reservations} reservations\n\
         money      {wallets} wallets, {entries} entries, {payments} payments: \
         {charged} charged - {used} used - {paid} paid + {refunded} refunded = {sum} {equal} {balances}\n\
         checkouts  {checkouts}: {completed} completed, {failed} failed, {compensated} compensated, {refunds} refunded, {in_flight} in flight{direct}"
    )
}

/// The report for programs: `{clean, differences: [{law, says, what, ids: [{name, value}]}], more: {law:
/// count}, notes, notChecked, checked}`.
#[must_use]
pub fn json(report: &Report) -> Value {
    let c = &report.checked;
    let differences = report.differences.iter().map(|difference| {
        let ids: Vec<_> = difference.ids.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({"law": difference.law.id(), "says": difference.law.says(), "what": difference.what, "ids": ids})
    });
    // Sums of money as texts: they may be larger than a JSON reader's numbers.
    json!({
        "clean": report.is_clean(),
        "differences": differences.collect::<Vec<_>>(),
        "more": report.more.iter().map(|(law, more)| (law.id().to_owned(), json!(more))).collect::<serde_json::Map<_, _>>(),
        "notes": report.notes,
        "notChecked": report.skipped,
        "checked": {
            "lines": c.lines, "tokens": c.tokens, "active": c.active, "waiting": c.waiting,
            "shows": c.shows, "seats": c.seats, "sold": c.sold, "held": c.held, "holds": c.holds, "reservations": c.reservations,
            "wallets": c.wallets, "entries": c.entries, "payments": c.payments,
            "charged": c.charged.to_string(), "used": c.used.to_string(), "paid": c.paid.to_string(),
            "refunded": c.refunded.to_string(), "balances": c.balances.to_string(),
            "checkouts": c.checkouts, "completed": c.completed, "failed": c.failed, "compensated": c.compensated, "refunds": c.refunds,
            "inFlight": c.in_flight, "direct": c.direct,
        },
    })
}
