//! Everything about a definition that is not a plain column: the new table must have it as the
//! server's own ALTER would leave it.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter_support::Flavor;

use super::{Case, definition, exec};
use crate::harness::on;

const ROWS: [&str; 2] = [
    "INSERT INTO {t} (id, a, s) VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 3, 'three')",
    "INSERT INTO {t} (id, a, s) VALUES (4, 4, 'four'), (5, 5, NULL), (6, NULL, 'six')",
];
const CHANGES: [&str; 5] = [
    "UPDATE {t} SET a = a + 10 WHERE id IN (2, 5)",
    "INSERT INTO {t} (id, a, s) VALUES (7, 7, 'seven')",
    "DELETE FROM {t} WHERE id = 1",
    "UPDATE {t} SET id = 8, s = 'eight' WHERE id = 3",
    "UPDATE {t} SET s = 'late' WHERE id > 6",
];

/// A table `(id, a, s, ..)` with more in it.
fn case(name: &str, more: &str, options: &str, clause: &str) -> Case {
    let create = format!(
        "CREATE TABLE {{t}} (id INT PRIMARY KEY, a INT, s VARCHAR(40){more}) ENGINE=InnoDB \
         DEFAULT CHARSET=utf8mb4 {options}"
    );
    Case::new(name, create).rows(&ROWS).changes(&CHANGES).alter(clause)
}

#[test]
fn generated_columns() {
    let both = ", v INT AS (a + 1) VIRTUAL, g INT AS (a * 2) STORED, KEY (v), UNIQUE (g, id)";
    for (name, more, clause) in [
        ("kept", both, "MODIFY s VARCHAR(50)"),
        ("plain", both, "MODIFY g BIGINT, DROP v"),
        ("plain_virtual", ", v INT AS (a + 1) STORED", "MODIFY v INT NULL DEFAULT 5"),
        ("made", ", n INT DEFAULT 77", "MODIFY n INT AS (a + 5) STORED"),
        ("added", "", "ADD v INT AS (a + 1), ADD g VARCHAR(50) AS (CONCAT(s, '!')) STORED FIRST"),
        ("added_index", "", "ADD v INT AS (a + 1) VIRTUAL, ADD INDEX (v), ADD UNIQUE (v, id)"),
        ("dropped", both, "DROP KEY g, DROP g, DROP v"),
        ("other", both, "MODIFY g BIGINT AS (a * 3) STORED"),
        ("renamed", both, "CHANGE v w INT AS (a + 1) VIRTUAL, RENAME COLUMN g TO h"),
        ("base", ", g INT AS (a * 2) STORED", "MODIFY a BIGINT, MODIFY g BIGINT AS (a * 2) STORED"),
    ] {
        case(name, more, "", clause).same();
    }
}

#[test]
fn indexes() {
    let descending = ", KEY d (a DESC, s), UNIQUE ud (id DESC, a)";
    case("descending", descending, "", "MODIFY s VARCHAR(60)").same();
    case("descending_added", "", "", "ADD INDEX d (s DESC, a), ADD UNIQUE u (a DESC, id DESC)")
        .same();
    let functional = ", KEY f ((a * 2)), KEY f2 ((UPPER(s)), a), UNIQUE f3 ((a * 1000 + id))";
    case("functional", functional, "", "MODIFY s VARCHAR(60)").only(Flavor::Mysql).same();
    case("functional_added", "", "", "ADD INDEX f ((a + 1)), ADD UNIQUE uf ((a * 100 + id))")
        .only(Flavor::Mysql)
        .same();
    case("invisible", ", KEY i (a) INVISIBLE", "", "ADD KEY j (s) INVISIBLE, MODIFY s VARCHAR(60)")
        .only(Flavor::Mysql)
        .same();
    case("shown", ", KEY i (a) INVISIBLE", "", "ALTER INDEX i VISIBLE").only(Flavor::Mysql).same();
    case("ignored", ", KEY i (a) IGNORED", "", "ADD KEY j (s) IGNORED, MODIFY s VARCHAR(60)")
        .only(Flavor::MariaDb)
        .same();
    let fulltext = ", FULLTEXT ft (s), KEY p (s(3)) COMMENT 'a prefix'";
    case("fulltext", fulltext, "", "MODIFY a BIGINT").same();
    case("fulltext_added", "", "", "ADD FULLTEXT KEY (s), ADD KEY (a)").same();
    case("renamed", ", KEY i (a), UNIQUE u (id, a)", "", "RENAME INDEX i TO j, RENAME KEY u TO w")
        .same();
    case("dropped", ", KEY i (a), UNIQUE u (id, a)", "", "DROP INDEX i, DROP KEY u").same();
    let multi = "ADD INDEX z ((CAST(j AS UNSIGNED ARRAY))), MODIFY a BIGINT";
    case("multi_valued", ", j JSON", "", multi)
        .changes(&["UPDATE {t} SET j = '[1, 2, 3]'", "INSERT INTO {t} (id, j) VALUES (9, '[]')"])
        .only(Flavor::Mysql)
        .same();
}

#[test]
fn spatial() {
    let srid = ", p POINT NOT NULL SRID 4326, SPATIAL KEY (p)";
    let rows = [
        "INSERT INTO {t} (id, p) VALUES (1, ST_GeomFromText('POINT(1 2)', 4326))",
        "INSERT INTO {t} (id, p) VALUES (2, ST_GeomFromText('POINT(3 4)', 4326))",
    ];
    let changes = [
        "UPDATE {t} SET p = ST_GeomFromText('POINT(5 6)', 4326) WHERE id = 1",
        "INSERT INTO {t} (id, p) VALUES (3, ST_GeomFromText('POINT(7 8)', 4326))",
    ];
    let plain = ", p POINT NOT NULL, SPATIAL KEY (p)";
    for (name, more, clause) in [
        ("kept", plain, "MODIFY a BIGINT"),
        ("added", ", p POINT NOT NULL", "ADD SPATIAL INDEX (p)"),
        ("wider", plain, "MODIFY p GEOMETRY NOT NULL"),
    ] {
        case(name, more, "", clause).rows(&rows).changes(&changes).same();
    }
    let case = case("srid", srid, "", "MODIFY a BIGINT, ADD q GEOMETRY SRID 0");
    case.rows(&rows).changes(&changes).only(Flavor::Mysql).same();
}

#[test]
fn columns() {
    let more = ", i INT INVISIBLE DEFAULT 3, d INT DEFAULT (1 + 2) COMMENT 'it''s', \
         u VARCHAR(40) DEFAULT (UPPER('x')), n INT NOT NULL DEFAULT 4, \
         ts TIMESTAMP NOT NULL DEFAULT '2024-01-01 00:00:00'";
    case("kept", more, "COMMENT 'a \"table\"'", "MODIFY s VARCHAR(60)").same();
    case(
        "defaults",
        more,
        "",
        "ALTER d SET DEFAULT 9, ALTER n DROP DEFAULT, ALTER i SET DEFAULT 0",
    )
    .same();
    case("comments", more, "COMMENT 'x'", "MODIFY a INT COMMENT 'new', COMMENT = 'the\\\\ table'")
        .same();
    case("shown", more, "", "MODIFY i INT NOT NULL DEFAULT 3, MODIFY d INT INVISIBLE").same();
    case("added", "", "", "ADD i INT INVISIBLE DEFAULT 6, ADD e INT DEFAULT (7 * 6) AFTER id")
        .same();
    case(
        "sets",
        ", e ENUM('a', 'b') DEFAULT 'b', f SET('x', 'y') DEFAULT 'x,y'",
        "",
        "MODIFY e ENUM('c', 'b', 'a') NOT NULL DEFAULT 'c', MODIFY f SET('y', 'x', 'z')",
    )
    .same();
}

#[test]
fn checks() {
    let more = ", CHECK (a < 1000), CHECK (s <> 'x')";
    case("kept", more, "", "MODIFY s VARCHAR(60)").same();
    case("added", more, "", "ADD CHECK (id > 0), ADD CHECK (a <> 55)").same();
    let mine = "ADD CHECK (id > 0), ADD CONSTRAINT mine CHECK (a <> 55)";
    case("mine", more, "", mine).only(Flavor::MariaDb).same();
    case("column", ", c INT DEFAULT 1 CHECK (c > 0)", "", "MODIFY s VARCHAR(60)").same();
    let named = ", CONSTRAINT low CHECK (a < 1000), CONSTRAINT `other one` CHECK (id > 0)";
    case("named", named, "", "MODIFY s VARCHAR(60)").only(Flavor::MariaDb).same();
    case("named_dropped", named, "", "DROP CONSTRAINT low").only(Flavor::MariaDb).same();
    // Names that MySQL made, with gaps, and more than nine of them.
    let many: Vec<String> = (1..12).map(|n| format!(", CHECK (a <> {n} * 1000)")).collect();
    let many = many.concat();
    on(Flavor::Mysql, "values_checks_of_mysql", |_, db| {
        let case = case("many", &many, "", "");
        let prepare = "DROP CHECK `{t}_chk_1`, DROP CHECK {t}_chk_7";
        let clause =
            "DROP CHECK {t}_chk_2, ALTER CHECK `{t}_chk_3` NOT ENFORCED, ADD CHECK (a <> 8)";
        let mut conn = case.begin(db).conn;
        for table in ["t", "expect"] {
            exec(&mut conn, &format!("ALTER TABLE {table} {}", prepare.replace("{t}", table)));
        }
        let report = crate::harness::alter(db, "t", &clause.replace("{t}", "t")).run().unwrap();
        assert_eq!(report.warnings, Vec::<String>::new());
        exec(&mut conn, &format!("ALTER TABLE expect {}", clause.replace("{t}", "expect")));
        assert_eq!(definition(&mut conn, "t"), definition(&mut conn, "expect"));
    });
    // And names that people gave: the old table keeps them.
    on(Flavor::Mysql, "values_named_checks", |_, db| {
        let named = ", CONSTRAINT low CHECK (a < 1000), CONSTRAINT `other ``one` CHECK (id > 0), \
             CONSTRAINT gone CHECK (s <> 'gone'), CHECK (id <> 77)";
        let case = case("named", named, "", "");
        let sql = case.create.replace("{t}", "t");
        let mut conn = db.conn();
        exec(&mut conn, &sql);
        exec(&mut conn, &case.rows[0].replace("{t}", "t"));
        let clause = "DROP CHECK gone, ALTER CHECK low NOT ENFORCED, MODIFY s VARCHAR(70)";
        let plan = crate::harness::alter(db, "t", clause).plan().unwrap();
        assert!(plan.to_string().contains("low, other `one"), "{plan}");
        let report = plan.run().unwrap();
        assert_eq!(report.warnings.len(), 3, "{report}");
        let checks = |conn: &mut Conn| -> Vec<String> {
            let text = definition(conn, "t");
            let lines = text.lines().map(|line| line.trim().trim_end_matches(','));
            lines.filter(|line| line.starts_with("CONSTRAINT")).map(str::to_owned).collect()
        };
        let expected = |low: &str, other: &str| {
            vec![
                format!("CONSTRAINT `_chk_1` CHECK ((`id` <> 77))"),
                format!("CONSTRAINT `{low}` CHECK ((`a` < 1000)) /*!80016 NOT ENFORCED */"),
                format!("CONSTRAINT `{other}` CHECK ((`id` > 0))"),
            ]
        };
        let sorted = |mut lines: Vec<String>| {
            lines.sort();
            lines
        };
        assert_eq!(sorted(checks(&mut conn)), sorted(expected("_low", "_other ``one")));
        // The next time they get their own back, if the old table is gone.
        exec(&mut conn, "DROP TABLE _t_del");
        crate::harness::alter(db, "t", "ADD z INT").run().unwrap();
        assert_eq!(sorted(checks(&mut conn)), sorted(expected("low", "other ``one")));
    });
    case("not_enforced", ", CHECK (a < 0) NOT ENFORCED", "", "MODIFY s VARCHAR(60)")
        .only(Flavor::Mysql)
        .same();
}

#[test]
fn options() {
    for (name, options, clause) in [
        ("row_format", "ROW_FORMAT=COMPACT", "MODIFY a BIGINT"),
        ("row_format_new", "", "ROW_FORMAT=REDUNDANT"),
        ("compressed", "ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4", "MODIFY a BIGINT"),
        ("compressed_new", "", "ROW_FORMAT=COMPRESSED, KEY_BLOCK_SIZE=8"),
        ("stats", "STATS_PERSISTENT=0 STATS_AUTO_RECALC=1 STATS_SAMPLE_PAGES=9", "MODIFY a BIGINT"),
        ("stats_new", "", "STATS_PERSISTENT=1, STATS_SAMPLE_PAGES=3, MAX_ROWS=77"),
        ("charset", "COLLATE utf8mb4_bin", "DEFAULT CHARACTER SET latin1"),
        ("convert", "", "CONVERT TO CHARACTER SET utf16"),
        ("engine", "COMMENT 'x' MIN_ROWS=3 AVG_ROW_LENGTH=4 CHECKSUM=1", "ENGINE=InnoDB"),
        ("force", "DELAY_KEY_WRITE=1 PACK_KEYS=1", "FORCE"),
    ] {
        case(name, "", options, clause).same();
    }
    case("autoextend", "", "AUTOEXTEND_SIZE=8M", "MODIFY a BIGINT").only(Flavor::Mysql).same();
    case("compression", "", "COMPRESSION='zlib'", "MODIFY a BIGINT").only(Flavor::Mysql).same();
    case("tablespace", "", "TABLESPACE=innodb_system", "MODIFY a BIGINT")
        .only(Flavor::Mysql)
        .same();
    case("pages", "", "PAGE_COMPRESSED=1", "MODIFY a BIGINT").only(Flavor::MariaDb).same();
    case("column_compressed", ", z TEXT COMPRESSED", "", "MODIFY a BIGINT")
        .only(Flavor::MariaDb)
        .same();
}

#[test]
fn partitions() {
    let range = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (3), \
         PARTITION p1 VALUES LESS THAN (6), PARTITION p2 VALUES LESS THAN MAXVALUE)";
    for (name, options, clause) in [
        ("kept", range, "MODIFY a BIGINT"),
        ("removed", range, "REMOVE PARTITIONING"),
        ("made", "", "PARTITION BY HASH (id) PARTITIONS 3"),
        ("made_with", "", "MODIFY a BIGINT PARTITION BY KEY (id) PARTITIONS 2"),
        (
            "other",
            range,
            "PARTITION BY LIST (id % 2) (PARTITION e VALUES IN (0), PARTITION o VALUES IN (1))",
        ),
    ] {
        case(name, "", options, clause).same();
    }
    // Rows that no partition takes.
    let few = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (5))";
    case("few", "", "", few).row_refused(&["id = ", "partition"]);
}

/// `CREATE TABLE .. LIKE` leaves histograms behind; the server's own ALTER keeps them, unless it
/// changes the column.
#[test]
fn histograms() {
    on(Flavor::Mysql, "values_histograms", |_, db| {
        let mut conn = db.conn();
        let case = case(
            "histograms",
            ", b INT DEFAULT 3, c INT DEFAULT 4",
            "",
            "MODIFY s VARCHAR(60), CHANGE b bb INT, DROP c",
        );
        drop(case.begin(db));
        for table in ["t", "expect"] {
            for sql in [
                "ANALYZE TABLE {t} UPDATE HISTOGRAM ON a, b, c WITH 7 BUCKETS",
                "ANALYZE TABLE {t} UPDATE HISTOGRAM ON s WITH 3 BUCKETS AUTO UPDATE",
            ] {
                let _: Vec<mysql::Row> = conn.query(sql.replace("{t}", table)).unwrap();
            }
        }
        crate::harness::alter(db, "t", &case.alter).run().unwrap();
        conn.query_drop(format!("ALTER TABLE expect {}", case.alter)).unwrap();
        let mut histograms = |table: &str| -> Vec<(String, u64, bool)> {
            conn.exec(
                "SELECT COLUMN_NAME, HISTOGRAM->>'$.\"number-of-buckets-specified\"', \
                 HISTOGRAM->>'$.\"auto-update\"' = 'true' FROM information_schema.COLUMN_STATISTICS \
                 WHERE SCHEMA_NAME = DATABASE() AND TABLE_NAME = ? ORDER BY COLUMN_NAME",
                (table,),
            )
            .unwrap()
        };
        let (ours, native) = (histograms("t"), histograms("expect"));
        eprintln!("{native:?}");
        assert_eq!(ours, native);
    });
}
