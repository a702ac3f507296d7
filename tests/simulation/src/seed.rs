//! Runs one seed, in a process that is for nothing else, and tells what happened as JSON.
//!
//! Linking `mad_turmoil` is what makes it reproducible: it takes the place of the system's source of
//! randomness in this program, and of its clock, which stands still.

use std::{io::Write, path::PathBuf, process::ExitCode, thread};

use clap::Parser;
use rand_of_the_machine::{SeedableRng, rngs::StdRng};
use simulation::{
    child::{Outcome, Task},
    history, run,
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::Context, layer::SubscriberExt};

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    task: Task,
    /// Where to leave the databases
    #[arg(long)]
    folder: PathBuf,
}

/// Large enough for futures of an unoptimized build.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    let Args { task, folder } = Args::parse();
    if let Some(core) = task.core {
        stay_on(core);
    }
    mad_turmoil::rand::set_rng(StdRng::seed_from_u64(task.seed));
    // A new thread, whose hash maps have not been given keys yet.
    let running = thread::Builder::new().stack_size(STACK).spawn(move || told(&task, &folder));
    match running.map(thread::JoinHandle::join) {
        Ok(Ok(outcome)) => tell(&outcome),
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}

/// Where it cannot be had it is only slower.
fn stay_on(core: usize) {
    #[cfg(target_os = "linux")]
    {
        let mut cores = rustix::thread::CpuSet::new();
        if core < rustix::thread::CpuSet::MAX_CPU {
            cores.set(core);
        }
        let _not_had = rustix::thread::sched_setaffinity(None, &cores);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = core;
}

fn told(task: &Task, folder: &std::path::Path) -> Outcome {
    let written = tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(Log.with_filter(LevelFilter::WARN)),
    );
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        history::violated("NO-PANIC", &["-"], panic.to_string());
        said(panic);
    }));
    let history = match (written, run::run(task.seed, folder, task.sabotage)) {
        (Ok(()), history) => history,
        (Err(_), _) => unreachable!("nobody else wants the log"),
    };
    Outcome { seed: task.seed, digest: history.digest(), history }
}

fn tell(outcome: &Outcome) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let told = serde_json::to_writer(&mut out, outcome).is_ok() && out.flush().is_ok();
    if told { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Warnings and errors of the services, as a part of the history.
struct Log;

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line {
            text: format!("{} {}", event.metadata().level(), event.metadata().target()),
            alert: false,
        };
        event.record(&mut line);
        // A checkout may ask a person to look; nothing else should.
        if line.alert && line.text.contains(" checkout_id=") {
            history::count("alerts");
        } else if *event.metadata().level() == Level::ERROR {
            history::violated("NO-ERROR", &["log"], line.text.as_str());
        }
        history::note("log", line.text);
    }
}

/// An event as a line of text.
struct Line {
    text: String,
    /// It asks a person to look.
    alert: bool,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.text.push_str(&format!(" {}={value:?}", field.name()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.alert |= field.name() == "alert" && value;
    }
}
