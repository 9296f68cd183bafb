//! What goes wrong.

use std::thread;
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{ChunkSize, Handle};
use online_alter_support::Server;

use crate::proxy::Proxy;
use crate::rng::Rng;

/// The user of the runs.
pub(crate) const USER: &str = "soak";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    KillQuery,
    KillGuard,
    CutOne,
    CutAll,
    Stall,
    Delay,
    Flush,
    Purge,
    ReadOnly,
    LockedRows,
    Reader,
    LockedServer,
    Ddl,
    Restart,
    Crash,
    Pause,
    Knobs,
    Abort,
}

const ALL: &[(usize, Fault)] = &[
    (180, Fault::Kill),
    (80, Fault::KillQuery),
    (4, Fault::KillGuard),
    (100, Fault::CutOne),
    (3, Fault::CutAll),
    (30, Fault::Stall),
    (40, Fault::Delay),
    (80, Fault::Flush),
    (40, Fault::Purge),
    (40, Fault::ReadOnly),
    (80, Fault::LockedRows),
    (60, Fault::Reader),
    (30, Fault::LockedServer),
    (5, Fault::Ddl),
    (4, Fault::Restart),
    (4, Fault::Crash),
    (40, Fault::Pause),
    (50, Fault::Knobs),
    (4, Fault::Abort),
];

/// Where it goes wrong.
pub(crate) struct Place<'a> {
    pub(crate) server: &'a Server,
    pub(crate) schema: &'a str,
    pub(crate) table: &'a str,
    pub(crate) proxy: Option<&'a Proxy>,
    pub(crate) handle: &'a Handle,
}

/// A connection of the runs' user.
struct Connection {
    id: u32,
    /// By which the server knows the client.
    port: u16,
}

impl Place<'_> {
    /// Lets something go wrong, and says what.
    pub(crate) fn strike(&self, rng: &Rng) -> &'static str {
        let fault = rng.weighted(ALL);
        self.strike_with(fault, rng).unwrap_or("nothing to strike")
    }

    fn conn(&self) -> Option<Conn> {
        let mut conn = self.server.connect().ok()?;
        conn.query_drop(format!("USE {}", self.schema)).ok()?;
        Some(conn)
    }

    fn strike_with(&self, fault: Fault, rng: &Rng) -> Option<&'static str> {
        let mut conn = self.conn()?;
        let (table, is_mariadb) = (self.table, self.server.flavor().is_mariadb());
        let millis = |low, high| Duration::from_millis(rng.between(low, high).cast_unsigned());
        Some(match fault {
            Fault::Kill | Fault::KillQuery => {
                let guard = self.guard(&mut conn);
                let mut all = connections(&mut conn);
                all.retain(|connection| Some(connection.id) != guard);
                let victim = all.get(rng.below(all.len().max(1)))?.id;
                let (what, name) =
                    if fault == Fault::Kill { ("", "KILL") } else { ("QUERY", "KILL QUERY") };
                let _ = conn.query_drop(format!("KILL {what} {victim}"));
                name
            }
            Fault::KillGuard => {
                let guard = self.guard(&mut conn)?;
                let _ = conn.query_drop(format!("KILL {guard}"));
                "KILL of the lock's holder"
            }
            Fault::CutOne => {
                let guard = self.guard(&mut conn);
                let all = connections(&mut conn);
                let spared = all.iter().find(|c| Some(c.id) == guard).map(|c| c.port);
                let mut ports = self.proxy?.ports();
                ports.retain(|port| Some(*port) != spared);
                let victim = *ports.get(rng.below(ports.len().max(1)))?;
                self.proxy?.cut(|port| port == victim);
                "connection cut"
            }
            Fault::CutAll => {
                self.proxy?.cut(|_| true);
                "all connections cut"
            }
            Fault::Stall => {
                self.proxy?.stall(millis(500, 6000));
                "stall"
            }
            Fault::Delay => {
                self.proxy?.delay(millis(5, 300));
                thread::sleep(millis(300, 2000));
                self.proxy?.delay(Duration::ZERO);
                "delay"
            }
            Fault::Flush => {
                conn.query_drop("FLUSH BINARY LOGS").ok()?;
                "FLUSH BINARY LOGS"
            }
            Fault::Purge => {
                conn.query_drop("FLUSH BINARY LOGS").ok()?;
                let logs: Vec<Row> = conn.query("SHOW BINARY LOGS").ok()?;
                let last: String = logs.last()?.get(0)?;
                conn.query_drop(format!("PURGE BINARY LOGS TO '{last}'")).ok()?;
                "PURGE BINARY LOGS"
            }
            Fault::ReadOnly => {
                conn.query_drop("SET GLOBAL read_only = 1").ok()?;
                thread::sleep(millis(100, 2500));
                let _ = self.conn()?.query_drop("SET GLOBAL read_only = 0");
                "read_only"
            }
            Fault::LockedRows => {
                conn.query_drop("BEGIN").ok()?;
                let from = rng.below(2000);
                let sql = format!(
                    "SELECT id FROM {table} WHERE id BETWEEN {from} AND {} FOR UPDATE",
                    from + 200
                );
                conn.query_drop(sql).ok()?;
                thread::sleep(millis(100, 3000));
                "locked rows"
            }
            Fault::Reader => {
                conn.query_drop("BEGIN").ok()?;
                conn.query_drop(format!("SELECT COUNT(*) FROM {table}")).ok()?;
                thread::sleep(millis(100, 4000));
                "long transaction"
            }
            Fault::LockedServer => {
                conn.query_drop("SET SESSION lock_wait_timeout = 3").ok()?;
                conn.query_drop("FLUSH TABLES WITH READ LOCK").ok()?;
                thread::sleep(millis(50, 1500));
                "FLUSH TABLES WITH READ LOCK"
            }
            Fault::Ddl => {
                conn.query_drop("SET SESSION lock_wait_timeout = 3").ok()?;
                conn.query_drop(format!("ALTER TABLE {table} ADD COLUMN others INT")).ok()?;
                "ALTER by others"
            }
            Fault::Restart => {
                drop(conn);
                self.server.restart().unwrap();
                "restart"
            }
            Fault::Crash => {
                drop(conn);
                self.server.kill().unwrap();
                thread::sleep(millis(0, 1500));
                self.server.restart().unwrap();
                "crash"
            }
            Fault::Pause => {
                self.handle.pause();
                thread::sleep(millis(50, 2000));
                self.handle.resume();
                "pause"
            }
            Fault::Knobs => {
                self.handle.set_copy_workers(1 + rng.below(4));
                self.handle.set_chunk_size(ChunkSize::Rows(1 + rng.below(500) as u64));
                if rng.chance(20) && !is_mariadb {
                    let _ = conn.query_drop(format!("ANALYZE TABLE {table}"));
                }
                "knobs"
            }
            Fault::Abort => {
                self.handle.abort();
                "abort"
            }
        })
    }

    fn guard(&self, conn: &mut Conn) -> Option<u32> {
        let lock = format!("online-alter:{}.{}", self.schema, self.table);
        conn.query_first::<Option<u32>, _>(format!("SELECT IS_USED_LOCK('{lock}')")).ok()??
    }
}

fn connections(conn: &mut Conn) -> Vec<Connection> {
    let rows: Vec<Row> = conn.query("SHOW PROCESSLIST").unwrap_or_default();
    let ours = rows.iter().filter(|row| row.get::<String, _>(1).as_deref() == Some(USER));
    let connection = |row: &Row| {
        let host: String = row.get(2)?;
        let port = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0);
        Some(Connection { id: row.get(0)?, port })
    };
    ours.filter_map(connection).collect()
}
