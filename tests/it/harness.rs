//! What the tests share.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{Endpoint, OnMismatch, OnlineAlter, Report};
use online_alter_support::{
    Database, Flavor, Server, Table, Watchdog, Workload, Writers, check, database, shared,
};

/// Every flavor that has its own strategy or protocol.
pub(crate) const FLAVORS: [Flavor; 2] = [Flavor::Mysql, Flavor::MariaDb];

/// No test takes so long, but for those that are asked for more rounds: `STUCK_MINUTES`.
fn stuck() -> std::time::Duration {
    let minutes = std::env::var("STUCK_MINUTES").ok().and_then(|minutes| minutes.parse().ok());
    std::time::Duration::from_secs(60 * minutes.unwrap_or(10))
}

/// Runs the test on each flavor's shared server, in a database of its own.
pub(crate) fn on_each(name: &str, test: impl Fn(&Server, &Database)) {
    // To look into one server alone.
    let only = std::env::var("ONLINE_ALTER_ONLY").ok();
    for flavor in FLAVORS.into_iter().filter(|f| only.as_ref().is_none_or(|o| *o == f.to_string()))
    {
        on(flavor, name, &test);
    }
}

/// Runs the test on one flavor's shared server, in a database of its own.
pub(crate) fn on(flavor: Flavor, name: &str, test: impl Fn(&Server, &Database)) {
    // RUST_LOG=online_alter=debug shows what a run does.
    let _ = env_logger::try_init();
    let Some(server) = shared(flavor) else { return };
    eprintln!("{name} on {flavor}");
    let _watchdog = Watchdog::start(format!("{name} on {flavor}"), stuck());
    test(server, &database(server, name));
}

/// An alter in the database, quick to notice things. Verification repairs nothing: what the run loses
/// is not to be put right before it is judged.
pub(crate) fn alter(db: &Database, table: &str, clause: &str) -> OnlineAlter {
    alter_at(db.url(), table, clause)
}

/// The same, by another way to the server.
pub(crate) fn alter_at(server: impl Into<Endpoint>, table: &str, clause: &str) -> OnlineAlter {
    OnlineAlter::new(server, table)
        .alter(clause)
        .on_mismatch(OnMismatch::Stop)
        .heartbeat_interval(std::time::Duration::from_millis(50))
}

/// The tables of a schema, sorted.
pub(crate) fn tables(conn: &mut Conn) -> Vec<String> {
    conn.query(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() \
         ORDER BY BINARY TABLE_NAME",
    )
    .unwrap()
}

/// The connection that builds the indexes of the ghost of `t`, if that is under way.
pub(crate) fn index_build(conn: &mut Conn) -> Option<u32> {
    conn.query_first(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'ALTER TABLE%_t_gho%ADD%'",
    )
    .unwrap()
}

/// Waits for a state, for a minute at most.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !reached() {
        assert!(std::time::Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Whether a connection is no longer in the process list. Not by the information schema's list, which
/// MySQL refuses to show while somebody writes an emoji (error 3854).
pub(crate) fn connection_is_gone(conn: &mut Conn, id: u32) -> bool {
    let rows: Vec<mysql::Row> = conn.query("SHOW PROCESSLIST").unwrap();
    !rows.iter().any(|row| row.get::<u32, _>(0) == Some(id))
}

/// A schema with a table `t` that simple writers can use; one of its columns is not theirs.
pub(crate) fn owned_table(server: &Server, name: &str) -> Database {
    let db = database(server, name);
    let mut conn = db.conn();
    for sql in [
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, pad VARCHAR(40) NOT \
         NULL, owner INT NOT NULL DEFAULT 1) ENGINE=InnoDB",
        "INSERT INTO t (v, pad) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    ] {
        conn.query_drop(sql).unwrap();
    }
    db
}

/// Runs while others write to it, and judges by their journal.
pub(crate) fn runs_under_writers(
    db: &Database,
    run: impl FnOnce() -> Result<Report, online_alter::Error>,
) -> Report {
    let table = Table::simple("t").ignoring("owner");
    let mut workload = Workload::new(table.clone());
    workload.writers = 2;
    workload.rate = Some(100.0);
    let writers = Writers::start(db.url(), workload).unwrap();
    wait_until("there are writes", || writers.statements() > 5);
    let report = run().unwrap_or_else(|error| panic!("{error}"));
    let goal = writers.statements() + 5;
    wait_until("writes go on", || writers.statements() > goal || writers.errors() > 0);
    let outcome = writers.stop();
    assert_eq!(outcome.errors, Vec::<String>::new());
    assert!(report.reconciled_keys.is_empty(), "{report:?}");
    let mut conn = db.conn();
    check(&mut conn, &table, &outcome).unwrap().assert_clean();
    assert_eq!(tables(&mut conn), ["_t_del", "t"]);
    report
}
