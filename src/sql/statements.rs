//! The statements that move rows. Each function's doc shows the SQL that it yields.

use serde::{Deserialize, Serialize};

use super::key::{Bound, Key, KeyShape};
use super::key_value::Malformed;
use super::predicate::{self, Side};
use super::{Ident, TAG, TableName, literal};

/// How the server spells a share-locking read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LockSyntax {
    /// `FOR SHARE [NOWAIT]`
    ForShare,
    /// `LOCK IN SHARE MODE [NOWAIT]`
    LockInShareMode,
}

/// What a share-locking read does about a row that somebody else has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnLocked {
    /// Fail at once. The only choice for more than one key: waiting for one row while holding
    /// another could make the application the victim of a deadlock.
    Fail,
    /// Wait, up to the session's `innodb_lock_wait_timeout`.
    Wait,
    /// Leave it out.
    Skip,
}

/// How a refresh puts rows into the ghost table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// `REPLACE`: a row that has the same value in a secondary unique key is displaced. Right
    /// while the table has that unique key too: the displaced row is out of date then, and its own
    /// change is still pending.
    Replace,
    /// `INSERT`: such a row is an error. Right once the ghost has unique keys of its own.
    Insert,
}

/// The table and its ghost: everything that a statement between the two needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TablePair {
    pub(crate) source: TableName,
    pub(crate) ghost: TableName,
    /// The columns that both have, by their name on either side.
    pub(crate) columns: Vec<(Ident, Ident)>,
    /// What is selected instead of a column of the table.
    pub(crate) casts: Vec<(Ident, String)>,
    /// Columns of the ghost alone whose value has to be said: what it is, and their name.
    pub(crate) fills: Vec<(String, Ident)>,
    pub(crate) key: KeyShape,
    pub(crate) lock_syntax: LockSyntax,
}

impl TablePair {
    fn source_columns(&self) -> String {
        let values = self.fills.iter().map(|(value, _)| value.clone());
        join(self.columns.iter().map(|(source, _)| self.selected(source)).chain(values))
    }

    /// What is to be stored in the ghost for a column of the table.
    pub(crate) fn selected(&self, source: &Ident) -> String {
        let cast = self.casts.iter().find(|(name, _)| name == source);
        cast.map_or_else(|| source.to_string(), |(_, expression)| expression.clone())
    }

    fn ghost_columns(&self) -> String {
        let filled = self.fills.iter().map(|(_, ghost)| ghost);
        join(self.columns.iter().map(|(_, ghost)| ghost).chain(filled))
    }

    /// Copies a range, leaving alone the rows that the ghost has already:
    ///
    /// ```sql
    /// INSERT INTO g (id, a) SELECT id, a FROM t FORCE INDEX (PRIMARY) WHERE id > 1 AND id <= 9
    /// ON DUPLICATE KEY UPDATE id = g.id
    /// ```
    ///
    /// Not `INSERT IGNORE`, which would turn errors about values into warnings.
    pub(crate) fn copy_range(&self, after: Option<&Bound>, through: Option<&Bound>) -> String {
        let Self { source, ghost, key, .. } = self;
        // Rather a column of the key, but a generated one cannot be assigned to.
        let is_key = |name: &Ident| key.columns.iter().any(|column| column.ghost == *name);
        let same = self.columns.iter().find(|(_, name)| is_key(name)).or(self.columns.first());
        let same = same.map_or_else(String::new, |(_, name)| {
            format!(" ON DUPLICATE KEY UPDATE {name} = {ghost}.{name}")
        });
        format!(
            "INSERT {TAG} INTO {ghost} ({}) SELECT {} FROM {source} FORCE INDEX ({}) WHERE {}{same}",
            self.ghost_columns(),
            self.source_columns(),
            key.source_index,
            predicate::range(key, Side::Source, after, through),
        )
    }

    /// What goes before [`copy_range`](Self::copy_range), in the same transaction, where the ghost's
    /// index does not keep rows from being there twice:
    ///
    /// ```sql
    /// DELETE FROM g USING g FORCE INDEX (PRIMARY) WHERE id > 1 AND id <= 9
    /// ```
    pub(crate) fn clear_range(
        &self,
        after: Option<&Bound>,
        through: Option<&Bound>,
    ) -> Option<String> {
        let Self { ghost, key, .. } = self;
        (!key.ghost_unique).then(|| {
            format!(
                "DELETE {TAG} FROM {ghost} USING {ghost}{} WHERE {}",
                key.hint(Side::Ghost),
                predicate::range(key, Side::Ghost, after, through),
            )
        })
    }

    /// The first half of a refresh:
    ///
    /// ```sql
    /// DELETE FROM g USING g FORCE INDEX (PRIMARY) WHERE id IN (1, 2)
    /// ```
    pub(crate) fn delete_keys(&self, keys: &[Key]) -> Result<String, Malformed> {
        let Self { ghost, key, .. } = self;
        Ok(format!(
            "DELETE {TAG} FROM {ghost} USING {ghost}{} WHERE {}",
            key.hint(Side::Ghost),
            predicate::keys(key, Side::Ghost, keys)?,
        ))
    }

    /// The second half of a refresh:
    ///
    /// ```sql
    /// REPLACE INTO g (id, a) SELECT id, a FROM t FORCE INDEX (PRIMARY) WHERE id IN (1, 2)
    /// FOR SHARE NOWAIT
    /// ```
    pub(crate) fn put_keys(
        &self,
        put: Put,
        keys: &[Key],
        on_locked: OnLocked,
    ) -> Result<String, Malformed> {
        Ok(format!("{} {}", self.put_seen_keys(put, keys)?, self.lock_clause(on_locked)))
    }

    /// The same without a lock, for rows that have been waited for ([`see_keys`](Self::see_keys)).
    pub(crate) fn put_seen_keys(&self, put: Put, keys: &[Key]) -> Result<String, Malformed> {
        let Self { source, ghost, key, .. } = self;
        let verb = match put {
            Put::Replace => "REPLACE",
            Put::Insert => "INSERT",
        };
        Ok(format!(
            "{verb} {TAG} INTO {ghost} ({}) SELECT {} FROM {source} FORCE INDEX ({}) WHERE {}",
            self.ghost_columns(),
            self.source_columns(),
            key.source_index,
            predicate::keys(key, Side::Source, keys)?,
        ))
    }

    /// Locks the rows at keys, and says which there are, by their own keys.
    ///
    /// ```sql
    /// SELECT id FROM t FORCE INDEX (PRIMARY) WHERE id IN (1, 2) FOR SHARE NOWAIT
    /// ```
    ///
    /// By a secondary index that has all that is asked for, only its entries would be locked, and not the
    /// rows themselves: so it is asked for the lengths of the other columns, too.
    pub(crate) fn see_keys(&self, keys: &[Key], on_locked: OnLocked) -> Result<String, Malformed> {
        let Self { source, key, .. } = self;
        let keyed =
            key.columns.iter().map(|column| column.ty.select_expr(&column.source.to_string()));
        let is_other = |name: &Ident| !key.columns.iter().any(|column| column.source == *name);
        let others = self.columns.iter().map(|(source, _)| source).filter(|name| is_other(name));
        let lengths = others.filter(|_| !self.locks_rows_by_key()).map(|c| format!("LENGTH({c})"));
        Ok(format!(
            "SELECT {TAG} {} FROM {source} FORCE INDEX ({}) WHERE {} {}",
            join(keyed.chain(lengths)),
            key.source_index,
            predicate::keys(key, Side::Source, keys)?,
            self.lock_clause(on_locked),
        ))
    }

    /// Whether an entry of the key's index is the row itself. Of another index, the entry is locked before
    /// the row.
    pub(crate) fn locks_rows_by_key(&self) -> bool {
        self.key.source_index.as_str() == "PRIMARY"
    }

    /// Waits for the rows at keys, and locks them.
    pub(crate) fn lock_keys(&self, keys: &[Key]) -> Result<String, Malformed> {
        self.see_keys(keys, OnLocked::Wait)
    }

    fn lock_clause(&self, on_locked: OnLocked) -> &'static str {
        match (self.lock_syntax, on_locked) {
            (LockSyntax::ForShare, OnLocked::Fail) => "FOR SHARE NOWAIT",
            (LockSyntax::ForShare, OnLocked::Wait) => "FOR SHARE",
            (LockSyntax::ForShare, OnLocked::Skip) => "FOR SHARE SKIP LOCKED",
            (LockSyntax::LockInShareMode, OnLocked::Fail) => "LOCK IN SHARE MODE NOWAIT",
            (LockSyntax::LockInShareMode, OnLocked::Wait) => "LOCK IN SHARE MODE",
            (LockSyntax::LockInShareMode, OnLocked::Skip) => "LOCK IN SHARE MODE SKIP LOCKED",
        }
    }

    /// The key `skip` rows behind `after`, or none if there are fewer up to `through`:
    ///
    /// ```sql
    /// SELECT id FROM t FORCE INDEX (PRIMARY) WHERE id > 1 AND id <= 9 ORDER BY id LIMIT 999, 1
    /// ```
    pub(crate) fn boundary(
        &self,
        after: Option<&Bound>,
        through: Option<&Bound>,
        skip: u64,
    ) -> String {
        let order = self.key_order(false);
        let condition = predicate::range(&self.key, Side::Source, after, through);
        self.select_key(&condition, &order, skip)
    }

    /// The last key of the table:
    ///
    /// ```sql
    /// SELECT id FROM t FORCE INDEX (PRIMARY) WHERE TRUE ORDER BY id DESC LIMIT 0, 1
    /// ```
    pub(crate) fn last_key(&self) -> String {
        self.select_key("TRUE", &self.key_order(true), 0)
    }

    fn select_key(&self, condition: &str, order: &str, skip: u64) -> String {
        let Self { source, key, .. } = self;
        let exprs = join(key.columns.iter().map(|c| c.ty.select_expr(&c.source.to_string())));
        let index = &key.source_index;
        format!(
            "SELECT {exprs} FROM {source} FORCE INDEX ({index}) WHERE {condition} \
             ORDER BY {order} LIMIT {skip}, 1"
        )
    }

    /// An expression that names a row for people to read: `id = 7`, `a = 'x', b = 2024-01-01`.
    pub(crate) fn key_text(&self, side: Side) -> String {
        let columns = self.key.columns.iter().map(|column| {
            let name = match side {
                Side::Source => &column.source,
                Side::Ghost => &column.ghost,
            };
            let label = literal::text(&format!("{} = ", name.as_str()));
            format!("CONCAT({label}, {})", column.ty.readable_expr(&name.to_string()))
        });
        format!("CONCAT_WS(', ', {})", join(columns))
    }

    /// Names the last row of a range, which is the one at its end where that was seen; others may
    /// have come before it:
    ///
    /// ```sql
    /// SELECT CONCAT_WS(', ', CONCAT('id = ', id)) FROM t FORCE INDEX (PRIMARY) WHERE id > 1
    /// ORDER BY id DESC LIMIT 1
    /// ```
    pub(crate) fn name_last(&self, after: Option<&Bound>, through: Option<&Bound>) -> String {
        let range = predicate::range(&self.key, Side::Source, after, through);
        self.name_row(&format!("{range} ORDER BY {}", self.key_order(true)))
    }

    /// Names the row at a key.
    pub(crate) fn name_key(&self, key: &Key) -> Result<String, Malformed> {
        Ok(self.name_row(&predicate::keys(&self.key, Side::Source, std::slice::from_ref(key))?))
    }

    fn name_row(&self, condition: &str) -> String {
        let (text, index) = (self.key_text(Side::Source), &self.key.source_index);
        let source = &self.source;
        format!("SELECT {text} FROM {source} FORCE INDEX ({index}) WHERE {condition} LIMIT 1")
    }

    fn key_order(&self, reverse: bool) -> String {
        join(self.key.columns.iter().map(|column| {
            let direction = if column.descending == reverse { "" } else { " DESC" };
            format!("{}{direction}", column.source)
        }))
    }
}

pub(crate) fn join<T: ToString>(parts: impl Iterator<Item = T>) -> String {
    parts.map(|part| part.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{KeyColumn, KeyType};

    fn pair() -> TablePair {
        let source = TableName::new(Ident::new("db"), Ident::new("t"));
        TablePair {
            ghost: source.ghost(),
            source,
            columns: vec![
                (Ident::new("id"), Ident::new("id")),
                (Ident::new("old"), Ident::new("new")),
            ],
            casts: Vec::new(),
            fills: Vec::new(),
            key: KeyShape {
                source_index: Ident::new("PRIMARY"),
                ghost_index: Some(Ident::new("PRIMARY")),
                ghost_unique: true,
                columns: vec![KeyColumn {
                    source: Ident::new("id"),
                    ghost: Ident::new("id"),
                    ty: KeyType::Int { unsigned: true },
                    descending: false,
                }],
            },
            lock_syntax: LockSyntax::ForShare,
        }
    }

    fn bound(id: &str) -> Bound {
        Bound(vec![id.to_owned()])
    }

    #[test]
    fn copying() {
        insta::assert_snapshot!(pair().copy_range(Some(&bound("1")), Some(&bound("9"))), @"INSERT /* online-alter */ INTO `db`.`_t_gho` (`id`, `new`) SELECT `id`, `old` FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE `id` > 1 AND `id` <= 9 ON DUPLICATE KEY UPDATE `id` = `db`.`_t_gho`.`id`");
        insta::assert_snapshot!(pair().boundary(Some(&bound("1")), None, 999), @"SELECT `id` FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE `id` > 1 ORDER BY `id` LIMIT 999, 1");
        insta::assert_snapshot!(pair().last_key(), @"SELECT `id` FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE TRUE ORDER BY `id` DESC LIMIT 0, 1");
        insta::assert_snapshot!(pair().name_last(Some(&bound("1")), Some(&bound("9"))), @"SELECT CONCAT_WS(', ', CONCAT('id = ', `id`)) FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE `id` > 1 AND `id` <= 9 ORDER BY `id` DESC LIMIT 1");
    }

    #[test]
    fn new_columns_can_be_given_a_value() {
        let pair = TablePair { fills: vec![("0".into(), Ident::new("zero"))], ..pair() };
        insta::assert_snapshot!(pair.copy_range(None, None), @"INSERT /* online-alter */ INTO `db`.`_t_gho` (`id`, `new`, `zero`) SELECT `id`, `old`, 0 FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE TRUE ON DUPLICATE KEY UPDATE `id` = `db`.`_t_gho`.`id`");
        insta::assert_snapshot!(pair.put_keys(Put::Replace, &[Key::Int(1)], OnLocked::Fail).unwrap(), @"REPLACE /* online-alter */ INTO `db`.`_t_gho` (`id`, `new`, `zero`) SELECT `id`, `old`, 0 FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE `id` IN (1) FOR SHARE NOWAIT");
    }

    #[test]
    fn refreshing() {
        let keys = [Key::Int(1), Key::Int(2)];
        insta::assert_snapshot!(pair().delete_keys(&keys).unwrap(), @"DELETE /* online-alter */ FROM `db`.`_t_gho` USING `db`.`_t_gho` FORCE INDEX (`PRIMARY`) WHERE `id` IN (1, 2)");
        insta::assert_snapshot!(pair().put_keys(Put::Replace, &keys, OnLocked::Fail).unwrap(), @"REPLACE /* online-alter */ INTO `db`.`_t_gho` (`id`, `new`) SELECT `id`, `old` FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE `id` IN (1, 2) FOR SHARE NOWAIT");
        insta::assert_snapshot!(pair().put_seen_keys(Put::Replace, &keys).unwrap(), @"REPLACE /* online-alter */ INTO `db`.`_t_gho` (`id`, `new`) SELECT `id`, `old` FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE `id` IN (1, 2)");
        insta::assert_snapshot!(pair().see_keys(&keys, OnLocked::Skip).unwrap(), @"SELECT /* online-alter */ `id` FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE `id` IN (1, 2) FOR SHARE SKIP LOCKED");
        let key = KeyShape { source_index: Ident::new("u"), ..pair().key };
        let secondary = TablePair { key, ..pair() };
        insta::assert_snapshot!(secondary.see_keys(&keys, OnLocked::Skip).unwrap(), @"SELECT /* online-alter */ `id`, LENGTH(`old`) FROM `db`.`t` FORCE INDEX (`u`) WHERE `id` IN (1, 2) FOR SHARE SKIP LOCKED");
        let mariadb = TablePair { lock_syntax: LockSyntax::LockInShareMode, ..pair() };
        insta::assert_snapshot!(mariadb.put_keys(Put::Insert, &keys[..1], OnLocked::Wait).unwrap(), @"INSERT /* online-alter */ INTO `db`.`_t_gho` (`id`, `new`) SELECT `id`, `old` FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE `id` IN (1) LOCK IN SHARE MODE");
    }
}
