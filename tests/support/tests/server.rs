//! The servers start, can be used, and are gone with whoever started them.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use online_alter_support::{Flavor, Server, available, database, shared};

const HOLDER: &str = "ONLINE_ALTER_TEST_HOLDER";

fn each(test: impl Fn(Server)) {
    for flavor in Flavor::ALL {
        if let Some(server) = available(Server::start(flavor)) {
            test(server);
        }
    }
}

fn gone(pid: u32, dir: &Path) -> bool {
    let started = Instant::now();
    while Path::new(&format!("/proc/{pid}")).exists() || dir.exists() {
        if started.elapsed() > Duration::from_secs(10) {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn starts_and_is_stopped_on_drop() {
    for flavor in Flavor::ALL {
        let started = Instant::now();
        let Some(server) = available(Server::start(flavor)) else {
            continue;
        };
        println!("{flavor}: started in {:?}", started.elapsed());
        let mut conn = server.conn();
        let version: String = conn.query_first("SELECT VERSION()").unwrap().unwrap();
        assert_eq!(version.contains("MariaDB"), flavor.is_mariadb());
        let row: (u32, String, bool) =
            conn.query_first("SELECT @@server_id, @@binlog_format, @@log_bin").unwrap().unwrap();
        assert_eq!(row, (server.server_id(), "ROW".into(), true));
        let anonymous: Vec<String> =
            conn.query("SELECT CONCAT(user, '@', host) FROM mysql.user WHERE user = ''").unwrap();
        assert_eq!(anonymous, Vec::<String>::new());
        assert!(
            mysql::Conn::new(
                mysql::OptsBuilder::new()
                    .ip_or_hostname(Some("127.0.0.1"))
                    .tcp_port(server.port())
                    .prefer_socket(false)
                    .user(Some("root"))
            )
            .is_err(),
            "root without a password"
        );

        let pid = server.pid().unwrap();
        let dir = server.data_dir().parent().unwrap().to_path_buf();
        let stopping = Instant::now();
        drop(server);
        println!("{flavor}: stopped in {:?}", stopping.elapsed());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!dir.exists());
    }
}

#[test]
fn survives_a_crash_with_its_data() {
    each(|server| {
        let db = database(&server, "crash");
        db.conn().query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
        db.conn().query_drop("INSERT INTO t VALUES (7)").unwrap();
        server.kill().unwrap();
        assert!(server.pid().is_none());
        assert!(server.connect().is_err());
        server.restart().unwrap();
        let ids: Vec<i32> = db.conn().query("SELECT id FROM t").unwrap();
        assert_eq!(ids, [7]);
        server.restart().unwrap();
        let ids: Vec<i32> = db.conn().query("SELECT id FROM t").unwrap();
        assert_eq!(ids, [7]);
    });
}

#[test]
fn is_stopped_when_its_thread_panics() {
    each(|server| {
        let pid = server.pid().unwrap();
        let dir = server.data_dir().parent().unwrap().to_path_buf();
        let thread = thread::spawn(move || {
            let _server = server;
            panic!("meant to");
        });
        assert!(thread.join().is_err());
        assert!(gone(pid, &dir));
    });
}

/// Not a test of its own: what the next one runs in a process that it kills.
#[test]
fn holder() {
    let Ok(flavor) = env::var(HOLDER) else { return };
    let server = shared(flavor.parse().unwrap()).unwrap();
    println!("\nHELD {} {}", server.pid().unwrap(), server.data_dir().display());
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn is_stopped_when_its_process_is_killed() {
    for flavor in Flavor::ALL {
        if available(Server::start(flavor)).is_none() {
            continue;
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "holder", "--nocapture"])
            .env(HOLDER, flavor.name())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let held = lines.map(Result::unwrap).find(|line| line.starts_with("HELD")).unwrap();
        let words: Vec<&str> = held.split(' ').collect();
        let dir = Path::new(words[2]).parent().unwrap();
        assert!(dir.exists());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(gone(words[1].parse().unwrap(), dir), "{flavor}");
    }
}

#[test]
fn says_why_it_does_not_start() {
    for flavor in Flavor::ALL {
        let result = Server::builder(flavor).option("--no-such-option=1").start();
        let Err(error) = result else { panic!("{flavor} started") };
        if matches!(error, online_alter_support::StartError::Unavailable(_)) {
            continue;
        }
        assert!(error.to_string().contains("no-such-option"), "{error}");
    }
}

#[test]
fn replicates() {
    each(|primary| {
        let db = database(&primary, "replicated");
        db.conn().query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
        let replica = Server::builder(primary.flavor()).replica_of(&primary).start().unwrap();
        db.conn().query_drop("INSERT INTO t VALUES (1), (2)").unwrap();
        primary.wait_for_replica(&replica).unwrap();
        let ids: Vec<i32> = replica.conn().query("SELECT id FROM replicated.t").unwrap();
        assert_eq!(ids, [1, 2]);
    });
}

#[test]
fn on_disk_and_durable() {
    for flavor in Flavor::ALL {
        let Some(server) = available(Server::builder(flavor).on_disk().durable().start()) else {
            continue;
        };
        let row: Option<(i32, i32)> = server
            .conn()
            .query_first("SELECT @@sync_binlog, @@innodb_flush_log_at_trx_commit")
            .unwrap();
        assert_eq!(row, Some((1, 1)));
        assert!(server.data_dir().to_string_lossy().contains("target/tmp/servers"));
    }
}

#[test]
fn loads_the_plugins_of_mysql() {
    let server = Server::builder(Flavor::Mysql)
        .option("--plugin-load-add=semisync_source.so")
        .option("--rpl-semi-sync-source-enabled=1")
        .start();
    let Some(server) = available(server) else {
        return;
    };
    let on: Option<bool> =
        server.conn().query_first("SELECT @@rpl_semi_sync_source_enabled").unwrap();
    assert_eq!(on, Some(true));
}
