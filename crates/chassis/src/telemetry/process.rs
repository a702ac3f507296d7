//! The metrics that the system has of this process, under the names that every Prometheus client uses, and
//! the version of the build.
//!
//! They are read from `/proc` when they are asked for; a system without `/proc` does not have them.

use std::{fmt::Write, fs};

use rustix::{param::clock_ticks_per_second, process::Resource, process::getrlimit};

/// The most characters of a machine's name, which is what Linux allows.
const LONGEST: usize = 64;

/// Sets the metric of the build: `version` is such as `0.1.0 (5a5522887139)`, or without the commit.
pub(super) fn tell_build(version: &'static str) {
    let (version, commit) = apart(version);
    metrics::gauge!("boxoffice_build_info", "version" => version, "commit" => commit).set(1.0);
}

fn apart(version: &str) -> (&str, &str) {
    let commit =
        version.split_once(" (").and_then(|(version, commit)| Some((version, commit.strip_suffix(')')?)));
    commit.unwrap_or((version, "unknown"))
}

/// The name of the machine, which is that of the pod where it is one.
pub(super) fn host() -> String {
    let told = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = told.trim().chars().filter(|c| c.is_ascii_graphic()).take(LONGEST).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// Appends the metrics of this moment, in the text format of Prometheus.
pub(super) fn tell(text: &mut String) {
    let mut metric = |name: &str, kind: &str, meaning: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _written = writeln!(text, "# HELP {name} {meaning}\n# TYPE {name} {kind}\n{name} {value}\n");
        }
    };
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let stat = Stat::of(&stat);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = |name| Some(number(&status, name)? * 1_024.0);
    let began = || Some(booted()? + stat.as_ref()?.began);
    metric(
        "process_cpu_seconds_total",
        "counter",
        "User and system time that this process has taken.",
        stat.as_ref().map(|stat| stat.cpu),
    );
    metric("process_start_time_seconds", "gauge", "When this process began, in seconds since 1970.", began());
    metric("process_threads", "gauge", "Threads of this process.", number(&status, "Threads:"));
    metric(
        "process_resident_memory_bytes",
        "gauge",
        "Memory of this process that is in RAM.",
        memory("VmRSS:"),
    );
    metric("process_virtual_memory_bytes", "gauge", "Address space of this process.", memory("VmSize:"));
    metric("process_open_fds", "gauge", "Files and connections that are open.", open_files());
    metric("process_max_fds", "gauge", "How many files and connections may be open.", max_files());
}

/// Times in seconds: the CPU time of the process, and when it began after the machine did.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu: f64,
    began: f64,
}

impl Stat {
    /// Reads `/proc/self/stat`, whose second field is a name in brackets that may hold anything.
    fn of(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        #[expect(clippy::cast_precision_loss, reason = "a hundred")]
        let seconds =
            |field: usize| Some(fields.get(field)?.parse::<f64>().ok()? / clock_ticks_per_second() as f64);
        // The state is the third field of the file, and the first here.
        Some(Self { cpu: seconds(11)? + seconds(12)?, began: seconds(19)? })
    }
}

/// The number behind a name at the beginning of a line.
fn number(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// When the machine began, in seconds since 1970.
fn booted() -> Option<f64> {
    number(&fs::read_to_string("/proc/stat").ok()?, "btime ")
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn open_files() -> Option<f64> {
    // Since Linux 6.2 the folder's size is their number; before, it is 0, and they are counted.
    let counted = fs::metadata("/proc/self/fd").ok()?.len();
    let open = if counted > 0 { counted } else { fs::read_dir("/proc/self/fd").ok()?.count() as u64 };
    Some(open as f64)
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn max_files() -> Option<f64> {
    getrlimit(Resource::Nofile).current.map(|most| most as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_apart_from_its_commit() {
        assert_eq!(apart("0.1.0 (5a5522887139)"), ("0.1.0", "5a5522887139"));
        assert_eq!(apart("0.1.0"), ("0.1.0", "unknown"));
    }

    #[test]
    fn the_machine_has_a_name_without_spaces() {
        let name = host();
        assert!((1..=LONGEST).contains(&name.len()) && !name.contains(char::is_whitespace), "{name:?}");
    }

    #[test]
    fn a_process_may_be_called_what_it_likes() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 4194560 0 0 0 0 250 150 0 0 20 0 8 0 5000 0 0 0";
        let ticks = clock_ticks_per_second();
        assert_eq!(ticks, 100);
        assert_eq!(Stat::of(line), Some(Stat { cpu: 4.0, began: 50.0 }));
        assert_eq!(Stat::of("7 (a) S 1"), None);
    }

    #[test]
    fn every_figure_is_there_and_sensible() {
        let mut text = String::new();
        tell(&mut text);
        let value =
            |name: &str| number(&text, &format!("{name} ")).unwrap_or_else(|| panic!("{name} in {text}"));
        assert!(value("process_cpu_seconds_total") >= 0.0 && value("process_threads") >= 1.0);
        assert!(value("process_start_time_seconds") > 1.7e9);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_resident_memory_bytes") > 1e5);
        assert!((3.0..=value("process_max_fds")).contains(&value("process_open_fds")));
    }
}
