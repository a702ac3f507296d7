//! Runs scenarios against meshes, in the manner of `cargo test`: names that can be filtered, one line each,
//! failures at the end.
//!
//! Scenarios of a [`Group`] share one mesh (each with users, queues and concerts of its own); a [`Solo`]
//! starts its own. When a group's scenarios are through, its mesh is stopped and audited: that is a test as
//! well.

use std::{
    collections::HashMap,
    future::Future,
    panic,
    pin::Pin,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;

use crate::{
    mesh::{Mesh, Shape},
    patience,
    world::World,
};

type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A scenario for a shared mesh.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Module and sentence.
    pub name: &'static str,
    /// What it does.
    pub run: fn(World) -> Run,
}

/// A scenario with a mesh of its own.
#[derive(Clone, Copy, Debug)]
pub struct Solo {
    /// Module and sentence.
    pub name: &'static str,
    /// The shapes it is for.
    pub shapes: &'static [Shape],
    /// What it does.
    pub run: fn(Shape) -> Run,
}

/// Scenarios that share a mesh of each shape.
#[derive(Clone, Debug)]
pub struct Group {
    /// What is special about its mesh; empty when nothing.
    pub label: &'static str,
    /// The mesh's policy flags, name and value by turns.
    pub flags: &'static [&'static str],
    /// Scenarios that may run at the same time.
    pub together: Vec<Scenario>,
    /// Scenarios that need the mesh for themselves.
    pub alone: Vec<Scenario>,
}

/// `scenarios![a, b]`: the functions of this module as [`Scenario`]s, named as they are.
#[macro_export]
macro_rules! scenarios {
    ($($run:ident),+ $(,)?) => {
        &[$($crate::suite::Scenario { name: concat!(module_path!(), "::", stringify!($run)), run: |world| Box::pin($run(world)) }),+]
    };
}

/// `solos![SHAPES; a, b]`: the functions of this module as [`Solo`]s for these shapes.
#[macro_export]
macro_rules! solos {
    ($shapes:expr; $($run:ident),+ $(,)?) => {
        &[$($crate::suite::Solo {
            name: concat!(module_path!(), "::", stringify!($run)),
            shapes: $shapes,
            run: |shape| Box::pin($run(shape)),
        }),+]
    };
}

/// How many scenarios run at a time on a shared mesh, and how many meshes of solos at once: enough that
/// waiting for the clock costs little, few enough that two cores keep their timing.
const AT_ONCE: usize = 10;
const SOLOS_AT_ONCE: usize = 3;
/// No scenario usually takes longer, unless it was asked to kill very often.
fn limit() -> Duration {
    Duration::from_secs(120 + 6 * u64::from(crate::load::kills(0)))
}

struct Report {
    filter: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    list: bool,
    outcomes: Mutex<Vec<(String, Result<(), String>)>>,
    messages: Arc<Mutex<HashMap<String, Vec<String>>>>,
}

tokio::task_local! { static NAME: String; }

impl Report {
    fn from_args() -> Self {
        let (mut filter, mut skip, mut exact, mut list) = (Vec::new(), Vec::new(), false, false);
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => list = true,
                "--exact" => exact = true,
                "--skip" => skip.extend(args.next()),
                // Options of libtest with a value of their own, accepted and of no effect here.
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => drop(args.next()),
                option if option.starts_with('-') => {}
                name => filter.push(name.to_owned()),
            }
        }
        Self { filter, skip, exact, list, outcomes: Mutex::default(), messages: Arc::default() }
    }

    fn wants(&self, name: &str) -> bool {
        let fits = |part: &String| if self.exact { name == part } else { name.contains(part.as_str()) };
        (self.filter.is_empty() || self.filter.iter().any(fits)) && !self.skip.iter().any(fits)
    }

    /// Panics are told at the end with the name of their test, not in between.
    fn collect_panics(&self) {
        let messages = Arc::clone(&self.messages);
        panic::set_hook(Box::new(move |info| {
            let name = NAME.try_with(Clone::clone).unwrap_or_else(|_| "outside of a test".to_owned());
            messages
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(name)
                .or_default()
                .push(info.to_string());
        }));
    }

    async fn run(&self, name: String, work: Run) {
        let begun = Instant::now();
        let outcome = match tokio::spawn(NAME.scope(name.clone(), patience::timeout(limit(), work))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(late)) => Err(format!("{late}: not through")),
            Err(_) => {
                let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
                Err(messages.remove(&name).unwrap_or_default().join("\n"))
            }
        };
        self.note(name, outcome, begun.elapsed());
    }

    #[expect(clippy::print_stdout, reason = "a test runner reports on stdout")]
    fn note(&self, name: String, outcome: Result<(), String>, took: Duration) {
        println!(
            "test {name} ... {} ({:.1} s)",
            if outcome.is_ok() { "ok" } else { "FAILED" },
            took.as_secs_f64()
        );
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((name, outcome));
    }

    async fn group(&self, group: &Group, shape: Shape) {
        let prefix = if group.label.is_empty() {
            shape.name().to_owned()
        } else {
            format!("{}_{}", shape.name(), group.label)
        };
        let named = |scenario: &Scenario| (format!("{prefix}::{}", short(scenario.name)), scenario.run);
        let wanted =
            |all: &[Scenario]| all.iter().map(named).filter(|(name, _)| self.wants(name)).collect::<Vec<_>>();
        let (together, alone) = (wanted(&group.together), wanted(&group.alone));
        if together.is_empty() && alone.is_empty() {
            return;
        }
        let begun = Instant::now();
        let start = tokio::spawn(NAME.scope(prefix.clone(), Mesh::start(shape, group.flags)));
        let Ok(mesh) = start.await else {
            let why = self
                .messages
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&prefix)
                .unwrap_or_default()
                .join("\n");
            return self.note(format!("{prefix}::starts"), Err(why), begun.elapsed());
        };
        self.note(format!("{prefix}::starts"), Ok(()), begun.elapsed());
        let mesh = Arc::new(mesh);
        let world = World::new(Arc::clone(&mesh));
        let shared = together.into_iter().map(|(name, run)| self.run(name, run(world.clone())));
        futures::stream::iter(shared).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        for (name, run) in alone {
            self.run(name, run(world.clone())).await;
        }
        drop(world);
        let begun = Instant::now();
        let logs = mesh.complaints();
        let ended = match Arc::try_unwrap(mesh) {
            Ok(mesh) => mesh.finish().await,
            Err(mesh) => mesh.stop().await.and(Err("a scenario's task still uses the mesh".to_owned())),
        };
        let ended = ended.and_then(|()| {
            if logs.is_empty() { Ok(()) } else { Err(format!("logged:\n  {}", logs.join("\n  "))) }
        });
        self.note(format!("{prefix}::ends_cleanly_and_the_audit_finds_nothing"), ended, begun.elapsed());
    }

    async fn solos(&self, solos: &[Solo]) {
        let each = |solo: &Solo| {
            solo.shapes
                .iter()
                .map(|shape| (format!("{}::{}", shape.name(), short(solo.name)), solo.run, *shape))
                .collect::<Vec<_>>()
        };
        let wanted = solos.iter().flat_map(each).filter(|(name, ..)| self.wants(name));
        let runs = wanted.map(|(name, run, shape)| self.run(name, run(shape)));
        futures::stream::iter(runs).buffer_unordered(SOLOS_AT_ONCE).collect::<Vec<()>>().await;
    }

    #[expect(clippy::print_stdout, reason = "a test runner reports on stdout")]
    fn list(&self, groups: &[Group], solos: &[Solo]) {
        for shape in Shape::ALL {
            let shared = groups
                .iter()
                .flat_map(|group| group.together.iter().chain(&group.alone))
                .map(|scenario| scenario.name);
            let own = solos.iter().filter(|solo| solo.shapes.contains(shape)).map(|solo| solo.name);
            let names = shared.chain(own).map(|name| format!("{}::{}", shape.name(), short(name)));
            for name in names.filter(|name| self.wants(name)) {
                println!("{name}: test");
            }
        }
    }

    #[expect(clippy::print_stdout, reason = "a test runner reports on stdout")]
    fn conclude(&self, took: Duration) -> ExitCode {
        println!("\nthis machine: now {:.1} times slower than usual", patience::slowness());
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let failed: Vec<_> =
            outcomes.iter().filter_map(|(name, outcome)| Some((name, outcome.as_ref().err()?))).collect();
        for (name, why) in &failed {
            println!("\n---- {name} ----\n{why}");
        }
        if !failed.is_empty() {
            println!("\nfailures:");
            failed.iter().for_each(|(name, _)| println!("    {name}"));
        }
        let passed = outcomes.len() - failed.len();
        let (verdict, failures) = (if failed.is_empty() { "ok" } else { "FAILED" }, failed.len());
        println!(
            "\ntest result: {verdict}. {passed} passed; {failures} failed; finished in {:.1}s",
            took.as_secs_f64()
        );
        if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A scenario's name without the crate's.
fn short(name: &str) -> &str {
    name.split_once("::").map_or(name, |(_, rest)| rest)
}

/// Runs what the command line asks for.
#[must_use]
pub fn main(groups: &[Group], solos: &[Solo]) -> ExitCode {
    let report = Report::from_args();
    if report.list {
        report.list(groups, solos);
        return ExitCode::SUCCESS;
    }
    report.collect_panics();
    let begun = Instant::now();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async {
        for shape in Shape::ALL {
            for group in groups {
                report.group(group, *shape).await;
            }
        }
        report.solos(solos).await;
    });
    report.conclude(begun.elapsed())
}
