//! A column as the information schema describes it.

use serde::{Deserialize, Serialize};

use crate::db::Flavor;
use crate::sql::{Ident, KeyType};

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// How many characters it holds.
    pub(crate) characters: Option<usize>,
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

    /// Whether its values are texts, which a collation compares.
    pub(crate) fn is_text(&self) -> bool {
        ["char", "varchar", "tinytext", "text", "mediumtext", "longtext"]
            .contains(&self.data_type.as_str())
    }

    /// Whether trailing spaces make no difference to its collation (PAD SPACE). MySQL's collations
    /// after UCA 9.0 are NO PAD, and MariaDB's say so in their names.
    pub(crate) fn pads(&self) -> bool {
        self.collation.as_deref().is_some_and(|collation| {
            !(collation.contains("nopad") || collation.contains("0900") || collation == "binary")
        })
    }
}
