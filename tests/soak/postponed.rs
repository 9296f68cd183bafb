//! A run that is postponed for long, in a program of its own: `make soak-postponed`. Heartbeats come fifty times as often as by
//! default, so that minutes are hours to whatever is kept of them.
//!
//! The `mysql` crate gives each connection two buffers of 16 MiB, goes through them from one end to the other, and begins
//! anew: the memory that they take grows until it has been through them once. It is counted by itself.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use online_alter_support::{
    Flavor, Server, Table, Workload, Writers, available, check, csm, database,
};

use crate::number;

#[test]
#[ignore = "takes long: make soak-postponed"]
fn postponed() {
    let minutes = number("SOAK_MINUTES", 20);
    thread::scope(|scope| {
        for flavor in [Flavor::Mysql, Flavor::MariaDb] {
            scope.spawn(move || stays_flat(flavor, minutes));
        }
    });
}

fn stays_flat(flavor: Flavor, minutes: u64) {
    let Some(server) = available(Server::start(flavor)) else { return };
    let db = database(&server, "postponed");
    csm::create_table(&mut db.conn(), csm::TABLE).unwrap();
    csm::fill(&mut db.conn(), csm::TABLE, 20_000).unwrap();
    let mut workload = Workload::new(Table::csm(csm::TABLE));
    // As many rows go as come.
    (workload.insert_pct, workload.delete_pct, workload.rate) = (20, 19, Some(100.0));
    let writers = Writers::start(db.url(), workload).unwrap();
    let program = std::env::current_exe().unwrap();
    let program = program.parent().and_then(Path::parent).unwrap().join("examples/alter");
    let flag = server.data_dir().with_extension("postpone");
    let mut run = Command::new(program)
        .args(["--url", &format!("mysql://root@127.0.0.1:{}/{}", server.port(), db.name())])
        .args([
            "--table",
            csm::TABLE,
            "--alter",
            "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT",
        ])
        .args(["--execute", "--on-mismatch", "stop", "--heartbeat-interval-millis", "10"])
        .arg("--postpone-cut-over-flag-file")
        .arg(&flag)
        .env("MYSQL_PWD", "secret")
        // The buffers are mappings of their own then, and nothing else is as large.
        .env("MALLOC_ARENA_MAX", "1")
        .env("MALLOC_MMAP_THRESHOLD_", "1048576")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let mut rss = Vec::new();
    while began.elapsed() < Duration::from_secs(60 * minutes) {
        thread::sleep(Duration::from_secs(10));
        assert_eq!(run.try_wait().unwrap(), None, "it has ended");
        let (buffers, rest) = memory(run.id());
        rss.push(rest);
        let seconds = began.elapsed().as_secs();
        println!("{flavor}: {seconds} s, RSS {rest} KiB, and {buffers} KiB of buffers");
    }
    let third = rss.len() / 3;
    let most = |part: &[u64]| part.iter().max().copied().unwrap_or(0);
    let (early, late) = (most(&rss[..third.max(1)]), most(&rss[third * 2..]));
    println!("{flavor}: RSS at most {early} KiB in the first third, {late} in the last");
    // Connections that it has written down: none is made anew for each comparison of the rows.
    let state = format!("SELECT COUNT(*) FROM _{}_ghc WHERE id >= 1 << 32", csm::TABLE);
    let connections: u64 = db.conn().query_first(state).unwrap().unwrap();
    println!("{flavor}: {connections} connections");
    assert!(connections < 30, "{connections}");
    std::fs::remove_file(&flag).unwrap();
    assert!(run.wait().unwrap().success());
    let outcome = writers.stop();
    println!("{flavor}: {} writes", outcome.acknowledged);
    check(&mut db.conn(), &Table::csm(csm::TABLE), &outcome).unwrap().assert_clean();
    assert!(late < early + early / 4, "it grows: {rss:?}");
}

/// What a process takes of memory, in KiB: the buffers of its connections, and the rest.
fn memory(process: u32) -> (u64, u64) {
    const BUFFER: u64 = 16 * 1024;
    let maps = std::fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let (mut buffers, mut rest) = (0, 0);
    let (mut unnamed, mut size) = (false, 0);
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["Size:", kib, _] => size = kib.parse().unwrap(),
            ["Rss:", kib, _] => {
                let of = if unnamed && size >= BUFFER { &mut buffers } else { &mut rest };
                *of += kib.parse::<u64>().unwrap();
            }
            [first, ..] if !first.ends_with(':') => unnamed = words.len() == 5,
            _ => {}
        }
    }
    (buffers, rest)
}
