//! What hangs on the table: foreign keys in either direction, triggers. Refused, unless the caller has
//! said what is to become of them and that can be done.

use serde::{Deserialize, Serialize};

use super::foreign_key::{self, ForeignKey};
use super::grants::{self, On, Wanted};
use super::server::{ServerInfo, Version};
use super::trigger::{self, Trigger};
use crate::db::{Flavor, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::obstacle::{Obstacle, ObstacleKind};
use crate::sql::ident::{MAX_CHARS, fnv1a};
use crate::sql::{Ident, TableName, literal};

/// What the caller wants of the neighbours.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    pub(crate) foreign_keys: ForeignKeys,
    pub(crate) triggers: bool,
    /// Behind the name of a trigger on the new table.
    pub(crate) suffix: String,
    /// Whether a name that has the suffix already loses it instead.
    pub(crate) remove_suffix: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Wishes {
            foreign_keys: ForeignKeys::Refuse,
            triggers: false,
            suffix: "_oa".to_owned(),
            remove_suffix: false,
        }
    }
}

impl Wishes {
    /// Sets what is to become of foreign keys, or unsets that.
    pub(crate) fn set(&mut self, foreign_keys: ForeignKeys, on: bool) {
        if on {
            self.foreign_keys = foreign_keys;
        } else if self.foreign_keys == foreign_keys {
            self.foreign_keys = ForeignKeys::Refuse;
        }
    }
}

/// What is to become of foreign keys of the table to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignKeys {
    Refuse,
    /// The new table has them too.
    Keep,
    /// The new table has none.
    Discard,
}

/// What hangs on the table, and may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Neighbours {
    /// Foreign keys of the table to others.
    pub(crate) foreign_keys: Vec<ForeignKey>,
    pub(crate) triggers: Vec<Trigger>,
    /// Foreign keys that the user may not see are ruled out.
    pub(crate) all_seen: bool,
}

/// What the neighbours are called on the ghost, in their order: the names of foreign keys and triggers
/// are unique in a schema, and the table keeps its own until the swap.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct NewNames {
    /// Empty if the foreign keys are discarded.
    pub(crate) keys: Vec<NewKeyName>,
    pub(crate) triggers: Vec<Ident>,
}

/// The name of a foreign key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewKeyName {
    /// On the ghost.
    pub(crate) on_ghost: Ident,
    /// On the new table, if all goes well.
    pub(crate) after: Ident,
    /// The server itself changes the one to the other as it renames the table.
    pub(crate) by_server: bool,
}

impl Neighbours {
    /// Reads them, and refuses those that are in the way, listing all.
    pub(crate) fn read(
        session: &mut Session,
        server: &ServerInfo,
        table: &TableName,
        wishes: &Wishes,
    ) -> Result<Self> {
        let (keys, all_seen) = foreign_key::read(session, server, table)?;
        let from = |key: &ForeignKey| server.same_table(&key.table, table);
        let to = |key: &ForeignKey| server.same_table(&key.parent, table);
        let mut obstacles = Vec::new();
        for key in &keys {
            if to(key) {
                obstacles.push(key.obstacle(ObstacleKind::ForeignKeyTo));
            } else if wishes.foreign_keys == ForeignKeys::Refuse {
                obstacles.push(key.obstacle(ObstacleKind::ForeignKeyFrom));
            }
        }
        if !obstacles.is_empty() {
            return Err(refuse_foreign_keys(table, obstacles));
        }
        let keys: Vec<ForeignKey> = keys.into_iter().filter(from).collect();
        refuse_hidden_changes(server, table, &keys)?;

        let triggers = trigger::read(session, table)?;
        if !wishes.triggers && !triggers.is_empty() {
            let why = format!("{table} has triggers, which would stay with the old table");
            let obstacles = triggers.iter().map(Trigger::obstacle).collect();
            return Err(refuse(ErrorKind::Triggers, &why, obstacles));
        }
        Ok(Neighbours { foreign_keys: keys, triggers, all_seen })
    }

    /// Whether what hangs on the table can be made on its ghost, as far as that can be known without
    /// writing.
    pub(crate) fn check(
        &self,
        session: &mut Session,
        server: &ServerInfo,
        table: &TableName,
        wishes: &Wishes,
    ) -> Result<NewNames> {
        let mut wanted = Vec::new();
        for parent in self.parents() {
            let keeps = wishes.foreign_keys == ForeignKeys::Keep;
            // On MySQL the lock of the table is theirs, too.
            let locks = server.flavor == Flavor::MariaDb;
            if locks {
                wanted.push(Wanted::new(&["LOCK TABLES"], On::Schema(parent.schema.clone())));
            }
            for privilege in
                locks.then_some("SELECT").into_iter().chain(keeps.then_some("REFERENCES"))
            {
                wanted.push(Wanted::new(&[privilege], On::Table(parent.clone())));
            }
        }
        let mut names = NewNames::default();
        if wishes.foreign_keys == ForeignKeys::Keep && !self.foreign_keys.is_empty() {
            names.keys = self.new_key_names(session, server, table)?;
        }
        if !self.triggers.is_empty() {
            names.triggers = self.new_trigger_names(session, table, wishes)?;
            self.privileges_for_triggers(session, server, &mut wanted)?;
        }
        grants::check_also(session, server, &wanted)?;
        Ok(names)
    }

    fn new_key_names(
        &self,
        session: &mut Session,
        server: &ServerInfo,
        table: &TableName,
    ) -> Result<Vec<NewKeyName>> {
        let mut taken = foreign_key::names_in_schema(session, table)?;
        let mut names = Vec::new();
        for key in &self.foreign_keys {
            let name = new_key_name(&key.name, table, server.flavor, &taken).ok_or_else(|| {
                let why =
                    format!("no name was found for the foreign key {} on the ghost", key.name);
                Error::new(ErrorKind::ForeignKeys, why)
            })?;
            taken.push(name.on_ghost.as_str().to_lowercase());
            names.push(name);
        }
        Ok(names)
    }

    /// An error if they are not what they were, or others have come that are in the way.
    pub(crate) fn check_unchanged(
        &self,
        session: &mut Session,
        server: &ServerInfo,
        table: &TableName,
        wishes: &Wishes,
    ) -> Result<()> {
        let now = Neighbours::read(session, server, table, wishes)?;
        if now.foreign_keys == self.foreign_keys && now.triggers == self.triggers {
            return Ok(());
        }
        let why =
            format!("the foreign keys or triggers of {table} were changed since the plan was made");
        Err(Error::new(ErrorKind::TableChanged, why))
    }

    /// The tables that the table refers to.
    pub(crate) fn parents(&self) -> Vec<TableName> {
        let mut parents = Vec::new();
        for key in &self.foreign_keys {
            if !parents.contains(&key.parent) {
                parents.push(key.parent.clone());
            }
        }
        parents
    }

    fn new_trigger_names(
        &self,
        session: &mut Session,
        table: &TableName,
        wishes: &Wishes,
    ) -> Result<Vec<Ident>> {
        let collation = session.scalar(&format!(
            "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
            literal::text(table.schema.as_str())
        ))?;
        let collation = collation.unwrap_or_default();
        let taken = trigger::names_in_schema(session, table)?;
        let refuse = |trigger: &Trigger, why: &str| {
            let why = format!("trigger {} of {table} cannot go over: {why}", trigger.name);
            Error::new(ErrorKind::Triggers, why)
        };
        let mut names = Vec::new();
        for trigger in &self.triggers {
            if let Some(why) = trigger.cannot_be_copied(&collation) {
                return Err(refuse(trigger, &why));
            }
            let name = new_trigger_name(&trigger.name, wishes);
            if name.as_str().chars().count() > MAX_CHARS {
                let why = format!("its name would be {name}, longer than {MAX_CHARS} characters");
                return Err(refuse(trigger, &why));
            }
            if taken.contains(&name.as_str().to_lowercase()) {
                return Err(refuse(trigger, &format!("there is a trigger {name} already")));
            }
            names.push(name);
        }
        Ok(names)
    }

    fn privileges_for_triggers(
        &self,
        session: &mut Session,
        server: &ServerInfo,
        wanted: &mut Vec<Wanted>,
    ) -> Result<()> {
        if server.distrusts_trigger_creators() {
            wanted.push(Wanted {
                any_of: vec!["SUPER"],
                on: On::Server,
                or: Some("SET GLOBAL log_bin_trust_function_creators = ON"),
            });
        }
        for trigger in &self.triggers {
            let (user, host) = &trigger.definer;
            if !grants::is_current_user(session, user, host)? {
                let any_of: &[_] = match server.flavor {
                    Flavor::MySql if server.version >= Version(8, 2, 0) => {
                        &["SET_ANY_DEFINER", "SUPER"]
                    }
                    Flavor::MySql => &["SET_USER_ID", "SUPER"],
                    Flavor::MariaDb => &["SET USER"],
                };
                wanted.push(Wanted::new(any_of, On::Server));
                break;
            }
        }
        Ok(())
    }
}

/// A name that has the suffix already may lose it instead, so that repeated alters do not pile them up.
fn new_trigger_name(name: &Ident, wishes: &Wishes) -> Ident {
    match name.as_str().strip_suffix(&wishes.suffix) {
        Some(stem) if wishes.remove_suffix && !stem.is_empty() => Ident::new(stem),
        _ => Ident::new(format!("{name}{}", wishes.suffix, name = name.as_str())),
    }
}

/// `t_ibfk_1`, which is how the servers call keys that nobody has named, becomes `_t_gho_ibfk_1`: as
/// the ghost is renamed, they rename these, too. Others get or lose the end `_oa`, or get another where
/// that is taken; on MySQL they get their own name back behind the swap. `taken` is in lower case.
fn new_key_name(
    name: &Ident,
    table: &TableName,
    flavor: Flavor,
    taken: &[String],
) -> Option<NewKeyName> {
    const END: &str = "_oa";
    let is_free =
        |name: &String| name.chars().count() <= MAX_CHARS && !taken.contains(&name.to_lowercase());
    let text = name.as_str();
    let generated = format!("{}_ibfk_", table.table.as_str());
    if let Some(number) = text.strip_prefix(&generated)
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
    {
        let on_ghost = format!("{}_ibfk_{number}", table.ghost().table.as_str());
        if is_free(&on_ghost) {
            let on_ghost = Ident::new(on_ghost);
            return Some(NewKeyName { on_ghost, after: name.clone(), by_server: true });
        }
    }
    let stripped = text.strip_suffix(END).filter(|stem| !stem.is_empty()).map(str::to_owned);
    let numbered = (2..100).map(|n| format!("{text}{END}{n}"));
    // Too long for an end: its beginning, and what tells it from others that begin so.
    let head: String = text.chars().take(MAX_CHARS - 12).collect();
    let short = format!("{head}_{:08x}{END}", fnv1a(text.as_bytes()));
    let mut names =
        stripped.into_iter().chain([format!("{text}{END}")]).chain(numbered).chain([short]);
    let on_ghost = Ident::new(names.find(is_free)?);
    let after = match flavor {
        Flavor::MySql => name.clone(),
        Flavor::MariaDb => on_ghost.clone(),
    };
    Some(NewKeyName { on_ghost, after, by_server: false })
}

/// A cascade that the engine carries out is not in the binlog: the ghost would miss it.
fn refuse_hidden_changes(
    server: &ServerInfo,
    table: &TableName,
    keys: &[ForeignKey],
) -> Result<()> {
    let cascading: Vec<Obstacle> = keys
        .iter()
        .filter(|key| key.cascades() && !server.logs_cascades())
        .map(|key| key.obstacle(ObstacleKind::ForeignKeyFrom))
        .collect();
    if cascading.is_empty() {
        return Ok(());
    }
    let advice = match server.flavor {
        Flavor::MySql => " (MySQL 9.6 and later do so, with innodb_native_foreign_keys=OFF)",
        Flavor::MariaDb => "",
    };
    let why = format!(
        "rows of {table} are changed by foreign keys with CASCADE or SET NULL, and this server does \
         not write such changes to the binlog{advice}"
    );
    Err(refuse(ErrorKind::ForeignKeys, &why, cascading))
}

fn refuse_foreign_keys(table: &TableName, obstacles: Vec<Obstacle>) -> Error {
    let why = format!("{table} has foreign keys, which would not survive the swap");
    refuse(ErrorKind::ForeignKeys, &why, obstacles)
}

/// The message has the list and how to remove what is on it; how to restore it, the error knows too.
fn refuse(kind: ErrorKind, why: &str, obstacles: Vec<Obstacle>) -> Error {
    let list: Vec<&str> = obstacles.iter().map(|obstacle| obstacle.what.as_str()).collect();
    let remove: Vec<&str> = obstacles.iter().map(|obstacle| obstacle.remove.as_str()).collect();
    let message = format!("{why}: {}; to remove them: {}", list.join(", "), remove.join("; "));
    Error::new(kind, message).with_obstacles(obstacles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_name(name: &str, flavor: Flavor, taken: &[&str]) -> (String, String) {
        let table = TableName::new(Ident::new("db"), Ident::new("t"));
        let taken: Vec<String> = taken.iter().map(ToString::to_string).collect();
        let name = new_key_name(&Ident::new(name), &table, flavor, &taken).unwrap();
        (name.on_ghost.as_str().to_owned(), name.after.as_str().to_owned())
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn names_of_foreign_keys() {
        let mysql = |name, taken: &[&str]| key_name(name, Flavor::MySql, taken);
        let mariadb = |name, taken: &[&str]| key_name(name, Flavor::MariaDb, taken);
        assert_eq!(mysql("fk", &["fk"]), pair("fk_oa", "fk"));
        assert_eq!(mariadb("fk", &["fk"]), pair("fk_oa", "fk_oa"));
        assert_eq!(mariadb("fk_oa", &["fk_oa"]), pair("fk", "fk"));
        assert_eq!(mariadb("Fk_oa", &["fk_oa", "fk"]), pair("Fk_oa_oa", "Fk_oa_oa"));
        assert_eq!(mariadb("fk", &["fk", "fk_oa"]), pair("fk_oa2", "fk_oa2"));
        assert_eq!(mariadb("t_ibfk_7", &["t_ibfk_7"]), pair("_t_gho_ibfk_7", "t_ibfk_7"));
        assert_eq!(mariadb("t_ibfk_x", &["t_ibfk_x"]), pair("t_ibfk_x_oa", "t_ibfk_x_oa"));
        let long = "x".repeat(64);
        let (name, _) = mysql(&long, &[&long]);
        assert!(name.chars().count() == 64 && name.ends_with("_oa"), "{name}");
    }

    #[test]
    fn names_of_triggers() {
        let mut wishes = Wishes::default();
        let name = |wishes: &Wishes, name: &str| {
            new_trigger_name(&Ident::new(name), wishes).as_str().to_owned()
        };
        assert_eq!(name(&wishes, "a"), "a_oa");
        assert_eq!(name(&wishes, "a_oa"), "a_oa_oa");
        wishes.remove_suffix = true;
        assert_eq!(name(&wishes, "a_oa"), "a");
        assert_eq!(name(&wishes, "a"), "a_oa");
        assert_eq!(name(&wishes, "_oa"), "_oa_oa");
    }
}
