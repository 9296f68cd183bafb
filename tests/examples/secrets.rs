//! A password is seen nowhere: not in the log of everything, not by those who list processes, not by hooks, not on the
//! server.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use online_alter::mysql::{self, prelude::Queryable};
use online_alter_support::csm;

use crate::harness::{BIGINT, Bench, on_each, path};

const USER: &str = "keeper";
/// With what a URL, an option file and a literal write otherwise.
const PASSWORD: &str = "hush-5e5ame%'\"\\`\u{e9}";
/// What all of its forms have in common.
const PART: &str = "5e5ame";

#[track_caller]
fn assert_hidden(what: &str, text: &str) {
    let hex = PART.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02X}");
        hex
    });
    for form in [PART, &hex, &hex.to_lowercase()] {
        assert!(!text.contains(form), "{what} shows the password: {text}");
    }
}

/// Everything that the server shows of a run to others.
fn on_the_server(bench: &Bench<'_>) -> String {
    let mut conn = bench.db.conn();
    let mut all = String::new();
    for sql in [
        &format!("SELECT * FROM _{}_ghc", csm::TABLE),
        "SELECT * FROM performance_schema.session_connect_attrs",
        "SHOW FULL PROCESSLIST",
    ] {
        let rows: Vec<mysql::Row> = conn.query(sql).unwrap();
        for row in rows {
            let _ = writeln!(all, "{:?}", row.unwrap());
        }
    }
    all
}

fn hook(bench: &Bench<'_>) {
    let hook = bench.file("gh-ost-on-startup");
    let seen = bench.file("seen");
    let script =
        format!("#!/bin/sh\n(env; tr '\\0' ' ' < /proc/$PPID/cmdline) > {}\n", path(&seen));
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Given in an option file, or in the environment.
#[test]
fn nowhere_during_a_run() {
    on_each("example_hush", 100, |bench| {
        let mut conn = bench.server.conn();
        conn.query_drop(format!("DROP USER IF EXISTS {USER}@'%'")).unwrap();
        conn.query_drop(format!("CREATE USER {USER}@'%'")).unwrap();
        let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
        conn.query_drop(format!("ALTER USER {USER}@'%' IDENTIFIED BY '{quoted}'")).unwrap();
        conn.query_drop(format!("GRANT ALL ON *.* TO {USER}@'%'")).unwrap();
        hook(bench);
        let (conf, file) = (bench.file("my.cnf"), bench.file("postpone"));
        let port = bench.server.port();
        for from_file in [true, false] {
            let quoted = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
            let password =
                if from_file { format!("password=\"{quoted}\"\n") } else { String::new() };
            let text = format!("[client]\nuser={USER}\nhost=127.0.0.1\nport={port}\n{password}");
            fs::write(&conf, text).unwrap();
            let table = ["--database", bench.db.name(), "--table", csm::TABLE, "--alter", BIGINT];
            let args = [
                &["--conf", path(&conf), "--execute", "--initially-drop-old-table"][..],
                &["--hooks-path", path(&bench.dir)],
                &["--postpone-cut-over-flag-file", path(&file)],
                &table,
            ];
            let given = if from_file { "wrong" } else { PASSWORD };
            let run = bench.traced(given, &args.concat());
            run.wait_for("State: postponing cut-over");
            let command = fs::read(format!("/proc/{}/cmdline", run.child.id())).unwrap();
            assert_hidden("the command line", &String::from_utf8_lossy(&command));
            assert_hidden("the server", &on_the_server(bench));
            fs::remove_file(&file).unwrap();
            let ended = run.ends_with(0);
            // The log is there.
            assert!(ended.err.contains("/* online-alter */"), "{}", ended.err);
            assert_hidden("the log", &ended.err);
            assert_hidden("what is printed", &ended.out);
            let seen = fs::read_to_string(bench.file("seen")).unwrap();
            assert!(seen.contains("GH_OST_TABLE_NAME"), "{seen}");
            assert_hidden("the environment of hooks", &seen);
        }
        conn.query_drop(format!("DROP USER {USER}@'%'")).unwrap();
    });
}

/// Of the server that is read, of one that is found, of a check by HTTP: none of the errors quotes it.
#[test]
fn nowhere_in_errors_of_other_addresses() {
    on_each("example_hush_errors", 10, |bench| {
        for args in [
            ["--stream-url", "mysql://root:hush-5e5ame@127.0.0.1:1"],
            ["--stream-url", "mysql://root:hush-5e5ame@127.0.0.1:port"],
            ["--stream-url", "http://root:hush-5e5ame@127.0.0.1"],
            ["--stream-url", "mysql://root:hush-5e5ame@127.0.0.1/?colour=hush-5e5ame"],
            ["--throttle-http", "ftp://root:hush-5e5ame@127.0.0.1/"],
            ["--throttle-control-replicas", "root:hush-5e5ame@127.0.0.1:port"],
            ["--throttle-control-replicas", "root:hush-5e5ame@127.0.0.1"],
            ["--assume-master-host", "root:hush-5e5ame@127.0.0.1"],
        ] {
            let run = bench.alter(&[&args[..], &["--execute"]].concat());
            let ended = run.ends();
            assert_ne!(ended.code, Some(0), "{args:?}: {}", ended.out);
            assert!(!ended.err.is_empty(), "{args:?}");
            assert_hidden("an error", &ended.err);
            assert_hidden("what is printed", &ended.out);
            bench.assert_untouched();
        }
    });
}
