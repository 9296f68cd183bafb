//! A server that takes no writes for a while, as in a failover that is taken back, or a schema that does not.

use mysql::prelude::Queryable;
use online_alter::Step;
use online_alter_support::Flavor;

use super::{create, exec, held_at, on_own, statements};
use crate::harness::wait_until;

/// How often a transaction was rolled back, as it is behind each try.
fn failed(conn: &mut mysql::Conn) -> u64 {
    let row: Option<(String, u64)> =
        conn.query_first("SHOW GLOBAL STATUS LIKE 'Com_rollback'").unwrap();
    row.unwrap().1
}

/// In each of the ways in which a server can be closed to writers, at each step from which the run has to write. It
/// goes on when the server is open again.
#[test]
fn at_each_step() {
    on_own("fault_read_only", &[], |server, db| {
        let ways: &[(&str, &str, &str)] = match server.flavor() {
            Flavor::Mysql => &[
                ("SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF", "--read-only"),
                // Which turns read_only on with it.
                (
                    "SET GLOBAL super_read_only = ON",
                    "SET GLOBAL read_only = OFF",
                    "--super-read-only",
                ),
                (
                    "ALTER DATABASE fault_read_only READ ONLY = 1",
                    "ALTER DATABASE fault_read_only READ ONLY = 0",
                    "in read only mode",
                ),
            ],
            _ => &[("SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF", "--read-only")],
        };
        for (close, open, says) in ways {
            for step in [Step::FencePassed, Step::BeforeLock] {
                eprintln!("{close} at {step:?}");
                exec(&mut db.conn(), "DROP TABLE IF EXISTS t, _t_del");
                let (mut conn, run) = create(server, db);
                if close.contains("super") {
                    // Who would be spared otherwise.
                    exec(&mut conn, &format!("GRANT SUPER ON *.* TO {}", db.name()));
                }
                let held = held_at(run, step);
                exec(&mut conn, close);
                let before = failed(&mut conn);
                held.go.send(()).unwrap();
                match step {
                    Step::BeforeLock => held.wait_for(says),
                    // Whichever statement comes first.
                    _ => wait_until("it was refused more than once", || {
                        assert!(!held.handle.is_finished(), "the run has ended");
                        failed(&mut conn) > before + 2
                    }),
                }
                exec(&mut conn, open);
                held.finish(&mut conn);
            }
        }
    });
}

/// The same when the indexes are about to be built.
#[test]
fn at_the_index_build() {
    on_own("fault_read_only_build", &[], |server, db| {
        let (mut conn, run) = create(server, db);
        let held = held_at(run, Step::CopyDone);
        exec(&mut conn, "SET GLOBAL read_only = ON");
        let before = failed(&mut conn);
        held.go.send(()).unwrap();
        wait_until("it was refused more than once", || {
            assert!(!held.handle.is_finished(), "the run has ended");
            failed(&mut conn) > before + 3
        });
        assert_eq!(
            statements(&mut conn, db).iter().filter(|(_, text)| text.contains("ADD KEY")).count(),
            0
        );
        exec(&mut conn, "SET GLOBAL read_only = OFF");
        held.finish(&mut conn);
    });
}
