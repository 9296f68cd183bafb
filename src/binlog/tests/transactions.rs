//! Where transactions end, XA transactions, and the position.

use super::{ARTIFICIAL, ROTATE, Run, Seen, WRITE, XA_PREPARE, XID, rotate, rows_event};
use crate::binlog::interpreter::Interpreter;
use crate::binlog::{BinlogPosition, GtidSet, Start};
use crate::error::ErrorKind;

#[test]
fn the_position_follows_the_files() {
    let mut run = Run::new();
    // MariaDB's first one has its checksum behind the name of the file that was asked for.
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.000001\xff\x00ab")).unwrap();
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.000001")).unwrap();
    assert_eq!(run.seen.commits, []);
    run.ok(ROTATE, &rotate(b"b.000002"));
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.000002")).unwrap();
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.000002\x01\x02\x03\x04")).unwrap();
    assert_eq!(run.seen.commits, [BinlogPosition::new("b.000002", 4)]);
    // Numbers grow by a digit after a million files.
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.1000000")).unwrap();
    assert_eq!(run.seen.commits.last(), Some(&BinlogPosition::new("b.1000000", 4)));
    assert!(run.take(ROTATE, 0, &[1, 2, 3]).is_err());
}

#[test]
fn a_statement_outside_of_a_transaction_ends_itself() {
    let mut run = Run::new();
    run.query(1, "CREATE TABLE x (a INT)").unwrap();
    assert_eq!(run.seen.commits.len(), 1);
    run.query(1, "BEGIN").unwrap();
    run.query(1, "SAVEPOINT a").unwrap();
    run.query(1, "INSERT INTO mysql.rds_heartbeat2 VALUES (1)").unwrap();
    assert_eq!(run.seen.commits.len(), 1);
    run.query(1, "COMMIT").unwrap();
    assert_eq!(run.seen.commits.len(), 2);
    // MariaDB's GTID says whether the statement stands alone.
    run.ok(162, &[0; 13]);
    run.query(1, "INSERT INTO mysql.rds_heartbeat2 VALUES (1)").unwrap();
    assert_eq!(run.seen.commits.len(), 2);
    run.ok(XID, &[0; 8]);
    let mut alone = [0; 13];
    alone[12] = 1;
    run.ok(162, &alone);
    run.query(1, "CREATE TABLE y (a INT)").unwrap();
    assert_eq!(run.seen.commits.len(), 4);
}

/// Asked by its transactions, a server is told of those that have been read to their end.
#[test]
fn transactions_count_by_their_ids_when_they_have_ended() {
    let start = Start {
        position: BinlogPosition::new("b.000003", 4711),
        gtids: Some(GtidSet::parse_mariadb("0-1-7").unwrap()),
        file_begun: None,
    };
    let mut run = Run { interpreter: Interpreter::new(Run::watch(), start), seen: Seen::default() };
    let gtids = |run: &Run| run.interpreter.gtids().unwrap().to_string();
    let gtid = |number: u8| [number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    run.interpreter.reconnected(BinlogPosition::new("b.000003", 4711));
    // It begins with a file of its choice.
    run.take(ROTATE, ARTIFICIAL, &rotate(b"b.000002\xff\x00ab")).unwrap();
    assert_eq!(run.seen.commits, [BinlogPosition::new("b.000002", 4)]);
    run.ok(162, &gtid(8));
    run.map();
    run.ok(WRITE, &rows_event(WRITE, &[(1, "")]));
    assert_eq!(gtids(&run), "0-1-7");
    // It is read once more.
    run.interpreter.reconnected(BinlogPosition::new("b.000003", 4711));
    run.ok(XID, &[0; 8]);
    assert_eq!(gtids(&run), "0-1-7");
    run.ok(162, &gtid(8));
    run.map();
    run.ok(WRITE, &rows_event(WRITE, &[(1, "")]));
    run.ok(XID, &[0; 8]);
    // The server's id is in the head of the event.
    assert_eq!(gtids(&run), "0-0-8");
}

/// A replica may bring them in any order.
#[test]
fn a_second_domain_where_there_must_be_one() {
    let gtid = |domain: u8| [8, 0, 0, 0, 0, 0, 0, 0, domain, 0, 0, 0, 1];
    for (one_domain, fine) in [(true, false), (false, true)] {
        let watch = crate::binlog::watch::Watch { one_domain, ..Run::watch() };
        let start = BinlogPosition::new("b.000001", 4).into();
        let mut run = Run { interpreter: Interpreter::new(watch, start), seen: Seen::default() };
        run.ok(162, &gtid(3));
        run.ok(162, &gtid(3));
        assert_eq!(run.take(162, 0, &gtid(4)).is_ok(), fine);
    }
}

/// The rows of an XA transaction, up to and with the event that prepares it.
fn prepare(run: &mut Run, xid: &str, id: i32, one_phase: bool) {
    run.query(1, &format!("XA START {xid}")).unwrap();
    run.map();
    run.ok(WRITE, &rows_event(WRITE, &[(id, "")]));
    run.query(1, &format!("XA END {xid}")).unwrap();
    run.ok(XA_PREPARE, &[u8::from(one_phase), 1, 0, 0, 0]);
}

#[test]
fn xa_transactions_count_when_they_are_committed() {
    let mut run = Run::new();
    run.interpreter.copy_begins();
    prepare(&mut run, "X'61',X'',1", 1, false);
    prepare(&mut run, "X'62',X'',1", 2, false);
    prepare(&mut run, "X'63',X'',1", 3, true);
    assert_eq!(run.ints(), [3]);
    assert_eq!(run.seen.commits.len(), 3);
    // A transaction in between is its own.
    run.query(1, "BEGIN").unwrap();
    run.map();
    run.ok(WRITE, &rows_event(WRITE, &[(4, "")]));
    run.ok(XID, &[0; 8]);
    run.query(2, "XA ROLLBACK X'61',X'',1").unwrap();
    run.query(2, "XA COMMIT X'62',X'',1").unwrap();
    assert_eq!(run.ints(), [3, 4, 2]);
    // Committed twice: that one is not known.
    let error = run.query(2, "XA COMMIT X'62',X'',1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Binlog);
}

#[test]
fn mariadb_names_an_xa_transaction_in_its_gtid() {
    // With and without the id of a group commit; engines and such may follow.
    for (flags, id) in [(64_u8, &[][..]), (64 | 2, &[9; 8])] {
        let mut run = Run::new();
        run.interpreter.copy_begins();
        let mut gtid = vec![0; 12];
        gtid.push(flags);
        gtid.extend(id);
        gtid.extend([1, 0, 0, 0, 2, 1, 0x69, 0xab, 0xcd, 7, 7]);
        run.ok(162, &gtid);
        run.map();
        run.ok(WRITE, &rows_event(WRITE, &[(5, "")]));
        run.query(1, "XA END X'69ab',X'cd',1").unwrap();
        run.ok(XA_PREPARE, &[0; 12]);
        assert_eq!(run.seen.keys, []);
        let mut end = vec![0; 12];
        end.push(128);
        end.extend([1, 0, 0, 0, 2, 1, 0x69, 0xab, 0xcd]);
        run.ok(162, &end);
        run.query(1, "XA COMMIT X'69ab',X'cd',1").unwrap();
        assert_eq!(run.ints(), [5]);
        assert_eq!(run.seen.commits.len(), 2);
        assert!(run.take(162, 0, &gtid[..gtid.len() - 5]).is_err());
    }
}

#[test]
fn xa_transactions_from_before_the_run_matter_once_the_copy_has_begun() {
    let mut run = Run::new();
    run.query(1, "XA COMMIT X'61',X'',1").unwrap();
    run.interpreter.copy_begins();
    run.query(1, "XA ROLLBACK X'62',X'',1").unwrap();
    assert!(run.query(1, "XA COMMIT X'63',X'',1").is_err());
}

#[test]
fn a_stream_that_breaks_within_a_transaction_begins_it_again() {
    let mut run = Run::new();
    prepare(&mut run, "X'61',X'',1", 1, false);
    let at = run.seen.commits.last().unwrap().clone();
    run.query(1, "XA START X'62',X'',1").unwrap();
    run.map();
    run.ok(WRITE, &rows_event(WRITE, &[(2, "")]));
    run.interpreter.reconnected(at);
    // Not of the XA transaction that was cut off.
    run.query(1, "BEGIN").unwrap();
    assert!(run.take(WRITE, 0, &rows_event(WRITE, &[(3, "")])).is_err(), "ids begin anew");
    run.map();
    run.ok(WRITE, &rows_event(WRITE, &[(3, "")]));
    assert_eq!(run.ints(), [3]);
    // What was prepared before it broke is still known.
    run.interpreter.copy_begins();
    run.query(1, "XA COMMIT X'61',X'',1").unwrap();
    assert_eq!(run.ints(), [3, 1]);
}

/// After a reconnect, the file at our position has to be the one that it was.
#[test]
fn a_binlog_that_was_reset() {
    let mut run = Run::new();
    run.interpreter.check_file(500).unwrap();
    run.interpreter.reconnected(BinlogPosition::new("b.000001", 4_000));
    run.interpreter.check_file(500).unwrap();
    run.ok(ROTATE, &rotate(b"b.000002"));
    run.interpreter.check_file(501).unwrap();
    run.interpreter.reconnected(BinlogPosition::new("b.000002", 4_000));
    run.interpreter.check_file(501).unwrap();
    let error = run.interpreter.check_file(502).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Binlog);
}
