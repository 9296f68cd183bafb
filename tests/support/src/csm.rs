//! `courseware_studentmodule`: the table of Open edX whose 32-bit `id` runs out, with all of its
//! indexes, and content that is the same on every run.

use mysql::Conn;
use mysql::prelude::Queryable;

/// What edX calls it.
pub const TABLE: &str = "courseware_studentmodule";

/// Rows of one `INSERT ... SELECT`: what four crossed decimal digits count.
const BATCH: u64 = 10_000;

/// Below this, the indexes are filled row by row; above, sorting them at the end takes less time.
const MANY: u64 = 50_000;

/// The names that Django invented for the indexes, and their columns; the first one is unique.
const KEYS: [(&str, &str); 9] = [
    (
        "courseware_studentmodule_student_id_module_id_cou_48e8deef_uniq",
        "`student_id`, `module_id`, `course_id`",
    ),
    ("courseware_studentmodule_module_type_f4f8863f", "`module_type`"),
    ("courseware_studentmodule_module_id_c5d2b1d5", "`module_id`"),
    ("courseware_studentmodule_student_id_e0b8d1b1", "`student_id`"),
    ("courseware_studentmodule_grade_adac1ba7", "`grade`"),
    ("courseware_studentmodule_done_d4a3f4f0", "`done`"),
    ("courseware_studentmodule_created_9976b4ad", "`created`"),
    ("courseware_studentmodule_modified_f6a0b0cc", "`modified`"),
    ("courseware_studentmodule_course_id_0637cb49", "`course_id`"),
];

fn definitions() -> Vec<String> {
    let kind = |first| if first { "UNIQUE KEY" } else { "KEY" };
    KEYS.iter()
        .enumerate()
        .map(|(at, (name, columns))| format!("{} `{name}` ({columns})", kind(at == 0)))
        .collect()
}

/// Creates the table as Django's migration does; edX's foreign key of `student_id` is a plain key.
pub fn create_table(conn: &mut Conn, table: &str) -> mysql::Result<()> {
    conn.query_drop(format!(
        "CREATE TABLE `{table}` (
            `id` int NOT NULL AUTO_INCREMENT,
            `module_type` varchar(32) NOT NULL,
            `module_id` varchar(255) NOT NULL,
            `student_id` int NOT NULL,
            `state` longtext,
            `grade` double DEFAULT NULL,
            `max_grade` double DEFAULT NULL,
            `done` varchar(8) NOT NULL,
            `created` datetime(6) NOT NULL,
            `modified` datetime(6) NOT NULL,
            `course_id` varchar(255) NOT NULL,
            PRIMARY KEY (`id`),
            {}
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci",
        definitions().join(", ")
    ))
}

/// Adds `rows` rows after the last one; of what content depends on nothing but their ids.
pub fn fill(conn: &mut Conn, table: &str, rows: u64) -> mysql::Result<()> {
    let last: Option<Option<u64>> = conn.query_first(format!("SELECT MAX(id) FROM `{table}`"))?;
    let mut first = last.flatten().unwrap_or(0) + 1;
    // A table without some of the keys keeps those that it has.
    let drops = KEYS.map(|(name, _)| format!("DROP KEY `{name}`")).join(", ");
    let sort = first == 1
        && rows >= MANY
        && conn.query_drop(format!("ALTER TABLE `{table}` {drops}")).is_ok();
    let end = first + rows;
    while first < end {
        let next = end.min(first + BATCH);
        conn.query_drop(insert(table, first, next))?;
        first = next;
    }
    if sort {
        let adds =
            definitions().iter().map(|key| format!("ADD {key}")).collect::<Vec<_>>().join(", ");
        conn.query_drop(format!("ALTER TABLE `{table}` {adds}"))?;
    }
    Ok(())
}

/// One statement for the ids from `first` to before `end`. Forty blocks of one course to a
/// student, states of 300 to 600 bytes, some rows without a state or a grade.
fn insert(table: &str, first: u64, end: u64) -> String {
    let digit = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 \
                  UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 \
                  UNION ALL SELECT 8 UNION ALL SELECT 9)";
    format!(
        "INSERT INTO `{table}` (id, module_type, module_id, student_id, state, grade, max_grade,
                                done, created, modified, course_id)
         SELECT n,
            ELT(1 + n % 4, 'problem', 'sequential', 'video', 'course'),
            CONCAT('block-v1:edX+DemoX+2024+type@problem+block@',
                   LEFT(SHA2(n % 40 + 40 * ((n DIV 40) % 25), 256), 32)),
            1 + n DIV 40,
            IF(n % 50 = 0, NULL, CONCAT(
                '{{\"seed\": ', n % 1000, ', \"attempts\": ', n % 5,
                ', \"note\": \"caf\u{e9} \u{1f393}\", \"student_answers\": {{\"', LEFT(SHA2(n % 977, 256), 32),
                '_2_1\": \"choice_', n % 6, '\"}}, \"correct_map\": \"',
                REPEAT(SHA2(n, 256), 3 + n % 4), '\"}}')),
            IF(n % 3 = 0, NULL, (n % 101) / 4),
            IF(n % 3 = 0, NULL, 25),
            ELT(1 + n % 3, 'na', 'f', 'i'),
            TIMESTAMP('2023-01-01 00:00:00') + INTERVAL n * 1000037 MICROSECOND,
            TIMESTAMP('2023-06-01 00:00:00') + INTERVAL n * 1000099 MICROSECOND,
            CONCAT('course-v1:edX+DemoX+', 2018 + (n DIV 40) % 7)
         FROM (SELECT {first} + a.d * 1000 + b.d * 100 + c.d * 10 + e.d AS n
               FROM {digit} a, {digit} b, {digit} c, {digit} e) numbers
         WHERE n < {end} ORDER BY n"
    )
}
