//! An address that leads to another server from one connection to the next, as after a failover: that one is even a
//! replica, and has all the tables. Nothing may be written there, and the run ends.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::throttle::StatusLimits;
use online_alter::{
    ChunkSize, Error, ErrorKind, Handle, Leftover, OnlineAlter, Phase, Postpone, Step, TableState,
};
use online_alter_support::{Database, Flavor, Server, available, database};

use crate::harness::{FLAVORS, alter_at, tables, wait_until};
use crate::proxy::Proxy;

/// A primary, its replica, and a table of 300 rows.
struct Pair {
    primary: Server,
    replica: Server,
}

impl Pair {
    fn start(flavor: Flavor) -> Option<Self> {
        let primary = available(Server::start(flavor))?;
        let replica = available(Server::builder(flavor).replica_of(&primary).start())?;
        Some(Pair { primary, replica })
    }

    fn table(&self, name: &str) -> (Database, Conn) {
        let db = database(&self.primary, name);
        let mut conn = db.conn();
        for sql in [
            "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)",
            "INSERT INTO t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 300) \
             SELECT i, i FROM n",
        ] {
            conn.query_drop(sql).unwrap();
        }
        self.primary.wait_for_replica(&self.replica).unwrap();
        (db, conn)
    }

    /// What somebody has written on the replica itself.
    fn written_there(&self) -> Vec<String> {
        let mut conn = self.replica.conn();
        let files: Vec<mysql::Row> = conn.query("SHOW BINARY LOGS").unwrap();
        let mut found = Vec::new();
        for file in files {
            let file: String = file.get(0).unwrap();
            let events: Vec<mysql::Row> =
                conn.query(format!("SHOW BINLOG EVENTS IN '{file}'")).unwrap();
            for event in events {
                let (kind, server): (String, u32) = (event.get(2).unwrap(), event.get(3).unwrap());
                let counts = ["Query", "Table_map", "Write", "Update", "Delete", "Annotate"];
                if server == self.replica.server_id() && counts.iter().any(|k| kind.starts_with(k))
                {
                    found.push(format!("{kind}: {:?}", event.get::<String, _>(5)));
                }
            }
        }
        found
    }
}

/// By way of the proxy.
fn through(proxy: &Proxy, db: &Database) -> OnlineAlter {
    let url = format!("mysql://root:secret@127.0.0.1:{}/{}", proxy.port(), db.name());
    // Verification would find what is missing.
    let alter = alter_at(url, "t", "ADD c INT").chunk_size(ChunkSize::Rows(50)).copy_workers(1);
    alter.verify(false)
}

#[track_caller]
fn assert_ended(result: Result<online_alter::Report, Error>, kind: ErrorKind) -> Error {
    let error = result.map(|report| report.to_string()).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.table_state(), TableState::Untouched, "{error}");
    assert!(error.to_string().contains("another server"), "{error}");
    error
}

fn columns(conn: &mut Conn, table: &str) -> usize {
    let rows: Vec<mysql::Row> = conn.query(format!("SHOW COLUMNS FROM {table}")).unwrap();
    rows.len()
}

fn postponed(alter: OnlineAlter) -> Handle {
    let handle = alter.postpone_cut_over(Postpone::until_released()).start().unwrap();
    let there = || handle.progress().phase == Phase::Postponed || handle.is_finished();
    wait_until("it is postponed", there);
    handle
}

/// A session that moves rows loses its connection, and the next one is to somebody else.
#[test]
fn row_sessions() {
    for flavor in FLAVORS {
        let Some(pair) = Pair::start(flavor) else { continue };
        let (from, to) = (pair.primary.port(), pair.replica.port());

        // A chunk.
        let (db, mut conn) = pair.table("identity_chunk");
        let proxy =
            Proxy::switching(from, to, "INSERT /* online-alter */ INTO `identity_chunk`.`_t_gho`");
        let before = pair.written_there();
        std::thread::scope(|scope| {
            let (arrived, arrives) = std::sync::mpsc::channel();
            let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
            let goes_on = std::sync::Mutex::new(goes_on);
            let run = through(&proxy, &db).on_step(move |step, _| {
                if step == Step::FencePassed {
                    let _ = arrived.send(());
                    let _ = goes_on.lock().unwrap().recv();
                }
            });
            let run = scope.spawn(|| run.run());
            arrives.recv().unwrap();
            // Now the other server has the ghost, too.
            pair.primary.wait_for_replica(&pair.replica).unwrap();
            drop(go_on);
            let error = assert_ended(run.join().unwrap(), ErrorKind::UnsupportedServer);
            // The tables, and the connection that was lost, of which the other server knows nothing.
            let left = error.leftovers();
            assert!(matches!(left, [.., Leftover::Connection(_)]) && left.len() == 3, "{error}");
        });
        assert_eq!(proxy.lost(), 1);
        assert_eq!(columns(&mut conn, "t"), 2);
        assert_eq!(tables(&mut conn), ["_t_ghc", "_t_gho", "t"]);
        assert_eq!(pair.written_there(), before);

        // A refresh.
        let (db, mut conn) = pair.table("identity_refresh");
        let proxy = Proxy::switching(
            from,
            to,
            "REPLACE /* online-alter */ INTO `identity_refresh`.`_t_gho`",
        );
        let handle = postponed(through(&proxy, &db));
        pair.primary.wait_for_replica(&pair.replica).unwrap();
        conn.query_drop("UPDATE t SET v = 0 WHERE id = 7").unwrap();
        assert_ended(handle.join(), ErrorKind::UnsupportedServer);
        assert_eq!((proxy.lost(), columns(&mut conn, "t")), (1, 2));
        assert_eq!(pair.written_there(), before);

        // The swap.
        let (db, mut conn) = pair.table("identity_swap");
        let proxy = Proxy::switching(from, to, "RENAME /* online-alter */");
        let handle = postponed(through(&proxy, &db));
        pair.primary.wait_for_replica(&pair.replica).unwrap();
        handle.cut_over();
        let error = handle.join().map(|report| report.to_string()).unwrap_err();
        assert_eq!(proxy.lost(), 1);
        assert!(error.to_string().contains("another server"), "{error}");
        assert_eq!((columns(&mut conn, "t"), pair.written_there()), (2, before), "{error}");
    }
}

/// Only the connection that asks what throttles the run is lost.
#[test]
fn throttling() {
    for flavor in FLAVORS {
        let Some(pair) = Pair::start(flavor) else { continue };
        let (db, mut conn) = pair.table("identity_throttling");
        let (from, to) = (pair.primary.port(), pair.replica.port());
        let proxy = Proxy::switching(from, to, "SHOW GLOBAL STATUS");
        let handle = postponed(through(&proxy, &db));
        pair.primary.wait_for_replica(&pair.replica).unwrap();
        let before = pair.written_there();
        assert_eq!(proxy.lost(), 0);
        handle.change_limits(|limits| {
            limits.max_load = StatusLimits::new().limit("Threads_running", 1_000);
        });
        wait_until("it has ended", || handle.is_finished());
        assert_ended(handle.join(), ErrorKind::UnsupportedServer);
        assert_eq!((proxy.lost(), columns(&mut conn, "t")), (1, 2));
        assert_eq!(pair.written_there(), before);
    }
}

/// Ends the binlog streams of a user.
fn end_streams(server: &Server, user: &str) -> usize {
    let mut conn = server.conn();
    let rows: Vec<mysql::Row> = conn.query("SHOW PROCESSLIST").unwrap();
    let is_one = |row: &&mysql::Row| {
        row.get::<String, _>(1).as_deref() == Some(user)
            && row.get::<String, _>(4).is_some_and(|command| command.starts_with("Binlog Dump"))
    };
    let ids: Vec<u32> = rows.iter().filter(is_one).map(|row| row.get(0).unwrap()).collect();
    for id in &ids {
        conn.query_drop(format!("KILL {id}")).unwrap();
    }
    ids.len()
}

/// The stream breaks, and the next one would be somebody else's: of the server's own, and of a replica's.
#[test]
fn streams() {
    for flavor in FLAVORS {
        let Some(pair) = Pair::start(flavor) else { continue };
        let mut conn = pair.primary.conn();
        conn.query_drop("CREATE USER mover@'%' IDENTIFIED BY 'secret'").unwrap();
        conn.query_drop("GRANT ALL ON *.* TO mover@'%'").unwrap();
        pair.primary.wait_for_replica(&pair.replica).unwrap();
        let before = pair.written_there();
        for name in ["identity_stream", "identity_replica"] {
            let (db, mut conn) = pair.table(name);
            let own = name == "identity_stream";
            let (server, other) =
                if own { (&pair.primary, &pair.replica) } else { (&pair.replica, &pair.primary) };
            let proxy = Proxy::switching(server.port(), other.port(), "nothing of the kind");
            let url = format!("mysql://mover:secret@127.0.0.1:{}/{name}", proxy.port());
            let alter = if own {
                alter_at(url, "t", "ADD c INT")
            } else {
                alter_at(db.url(), "t", "ADD c INT").stream_from(url)
            };
            let handle = postponed(alter.chunk_size(ChunkSize::Rows(50)));
            proxy.switch();
            assert_eq!(end_streams(server, "mover"), 1);
            assert_ended(handle.join(), ErrorKind::Binlog);
            assert_eq!(columns(&mut conn, "t"), 2);
            assert_eq!(pair.written_there(), before);
        }
    }
}
