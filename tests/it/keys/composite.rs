//! What the server does for each statement of a run on a table whose key has several columns: the
//! whole key is used as a range, and no more rows are read than the statement is about.

use std::sync::Arc;

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::{ChunkSize, Step};
use online_alter_support::{Flavor, Server, available};
use parking_lot::Mutex;

use super::{WIDEN, exec};
use crate::harness::{FLAVORS, alter};

const CHUNK: u64 = 500;

struct Case {
    name: &'static str,
    columns: &'static str,
    /// The columns of the key, and what they are of the row `n`: few values of all but the last, so
    /// that a range over the first column alone is half of the table.
    key: &'static str,
    values: &'static str,
    /// The length of the whole key, as EXPLAIN has it.
    length: &'static str,
}

const CASES: [Case; 6] = [
    Case {
        name: "two",
        columns: "j INT NOT NULL, k INT UNSIGNED NOT NULL, PRIMARY KEY (j, k)",
        key: "j, k",
        values: "n DIV 10000 - 1, 4294900000 + n",
        length: "8",
    },
    Case {
        name: "signs",
        columns: "j BIGINT UNSIGNED NOT NULL, k BIGINT NOT NULL, PRIMARY KEY (j, k)",
        key: "j, k",
        values: "18446744073709551614 + n DIV 10000, n - 10000",
        length: "16",
    },
    Case {
        name: "three",
        columns: "i TINYINT NOT NULL, j SMALLINT UNSIGNED NOT NULL, k MEDIUMINT NOT NULL, PRIMARY KEY (i, j, k)",
        key: "i, j, k",
        values: "-7, 65534 + n DIV 10000, n - 10000",
        length: "6",
    },
    Case {
        name: "text_int",
        columns: "j VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL, k INT NOT NULL, PRIMARY KEY (j, k)",
        key: "j, k",
        values: "CONCAT('Part ', n DIV 10000), n",
        length: "86",
    },
    Case {
        name: "int_text_int",
        columns: "i INT UNSIGNED NOT NULL, j VARCHAR(10) CHARACTER SET latin1 NOT NULL, k BIGINT NOT NULL, PRIMARY KEY (i, j, k)",
        key: "i, j, k",
        values: "4294967295, CONCAT('p', n DIV 10000), n - 9000",
        length: "24",
    },
    Case {
        name: "descending",
        columns: "j INT NOT NULL, k INT NOT NULL, PRIMARY KEY (j, k DESC)",
        key: "j, k",
        values: "n DIV 10000, n",
        length: "8",
    },
];

/// How many rows a statement may read.
#[derive(Clone, Copy)]
enum Most {
    Rows(u64),
    /// So many by range for each that is looked up: verification's chunks are as long as it takes a
    /// moment to compare them.
    PerLookUp(u64),
}

/// The statements of a run, and what they may read: each row that they are about, and what they find
/// for it on the other side.
const STATEMENTS: [(&str, &str, Most); 7] = [
    ("boundary", "SELECT %FORCE INDEX%LIMIT 499, 1", Most::Rows(CHUNK + 10)),
    ("copy", "INSERT%_t_gho%ON DUPLICATE%", Most::Rows(2 * CHUNK + 10)),
    ("refresh look", "SELECT%SHARE%", Most::Rows(40)),
    ("refresh delete", "DELETE%_t_gho%", Most::Rows(40)),
    ("refresh put", "REPLACE%_t_gho%", Most::Rows(40)),
    // The rows of the join, and both sides counted.
    ("verification", "SELECT%LEFT JOIN%", Most::PerLookUp(3)),
    ("verification's keys", "(SELECT%LEFT JOIN%UNION ALL%", Most::PerLookUp(1)),
];

#[test]
fn the_whole_key_is_used_and_no_other_rows_are_read() {
    let mut bad: Vec<String> = Vec::new();
    for flavor in FLAVORS {
        let started = Server::builder(flavor).option("--log-output=TABLE").start();
        let Some(server) = available(started) else { continue };
        for case in &CASES {
            bad.extend(case.run(&server, flavor));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

impl Case {
    fn run(&self, server: &Server, flavor: Flavor) -> Vec<String> {
        let Case { name, columns, key, values, .. } = self;
        let db = online_alter_support::database(server, &format!("composite_{name}"));
        let mut conn = db.conn();
        let digits = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
                      UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
        exec(&mut conn, &format!("CREATE TABLE t (v INT NOT NULL, {columns})"));
        exec(
            &mut conn,
            &format!(
                "INSERT INTO t (v, {key}) SELECT n, {values} FROM (SELECT CAST(e.d * 10000 + a.d * 1000 + b.d * 100 + c.d * 10 \
                 + d.d AS SIGNED) AS n FROM {digits} a, {digits} b, {digits} c, {digits} d, {digits} e WHERE e.d < 2) numbers"
            ),
        );
        exec(&mut conn, "ANALYZE TABLE t");
        let found = Arc::new(Mutex::new(Vec::new()));
        let (report, length) = (Arc::clone(&found), self.length);
        let conn = Mutex::new(conn);
        let url = db.url().to_owned();
        let run = alter(&db, "t", WIDEN)
            .chunk_size(ChunkSize::Rows(CHUNK))
            .refresh_workers(1)
            .on_step(move |step, _| {
                let mut conn = conn.lock();
                match step {
                    Step::FencePassed => {
                        exec(&mut conn, "TRUNCATE TABLE mysql.general_log");
                        exec(&mut conn, "SET GLOBAL general_log = ON");
                        // In the middle, so that reading from the beginning shows.
                        exec(
                            &mut conn,
                            "UPDATE t SET v = v + 100000 WHERE v BETWEEN 9995 AND 10004",
                        );
                        exec(&mut conn, "DELETE FROM t WHERE v IN (10010, 10011)");
                    }
                    Step::CopyDone => {
                        // What differs is looked for key by key.
                        exec(&mut conn, "SET sql_log_bin = 0");
                        exec(&mut conn, "UPDATE _t_gho SET v = 7 WHERE v = 15000");
                        assert_eq!(conn.affected_rows(), 1);
                    }
                    Step::Verified => {
                        exec(&mut conn, "SET GLOBAL general_log = OFF");
                        *report.lock() = judge(&mut conn, &url, flavor, length);
                    }
                    _ => {}
                }
            })
            .on_mismatch(online_alter::OnMismatch::Repair);
        run.run().unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = found.lock();
        found.iter().map(|what| format!("{flavor} {name}: {what}")).collect()
    }
}

/// What is wrong with the plans of the logged statements, and with the rows that they read.
fn judge(conn: &mut Conn, url: &str, flavor: Flavor, length: &str) -> Vec<String> {
    for sql in [
        "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ] {
        exec(conn, sql);
    }
    let explain = if flavor.is_mariadb() {
        exec(conn, "SET SESSION in_predicate_conversion_threshold = 0");
        "EXPLAIN"
    } else {
        "EXPLAIN FORMAT=TRADITIONAL"
    };
    let schema = url.rsplit('/').next().unwrap_or_default().to_owned();
    let mut bad = Vec::new();
    for (what, like, most) in STATEMENTS {
        let logged: Vec<String> = conn
            .exec(
                "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log \
                 WHERE command_type = 'Query' AND CONVERT(argument USING utf8mb4) LIKE ? \
                 AND CONVERT(argument USING utf8mb4) LIKE CONCAT('%`', ?, '`%') ORDER BY event_time, argument",
                (like, &schema),
            )
            .unwrap();
        // One in the middle of the table; not one that has no beginning or no end, if there are others.
        let mut between: Vec<&String> =
            logged.iter().filter(|sql| sql.contains('<') && sql.contains('>')).collect();
        if between.is_empty() {
            between.extend(&logged);
        }
        let Some(sql) = between.get(between.len().saturating_sub(1) / 2) else {
            bad.push(format!("{what}: no such statement was seen"));
            continue;
        };
        let shown: String = sql.chars().take(600).collect();
        let mut seen = 0;
        for row in conn.query_iter(format!("{explain} {sql}")).unwrap() {
            let row = row.unwrap();
            let get = |name: &str| row.get::<Option<String>, _>(name).flatten().unwrap_or_default();
            let kind = get("select_type");
            if kind == "INSERT" || kind == "REPLACE" || kind == "UNION RESULT" {
                continue;
            }
            // MariaDB shows the table that is filled as the first one.
            if get("type") == "ALL" && get("rows").is_empty() {
                continue;
            }
            seen += 1;
            let (access, used) = (get("type"), get("key_len"));
            if !["range", "eq_ref", "const", "ref"].contains(&access.as_str()) || used != length {
                bad.push(format!(
                    "{what}: type={access} key={} key_len={used}, not {length}, rows={} [{}]: {shown}",
                    get("key"),
                    get("rows"),
                    get("Extra")
                ));
            }
        }
        assert!(seen > 0, "{what}: nothing was explained: {shown}");
        exec(conn, "SET autocommit = 0");
        exec(conn, "FLUSH STATUS");
        conn.query_iter(sql.as_str()).unwrap().for_each(drop);
        let reads: Vec<(String, u64)> =
            conn.query("SHOW SESSION STATUS LIKE 'Handler_read%'").unwrap();
        exec(conn, "ROLLBACK");
        exec(conn, "SET autocommit = 1");
        let of =
            |name: &str| reads.iter().find(|(read, _)| read == name).map_or(0, |(_, count)| *count);
        let looked_up = of("Handler_read_key");
        let all: u64 =
            reads.iter().filter(|(name, _)| !name.contains("deleted")).map(|(_, n)| n).sum();
        let few = match most {
            Most::Rows(rows) => all <= rows,
            Most::PerLookUp(rows) => all <= looked_up * (rows + 1) && looked_up >= 10,
        };
        if !few || all == 0 {
            bad.push(format!("{what}: reads {reads:?}: {shown}"));
        }
    }
    bad
}
