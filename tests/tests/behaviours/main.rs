//! What the mesh does, asked of real processes by real clients, in each of its shapes: one process on SQLite,
//! on PostgreSQL and behind PgBouncer, and the four programs with two replicas each. `cargo test -p tests
//! --test behaviours -- cluster::acceptance` runs a part of it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod acceptance;
mod access;
mod availability;
mod bad_input;
mod bad_messages;
mod beacons;
mod best;
mod books;
mod called_off;
mod contention;
mod crashes;
mod crowd;
mod deadlines;
mod doors;
mod draws;
mod errors;
mod failures;
mod halls;
mod history;
mod idempotency;
mod journal;
mod knobs;
mod lines;
mod live;
mod malformed;
mod manners;
mod mending;
mod messages;
mod names;
mod openings;
mod operations;
mod original;
mod outages;
mod overload;
mod parked;
mod pooler;
mod reading;
mod refunds;
mod repeated;
mod replicas;
mod restarts;
mod saga;
mod saga_crashes;
mod saga_faults;
mod short_holds;
mod sold_out;
mod streams;
mod switchover;
mod telling;
mod traces;
mod undone;
mod venues;
mod waiting_room;
mod web;

use std::process::ExitCode;

use tests::suite::{self, Group};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let [_, flag, address, file] = args.as_slice()
        && flag == "--hold-streams"
    {
        return crowd::hold_streams(address, file);
    }
    let ordinary = Group {
        label: "",
        flags: &[],
        // Those with the longest waits first, lest the others wait for them at the end.
        together: [
            streams::TOGETHER,
            doors::TOGETHER,
            web::TOGETHER,
            waiting_room::TOGETHER,
            draws::TOGETHER,
            openings::TOGETHER,
            acceptance::TOGETHER,
            access::TOGETHER,
            availability::TOGETHER,
            failures::TOGETHER,
            halls::TOGETHER,
            errors::TOGETHER,
            bad_input::TOGETHER,
            bad_messages::TOGETHER,
            best::TOGETHER,
            books::TOGETHER,
            called_off::TOGETHER,
            idempotency::TOGETHER,
            journal::TOGETHER,
            knobs::TOGETHER,
            lines::TOGETHER,
            live::TOGETHER,
            malformed::TOGETHER,
            manners::TOGETHER,
            mending::TOGETHER,
            messages::TOGETHER,
            names::TOGETHER,
            operations::TOGETHER,
            original::TOGETHER,
            reading::TOGETHER,
            refunds::TOGETHER,
            venues::TOGETHER,
        ]
        .concat(),
        alone: [
            acceptance::ALONE,
            best::ALONE,
            contention::ALONE,
            deadlines::ALONE,
            doors::ALONE,
            halls::ALONE,
            saga::ALONE,
            waiting_room::ALONE,
        ]
        .concat(),
    };
    let short_holds = Group {
        label: "short_holds",
        flags: &["--hold-ttl", "5s"],
        together: short_holds::TOGETHER.to_vec(),
        alone: Vec::new(),
    };
    suite::main(
        &[ordinary, short_holds],
        &[
            crowd::SOLOS,
            &access::solos(),
            doors::SOLOS,
            sold_out::SOLOS,
            streams::SOLOS,
            web::SOLOS,
            errors::SOLOS,
            manners::SOLOS,
            restarts::SOLOS,
            draws::SOLOS,
            beacons::SOLOS,
            replicas::SOLOS,
            outages::SOLOS,
            pooler::SOLOS,
            switchover::SOLOS,
            telling::SOLOS,
            saga_faults::SOLOS,
            saga_crashes::SOLOS,
            crashes::SOLOS,
            repeated::SOLOS,
            overload::SOLOS,
            parked::SOLOS,
            traces::SOLOS,
            refunds::SOLOS,
            called_off::SOLOS,
            journal::SOLOS,
            history::SOLOS,
        ]
        .concat(),
    )
}
