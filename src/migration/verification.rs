//! The stage that compares the rows of the two tables before they are swapped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::chunks::in_chunks;
use super::observer::Event;
use super::options::OnMismatch;
use super::stages::Stages;
use crate::copy::ChunkSize;
use crate::copy::chunk::Chunk;
use crate::copy::chunk_size::Sizer;
use crate::copy::chunker::Chunker;
use crate::db::{Purpose, Session};
use crate::difference::Difference;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Key;
use crate::verify::comparer::Compared;
use crate::verify::{Comparer, Explainer, Style};

/// How many differing rows are described.
const DESCRIBED: usize = 20;

/// How often all rows are compared because the last time some differed.
const MOST_PASSES: u32 = 5;

/// How long comparing a chunk should take: no lock is held, but a snapshot is.
const CHUNK_TIME: Duration = Duration::from_millis(150);

/// How many keys of rows that differ, or have changed, are kept until they can be judged. With more of
/// them all rows are compared again, which is not much more work.
pub(super) const MOST_AHEAD: usize = 50_000;

/// What verification has found.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Verification {
    /// How often all rows were compared. The last time none differed.
    pub passes: u32,
    /// The rows that the last pass compared.
    pub rows: u64,
    /// Rows that differed, and not because of changes still to be carried over, and were repaired.
    pub repaired: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// How long it took in all.
    pub elapsed: Duration,
}

/// Compares, as often as it is asked to.
pub(super) struct Verifier<'a> {
    stages: &'a Stages<'a>,
    comparer: Comparer,
    sizer: Sizer,
    /// Compares, and writes markers.
    rows: Session,
    /// Repairs, in transactions.
    locker: Session,
    /// Compare side by side. They are kept from pass to pass: while a run is postponed there are many.
    workers: Vec<Session>,
    found: Verification,
    last_end: Instant,
    last_took: Duration,
}

impl<'a> Verifier<'a> {
    /// To be made before the copy begins: what stands in the way of comparing shows here.
    pub(super) fn new(stages: &'a Stages<'a>) -> Result<Self> {
        let Stages { follow, table, ghost, server, .. } = *stages;
        let mut rows = stages.open(Purpose::Rows)?;
        let style = Style::new(server);
        let comparer = Comparer::new(&follow.pair, table, &ghost.table, style, &mut rows)?;
        Ok(Verifier {
            stages,
            comparer,
            sizer: sizer(stages),
            rows,
            locker: stages.open(Purpose::Refresh)?,
            workers: Vec::new(),
            found: Verification::default(),
            last_end: Instant::now(),
            last_took: Duration::ZERO,
        })
    }

    pub(super) fn comparer(&self) -> &Comparer {
        &self.comparer
    }

    /// Compares all rows until a pass finds no difference. A pass is given up when `enough` says so,
    /// unless a difference has been found since the last that was clean. What was compared `ahead` counts
    /// as the first pass.
    pub(super) fn until_clean(
        &mut self,
        session: &mut Session,
        mut ahead: Option<Ahead>,
        enough: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let started = Instant::now();
        let ahead_took = ahead.as_ref().map_or(Duration::ZERO, |ahead| ahead.took);
        let mut repaired = 0;
        for _ in 0..MOST_PASSES {
            let before = repaired;
            let enough = &mut || before == 0 && enough();
            let finished = self.pass(session, ahead.take(), &mut repaired, enough)?;
            if repaired == before {
                if finished {
                    self.found.passes += 1;
                }
                self.last_end = Instant::now();
                self.last_took = started.elapsed() + ahead_took;
                self.found.elapsed += self.last_took;
                return Ok(());
            }
            self.found.passes += 1;
            self.found.repaired += repaired - before;
            log::warn!("{} rows differed and were repaired", repaired - before);
        }
        Err(self.differ(&format!(
            "{MOST_PASSES} times rows were found to differ and were repaired, and others differed \
             the next time: something writes to the table past the binlog"
        )))
    }

    /// Whether it is time to compare again, while the swap is postponed: not all the time.
    pub(super) fn is_due(&self) -> bool {
        const REST: Duration = Duration::from_secs(5);
        self.last_end.elapsed() > REST.max(self.last_took * 9)
    }

    pub(super) fn into_found(self) -> Verification {
        self.found
    }

    /// Compares all rows once; `false` if it was `enough` before the end.
    fn pass(
        &mut self,
        session: &mut Session,
        ahead: Option<Ahead>,
        repaired: &mut u64,
        enough: &mut dyn FnMut() -> bool,
    ) -> Result<bool> {
        let Self { comparer, sizer, rows, locker, workers, found, stages, .. } = self;
        let control = stages.control;
        let comparer: &Comparer = comparer;
        let mut looked_at =
            Found { stages, comparer, rows, locker, found, compared: 0, different: 0 };
        let mut stopped = false;
        let mut look = |compared: &Compared| {
            *repaired += looked_at.chunk(compared)?;
            stopped = enough();
            // Any error ends the pass; this one is known.
            if stopped { Err(Error::aborted()) } else { Ok(()) }
        };
        let took_place = if let Some(ahead) = ahead {
            let compared = ahead.seen_again(stages, comparer, session)?;
            look(&compared)
        } else {
            if workers.is_empty() {
                *workers = stages.open_workers()?;
            }
            compare_all(stages, comparer, sizer, session, workers, |compared| look(&compared))
        };
        let (compared, different) = (looked_at.compared, looked_at.different);
        match took_place {
            Err(error) if !stopped => Err(error),
            // Also of a pass that was given up: what it has found is found.
            _ if different > 0 => Err(self.differ(&format!("{different} rows differ"))),
            Err(_) => control.cancel.check().map(|()| false),
            Ok(()) => {
                self.found.rows = compared;
                control.tell(&Event::Verified { rows: compared, repaired: *repaired });
                Ok(true)
            }
        }
    }

    fn differ(&self, why: &str) -> Error {
        rows_differ(why, &self.found.differences)
    }
}

/// Compares all rows, in chunks side by side, and hands each chunk's result to `finished`.
fn compare_all(
    stages: &Stages<'_>,
    comparer: &Comparer,
    sizer: &Sizer,
    session: &mut Session,
    workers: &mut [Session],
    finished: impl FnMut(Compared) -> Result<()>,
) -> Result<()> {
    let Stages { control, follow, options, .. } = *stages;
    let (retries, cancel) = (options.retries(), &control.cancel);
    let chunker = Chunker::everything(Arc::clone(&follow.pair), retries, session, cancel)?;
    let compare = |chunk: &Chunk, session: &mut Session| {
        let (after, through) = (chunk.after.as_ref(), chunk.through.as_ref());
        let compared =
            session.retrying(retries, cancel, |session| comparer.range(session, after, through))?;
        Ok((compared.rows, compared))
    };
    in_chunks(control, chunker, sizer, session, workers, compare, finished)
}

/// All rows compared before it can be told which differences are real.
pub(super) struct Ahead {
    /// With the keys of rows that differed, or have changed since.
    compared: Compared,
    took: Duration,
}

impl Ahead {
    /// Compares all rows, unless that is to `stop`. `None` if too many differ to be kept.
    pub(super) fn look(
        stages: &Stages<'_>,
        comparer: &Comparer,
        stop: &AtomicBool,
    ) -> Result<Option<Self>> {
        let began = Instant::now();
        let mut session = stages.open_worker()?;
        let sizer = sizer(stages);
        let mut all = Compared { rows: 0, different: Vec::new() };
        let mut stopped = false;
        let mut workers = stages.open_workers()?;
        let looked =
            compare_all(stages, comparer, &sizer, &mut session, &mut workers, |compared| {
                all.rows += compared.rows;
                all.different.extend(compared.different);
                stages.control.rows_verified.store(all.rows, Ordering::Relaxed);
                stopped = stop.load(Ordering::SeqCst) || all.different.len() > MOST_AHEAD;
                if stopped { Err(Error::aborted()) } else { Ok(()) }
            });
        match looked {
            Ok(()) => Ok(Some(Ahead { compared: all, took: began.elapsed() })),
            Err(_) if stopped => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// These rows are to be looked at as well: they have changed since. `None` if they are too many.
    pub(super) fn with(mut self, changed: Option<Vec<Key>>) -> Option<Self> {
        self.compared.different.extend(changed?);
        self.compared.different.sort_unstable();
        self.compared.different.dedup();
        Some(self)
    }
}

impl Ahead {
    /// Looks again at the rows that differed, once they have been refreshed: few are left to be judged.
    fn seen_again(
        self,
        stages: &Stages<'_>,
        comparer: &Comparer,
        session: &mut Session,
    ) -> Result<Compared> {
        const AT_ONCE: usize = 500;
        let Stages { control, options, .. } = *stages;
        let Compared { rows, different: keys } = self.compared;
        if keys.len() > AT_ONCE {
            stages.catch_up(session)?;
        }
        let mut different = Vec::new();
        for keys in keys.chunks(AT_ONCE) {
            control.gate.pass(&control.cancel)?;
            let compared = session.retrying(options.retries(), &control.cancel, |session| {
                comparer.keys(session, keys)
            })?;
            different.extend(compared);
        }
        Ok(Compared { rows, different })
    }
}

/// What is done about the chunks of a pass as they come in.
struct Found<'a> {
    stages: &'a Stages<'a>,
    comparer: &'a Comparer,
    rows: &'a mut Session,
    locker: &'a mut Session,
    found: &'a mut Verification,
    compared: u64,
    /// Rows that really differ and are not to be repaired.
    different: u64,
}

impl Found<'_> {
    /// Sees which differences of a chunk are real, and repairs those. Returns how many.
    fn chunk(&mut self, compared: &Compared) -> Result<u64> {
        let control = self.stages.control;
        self.compared += compared.rows;
        control.rows_verified.store(self.compared, Ordering::Relaxed);
        if compared.different.is_empty() {
            return Ok(0);
        }
        let explainer = explainer(self.stages, self.comparer);
        let real = explainer.really_different(&compared.different, self.rows, self.locker)?;
        if real.is_empty() {
            return Ok(0);
        }
        self.describe(&real)?;
        let count = u64::try_from(real.len()).unwrap_or(u64::MAX);
        if self.stages.options.on_mismatch == OnMismatch::Stop {
            self.different += count;
            // More chunks may show more, up to as many as are described.
            if self.found.differences.len() >= DESCRIBED {
                return Err(rows_differ("rows differ", &self.found.differences));
            }
            return Ok(0);
        }
        explainer.repair(&real, self.locker)?;
        let still = explainer.really_different(&real, self.rows, self.locker)?;
        if !still.is_empty() {
            self.found.differences.clear();
            self.describe(&still)?;
            let why = "rows differ still after they have been refreshed";
            return Err(rows_differ(why, &self.found.differences));
        }
        Ok(count)
    }

    fn describe(&mut self, keys: &[Key]) -> Result<()> {
        let Stages { control, options, .. } = *self.stages;
        let room = DESCRIBED.saturating_sub(self.found.differences.len());
        for key in keys.iter().take(room) {
            let comparer = self.comparer;
            let described = self.rows.retrying(options.retries(), &control.cancel, |session| {
                comparer.describe(session, key)
            })?;
            // One row may have been found under two spellings of its key.
            if let Some(difference) = described
                && !self.found.differences.contains(&difference)
            {
                let columns = difference.columns.iter().map(|column| column.column.as_str());
                let columns: Vec<&str> = columns.collect();
                log::warn!("verification: a row differs in {columns:?}");
                self.found.differences.push(difference);
            }
        }
        Ok(())
    }
}

fn sizer(stages: &Stages<'_>) -> Sizer {
    Sizer::new(ChunkSize::Time(CHUNK_TIME), stages.table.row_bytes)
}

fn explainer<'a>(stages: &'a Stages<'_>, comparer: &'a Comparer) -> Explainer<'a> {
    let Stages { control, follow, options, state, .. } = *stages;
    Explainer {
        comparer,
        pair: &follow.pair,
        refresher: &follow.refresher,
        touched: &follow.touched,
        feed: &follow.feed,
        state,
        gate: &control.gate,
        retries: options.retries(),
        cancel: &control.cancel,
    }
}

fn rows_differ(why: &str, differences: &[Difference]) -> Error {
    const NAMED: usize = 5;
    let mut named: Vec<String> = differences.iter().take(NAMED).map(ToString::to_string).collect();
    if differences.len() > NAMED {
        named.push("and more".to_owned());
    }
    Error::new(ErrorKind::RowsDiffer, format!("{why}: {}", named.join("; ")))
        .with_differences(differences.to_vec())
}
