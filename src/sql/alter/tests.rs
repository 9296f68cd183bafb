use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<AlterClause, AlterError> {
    AlterClause::parse(text, Dialect::default())
}

/// What a clause does to columns and keys, in one line: `a>b -c +d ~e` and flags.
fn summary(text: &str) -> String {
    let c = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut out: Vec<String> = Vec::new();
    out.extend(c.changes.iter().map(|x| format!("{}>{}", x.old, x.new)));
    out.extend(c.dropped_columns.iter().map(|x| format!("-{x}")));
    out.extend(c.added_columns.iter().map(|x| format!("+{x}")));
    out.extend(c.modified_columns.iter().map(|x| format!("~{x}")));
    out.extend(c.sets_engine.iter().map(|x| format!("engine={x}")));
    for (flag, name) in [
        (c.drops_primary_key, "-pk"),
        (c.adds_primary_key, "+pk"),
        (c.adds_unique, "+uk"),
        (c.sets_auto_increment, "ai"),
        (c.adds_foreign_key, "+fk"),
        (c.drops_foreign_key, "-fk"),
    ] {
        if flag {
            out.push(format!("[{name}]"));
        }
    }
    out.join(" ")
}

#[test]
fn what_clauses_do() {
    for (text, expected) in [
        ("CHANGE a b INT", "a>b"),
        ("change column `a``x` `b y` varchar(10) after c", "a`x>b y"),
        ("CHANGE COLUMN IF EXISTS a a INT", "a>a"),
        ("RENAME COLUMN a TO b, RENAME COLUMN b TO a", "a>b b>a"),
        ("RENAME COLUMN IF EXISTS a TO b", "a>b"),
        ("RENAME INDEX a TO b, RENAME KEY c TO d", ""),
        ("DROP a, DROP COLUMN b, DROP IF EXISTS c, DROP COLUMN IF EXISTS d CASCADE", "-a -b -c -d"),
        (
            "DROP `index`, DROP `primary`, DROP period, DROP system",
            "-index -primary -period -system",
        ),
        ("DROP PRIMARY KEY", "[-pk]"),
        ("DROP INDEX `PRIMARY`, DROP KEY x", "[-pk]"),
        ("DROP INDEX a, DROP KEY IF EXISTS b, DROP CHECK c", ""),
        ("DROP FOREIGN KEY IF EXISTS f", "[-fk]"),
        ("DROP CONSTRAINT c", "[-fk]"),
        ("DROP CONSTRAINT `primary`", "[-pk] [-fk]"),
        ("DROP PERIOD FOR p", ""),
        ("ADD a INT", "+a"),
        ("ADD COLUMN IF NOT EXISTS a INT FIRST, ADD b INT AFTER a", "+a +b"),
        ("ADD `primary` INT, ADD `key` INT, ADD period DATE", "+primary +key +period"),
        ("ADD (a INT, b ENUM('x,(', 'y') UNIQUE, KEY k (a), PRIMARY KEY (a))", "+a +b [+pk] [+uk]"),
        ("ADD COLUMN (a DECIMAL(10, 2), CONSTRAINT u UNIQUE (a))", "+a [+uk]"),
        ("ADD a INT PRIMARY KEY", "+a [+pk]"),
        ("ADD a INT NOT NULL AUTO_INCREMENT KEY", "+a [+pk]"),
        ("ADD a INT UNIQUE KEY", "+a [+uk]"),
        ("ADD a INT COMMENT 'UNIQUE' DEFAULT (CONCAT('PRIMARY', KEY))", "+a"),
        ("ADD a SERIAL", "+a [+uk]"),
        ("MODIFY a BIGINT SERIAL DEFAULT VALUE", "~a [+uk]"),
        ("ADD a INT REFERENCES t (id) ON DELETE SET NULL", "+a [+fk]"),
        ("ADD a INT AS (b + 1) STORED NOT NULL", "+a"),
        ("MODIFY a INT, MODIFY COLUMN IF EXISTS b TEXT FIRST", "~a ~b"),
        ("MODIFY a INT UNIQUE", "~a [+uk]"),
        ("ADD PRIMARY KEY (a, b), ADD CONSTRAINT PRIMARY KEY (a)", "[+pk]"),
        ("ADD CONSTRAINT pk PRIMARY KEY (a)", "[+pk]"),
        ("ADD UNIQUE (a), ADD CONSTRAINT UNIQUE KEY u (b)", "[+uk]"),
        ("ADD UNIQUE INDEX u (a DESC, (b + 1), c(10))", "[+uk]"),
        ("ADD INDEX (a), ADD KEY k (b) COMMENT 'x', ADD FULLTEXT INDEX (c), ADD SPATIAL (d)", ""),
        ("ADD INDEX IF NOT EXISTS i (a), ADD VECTOR INDEX (v)", ""),
        ("ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES t (b)", "[+fk]"),
        ("ADD FOREIGN KEY IF NOT EXISTS (a) REFERENCES t (b)", "[+fk]"),
        ("ADD CONSTRAINT c CHECK (a > 1), ADD CHECK (b), ALTER CHECK c NOT ENFORCED", ""),
        ("ADD PERIOD FOR p (a, b)", ""),
        ("ALTER COLUMN a SET DEFAULT 1, ALTER b DROP DEFAULT, ALTER c SET DEFAULT (f(1, 2))", ""),
        ("ALTER a SET INVISIBLE, ALTER INDEX i VISIBLE, ALTER CONSTRAINT c ENFORCED", ""),
        ("ENGINE=InnoDB ROW_FORMAT=DYNAMIC COMMENT 'x, DROP a'", "engine=InnoDB"),
        ("ENGINE `MyISAM`, KEY_BLOCK_SIZE 8", "engine=MyISAM"),
        ("AUTO_INCREMENT 5", "[ai]"),
        ("COMMENT='x' AUTO_INCREMENT = 5", "[ai]"),
        ("ADD a INT AUTO_INCREMENT UNIQUE", "+a [+uk]"),
        ("DEFAULT CHARACTER SET = utf8mb4 COLLATE utf8mb4_bin, CHARSET latin1", ""),
        ("CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", ""),
        ("STATS_PERSISTENT=1 ENCRYPTION 'Y' COMPRESSION='zlib' CHECKSUM=1 PAGE_COMPRESSED=1", ""),
        ("UNION=(a, b) DATA DIRECTORY '/x' INSERT_METHOD LAST", ""),
        ("FORCE, ENABLE KEYS, DISABLE KEYS, WITH VALIDATION, WITHOUT VALIDATION", ""),
        (
            "PARTITION BY RANGE (a) (PARTITION p VALUES LESS THAN (1), PARTITION q VALUES LESS THAN (2))",
            "",
        ),
        ("ADD PARTITION (PARTITION p VALUES IN (1, 2))", ""),
        ("REMOVE PARTITIONING", ""),
        ("DROP a PARTITION BY KEY (b) PARTITIONS 4", "-a"),
        ("ADD a INT AFTER b REMOVE PARTITIONING", "+a"),
        ("CHANGE a b INT PARTITION BY KEY ALGORITHM=2 (b)", "a>b"),
        ("ADD a INT DEFAULT 'x, RENAME COLUMN a TO b' COMMENT \"it's, CHANGE a b\"", "+a"),
        ("/* DROP x, */ ADD -- , DROP y\n a # DROP z,\n INT", "+a"),
        ("CHANGE 1a été INT", "1a>été"),
    ] {
        assert_eq!(summary(text), expected, "{text}");
    }
}

#[test]
fn refusals() {
    use AlterError as E;
    let kind = |text: &str| parse(text).expect_err(text);
    for text in ["", "  ", "/* x */", "-- x"] {
        assert_eq!(kind(text), E::Empty);
    }
    for text in ["ALTER TABLE t ADD a INT", "alter online ignore table t FORCE"] {
        assert_eq!(kind(text), E::WholeStatement);
    }
    for text in
        ["RENAME TO x", "RENAME AS x", "RENAME = x", "ADD a INT, RENAME x", "RENAME `COLUMN` "]
    {
        assert!(matches!(kind(text), E::TableRename { .. }), "{text}");
    }
    for text in ["ALGORITHM=INPLACE", "ADD a INT, LOCK = NONE", "algorithm copy"] {
        assert!(matches!(kind(text), E::ServerOption { .. }), "{text}");
    }
    for verb in [
        "DROP",
        "TRUNCATE",
        "DISCARD",
        "IMPORT",
        "COALESCE",
        "REORGANIZE",
        "REBUILD",
        "ANALYZE",
        "CHECK",
        "OPTIMIZE",
        "REPAIR",
        "EXCHANGE",
        "CONVERT",
    ] {
        let text = format!("{verb} PARTITION p");
        assert!(matches!(kind(&text), E::Partition { .. }), "{text}");
    }
    assert!(matches!(kind("CONVERT TABLE x TO PARTITION p"), E::Partition { .. }));
    for text in ["DISCARD TABLESPACE", "IMPORT TABLESPACE"] {
        assert!(matches!(kind(text), E::Tablespace { .. }), "{text}");
    }
    for text in ["/*!50000 DROP a */", "ADD a INT /*M! UNIQUE */", "ADD a /*!INT*/"] {
        assert!(matches!(kind(text), E::ExecutableComment { .. }), "{text}");
    }
    assert_eq!(kind("ADD a INT;"), E::Semicolon { offset: 9 });
    assert_eq!(kind("FORCE, ORDER BY a"), E::OrderBy { offset: 7 });
    assert_eq!(kind("ADD (a INT"), E::Unbalanced { offset: 4 });
    assert_eq!(kind("ADD a INT)"), E::Unbalanced { offset: 9 });
    assert_eq!(kind("DROP `a"), E::Lex(LexError::UnterminatedIdentifier(5)));
    assert!(matches!(kind("ADD a INT COMMENT 'x"), E::Lex(_)));
    for text in [
        "ADD SYSTEM VERSIONING",
        "DROP SYSTEM VERSIONING",
        "WITH SYSTEM VERSIONING",
        "ADD PERIOD FOR SYSTEM_TIME (a, b)",
        "DROP PERIOD FOR SYSTEM_TIME",
        "ADD a INT WITHOUT SYSTEM VERSIONING",
        "ADD a TIMESTAMP(6) GENERATED ALWAYS AS ROW START",
        "FORCE PARTITION BY SYSTEM_TIME",
        "ENGINE=InnoDB WITH SYSTEM VERSIONING",
    ] {
        assert!(matches!(kind(text), E::SystemVersioning { .. }), "{text}");
    }
}

#[test]
fn unsure() {
    for text in [
        "FROBNICATE a",
        "WAIT 5 ADD a INT",
        "ADD a INT,",
        ", ADD a INT",
        "FORCE,, FORCE",
        "`ADD` a INT",
        "(ADD a INT)",
        "DROP",
        "DROP a b",
        "DROP t.a",
        "DROP 'a'",
        "DROP UNIQUE a",
        "CHANGE a",
        "CHANGE a b",
        "CHANGE \"a\" \"b\" INT",
        "CHANGE a.b c INT",
        "RENAME COLUMN a b",
        "RENAME COLUMN a TO b INT",
        "ADD a",
        "ADD",
        "ADD ()",
        "ADD HASH INDEX (a)",
        "ADD vector JSON",
        "ADD CONSTRAINT a NOVELTY (b)",
        "MODIFY a 'x'",
        "ALTER a RENAME TO b",
        "ENGINE=InnoDB RENAME x",
        "COMMENT 'a' 'b'",
        "COMMENT",
        "DEFAULT ENGINE=x",
        "SECONDARY_LOAD",
        "ADD a INT AFTER b DROP c",
        "CHANGE a b INT, CHANGE A c INT",
        "DROP a, CHANGE a b INT",
        "MODIFY a INT, RENAME COLUMN a TO b",
        "DROP a, DROP A",
        "CHANGE a x INT, CHANGE b X INT",
        "CHANGE a x INT, ADD x INT",
    ] {
        let found = parse(text);
        assert!(matches!(found, Err(AlterError::Unsure { .. })), "{text}: {found:?}");
    }
    let Err(AlterError::Unsure { offset, .. }) = parse("FORCE, NOVELTY x") else { panic!() };
    assert_eq!(offset, 7);
}

#[test]
fn ansi_quotes() {
    let dialect = Dialect::from_sql_mode("ANSI_QUOTES");
    let c = AlterClause::parse("CHANGE \"a\"\"b\" \"DROP c\" INT", dialect).unwrap();
    assert_eq!(c.mapping("a\"b"), Fate::Renamed("DROP c".to_owned()));
}

#[test]
fn mapping() {
    let fate = |text: &str, column: &str| parse(text).unwrap().mapping(column);
    let to = |name: &str| Fate::Renamed(name.to_owned());
    let swap = "CHANGE a b INT, CHANGE b a INT";
    assert_eq!((fate(swap, "A"), fate(swap, "b")), (to("b"), to("a")));
    let chain = "RENAME COLUMN a TO b, RENAME COLUMN b TO c";
    assert_eq!(
        (fate(chain, "a"), fate(chain, "b"), fate(chain, "c")),
        (to("b"), to("c"), Fate::Kept)
    );
    assert_eq!(fate("DROP a, ADD a INT", "a"), Fate::Dropped);
    let reuse = "DROP a, CHANGE b a INT";
    assert_eq!((fate(reuse, "a"), fate(reuse, "b")), (Fate::Dropped, to("a")));
    let replaced = "CHANGE a b INT, ADD a INT";
    assert_eq!(fate(replaced, "a"), to("b"));
    assert_eq!(fate("CHANGE É x INT", "é"), to("x"));
    assert_eq!(fate("CHANGE a a BIGINT", "a"), Fate::Kept);
    assert_eq!(fate("CHANGE a A BIGINT", "a"), to("A"));
    assert_eq!(fate("FORCE", "a"), Fate::Kept);
    let c = parse("CHANGE a A INT, CHANGE b b INT, CHANGE c d INT").unwrap();
    let renamed: Vec<_> = c.renamed().map(|r| (r.old, r.new, r.case_only)).collect();
    assert_eq!(renamed, [("a", "A", true), ("c", "d", false)]);
}

#[test]
fn doubtful_column_names() {
    let check =
        |text: &str, columns: &[&str]| parse(text).unwrap().check_columns(columns.iter().copied());
    assert_eq!(check("DROP É, CHANGE adı x INT", &["é", "e", "adı", "b"]), Ok(()));
    assert!(matches!(
        check("CHANGE ı z INT, ADD i INT", &["a", "i"]),
        Err(AlterError::Unsure { .. })
    ));
    assert!(matches!(check("DROP i", &["İ"]), Err(AlterError::Unsure { .. })));
}

#[derive(Debug, Clone)]
enum Part {
    Change(String, String, usize),
    Rename(String, String),
    Drop(String),
    Add(String, usize),
    Modify(String, usize),
    Noise(usize),
}

const DEFINITIONS: [&[&str]; 7] = [
    &["INT"],
    &["ENUM", "(", "'a,b'", ",", "'(, DROP x'", ")", "FIRST"],
    &["DECIMAL", "(", "10", ",", "2", ")", "DEFAULT", "1.5", "AFTER", "`x, DROP y`"],
    &["TEXT", "COMMENT", "'it''s \\', CHANGE a b INT'"],
    &["VARCHAR", "(", "9", ")", "DEFAULT", "\"RENAME COLUMN a TO b, (\""],
    &["INT", "AS", "(", "`a`", "+", "(", "1", ",", "2", ")", ")", "STORED"],
    &["TIMESTAMP", "ON", "UPDATE", "CURRENT_TIMESTAMP", "CHECK", "(", "1", ")"],
];
const NOISE: [&[&str]; 6] = [
    &["FORCE"],
    &["ADD", "INDEX", "(", "`a`", ",", "`b`", ")", "COMMENT", "', DROP c'"],
    &["DROP", "INDEX", "`DROP COLUMN z`"],
    &["COMMENT", "=", "'CHANGE a b INT'", "ENGINE", "InnoDB"],
    &["ALTER", "COLUMN", "`a`", "SET", "DEFAULT", "'RENAME COLUMN a TO b'"],
    &["RENAME", "INDEX", "`CHANGE`", "TO", "`DROP`"],
];

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

impl Part {
    fn tokens(&self) -> Vec<String> {
        let column = |head: &[&str], names: &[&String], definition: usize| {
            let mut out: Vec<String> = head.iter().map(ToString::to_string).collect();
            out.extend(names.iter().map(|name| quoted(name)));
            out.extend(DEFINITIONS[definition].iter().map(ToString::to_string));
            out
        };
        match self {
            Self::Change(a, b, d) => column(&["Change", "COLUMN"], &[a, b], *d),
            Self::Rename(a, b) => {
                vec!["RENAME".into(), "column".into(), quoted(a), "TO".into(), quoted(b)]
            }
            Self::Drop(a) => vec!["drop".into(), quoted(a)],
            Self::Add(a, d) => column(&["ADD"], &[a], *d),
            Self::Modify(a, d) => column(&["MODIFY"], &[a], *d),
            Self::Noise(n) => NOISE[*n].iter().map(ToString::to_string).collect(),
        }
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_`', ();\"#*/é😀-]{1,8}",
        Just("COLUMN".to_owned()),
        Just("PRIMARY KEY".to_owned()),
        Just("/*! x */".to_owned()),
        Just("TO".to_owned()),
        Just("\\".to_owned()),
    ]
}

fn gap() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just(" "),
        1 => Just("\n\t"),
        1 => Just("/* , DROP a, ' ` ( */"),
        1 => Just(" -- ', CHANGE a b INT (\n"),
        1 => Just("# ` RENAME COLUMN a TO b,\n"),
        1 => Just("/**/ /*+ x */ "),
    ]
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC*|(ADD|DROP|CHANGE|[ab`'\"(),;. #/*!-]|COLUMN|PARTITION|INT| ){0,20}", ansi: bool) {
        let dialect = Dialect { ansi_quotes: ansi, no_backslash_escapes: false };
        match AlterClause::parse(&text, dialect) {
            Ok(clause) => { let _ = clause.mapping("a"); }
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }

    #[test]
    fn reads_back_what_it_was_made_from(
        raw in proptest::collection::vec((0..6_usize, name(), name(), 0..7_usize), 1..8),
        gaps in proptest::collection::vec(gap(), 300),
    ) {
        // Names are made distinct, as a clause that names one column twice is refused.
        let parts: Vec<Part> = raw.iter().enumerate().map(|(i, (kind, a, b, d))| {
            let (a, b) = (format!("{a}{i}"), format!("{b}{i}"));
            match kind {
                0 => Part::Change(a, b, *d),
                1 => Part::Rename(a, b),
                2 => Part::Drop(a),
                3 => Part::Add(b, *d),
                4 => Part::Modify(a, *d),
                _ => Part::Noise(d % NOISE.len()),
            }
        }).collect();
        let mut text = String::new();
        let mut gaps = gaps.into_iter().cycle();
        for (i, part) in parts.iter().enumerate() {
            if i > 0 { text.push(','); }
            for token in part.tokens() {
                text.push_str(gaps.next().unwrap());
                text.push_str(&token);
            }
        }
        let mut expected = AlterClause { text: text.clone(), ..AlterClause::default() };
        for part in parts {
            match part {
                Part::Change(old, new, _) | Part::Rename(old, new) => {
                    expected.changes.push(ColumnChange { old, new });
                }
                Part::Drop(a) => expected.dropped_columns.push(a),
                Part::Add(a, _) => expected.added_columns.push(a),
                Part::Modify(a, _) => expected.modified_columns.push(a),
                Part::Noise(3) => expected.sets_engine = Some("InnoDB".to_owned()),
                Part::Noise(_) => {}
            }
        }
        prop_assert_eq!(parse(&text).unwrap(), expected);
    }
}

#[test]
fn names_of_constraints_can_be_replaced() {
    let sql = "DROP CHECK `c``1`, ADD CHECK (a <> 'DROP CHECK t_chk_1'), ALTER CONSTRAINT T_CHK_1 ENFORCED, \
               DROP CONSTRAINT IF EXISTS other";
    let other = |name: &str| match name {
        "c`1" => Some("`x`".to_owned()),
        "T_CHK_1" => Some("`longer name`".to_owned()),
        _ => None,
    };
    assert_eq!(
        parse(sql).unwrap().with_constraint_names(other),
        "DROP CHECK `x`, ADD CHECK (a <> 'DROP CHECK t_chk_1'), ALTER CONSTRAINT `longer name` ENFORCED, \
         DROP CONSTRAINT IF EXISTS other"
    );
}
