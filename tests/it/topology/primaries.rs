//! Which server is the primary.

use mysql::prelude::Queryable;
use online_alter::{ChunkSize, ErrorKind, OnlineAlter, Phase, Postpone, TableState, find_primary};
use online_alter_support::{
    Flavor, Server, Table, Workload, Writers, available, check, csm, database,
};

use super::{BIGINT, refused, replica_of, replication};
use crate::harness::{FLAVORS, alter, tables, wait_until};

#[test]
fn the_primary_of_a_replica_is_found() {
    for flavor in FLAVORS {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let Some(replica) = replica_of(&primary, &[]) else { continue };
        let Some(last) = replica_of(&replica, &[]) else { continue };
        assert_eq!(find_primary(primary.url()).unwrap(), None);
        for server in [&replica, &last] {
            let found = find_primary(server.url()).unwrap().unwrap();
            assert_eq!(found.address(), format!("127.0.0.1:{}", primary.port()));
        }
        let db = database(&primary, "primary_found");
        db.conn().query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
        primary.wait_for_replica(&replica).unwrap();
        replica.wait_for_replica(&last).unwrap();
        let found = find_primary(last.url()).unwrap().unwrap();
        let run = OnlineAlter::new(found, "t").schema(db.name()).stream_from(last.url());
        run.alter("ADD COLUMN c INT").run().unwrap();
        replication(&last, "STOP", "IO_THREAD");
        let error = find_primary(last.url()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedServer);
        let why = format!("set up to replicate from 127.0.0.1:{} and does not", replica.port());
        assert!(error.message().contains(&why), "{error}");
    }
}

/// The address by which the replica reaches its source may be somebody else's here. MariaDB's ids can be changed while it
/// runs, so that the source seems to be another.
#[test]
fn a_primary_that_is_another_one_from_here() {
    let Some(primary) = available(Server::start(Flavor::MariaDb)) else { return };
    let Some(replica) = replica_of(&primary, &[]) else { return };
    primary.conn().query_drop("SET GLOBAL server_id = 77").unwrap();
    let error = find_primary(replica.url()).unwrap_err();
    assert!(error.message().contains("is it another one from here?"), "{error}");
}

/// Two servers that replicate from each other, of which one is written to.
#[test]
fn primaries_that_replicate_from_each_other() {
    for flavor in FLAVORS {
        let Some(active) = available(Server::start(flavor)) else { continue };
        let Some(passive) = replica_of(&active, &[]) else { continue };
        active.replicate_from(&passive).unwrap();
        for server in [&active, &passive] {
            let error = find_primary(server.url()).unwrap_err();
            assert!(error.message().contains("replicate from each other"), "{error}");
        }
        let db = database(&active, "primaries");
        let mut conn = db.conn();
        csm::create_table(&mut conn, csm::TABLE).unwrap();
        csm::fill(&mut conn, csm::TABLE, 2_000).unwrap();
        let run = || alter(&db, csm::TABLE, BIGINT);
        refused(run(), ErrorKind::UnsupportedServer, "the server replicates from 127.0.0.1");
        let mut workload = Workload::new(Table::csm(csm::TABLE));
        workload.rate = Some(300.0);
        let writers = Writers::start(db.url(), workload).unwrap();
        wait_until("they write", || writers.statements() > 50);
        run()
            .allow_primary_primary(true)
            .chunk_size(ChunkSize::Rows(100))
            .run()
            .unwrap_or_else(|error| panic!("{error}"));
        let goal = writers.statements() + 50;
        wait_until("they go on", || writers.statements() > goal);
        let outcome = writers.stop();
        assert_eq!(outcome.errors, Vec::<String>::new());
        let table = Table::csm(csm::TABLE);
        check(&mut conn, &table, &outcome).unwrap().assert_clean();
        active.wait_for_replica(&passive).unwrap();
        let mut there = passive.conn();
        there.query_drop(format!("USE {}", db.name())).unwrap();
        check(&mut there, &table, &outcome).unwrap().assert_clean();
        passive.wait_for_replica(&active).unwrap();
    }
}

/// What comes to it would be missing from its binlog.
#[test]
fn a_primary_that_does_not_log_what_it_replicates() {
    for flavor in FLAVORS {
        let builder = Server::builder(flavor).option("--skip-log-slave-updates");
        let Some(active) = available(builder.start()) else { continue };
        let Some(passive) = replica_of(&active, &[]) else { continue };
        active.replicate_from(&passive).unwrap();
        let db = database(&active, "primaries_unlogged");
        db.conn().query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
        let run = alter(&db, "t", "ADD COLUMN c INT").allow_primary_primary(true);
        refused(run, ErrorKind::BinlogSettings, "does not log that");
    }
}

/// Who may not see replication on MariaDB sees at least that there is some.
#[test]
fn a_user_who_may_not_see_replication() {
    let Some(primary) = available(Server::start(Flavor::MariaDb)) else { return };
    let Some(replica) = replica_of(&primary, &[]) else { return };
    let db = database(&primary, "primaries_unseen");
    db.conn().query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
    for statement in [
        "CREATE USER blind@'%' IDENTIFIED BY 'Secret-1'",
        "GRANT ALL ON primaries_unseen.* TO blind@'%'",
        "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO blind@'%'",
    ] {
        primary.conn().query_drop(statement).unwrap();
    }
    primary.wait_for_replica(&replica).unwrap();
    let run = |server: &Server| {
        let url = format!("mysql://blind:Secret-1@127.0.0.1:{}/primaries_unseen", server.port());
        OnlineAlter::new(url, "t").alter("ADD COLUMN c INT")
    };
    refused(
        run(&replica),
        ErrorKind::UnsupportedServer,
        "the server replicates from another server",
    );
    drop(run(&primary).plan().unwrap());
}

/// It was a primary when the plan was made.
#[test]
fn a_primary_that_becomes_a_replica() {
    for flavor in FLAVORS {
        let Some(old) = available(Server::start(flavor)) else { continue };
        let Some(new) = replica_of(&old, &[]) else { continue };
        let db = database(&old, "primaries_switched");
        db.conn().query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
        old.wait_for_replica(&new).unwrap();
        let run = alter(&db, "t", "ADD COLUMN c INT").postpone_cut_over(Postpone::until_released());
        let handle = run.start().unwrap();
        wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
        replication(&new, "STOP", "");
        old.replicate_from(&new).unwrap();
        handle.cut_over();
        let error = handle.join().unwrap_err();
        assert!(error.message().contains("the server replicates from 127.0.0.1"), "{error}");
        assert_eq!(error.table_state(), TableState::Untouched);
        assert_eq!(tables(&mut db.conn()), ["t"]);
    }
}
