//! A server's process, and the certainty that it ends when ours does.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The supervisor's program. It reads orders from us, and when there are no more to read, because
/// the server was dropped or because this process has ended in whatever way, it kills the server
/// and removes its files. So nothing outlives a test run, killed ones included.
const SCRIPT: &str = r#"
trap '' PIPE
# A signal to the whole process group must not end it before it has ended the server.
trap : TERM INT HUP
log=$1 dir=$2 socket=$3
shift 3
pid=
end() {
    [ -z "$pid" ] || { kill -KILL "$pid"; wait "$pid"; pid=; }
}
while read -r order; do
    case $order in
        start) end; "$@" </dev/null >>"$log" 2>&1 & pid=$!; echo "$pid" ;;
        kill) end; echo 0 ;;
        stop) kill -TERM "$pid"; echo 0 ;;
    esac
done
end
rm -rf -- "$dir" "$socket"
"#;

#[derive(Debug)]
pub(crate) struct Supervisor {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pid: Option<u32>,
}

impl Supervisor {
    /// Takes charge of `dir` (removed in the end) and of what `command` will start.
    pub(crate) fn new(dir: &Path, socket: &Path, log: &Path, command: &[OsString]) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "online-alter-server"])
            .args([log, dir, socket])
            .args(command)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for us: the supervisor has to live long enough to clean up.
            .process_group(0)
            .spawn()
            .context("cannot run sh")?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().context("no output of the supervisor")?;
        Ok(Self { child, orders, answers: BufReader::new(answers), pid: None })
    }

    fn order(&mut self, order: &str) -> Result<u32> {
        let orders = self.orders.as_mut().context("the supervisor is gone")?;
        writeln!(orders, "{order}").context("the supervisor is gone")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer.trim().parse().with_context(|| format!("the supervisor answered {answer:?}"))
    }

    /// Starts the server, killing the one that may run.
    pub(crate) fn start(&mut self) -> Result<()> {
        let pid = self.order("start")?;
        if pid == 0 {
            bail!("the supervisor could not start the server");
        }
        self.pid = Some(pid);
        Ok(())
    }

    /// Ends the server with SIGKILL and waits for its end.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.order("kill")?;
        self.pid = None;
        Ok(())
    }

    /// Lets the server shut down, and kills it if that takes it more than a minute.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if self.running() {
            self.order("stop")?;
        }
        let asked = Instant::now();
        while self.running() {
            if asked.elapsed() > Duration::from_secs(60) {
                self.kill()?;
                bail!("the server did not shut down within a minute");
            }
            thread::sleep(Duration::from_millis(10));
        }
        // Nothing is left to kill: this takes note of its end.
        self.kill()
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Whether the server's process runs. A zombie does not: it waits for its parent, the shell.
    pub(crate) fn running(&self) -> bool {
        let Some(pid) = self.pid else { return false };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            return false;
        };
        // "pid (name) state ...", and the name may hold parentheses.
        let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
        !matches!(state, None | Some('Z' | 'X'))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.orders.take());
        // It ends by itself; waited for so that the port and the space are free afterwards.
        let _ = self.child.wait();
    }
}
