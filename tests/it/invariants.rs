//! The invariants of the design, each with the order of events forced in which breaking it loses
//! data. Every test here was seen to fail with its rule taken out; each says what was taken out,
//! and `scripts/break-invariants` does it again.

use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{
    ChunkSize, ErrorKind, Handle, IndexBuild, OnlineAlter, Postpone, Step, TableState,
};
use online_alter_support::{Database, Flavor, Server, available, database};

use crate::harness::{alter, on_each, tables, wait_until};

/// Nothing but the journal judges: verification would see what a broken rule loses, and stop the run.
fn unverified(db: &Database, table: &str, clause: &str) -> OnlineAlter {
    alter(db, table, clause).verify(false)
}

/// Ten rows, `(1, 1)` to `(10, 10)`, in `t`.
fn ten_rows(conn: &mut Conn) {
    ten_rows_by(conn, "INT");
}

fn ten_rows_by(conn: &mut Conn, id: &str) {
    conn.query_drop(format!("CREATE TABLE t (id {id} NOT NULL PRIMARY KEY, v INT NOT NULL)"))
        .unwrap();
    let rows: Vec<String> = (1..=10).map(|id| format!("({id}, {id})")).collect();
    conn.query_drop(format!("INSERT INTO t VALUES {}", rows.join(", "))).unwrap();
}

fn rows(conn: &mut Conn, table: &str) -> Vec<(i64, i64)> {
    conn.query(format!("SELECT id, v FROM {table} ORDER BY id")).unwrap()
}

/// Starts an alter that waits at a step until told to go on.
fn start_and_stop_at(
    alter: OnlineAlter,
    stop_at: Step,
) -> (Handle, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (arrived, arrives) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = std::sync::Mutex::new(goes_on);
    let handle = alter
        .on_step(move |step, _| {
            if step == stop_at {
                let _ = arrived.send(());
                // A test that has failed hangs up.
                let _ = goes_on.lock().unwrap().recv();
            }
        })
        .start()
        .unwrap();
    (handle, arrives, go_on)
}

const PATIENCE: Duration = Duration::from_secs(30);

/// How many statements with these texts in them wait for a row lock. From the engine's own status:
/// `INNODB_TRX` is renewed only when nobody, no other test either, has looked for 100 ms.
pub(crate) fn waiting_for_rows(conn: &mut Conn, texts: &[&str]) -> usize {
    let row: mysql::Row = conn.query_first("SHOW ENGINE INNODB STATUS").unwrap().unwrap();
    let status: String = row.get(2).unwrap();
    status
        .split("---TRANSACTION")
        .filter(|transaction| transaction.contains("LOCK WAIT"))
        .filter(|transaction| texts.iter().all(|text| transaction.contains(text)))
        .count()
}

/// How many statements are under way.
fn running(conn: &mut Conn, like: &str) -> u32 {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '{like}' AND ID <> \
         CONNECTION_ID()"
    );
    conn.query_first(sql).unwrap().unwrap()
}

/// Whether such a statement is under way, and stays so.
fn stuck(conn: &mut Conn, like: &str) -> bool {
    running(conn, like) > 0 && {
        std::thread::sleep(Duration::from_millis(200));
        running(conn, like) > 0
    }
}

/// Holds up the only chunk after it has taken its snapshot: its first row waits for a row that a
/// transaction of the test puts into the ghost. Meanwhile `change` is done to the table, and
/// refreshed. Then the chunk goes on with what it saw.
fn change_behind_a_chunks_back(db: &Database, change: &str) -> Vec<(i64, i64)> {
    let mut conn = db.conn();
    // Integer keys that lie in a chunk under way are not refreshed before it has ended; others are.
    ten_rows_by(&mut conn, "DECIMAL(10)");
    let alter = unverified(db, "t", "MODIFY v BIGINT NOT NULL")
        .chunk_size(ChunkSize::Rows(100))
        .postpone_cut_over(Postpone::until_released());
    let (handle, arrives, go_on) = start_and_stop_at(alter, Step::FencePassed);
    arrives.recv_timeout(PATIENCE).unwrap();
    let mut holder = db.conn();
    holder.query_drop("BEGIN").unwrap();
    holder.query_drop("INSERT INTO _t_gho VALUES (1, 0)").unwrap();
    go_on.send(()).unwrap();
    wait_until("the chunk has its snapshot", || {
        waiting_for_rows(&mut conn, &[db.name(), "_t_gho", "<= 10"]) == 1
    });
    conn.query_drop(change).unwrap();
    wait_until("the change is refreshed", || handle.progress().keys_refreshed >= 1);
    assert_eq!(handle.progress().rows_copied, 0, "the chunk was not held up");
    holder.query_drop("ROLLBACK").unwrap();
    wait_until("the copy is complete", || handle.progress().rows_copied == 10);
    handle.cut_over();
    handle.join().unwrap();
    let (new, old) = (rows(&mut conn, "t"), rows(&mut conn, "_t_del"));
    assert_eq!(new, old, "the new table is not what the old one was");
    new
}

/// Invariant 3, first half: a chunk never overwrites a row that is there.
/// Taken out: `INSERT .. ON DUPLICATE KEY UPDATE` in `TablePair::copy_range` replaced by `REPLACE`.
#[test]
fn a_chunk_leaves_a_refreshed_row_alone() {
    on_each("inv_insert_if_absent", |_, db| {
        let new = change_behind_a_chunks_back(db, "UPDATE t SET v = 555 WHERE id = 5");
        assert!(new.contains(&(5, 555)));
    });
}

/// Invariant 4: a refresh that found no row is repeated after the chunks that were under way.
/// Taken out: the call of `Pending::hold` in `Refresher::refresh`.
#[test]
fn a_deleted_row_does_not_come_back_with_a_chunk() {
    on_each("inv_absent_repeated", |_, db| {
        let new = change_behind_a_chunks_back(db, "DELETE FROM t WHERE id = 5");
        assert!(!new.iter().any(|(id, _)| *id == 5));
    });
}

/// Invariant 4, where no unique index keeps a row from being in the ghost twice: chunks and refreshes
/// keep each other out. The chunk is held up after it has taken its snapshot by a row of the test with
/// the same value in another unique key, and meanwhile a row moves to another partition: the refresh
/// must wait, or the row would be there twice, once in each.
/// Taken out: the turns in `Follow::new` where the ghost's key is not unique.
#[test]
fn a_chunk_and_a_refresh_do_not_both_put_a_row() {
    on_each("inv_sides", |_, db| {
        let mut conn = db.conn();
        conn.query_drop(
            "CREATE TABLE t (id DECIMAL(10) NOT NULL PRIMARY KEY, v INT NOT NULL, d INT NOT NULL, \
             UNIQUE KEY (v, d))",
        )
        .unwrap();
        let values: Vec<String> = (1..=10).map(|id| format!("({id}, {id}, 1)")).collect();
        conn.query_drop(format!("INSERT INTO t VALUES {}", values.join(", "))).unwrap();
        let alter = unverified(
            db,
            "t",
            "DROP PRIMARY KEY, ADD PRIMARY KEY (id, d) PARTITION BY HASH (d) PARTITIONS 2",
        )
        .chunk_size(ChunkSize::Rows(100))
        .index_build(IndexBuild::Maintain)
        .postpone_cut_over(Postpone::until_released());
        let (handle, arrives, go_on) = start_and_stop_at(alter, Step::FencePassed);
        arrives.recv_timeout(PATIENCE).unwrap();
        // The chunk's deletion looks at the row behind its range: not at the one that holds it up.
        conn.query_drop("INSERT INTO _t_gho VALUES (500, 500, 1)").unwrap();
        let mut holder = db.conn();
        holder.query_drop("BEGIN").unwrap();
        holder.query_drop("INSERT INTO _t_gho VALUES (1000, 1, 1)").unwrap();
        go_on.send(()).unwrap();
        wait_until("the chunk has its snapshot", || {
            waiting_for_rows(&mut conn, &[db.name(), "INSERT", "_t_gho", "<= 10"]) == 1
        });
        conn.query_drop("UPDATE t SET d = 2 WHERE id = 5").unwrap();
        wait_until("the change is pending", || handle.progress().keys_changed >= 1);
        // It is refreshed at once if nothing keeps it from being so.
        let end = std::time::Instant::now() + Duration::from_millis(500);
        while handle.progress().keys_refreshed == 0 && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(handle.progress().rows_copied, 0, "the chunk was not held up");
        holder.query_drop("ROLLBACK").unwrap();
        wait_until("the copy is complete", || handle.progress().rows_copied == 10);
        conn.query_drop("DELETE FROM _t_gho WHERE id = 500").unwrap();
        handle.cut_over();
        handle.join().unwrap();
        let mut all = |table: &str| -> Vec<(i64, i64, i64)> {
            conn.query(format!("SELECT id, v, d FROM {table} ORDER BY id, d")).unwrap()
        };
        let (new, old) = (all("t"), all("_t_del"));
        assert_eq!(new, old, "the new table is not what the old one was");
        assert!(new.contains(&(5, 5, 2)));
    });
}

/// Invariant 6, of the primary key: one that the table's keys do not imply goes on at the end.
/// Taken out: `waits(index)` in `inspect::ghost_keys`, for all indexes.
#[test]
fn a_new_primary_key_displaces_no_row() {
    on_each("inv_primary_at_end", |_, db| {
        let mut conn = db.conn();
        ten_rows(&mut conn);
        let alter = unverified(db, "t", "DROP PRIMARY KEY, ADD PRIMARY KEY (v)");
        let (handle, arrives, go_on) = start_and_stop_at(alter, Step::CopyDone);
        arrives.recv_timeout(PATIENCE).unwrap();
        conn.query_drop("UPDATE t SET v = 1 WHERE id = 2").unwrap();
        wait_until("it is refreshed", || handle.progress().keys_refreshed >= 1);
        conn.query_drop("UPDATE t SET v = 22 WHERE id = 2").unwrap();
        go_on.send(()).unwrap();
        handle.join().unwrap();
        let new = rows(&mut conn, "t");
        assert_eq!(new, rows(&mut conn, "_t_del"), "a row was displaced");
        assert_eq!(new.len(), 10);
        conn.query_drop("INSERT INTO t VALUES (11, 22)").expect_err("the primary key is there");
    });
}

/// Invariant 3, second half: the copy takes no row lock on the table.
/// Taken out: READ COMMITTED in `db::session::setup` (REPEATABLE READ makes the copy lock).
#[test]
fn the_copy_does_not_wait_for_locked_rows() {
    on_each("inv_no_row_locks", |_, db| {
        let mut conn = db.conn();
        ten_rows(&mut conn);
        let mut holder = db.conn();
        holder.query_drop("BEGIN").unwrap();
        holder.query_drop("UPDATE t SET v = 555 WHERE id = 5").unwrap();
        let alter = unverified(db, "t", "MODIFY v BIGINT NOT NULL")
            .postpone_cut_over(Postpone::until_released());
        let handle = alter.start().unwrap();
        // While the row is locked. A copy that locked would wait for it, and time out.
        let end = std::time::Instant::now() + Duration::from_secs(5);
        while handle.progress().rows_copied < 10 && std::time::Instant::now() < end {
            assert_eq!(
                waiting_for_rows(&mut conn, &[db.name(), "INSERT"]),
                0,
                "the copy waits for a row"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(handle.progress().rows_copied, 10, "the copy did not get by the locked row");
        holder.query_drop("COMMIT").unwrap();
        handle.cut_over();
        handle.join().unwrap();
        assert!(rows(&mut conn, "t").contains(&(5, 555)));
    });
}

/// Invariant 5: refreshing never makes the application the victim of a deadlock.
/// Taken out: NOWAIT for several keys in `Refresher::refresh` (`OnLocked::Wait` for all).
#[test]
fn the_application_is_never_the_victim() {
    on_each("inv_no_victim", |_, db| {
        let mut conn = db.conn();
        ten_rows(&mut conn);
        let alter = unverified(db, "t", "MODIFY v BIGINT NOT NULL")
            .refresh_workers(1)
            .postpone_cut_over(Postpone::until_released());
        let (handle, arrives, go_on) = start_and_stop_at(alter, Step::CopyDone);
        arrives.recv_timeout(PATIENCE).unwrap();
        // Both keys get pending while the refreshes stand still, and are taken together.
        handle.pause();
        conn.query_drop("UPDATE t SET v = v + 100 WHERE id IN (3, 7)").unwrap();
        wait_until("both keys are pending", || handle.progress().keys_pending == 2);
        // A big transaction is the one that a server spares; ours has to be spared all the same.
        conn.query_drop("BEGIN").unwrap();
        conn.query_drop("UPDATE t SET v = v + 1000 WHERE id = 7").unwrap();
        handle.resume();
        go_on.send(()).unwrap();
        let mut looker = db.conn();
        wait_until("the refreshes have met the locked row", || {
            handle.progress().keys_refreshed >= 1 || stuck(&mut looker, "%IN (3, 7)%")
        });
        // A refresh that waits for row 7 while it holds row 3 would be a deadlock with this.
        assert!(!stuck(&mut looker, "%IN (3, 7)%"), "a refresh of several rows waits");
        conn.query_drop("UPDATE t SET v = v + 1000 WHERE id = 3").expect("not the victim");
        conn.query_drop("COMMIT").unwrap();
        handle.cut_over();
        handle.join().unwrap();
        let new = rows(&mut conn, "t");
        assert_eq!(new, rows(&mut conn, "_t_del"));
        assert!(new.contains(&(3, 1103)) && new.contains(&(7, 1107)));
    });
}

/// Invariant 6: the unique keys that the ALTER adds go on at the end.
/// Taken out: `keys.later` in `migration::ghost::deferred` left on the ghost from the start.
#[test]
fn an_added_unique_key_displaces_no_row() {
    on_each("inv_unique_at_end", |_, db| {
        let mut conn = db.conn();
        ten_rows(&mut conn);
        let alter = unverified(db, "t", "ADD UNIQUE KEY (v)");
        let (handle, arrives, go_on) = start_and_stop_at(alter, Step::CopyDone);
        arrives.recv_timeout(PATIENCE).unwrap();
        // For a moment two rows have the same value, as nothing forbids yet.
        conn.query_drop("UPDATE t SET v = 1 WHERE id = 2").unwrap();
        wait_until("it is refreshed", || handle.progress().keys_refreshed >= 1);
        conn.query_drop("UPDATE t SET v = 22 WHERE id = 2").unwrap();
        go_on.send(()).unwrap();
        handle.join().unwrap();
        let new = rows(&mut conn, "t");
        assert_eq!(new, rows(&mut conn, "_t_del"), "a row was displaced");
        assert_eq!(new.len(), 10);
        conn.query_drop("INSERT INTO t VALUES (11, 22)").expect_err("the unique key is there");
    });
}

/// The same, with duplicates that stay: before the key is built, and behind it.
#[test]
fn duplicates_fail_the_run_and_nothing_else() {
    on_each("inv_duplicates", |_, db| {
        for stop_at in [Step::CopyDone, Step::IndexesBuilt] {
            let mut conn = db.conn();
            conn.query_drop("DROP TABLE IF EXISTS t").unwrap();
            ten_rows(&mut conn);
            let alter = unverified(db, "t", "ADD UNIQUE KEY (v)").retries(3);
            let (handle, arrives, go_on) = start_and_stop_at(alter, stop_at);
            arrives.recv_timeout(PATIENCE).unwrap();
            conn.query_drop("UPDATE t SET v = 1 WHERE id = 2").unwrap();
            go_on.send(()).unwrap();
            let error = handle.join().unwrap_err();
            eprintln!("{stop_at:?}: {error}");
            assert_eq!(error.kind(), ErrorKind::DuplicateRows, "{error}");
            assert_eq!(error.table_state(), TableState::Untouched);
            assert!(error.message().contains("'1'"), "it does not name the value: {error}");
            assert_eq!(rows(&mut conn, "t").len(), 10);
            assert_eq!(tables(&mut conn), ["t"]);
        }
    });
}

/// A primary whose commits are written to the binlog, and then wait for a replica before they
/// become visible: the window of invariant 2, opened for as long as the replica is stopped.
struct SemiSync {
    primary: Server,
    replica: Server,
}

impl SemiSync {
    fn start() -> Option<Self> {
        let primary = available(
            Server::builder(Flavor::Mysql)
                .option("--plugin-load-add=semisync_source.so")
                .option("--rpl-semi-sync-source-enabled=1")
                .option("--rpl-semi-sync-source-timeout=60000")
                .option("--rpl-semi-sync-source-wait-point=AFTER_SYNC")
                .start(),
        )?;
        let replica = available(
            Server::builder(Flavor::Mysql)
                .option("--plugin-load-add=semisync_replica.so")
                .option("--rpl-semi-sync-replica-enabled=1")
                .replica_of(&primary)
                .start(),
        )?;
        let mut conn = primary.conn();
        wait_until("the replica is semi-synchronous", || {
            let row: Option<(String, u32)> =
                conn.query_first("SHOW STATUS LIKE 'Rpl_semi_sync_source_clients'").unwrap();
            row.is_some_and(|(_, clients)| clients == 1)
        });
        Some(SemiSync { primary, replica })
    }

    fn signal(&self, signal: &str) {
        let pid = self.replica.pid().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// From now on no commit becomes visible.
    fn freeze(&self) {
        self.signal("-STOP");
    }

    fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Statements that are committed to the binlog and wait to become visible.
    fn invisible(&self, conn: &mut Conn, like: &str) -> u32 {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE \
             'Waiting for semi-sync ACK%' AND INFO LIKE '{like}'"
        );
        conn.query_first(sql).unwrap().unwrap()
    }
}

/// Invariant 2: a refresh reads the table with a lock, because an event can arrive before its row
/// is visible.
/// Taken out: `TablePair::lock_clause`.
#[test]
fn a_refresh_waits_for_a_row_that_is_not_visible_yet() {
    let Some(servers) = SemiSync::start() else {
        return;
    };
    let db = database(&servers.primary, "inv_semi_sync");
    let mut conn = db.conn();
    ten_rows(&mut conn);
    let handle = unverified(&db, "t", "MODIFY v BIGINT NOT NULL")
        .postpone_cut_over(Postpone::until_released())
        .start()
        .unwrap();
    wait_until("the copy is complete", || handle.progress().rows_copied == 10);
    servers.freeze();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| db.conn().query_drop("UPDATE t SET v = 555 WHERE id = 5"));
        wait_until("the change has come through the stream", || {
            handle.progress().keys_changed >= 1
        });
        // Either the refresh waits for the row, or it has read the old one and commits that.
        wait_until("the refresh has come to the row", || {
            stuck(&mut conn, "SELECT /* online-alter */%FROM%FOR SHARE")
                || running(&mut conn, "COMMIT%") >= 1
        });
        servers.thaw();
        writing.join().unwrap().unwrap();
    });
    handle.cut_over();
    handle.join().unwrap();
    assert!(rows(&mut conn, "t").contains(&(5, 555)), "the change is lost");
}

/// Invariant 2, the fence: a change that was logged before the stream's start may not be visible
/// when the copy begins.
/// Taken out: the wait for the marker in `Stages::fence`, and the marker itself.
#[test]
fn the_copy_starts_behind_a_fence() {
    let Some(servers) = SemiSync::start() else {
        return;
    };
    let db = database(&servers.primary, "inv_fence");
    let mut conn = db.conn();
    ten_rows(&mut conn);
    // No heartbeats but the first, so that the marker of the fence can be told.
    let alter = OnlineAlter::new(db.url(), "t")
        .verify(false)
        .alter("MODIFY v BIGINT NOT NULL")
        .heartbeat_interval(Duration::from_secs(3600));
    let (handle, arrives, go_on) = start_and_stop_at(alter, Step::GhostCreated);
    arrives.recv_timeout(PATIENCE).unwrap();
    servers.freeze();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| db.conn().query_drop("INSERT INTO t VALUES (11, 11)"));
        wait_until("the row is in the binlog", || {
            servers.invisible(&mut conn, "INSERT INTO t %") == 1
        });
        // The stream starts behind it.
        go_on.send(()).unwrap();
        // What the run writes down of itself waits behind that row, as the fence's marker would. Without both, the
        // chunk has been copied.
        wait_until("the run writes", || {
            running(&mut conn, "REPLACE%\\_t\\_ghc%") >= 1
                || running(&mut conn, "INSERT%\\_t\\_ghc%") >= 2
                || stuck(&mut conn, "INSERT%\\_t\\_gho%")
        });
        servers.thaw();
        writing.join().unwrap().unwrap();
    });
    handle.join().unwrap();
    assert!(rows(&mut conn, "t").contains(&(11, 11)), "the row is lost");
}
