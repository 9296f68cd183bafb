//! The connection that builds the indexes is lost: what the server makes of the statement is waited for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{IndexBuild, OnlineAlter, Phase, Step};

use super::Busy;
use crate::harness::{on_each, wait_until};
use crate::proxy::{Lose, Proxy};

const BUILD: &str = "ADD KEY `v`";

/// The connection that builds the indexes in this schema.
fn building(conn: &mut Conn) -> Option<u32> {
    let schema: String = conn.query_first("SELECT DATABASE()").unwrap().unwrap();
    let sql = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'ALTER TABLE";
    conn.query_first(format!("{sql} `{schema}`.`_t_gho` ADD KEY%'")).unwrap()
}

/// The building waits for a transaction, which is begun when the copy is done.
fn held(alter: OnlineAlter, url: &str) -> (OnlineAlter, Arc<Mutex<Option<Conn>>>) {
    let holder = Arc::new(Mutex::new(None));
    let (held, url) = (Arc::clone(&holder), url.to_owned());
    let alter = alter.index_build(IndexBuild::AfterCopy).on_step(move |step, _| {
        if step == Step::CopyDone {
            let mut conn = Conn::new(url.as_str()).unwrap();
            conn.query_drop("BEGIN").unwrap();
            conn.query_drop("SELECT * FROM _t_gho LIMIT 1").unwrap();
            *held.lock().unwrap() = Some(conn);
        }
    });
    (alter, holder)
}

/// The server goes on, and is waited for: the statement may have taken hours.
#[test]
fn the_answer_is_lost() {
    on_each("build_answer", |server, _| {
        let busy = Busy::new(server, "build_answer");
        let proxy = Proxy::start(server.port(), BUILD, Lose::Answer, 1);
        let url = busy.db.url().replace(&server.port().to_string(), &proxy.port().to_string());
        let (alter, holder) = held(busy.alter_at(&url), busy.db.url());
        let handle = alter.start().unwrap();
        let mut conn = busy.db.conn();
        let mut first = None;
        wait_until("they are built", || {
            first = building(&mut conn).filter(|_| proxy.lost() == 1);
            first.is_some()
        });
        // Long enough for ten looks at it.
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(10));
            assert_eq!(building(&mut conn), first, "it is left to itself");
            assert_eq!(handle.progress().phase, Phase::BuildIndexes);
        }
        holder.lock().unwrap().take();
        wait_until("it has ended", || handle.is_finished());
        let ended = handle.join();
        busy.judge_indexed(&ended, "the answer is lost");
    });
}

/// The server ends the connection, and takes back what it has done; or the statement never came to it.
#[test]
fn it_is_not_carried_out() {
    on_each("build_killed", |server, _| {
        let busy = Busy::new(server, "build_killed");
        let (alter, holder) = held(busy.alter(), busy.db.url());
        let handle = alter.start().unwrap();
        let mut conn = busy.db.conn();
        let mut first = None;
        wait_until("they are built", || {
            first = building(&mut conn).filter(|_| handle.progress().phase == Phase::BuildIndexes);
            first.is_some()
        });
        conn.query_drop(format!("KILL {}", first.unwrap())).unwrap();
        wait_until("they are built again", || {
            building(&mut conn).is_some_and(|id| Some(id) != first)
        });
        holder.lock().unwrap().take();
        wait_until("it has ended", || handle.is_finished());
        let ended = handle.join();
        busy.judge_indexed(&ended, "killed");

        let busy = Busy::new(server, "build_request");
        let proxy = Proxy::start(server.port(), BUILD, Lose::Request, 1);
        let url = busy.db.url().replace(&server.port().to_string(), &proxy.port().to_string());
        let ended = busy.alter_at(&url).index_build(IndexBuild::AfterCopy).run();
        assert_eq!(proxy.lost(), 1);
        busy.judge_indexed(&ended, "the request is lost");
    });
}

/// Told to stop, it does not wait for the server, which has hours to go.
#[test]
fn it_is_aborted_meanwhile() {
    on_each("build_aborted", |server, _| {
        let busy = Busy::new(server, "build_aborted");
        let proxy = Proxy::start(server.port(), BUILD, Lose::Answer, 1);
        let url = busy.db.url().replace(&server.port().to_string(), &proxy.port().to_string());
        let (alter, holder) = held(busy.alter_at(&url), busy.db.url());
        let handle = alter.start().unwrap();
        let mut conn = busy.db.conn();
        wait_until("they are built", || proxy.lost() == 1 && building(&mut conn).is_some());
        handle.abort();
        wait_until("the statement is ended", || building(&mut conn).is_none());
        holder.lock().unwrap().take();
        wait_until("it has ended", || handle.is_finished());
        let ended = handle.join();
        let error = ended.as_ref().map(ToString::to_string).unwrap_err();
        assert_eq!(error.kind(), online_alter::ErrorKind::Aborted, "{error}");
        assert_eq!(error.leftovers(), [], "{error}");
        busy.judge(&ended, "aborted");
    });
}
