//! The example `alter` as its users run it: flags, files, signals and exit codes, on real servers.
//! Its modules are compiled in here, too, so that their own tests are run.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests, and their word on stderr"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use online_alter::mysql::{self, prelude::Queryable};
use online_alter_support::csm;

use crate::harness::{BIGINT, PATIENCE, Run, on_each, path, program};

mod cleanup;
#[path = "../../examples/common/column_map.rs"]
mod column_map;
#[allow(dead_code, reason = "only some of it is tested apart from the program")]
#[path = "../../examples/common/mod.rs"]
mod common;
mod compare;
#[allow(dead_code, reason = "only some of it is tested apart from the program")]
#[path = "../../examples/alter/conf.rs"]
mod conf;
#[allow(dead_code, reason = "only some of it is tested apart from the program")]
#[path = "../../examples/alter/exit.rs"]
mod exit;
#[allow(dead_code, reason = "only some of it is tested apart from the program")]
#[path = "../../examples/alter/flags.rs"]
mod flags;
mod harness;
mod held_back;
#[allow(dead_code, reason = "only some of it is tested apart from the program")]
#[path = "../../examples/alter/hooks.rs"]
mod hooks;
#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
mod insecure;
mod neighbours;
mod operate;
#[path = "../../examples/alter/option_file.rs"]
mod option_file;
#[allow(dead_code, reason = "only some of it is tested apart from the program")]
#[path = "../../examples/alter/platform.rs"]
mod platform;
mod replicas;
mod resumed;
mod secrets;
#[cfg(feature = "rustls")]
mod secure;
#[allow(dead_code, reason = "only some of it is tested apart from the program")]
#[path = "../../examples/alter/server.rs"]
mod server;
#[allow(dead_code, reason = "only some of it is tested apart from the program")]
#[path = "../../examples/alter/throttle.rs"]
mod throttle;
#[allow(dead_code, reason = "only some of it is tested apart from the program")]
#[path = "../../examples/alter/tls.rs"]
mod tls;
#[allow(dead_code, reason = "only some of it is tested apart from the program")]
#[path = "../../examples/alter/topology.rs"]
mod topology;

#[test]
fn prints_the_plan_and_does_nothing() {
    on_each("example_plan", 10, |bench| {
        let ended = bench.alter(&[]).ends_with(0);
        assert!(ended.out.contains("key: `PRIMARY` (`id`)"), "{}", ended.out);
        assert!(
            ended
                .out
                .contains(&format!("ALTER TABLE `example_plan`.`_{}_gho` {BIGINT}", csm::TABLE))
        );
        assert!(ended.out.contains("nothing is done yet"));
        assert_eq!(ended.err, "");
        bench.assert_untouched();
    });
}

#[test]
fn prints_what_to_look_at_on_a_platform() {
    on_each("example_platform", 10, |bench| {
        for (args, name) in [
            (["--azure", "--assume-rbr"], "Azure Database for MySQL"),
            (["--gcp", "--aliyun-rds"], "Google Cloud SQL"),
            (["--platform", "rds"], "Amazon RDS"),
        ] {
            let ended = bench.alter(&args).ends_with(0);
            assert!(ended.out.contains(&format!("platform: {name}\n")), "{}", ended.out);
            assert!(ended.out.contains("\n  binlog-retention: "), "{}", ended.out);
            assert!(ended.out.contains("\n  storage: look: "), "{}", ended.out);
        }
        let ended = bench.alter(&["--platform", "moon"]).ends_with(2);
        assert!(
            ended.err.contains("`moon` is none of none, rds, aurora, gcp, azure"),
            "{}",
            ended.err
        );
        let ended = bench.alter(&[]).ends_with(0);
        assert!(!ended.out.contains("platform: "), "{}", ended.out);
        bench.assert_untouched();
    });
}

#[test]
fn executes_with_an_option_file_and_drops_the_old_table() {
    on_each("example_execute", 2000, |bench| {
        let conf = bench.file("my.cnf");
        let port = bench.server.port();
        let text =
            format!("[client]\nuser=root\npassword=\"secret\"\nhost=127.0.0.1\nport={port}\n");
        fs::write(&conf, text).unwrap();
        let args = [
            "--conf",
            path(&conf),
            "--database",
            bench.db.name(),
            "--table",
            csm::TABLE,
            "--alter",
            BIGINT,
            "--execute",
            "--ok-to-drop-table",
            "--allow-on-master",
            "--chunk-size",
            "100",
            "--copy-workers",
            "3",
            "--default-retries",
            "5",
            "--replica-server-id",
            "4000123",
        ];
        // The file comes before the environment.
        let ended = bench.with_password("wrong", &args).ends_with(0);
        assert!(ended.out.contains("Copy: 2000/"), "{}", ended.out);
        assert!(ended.out.contains("is altered: 2000 rows copied"), "{}", ended.out);
        assert_eq!(bench.tables(), [csm::TABLE]);
        assert!(bench.is_bigint());
        let quiet = [&args[..6], &["--alter", "ENGINE=InnoDB", "--execute", "--quiet"]].concat();
        let ended = bench.bare(&quiet).ends_with(0);
        assert!(ended.out.contains("is altered") && !ended.out.contains("Copy:"), "{}", ended.out);
    });
}

#[test]
fn wants_renamed_columns_approved() {
    on_each("example_renamed", 10, |bench| {
        let rename = |args: &[&str]| {
            let url = bench.server.url_for(bench.db.name());
            let alter = "CHANGE grade points DOUBLE";
            bench.bare(&[&["--url", &url, "--table", csm::TABLE, "--alter", alter], args].concat())
        };
        assert!(rename(&[]).ends_with(0).out.contains("renamed: grade to points"));
        let refused = rename(&["--execute"]).ends_with(1);
        assert!(refused.err.contains("grade to points"), "{}", refused.err);
        bench.assert_untouched();
        rename(&["--execute", "--approve-renamed-columns"]).ends_with(0);
        let columns: Vec<String> = bench
            .db
            .conn()
            .query_map(format!("SHOW COLUMNS FROM {}", csm::TABLE), |row: mysql::Row| {
                row.get(0).unwrap()
            })
            .unwrap();
        assert!(columns.contains(&"points".to_owned()), "{columns:?}");
    });
}

#[test]
fn postpones_the_cut_over_until_the_file_is_removed() {
    on_each("example_postpone", 100, |bench| {
        let file = bench.file("postpone");
        let run = bench.alter(&["--execute", "--postpone-cut-over-flag-file", path(&file)]);
        run.wait_for("State: postponing cut-over");
        assert!(file.exists(), "the run creates it");
        assert!(!bench.is_bigint());
        let touch = format!("UPDATE {} SET grade = 99 WHERE id = 1", csm::TABLE);
        bench.db.conn().query_drop(touch).unwrap();
        fs::remove_file(&file).unwrap();
        run.ends_with(0);
        assert!(bench.is_bigint());
        let look = format!("SELECT grade FROM {} WHERE id = 1", csm::TABLE);
        assert_eq!(bench.db.conn().query_first::<f64, _>(look).unwrap(), Some(99.0));
    });
}

#[test]
fn holds_back_while_the_throttle_file_is_there() {
    on_each("example_throttle", 100, |bench| {
        let file = bench.file("throttle");
        fs::write(&file, "").unwrap();
        let run = bench.alter(&["--execute", "--throttle-flag-file", path(&file)]);
        run.wait_for("State: throttled, flag-file");
        assert!(run.text().0.contains("Copy: 0/"));
        fs::remove_file(&file).unwrap();
        run.ends_with(0);
        assert!(bench.is_bigint());
    });
}

#[test]
fn the_panic_file_aborts_cleanly() {
    on_each("example_panic", 100, |bench| {
        let (postpone, panic) = (bench.file("postpone"), bench.file("panic"));
        let args = [
            "--execute",
            "--postpone-cut-over-flag-file",
            path(&postpone),
            "--panic-flag-file",
            path(&panic),
        ];
        let run = bench.alter(&args);
        run.wait_for("State: postponing cut-over");
        assert_eq!(bench.tables().len(), 3);
        fs::write(&panic, "").unwrap();
        let ended = run.ends_with(1);
        assert!(ended.err.contains("error (Aborted)"), "{}", ended.err);
        assert!(ended.err.contains("the table is untouched"), "{}", ended.err);
        bench.assert_untouched();
        // It is there now, so nothing begins.
        let refused = bench.alter(&args).ends_with(1);
        assert!(refused.err.contains("nothing is done"), "{}", refused.err);
        bench.assert_untouched();
    });
}

#[test]
fn signals_abort_cleanly_however_many() {
    on_each("example_signals", 100, |bench| {
        for signal in ["-INT", "-TERM"] {
            // Never below this limit: the copy does not begin.
            let run = bench.alter(&["--execute", "--max-load", "Threads_running=1", "--verbose"]);
            run.wait_for("State: throttled, max-load Threads_running=");
            run.signal(signal);
            run.signal(signal);
            let ended = run.ends_with(1);
            assert!(ended.err.contains("aborting cleanly"), "{}", ended.err);
            assert!(ended.err.contains("phase: copy; the table is untouched)"), "{}", ended.err);
            bench.assert_untouched();
        }
    });
}

#[test]
fn leftovers_are_refused_or_replaced() {
    on_each("example_leftovers", 10, |bench| {
        let old = format!("CREATE TABLE _{}_del (a INT)", csm::TABLE);
        bench.db.conn().query_drop(old).unwrap();
        let refused = bench.alter(&["--execute"]).ends_with(1);
        assert!(refused.err.contains("error (LeftoversPresent)"), "{}", refused.err);
        bench.alter(&["--execute", "--initially-drop-old-table"]).ends_with(0);
        assert!(bench.is_bigint());
        // A run that was killed leaves its tables, which only the flag has dropped.
        let postpone = bench.file("postpone");
        let args = ["--execute", "--ok-to-drop-table", "--initially-drop-old-table"];
        let file = ["--postpone-cut-over-flag-file", path(&postpone)];
        let run = bench.alter(&[&args[..], &file].concat());
        run.wait_for("State: postponing cut-over");
        run.signal("-KILL");
        drop(run);
        // Until the server has noticed, the lock of the run is held.
        let began = Instant::now();
        let refused = loop {
            let refused = bench.alter(&args).ends_with(1);
            if !refused.err.contains("error (AlreadyRunning)") || began.elapsed() > PATIENCE {
                break refused;
            }
        };
        assert!(refused.err.contains("error (LeftoversPresent)"), "{}", refused.err);
        bench.alter(&[&args[..], &["--initially-drop-ghost-table"]].concat()).ends_with(0);
        assert_eq!(bench.tables(), [csm::TABLE]);
    });
}

#[test]
fn says_what_is_wrong_and_never_the_password() {
    on_each("example_wrong", 10, |bench| {
        let url = format!("mysql://root@127.0.0.1:{}/{}", bench.server.port(), bench.db.name());
        let what = ["--url", &url, "--table", csm::TABLE, "--alter", BIGINT];
        let denied = bench.with_password("not-it", &what).ends_with(1);
        assert!(
            denied.err.starts_with("error (AccessDenied, server error 1045): "),
            "{}",
            denied.err
        );
        assert_eq!(denied.err.lines().count(), 1, "{}", denied.err);
        assert!(!denied.err.contains("not-it"), "{}", denied.err);
        let lacking = bench.bare(&[&what[..3], &["nothing"], &what[4..]].concat()).ends_with(1);
        assert!(lacking.err.contains("error (NoSuchTable)"), "{}", lacking.err);
        for (clause, execute) in [("CHANGE", false), ("CHANGE nothing nothing INT", true)] {
            let execute: &[&str] = if execute { &["--execute"] } else { &[] };
            let bad = bench.bare(&[&what[..5], &[clause], execute].concat()).ends_with(1);
            assert!(bad.err.contains("error (Alter"), "{}", bad.err);
            bench.assert_untouched();
        }
    });
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("usage-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let what = ["--table", "t", "--alter", "ENGINE=InnoDB"];
    let url = ["--url", "mysql://root:secret@127.0.0.1:1/db"];
    let wrong: [&[&str]; 9] = [
        &["--nonsense"],
        &[],
        &["--url", "mysql://root:secret@127.0.0.1:x/db"],
        &["--url", "http://root:secret@127.0.0.1/db"],
        &["--url", "mysql://root:secret@127.0.0.1"],
        &["--url", "mysql://127.0.0.1/db"],
        &["--conf", "/nonexistent"],
        &["--max-load", "Threads_running"],
        &["--chunk-size", "1"],
    ];
    let run = |args: &[&str]| {
        let (out, err) = (dir.join("out"), dir.join("err"));
        let mut command = Command::new(program());
        command.args(args).env_remove("MYSQL_PWD").stdin(Stdio::null());
        command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
        Run { child: command.spawn().unwrap(), out, err }
    };
    for (number, args) in wrong.into_iter().enumerate() {
        let with_url = if number > 6 { &url[..] } else { &[] };
        let ended = run(&[&what[..], with_url, args].concat()).ends_with(2);
        assert!(ended.err.starts_with("error: "), "{args:?}: {}", ended.err);
    }
    let unreachable = run(&[&what[..], &url].concat()).ends_with(1);
    assert!(unreachable.err.starts_with("error (Connection"), "{}", unreachable.err);
    assert!(run(&["--help"]).ends_with(0).out.contains("Exit codes:"));
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn zero_dates_and_mismatches() {
    on_each("example_zero", 20, |bench| {
        let zero = format!("UPDATE {} SET created = '0000-00-00' WHERE id = 7", csm::TABLE);
        let mut conn = bench.db.conn();
        conn.query_drop("SET SESSION sql_mode = ''").unwrap();
        conn.query_drop(zero).unwrap();
        bench.alter(&["--execute", "--on-mismatch", "never"]).ends_with(2);
        let strict: Option<u8> =
            conn.query_first("SELECT @@GLOBAL.sql_mode LIKE '%NO_ZERO_DATE%'").unwrap();
        if strict == Some(1) {
            let refused = bench.alter(&["--execute", "--on-mismatch", "stop"]).ends_with(1);
            assert!(refused.err.contains("id = 7"), "{}", refused.err);
            bench.assert_untouched();
        }
        let all = ["--execute", "--on-mismatch", "stop", "--allow-zero-in-date"];
        let done = bench.alter(&all).ends_with(0);
        assert!(done.out.contains("20 rows compared"), "{}", done.out);
        assert!(bench.is_bigint());
    });
}
