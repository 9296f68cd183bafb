//! The triggers of a table, and how each is made anew exactly as it is.

use serde::{Deserialize, Serialize};

use crate::db::{Session, missing};
use crate::error::{Error, ErrorKind, Result};
use crate::obstacle::{Obstacle, ObstacleKind};
use crate::sql::tokens::{Dialect, tokenize};
use crate::sql::{Ident, TAG, TableName, literal};

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trigger {
    pub(crate) name: Ident,
    pub(crate) table: TableName,
    /// `BEFORE INSERT`
    when: String,
    /// User and host.
    pub(crate) definer: (String, String),
    sql_mode: String,
    charset: String,
    collation: String,
    database_collation: String,
    /// What stands behind FOR EACH ROW and what it follows.
    body: String,
    /// When it was made, as the server says it.
    created: String,
}

/// The triggers of a table, those for one event in the order in which they fire.
pub(crate) fn read(session: &mut Session, table: &TableName) -> Result<Vec<Trigger>> {
    let sql = format!(
        "SELECT TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, DEFINER, SQL_MODE, \
         CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION, CREATED, \
         EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE {} \
         ORDER BY ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
        of_table(table)
    );
    let mut triggers = Vec::new();
    for row in session.rows(&sql)? {
        let get = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let (user, host) = get(3).rsplit_once('@').map_or_else(
            || (get(3), String::new()),
            |(user, host)| (user.to_owned(), host.to_owned()),
        );
        let mut trigger = Trigger {
            name: Ident::new(get(0)),
            table: table.clone(),
            when: format!("{} {}", get(1), get(2)),
            definer: (user, host),
            sql_mode: get(4),
            charset: get(5),
            collation: get(6),
            database_collation: get(7),
            body: String::new(),
            created: get(8),
        };
        trigger.body = read_body(session, &trigger)?;
        triggers.push(trigger);
    }
    Ok(triggers)
}

/// What the triggers of a table are known by, without their bodies: cheap enough for a locked table.
pub(crate) fn signature(session: &mut Session, table: &TableName) -> Result<Vec<(Ident, String)>> {
    let sql = format!(
        "SELECT TRIGGER_NAME, CREATED FROM information_schema.TRIGGERS WHERE {} \
         ORDER BY ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
        of_table(table)
    );
    let rows = session.rows(&sql)?.into_iter().map(|row| {
        let get = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        (Ident::new(get(0)), get(1))
    });
    Ok(rows.collect())
}

/// The names of all triggers in the schema, in lower case, but for those of a ghost that an earlier run left: no other may
/// have one of them.
pub(crate) fn names_in_schema(session: &mut Session, table: &TableName) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} AND EVENT_OBJECT_TABLE <> {}",
        literal::text(table.schema.as_str()),
        literal::text(table.ghost().table.as_str())
    );
    let names = session.rows(&sql)?.into_iter().filter_map(|row| row.into_iter().next().flatten());
    Ok(names.map(|name| name.to_lowercase()).collect())
}

fn of_table(table: &TableName) -> String {
    format!(
        "EVENT_OBJECT_SCHEMA = {} AND EVENT_OBJECT_TABLE = {}",
        literal::text(table.schema.as_str()),
        literal::text(table.table.as_str())
    )
}

/// From `SHOW CREATE TRIGGER`: the information schema shows an emoji as a question mark.
fn read_body(session: &mut Session, trigger: &Trigger) -> Result<String> {
    let name = TableName::new(trigger.table.schema.clone(), trigger.name.clone());
    let row = session.rows(&format!("SHOW CREATE TRIGGER {name}"))?.into_iter().next();
    let text = row.and_then(|row| row.into_iter().nth(2)).flatten();
    let text = text.ok_or_else(|| missing("how a trigger is defined"))?;
    body(&text, Dialect::from_sql_mode(&trigger.sql_mode)).map(str::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::Triggers, format!("the text of trigger {name} was not understood"))
    })
}

/// What stands behind `FOR EACH ROW [{FOLLOWS | PRECEDES} name]`.
fn body(text: &str, dialect: Dialect) -> Option<&str> {
    let tokens = tokenize(text, dialect).ok()?;
    let each = tokens.windows(3).position(|window| match window {
        [a, b, c] => a.is_word("FOR") && b.is_word("EACH") && c.is_word("ROW"),
        _ => false,
    })?;
    let mut first = each + 3;
    if tokens.get(first)?.is_any(&["FOLLOWS", "PRECEDES"]) {
        first += 2;
    }
    text.get(tokens.get(first)?.start..)
}

impl Trigger {
    /// What the session has to be set to before it is made.
    pub(crate) fn settings(&self) -> String {
        format!(
            "SET SESSION sql_mode = {}, character_set_client = {}, collation_connection = {}",
            literal::text(&self.sql_mode),
            literal::text(&self.charset),
            literal::text(&self.collation),
        )
    }

    /// Makes it on a table, behind those that are there. Nothing is said of its place among them: made
    /// in the order in which they fire, they fire in that order.
    pub(crate) fn create(&self, name: &Ident, table: &TableName) -> String {
        let full = TableName::new(table.schema.clone(), name.clone());
        let (user, host) = &self.definer;
        format!(
            "CREATE DEFINER = {}@{} TRIGGER {full} {} ON {table} FOR EACH ROW {}",
            Ident::new(user),
            Ident::new(host),
            self.when,
            self.body
        )
    }

    /// The same, known as ours in the process list.
    pub(crate) fn create_tagged(&self, name: &Ident, table: &TableName) -> String {
        self.create(name, table).replacen("CREATE", &format!("CREATE {TAG}"), 1)
    }

    /// Why it cannot be made anew exactly as it is, if so.
    /// `schema` is the collation of its schema.
    pub(crate) fn cannot_be_copied(&self, schema: &str) -> Option<String> {
        let (user, host) = &self.definer;
        // The whole statement is read in that charset.
        let texts = [&self.body, user, host, self.name.as_str(), self.table.table.as_str()];
        if !texts.iter().all(|text| text.is_ascii()) && !self.charset.starts_with("utf8") {
            Some(format!("its text or names have letters in the charset {}", self.charset))
        } else if host.is_empty() {
            Some(format!("its definer {user} seems to be a role"))
        } else if self.database_collation != schema {
            Some(format!(
                "it was made while the schema's collation was {}, which is {schema} now",
                self.database_collation
            ))
        } else if self.body.contains('\u{fffd}') {
            Some("its text has bytes that are no letters".to_owned())
        } else {
            None
        }
    }

    pub(crate) fn obstacle(&self) -> Obstacle {
        let Self { name, table, when, .. } = self;
        Obstacle {
            kind: ObstacleKind::Trigger,
            name: name.as_str().to_owned(),
            table: table.to_string(),
            what: format!("trigger {name} ({when}) of {table}"),
            remove: format!("DROP TRIGGER {}", TableName::new(table.schema.clone(), name.clone())),
            restore: vec![self.settings(), self.create(name, table)],
        }
    }

    pub(crate) fn signature(&self) -> (Ident, String) {
        (self.name.clone(), self.created.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<&str> {
        body(text, Dialect::default())
    }

    #[test]
    fn finds_the_body() {
        let head =
            "CREATE DEFINER=`for`@`each` TRIGGER `row` /* FOR EACH ROW x */ BEFORE INSERT ON t";
        assert_eq!(of(&format!("{head} for each row SET NEW.a = 1")), Some("SET NEW.a = 1"));
        assert_eq!(of(&format!("{head} FOR EACH ROW FOLLOWS `b` BEGIN END")), Some("BEGIN END"));
        assert_eq!(of(&format!("{head} FOR EACH ROW\nPRECEDES b\nSET @a = 1")), Some("SET @a = 1"));
        assert_eq!(of(head), None);
    }
}
