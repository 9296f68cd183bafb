//! Conversions in which storing a value that was selected makes something else of it than the
//! server's ALTER does, which converts from column to column.
//!
//! Every pair of types was tried on both servers; where the two differ, what is selected is an
//! expression with which they do not.

use super::column::Column;
use crate::db::Flavor;

const INTS: [&str; 5] = ["tinyint", "smallint", "mediumint", "int", "bigint"];
const TEXTS: [&str; 6] = ["char", "varchar", "tinytext", "text", "mediumtext", "longtext"];
const BYTES: [&str; 6] = ["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"];

/// What to select instead of the column itself, if anything.
pub(crate) fn expression(old: &Column, new: &Column, flavor: Flavor) -> Option<String> {
    let (from, to) = (old.data_type.as_str(), new.data_type.as_str());
    let is_mysql = flavor == Flavor::MySql;
    let is_float = ["float", "double"].contains(&from);
    let is_number = INTS.contains(&from) || is_float || ["decimal", "year"].contains(&from);
    let is_text = TEXTS.contains(&from) || BYTES.contains(&from) || from == "json";
    let name = &old.name;
    let as_text = || Some(format!("CAST({name} AS CHAR)"));
    let as_int = || Some(format!("CAST({name} AS SIGNED)"));
    match to {
        // The six digits of a FLOAT, the zeros of ZEROFILL and of the year 0000; and a number of more than
        // 16 digits is stored in utf32 without the others, and without a word.
        "char" | "varchar" | "binary" | "varbinary" if is_number => as_text(),
        "date" | "time" | "datetime" | "timestamp"
            if is_float || from == "year" || is_number && is_mysql =>
        {
            as_text()
        }
        // As an index, a number is another member. JSON takes no numbers.
        "enum" | "set" | "json" if is_number && is_mysql => as_text(),
        // The year of a date, and nothing else, would be stored without a word.
        "year" if from == "date" && is_mysql => Some(format!("{name} + 0")),
        // Bytes that are no ASCII would be stored as they are.
        "tinytext" | "text" | "mediumtext" | "longtext"
            if is_mysql && BYTES.contains(&from) && new.charset.as_deref() == Some("ascii") =>
        {
            Some(format!("CONVERT({name} USING ascii)"))
        }
        // MariaDB would cut off trailing spaces with a note; this is too long for certain.
        "varchar" if from == "varchar" && !is_mysql && new.characters < old.characters => {
            let most = new.characters?;
            Some(format!("IF(CHAR_LENGTH({name}) > {most}, CONCAT({name}, 'x'), {name})"))
        }
        // As the bits of its bytes.
        "bit" if is_text => as_int(),
        // MariaDB would round '12.5' without a word.
        _ if INTS.contains(&to) && is_text && !is_mysql => as_int(),
        _ => None,
    }
}
