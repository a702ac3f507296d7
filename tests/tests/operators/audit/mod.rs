//! The audit finds what is wrong and nothing else: each kind of fault, planted into what real services have
//! written, is found with its ids; a mesh at work raises no false alarm; and the command says it all in words
//! and exit codes. So does the export of a show's sales.

/// Takes every rule off a table.
macro_rules! bare {
    ($table:literal) => {
        concat!(
            "CREATE TABLE bare AS SELECT * FROM ",
            $table,
            "; DROP TABLE ",
            $table,
            "; ALTER TABLE bare RENAME TO ",
            $table,
            ";"
        )
    };
}

pub(crate) mod command;
mod export;
mod faults;
pub(crate) mod load;
pub(crate) mod planted;
mod seat_faults;

use tests::{mesh::Shape, solos, suite::Solo};

use command::{the_command_tells_and_exits_by_what_it_finds, the_command_touches_nothing};
use export::sales_are_exported_as_the_ledger_has_them;
use load::a_mesh_at_work_raises_no_false_alarm;
use planted::every_planted_fault_is_found_and_nothing_else;

/// Each for the shapes in which it can differ.
pub(crate) fn solos() -> Vec<Solo> {
    let planted =
        solos![&[Shape::SingleSqlite, Shape::SinglePostgres]; every_planted_fault_is_found_and_nothing_else];
    let everywhere = solos![Shape::ALL; a_mesh_at_work_raises_no_false_alarm, the_command_tells_and_exits_by_what_it_finds];
    let files = solos![&[Shape::SingleSqlite]; the_command_touches_nothing];
    let exported = solos![&[Shape::SingleSqlite, Shape::SinglePostgres, Shape::Cluster]; sales_are_exported_as_the_ledger_has_them];
    [planted as &[Solo], everywhere, files, exported].concat()
}
