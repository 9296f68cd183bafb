//! The host program: this test binary, started again, alters one table. It stands still at a named point, for whoever
//! started it to kill it there.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use online_alter::{ChunkSize, Event, IndexBuild, Postpone, Step};

use crate::harness::alter_at;

pub(super) const CLAUSE: &str = "MODIFY id BIGINT NOT NULL AUTO_INCREMENT, MODIFY owner BIGINT NOT NULL DEFAULT 1, ADD UNIQUE KEY u (id, v)";

const NAMES: [&str; 6] = ["OA_URL", "OA_AT", "OA_RESUME", "OA_CLAUSE", "OA_GTID", "OA_STREAM"];

/// Not a test: what the tests of this module start.
#[test]
#[ignore = "is started by the tests of this module"]
fn host_program() {
    let [url, at, resume, clause, gtid, stream] =
        NAMES.map(|name| std::env::var(name).unwrap_or_default());
    if url.is_empty() {
        return;
    }
    let _ = env_logger::try_init();
    let postponed = at == "Phase Postponed";
    let stop = move |here: &str| {
        if here == at {
            say(&format!("AT {here}"));
            loop {
                std::thread::park();
            }
        }
    };
    let on_step = stop.clone();
    let chunks = AtomicU64::new(0);
    let clause = if clause.is_empty() { CLAUSE } else { &clause };
    let mut run = alter_at(url.as_str(), "t", clause)
        .cut_over_lock_timeout(Duration::from_secs(10))
        .keep_foreign_keys(true)
        .include_triggers(true)
        .index_build(IndexBuild::AfterCopy)
        .chunk_size(ChunkSize::Rows(100))
        .checkpoint_interval(Duration::from_millis(20))
        .postpone_cut_over(if postponed { Postpone::until_released() } else { Postpone::never() })
        .resume(resume == "1")
        .on_step(move |step: Step, _| on_step(&format!("{step:?}")))
        .observer(move |event: &Event| match event {
            Event::Phase(phase) => stop(&format!("Phase {phase:?}")),
            Event::ChunkCopied { .. } => {
                stop(&format!("Chunk {}", chunks.fetch_add(1, Ordering::SeqCst)));
            }
            _ => {}
        })
        .gtid(!gtid.is_empty());
    if !stream.is_empty() {
        run = run.stream_from(stream.as_str());
    }
    say(&match run.run() {
        Ok(report) => {
            format!("DONE {} {}", report.reconciled_keys.len(), report.conflicting_keys.len())
        }
        Err(error) => format!("FAILED {:?} {}", error.kind(), error.to_string().replace('\n', " ")),
    });
}

/// To whoever started the program. The test harness has begun a line of its own.
fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{what}").unwrap();
}

/// What became of a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It stands at its point.
    At,
    /// It has ended well, with so many keys reconciled, and so many in conflict.
    Done(String),
    Failed(String),
    /// It goes on still.
    Nothing,
}

/// A running program. Dropped, it is killed.
pub(super) struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    pub(super) fn start(url: &str, at: &str, resume: bool) -> Self {
        Self::start_with(url, at, resume, &[])
    }

    /// With more variables.
    pub(super) fn start_with(url: &str, at: &str, resume: bool, vars: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kills::program::host_program", "--exact", "--ignored", "--nocapture"])
            .env(NAMES[0], url)
            .env(NAMES[1], at)
            .env(NAMES[2], if resume { "1" } else { "0" })
            .envs(vars.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (say, lines) = channel();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| say.send(line).ok())
        });
        Program { child, lines }
    }

    /// Waits until it stands still, has ended, or the time is over.
    pub(super) fn wait(&mut self, at_most: Duration) -> Said {
        let end = std::time::Instant::now() + at_most;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => return Said::Nothing,
                Err(RecvTimeoutError::Disconnected) => {
                    return Said::Failed("ended without a word".to_owned());
                }
            };
            if line.starts_with("AT ") {
                return Said::At;
            }
            if let Some(how) = line.strip_prefix("DONE ") {
                return Said::Done(how.to_owned());
            }
            if let Some(why) = line.strip_prefix("FAILED ") {
                return Said::Failed(why.to_owned());
            }
        }
    }

    /// SIGSTOP, or SIGCONT.
    pub(super) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap();
        assert!(sent.success());
    }

    /// SIGKILL.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
