//! No room for the ghost.

use std::path::{Path, PathBuf};
use std::process::Command;

use mysql::Conn;
use online_alter::{ChunkSize, Error, ErrorKind, TableState};
use online_alter_support::Flavor;

use super::{create, exec, on_own, sums};
use crate::harness::{tables, wait_until};

/// Rows of a kilobyte.
fn grow(conn: &mut Conn, rows: u32) {
    exec(conn, "ALTER TABLE t MODIFY pad VARCHAR(1000) NOT NULL");
    exec(
        conn,
        &format!(
            "INSERT INTO t (v, pad) SELECT a.id, REPEAT('y', 1000) FROM t a, t b LIMIT {rows}"
        ),
    );
}

/// The run ended because of it, says so, and has taken back what it had made; the table works as before.
#[track_caller]
fn assert_full(conn: &mut Conn, error: &Error, before: Option<&String>) {
    assert_eq!(error.kind(), ErrorKind::Server, "{error}");
    assert_eq!(error.table_state(), TableState::Untouched, "{error}");
    assert!(error.message().contains("no room"), "{error}");
    assert_eq!(error.leftovers(), [], "{error}");
    assert_eq!(tables(conn), ["t"], "{error}");
    assert_eq!(sums(conn, "t").as_ref(), before);
    exec(conn, "UPDATE t SET v = v + 1 WHERE id < 50");
}

/// A tablespace for all tables that may not grow any more.
#[test]
fn a_tablespace_that_is_full() {
    let options =
        ["--innodb-file-per-table=OFF", "--innodb-data-file-path=ibdata1:12M:autoextend:max:76M"];
    on_own("fault_tablespace", &options, |server, db| {
        let (mut conn, run) = create(server, db);
        grow(&mut conn, 35_000);
        let before = sums(&mut conn, "t");
        let error = run.run().map(|report| report.to_string()).unwrap_err();
        eprintln!("{error}");
        assert_eq!(error.server_code(), Some(1114), "{error}");
        assert_full(&mut conn, &error, before.as_ref());
    });
}

/// A file system in memory that goes with the test. None if the test may not mount any.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m,mode=777");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Small(at.to_owned()));
        }
        eprintln!("SKIPPED: a file system can be mounted only by root");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Its server may have files open there still.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The disk of the schema is full when rows are copied.
#[test]
fn a_disk_that_is_full() {
    on_own("fault_disk", &[], |server, db| {
        let Some(_small) = Small::mount(&server.data_dir().join(db.name()), 48) else { return };
        let (mut conn, run) = create(server, db);
        grow(&mut conn, 25_000);
        let before = sums(&mut conn, "t");
        let error = run.run().map(|report| report.to_string()).unwrap_err();
        eprintln!("{error}");
        assert_full(&mut conn, &error, before.as_ref());
    });
}

/// The disk for temporary files is full when an index is built. MySQL alone has one of its own for that.
#[test]
fn a_disk_that_is_full_of_an_index_build() {
    let dir = std::env::temp_dir().join(format!("online-alter-full-{}", std::process::id()));
    let Some(_small) = Small::mount(&dir, 1) else { return };
    let option = format!("--innodb-tmpdir={}", dir.display());
    on_own("fault_tmpdir", &[&option], |server, db| {
        if server.flavor() != Flavor::Mysql {
            return;
        }
        let (mut conn, run) = create(server, db);
        grow(&mut conn, 60_000);
        exec(&mut conn, "SET SESSION innodb_tmpdir = '/tmp'");
        exec(&mut conn, "ALTER TABLE t ADD KEY pad (pad (700))");
        let before = sums(&mut conn, "t");
        let handle = run.chunk_size(ChunkSize::Rows(5000)).start().unwrap();
        wait_until("it has ended", || handle.is_finished());
        let error = handle.join().map(|report| report.to_string()).unwrap_err();
        eprintln!("{error}");
        assert_full(&mut conn, &error, before.as_ref());
    });
}
