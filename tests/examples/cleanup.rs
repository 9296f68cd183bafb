//! The example `cleanup` as its users run it.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use online_alter::mysql::prelude::Queryable;
use online_alter::{OnlineAlter, Phase, Postpone};
use online_alter_support::csm;

use crate::harness::{BIGINT, Bench, PATIENCE, built, on_each};

fn cleanup(bench: &Bench<'_>, args: &[&str]) -> (Option<i32>, String) {
    let url = format!("mysql://root@127.0.0.1:{}/{}", bench.server.port(), bench.db.name());
    let mut program = Command::new(built("cleanup"));
    program.args(["--url", &url]).args(args).env("MYSQL_PWD", "secret").env_remove("RUST_LOG");
    let Output { status, stdout, stderr } = program.output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (status.code(), text)
}

#[test]
fn lists_and_removes() {
    on_each("example_cleanup", 100, |bench| {
        let nothing = cleanup(bench, &[]);
        assert_eq!(nothing, (Some(0), "there is nothing to clean up\n".to_owned()));
        let alter = || OnlineAlter::new(bench.db.url(), csm::TABLE).alter(BIGINT);
        alter().run().unwrap();
        let kept = alter()
            .replace_old_table(true)
            .keep_on_failure(true)
            .postpone_cut_over(Postpone::until_released())
            .start()
            .unwrap();
        let began = Instant::now();
        while kept.progress().phase != Phase::Postponed {
            assert!(began.elapsed() < PATIENCE, "it is not postponed");
            std::thread::sleep(Duration::from_millis(20));
        }

        let (code, text) = cleanup(bench, &["--execute", "--table", csm::TABLE]);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("another run works on"), "{text}");
        let (code, text) = cleanup(bench, &["--execute"]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("the named lock") && text.contains("is under way"), "{text}");
        assert!(!text.contains("removed"), "{text}");
        kept.abort();
        kept.join().unwrap_err();
        bench.db.conn().query_drop("CREATE TABLE precious (id INT)").unwrap();
        let old = format!("_{}_del", csm::TABLE);
        bench.db.conn().query_drop(format!("CREATE TABLE {old} (id INT)")).unwrap();

        let before = bench.tables();
        let (code, text) = cleanup(bench, &[]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.starts_with("WHAT") && text.contains("may go"), "{text}");
        assert!(text.contains("nothing is changed without --execute"), "{text}");
        assert_eq!(bench.tables(), before);

        let (code, text) = cleanup(bench, &["--execute"]);
        assert_eq!(code, Some(1), "{text}");
        assert_eq!(text.matches("removed").count(), 2, "{text}");
        assert_eq!(bench.tables(), [old.as_str(), csm::TABLE, "precious"]);
        let (code, text) = cleanup(bench, &["--execute", "--drop", &old]);
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(bench.tables(), [csm::TABLE, "precious"]);
        assert_eq!(cleanup(bench, &["--nonsense"]).0, Some(2));
        assert_eq!(cleanup(bench, &["--table", ""]).0, Some(2));
    });
}
