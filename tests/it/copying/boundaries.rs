//! Where the chunks end, and how often the server is asked for it.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, Step};
use online_alter_support::{Flavor, Server, available, database};
use parking_lot::Mutex;

use crate::harness::{FLAVORS, alter};

const ROWS: u64 = 500;

/// Statements of the copy: how many look for the end of a chunk, and how many copy one.
fn statements(conn: &mut Conn) -> (usize, usize) {
    let mut count = |like: &str| -> usize {
        conn.query_first(format!(
            "SELECT COUNT(*) FROM mysql.general_log WHERE command_type = 'Query' AND \
             CONVERT(argument USING utf8mb4) LIKE '{like}'"
        ))
        .unwrap()
        .unwrap()
    };
    (count("SELECT %LIMIT 499, 1"), count("INSERT /* online-alter */ INTO %_t_gho%"))
}

/// Fills a table with integers as keys, alters it, and returns the statements of the copy.
fn copy(server: &Server, name: &str, flavor: Flavor, ids: &str, count: u64) -> (usize, usize) {
    let db = database(server, name);
    let mut conn = db.conn();
    conn.query_drop("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL)").unwrap();
    let digits = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL \
                  SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 \
                  UNION ALL SELECT 9)";
    conn.query_drop(format!(
        "INSERT INTO t SELECT {ids}, n FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d \
         AS n FROM {digits} a, {digits} b, {digits} c, {digits} e, {digits} f) numbers WHERE n < {count}"
    ))
    .unwrap();
    conn.query_drop("TRUNCATE TABLE mysql.general_log").unwrap();
    let log = Mutex::new(db.conn());
    let report = alter(&db, "t", "MODIFY v BIGINT NOT NULL")
        .chunk_size(ChunkSize::Rows(ROWS))
        .on_step(move |step, _| match step {
            Step::FencePassed => log.lock().query_drop("SET GLOBAL general_log = ON").unwrap(),
            Step::CopyDone => log.lock().query_drop("SET GLOBAL general_log = OFF").unwrap(),
            _ => {}
        })
        .run()
        .unwrap();
    assert_eq!(report.rows_copied, count, "{name} on {flavor}");
    assert_eq!(report.verification.map(|v| v.rows), Some(count));
    statements(&mut conn)
}

/// Integers in a row are not looked for. A hole of 10^12 is passed in one step, and where keys are far
/// apart, chunks are cut by rows as ever.
#[test]
fn integers_in_a_row_and_holes() {
    for flavor in FLAVORS {
        let server = Server::builder(flavor).option("--log-output=TABLE").start();
        let Some(server) = available(server) else { continue };
        let copy = |name, ids, count| copy(&server, name, flavor, ids, count);
        let (asked, chunks) = copy("dense", "n - 10000", 20_000);
        assert!(asked <= 2, "asked {asked} times");
        assert!(chunks <= 42, "{chunks} chunks");
        // Some that were cut ahead of the news lie in the hole.
        let (asked, chunks) = copy("hole", "IF(n < 10000, n, n + 1000000000000)", 20_000);
        assert!((2..=6).contains(&asked), "asked {asked} times");
        assert!(chunks <= 55, "{chunks} chunks");
        // Nine of ten are gone: the end of each chunk is asked for, and no chunk is nearly empty.
        let (asked, chunks) = copy("sparse", "n * 10", 10_000);
        assert!((19..=22).contains(&asked), "asked {asked} times");
        assert!(chunks <= 22, "{chunks} chunks");
        let (asked, chunks) =
            copy("ends", "IF(n = 0, -9223372036854775808, 9223372036854775807 - n)", 5000);
        assert!(asked <= 4, "asked {asked} times");
        assert!(chunks <= 16, "{chunks} chunks");
    }
}
