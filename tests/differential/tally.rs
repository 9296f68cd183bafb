//! Counts what came of the cases, and shows what was wrong.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use online_alter_support::{Flavor, Watchdog};

use crate::case::Case;
use crate::verdict::{Verdict, Wrong};

pub(crate) struct Tally {
    flavor: Flavor,
    started: Instant,
    counts: BTreeMap<String, u64>,
    wrong: BTreeMap<String, Vec<u64>>,
    watchdog: Option<Watchdog>,
    slowest: (Duration, u64),
    case_started: Instant,
}

/// No case takes so long, be it shrunk.
const STUCK: Duration = Duration::from_secs(180);

impl Tally {
    pub(crate) fn new(flavor: Flavor) -> Self {
        Tally {
            flavor,
            started: Instant::now(),
            counts: BTreeMap::new(),
            wrong: BTreeMap::new(),
            watchdog: None,
            slowest: (Duration::ZERO, 0),
            case_started: Instant::now(),
        }
    }

    pub(crate) fn begins(&mut self, seed: u64) {
        self.watchdog = Some(Watchdog::start(format!("{} in SEED={seed}", self.flavor), STUCK));
        self.case_started = Instant::now();
    }

    /// Whether so much time has passed.
    pub(crate) fn is_over(&self, limit: Duration) -> bool {
        self.started.elapsed() > limit
    }

    /// Whether the like of it has not been shown yet.
    pub(crate) fn is_new(&self, wrong: &Wrong) -> bool {
        !self.wrong.contains_key(&wrong.signature)
    }

    pub(crate) fn show(&self, case: &Case, wrong: &Wrong) {
        eprintln!(
            "\n==== {} SEED={} CASES=1: {}\n{}\n{}====",
            self.flavor,
            case.seed,
            wrong.signature,
            wrong.detail.trim_end(),
            case.script()
        );
    }

    pub(crate) fn ends(&mut self, seed: u64, verdict: &Verdict) {
        let took = self.case_started.elapsed();
        let name = match verdict {
            Verdict::Equal => "equal".to_owned(),
            Verdict::BothRefused => "both refused".to_owned(),
            Verdict::BothFailed => "both failed on data".to_owned(),
            Verdict::Excluded(reason) => format!("excluded: {reason}"),
            Verdict::NoTable(why) => {
                if std::env::var_os("VERBOSE").is_some() {
                    eprintln!("SEED={seed}: no table: {why}");
                }
                "no such table".to_owned()
            }
            Verdict::Wrong(wrong) => {
                self.wrong.entry(wrong.signature.clone()).or_default().push(seed);
                format!("WRONG: {}", wrong.kind)
            }
        };
        if !name.starts_with("WRONG") && took > self.slowest.0 {
            self.slowest = (took, seed);
        }
        *self.counts.entry(name).or_default() += 1;
        let done: u64 = self.counts.values().sum();
        if done.is_multiple_of(500) {
            self.report();
        }
    }

    fn report(&self) {
        let done: u64 = self.counts.values().sum();
        eprintln!(
            "\n{}: {done} cases in {:.0?}, the slowest {:.1?} (SEED={})",
            self.flavor,
            self.started.elapsed(),
            self.slowest.0,
            self.slowest.1
        );
        for (name, count) in &self.counts {
            eprintln!("{count:8} {name}");
        }
    }

    pub(crate) fn finish(mut self) {
        self.watchdog = None;
        self.report();
        for (signature, seeds) in &self.wrong {
            let first: Vec<String> = seeds.iter().take(8).map(u64::to_string).collect();
            eprintln!("{:4} x {signature} (SEED={})", seeds.len(), first.join(" "));
        }
        assert!(self.wrong.is_empty(), "{}: {} kinds of wrong", self.flavor, self.wrong.len());
    }
}
