//! Two programs that begin at once: of one table one wins, and the other is told; of two tables both do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use mysql::prelude::Queryable;
use online_alter::{Error, ErrorKind, OnlineAlter, Phase, Postpone, Step, TableState};
use online_alter_support::{Database, Server, available, database};

use crate::harness::{FLAVORS, alter, alter_at, on_each, tables, wait_until};

const ADD: &str = "ADD COLUMN c INT NOT NULL DEFAULT 7";
const OTHER: &str = "ADD COLUMN d INT NOT NULL DEFAULT 8";

const PREPARE: [Step; 6] = [
    Step::LockTaken,
    Step::StateCreated,
    Step::Recorded,
    Step::GhostMade,
    Step::GhostCreated,
    Step::FencePassed,
];

fn create(db: &Database, table: &str) {
    let mut conn = db.conn();
    for sql in [
        format!("CREATE TABLE `{table}` (id INT PRIMARY KEY, v INT) ENGINE=InnoDB"),
        format!("INSERT INTO `{table}` VALUES (1, 1), (2, 2), (3, 3)"),
    ] {
        conn.query_drop(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Holds the run up when it first comes to the step, until the sender is dropped.
fn held(alter: OnlineAlter, step: Step) -> (OnlineAlter, Receiver<()>, Sender<()>) {
    let (reached, at) = bounded(1);
    let (go, wait) = bounded::<()>(0);
    let first = AtomicBool::new(true);
    let alter = alter.on_step(move |now, _| {
        if now == step && first.swap(false, Ordering::SeqCst) {
            let _ = reached.send(());
            let _ = wait.recv_timeout(Duration::from_secs(30));
        }
    });
    (alter, at, go)
}

#[track_caller]
fn assert_second(error: &Error, why: &str) {
    assert_eq!(error.kind(), ErrorKind::AlreadyRunning, "{error}");
    assert!(error.message().contains(why), "{error}");
    assert_eq!(error.table_state(), TableState::Untouched);
    assert_eq!(error.leftovers(), [], "{error}");
}

fn columns(db: &Database, table: &str) -> String {
    let sql = format!(
        "SELECT GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION) FROM information_schema.COLUMNS WHERE \
         TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}'"
    );
    db.conn().query_first(sql).unwrap().unwrap()
}

/// Both plans are made before either begins, so that only what the runs themselves look at counts.
#[test]
fn the_second_is_told() {
    on_each("twice", |server, db| {
        for step in PREPARE {
            let mut conn = db.conn();
            conn.query_drop("DROP TABLE IF EXISTS t, _t_del").unwrap();
            create(db, "t");
            let second = alter(db, "t", OTHER).replace_ghost_table(true).replace_old_table(true);
            let second = second.plan().unwrap();
            let (first, at, go) = held(alter(db, "t", ADD), step);
            let first = first.start().unwrap();
            at.recv_timeout(Duration::from_secs(20)).unwrap();
            let before = tables(&mut conn);
            assert_second(&second.run().unwrap_err(), "`twice`.`t`");
            assert_eq!(tables(&mut conn), before, "{step:?}");
            // By its socket it is the same server.
            let socket = server.socket().to_str().unwrap().replace('/', "%2F");
            let url = format!("mysql://root:secret@localhost/twice?socket={socket}");
            assert_second(&alter_at(url.as_str(), "t", OTHER).run().unwrap_err(), "`twice`.`t`");
            drop(go);
            first.join().unwrap_or_else(|error| panic!("{step:?}: {error}"));
            assert_eq!(tables(&mut conn), ["_t_del", "t"]);
            assert_eq!(columns(db, "t"), "id,v,c");
        }
    });
}

/// Both go for the lock in the same moment.
#[test]
fn one_of_many_wins() {
    on_each("twice_many", |_, db| {
        create(db, "t");
        let won = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let begin = Arc::new(std::sync::Barrier::new(4));
            for _ in 0..4 {
                let (begin, won) = (Arc::clone(&begin), &won);
                let plan = alter(db, "t", ADD)
                    .postpone_cut_over(Postpone::while_file_exists(
                        std::env::temp_dir().join(format!("oa-twice-{}", std::process::id())),
                    ))
                    .plan()
                    .unwrap();
                scope.spawn(move || {
                    begin.wait();
                    let handle = plan.start().unwrap();
                    wait_until("it is over, or has won", || {
                        handle.is_finished() || handle.progress().phase == Phase::Postponed
                    });
                    if handle.is_finished() {
                        assert_second(&handle.join().unwrap_err(), "another run");
                        return;
                    }
                    assert!(!won.swap(true, Ordering::SeqCst), "two have won");
                    // The others are told before it ends.
                    std::thread::sleep(Duration::from_millis(300));
                    handle.cut_over();
                    handle.join().unwrap();
                });
            }
        });
        assert!(won.load(Ordering::SeqCst));
        assert_eq!(tables(&mut db.conn()), ["_t_del", "t"]);
    });
}

/// On a server that does not tell them apart, `T` is `t`.
#[test]
fn one_table_by_two_names() {
    for flavor in FLAVORS {
        let Some(server) = available(Server::builder(flavor).lower_case_names().start()) else {
            continue;
        };
        let db = database(&server, "twice_case");
        create(&db, "t");
        let second = alter_at(server.url_for("TWICE_case").as_str(), "T", OTHER).plan().unwrap();
        let (first, at, go) = held(alter(&db, "t", ADD), Step::LockTaken);
        let first = first.start().unwrap();
        at.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_second(&second.run().unwrap_err(), "`TWICE_case`.`T`");
        drop(go);
        first.join().unwrap();
        assert_eq!(columns(&db, "t"), "id,v,c");
    }
}

/// And on one that does, they are two tables.
#[test]
fn two_tables_that_differ_in_case() {
    on_each("twice_two", |_, db| {
        create(db, "t");
        create(db, "T");
        let (first, at, go) = held(alter(db, "t", ADD), Step::GhostCreated);
        let first = first.start().unwrap();
        at.recv_timeout(Duration::from_secs(20)).unwrap();
        alter(db, "T", OTHER).run().unwrap();
        drop(go);
        first.join().unwrap();
        assert_eq!((columns(db, "t"), columns(db, "T")), ("id,v,c".into(), "id,v,d".into()));
    });
}

/// Names of 64 characters leave no room for the ghost's. One whose shortened name is another table's own.
fn colliding() -> (String, String) {
    let long = "x".repeat(64);
    let hash = long
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let short = format!("{}_{hash:08x}", "x".repeat(50));
    (long, short)
}

#[test]
fn two_tables_whose_ghosts_would_have_one_name() {
    on_each("twice_long", |_, db| {
        let (long, short) = colliding();
        create(db, &long);
        create(db, &short);
        for step in PREPARE {
            let mut conn = db.conn();
            let all = || alter(db, &short, OTHER).replace_ghost_table(true).replace_old_table(true);
            let second = all().plan().unwrap();
            let (first, at, go) = held(alter(db, &long, ADD).replace_old_table(true), step);
            let first = first.start().unwrap();
            at.recv_timeout(Duration::from_secs(20)).unwrap();
            let before = tables(&mut conn);
            assert_second(&second.run().unwrap_err(), "whose ghost would have the same name");
            assert_second(&all().run().unwrap_err(), "whose ghost would have the same name");
            assert_eq!(tables(&mut conn), before, "{step:?}");
            drop(go);
            first.join().unwrap_or_else(|error| panic!("{step:?}: {error}"));
            conn.query_drop(format!("ALTER TABLE `{long}` DROP COLUMN c")).unwrap();
        }
        assert_eq!(columns(db, &short), "id,v");
    });
}

/// What a run on the one has left is not the other's to replace.
#[test]
fn leftovers_of_a_table_whose_ghost_has_the_same_name() {
    on_each("twice_left", |_, db| {
        let (long, short) = colliding();
        create(db, &long);
        create(db, &short);
        let kept = alter(db, &long, "ADD INDEX i (nope)").keep_on_failure(true);
        assert_eq!(kept.run().unwrap_err().kind(), ErrorKind::Alter);
        let before = tables(&mut db.conn());
        assert_eq!(before.len(), 4, "{before:?}");
        let error = alter(db, &short, ADD).replace_ghost_table(true).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LeftoversPresent, "{error}");
        assert_eq!(tables(&mut db.conn()), before);
        alter(db, &long, ADD).replace_ghost_table(true).run().unwrap();
    });
}

/// Tables whose names have a common beginning are altered side by side.
#[test]
fn two_tables_with_long_names() {
    on_each("twice_side", |_, db| {
        let names = ["a", "b"].map(|end| format!("{}{end}", "y".repeat(63)));
        for name in &names {
            create(db, name);
        }
        let (first, at, go) = held(alter(db, &names[0], ADD), Step::CopyDone);
        let first = first.start().unwrap();
        at.recv_timeout(Duration::from_secs(20)).unwrap();
        alter(db, &names[1], OTHER).run().unwrap();
        drop(go);
        first.join().unwrap();
        assert_eq!(names.each_ref().map(|name| columns(db, name)), ["id,v,c", "id,v,d"]);
    });
}
