//! What a run costs: CPU time of each part from `/proc/PID/stat`, resident memory, and what else the machine
//! did meanwhile.

use std::{
    fs,
    time::{Duration, Instant},
};

use ::tests::mesh::Mesh;

/// Clock ticks a second in `/proc`: Linux has shown 100 to user space on every machine for decades.
const TICKS: f64 = 100.0;

/// A part of what runs, by its processes.
#[derive(Clone)]
pub(crate) struct Part {
    name: String,
    pids: Vec<u32>,
    /// Whether the processes' children belong to it, those that ended included.
    with_children: bool,
}

impl Part {
    /// This process: the generator.
    pub(crate) fn generator() -> Self {
        Self { name: "generator".to_owned(), pids: vec![std::process::id()], with_children: false }
    }

    /// One process.
    pub(crate) fn process(name: &str, pid: u32) -> Self {
        Self { name: name.to_owned(), pids: vec![pid], with_children: false }
    }

    /// A mesh, as one part.
    pub(crate) fn mesh(mesh: &Mesh) -> Self {
        let pids = mesh.nodes.iter().map(|node| node.process.pid()).collect();
        Self { name: "mesh".to_owned(), pids, with_children: false }
    }

    /// The throwaway PostgreSQL: its postmaster and all its backends, those that ended included.
    ///
    /// # Panics
    /// When this process was not started by the keeper.
    pub(crate) fn postgres() -> Self {
        let pid = std::env::var(crate::keeper::POSTGRES_PID).ok().and_then(|pid| pid.parse().ok());
        let pids = vec![pid.expect("the keeper names the server's process")];
        Self { name: "PostgreSQL".to_owned(), pids, with_children: true }
    }

    fn seconds(&self) -> f64 {
        let mut ticks = 0;
        for &pid in &self.pids {
            let Some(stat) = Stat::of(pid) else { continue };
            ticks += stat.own;
            if self.with_children {
                ticks += stat.ended_children
                    + Stat::all().filter(|child| child.parent == pid).map(|child| child.own).sum::<u64>();
            }
        }
        ticks as f64 / TICKS
    }
}

/// What `/proc/PID/stat` says of a process.
struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The program's name stands in parentheses and may hold anything, so the rest is counted from the last
    /// one.
    fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: ticks(11)? + ticks(12)?,
            ended_children: ticks(13)? + ticks(14)?,
        })
    }

    fn all() -> impl Iterator<Item = Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| Self::of(entry.file_name().to_str()?.parse().ok()?))
    }
}

/// CPU seconds of the whole machine since its start: busy, and taken away by the host.
fn machine() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let at = |i: usize| ticks.get(i).copied().unwrap_or(0.0) / TICKS;
    (at(0) + at(1) + at(2) + at(5) + at(6), at(7))
}

/// A measurement under way.
pub(crate) struct Meter {
    parts: Vec<Part>,
    seconds: Vec<f64>,
    machine: (f64, f64),
    began: Instant,
}

/// What was used.
#[derive(Clone, Default)]
pub(crate) struct Used {
    /// CPU seconds by part.
    pub(crate) parts: Vec<(String, f64)>,
    /// CPU seconds of everything else on the machine.
    pub(crate) others: f64,
    /// CPU seconds that the host gave to somebody else.
    pub(crate) stolen: f64,
    /// How long it took.
    pub(crate) lasted: Duration,
}

impl Meter {
    /// Begins.
    pub(crate) fn start(parts: impl IntoIterator<Item = Part>) -> Self {
        let parts: Vec<_> = parts.into_iter().collect();
        let seconds = parts.iter().map(Part::seconds).collect();
        Self { parts, seconds, machine: machine(), began: Instant::now() }
    }

    /// Ends.
    pub(crate) fn stop(self) -> Used {
        let lasted = self.began.elapsed();
        let (busy, stolen) = machine();
        let since = self
            .parts
            .iter()
            .zip(&self.seconds)
            .map(|(part, before)| (part.name.clone(), part.seconds() - before));
        let parts: Vec<_> = since.collect();
        let ours: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
        Used {
            others: (busy - self.machine.0 - ours).max(0.0),
            stolen: stolen - self.machine.1,
            parts,
            lasted,
        }
    }
}

impl Used {
    /// CPU microseconds that each of so many took, all parts together.
    pub(crate) fn micros_each(&self, count: u64) -> f64 {
        self.parts.iter().map(|(_, seconds)| seconds).sum::<f64>() * 1e6 / (count as f64).max(1.0)
    }

    /// The same, part by part: `mesh 12.3, generator 6.1`.
    pub(crate) fn by_part(&self, count: u64) -> String {
        let each = |(name, seconds): &(String, f64)| {
            format!("{name} {:.1}", seconds * 1e6 / (count as f64).max(1.0))
        };
        self.parts.iter().map(each).collect::<Vec<_>>().join(", ")
    }

    /// How many cores each part kept busy, and what else ran.
    pub(crate) fn cores(&self) -> String {
        let wall = self.lasted.as_secs_f64().max(1e-9);
        let mut text: Vec<_> =
            self.parts.iter().map(|(name, seconds)| format!("{name} {:.2}", seconds / wall)).collect();
        text.push(format!("others {:.2}", self.others / wall));
        text.push(format!("stolen {:.2}", self.stolen / wall));
        text.join(", ")
    }
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1_024
}

/// The machine and what goes on there, for the head of every report.
pub(crate) fn conditions() -> String {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = text("/proc/cpuinfo");
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("?", |(_, name)| name);
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory = text("/proc/meminfo")
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok())
        .unwrap_or(0)
        >> 20;
    let load = text("/proc/loadavg");
    let load: Vec<_> = load.split_ascii_whitespace().take(3).collect();
    format!("{cores} cores of {model}, {memory} GiB; load average before it began: {}", load.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let text = "42 (a) b) R) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 30 20 20 0 4 0 100 0 0";
        let stat = Stat::read(text).map(|stat| (stat.parent, stat.own, stat.ended_children));
        assert_eq!(stat, Some((7, 200, 50)));
    }

    #[test]
    fn work_is_seen_where_it_was_done() {
        let meter = Meter::start([Part::generator()]);
        // Until it has worked so long, however little of the processor it gets: a tick is ten milliseconds.
        let own = || Stat::of(std::process::id()).map_or(0, |stat| stat.own);
        let until = own() + 10;
        while own() < until {
            std::hint::spin_loop();
        }
        let used = meter.stop();
        assert!(used.micros_each(1) > 50_000.0, "{}", used.cores());
        assert!(resident(std::process::id()) > 1 << 20);
    }
}
