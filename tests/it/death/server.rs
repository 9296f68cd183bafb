//! The server is killed (SIGKILL) in the middle of a run, and comes back. Before the swap that ends the run, with its
//! tables kept: who has begun meanwhile it cannot know, as a server that was restarted has forgotten all named locks. Another
//! run goes on from there.
//! A swap that was asked for is looked for, and if it has come about the run ends well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use online_alter::{
    Error, ErrorKind, Event, OnlineAlter, Phase, Postpone, Report, Step, TableState,
};
use online_alter_support::Server;

use super::line::{Fault, Line};
use super::{Busy, STREAM, on_durable, rounds};
use crate::harness::{index_build, wait_until};
use crate::proxy::{Lose, Proxy};

/// Kills the server once, and says that it has.
#[derive(Clone)]
pub(super) struct Killer {
    server: Arc<Server>,
    done: Arc<AtomicBool>,
}

impl Killer {
    pub(super) fn new(server: &Arc<Server>) -> Self {
        Killer { server: Arc::clone(server), done: Arc::default() }
    }

    fn kill(&self) {
        if !self.done.load(Ordering::SeqCst) {
            self.server.kill().unwrap();
            self.done.store(true, Ordering::SeqCst);
        }
    }

    pub(super) fn at(&self, alter: OnlineAlter, step: Step) -> OnlineAlter {
        let killer = self.clone();
        alter.on_step(move |at, _| {
            if at == step {
                killer.kill();
            }
        })
    }

    /// The end of a run in which the server is killed, and brought back as soon as it is.
    pub(super) fn end_of(&self, alter: OnlineAlter) -> Result<Report, Error> {
        let handle = alter.start().unwrap();
        wait_until("the server is killed", || {
            self.done.load(Ordering::SeqCst) || handle.is_finished()
        });
        // Whoever kills it in a thread of his own may be late.
        let end = Instant::now() + Duration::from_secs(5);
        while !self.done.load(Ordering::SeqCst) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(self.done.load(Ordering::SeqCst), "{:?}", handle.join());
        self.bring_back();
        let began = Instant::now();
        wait_until("the run has ended", || handle.is_finished());
        eprintln!("  ended {:?} behind the restart", began.elapsed());
        handle.join()
    }

    fn bring_back(&self) {
        self.server.restart().unwrap();
    }
}

/// It ended because the server died, and left the table alone.
#[track_caller]
fn assert_ended(ended: &Result<Report, Error>, what: &str) {
    let Err(error) = ended else { panic!("{what}: {}", ended.as_ref().unwrap()) };
    eprintln!("  {what}: {error}");
    let kinds = [ErrorKind::LockLost, ErrorKind::Connection];
    assert!(kinds.contains(&error.kind()), "{what}: {:?} {error}", error.kind());
    assert_eq!(error.table_state(), TableState::Untouched, "{what}: {error}");
    assert!(error.leftovers().len() >= 2, "{what}: {error}");
}

#[test]
fn before_the_swap() {
    on_durable("death_before", |server| {
        let steps: &[Step] = if server.flavor().is_mariadb() {
            &[Step::Locked, Step::RenameQueued, Step::SentryDropped]
        } else {
            &[Step::Locked, Step::BeforeRename]
        };
        for step in steps {
            let what = format!("{step:?}");
            let busy = Busy::new(server, "death_before");
            let killer = Killer::new(server);
            let ended = killer.end_of(killer.at(busy.alter(), *step));
            assert_ended(&ended, &what);
            busy.assert_named(&ended, &what);
            busy.resume(&what);
        }
    });
}

#[test]
fn in_the_copy_and_in_a_refresh() {
    on_durable("death_copy", |server| {
        let busy = Busy::new(server, "death_copy");
        let killer = Killer::new(server);
        let mut chunks = 0;
        let kills = killer.clone();
        let alter = busy.alter().observer(move |event: &Event| {
            if matches!(event, Event::ChunkCopied { .. }) {
                chunks += 1;
                if chunks == 3 {
                    kills.kill();
                }
            }
        });
        let ended = killer.end_of(alter);
        assert_ended(&ended, "a chunk");
        busy.assert_named(&ended, "a chunk");
        busy.resume("a chunk");

        let busy = Busy::new(server, "death_refresh");
        let handle = busy.alter().postpone_cut_over(Postpone::until_released()).start().unwrap();
        wait_until("it is postponed", || handle.progress().phase == Phase::Postponed);
        let mut holder = busy.db.conn();
        holder.query_drop("BEGIN").unwrap();
        holder.query_drop("SELECT * FROM _t_gho FOR UPDATE").unwrap();
        let mut conn = busy.db.conn();
        wait_until("a refresh waits", || {
            let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE \
                       'REPLACE%_t_gho%' OR INFO LIKE 'DELETE%_t_gho%'";
            conn.query_first(sql).unwrap() == Some(1) || conn.query_first(sql).unwrap() == Some(2)
        });
        server.kill().unwrap();
        server.restart().unwrap();
        wait_until("the run has ended", || handle.is_finished());
        let ended = handle.join();
        assert_ended(&ended, "a refresh");
        busy.assert_named(&ended, "a refresh");
        busy.resume("a refresh");
    });
}

#[test]
fn in_the_building_of_indexes() {
    on_durable("death_index", |server| {
        let busy = Busy::new(server, "death_index");
        let (killer, url) = (Killer::new(server), busy.db.url().to_owned());
        let holder = std::sync::Mutex::new(None);
        let alter = busy.alter().on_step(move |step, _| {
            if step == Step::CopyDone {
                // The statement begins, and waits for this to end.
                let mut conn = mysql::Conn::new(url.as_str()).unwrap();
                conn.query_drop("BEGIN").unwrap();
                conn.query_drop("SELECT * FROM _t_gho LIMIT 1").unwrap();
                *holder.lock().unwrap() = Some(conn);
            }
        });
        let handle = alter.start().unwrap();
        let mut conn = busy.db.conn();
        wait_until("they are built", || {
            handle.progress().phase == Phase::BuildIndexes && index_build(&mut conn).is_some()
        });
        killer.kill();
        killer.bring_back();
        wait_until("the run has ended", || handle.is_finished());
        let ended = handle.join();
        assert_ended(&ended, "building indexes");
        busy.assert_named(&ended, "building indexes");
        busy.resume("building indexes");
    });
}

/// The proxy keeps the answer to RENAME, and the server dies: the tables are swapped, and the run finds that out.
#[test]
fn behind_the_swap() {
    on_durable("death_behind", |server| {
        let busy = Busy::new(server, "death_answer");
        let killer = Killer::new(server);
        let proxy = Proxy::start(server.port(), "RENAME /* online-alter */", Lose::Answer, 1);
        let url = busy.db.url().replace(&server.port().to_string(), &proxy.port().to_string());
        let handle = busy.alter_at(&url).start().unwrap();
        let mut conn = busy.db.conn();
        wait_until("the tables are swapped", || {
            let columns: Option<u32> = conn
                .query_first(
                    "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = \
                     DATABASE() AND TABLE_NAME = 't'",
                )
                .unwrap();
            columns == Some(4)
        });
        killer.kill();
        killer.bring_back();
        wait_until("the run has ended", || handle.is_finished());
        assert_eq!(proxy.lost(), 1);
        let ended = handle.join();
        eprintln!("  the answer is lost: {ended:?}");
        assert!(ended.is_ok(), "{ended:?}");
        busy.assert_named(&ended, "the answer is lost");
        busy.resume("the answer is lost");

        for step in [Step::Renamed, Step::Proven] {
            let what = format!("{step:?}");
            let busy = Busy::new(server, "death_behind");
            let killer = Killer::new(server);
            let ended = killer.end_of(killer.at(busy.alter(), step));
            eprintln!("  {what}: {ended:?}");
            assert!(ended.is_ok(), "{what}: {ended:?}");
            busy.judge(&ended, &what);
        }
    });
}

/// The stream has not shown the swap when the server dies: it is read behind the restart.
#[test]
fn the_proof_is_made_behind_the_restart() {
    on_durable("death_proof", |server| {
        let busy = Busy::new(server, "death_proof");
        let killer = Killer::new(server);
        let line = Line::start(server.port(), STREAM, Fault::None, 0);
        let (hold, release) = (line.holder(), line.holder());
        let url = busy.db.url().replace(&server.port().to_string(), &line.port().to_string());
        let kills = killer.clone();
        let alter = busy.alter_at(&url).on_step(move |step, _| match step {
            Step::Drained => hold(true),
            Step::Renamed => kills.kill(),
            _ => {}
        });
        let handle = alter.start().unwrap();
        wait_until("the server is killed", || {
            killer.done.load(Ordering::SeqCst) || handle.is_finished()
        });
        release(false);
        killer.bring_back();
        wait_until("the run has ended", || handle.is_finished());
        let ended = handle.join();
        assert!(ended.is_ok(), "{ended:?}");
        busy.judge(&ended, "the proof");
    });
}

/// RENAME itself is under way: whatever becomes of it, the run knows.
#[test]
fn in_the_swap() {
    on_durable("death_swap", |server| {
        let (moment, micros) = if server.flavor().is_mariadb() {
            (Step::SentryDropped, 500)
        } else {
            (Step::BeforeRename, 3000)
        };
        let (mut swapped, rounds) = (0, rounds(3));
        for round in 0..rounds {
            let busy = Busy::new(server, "death_swap");
            let (killer, kills) = (Killer::new(server), Killer::new(server));
            let alter = busy.alter().on_step({
                let (killer, kills) = (killer.clone(), kills.clone());
                move |step, _| {
                    if step == moment && !kills.done.swap(true, Ordering::SeqCst) {
                        let killer = killer.clone();
                        std::thread::spawn(move || {
                            std::thread::sleep(Duration::from_micros(micros * u64::from(round)));
                            killer.kill();
                        });
                    }
                }
            });
            let ended = killer.end_of(alter);
            swapped += u32::from(ended.is_ok());
            let what = format!("in the swap, round {round}");
            busy.assert_named(&ended, &what);
            if ended.is_err() {
                assert_ended(&ended, &what);
                busy.resume(&what);
            } else {
                busy.judge(&ended, &what);
            }
        }
        eprintln!("  swapped {swapped} times of {rounds}");
    });
}
