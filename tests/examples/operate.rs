//! The socket and the hooks of a run.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use online_alter::mysql::prelude::Queryable;
use online_alter_support::csm;

use crate::harness::{BIGINT, PATIENCE, on_each, path, program};

/// A run that takes commands, and waits before its cut-over.
fn postponed<'a>(socket: &'a Path, file: &'a Path) -> [&'a str; 5] {
    let postpone = "--postpone-cut-over-flag-file";
    ["--execute", "--serve-socket-file", path(socket), postpone, path(file)]
}

/// One command, and its answer.
fn say(socket: &Path, command: &str) -> String {
    let began = Instant::now();
    let mut stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
        thread::sleep(Duration::from_millis(20));
    };
    writeln!(stream, "{command}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn takes_commands_on_a_socket() {
    on_each("example_socket", 100, |bench| {
        let (socket, file) = (bench.file("sock"), bench.file("postpone"));
        let args = postponed(&socket, &file);
        let run = bench.alter(&args);
        run.wait_for("State: postponing cut-over");
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(say(&socket, "status").contains("State: postponing cut-over"));
        for (command, answer) in [
            ("chunk-size=500", "chunk-size: 500;"),
            ("chunk-size=?", "500\n"),
            ("max-lag-millis=2500", "max-lag-millis: 2500;"),
            ("nice-ratio=0.5", "nice-ratio: 0.5"),
            ("max-load=Threads_running=500,Threads_connected=900", "Threads_connected=900"),
            ("critical-load=Threads_running=800", "critical-load: Threads_running=800"),
            ("max-history=900000", "State: "),
            ("max-history=?", "900000\n"),
            ("max-history=x", "error: a number is wanted, or nothing"),
            ("throttle-control-replicas=", "State: "),
            ("throttle-control-replicas=?", "\n"),
            ("copy-workers=?", "4\n"),
            ("throttle-query=?", "\n"),
            ("postpone-cut-over-flag-file=", "error: a file is wanted"),
            (
                "postpone-cut-over-flag-file=/nowhere/f",
                "error: the flag file /nowhere/f cannot be created",
            ),
            ("dml-batch-size=100", "error: events are not applied here"),
            ("replication-lag-query=SELECT 1", "error: lag is told by the run's own heartbeats"),
            ("cpu-profile", "error: there is no profiler"),
            ("cpu-profile=30s", "error: there is no profiler"),
            ("inspector", "127.0.0.1:"),
            ("help", "throttle-query=<sql>"),
            ("sup", "Copy: 100/"),
            ("applier", "127.0.0.1:"),
            ("chunk-size=1", "error: a number from 10 to 100000 is wanted"),
            ("throttle=other", "error: this run is of courseware_studentmodule, not of other"),
            ("nonsense", "error: unknown command `nonsense`: try help"),
        ] {
            let said = say(&socket, command);
            assert!(said.contains(answer), "{command}: {said}");
        }
        assert!(say(&socket, "throttle").contains("throttled, commanded by user"));
        assert!(!say(&socket, "no-throttle").contains("commanded by user"));
        let query = "throttle-query=SELECT 1 = 1";
        say(&socket, query);
        run.wait_for("throttled, throttle-query");
        assert!(!bench.is_bigint());
        say(&socket, "throttle-query=");
        // Another run's socket is not taken away, unless that is said.
        let second = bench.alter(&["--execute", "--serve-socket-file", path(&socket)]).ends_with(1);
        assert!(second.err.contains("works on") || second.err.contains("is there already"));
        say(&socket, &format!("unpostpone={}", csm::TABLE));
        run.ends_with(0);
        assert!(bench.is_bigint() && !socket.exists());
    });
}

/// No disk has so much, and a directory that is not there has none.
#[test]
fn waits_for_space_on_a_disk() {
    on_each("example_space", 100, |bench| {
        let gone = format!("{}=1K", path(&bench.file("gone")));
        for (space, reason) in [
            ("/=999999T", "throttled, free-space /=".to_owned()),
            (gone.as_str(), "is unknown: ".to_owned()),
        ] {
            let run = bench.alter(&["--execute", "--throttle-free-space", space]);
            run.wait_for(&reason);
            assert!(!bench.is_bigint());
            run.signal("-INT");
            run.ends_with(1);
            bench.assert_untouched();
        }
        let enough = ["--execute", "--throttle-free-space", "/=1K", "--throttle-free-space", "/=1"];
        bench.alter(&enough).ends_with(0);
        assert!(bench.is_bigint());
    });
}

/// Commands that hold the run up at first.
#[test]
fn a_command_postpones() {
    on_each("example_socket_postpone", 100, |bench| {
        let (socket, first, second) = (bench.file("sock"), bench.file("a"), bench.file("b"));
        let run = bench.alter(&postponed(&socket, &first));
        run.wait_for("State: postponing cut-over");
        assert!(say(&socket, "throttle").contains("commanded by user"));
        say(&socket, "unpostpone");
        let command = format!("postpone-cut-over-flag-file={}", path(&second));
        assert!(!say(&socket, &command).contains("error"));
        assert!(second.exists());
        fs::remove_file(&first).unwrap();
        say(&socket, "no-throttle");
        let began = Instant::now();
        while !say(&socket, "status").contains("State: postponing cut-over") {
            assert!(began.elapsed() < PATIENCE && !bench.is_bigint());
        }
        assert!(!bench.is_bigint());
        fs::remove_file(&second).unwrap();
        run.ends_with(0);
        assert!(bench.is_bigint());
    });
}

/// It would hold the run back for good.
#[cfg(feature = "http")]
#[test]
fn a_check_by_https_is_refused() {
    on_each("example_https", 10, |bench| {
        let url = "https://me:hidden@x/check";
        let ended = bench.alter(&["--execute", "--throttle-http", url]).ends_with(2);
        assert!(ended.err.contains("an http:// URL is wanted"), "{}", ended.err);
        assert!(!ended.err.contains("hidden"), "{}", ended.err);
        bench.assert_untouched();
    });
}

/// Nobody answers there.
#[cfg(feature = "http")]
#[test]
fn a_command_checks_by_http() {
    on_each("example_socket_http", 100, |bench| {
        let (socket, file) = (bench.file("sock"), bench.file("postpone"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let args = postponed(&socket, &file);
        let run = bench.alter(&args);
        run.wait_for("State: postponing cut-over");
        say(&socket, &format!("throttle-http=http://me:hidden@{address}/check"));
        run.wait_for("throttled, http error");
        let said = say(&socket, "throttle-http=?");
        assert_eq!(said, format!("http://..@{address}/check\n"));
        let said = say(&socket, "throttle-http=https://x");
        assert!(said.contains("error: an http:// URL is wanted"), "{said}");
        say(&socket, "throttle-http=");
        assert_eq!(say(&socket, "throttle-http=?"), "\n");
        say(&socket, "unpostpone");
        let ended = run.ends_with(0);
        assert!(!ended.out.contains("hidden") && !ended.err.contains("hidden"));
    });
}

#[test]
fn a_command_aborts() {
    on_each("example_socket_panic", 100, |bench| {
        let (socket, file) = (bench.file("sock"), bench.file("postpone"));
        fs::write(&socket, "left by a dead run").unwrap();
        let args = postponed(&socket, &file);
        let refused = bench.alter(&args).ends_with(1);
        assert!(refused.err.contains("--initially-drop-socket-file"), "{}", refused.err);
        let run = bench.alter(&[&args[..], &["--initially-drop-socket-file"]].concat());
        run.wait_for("State: postponing cut-over");
        assert_eq!(say(&socket, "panic"), "aborting cleanly\n");
        run.ends_with(1);
        bench.assert_untouched();
    });
}

/// A hook that notes its name and some variables.
pub(crate) fn hook(dir: &Path, point: &str, then: &str) {
    let program = dir.join(format!("gh-ost-on-{point}-1"));
    let script = format!(
        "#!/bin/sh\necho {point} $GH_OST_DATABASE_NAME.$GH_OST_TABLE_NAME $GH_OST_COPIED_ROWS \
         $GH_OST_HOOKS_HINT $GH_OST_DRY_RUN $GH_OST_COMMAND $MYSQL_PWD [$GH_OST_INSTANT_DDL] \
         [$GH_OST_LAST_BATCH_COPY_ERROR] >> {}\n{then}\n",
        path(&dir.join("log"))
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn calls_hooks() {
    on_each("example_hooks", 100, |bench| {
        for point in [
            "startup",
            "validated",
            "rowcount-complete",
            "before-row-copy",
            "row-copy-complete",
            "before-cut-over",
            "success",
            "failure",
        ] {
            hook(&bench.dir, point, "exit 0");
        }
        let args = ["--execute", "--hooks-path", path(&bench.dir), "--hooks-hint", "why"];
        bench.alter(&args).ends_with(0);
        let log = fs::read_to_string(bench.file("log")).unwrap();
        assert!(!log.contains("rowcount-complete"), "{log}");
        assert!(log.lines().last().unwrap().ends_with(" false [false] []"), "{log}");
        let points = log.lines().filter_map(|line| line.split(' ').next());
        let mut points: Vec<&str> = points.collect();
        // An attempt may have failed.
        points.dedup();
        let expected = [
            "startup",
            "validated",
            "before-row-copy",
            "row-copy-complete",
            "before-cut-over",
            "success",
        ];
        assert_eq!(points, expected, "{log}");
        assert!(
            log.contains("startup example_hooks.courseware_studentmodule 0 why false [] []\n"),
            "{log}"
        );
        assert!(
            log.contains(
                "success example_hooks.courseware_studentmodule 100 why false [false] []\n"
            ),
            "{log}"
        );
    });
}

/// The rows are counted; the first chunk of the copy meets a row of the new table that somebody keeps, and is tried again.
#[test]
fn calls_hooks_of_what_may_happen() {
    on_each("example_hooks_more", 100, |bench| {
        let go = bench.file("go");
        hook(&bench.dir, "rowcount-complete", "[ $GH_OST_ESTIMATED_ROWS = 100 ]");
        hook(
            &bench.dir,
            "before-row-copy",
            &format!("while [ ! -e {} ]; do sleep 0.1; done", path(&go)),
        );
        hook(&bench.dir, "batch-copy-retry", "exit 0");
        hook(&bench.dir, "success", "exit 0");
        let args = ["--execute", "--hooks-path", path(&bench.dir), "--exact-rowcount"];
        let run = bench.alter(&args);
        let log = || fs::read_to_string(bench.file("log")).unwrap_or_default();
        let wait_for = |text: &str| {
            let began = Instant::now();
            while !log().contains(text) {
                assert!(began.elapsed() < PATIENCE, "{}\n{:?}", log(), run.text());
                thread::sleep(Duration::from_millis(20));
            }
        };
        wait_for("before-row-copy");
        let mut conn = bench.db.conn();
        conn.query_drop("START TRANSACTION").unwrap();
        conn.query_drop(format!("INSERT INTO _{0}_gho SELECT * FROM {0} LIMIT 1", csm::TABLE))
            .unwrap();
        fs::write(&go, "").unwrap();
        wait_for("batch-copy-retry");
        conn.query_drop("ROLLBACK").unwrap();
        run.ends_with(0);
        assert!(log().contains("rowcount-complete "), "{}", log());
        let retried =
            log().lines().find(|line| line.starts_with("batch-copy-retry")).unwrap().to_owned();
        assert!(retried.contains("Lock wait timeout exceeded"), "{retried}");
        bench.db.conn().query_drop(format!("DROP TABLE _{}_del", csm::TABLE)).unwrap();
        // Once more, as the server does it by itself.
        let url = format!("mysql://root@127.0.0.1:{}/{}", bench.server.port(), bench.db.name());
        let args = ["--url", &url, "--table", csm::TABLE, "--alter", "ADD extra INT", "--execute"];
        let more = ["--attempt-instant-ddl", "--hooks-path", path(&bench.dir)];
        bench.bare(&[&args[..], &more].concat()).ends_with(0);
        assert!(log().lines().last().unwrap().ends_with("[true] []"), "{}", log());
    });
}

/// All variables are set at all points: a script may say `set -u`.
#[test]
fn tells_hooks_how_far_it_is() {
    on_each("example_hooks_status", 100, |bench| {
        let (figures, file) = (bench.file("figures"), bench.file("postpone"));
        let names = [
            "ELAPSED_SECONDS",
            "ELAPSED_COPY_SECONDS",
            "ESTIMATED_ROWS",
            "COPIED_ROWS",
            "INSPECTED_LAG",
            "HEARTBEAT_LAG",
            "PROGRESS",
            "ETA_SECONDS",
            "MIGRATED_HOST",
            "INSPECTED_HOST",
            "OLD_TABLE_NAME",
            "DDL",
        ];
        let all = names.map(|name| format!("$GH_OST_{name}")).join(" ");
        for point in ["startup", "status"] {
            hook(&bench.dir, point, &format!("set -u; echo {point} {all} >> {}", path(&figures)));
        }
        let postpone = ["--execute", "--postpone-cut-over-flag-file", path(&file)];
        let hooks = ["--hooks-path", path(&bench.dir), "--hooks-status-interval", "1"];
        let run = bench.alter(&[&postpone[..], &hooks].concat());
        let rest = format!("127.0.0.1 127.0.0.1 _{}_del {BIGINT}", csm::TABLE);
        let last = || {
            let text = fs::read_to_string(&figures).unwrap_or_default();
            text.lines().last().unwrap_or_default().to_owned()
        };
        let began = Instant::now();
        // Copied, and nothing left to wait for.
        let end = format!(" 100.000000 0 {rest}");
        while !(last().starts_with("status ") && last().ends_with(&end)) {
            assert!(began.elapsed() < PATIENCE, "{:?} {:?}", last(), run.text());
            thread::sleep(Duration::from_millis(20));
        }
        let line = last();
        let words: Vec<&str> = line.split(' ').collect();
        assert!(words[1].parse::<f64>().unwrap() > 0.0 && words[4] == "100", "{line}");
        assert!(words[6].parse::<f64>().unwrap() < 60.0, "{line}");
        fs::remove_file(&file).unwrap();
        run.ends_with(0);
        let text = fs::read_to_string(&figures).unwrap();
        let zeros = "0.000000 0.000000 0 0 0.000000 0.000000 0.000000 -1";
        assert_eq!(text.lines().next(), Some(format!("startup {zeros} {rest}").as_str()));
    });
}

/// `script` gives it a terminal.
#[test]
fn shows_a_bar_on_a_terminal() {
    on_each("example_bar", 100, |bench| {
        let file = bench.file("postpone");
        let url = format!("mysql://root@127.0.0.1:{}/{}", bench.server.port(), bench.db.name());
        let command = |environment: &str, more: &str| {
            format!(
                "{environment} MYSQL_PWD=secret {} --url {url} --table {} --alter '{BIGINT}' --execute \
                 --postpone-cut-over-flag-file {} {more}",
                path(program()),
                csm::TABLE,
                path(&file)
            )
        };
        let log = "RUST_LOG=online_alter=trace";
        for (environment, more, has_bar) in
            [("", "", true), ("", "--plain", false), (log, "", true)]
        {
            let typescript = bench.file("typescript");
            let mut run = Command::new("script")
                .args(["-q", "-f", "-e", "-c", &command(environment, more), path(&typescript)])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // The first line has the command.
            let text = || {
                let bytes = fs::read(&typescript).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                text.split_once('\n').map_or_else(String::new, |(_, rest)| rest.to_owned())
            };
            let rows = if has_bar { "100/100 rows, " } else { "Copy: 100/" };
            let state = if has_bar { ", postponed; " } else { "State: postponing cut-over" };
            let began = Instant::now();
            while !text().contains(rows) || !text().contains(state) {
                assert!(began.elapsed() < PATIENCE, "{}", text());
                thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(text().contains(" rows, "), has_bar, "{}", text());
            fs::remove_file(&file).unwrap();
            assert!(run.wait().unwrap().success(), "{}", text());
            let text = text();
            // The last line is there in any case; the others are not beside a bar.
            let lines = text.matches("Copy: ").count();
            assert!(if has_bar { lines == 1 } else { lines > 1 }, "{text}");
            // Lines of the log have a line to themselves: the bar was cleared before.
            let logged = text.match_indices("[TRACE online_alter");
            let before = logged.map(|(at, _)| &text[..at]).collect::<Vec<_>>();
            assert_eq!(before.is_empty(), environment.is_empty(), "{text}");
            for before in before {
                // A bar of several lines goes back up when they are cleared.
                let cleared = before.trim_end_matches("\x1b[1A").ends_with("\x1b[2K");
                let is_clear = before.ends_with(['\n', '\r']) || cleared;
                assert!(before.is_empty() || is_clear, "{text}");
            }
            bench.db.conn().query_drop(format!("DROP TABLE _{}_del", csm::TABLE)).unwrap();
        }
    });
}

#[test]
fn a_hook_that_fails_ends_the_run() {
    for point in ["startup", "validated", "before-row-copy", "before-cut-over"] {
        on_each("example_hook_fails", 100, |bench| {
            hook(&bench.dir, point, "exit 7");
            hook(&bench.dir, "failure", "exit 0");
            let ended = bench.alter(&["--execute", "--hooks-path", path(&bench.dir)]).ends_with(1);
            let why = format!("gh-ost-on-{point}-1 failed: exit status: 7");
            assert!(ended.err.contains(&why), "{point}: {}", ended.err);
            bench.assert_untouched();
            let log = fs::read_to_string(bench.file("log")).unwrap();
            assert_eq!(log.lines().count(), if point == "startup" { 1 } else { 2 }, "{log}");
        });
    }
}
