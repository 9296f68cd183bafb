//! Foreign keys and triggers that go over to the new table, while others write to it and to the tables
//! that it refers to.

mod foreign_keys;
mod obstacles;
mod triggers;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use online_alter::{OnlineAlter, Step};
use online_alter_support::Database;

use crate::harness::{connection_is_gone, wait_until};

fn sql(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

fn show(conn: &mut Conn, table: &str) -> String {
    let row: Row = conn.query_first(format!("SHOW CREATE TABLE {table}")).unwrap().unwrap();
    row.get(1).unwrap()
}

fn rows(conn: &mut Conn, query: &str) -> Vec<Vec<String>> {
    let row = |row: Row| row.unwrap().into_iter().map(|v| v.as_sql(true)).collect();
    conn.query::<Row, _>(query).unwrap().into_iter().map(row).collect()
}

/// Threads that write until they are stopped. Each gets a connection and the number of its turn, and
/// returns how many rows it is sure of.
struct Threads {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<Vec<u64>>>,
    turns: Arc<AtomicU32>,
}

impl Threads {
    fn start(
        db: &Database,
        count: u64,
        turn: impl Fn(&mut Conn, u64, u64) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let turn = Arc::new(turn);
        let threads = (0..count).map(|thread| {
            let (stop, turns, turn) = (Arc::clone(&stop), Arc::clone(&turns), Arc::clone(&turn));
            let mut conn = db.conn();
            std::thread::spawn(move || {
                let mut done = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    if turn(&mut conn, thread, number) {
                        done.push(number);
                    }
                    turns.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(1));
                }
                done
            })
        });
        let threads = threads.collect();
        Threads { stop, threads, turns }
    }

    fn wait_for(&self, more: u32) {
        let goal = self.turns.load(Ordering::SeqCst) + more;
        wait_until("the threads go on", || self.turns.load(Ordering::SeqCst) >= goal);
    }

    fn stop(self) -> Vec<Vec<u64>> {
        self.wait_for(20);
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

/// In the first attempt, kills the connection that locks the table, at this step; behind the swap, the
/// one that is at work. The flag says whether it came.
fn killed_at(db: &Database, alter: OnlineAlter, at: Step) -> (OnlineAlter, Arc<AtomicBool>) {
    let killed = Arc::new(AtomicBool::new(false));
    let (done, url) = (Arc::clone(&killed), db.url().to_owned());
    let locker = AtomicU32::new(0);
    let alter =
        alter.cut_over_lock_timeout(Duration::from_secs(1)).on_step(move |step, connection| {
            if step == Step::Locked {
                locker.store(connection, Ordering::SeqCst);
            }
            if step == at && !done.swap(true, Ordering::SeqCst) {
                let mut conn = Conn::new(url.as_str()).unwrap();
                let locker = match at {
                    Step::FreeingParents => connection,
                    _ => locker.load(Ordering::SeqCst),
                };
                conn.query_drop(format!("KILL {locker}")).unwrap();
                wait_until("the connection is gone", || connection_is_gone(&mut conn, locker));
            }
        });
    (alter, killed)
}

/// What a listener has seen.
type Seen<T> = Arc<Mutex<Vec<T>>>;
