//! What is not a dead run's stays.

use std::collections::BTreeMap;

use online_alter::{ErrorKind, Evidence, Phase, Postpone, Removal::Refused, Role, Step, cleanup};
use online_alter_support::database;

use super::{ADD, assert_refused, content, roles, scene};
use crate::harness::{tables, wait_until};

#[test]
fn tables_of_others_with_the_same_names() {
    scene("clean_others", |scene| {
        for name in ["_t_gho", "_t_ghc", "_t_del"] {
            scene.sql(&format!("CREATE TABLE {name} (id INT PRIMARY KEY) COMMENT='gh-ost'"));
        }
        let found = scene.list();
        assert_eq!(roles(&found), [Role::Ghost, Role::OldTable, Role::State]);
        assert!(found.iter().all(|remnant| remnant.evidence == Evidence::NameOnly), "{found:?}");
        let named = scene.cleanup().named("_t_gho").named("_t_ghc");
        let cleaned = named.remove().unwrap();
        assert_eq!((cleaned.removed.len(), cleaned.left.len()), (0, 3));
        assert_eq!(tables(&mut scene.conn), ["_t_del", "_t_ghc", "_t_gho", "t"]);
        // An old table is nobody's in particular once the run is over: who names it means it.
        scene.cleanup().named("_t_del").remove().unwrap();
        assert_eq!(tables(&mut scene.conn), ["_t_ghc", "_t_gho", "t"]);
    });
}

#[test]
fn the_last_copy_of_a_table() {
    scene("clean_last", |scene| {
        scene.dies_at(scene.alter(ADD), Step::Renamed);
        scene.sql("DROP TABLE t");
        let cleaned = scene.cleanup().named("_t_del").named("_t_ghc").remove().unwrap();
        assert_eq!(cleaned.removed, []);
        assert_refused(&cleaned.left[0], "all that there is");
        assert_eq!(tables(&mut scene.conn), ["_t_del", "_t_ghc"]);
    });
    scene("clean_last_ghost", |scene| {
        scene.dies_at(scene.alter(ADD), Step::CopyDone);
        scene.sql("RENAME TABLE t TO kept");
        let cleaned = scene.cleanup().named("_t_gho").remove().unwrap();
        assert_eq!(cleaned.removed, []);
        assert_eq!(tables(&mut scene.conn), ["_t_ghc", "_t_gho", "kept"]);
    });
}

/// A backup that was restored elsewhere, or a table that was renamed.
#[test]
fn a_state_table_of_another_table() {
    scene("clean_copied", |scene| {
        scene.dies_at(scene.alter(ADD), Step::CopyDone);
        let other = database(scene.server, "clean_copied_to");
        let from = scene.db.name().to_owned();
        for sql in [
            format!("CREATE TABLE clean_copied_to.t LIKE {from}.t"),
            format!("CREATE TABLE clean_copied_to._t_gho LIKE {from}._t_gho"),
            format!("CREATE TABLE clean_copied_to._t_ghc LIKE {from}._t_ghc"),
            format!("INSERT INTO clean_copied_to._t_ghc SELECT * FROM {from}._t_ghc"),
        ] {
            scene.sql(&sql);
        }
        let cleaned = cleanup(other.url()).remove().unwrap();
        assert_eq!(cleaned.removed, []);
        assert!(cleaned.left.iter().all(|r| matches!(r.removal, Refused(_))), "{cleaned}");
        assert_refused(&cleaned.left[0], "another table's");
        // The real one goes.
        scene.cleanup().remove().unwrap();
        scene.assert_clean();
    });
}

#[test]
fn a_view_in_the_ghosts_place() {
    scene("clean_view", |scene| {
        scene.dies_at(scene.alter(ADD), Step::Recorded);
        scene.sql("CREATE VIEW _t_gho AS SELECT * FROM t");
        let cleaned = scene.cleanup().remove().unwrap();
        assert_eq!(
            (roles(&cleaned.removed), roles(&cleaned.left)),
            (vec![Role::State], vec![Role::Ghost])
        );
        assert_refused(&cleaned.left[0], "not a base table");
        assert_eq!(tables(&mut scene.conn), ["_t_gho", "t"]);
    });
}

/// Who looks at the ghost is not ended.
#[test]
fn statements_of_others() {
    scene("clean_reader", |scene| {
        scene.dies_at(scene.alter(ADD), Step::CopyDone);
        let url = scene.db.url().to_owned();
        let reader = std::thread::spawn(move || {
            let mut conn = mysql::Conn::new(url.as_str()).unwrap();
            let sql = "SELECT SLEEP(1) FROM _t_gho LIMIT 1";
            mysql::prelude::Queryable::query_first::<u32, _>(&mut conn, sql).unwrap()
        });
        let reads = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(1)%gho%'";
        wait_until("it is read", || {
            mysql::prelude::Queryable::query_first::<u32, _>(&mut scene.conn, reads).unwrap()
                == Some(1)
        });
        assert_eq!(roles(&scene.list()), [Role::Ghost, Role::State]);
        scene.cleanup().remove().unwrap();
        assert_eq!(reader.join().unwrap(), Some(0));
        scene.assert_clean();
    });
}

#[test]
fn a_run_that_is_alive() {
    scene("clean_alive", |scene| {
        scene.sql("CREATE TABLE u LIKE t");
        let dead = scene.alter(ADD).postpone_cut_over(Postpone::until_released());
        scene.dies_at(dead, Step::CopyDone);
        // Of another table, while one is alive on `u`.
        let alive = crate::harness::alter(scene.db, "u", ADD)
            .postpone_cut_over(Postpone::until_released())
            .start()
            .unwrap();
        wait_until("it is postponed", || alive.progress().phase == Phase::Postponed);
        let found = scene.cleanup().table("u").list().unwrap();
        assert_eq!(roles(&found), [Role::Run, Role::Ghost, Role::State]);
        assert!(found[0].age.is_some_and(|age| age.as_secs() < 10), "{found:?}");
        assert!(found.iter().all(|r| matches!(r.removal, Refused(_))), "{found:?}");
        let error = scene.cleanup().table("u").remove().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyRunning, "{error}");
        let cleaned = scene.cleanup().remove().unwrap();
        let of = |all: &[online_alter::Remnant]| -> BTreeMap<String, usize> {
            all.iter().fold(BTreeMap::new(), |mut count, remnant| {
                *count.entry(remnant.table.clone()).or_default() += 1;
                count
            })
        };
        let name = |table: &str| format!("`clean_alive`.`{table}`");
        assert_eq!(of(&cleaned.removed), BTreeMap::from([(name("t"), 2)]));
        assert_eq!(of(&cleaned.left), BTreeMap::from([(name("u"), 3)]));
        alive.cut_over();
        alive.join().unwrap();
        assert_eq!(tables(&mut scene.conn), ["_u_del", "t", "u"]);
        assert_eq!(content(&mut scene.conn), scene.before);
    });
}

/// None begins while it cleans up.
#[test]
fn a_run_cannot_begin_meanwhile() {
    scene("clean_meanwhile", |scene| {
        scene.dies_at(scene.alter(ADD), Step::CopyDone);
        let mut reader = scene.db.conn();
        mysql::prelude::Queryable::query_drop(&mut reader, "BEGIN").unwrap();
        mysql::prelude::Queryable::query_drop(&mut reader, "SELECT COUNT(*) FROM _t_gho").unwrap();
        std::thread::scope(|scope| {
            // It waits for the reader.
            let cleaning = scope.spawn(|| cleanup(scene.db.url()).remove());
            let drops = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DROP TABLE%clean_meanwhile%'";
            wait_until("it drops", || {
                mysql::prelude::Queryable::query_first::<u32, _>(&mut scene.conn, drops).unwrap()
                    == Some(1)
            });
            let error = scene.alter_again().replace_ghost_table(true).run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyRunning, "{error}");
            drop(reader);
            cleaning.join().unwrap().unwrap();
        });
        scene.assert_clean();
    });
}

/// What is wrong with the request is said as elsewhere.
#[test]
fn bad_requests() {
    scene("clean_bad", |scene| {
        let config = |cleanup: online_alter::Cleanup| cleanup.list().unwrap_err().kind();
        assert_eq!(config(cleanup(scene.server.url())), ErrorKind::Config);
        assert_eq!(config(scene.cleanup().table("")), ErrorKind::Config);
        assert_eq!(config(cleanup("nonsense")), ErrorKind::Config);
    });
}
