//! A run that is postponed for long: `SOAK_MINUTES=20 cargo test --release --features http,rustls --test soak -- --ignored --nocapture postponed`.
//! Heartbeats come fifty times as often as by default, so that minutes are hours to whatever is kept of them.

use std::thread;
use std::time::{Duration, Instant};

use online_alter::{OnMismatch, OnlineAlter, Postpone};
use online_alter_support::{
    Flavor, Server, Table, Workload, Writers, available, check, csm, database,
};

use crate::{number, tally};

#[test]
#[ignore = "takes long"]
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
    let handle = OnlineAlter::new(db.url(), csm::TABLE)
        .alter("CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT")
        .on_mismatch(OnMismatch::Stop)
        .heartbeat_interval(Duration::from_millis(10))
        .postpone_cut_over(Postpone::until_released())
        .start()
        .unwrap();
    let began = Instant::now();
    let mut rss = Vec::new();
    while began.elapsed() < Duration::from_secs(60 * minutes) {
        thread::sleep(Duration::from_secs(10));
        assert!(!handle.is_finished(), "{:?}", handle.join());
        rss.push(tally::of_process("VmRSS:"));
        println!("{flavor}: {} s, RSS {} KiB", began.elapsed().as_secs(), rss.last().unwrap());
    }
    let third = rss.len() / 3;
    let most = |part: &[u64]| part.iter().max().copied().unwrap_or(0);
    let (early, late) = (most(&rss[..third.max(1)]), most(&rss[third * 2..]));
    println!(
        "{flavor}: RSS of the whole process at most {early} KiB in the first third, {late} in the last"
    );
    handle.cut_over();
    let report = handle.join().unwrap();
    let outcome = writers.stop();
    println!("{flavor}: {report}; {} writes", outcome.acknowledged);
    check(&mut db.conn(), &Table::csm(csm::TABLE), &outcome).unwrap().assert_clean();
}
