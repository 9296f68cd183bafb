//! How the example is run, and what it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use online_alter::mysql::{self, prelude::Queryable};
use online_alter_support::{Database, Flavor, Server, csm, database, shared};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The built example `alter`.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("alter"))
}

/// A built example, with the features of this test. `cargo test` builds it along with the tests, unless only some of them
/// are asked for; then cargo has something to do here.
pub(crate) fn built(example: &str) -> PathBuf {
    // target/debug/deps/examples-0123
    let this = std::env::current_exe().unwrap();
    let profile = this.ancestors().nth(2).unwrap();
    let features = [
        ("http", cfg!(feature = "http")),
        ("rustls", cfg!(feature = "rustls")),
        ("native-tls", cfg!(feature = "native-tls")),
    ];
    let features = features.iter().filter(|(_, on)| *on).map(|(name, _)| *name);
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--example", example, "--features"]);
    build.arg(features.collect::<Vec<_>>().join(","));
    build.arg("--target-dir").arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        build.arg("--release");
    }
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(build.status().unwrap().success(), "{build:?}");
    profile.join("examples").join(example)
}

/// Runs the test on both flavors, in a database with a table of this many rows.
pub(crate) fn on_each(name: &str, rows: u64, test: impl Fn(&Bench<'_>)) {
    for flavor in [Flavor::Mysql, Flavor::MariaDb] {
        let Some(server) = shared(flavor) else {
            continue;
        };
        eprintln!("{name} on {flavor}");
        let db = database(server, name);
        let bench = Bench::new(server, db, name, rows);
        test(&bench);
        fs::remove_dir_all(&bench.dir).unwrap();
    }
}

pub(crate) struct Bench<'s> {
    pub(crate) server: &'s Server,
    pub(crate) db: Database,
    pub(crate) dir: PathBuf,
}

pub(crate) const BIGINT: &str = "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT";

impl<'s> Bench<'s> {
    /// The table with so many rows, and a directory.
    pub(crate) fn new(server: &'s Server, db: Database, name: &str, rows: u64) -> Self {
        csm::create_table(&mut db.conn(), csm::TABLE).unwrap();
        csm::fill(&mut db.conn(), csm::TABLE, rows).unwrap();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "{name}-{}-{}",
            server.flavor(),
            std::process::id()
        ));
        fs::create_dir_all(&dir).unwrap();
        Bench { server, db, dir }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The program, with the table and the ALTER, and the password in the environment.
    pub(crate) fn alter(&self, args: &[&str]) -> Run {
        let url = format!("mysql://root@127.0.0.1:{}/{}", self.server.port(), self.db.name());
        self.bare(&[&["--url", &url, "--table", csm::TABLE, "--alter", BIGINT], args].concat())
    }

    pub(crate) fn bare(&self, args: &[&str]) -> Run {
        self.with_password("secret", args)
    }

    pub(crate) fn with_password(&self, password: &str, args: &[&str]) -> Run {
        self.logging("", password, args)
    }

    /// Everything that there is to log goes to stderr.
    pub(crate) fn traced(&self, password: &str, args: &[&str]) -> Run {
        self.logging("trace", password, args)
    }

    fn logging(&self, level: &str, password: &str, args: &[&str]) -> Run {
        let (out, err) = (self.file("out"), self.file("err"));
        let mut command = Command::new(program());
        match level {
            "" => command.env_remove("RUST_LOG"),
            level => command.env("RUST_LOG", level),
        };
        let child = command
            .args(args)
            .env("MYSQL_PWD", password)
            .stdin(Stdio::null())
            .stdout(fs::File::create(&out).unwrap())
            .stderr(fs::File::create(&err).unwrap())
            .spawn();
        Run { child: child.unwrap(), out, err }
    }

    pub(crate) fn tables(&self) -> Vec<String> {
        self.db.conn().query("SHOW TABLES").unwrap()
    }

    pub(crate) fn is_bigint(&self) -> bool {
        let sql = format!("SHOW COLUMNS FROM {} LIKE 'id'", csm::TABLE);
        let row: mysql::Row = self.db.conn().query_first(sql).unwrap().unwrap();
        row.get::<String, _>(1).unwrap().starts_with("bigint")
    }

    #[track_caller]
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(self.tables(), [csm::TABLE]);
        assert!(!self.is_bigint());
    }
}

/// A running or ended program. Dropped, it is killed.
pub(crate) struct Run {
    pub(crate) child: Child,
    pub(crate) out: PathBuf,
    pub(crate) err: PathBuf,
}

pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn text(&self) -> (String, String) {
        (fs::read_to_string(&self.out).unwrap(), fs::read_to_string(&self.err).unwrap())
    }

    /// Waits until it has printed a text on stdout.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        let began = Instant::now();
        while !self.text().0.contains(text) {
            assert!(began.elapsed() < PATIENCE, "no {text:?} in {:?}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Waits until it ends with this code.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Ended {
        let ended = self.ends();
        assert_eq!(ended.code, Some(code), "{}\n{}", ended.out, ended.err);
        ended
    }

    /// Waits until it ends.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Ended {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {:?}", self.text());
            thread::sleep(Duration::from_millis(20));
        };
        let (out, err) = self.text();
        let ended = Ended { code: status.code(), out, err };
        for text in [&ended.out, &ended.err] {
            assert!(!text.contains("secret"), "{text}");
        }
        ended
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
