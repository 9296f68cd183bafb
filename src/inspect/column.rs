//! A column as the information schema describes it.

use crate::db::Flavor;
use crate::sql::{Ident, KeyType};

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: Ident,
    pub(crate) nullable: bool,
    /// `int`
    pub(crate) data_type: String,
    /// `int(11) unsigned`
    pub(crate) column_type: String,
    pub(crate) charset: Option<String>,
    pub(crate) collation: Option<String>,
    pub(crate) precision: Option<u8>,
    pub(crate) scale: Option<u8>,
    pub(crate) fsp: u8,
    pub(crate) octets: Option<usize>,
    pub(crate) generated: bool,
    /// What it is generated from, if it is.
    pub(crate) expression: String,
    pub(crate) auto_increment: bool,
    pub(crate) has_default: bool,
    /// As the server writes it; empty if there is none.
    pub(crate) default: String,
}

impl Column {
    pub(crate) fn is_timestamp(&self) -> bool {
        self.data_type == "timestamp"
    }

    /// Whether its values are dates, which the SQL mode has opinions about.
    pub(crate) fn holds_dates(&self) -> bool {
        ["date", "datetime", "timestamp"].contains(&self.data_type.as_str())
    }

    fn is_unsigned(&self) -> bool {
        self.column_type.contains("unsigned") || self.column_type.contains("zerofill")
    }

    /// Its type as a key column, if it can be one.
    pub(crate) fn key_type(&self, flavor: Flavor) -> Option<KeyType> {
        Some(match self.data_type.as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => {
                KeyType::Int { unsigned: self.is_unsigned() }
            }
            "decimal" => KeyType::Decimal { precision: self.precision?, scale: self.scale? },
            "year" => KeyType::Year,
            "date" => KeyType::Date,
            "time" => KeyType::Time { fsp: self.fsp },
            "datetime" => KeyType::Datetime { fsp: self.fsp },
            "timestamp" => KeyType::Timestamp { fsp: self.fsp },
            // MariaDB's COMPRESSED columns hold something else in the row image.
            "char" | "varchar" if !self.column_type.contains("COMPRESSED") => {
                KeyType::Text { charset: self.charset.clone()? }
            }
            "binary" => KeyType::Binary { pad_to: Some(self.octets?) },
            "varbinary" if !self.column_type.contains("COMPRESSED") => {
                KeyType::Binary { pad_to: None }
            }
            "enum" => KeyType::Ordinal,
            // The server compares a SET with a number as doubles, which hold 53 bits exactly; members
            // cannot contain commas.
            "set" if self.column_type.matches(',').count() < 53 => KeyType::Ordinal,
            "bit" => KeyType::Bit,
            "uuid" if flavor == Flavor::MariaDb => KeyType::Uuid,
            "inet6" if flavor == Flavor::MariaDb => KeyType::Inet6,
            "inet4" if flavor == Flavor::MariaDb => KeyType::Inet4,
            _ => return None,
        })
    }

    /// Whether a key column of type `self` keeps its values, and their being equal or not, when it
    /// becomes `new`. The reason if it does not.
    pub(crate) fn keeps_keys_as(&self, new: &Column) -> Result<(), String> {
        let is_int = |column: &Column| {
            ["tinyint", "smallint", "mediumint", "int", "bigint"].contains(&&*column.data_type)
        };
        // Whether a value fits is up to the server, which is strict about it.
        let same = match self.data_type.as_str() {
            _ if is_int(self) => is_int(new),
            "decimal" => new.data_type == "decimal" && new.scale >= self.scale,
            "time" | "datetime" | "timestamp" => {
                new.data_type == self.data_type && new.fsp >= self.fsp
            }
            // Trailing spaces that a shorter column, or a CHAR, loses can make two keys one.
            "char" | "varchar" => {
                new.collation == self.collation
                    && new.octets >= self.octets
                    && (new.data_type == self.data_type || new.data_type == "varchar")
            }
            "enum" | "set" => {
                let members = self.column_type.strip_suffix(')').unwrap_or(&self.column_type);
                new.data_type == self.data_type
                    && new.collation == self.collation
                    && (new.column_type == self.column_type
                        || new.column_type.starts_with(&format!("{members},")))
            }
            "binary" => new.column_type == self.column_type,
            "bit" | "year" | "date" | "varbinary" | "uuid" | "inet6" | "inet4" => {
                new.data_type == self.data_type
            }
            _ => false,
        };
        if new.generated && new.expression != self.expression {
            return Err(format!("the key column {} is generated in another way", self.name));
        }
        if same {
            return Ok(());
        }
        let describe = |column: &Column| match &column.collation {
            Some(collation) => format!("{} {collation}", column.column_type),
            None => column.column_type.clone(),
        };
        Err(format!(
            "the key column {} changes from {} to {}",
            self.name,
            describe(self),
            describe(new)
        ))
    }
}
