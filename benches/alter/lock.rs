//! A machine that is shared: who measures holds a lock, of `flock`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Given back when it is dropped.
pub(crate) struct Lock(Option<Child>);

/// Waits for the lock, if there is one.
pub(crate) fn hold(file: Option<&Path>) -> Result<Lock> {
    let Some(file) = file else {
        return Ok(Lock(None));
    };
    let mut child = Command::new("flock")
        .arg(file)
        // It ends when we close its input, or when we are gone.
        .args(["sh", "-c", "echo; cat >/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run flock")?;
    let answer = child.stdout.take().context("no answer of flock")?;
    let mut line = String::new();
    BufReader::new(answer).read_line(&mut line)?;
    ensure!(!line.is_empty(), "no lock {}", file.display());
    Ok(Lock(Some(child)))
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}
