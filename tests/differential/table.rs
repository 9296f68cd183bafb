//! What a table is made of, and its SQL.

use crate::names::{quote, text};
use crate::rng::Rng;
use crate::types::Ty;
use crate::values::Style;

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: Ty,
    pub(crate) style: Style,
    pub(crate) nullable: bool,
    /// What follows DEFAULT.
    pub(crate) default: Option<String>,
    pub(crate) auto_increment: bool,
    /// The expression, and whether it is stored.
    pub(crate) generated: Option<(String, bool)>,
    pub(crate) invisible: bool,
    pub(crate) comment: Option<String>,
}

impl Column {
    pub(crate) fn plain(name: String, ty: Ty, style: Style) -> Self {
        Column {
            name,
            ty,
            style,
            nullable: true,
            default: None,
            auto_increment: false,
            generated: None,
            invisible: false,
            comment: None,
        }
    }

    /// All of it but the name.
    pub(crate) fn definition(&self) -> String {
        let mut sql = self.ty.sql();
        if let Some((expression, stored)) = &self.generated {
            let kind = if *stored { "STORED" } else { "VIRTUAL" };
            sql = format!("{sql} GENERATED ALWAYS AS ({expression}) {kind}");
        } else {
            sql.push_str(if self.nullable { " NULL" } else { " NOT NULL" });
        }
        if let Some(default) = &self.default {
            sql = format!("{sql} DEFAULT {default}");
        }
        if self.auto_increment {
            sql.push_str(" AUTO_INCREMENT");
        }
        if self.invisible {
            sql.push_str(" INVISIBLE");
        }
        if let Some(comment) = &self.comment {
            sql = format!("{sql} COMMENT {}", text(comment));
        }
        sql
    }

    pub(crate) fn sql(&self) -> String {
        format!("{} {}", quote(&self.name), self.definition())
    }

    /// A value to be written, NULL or DEFAULT now and then.
    pub(crate) fn value(&self, rng: &Rng) -> String {
        if self.nullable && rng.chance(15) {
            return "NULL".to_owned();
        }
        if self.default.is_some() && rng.chance(10) {
            return "DEFAULT".to_owned();
        }
        if self.auto_increment && rng.chance(30) {
            return "NULL".to_owned();
        }
        self.ty.value(rng, self.style)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexKind {
    Primary,
    Unique,
    Plain,
    Fulltext,
    Spatial,
}

#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) kind: IndexKind,
    pub(crate) name: String,
    /// As in the definition: with prefix and direction, or an expression.
    pub(crate) parts: Vec<String>,
    pub(crate) tail: &'static str,
}

impl Index {
    pub(crate) fn sql(&self) -> String {
        let parts = self.parts.join(", ");
        let name = quote(&self.name);
        let head = match self.kind {
            IndexKind::Primary => "PRIMARY KEY".to_owned(),
            IndexKind::Unique => format!("UNIQUE KEY {name}"),
            IndexKind::Plain => format!("KEY {name}"),
            IndexKind::Fulltext => format!("FULLTEXT KEY {name}"),
            IndexKind::Spatial => format!("SPATIAL KEY {name}"),
        };
        format!("{head} ({parts}){}", self.tail)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) name: Option<String>,
    pub(crate) expression: String,
}

impl Check {
    pub(crate) fn sql(&self) -> String {
        match &self.name {
            Some(name) => format!("CONSTRAINT {} CHECK ({})", quote(name), self.expression),
            None => format!("CHECK ({})", self.expression),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) checks: Vec<Check>,
    pub(crate) options: Vec<String>,
    pub(crate) partition: Option<String>,
    /// The columns of the key by which rows are told apart.
    pub(crate) key: Vec<String>,
}

impl Table {
    pub(crate) fn sql(&self) -> String {
        let mut lines: Vec<String> = self.columns.iter().map(Column::sql).collect();
        lines.extend(self.indexes.iter().map(Index::sql));
        lines.extend(self.checks.iter().map(Check::sql));
        let options: Vec<String> = self.options.iter().map(|option| format!(" {option}")).collect();
        let options = options.concat();
        let partition = self.partition.as_ref().map(|p| format!("\n{p}")).unwrap_or_default();
        format!(
            "CREATE TABLE {} (\n  {}\n) ENGINE=InnoDB{options}{partition}",
            quote(&self.name),
            lines.join(",\n  ")
        )
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
