//! Runs seeds, each in a process of its own, side by side, and says what was found.

use std::{
    collections::BTreeMap,
    env,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Instant,
};

use clap::Parser;
use simulation::{
    KNOWN,
    child::{Outcome, Task},
};

/// How many violations of a seed are printed, and how many events of those concerned.
const PRINTED: usize = 5;
const EVENTS: usize = 400;

/// The mesh in virtual time on a network that fails
#[derive(Parser)]
struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Only this one
    #[arg(long)]
    seed: Option<u64>,
    /// Print everything that happened
    #[arg(long)]
    history: bool,
    /// How many at a time
    #[arg(long, default_value_t = cores())]
    workers: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _unread = writeln!(io::stderr(), "simulation: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Were there no violations?
fn run(args: &Args) -> io::Result<bool> {
    let program = env::current_exe()?.with_file_name("simulated-seed");
    let seeds: Vec<u64> = match args.seed {
        Some(seed) => vec![seed],
        None => KNOWN.iter().map(|(seed, _)| *seed).chain(args.from..args.from + args.seeds).collect(),
    };
    let (began, total) = (Instant::now(), seeds.len());
    let next = Mutex::new(seeds.into_iter());
    let (told, tells) = mpsc::channel();
    let mut tally = Tally::default();
    thread::scope(|scope| {
        for core in 0..args.workers.max(1) {
            let (told, next, program) = (told.clone(), &next, &program);
            scope.spawn(move || work(core % cores(), next, program, &told));
        }
        drop(told);
        for (seed, outcome) in tells {
            tally.add(seed, outcome, args.history)?;
            if io::IsTerminal::is_terminal(&io::stderr()) {
                write!(io::stderr(), "\r{} of {total} seeds, {} with violations ", tally.seeds, tally.bad)?;
            }
        }
        io::Result::Ok(())
    })?;
    let took = began.elapsed().as_secs_f64();
    let mut out = io::stdout().lock();
    for (what, count) in &tally.counts {
        writeln!(out, "{count:>9} {what}")?;
    }
    writeln!(out, "{} seeds in {took:.1} s, {} with violations", tally.seeds, tally.bad)?;
    Ok(tally.bad == 0)
}

/// How many cores there are.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn work(
    core: usize,
    next: &Mutex<impl Iterator<Item = u64>>,
    program: &Path,
    told: &mpsc::Sender<(u64, Result<Outcome, String>)>,
) {
    loop {
        let Some(seed) = next.lock().unwrap_or_else(PoisonError::into_inner).next() else { return };
        let outcome = Task { seed, sabotage: None, core: Some(core) }.run(program);
        if told.send((seed, outcome)).is_err() {
            return;
        }
    }
}

#[derive(Default)]
struct Tally {
    seeds: u64,
    bad: u64,
    counts: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: Result<Outcome, String>, all: bool) -> io::Result<()> {
        self.seeds += 1;
        let mut out = io::stdout().lock();
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                self.bad += 1;
                return writeln!(out, "seed {seed}: {error}");
            }
        };
        let history = &outcome.history;
        for (what, count) in &history.counts {
            *self.counts.entry(what.clone()).or_default() += count;
        }
        if history.violations.is_empty() && !all {
            return Ok(());
        }
        self.bad += u64::from(!history.violations.is_empty());
        let who: Vec<_> =
            history.violations.iter().take(PRINTED).flat_map(|violation| &violation.who).collect();
        let mut left = EVENTS;
        for event in &history.events {
            let concerns = all || who.contains(&&event.who) || matches!(event.who.as_str(), "log" | "-");
            if concerns && (all || left > 0) {
                left = left.saturating_sub(1);
                writeln!(
                    out,
                    "{:>12.6} {} {}",
                    std::time::Duration::from_micros(event.at).as_secs_f64(),
                    event.who,
                    event.what
                )?;
            }
        }
        writeln!(out, "seed {seed}, digest {}: {} violations", outcome.digest, history.violations.len())?;
        for violation in history.violations.iter().take(PRINTED) {
            writeln!(out, "  {} {}", violation.rule, violation.what)?;
        }
        writeln!(out, "  again: tests/run simulation --seed {seed}")
    }
}
