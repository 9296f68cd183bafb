//! Counts what came of the cases, and shows what was wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use online_alter_support::Flavor;

use crate::case::Case;
use crate::verdict::{Verdict, Wrong};

pub(crate) struct Tally {
    flavor: Flavor,
    started: Instant,
    counts: BTreeMap<String, u64>,
    wrong: BTreeMap<String, Vec<u64>>,
    /// The seed under way, for the watchdog; the highest bit stands for the end.
    seed: Arc<AtomicU64>,
    slowest: (Duration, u64),
    case_started: Instant,
}

/// No case takes so long, be it shrunk.
const STUCK: Duration = Duration::from_secs(180);

impl Tally {
    pub(crate) fn new(flavor: Flavor) -> Self {
        let seed = Arc::new(AtomicU64::new(0));
        let watched = Arc::clone(&seed);
        std::thread::spawn(move || {
            let (mut last, mut since) = (0, Instant::now());
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let now = watched.load(Ordering::Relaxed);
                if now != last {
                    (last, since) = (now, Instant::now());
                }
                if now == u64::MAX {
                    return;
                }
                if since.elapsed() > STUCK {
                    eprintln!("{flavor}: STUCK in SEED={now}");
                    std::process::exit(3);
                }
            }
        });
        Tally {
            flavor,
            started: Instant::now(),
            counts: BTreeMap::new(),
            wrong: BTreeMap::new(),
            seed,
            slowest: (Duration::ZERO, 0),
            case_started: Instant::now(),
        }
    }

    pub(crate) fn begins(&mut self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
        self.case_started = Instant::now();
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

    pub(crate) fn finish(self) {
        self.seed.store(u64::MAX, Ordering::Relaxed);
        self.report();
        for (signature, seeds) in &self.wrong {
            let first: Vec<String> = seeds.iter().take(8).map(u64::to_string).collect();
            eprintln!("{:4} x {signature} (SEED={})", seeds.len(), first.join(" "));
        }
        assert!(self.wrong.is_empty(), "{}: {} kinds of wrong", self.flavor, self.wrong.len());
    }
}
