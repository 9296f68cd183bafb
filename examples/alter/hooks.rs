//! gh-ost's hooks: programs in a directory, called at the points of a run at which gh-ost calls them, with its
//! names of environment variables. A program that fails at a point that comes before something ends the run.

use std::fs;
use std::io::stderr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use online_alter::{Event, Observer, Phase, Progress};

use crate::common::warn;

/// Flags with gh-ost's names, units and defaults.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hooks")]
pub(crate) struct HookFlags {
    /// A directory with executables gh-ost-on-startup*, -validated*, -rowcount-complete* (with --exact-rowcount),
    /// -before-row-copy*, -batch-copy-retry*, -row-copy-complete*, -begin-postponed*, -before-cut-over*,
    /// -stop-replication*, -start-replication*, -interactive-command*, -status*, -success* and -failure*. They get
    /// gh-ost's environment variables (GH_OST_TABLE_NAME, ..), without the quotes that gh-ost puts around two of them;
    /// GH_OST_ETA_SECONDS is -1 while that is not known. One that fails ends the run, cleanly; -interactive-command* that
    /// fails refuses the command, and -status*, -success* and -failure* are only warned of. The tool waits for them, and hears no signal meanwhile; -before-cut-over* is called before each attempt (gh-ost: once, before
    /// -begin-postponed*)
    #[arg(long, value_name = "DIR")]
    pub(crate) hooks_path: Option<PathBuf>,

    /// Text for the hooks: GH_OST_HOOKS_HINT
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) hooks_hint: String,

    /// GH_OST_HOOKS_HINT_OWNER
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) hooks_hint_owner: String,

    /// GH_OST_HOOKS_HINT_TOKEN
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) hooks_hint_token: String,

    /// Seconds between calls of gh-ost-on-status*
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) hooks_status_interval: u64,
}

/// The hooks of a run. Clones share what they tell of its progress.
#[derive(Debug, Clone)]
pub(crate) struct Hooks {
    path: Option<PathBuf>,
    /// What does not change during the run.
    fixed: Vec<(&'static str, String)>,
    progress: Arc<Mutex<Option<Progress>>>,
    status_interval: Duration,
    status_due: Instant,
    copied: bool,
    /// Whether the server changed the definition by itself.
    instant: Arc<AtomicBool>,
}

/// What a run is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) schema: &'a str,
    pub(crate) table: &'a str,
    pub(crate) alter: &'a str,
    pub(crate) host: &'a str,
    /// The one whose binary log is read.
    pub(crate) inspected: &'a str,
    pub(crate) executes: bool,
}

impl Hooks {
    pub(crate) fn new(flags: &HookFlags, about: About<'_>) -> Self {
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let fixed = vec![
            ("DATABASE_NAME", about.schema.to_owned()),
            ("TABLE_NAME", about.table.to_owned()),
            ("GHOST_TABLE_NAME", format!("_{}_gho", about.table)),
            ("OLD_TABLE_NAME", format!("_{}_del", about.table)),
            ("DDL", about.alter.to_owned()),
            ("MIGRATED_HOST", about.host.to_owned()),
            ("INSPECTED_HOST", about.inspected.to_owned()),
            ("EXECUTING_HOST", hostname.trim().to_owned()),
            ("HOOKS_HINT", flags.hooks_hint.clone()),
            ("HOOKS_HINT_OWNER", flags.hooks_hint_owner.clone()),
            ("HOOKS_HINT_TOKEN", flags.hooks_hint_token.clone()),
            ("DRY_RUN", (!about.executes).to_string()),
            ("REVERT", "false".to_owned()),
        ];
        let status_interval = Duration::from_secs(flags.hooks_status_interval);
        Hooks {
            path: flags.hooks_path.clone(),
            fixed,
            progress: Arc::default(),
            status_interval,
            status_due: Instant::now() + status_interval,
            copied: false,
            instant: Arc::default(),
        }
    }

    /// The server has done it with ALGORITHM=INSTANT.
    pub(crate) fn note_instant(&self) {
        self.instant.store(true, Ordering::SeqCst);
    }

    /// The run is over, and well.
    pub(crate) fn succeeded(&self) -> Result<(), String> {
        let instant = self.instant.load(Ordering::SeqCst).to_string();
        self.call("success", &[("INSTANT_DDL", instant)])
    }

    /// How far the run has come: what hooks are told from now on. Now and then a hook wants to know.
    pub(crate) fn note(&mut self, progress: Progress) {
        let status = progress.to_string();
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
        if Instant::now() >= self.status_due {
            self.status_due = Instant::now() + self.status_interval;
            if let Err(why) = self.call("status", &[("STATUS", status)]) {
                warn(why);
            }
        }
    }

    /// Runs all programs of a point, one after the other, until one fails.
    pub(crate) fn call(&self, point: &str, more: &[(&str, String)]) -> Result<(), String> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let wrong = |why: std::io::Error| format!("the hooks in {}: {why}", path.display());
        for program in programs(path, point).map_err(wrong)? {
            let mut command = Command::new(&program);
            for (name, value) in self.fixed.iter().chain(&self.figures()).chain(more) {
                command.env(format!("GH_OST_{name}"), value);
            }
            // The password, should it have come that way, is nobody else's business.
            let command = command.env_remove("MYSQL_PWD").stdin(Stdio::null()).stdout(stderr());
            let status = command.status().map_err(wrong)?;
            if !status.success() {
                return Err(format!("the hook {} failed: {status}", program.display()));
            }
        }
        Ok(())
    }

    /// What changes during the run.
    fn figures(&self) -> Vec<(&'static str, String)> {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let progress = progress.as_ref();
        // Before the run there are figures, too: a script may say `set -u`.
        let seconds = |of: fn(&Progress) -> Duration| {
            format!("{:.6}", progress.map(of).unwrap_or_default().as_secs_f64())
        };
        let rows = |of: fn(&Progress) -> u64| progress.map(of).unwrap_or_default().to_string();
        let share = progress.map_or(0.0, Progress::copied_share);
        let eta = progress.and_then(Progress::eta);
        vec![
            ("ELAPSED_SECONDS", seconds(|progress| progress.elapsed)),
            ("ELAPSED_COPY_SECONDS", seconds(|progress| progress.copy_time)),
            ("ESTIMATED_ROWS", rows(|progress| progress.rows_estimated)),
            ("COPIED_ROWS", rows(|progress| progress.rows_copied)),
            ("INSPECTED_LAG", seconds(|progress| progress.stream_lag)),
            ("HEARTBEAT_LAG", seconds(|progress| progress.stream_lag)),
            ("PROGRESS", format!("{:.6}", share * 100.0)),
            // Whole ones, as gh-ost's.
            ("ETA_SECONDS", eta.map_or_else(|| "-1".to_owned(), |eta| eta.as_secs().to_string())),
        ]
    }
}

/// The executables of a point, in the order of their names.
fn programs(path: &Path, point: &str) -> std::io::Result<Vec<PathBuf>> {
    let prefix = format!("gh-ost-on-{point}");
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(&prefix) {
            continue;
        }
        // Through links, too; those that lead nowhere are none.
        let is_program = fs::metadata(entry.path())
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
        if is_program {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

impl Observer for Hooks {
    fn on_event(&mut self, _: &Event) {}

    fn veto(&mut self, event: &Event) -> Option<String> {
        let point = match event {
            Event::Phase(Phase::Copy) => "before-row-copy",
            Event::Phase(Phase::Postponed) => "begin-postponed",
            Event::Phase(phase) if *phase > Phase::Copy && !self.copied => {
                self.copied = true;
                "row-copy-complete"
            }
            Event::CutOverAttempt { .. } => "before-cut-over",
            Event::ReplicationStops => "stop-replication",
            Event::ReplicationStarted => "start-replication",
            Event::RowsCounted { rows, .. } => {
                return self
                    .call("rowcount-complete", &[("ESTIMATED_ROWS", rows.to_string())])
                    .err();
            }
            Event::ChunkRetried { reason, .. } => {
                let error = [("LAST_BATCH_COPY_ERROR", reason.clone())];
                return self.call("batch-copy-retry", &error).err();
            }
            _ => return None,
        };
        self.call(point, &[]).err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_executables_of_a_point_in_order() {
        let dir = std::env::temp_dir().join(format!("online-alter-hooks-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for (name, mode) in [
            ("gh-ost-on-status-2", 0o755),
            ("gh-ost-on-status", 0o700),
            ("gh-ost-on-status-not", 0o644),
            ("gh-ost-on-success", 0o755),
        ] {
            fs::write(dir.join(name), "").unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir_all(dir.join("gh-ost-on-status-dir")).unwrap();
        let found = programs(&dir, "status").unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(found, [dir.join("gh-ost-on-status"), dir.join("gh-ost-on-status-2")]);
        assert!(programs(&dir, "status").is_err());
    }
}
