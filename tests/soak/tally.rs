//! What the soak has seen.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use online_alter_support::Flavor;

#[derive(Debug)]
pub(crate) struct Tally {
    flavor: Flavor,
    began: Instant,
    pub(crate) rounds: u64,
    pub(crate) altered: u64,
    /// Errors by kind, phase and what became of the table.
    pub(crate) ended: BTreeMap<String, u64>,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) writes: u64,
    pub(crate) uncertain: u64,
    pub(crate) lost: usize,
    pub(crate) stale: usize,
    pub(crate) resurrected: usize,
    pub(crate) unexpected: usize,
    pub(crate) chunk_retries: u64,
    /// How often a run went on with what another one had left, and could not.
    pub(crate) resumed: u64,
    pub(crate) not_resumed: u64,
    pub(crate) attempts: u64,
    pub(crate) reconciled: usize,
    pub(crate) leftovers: u64,
    pub(crate) longest_lock: Duration,
    /// In KiB, after a round each: the first that counts, the last, the most.
    pub(crate) rss: Vec<u64>,
    pub(crate) threads: Vec<u64>,
    /// Everything that must not be.
    pub(crate) wrong: Vec<String>,
}

impl Tally {
    pub(crate) fn new(flavor: Flavor) -> Self {
        Tally {
            flavor,
            began: Instant::now(),
            rounds: 0,
            altered: 0,
            ended: BTreeMap::new(),
            faults: BTreeMap::new(),
            writes: 0,
            uncertain: 0,
            lost: 0,
            stale: 0,
            resurrected: 0,
            unexpected: 0,
            chunk_retries: 0,
            resumed: 0,
            not_resumed: 0,
            attempts: 0,
            reconciled: 0,
            leftovers: 0,
            longest_lock: Duration::ZERO,
            rss: Vec::new(),
            threads: Vec::new(),
            wrong: Vec::new(),
        }
    }

    pub(crate) fn note_process(&mut self) {
        self.rss.push(of_process("self", "VmRSS:"));
        self.threads.push(of_process("self", "Threads:"));
    }
}

/// What the system says of a process; zero if it does not.
pub(crate) fn of_process(id: &str, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.began.elapsed().as_secs() / 60;
        writeln!(f, "== {} in {minutes} min", self.flavor)?;
        writeln!(f, "runs {}, altered {}", self.rounds, self.altered)?;
        for (how, count) in &self.ended {
            writeln!(f, "  ended {count} x {how}")?;
        }
        let all: u64 = self.faults.values().sum();
        let kinds: Vec<String> =
            self.faults.iter().map(|(what, n)| format!("{what} {n}")).collect();
        writeln!(f, "faults {all}: {}", kinds.join(", "))?;
        writeln!(f, "writes {} acknowledged, {} without an answer", self.writes, self.uncertain)?;
        writeln!(
            f,
            "rows lost {}, stale {}, resurrected {}, unexpected {}",
            self.lost, self.stale, self.resurrected, self.unexpected
        )?;
        writeln!(
            f,
            "chunk retries {}, attempts to cut over {}, keys brought over behind the swap {}, longest lock {:?}",
            self.chunk_retries, self.attempts, self.reconciled, self.longest_lock
        )?;
        writeln!(f, "gone on with {}, not to be gone on with {}", self.resumed, self.not_resumed)?;
        writeln!(f, "left by runs and cleaned up: {}", self.leftovers)?;
        let first = |all: &[u64]| all.get(2).or(all.last()).copied().unwrap_or(0);
        let last = |all: &[u64]| all.last().copied().unwrap_or(0);
        writeln!(
            f,
            "RSS of the whole process {} KiB after three rounds, {} at the end, {} at most; threads {} and {}",
            first(&self.rss),
            last(&self.rss),
            self.rss.iter().max().copied().unwrap_or(0),
            first(&self.threads),
            last(&self.threads)
        )?;
        write!(f, "wrong: {}", self.wrong.len())?;
        self.wrong.iter().try_for_each(|wrong| write!(f, "\n  {wrong}"))
    }
}
