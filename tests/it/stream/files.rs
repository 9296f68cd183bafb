//! Binlog files that come and go: small ones, such as are purged, a binlog that is reset, and what the head of a file says.

use mysql::prelude::Queryable;
use mysql::{BinlogRequest, Conn, Row};
use mysql_common::packets::BinlogDumpFlags;
use online_alter::{ErrorKind, Handle, OnlineAlter, TableState};
use online_alter_support::{Builder, Database, Flavor, Server, available, database};

use super::{CLAUSE, COLUMNS, create, exec, failure, finish, postponed, same};
use crate::harness::{FLAVORS, alter_at, tables, wait_until};

fn on_own(name: &str, options: &[&str], test: impl Fn(&Server, &Database)) {
    let _ = env_logger::try_init();
    let only = std::env::var("ONLINE_ALTER_ONLY").ok();
    for flavor in FLAVORS.into_iter().filter(|f| only.as_ref().is_none_or(|o| *o == f.to_string()))
    {
        let builder =
            options.iter().fold(Server::builder(flavor), |all, option| all.option(*option));
        let gtids = ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"];
        let builder = match flavor {
            Flavor::Mysql => gtids.into_iter().fold(builder, Builder::option),
            _ => builder,
        };
        let Some(server) = available(builder.start()) else { continue };
        eprintln!("{name} on {flavor}");
        test(&server, &database(&server, name));
    }
}

fn files(conn: &mut Conn) -> Vec<String> {
    let rows: Vec<Row> = conn.query("SHOW BINARY LOGS").unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

/// A user whose connections are counted, so that he can be refused new ones.
fn counted(server: &Server, db: &Database, conn: &mut Conn) -> OnlineAlter {
    let user = db.name();
    exec(conn, &format!("DROP USER IF EXISTS {user}"));
    exec(conn, &format!("CREATE USER {user} IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 100"));
    exec(conn, &format!("GRANT ALL ON *.* TO {user}"));
    create(conn, "t");
    let url = format!("mysql://{user}:secret@127.0.0.1:{}/{user}", server.port());
    alter_at(url, "t", CLAUSE)
}

/// Ends the run's stream, and does something before there can be another.
fn without_the_stream(db: &Database, conn: &mut Conn, change: impl FnOnce(&mut Conn)) {
    let user = db.name();
    exec(conn, &format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS 1"));
    let dump = "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'";
    let id: u32 = conn.query_first(dump).unwrap().unwrap();
    exec(conn, &format!("KILL {id}"));
    wait_until("it has ended", || conn.query_first::<u32, _>(dump).unwrap().is_none());
    change(conn);
    exec(conn, &format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS 100"));
}

fn comes_through(conn: &mut Conn, handle: &Handle, sql: &str) {
    let before = handle.progress().keys_changed;
    exec(conn, sql);
    wait_until("it comes through", || handle.progress().keys_changed > before);
}

/// A new file with every transaction, and nothing kept of those that the stream has read: a stream that keeps up does not
/// notice.
#[test]
fn purged_behind_a_stream_that_keeps_up() {
    on_own("stream_purged", &["--max-binlog-size=4096"], |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter_at(db.url(), "t", CLAUSE));
        let first = files(&mut conn);
        for round in 0..20 {
            let id = round % 5 + 1;
            let big =
                format!("UPDATE t SET v = v + 1, big = REPEAT('{round}', 5000) WHERE id = {id}");
            comes_through(&mut conn, &handle, &big);
            let last = files(&mut conn).pop().unwrap();
            exec(&mut conn, &format!("PURGE BINARY LOGS TO '{last}'"));
        }
        assert!(!files(&mut conn).contains(&first[0]), "{first:?} {:?}", files(&mut conn));
        exec(&mut conn, "DELETE FROM t WHERE id = 7");
        finish(handle);
        same(&mut conn, COLUMNS);
    });
}

/// The stream waits, as no more keys may be pending, and is many files behind: the server keeps those for it.
#[test]
fn purged_ahead_of_a_stream_that_is_behind() {
    on_own("stream_behind", &[], |_, db| {
        let mut conn = db.conn();
        create(&mut conn, "t");
        let handle = postponed(alter_at(db.url(), "t", CLAUSE).max_pending_keys(3));
        handle.pause();
        exec(&mut conn, "UPDATE t SET v = v + 1");
        wait_until("there is no more room", || handle.progress().keys_pending >= 3);
        for id in 1..=10 {
            exec(&mut conn, "FLUSH BINARY LOGS");
            exec(
                &mut conn,
                &format!("UPDATE t SET v = v + 100, big = REPEAT('z', 3000000) WHERE id = {id}"),
            );
        }
        let last = files(&mut conn).pop().unwrap();
        // MySQL says so in a warning.
        exec(&mut conn, &format!("PURGE BINARY LOGS TO '{last}'"));
        assert!(files(&mut conn).len() > 3, "{:?}", files(&mut conn));
        assert!(handle.progress().keys_pending < 10, "{}", handle.progress());
        handle.resume();
        finish(handle);
        same(&mut conn, COLUMNS);
    });
}

/// The file is gone that the stream has to go on in: the run ends, by whatever it asks.
#[test]
fn purged_while_there_was_no_stream() {
    on_own("stream_gone", &[], |server, db| {
        for gtid in [false, true] {
            eprintln!("gtid: {gtid}");
            let mut conn = db.conn();
            exec(&mut conn, "DROP TABLE IF EXISTS t");
            let run = counted(server, db, &mut conn).gtid(gtid);
            let handle = postponed(run);
            without_the_stream(db, &mut conn, |conn| {
                exec(conn, "UPDATE t SET v = 77 WHERE id = 7");
                exec(conn, "FLUSH BINARY LOGS");
                exec(conn, "FLUSH BINARY LOGS");
                let last = files(conn).pop().unwrap();
                // MariaDB keeps what InnoDB has not written down yet.
                wait_until("they are gone", || {
                    exec(conn, &format!("PURGE BINARY LOGS TO '{last}'"));
                    files(conn) == [last.as_str()]
                });
            });
            assert_ended(&mut conn, handle, "not to be had (any more)");
        }
    });
}

/// After RESET the names of files begin anew: at our position is something else, or nothing.
#[test]
fn reset_while_there_was_no_stream() {
    on_own("stream_reset", &[], |server, db| {
        for longer in [false, true] {
            eprintln!("longer: {longer}");
            let mut conn = db.conn();
            exec(&mut conn, "DROP TABLE IF EXISTS t");
            reset(server, &mut conn);
            let handle = postponed(counted(server, db, &mut conn));
            without_the_stream(db, &mut conn, |conn| {
                reset(server, conn);
                if longer {
                    // Of the same length everywhere, so that our position is where one of them ends.
                    exec(conn, "UPDATE t SET v = 77, big = REPEAT('x', 500000) WHERE id = 7");
                }
            });
            assert_ended(&mut conn, handle, "");
        }
    });
}

fn reset(server: &Server, conn: &mut Conn) {
    let sql = match server.flavor() {
        Flavor::Mysql => "RESET BINARY LOGS AND GTIDS",
        _ => "RESET MASTER",
    };
    exec(conn, sql);
}

#[track_caller]
fn assert_ended(conn: &mut Conn, handle: Handle, says: &str) {
    let error = failure(handle);
    eprintln!("{error}");
    assert_eq!(error.kind(), ErrorKind::Binlog, "{error}");
    assert_eq!(error.table_state(), TableState::Untouched, "{error}");
    assert!(error.message().contains(says), "{error}");
    assert_eq!(error.leftovers(), [], "{error}");
    assert_eq!(tables(conn), ["t"]);
}

/// When a file says that the server was started: at the head of the first one that it writes, and nowhere else. By that the run knows
/// whose the ids of connections are. And each begins with the time at which it was begun, wherever it is asked for.
#[test]
fn heads_of_files() {
    on_own("stream_heads", &[], |server, _| {
        let mut conn = server.conn();
        reset(server, &mut conn);
        exec(&mut conn, "FLUSH BINARY LOGS");
        server.restart().unwrap();
        let mut conn = server.conn();
        let now: u32 = conn.query_first("SELECT UNIX_TIMESTAMP()").unwrap().unwrap();
        exec(&mut conn, "CREATE DATABASE more");
        exec(&mut conn, "FLUSH BINARY LOGS");
        exec(&mut conn, "DROP DATABASE more");
        let files = files(&mut conn);
        let whole = heads(server, &files[0], 4);
        let started: Vec<bool> = whole.iter().map(|(_, created)| *created != 0).collect();
        // RESET counts as a start: who had connected before has lost his place anyway.
        assert_eq!(started, [true, false, true, false], "{files:?} {whole:?}");
        assert!(whole[2].1 <= now && now - whole[2].1 < 60, "{whole:?}, connected at {now}");
        for (file, (begun, _)) in files.iter().zip(&whole) {
            let middle: Vec<Row> =
                conn.query(format!("SHOW BINLOG EVENTS IN '{file}' LIMIT 1, 1")).unwrap();
            let Some(middle) = middle.first().and_then(|row| row.get::<u64, _>(1)) else {
                continue;
            };
            assert_eq!(heads(server, file, middle)[0], (*begun, 0), "{file} from {middle}");
        }
    });
}

/// The time of each file's FORMAT_DESCRIPTION event, and what it says that the server was started.
fn heads(server: &Server, file: &str, from: u64) -> Vec<(u32, u32)> {
    let request = BinlogRequest::new(4_000_000_000)
        .with_filename(file.as_bytes().to_vec())
        .with_pos(from)
        .with_flags(BinlogDumpFlags::BINLOG_DUMP_NON_BLOCK);
    let stream = server.conn().get_binlog_stream(request).unwrap();
    let head = |event: mysql_common::binlog::events::Event| {
        let header = event.header();
        let created = event.data().get(52..56)?.try_into().ok()?;
        (header.event_type_raw() == 15).then(|| (header.timestamp(), u32::from_le_bytes(created)))
    };
    stream.filter_map(|event| head(event.unwrap())).collect()
}
