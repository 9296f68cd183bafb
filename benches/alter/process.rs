//! What Linux knows of this process.

use std::fs;
use std::time::Duration;

/// Of `/proc`: a hundredth of a second on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// The processor time of all threads so far.
pub(crate) fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may have spaces in it.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u32 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u32>().ok())
        .sum();
    TICK * ticks
}

/// The most memory that was resident so far, in MiB.
pub(crate) fn peak_mib() -> f64 {
    status("VmHWM:")
}

/// A line of `/proc/self/status`, in MiB.
fn status(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}
