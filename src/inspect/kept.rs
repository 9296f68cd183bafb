//! What an ALTER makes of the values of a column by which rows are told apart.

use super::column::Column;

/// How a value of the table's column can be found in the ghost's column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The ghost's column compares with the table's literals as the table's column does.
    Same,
    /// It does not, but this expression over it, stored as the table's type, is the table's value
    /// again. `{}` stands for the column.
    Back(&'static str),
}

/// Charsets whose every character becomes one of Unicode and the same again. Left out are those that
/// have characters which do not, as both servers showed when all of them were converted to and fro:
/// tis620, armscii8, big5, sjis, cp932, ujis, eucjpms.
const EXACT: [&str; 27] = [
    "ascii", "latin1", "latin2", "latin5", "latin7", "cp1250", "cp1251", "cp1256", "cp1257",
    "cp850", "cp852", "cp866", "koi8r", "koi8u", "greek", "hebrew", "macroman", "gbk", "gb2312",
    "gb18030", "euckr", "utf8", "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32",
];

/// What becomes of the values of a key column. The reason if they cannot be told apart, or not be
/// found, by their old values. Whether a value fits is up to the server, which is strict about it.
pub(crate) fn kept(old: &Column, new: &Column) -> Result<Kept, String> {
    if new.generated && new.expression != old.expression {
        return Err(format!("the key column {} is generated in another way", old.name));
    }
    by_type(old, new).ok_or_else(|| {
        let describe = |column: &Column| match &column.collation {
            Some(collation) => format!("{} {collation}", column.column_type),
            None => column.column_type.clone(),
        };
        format!("the key column {} changes from {} to {}", old.name, describe(old), describe(new))
    })
}

/// Whether values that are different in the table's column always are so in the ghost's.
pub(crate) fn stay_different(old: &Column, new: &Column) -> bool {
    match kept(old, new) {
        Ok(Kept::Same) => true,
        // Different values have become different values; that they compare as such is sure where
        // their bytes are compared, and trailing spaces count if they did before.
        Ok(Kept::Back(_)) => match &new.collation {
            Some(collation) if new.is_text() => {
                collation.ends_with("_bin") && (!new.pads() || !old.is_text() || old.pads())
            }
            _ => true,
        },
        Err(_) => false,
    }
}

fn by_type(old: &Column, new: &Column) -> Option<Kept> {
    use Kept::{Back, Same};
    let (from, to) = (old.data_type.as_str(), new.data_type.as_str());
    // MariaDB has no generated column of another type over a CHAR alone, whose spaces depend on the
    // SQL mode.
    let plain = if to == "char" { Back("RTRIM({})") } else { Back("{}") };
    let is_int = |ty: &str| ["tinyint", "smallint", "mediumint", "int", "bigint"].contains(&ty);
    let is_longer = || new.octets >= old.octets;
    match from {
        _ if is_int(from) && (is_int(to) || to == "decimal") => Some(Same),
        // A double holds 53 bits exactly.
        _ if is_int(from) && from != "bigint" && to == "double" => Some(plain),
        "decimal" if to == "decimal" => (new.scale >= old.scale).then_some(Same),
        "decimal" if is_int(to) => (old.scale == Some(0)).then_some(Same),
        "time" | "datetime" | "timestamp" if to == from => (new.fsp >= old.fsp).then_some(Same),
        "bit" if is_int(to) || to == "decimal" => Some(Same),
        "bit" | "year" | "date" | "uuid" | "inet6" | "inet4" if to == from => Some(Same),
        "date" if to == "datetime" => Some(plain),
        "year" if is_int(to) || to == "decimal" => Some(plain),
        "char" | "varchar" => text(old, new, plain),
        "enum" | "set" if to == from && new.collation == old.collation => {
            let members = old.column_type.strip_suffix(')').unwrap_or(&old.column_type);
            let as_before = new.column_type == old.column_type
                || new.column_type.starts_with(&format!("{members},"));
            // By their texts: the numbers may be others now.
            Some(if as_before { Same } else { plain })
        }
        "enum" | "set" => ((to == from || is_string(to)) && exact(old, new)).then_some(plain),
        // The rest is filled with zeros.
        "binary" if to == "binary" && new.octets > old.octets => Some(Back("LEFT({}, {length})")),
        "binary" if to == "binary" => (new.octets == old.octets).then_some(Same),
        "binary" | "varbinary" if to == "varbinary" => is_longer().then_some(Same),
        "binary" | "varbinary" if to.ends_with("blob") => is_longer().then_some(plain),
        "decimal" | "date" | "time" | "datetime" | "year" | "uuid" | "inet6" | "inet4"
            if is_string(to) =>
        {
            Some(plain)
        }
        _ if is_int(from) && is_string(to) => Some(plain),
        _ => None,
    }
}

fn text(old: &Column, new: &Column, plain: Kept) -> Option<Kept> {
    let (from, to) = (old.data_type.as_str(), new.data_type.as_str());
    // A CHAR has no trailing spaces. Those that a VARCHAR loses make two keys one, if they count.
    let may_lose_spaces = from == "char" || old.pads();
    let is_shorter = new.characters < old.characters;
    if !may_lose_spaces && (to == "char" || is_shorter) {
        return None;
    }
    if (to == "char" || to == "varchar") && new.collation == old.collation {
        return Some(Kept::Same);
    }
    if !is_string(to) || !exact(old, new) {
        return None;
    }
    Some(plain)
}

fn is_string(ty: &str) -> bool {
    ["char", "varchar", "tinytext", "text", "mediumtext", "longtext"].contains(&ty)
}

/// Whether text comes back from the new column as it went there.
fn exact(old: &Column, new: &Column) -> bool {
    let known = |column: &Column| column.charset.as_deref().is_some_and(|c| EXACT.contains(&c));
    old.charset == new.charset || (known(old) && known(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Ident;

    fn column(ty: &str, collation: Option<&str>) -> Column {
        let (data_type, length) = ty.split_once('(').unwrap_or((ty, ")"));
        let length = length.trim_end_matches(')').parse().ok();
        Column {
            name: Ident::new("k"),
            nullable: false,
            data_type: data_type.to_owned(),
            column_type: ty.to_owned(),
            charset: collation.and_then(|c| c.split('_').next()).map(str::to_owned),
            collation: collation.map(str::to_owned),
            precision: None,
            scale: None,
            fsp: 0,
            octets: length,
            characters: length,
            generated: false,
            expression: String::new(),
            auto_increment: false,
            has_default: false,
            default: String::new(),
        }
    }

    fn text(ty: &str, collation: &str) -> Column {
        column(ty, Some(collation))
    }

    #[test]
    fn what_stays_unique() {
        let cases = [
            ("utf8mb4_general_ci", "utf8mb4_bin", true),
            ("utf8mb4_bin", "utf8mb4_general_ci", false),
            ("utf8mb4_bin", "utf8mb4_bin", true),
            ("latin1_swedish_ci", "utf8mb4_bin", true),
            ("utf8mb4_0900_ai_ci", "utf8mb4_0900_bin", true),
            // 'a' and 'a ' are different before.
            ("utf8mb4_0900_ai_ci", "utf8mb4_bin", false),
            ("utf8mb4_unicode_nopad_ci", "utf8mb4_bin", false),
            ("utf8mb4_unicode_nopad_ci", "utf8mb4_nopad_bin", true),
            // Characters that are two in the old charset, and one in the new.
            ("cp932_bin", "utf8mb4_bin", false),
            ("utf8mb4_bin", "cp932_bin", false),
        ];
        for (old, new, expected) in cases {
            let (before, after) = (text("varchar(9)", old), text("varchar(9)", new));
            assert_eq!(stay_different(&before, &after), expected, "{old} to {new}");
        }
        let number = column("int", None);
        assert!(stay_different(&number, &column("bigint", None)));
        assert!(stay_different(&number, &text("varchar(20)", "utf8mb4_bin")));
        assert!(!stay_different(&number, &text("varchar(20)", "utf8mb4_general_ci")));
    }

    #[test]
    fn trailing_spaces_that_count_are_not_lost() {
        let shorter = |collation: &str, from: &str, to: &str| {
            kept(&text(from, collation), &text(to, collation)).ok()
        };
        assert_eq!(shorter("utf8mb4_bin", "varchar(9)", "varchar(5)"), Some(Kept::Same));
        assert_eq!(shorter("utf8mb4_0900_bin", "varchar(9)", "varchar(5)"), None);
        assert_eq!(shorter("utf8mb4_0900_bin", "varchar(9)", "char(9)"), None);
        assert_eq!(shorter("utf8mb4_0900_bin", "char(9)", "varchar(5)"), Some(Kept::Same));
    }
}
