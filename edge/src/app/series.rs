//! Reading the metrics of this process in the text format of Prometheus, so that a request costs nothing more
//! for whoever wants to know what was counted.

/// The series of a metric: the labels of each, and its value.
pub(super) fn series<'a>(text: &'a str, metric: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let labelled = text.lines().filter_map(move |line| line.strip_prefix(metric)?.strip_prefix('{'));
    labelled.filter_map(|line| line.rsplit_once(' '))
}
