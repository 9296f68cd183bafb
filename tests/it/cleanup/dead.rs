//! Runs that died at each step.

use std::thread;
use std::time::Duration;

use mysql::prelude::Queryable;
use online_alter::{ErrorKind, Evidence, IndexBuild, Leftover, Removal, Role, Step};

use super::{ADD, FLAVORS, Flavor, ROWS, Scene, assert_refused, content, on, roles, scene};
use crate::harness::{tables, wait_until};
use crate::proxy::{Lose, Proxy};

/// Dies, is listed as this, and all of it goes.
fn dead_at(name: &str, clause: &str, step: Step, expected: &[Role]) {
    scene(name, |scene| dead(scene, clause, step, expected));
}

fn dead(scene: &mut Scene<'_>, clause: &str, step: Step, expected: &[Role]) {
    scene.dies_at(scene.alter(clause), step);
    let tables_then = tables(&mut scene.conn);
    let found = scene.list();
    assert_eq!(roles(&found), expected, "{step:?}: {found:?}");
    assert!(found.iter().all(|remnant| remnant.removal == Removal::Allowed), "{found:?}");
    assert_eq!(tables(&mut scene.conn), tables_then);
    let cleaned = scene.cleanup().remove().unwrap();
    assert_eq!((roles(&cleaned.removed), cleaned.left), (expected.to_vec(), Vec::new()));
    scene.assert_clean();
}

const TWO: [Role; 2] = [Role::Ghost, Role::State];

#[test]
fn died_when_it_had_the_lock() {
    dead_at("clean_lock", ADD, Step::LockTaken, &[]);
}

#[test]
fn died_with_an_empty_state_table() {
    scene("clean_state", |scene| {
        scene.dies_at(scene.alter(ADD), Step::StateCreated);
        let found = scene.list();
        assert_eq!(roles(&found), [Role::State]);
        assert_eq!(found[0].evidence, Evidence::Comment);
        // What somebody makes then is his.
        scene.sql("CREATE TABLE _t_gho (id INT PRIMARY KEY)");
        let cleaned = scene.cleanup().remove().unwrap();
        assert_eq!(roles(&cleaned.left), [Role::Ghost]);
        assert_refused(&cleaned.left[0], "not known to be");
        assert_eq!(tables(&mut scene.conn), ["_t_gho", "t"]);
        scene.sql("DROP TABLE _t_gho");
        scene.assert_clean();
    });
}

#[test]
fn died_before_it_made_the_ghost() {
    dead_at("clean_recorded", ADD, Step::Recorded, &[Role::State]);
}

#[test]
fn died_before_the_alter_of_the_ghost() {
    dead_at("clean_made", ADD, Step::GhostMade, &TWO);
}

#[test]
fn died_with_an_empty_ghost() {
    dead_at("clean_ghost", ADD, Step::GhostCreated, &TWO);
}

#[test]
fn died_behind_the_fence() {
    dead_at("clean_fence", ADD, Step::FencePassed, &TWO);
}

#[test]
fn died_after_the_copy() {
    dead_at("clean_copied", ADD, Step::CopyDone, &TWO);
}

#[test]
fn died_before_the_proof_of_equality() {
    dead_at("clean_verified", ADD, Step::Verified, &TWO);
}

/// On MariaDB the name of the old table is guarded by then.
fn in_cut_over(name: &str, step: Step) {
    for flavor in FLAVORS {
        on(flavor, name, |server, db| {
            let expected: &[Role] = match flavor {
                Flavor::Mysql => &TWO,
                _ => &[Role::Ghost, Role::Sentry, Role::State],
            };
            dead(&mut Scene::new(server, db), ADD, step, expected);
        });
    }
}

#[test]
fn died_with_the_table_locked() {
    in_cut_over("clean_locked", Step::Locked);
}

#[test]
fn died_before_the_swap() {
    in_cut_over("clean_before", Step::BeforeRename);
}

/// Its own triggers and foreign keys go with the ghost.
#[test]
fn died_with_triggers_and_foreign_keys_on_the_ghost() {
    for flavor in FLAVORS {
        on(flavor, "clean_dressed", |server, db| {
            let mut scene = Scene::new(server, db);
            scene.sql("CREATE TABLE log (n INT) ENGINE=InnoDB");
            scene.sql("CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB");
            scene.sql(
                "ALTER TABLE t ADD p INT, ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id)",
            );
            scene.sql(
                "CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO log VALUES (NEW.id)",
            );
            let all = if flavor.is_mariadb() { "SUPER" } else { "SUPER, SYSTEM_USER" };
            scene.sql(&format!("GRANT {all} ON *.* TO {}", db.name()));
            scene.before = content(&mut scene.conn);
            let alter = scene.alter(ADD).include_triggers(true).keep_foreign_keys(true);
            scene.dies_at(alter, Step::Dressed);
            scene.cleanup().remove().unwrap();
            assert_eq!(tables(&mut scene.conn), ["log", "p", "t"]);
            assert_eq!(content(&mut scene.conn), scene.before);
            let triggers: Vec<String> = scene
                .conn
                .query("SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()")
                .unwrap();
            assert_eq!(triggers, ["tr"]);
            let keys: Vec<String> = scene
                .conn
                .query(
                    "SELECT CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE \
                     CONSTRAINT_SCHEMA = DATABASE()",
                )
                .unwrap();
            assert_eq!(keys, ["fk"]);
        });
    }
}

/// The old table is the way back, and goes only by its own name; so does what tells whose it is.
#[test]
fn died_behind_the_swap() {
    scene("clean_swapped", |scene| {
        scene.dies_at(scene.alter(ADD), Step::Renamed);
        assert_eq!(tables(&mut scene.conn), ["_t_del", "_t_ghc", "t"]);
        let found = scene.list();
        assert_eq!(roles(&found), [Role::OldTable, Role::State]);
        assert!(found.iter().all(|r| matches!(r.removal, Removal::WhenNamed(_))), "{found:?}");
        assert_eq!(found[0].evidence, Evidence::Record);
        assert!(found[0].bytes.is_some_and(|bytes| bytes >= 16 << 10), "{found:?}");
        let cleaned = scene.cleanup().remove().unwrap();
        assert_eq!((roles(&cleaned.removed), cleaned.left.len()), (vec![], 2));
        // Another's name helps nothing.
        scene.cleanup().named("t").named("_t_gho").remove().unwrap();
        assert_eq!(tables(&mut scene.conn), ["_t_del", "_t_ghc", "t"]);
        let cleaned = scene.cleanup().table("t").named("_t_del").remove().unwrap();
        assert_eq!(roles(&cleaned.removed), [Role::OldTable]);
        scene.cleanup().named("_t_ghc").remove().unwrap();
        assert_eq!(tables(&mut scene.conn), ["t"]);
        let rows: Option<u32> =
            scene.conn.query_first("SELECT COUNT(*) FROM t WHERE c = 7").unwrap();
        assert_eq!(rows, Some(ROWS));
    });
}

/// The rows of the old table must not keep those that they refer to from being deleted.
#[test]
fn died_before_the_old_table_let_go_of_its_parents() {
    for flavor in FLAVORS {
        on(flavor, "clean_parents", |server, db| {
            let mut scene = Scene::new(server, db);
            scene.sql("CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB");
            scene.sql("INSERT INTO p VALUES (1), (2)");
            scene.sql(
                "ALTER TABLE t ADD p INT, ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id)",
            );
            scene.sql("UPDATE t SET p = 1");
            scene.dies_at(scene.alter(ADD).keep_foreign_keys(true), Step::FreeingParents);
            let found = scene.list();
            assert_eq!(roles(&found), [Role::OldForeignKeys, Role::OldTable, Role::State]);
            let old = format!("`{}`.`_t_del`", db.name());
            assert_eq!(found[0].leftover, Leftover::ForeignKeys(old));
            scene.sql("UPDATE t SET p = NULL");
            let refused = scene.conn.query_drop("DELETE FROM p WHERE id = 1");
            assert!(refused.is_err(), "the old table does not refer to it");
            let cleaned = scene.cleanup().remove().unwrap();
            assert_eq!(roles(&cleaned.removed), [Role::OldForeignKeys]);
            scene.sql("DELETE FROM p WHERE id = 1");
            assert_eq!(tables(&mut scene.conn), ["_t_del", "_t_ghc", "p", "t"]);
        });
    }
}

/// The server still executes a chunk whose client is gone: it is ended before anything is dropped.
#[test]
fn a_chunk_that_goes_on() {
    scene("clean_chunk", |scene| {
        let mut blocker = scene.db.conn();
        let is_chunk = |text: &str| {
            text.starts_with("INSERT /* online-alter */ INTO") && text.contains("_t_gho")
        };
        let (reached, at) = crossbeam_channel::bounded(1);
        let (go, wait) = crossbeam_channel::bounded::<()>(0);
        let lost = "INSERT /* online-alter */ INTO `clean_chunk`.`_t_gho`";
        let proxy = Proxy::start(scene.server.port(), lost, Lose::Server, 1);
        let url = format!("mysql://clean_chunk:secret@127.0.0.1:{}/clean_chunk", proxy.port());
        let handle = crate::harness::alter_at(url.as_str(), "t", ADD)
            .on_step(move |step, _| {
                if step == Step::FencePassed {
                    reached.send(()).unwrap();
                    let _ = wait.recv();
                }
            })
            .start()
            .unwrap();
        at.recv_timeout(Duration::from_secs(20)).unwrap();
        blocker.query_drop("BEGIN").unwrap();
        blocker.query_drop("INSERT INTO _t_gho (id, v) VALUES (5, 5)").unwrap();
        drop(go);
        wait_until("the chunk waits", || {
            scene.connections().iter().any(|(_, text)| is_chunk(text))
        });
        scene.kill(is_chunk);
        let found = scene.list();
        assert_eq!(roles(&found), [Role::Connection, Role::Ghost, Role::State]);
        assert_eq!(found[0].evidence, Evidence::Record);
        // It lets go of the ghost, so that this can be dropped.
        let ends = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            drop(blocker);
        });
        let cleaned = scene.cleanup().remove().unwrap();
        assert_eq!(roles(&cleaned.removed), [Role::Connection, Role::Ghost, Role::State]);
        assert_eq!(scene.connections(), []);
        ends.join().unwrap();
        assert!(handle.join().is_err());
        scene.assert_clean();
    });
}

/// So is a swap that waits for the table; were the guard of the old name dropped first, it could go through.
#[test]
fn a_swap_that_is_still_queued() {
    on(Flavor::MariaDb, "clean_queued", |server, db| {
        let mut scene = Scene::new(server, db);
        let mut reader = db.conn();
        reader.query_drop("BEGIN").unwrap();
        reader.query_drop("SELECT COUNT(*) FROM t").unwrap();
        let is_rename = |text: &str| text.starts_with("RENAME");
        scene.dies_but(scene.alter(ADD), Step::RenameQueued, is_rename);
        let found = scene.list();
        // The swap has locked it already, and its comment cannot be seen: it might be anything.
        assert_eq!(roles(&found), [Role::Connection, Role::Ghost, Role::OldTable, Role::State]);
        let cleaned = scene.cleanup().remove().unwrap();
        let all = [Role::Connection, Role::Ghost, Role::Sentry, Role::State];
        assert_eq!((roles(&cleaned.removed), cleaned.left), (all.to_vec(), Vec::new()));
        drop(reader);
        assert_eq!(scene.connections(), []);
        scene.assert_clean();
    });
}

/// What cannot be dropped is named, and what comes behind it in the order stays, too: it can be tried again.
#[test]
fn broken_off_in_the_middle() {
    scene("clean_middle", |scene| {
        let alter = scene.alter(ADD).index_build(IndexBuild::Maintain);
        scene.dies_at(alter, Step::CopyDone);
        let mut reader = scene.db.conn();
        reader.query_drop("BEGIN").unwrap();
        reader.query_drop("SELECT COUNT(*) FROM _t_gho").unwrap();
        let error = scene.cleanup().remove().unwrap_err();
        let name = |table: &str| Leftover::Table(format!("`{}`.`{table}`", scene.db.name()));
        assert_eq!(error.kind(), ErrorKind::Server, "{error}");
        assert_eq!(error.leftovers(), [name("_t_gho"), name("_t_ghc")], "{error}");
        assert!(error.message().contains("_t_gho"), "{error}");
        assert_eq!(tables(&mut scene.conn), ["_t_ghc", "_t_gho", "t"]);
        drop(reader);
        // Whoever died behind the ghost left this.
        scene.sql("DROP TABLE _t_gho");
        let cleaned = scene.cleanup().remove().unwrap();
        assert_eq!(roles(&cleaned.removed), [Role::State]);
        scene.assert_clean();
    });
}

/// Its machine is gone without a word, and the server waits for it: what it has written down says which they are.
#[test]
fn connections_that_nobody_is_at() {
    scene("clean_idle", |scene| {
        let (reached, at) = crossbeam_channel::bounded(1);
        let handle = scene
            .alter(ADD)
            .on_step(move |step, _| {
                if step == Step::CopyDone {
                    reached.send(()).unwrap();
                    loop {
                        thread::park();
                    }
                }
            })
            .start()
            .unwrap();
        at.recv_timeout(Duration::from_secs(20)).unwrap();
        std::mem::forget(handle);
        let lock = format!("SELECT IS_USED_LOCK('online-alter:{}.t')", scene.db.name());
        let holder: Option<u32> = scene.conn.query_first(lock).unwrap().unwrap();
        let name = scene.db.name().to_owned();
        scene.sql(&format!("ALTER USER {name} ACCOUNT LOCK"));
        scene.sql(&format!("KILL {}", holder.unwrap()));
        wait_until("nobody holds the lock", || {
            scene.list().iter().all(|remnant| remnant.role != Role::Run)
        });
        let found = scene.list();
        let ids: Vec<u32> = found
            .iter()
            .filter_map(|remnant| match (remnant.role, &remnant.leftover) {
                (Role::Connection, Leftover::Connection(id)) => Some(*id),
                _ => None,
            })
            .collect();
        assert!(!ids.is_empty(), "{found:?}");
        scene.cleanup().remove().unwrap();
        assert!(scene.connections().iter().all(|(id, _)| !ids.contains(id)));
        scene.kill(|_| false);
        scene.assert_clean();
    });
}
