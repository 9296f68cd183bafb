//! The modes that take a replica.

use mysql::prelude::Queryable;
use online_alter::{Endpoint, Event, OnReplica, Warning};
use online_alter_support::{Flavor, Server, Table, Workload, Writers, available, check};

use super::{User, owned_table, runs_under_writers, sql};
use crate::harness::{FLAVORS, tables, wait_until};

const CLAUSE: &str = "ADD COLUMN c INT";

fn pair(flavor: Flavor, options: &[&str]) -> Option<(Server, Server)> {
    let builder = options.iter().fold(Server::builder(flavor), |b, option| b.option(*option));
    let primary = available(builder.start())?;
    let replica = available(Server::builder(flavor).replica_of(&primary).start())?;
    Some((primary, replica))
}

#[test]
fn the_binlog_of_a_replica() {
    for flavor in FLAVORS {
        for format in ["ROW", "STATEMENT"] {
            let option = format!("--binlog-format={format}");
            let Some((primary, replica)) = pair(flavor, &[&option]) else { continue };
            let db = owned_table(&primary, "priv_stream");
            primary.wait_for_replica(&replica).unwrap();
            let lists: &[&str] = match format {
                "ROW" => &["stream-primary"],
                _ => &["stream-primary", "stream-primary-statements"],
            };
            let user = User::with(&primary, db.name(), "priv_stream", lists);
            let there = User::with(&replica, db.name(), "priv_there", &["stream-replica"]);
            let alter = || user.alter(CLAUSE).stream_from(there.url());
            user.needs_all(&db, alter);
            there.needs_all(&db, alter);
            runs_under_writers(&db, alter());
        }
    }
}

#[test]
fn the_lag_of_replicas() {
    for flavor in FLAVORS {
        let Some((primary, replica)) = pair(flavor, &[]) else { continue };
        let db = owned_table(&primary, "priv_lag");
        primary.wait_for_replica(&replica).unwrap();
        let user = User::with(&primary, db.name(), "priv_lag", &["plain"]);
        let there = User::with(&replica, db.name(), "priv_control", &["lag"]);
        let alter = |replicas: Vec<Endpoint>| {
            user.alter(CLAUSE).limits(|limits| limits.control_replicas = replicas)
        };
        let control = || alter(vec![there.url().into()]);
        there.needs_all(&db, control);
        if flavor == Flavor::Mysql {
            let user = User::with(&primary, db.name(), "priv_history", &["plain", "history"]);
            let there = User::with(&replica, db.name(), "priv_history", &["lag", "history"]);
            let history = || {
                user.alter(CLAUSE).limits(|limits| {
                    limits.control_replicas = vec![there.url().into()];
                    limits.max_history = Some(1_000_000);
                })
            };
            user.needs_all(&db, history);
            there.needs_all(&db, history);
            drop(history().plan().unwrap_or_else(|error| panic!("{error}")));
        }
        runs_under_writers(&db, control());
        sql(&mut db.conn(), &["DROP TABLE _t_del"]);
        // One that cannot be reached may be there later.
        drop(alter(vec!["mysql://nobody@127.0.0.1:1/x".into()]).plan().unwrap());

        // Those that are attached are asked by the same user.
        let db = owned_table(&primary, "priv_lag");
        let lists: &[&str] = if flavor.is_mariadb() { &["plain", "attached"] } else { &["plain"] };
        let user = User::with(&primary, db.name(), "priv_lag", lists);
        // His privileges on the primary have not come here.
        let _there = User::with(&replica, db.name(), "priv_lag", &["lag"]);
        let attached =
            || user.alter("ADD COLUMN d INT").limits(|limits| limits.attached_replicas = true);
        user.needs_all(&db, attached);
        runs_under_writers(&db, attached());
        assert_eq!(tables(&mut db.conn()), ["_t_del", "t"]);
    }
}

#[test]
fn a_test_on_a_replica() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb, Flavor::MariaDb11] {
        let Some((primary, replica)) = pair(flavor, &[]) else { continue };
        let db = owned_table(&primary, "priv_test");
        primary.wait_for_replica(&replica).unwrap();
        sql(&mut replica.conn(), &["SET GLOBAL read_only = 1"]);
        let lists = ["plain", "replica-test", "replica-read-only"];
        let user = User::with(&replica, db.name(), "priv_tester", &lists);
        let test = || user.alter(CLAUSE).on_replica(OnReplica::Test { start_again: true });
        user.needs_all(&db, test);
        let there = || -> Vec<String> {
            let sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'priv_test' \
                       ORDER BY BINARY TABLE_NAME";
            replica.conn().query(sql).unwrap()
        };
        assert_eq!(there(), ["t"]);
        // Whoever observes the run may be the one who stops it.
        let stop = user.given.iter().find(|given| given.privilege.contains("ADMIN")).unwrap();
        user.admin(&format!("REVOKE {} ON *.* FROM priv_tester", stop.privilege));
        let plan = test().observer(|_: &Event| ()).plan().unwrap();
        assert!(plan.warnings().contains(&Warning::LeavesReplicationToObserver), "{plan}");
        user.admin(&format!("GRANT {} ON *.* TO priv_tester", stop.privilege));

        let table = Table::simple("t").ignoring("owner");
        let mut workload = Workload::new(table.clone());
        workload.rate = Some(100.0);
        let writers = Writers::start(db.url(), workload).unwrap();
        wait_until("there are writes", || writers.statements() > 5);
        let plan = test().observer(|_: &Event| ()).plan().unwrap();
        assert!(!plan.warnings().contains(&Warning::LeavesReplicationToObserver), "{plan}");
        let report = plan.run().unwrap_or_else(|error| panic!("{error}"));
        assert!(report.test.unwrap().started_again);
        let outcome = writers.stop();
        assert_eq!(outcome.errors, Vec::<String>::new());
        check(&mut db.conn(), &table, &outcome).unwrap().assert_clean();
        primary.wait_for_replica(&replica).unwrap();
        let mut replicated = replica.conn();
        sql(&mut replicated, &["USE priv_test"]);
        check(&mut replicated, &table, &outcome).unwrap().assert_clean();
        assert_eq!(there(), ["_t_ghc", "_t_gho", "t"]);
    }
}
