//! All kinds of statements that change rows. `{t}` stands for the table.

/// A kind of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Insert,
    Update,
    JsonUpdate,
    BlobUpdate,
    KeyChange,
    KeyChain,
    ValuesSwapped,
    ValuesShifted,
    KeysSwapped,
    UpdateOfTwo,
    DeleteOfTwo,
    Replace,
    OnDuplicateUpdate,
    OnDuplicateMove,
    InsertIgnore,
    UpdateIgnore,
    InsertSelect,
    DeleteLimited,
    Savepoints,
    LoadReplace,
    LoadIgnore,
    Big,
    RolledBack,
}

pub(super) const KINDS: [Kind; 23] = [
    Kind::Insert,
    Kind::Update,
    Kind::JsonUpdate,
    Kind::BlobUpdate,
    Kind::KeyChange,
    Kind::KeyChain,
    Kind::ValuesSwapped,
    Kind::ValuesShifted,
    Kind::KeysSwapped,
    Kind::UpdateOfTwo,
    Kind::DeleteOfTwo,
    Kind::Replace,
    Kind::OnDuplicateUpdate,
    Kind::OnDuplicateMove,
    Kind::InsertIgnore,
    Kind::UpdateIgnore,
    Kind::InsertSelect,
    Kind::DeleteLimited,
    Kind::Savepoints,
    Kind::LoadReplace,
    Kind::LoadIgnore,
    Kind::Big,
    Kind::RolledBack,
];

/// Makes up writes within its own ids and values: those from `base` on, fewer than 10,000.
pub(super) struct Moves {
    base: u32,
    rows: u32,
    count: u32,
    random: u64,
}

impl Moves {
    pub(super) fn new(base: u32, rows: u32) -> Self {
        Moves { base, rows, count: 0, random: 0x9e37_79b9_7f4a_7c15 ^ u64::from(base) }
    }

    fn below(&mut self, end: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        u32::try_from(self.random % u64::from(end)).unwrap()
    }

    /// The statements of the next transaction.
    pub(super) fn next(&mut self, kind: Kind) -> Vec<String> {
        self.count += 1;
        let (base, n) = (self.base, self.count);
        let id = base + self.below(self.rows);
        let (near, beyond) = (id + 5, id + 6);
        // An id and a value that nobody has had.
        let fresh = base + 1000 + 4 * (n % 2000);
        let own = format!("BETWEEN {base} AND {}", base + 9999);
        let one = |sql: String| vec![sql];
        match kind {
            Kind::Insert => one(format!(
                "INSERT INTO {{t}} (id, u, v, pad, doc) VALUES ({fresh}, {fresh}, 1, 'new', '{{}}'), \
                 ({}, NULL, 2, 'newer', NULL)",
                fresh + 1
            )),
            Kind::Update => {
                one(format!("UPDATE {{t}} SET v = v + 1 WHERE id BETWEEN {id} AND {near}"))
            }
            Kind::JsonUpdate => one(format!(
                "UPDATE {{t}} SET doc = JSON_SET(doc, '$.a', 'longer {n}', '$.b[0]', {n}) WHERE id \
                 BETWEEN {id} AND {near}"
            )),
            Kind::BlobUpdate => one(format!(
                "UPDATE {{t}} SET big = REPEAT('{}', {}) WHERE id = {id}",
                n % 10,
                self.below(9000)
            )),
            Kind::KeyChange => one(format!("UPDATE {{t}} SET id = {} WHERE id = {id}", fresh + 2)),
            // Each row takes the key that the one before has left.
            Kind::KeyChain => vec![
                format!("DELETE FROM {{t}} WHERE id = {beyond}"),
                format!(
                    "UPDATE {{t}} SET id = id + 1 WHERE id BETWEEN {id} AND {near} ORDER BY id DESC"
                ),
            ],
            Kind::ValuesSwapped => vec![
                format!(
                    "SET @a = (SELECT u FROM {{t}} WHERE id = {id}), @b = (SELECT u FROM {{t}} WHERE \
                     id = {near})"
                ),
                format!("UPDATE {{t}} SET u = NULL WHERE id IN ({id}, {near})"),
                format!(
                    "UPDATE {{t}} SET u = CASE id WHEN {id} THEN @b ELSE @a END WHERE id IN ({id}, \
                     {near})"
                ),
            ],
            // In one statement: each row takes the value that the one before has left.
            Kind::ValuesShifted => vec![
                format!("UPDATE {{t}} SET u = NULL WHERE u = {beyond}"),
                format!(
                    "UPDATE {{t}} SET u = u + 1, v = v + 1 WHERE u BETWEEN {id} AND {near} ORDER BY u \
                     DESC"
                ),
            ],
            // In one statement, two rows exchange their unique values.
            Kind::KeysSwapped => one(format!(
                "REPLACE INTO {{t}} (id, u, v, pad) SELECT CASE id WHEN {id} THEN {near} ELSE {id} END, \
                 u, v, 'swapped' FROM {{t}} WHERE id IN ({id}, {near}) ORDER BY id"
            )),
            Kind::UpdateOfTwo => one(format!(
                "UPDATE {{t}} JOIN other ON other.id = {{t}}.id SET {{t}}.v = {{t}}.v + other.n WHERE \
                 {{t}}.id BETWEEN {id} AND {near}"
            )),
            Kind::DeleteOfTwo => one(format!(
                "DELETE {{t}} FROM {{t}} JOIN other ON other.id = {{t}}.id WHERE {{t}}.id = {id}"
            )),
            Kind::Replace => one(format!(
                "REPLACE INTO {{t}} (id, u, v, pad) VALUES ({id}, {near}, 5, 'replaced'), ({near}, \
                 {id}, 6, 'replaced')"
            )),
            Kind::OnDuplicateUpdate => one(format!(
                "INSERT INTO {{t}} (id, u, v) VALUES ({id}, NULL, 1), ({fresh}, {id}, 1) ON DUPLICATE \
                 KEY UPDATE v = {{t}}.v + 100, pad = 'there'"
            )),
            Kind::OnDuplicateMove => one(format!(
                "INSERT INTO {{t}} (id, u, v) VALUES ({id}, NULL, 1), ({near}, NULL, 1) ON DUPLICATE \
                 KEY UPDATE id = {{t}}.id + 5000 + {}, pad = 'moved'",
                n % 2000
            )),
            Kind::InsertIgnore => one(format!(
                "INSERT IGNORE INTO {{t}} (id, u, v, pad) VALUES ({id}, NULL, 1, 'ignored?'), \
                 ({fresh}, {near}, 2, 'ignored?'), ({near}, NULL, 3, 'ignored?')"
            )),
            Kind::UpdateIgnore => one(format!(
                "UPDATE IGNORE {{t}} SET u = {}, v = v + 1 WHERE id BETWEEN {id} AND {near} ORDER BY id",
                fresh + 3
            )),
            Kind::InsertSelect => one(format!(
                "INSERT IGNORE INTO {{t}} (id, u, v, pad) SELECT id + 300, u + 300, v, 'copied' FROM \
                 {{t}} WHERE id BETWEEN {id} AND {near} ORDER BY id"
            )),
            Kind::DeleteLimited => {
                one(format!("DELETE FROM {{t}} WHERE id >= {id} AND id {own} ORDER BY id LIMIT 2"))
            }
            Kind::Savepoints => vec![
                format!("UPDATE {{t}} SET v = v + 1 WHERE id = {id}"),
                "SAVEPOINT a".to_owned(),
                format!("DELETE FROM {{t}} WHERE id BETWEEN {id} AND {near}"),
                format!("INSERT INTO {{t}} (id, v) VALUES ({}, 1)", fresh + 2),
                "ROLLBACK TO a".to_owned(),
                format!("UPDATE {{t}} SET pad = 'saved' WHERE id = {near}"),
                "RELEASE SAVEPOINT a".to_owned(),
            ],
            Kind::LoadReplace | Kind::LoadIgnore => {
                let how = if kind == Kind::LoadReplace { "REPLACE" } else { "IGNORE" };
                one(format!(
                    "LOAD DATA LOCAL INFILE '{id} {near} {fresh}' {how} INTO TABLE {{t}} FIELDS \
                     TERMINATED BY ',' (id, u, v, pad)"
                ))
            }
            // Of many events, and more than a page of the binlog's cache. Not of all rows: they would never
            // rest, and each be compared under its lock.
            Kind::Big => vec![
                format!(
                    "UPDATE {{t}} SET pad = CONCAT('big ', id), big = REPEAT('z', 2000) WHERE id BETWEEN \
                     {base} AND {}",
                    base + 30
                ),
                format!("UPDATE {{t}} SET v = v + 1 WHERE id BETWEEN {base} AND {}", base + 30),
                format!(
                    "DELETE FROM {{t}} WHERE id {own} AND id >= {} AND id % 3 = 0",
                    base + self.rows
                ),
            ],
            Kind::RolledBack => vec![
                format!("DELETE FROM {{t}} WHERE id {own}"),
                format!("INSERT INTO {{t}} (id, v) VALUES ({id}, 666)"),
            ],
        }
    }
}

/// What stands in a file that is loaded: its name says it.
pub(super) fn file(name: &str) -> String {
    let ids: Vec<&str> = name.split(' ').collect();
    format!("{0},\\N,1,loaded\n{1},{0},2,loaded\n{2},{2},3,loaded\n", ids[0], ids[1], ids[2])
}
