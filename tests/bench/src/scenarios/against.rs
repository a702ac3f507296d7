//! This build against another one: joins, holds and checkouts by turns, on PostgreSQL and on embedded SQLite.

use std::path::PathBuf;

use tests::mesh::{Direct, Shape, Wiring};

use super::{
    EVERYBODY_ENTERS,
    side_by_side::{House, in_the_hall},
};
use crate::Size;

/// Programs of another build.
struct Others(PathBuf);

impl Wiring for Others {
    fn programs(&self) -> PathBuf {
        self.0.clone()
    }
}

pub(crate) async fn measure(programs: PathBuf, size: Size) {
    let others = Others(programs);
    for shape in [Shape::SinglePostgres, Shape::SingleSqlite] {
        println!("  {}", shape.name());
        let before =
            House::open("the other build", shape, EVERYBODY_ENTERS, &others).await.of_another_build();
        let now = House::open("this build", shape, EVERYBODY_ENTERS, &Direct).await;
        in_the_hall(size, [before, now]).await;
    }
}
