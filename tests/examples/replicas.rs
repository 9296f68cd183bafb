//! Where there are replicas: which server is altered, and tests on one of them.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use online_alter::mysql::{self, prelude::Queryable};
use online_alter_support::{Flavor, Server, available, csm, database};

use crate::harness::{BIGINT, Bench, Ended, PATIENCE, Run, path};
use crate::operate::hook;

/// A primary with a replica, and the program, which is told of the replica.
struct Pair<'s> {
    bench: Bench<'s>,
    replica: Server,
}

impl Pair<'_> {
    fn run(&self, args: &[&str], code: i32) -> Ended {
        self.start(&[&["--alter", BIGINT], args].concat()).ends_with(code)
    }

    fn start(&self, args: &[&str]) -> Run {
        let name = self.bench.db.name();
        let url = format!("mysql://root@127.0.0.1:{}/{name}", self.replica.port());
        self.bench.bare(&[&["--url", &url, "--table", csm::TABLE], args].concat())
    }

    /// Stops or starts replication, or one thread of it.
    fn replication(&self, verb: &str, thread: &str) {
        let word = if self.replica.flavor() == Flavor::Mysql { "REPLICA" } else { "SLAVE" };
        self.replica.conn().query_drop(format!("{verb} {word} {thread}")).unwrap();
    }

    fn tables_of_replica(&self) -> Vec<String> {
        let sql = format!("SHOW TABLES FROM {}", self.bench.db.name());
        self.replica.conn().query(sql).unwrap()
    }
}

fn on_each_pair(name: &str, test: impl Fn(&Pair<'_>)) {
    for flavor in [Flavor::Mysql, Flavor::MariaDb] {
        let Some(primary) = available(Server::start(flavor)) else { continue };
        let replica = Server::builder(flavor).replica_of(&primary).start();
        let Some(replica) = available(replica) else { continue };
        let db = database(&primary, name);
        let bench = Bench::new(&primary, db, name, 500);
        primary.wait_for_replica(&replica).unwrap();
        let pair = Pair { bench, replica };
        test(&pair);
        fs::remove_dir_all(&pair.bench.dir).unwrap();
    }
}

#[test]
fn the_primary_of_a_replica_is_altered() {
    on_each_pair("example_primary", |pair| {
        let (primary, replica) = (pair.bench.server.port(), pair.replica.port());
        let ended = pair.run(&[], 0);
        let note = format!(
            "127.0.0.1:{replica} is a replica: its binary log is read, and the table is altered on \
             127.0.0.1:{primary}"
        );
        assert!(ended.err.contains(&note), "{}", ended.err);
        let read = format!("changes are read from the replica 127.0.0.1:{replica}");
        assert!(ended.out.contains(&read), "{}", ended.out);
        pair.bench.assert_untouched();
        // Named, it need not be looked for. Its user may be another one, whom the replica does not know.
        let mut conn = pair.bench.server.conn();
        conn.query_drop("SET sql_log_bin = 0").unwrap();
        conn.query_drop("CREATE USER writer@'%' IDENTIFIED BY 'other'").unwrap();
        conn.query_drop("GRANT ALL ON *.* TO writer@'%'").unwrap();
        let master = format!("127.0.0.1:{primary}");
        let named = ["--assume-master-host", &master, "--master-user", "writer"];
        let control = format!("127.0.0.1:{replica}");
        let more = ["--throttle-control-replicas", &control, "--execute"];
        let args = [&named[..], &["--master-password", "other"], &more].concat();
        let ended = pair.run(&args, 0);
        assert!(!ended.err.contains("is a replica"), "{}", ended.err);
        assert!(pair.bench.is_bigint());
        conn.query_drop("DROP USER writer@'%'").unwrap();
    });
}

#[test]
fn a_test_on_a_replica() {
    on_each_pair("example_test", |pair| {
        for point in ["stop-replication", "start-replication", "before-cut-over", "success"] {
            hook(&pair.bench.dir, point, "exit 0");
        }
        let hooks = ["--hooks-path", path(&pair.bench.dir), "--test-on-replica"];
        let args = [&hooks[..], &["--test-on-replica-start-again", "--execute"]].concat();
        let ended = pair.run(&args, 0);
        assert!(ended.out.contains("was tested: 500 rows copied"), "{}", ended.out);
        assert!(ended.out.contains("and was started again"), "{}", ended.out);
        let log = fs::read_to_string(pair.bench.file("log")).unwrap();
        let points: Vec<&str> = log.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(points, ["stop-replication", "start-replication", "success"]);
        pair.bench.assert_untouched();
        let ghost = format!("_{}_gho", csm::TABLE);
        assert!(pair.tables_of_replica().contains(&ghost));
        // Again, and left stopped; a hook may forbid it.
        let again = ["--initially-drop-ghost-table", "--test-on-replica", "--execute"];
        let ended = pair.run(&again, 0);
        assert!(ended.out.contains("and is left stopped"), "{}", ended.out);
        pair.replication("START", "");
        hook(&pair.bench.dir, "stop-replication", "exit 3");
        let args = [&again[..], &["--hooks-path", path(&pair.bench.dir)]].concat();
        let ended = pair.run(&args, 1);
        assert!(ended.err.contains("gh-ost-on-stop-replication-1 failed"), "{}", ended.err);
        assert_eq!(pair.tables_of_replica(), [csm::TABLE]);
        // It would stop at the next row.
        let ended = pair.run(&["--migrate-on-replica", "--execute"], 1);
        assert!(ended.err.contains("replication would stop"), "{}", ended.err);
    });
}

/// The replica that is read stands still, so that the rehearsal waits for it.
#[test]
fn a_rehearsal_is_interrupted() {
    on_each_pair("example_noop", |pair| {
        let [go, panic] = [pair.bench.file("go"), pair.bench.file("panic")];
        let wait = format!("while [ ! -e {} ]; do sleep 0.1; done", path(&go));
        hook(&pair.bench.dir, "validated", &wait);
        let hooks = ["--hooks-path", path(&pair.bench.dir), "--panic-flag-file", path(&panic)];
        let noop = [&["--alter", BIGINT, "--noop"][..], &hooks].concat();
        for by_signal in [true, false] {
            let run = pair.start(&noop);
            let began = Instant::now();
            while !pair.bench.file("log").exists() {
                assert!(began.elapsed() < PATIENCE, "{:?}", run.text());
                thread::sleep(Duration::from_millis(20));
            }
            pair.replication("STOP", "");
            fs::write(&go, "").unwrap();
            while pair.bench.tables().len() < 2 {
                assert!(began.elapsed() < PATIENCE, "{:?}", run.text());
                thread::sleep(Duration::from_millis(20));
            }
            if by_signal {
                run.signal("-INT");
            } else {
                fs::write(&panic, "").unwrap();
            }
            let ended = run.ends_with(1);
            assert!(ended.err.contains("error (Aborted)"), "{}", ended.err);
            pair.bench.assert_untouched();
            for file in [&go, &pair.bench.file("log")] {
                fs::remove_file(file).unwrap();
            }
            pair.replication("START", "");
            // Or the next one would find the tables there.
            while pair.tables_of_replica() != [csm::TABLE] {
                assert!(began.elapsed() < PATIENCE, "{:?}", pair.tables_of_replica());
                thread::sleep(Duration::from_millis(20));
            }
        }
    });
}

#[test]
fn attached_replicas_hold_a_run_back() {
    on_each_pair("example_attached", |pair| {
        let wait = pair.bench.file("postpone");
        let args = ["--execute", "--throttle-attached-replicas", "--postpone-cut-over-flag-file"];
        let run = pair.bench.alter(&[&args[..], &[path(&wait)]].concat());
        run.wait_for("State: postponing cut-over");
        pair.replication("STOP", "SQL_THREAD");
        run.wait_for("replica-lag=");
        pair.replication("START", "SQL_THREAD");
        fs::remove_file(&wait).unwrap();
        run.ends_with(0);
        assert!(pair.bench.is_bigint());
    });
}

#[test]
fn a_replica_alone_is_altered() {
    on_each_pair("example_migrate", |pair| {
        let run = pair.start(&["--alter", "ADD extra INT", "--migrate-on-replica", "--execute"]);
        run.ends_with(0);
        pair.bench.assert_untouched();
        let sql = format!("SHOW COLUMNS FROM {}.{} LIKE 'extra'", pair.bench.db.name(), csm::TABLE);
        assert_eq!(pair.replica.conn().query::<mysql::Row, _>(sql).unwrap().len(), 1);
    });
}
