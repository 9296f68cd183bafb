//! How the values of a column are compared: as an expression on either side, such that the bytes
//! are equal exactly if the altered table holds what the server makes of the table's value.

use crate::db::Flavor;
use crate::inspect::ServerInfo;
use crate::inspect::column::Column;
use crate::sql::Ident;

/// A value of one side, in a form whose bytes can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) column: Ident,
    /// The column's name in the statement.
    pub(super) name: String,
    pub(super) expr: String,
    /// Its length, where its end cannot be told otherwise: numbers, times and hashes do not hold the
    /// separator.
    pub(super) length: Option<String>,
    /// A form that `=` finds equal exactly if the bytes of `expr` are.
    pub(super) exact: String,
    /// The value for people, not longer than [`SHOWN`] characters or bytes.
    pub(super) shown: String,
}

/// A column of both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) source: Value,
    pub(super) ghost: Value,
    /// Either side may hold NULL.
    pub(super) nullable: bool,
}

/// What the expressions depend on besides the columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) flavor: Flavor,
    /// Values that may be this many bytes long are hashed by themselves: what is put together from
    /// all columns must stay below `max_allowed_packet`, or the server would make it NULL.
    pub(crate) big: usize,
    /// A collation that compares utf8mb4 by its bytes, all of them, where that is faster than looking
    /// at the text as bytes.
    pub(crate) by_bytes: Option<&'static str>,
}

impl Style {
    pub(crate) fn new(server: &ServerInfo) -> Self {
        // All columns that are no TEXT or BLOB have 65,535 bytes together; in another charset, up to
        // four times as many.
        let big = if server.max_packet() >= 1 << 20 { 65_535 } else { 256 };
        Style { flavor: server.flavor, big, by_bytes: server.collation_by_bytes() }
    }
}

/// What stands before the names of columns: for a statement that reads both tables, which of them is
/// meant.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prefixes {
    pub(super) source: &'static str,
    pub(super) ghost: &'static str,
}

/// How much of a value is shown.
const SHOWN: usize = 100;

impl Part {
    /// Compares the table's column with the altered one by expressions; `None` where the types differ
    /// in a way that only storing the value shows.
    pub(super) fn direct(
        old: &Column,
        new: &Column,
        style: Style,
        prefixes: Prefixes,
    ) -> Option<Self> {
        let source_name = Name { prefix: prefixes.source, column: &old.name };
        let ghost_name = Name { prefix: prefixes.ghost, column: &new.name };
        let (source, ghost) = match converted((old, source_name), (new, ghost_name), style) {
            Some(values) => values,
            None if is_same_type(old, new) => {
                (plain(source_name, new, style), plain(ghost_name, new, style))
            }
            None => return None,
        };
        Some(Part { source, ghost, nullable: old.nullable || new.nullable })
    }

    /// Compares `column` with one of the same type that has the name `stored`.
    pub(super) fn stored(stored: &Ident, column: &Column, style: Style) -> Self {
        let own = |column| Name { prefix: "", column };
        let (source, ghost) =
            (plain(own(stored), column, style), plain(own(&column.name), column, style));
        Part { source, ghost, nullable: true }
    }

    /// Whether both sides hold the same. NULL, not true, where the server could not make a value fit.
    pub(super) fn same(&self) -> String {
        let Part { source, ghost, nullable } = self;
        let same = format!("{} = {}", source.exact, ghost.exact);
        if *nullable {
            format!("({same} OR ISNULL({}) AND ISNULL({}))", source.name, ghost.name)
        } else {
            format!("({same})")
        }
    }
}

/// A column as it is named in a statement.
#[derive(Clone, Copy)]
struct Name<'a> {
    prefix: &'static str,
    column: &'a Ident,
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.prefix, self.column)
    }
}

pub(super) fn is_same_type(old: &Column, new: &Column) -> bool {
    old.column_type.eq_ignore_ascii_case(&new.column_type) && old.charset == new.charset
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Int,
    Decimal,
    Float,
    Text,
    Bytes,
    Enum,
    Set,
    Date,
    Time,
    Datetime,
    Timestamp,
    Json,
    Geometry,
    Number,
    Word,
    Other,
}

fn class(column: &Column, flavor: Flavor) -> Class {
    match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Class::Int,
        "decimal" => Class::Decimal,
        "float" | "double" => Class::Float,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Class::Text,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Class::Bytes,
        "enum" => Class::Enum,
        "set" => Class::Set,
        "date" => Class::Date,
        "time" => Class::Time,
        "datetime" => Class::Datetime,
        "timestamp" => Class::Timestamp,
        "json" if flavor == Flavor::MySql => Class::Json,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => Class::Geometry,
        "year" | "bit" => Class::Number,
        "uuid" | "inet6" | "inet4" => Class::Word,
        _ => Class::Other,
    }
}

/// A value of the type of `column`, under the name `name`.
fn plain(name: Name<'_>, column: &Column, style: Style) -> Value {
    let n = name.to_string();
    let shown_as_text = format!("CAST({n} AS CHAR)");
    let value = |expr: String, shown: String| Value {
        column: name.column.clone(),
        name: n.clone(),
        length: None,
        exact: expr.clone(),
        expr,
        shown,
    };
    let simple = |expr: String| {
        let shown = format!("CAST({expr} AS CHAR)");
        value(expr, shown)
    };
    let hashed = |bytes: &str, shown: String| value(format!("SHA2({bytes}, 256)"), shown);
    match class(column, style.flavor) {
        // ZEROFILL would show in the text.
        Class::Int | Class::Number => simple(format!("({n} + 0)")),
        Class::Decimal => match (column.precision, column.scale) {
            (Some(p), Some(s)) => simple(format!("CAST({n} AS DECIMAL({p}, {s}))")),
            _ => simple(n.clone()),
        },
        // The text of a FLOAT has six digits; the double that it is has all of them.
        Class::Float => simple(format!("({n} + 0e0)")),
        Class::Enum => value(format!("({n} + 0)"), shown_as_text),
        // Not `+ 0`, which makes a double of a SET.
        Class::Set => value(format!("CAST({n} AS UNSIGNED)"), shown_as_text),
        // The text of an instant is ambiguous in a zone that changes its clocks.
        Class::Timestamp => {
            let f = column.fsp;
            value(format!("CAST(UNIX_TIMESTAMP({n}) AS DECIMAL(20, {f}))"), shown_as_text)
        }
        Class::Date | Class::Time | Class::Datetime => value(n.clone(), shown_as_text),
        Class::Word => Value { exact: by_bytes(&shown_as_text), ..simple(shown_as_text.clone()) },
        Class::Json => Value {
            exact: by_bytes(&shown_as_text),
            ..hashed(&shown_as_text, format!("LEFT({shown_as_text}, {SHOWN})"))
        },
        Class::Text => {
            let shown = format!("LEFT(CONVERT({n} USING utf8mb4), {SHOWN})");
            let exact = match style.by_bytes {
                Some(collation) if column.charset.as_deref() == Some("utf8mb4") => {
                    format!("{n} COLLATE {collation}")
                }
                _ => by_bytes(&n),
            };
            if is_big(column, style) {
                Value { exact, ..hashed(&n, shown) }
            } else {
                Value { exact, length: Some(format!("LENGTH({n})")), ..value(by_bytes(&n), shown) }
            }
        }
        Class::Bytes => {
            let shown = format!("HEX(LEFT({n}, {SHOWN}))");
            if is_big(column, style) {
                Value { exact: n.clone(), ..hashed(&n, shown) }
            } else {
                Value { length: Some(format!("LENGTH({n})")), ..value(n.clone(), shown) }
            }
        }
        Class::Geometry | Class::Other => hashed(&n, format!("LEFT(HEX({n}), {SHOWN})")),
    }
}

fn by_bytes(text: &str) -> String {
    format!("CONVERT({text} USING binary)")
}

fn is_big(column: &Column, style: Style) -> bool {
    column.octets.is_none_or(|octets| octets >= style.big)
}

/// The values of columns of two types, where an expression makes of the one what storing it in the
/// other does.
fn converted(
    (old, n): (&Column, Name<'_>),
    (new, m): (&Column, Name<'_>),
    style: Style,
) -> Option<(Value, Value)> {
    let flavor = style.flavor;
    let ghost = plain(m, new, style);
    let as_new = |expr: String| {
        Some((Value { exact: expr.clone(), expr, ..plain(n, old, style) }, ghost.clone()))
    };
    match (class(old, flavor), class(new, flavor)) {
        (Class::Int, Class::Int) => as_new(format!("({n} + 0)")),
        (Class::Int | Class::Decimal, Class::Decimal) => {
            as_new(format!("CAST({n} AS DECIMAL({}, {}))", new.precision?, new.scale?))
        }
        (Class::Float, Class::Float) if old.data_type == "float" && new.data_type == "double" => {
            as_new(format!("({n} + 0e0)"))
        }
        (Class::Datetime | Class::Date, Class::Datetime) if new.fsp >= old.fsp => {
            as_new(format!("CAST({n} AS DATETIME({}))", new.fsp))
        }
        (Class::Time, Class::Time) if new.fsp >= old.fsp => {
            as_new(format!("CAST({n} AS TIME({}))", new.fsp))
        }
        (Class::Timestamp, Class::Timestamp) if new.fsp >= old.fsp => {
            as_new(format!("CAST(UNIX_TIMESTAMP({n}) AS DECIMAL(20, {}))", new.fsp))
        }
        (Class::Enum, Class::Enum) | (Class::Set, Class::Set) if extends(old, new) => {
            Some((plain(n, old, style), ghost))
        }
        (Class::Bytes, Class::Bytes)
            if old.data_type != "binary"
                && new.data_type != "binary"
                && new.octets >= old.octets =>
        {
            Some((plain(n, new, style), ghost))
        }
        (Class::Text, Class::Text) if keeps_text(old, new) => {
            if old.charset == new.charset {
                return Some((plain(n, new, style), ghost));
            }
            let charset = new.charset.as_ref()?;
            let utf8 = |n: Name<'_>, text: &str| {
                let mut value = plain(n, new, style);
                let text = if charset == "utf8mb4" {
                    text.to_owned()
                } else {
                    format!("CONVERT({text} USING utf8mb4)")
                };
                value.exact = by_bytes(&text);
                if value.length.is_some() {
                    value.expr.clone_from(&value.exact);
                    value.length = Some(format!("LENGTH({text})"));
                } else {
                    value.expr = format!("SHA2({text}, 256)");
                }
                value
            };
            Some((utf8(n, &format!("CONVERT({n} USING {charset})")), utf8(m, &m.to_string())))
        }
        _ => None,
    }
}

/// Whether an ENUM or SET keeps its members and at most gets more behind them.
fn extends(old: &Column, new: &Column) -> bool {
    let members = old.column_type.strip_suffix(')').unwrap_or(&old.column_type);
    new.column_type == old.column_type || new.column_type.starts_with(&format!("{members},"))
}

/// Whether no text gets shorter, be it by trailing spaces: those go without an error.
fn keeps_text(old: &Column, new: &Column) -> bool {
    let length = |column: &Column| {
        let digits = column.column_type.split_once('(')?.1.split_once(')')?.0;
        digits.parse::<u64>().ok()
    };
    match (length(old), length(new)) {
        (Some(before), Some(after)) => {
            after >= before && (new.data_type == "varchar" || old.data_type == "char")
        }
        // A kind of TEXT is limited in bytes, of which a character of another charset may have more.
        (Some(_), None) => {
            ["mediumtext", "longtext"].contains(&&*new.data_type)
                || new.octets >= old.octets && new.charset == old.charset
        }
        (None, None) => {
            new.data_type == "longtext" || new.octets >= old.octets && new.charset == old.charset
        }
        (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { flavor: Flavor::MySql, big: 65_535, by_bytes: None };

    fn column(name: &str, ty: &str, charset: Option<&str>, octets: Option<usize>) -> Column {
        let data_type = ty.split(['(', ' ']).next().unwrap_or_default().to_owned();
        Column {
            name: Ident::new(name),
            nullable: false,
            data_type,
            column_type: ty.to_owned(),
            charset: charset.map(str::to_owned),
            collation: None,
            precision: Some(10),
            scale: Some(2),
            fsp: 0,
            octets,
            generated: false,
            expression: String::new(),
            auto_increment: false,
            has_default: false,
            characters: None,
            default: String::new(),
        }
    }

    fn direct(old: &Column, new: &Column) -> Option<(String, String)> {
        Part::direct(old, new, STYLE, Prefixes::default())
            .map(|part| (part.source.expr, part.ghost.expr))
    }

    #[test]
    fn widening_is_compared_directly() {
        let int = column("a", "int", None, None);
        let big = column("b", "bigint unsigned", None, None);
        insta::assert_debug_snapshot!(direct(&int, &big), @r#"
        Some(
            (
                "(`a` + 0)",
                "(`b` + 0)",
            ),
        )
        "#);
        let latin1 = column("a", "varchar(10)", Some("latin1"), Some(10));
        let utf8 = column("b", "varchar(10)", Some("utf8mb4"), Some(40));
        insta::assert_debug_snapshot!(direct(&latin1, &utf8), @r#"
        Some(
            (
                "CONVERT(CONVERT(`a` USING utf8mb4) USING binary)",
                "CONVERT(`b` USING binary)",
            ),
        )
        "#);
    }

    #[test]
    fn what_only_storing_shows_is_not() {
        let text = |ty, octets| column("a", ty, Some("utf8mb4"), Some(octets));
        let varchar = text("varchar(10)", 40);
        assert_eq!(direct(&varchar, &text("char(10)", 40)), None);
        assert_eq!(direct(&varchar, &text("varchar(9)", 36)), None);
        assert_eq!(direct(&varchar, &column("a", "int", None, None)), None);
        assert_eq!(direct(&text("longtext", usize::MAX), &text("text", 65_535)), None);
        let binary = column("a", "binary(4)", None, Some(4));
        assert_eq!(direct(&binary, &column("a", "binary(8)", None, Some(8))), None);
        let letters = column("a", "enum('a','b')", Some("utf8mb4"), None);
        assert_eq!(direct(&letters, &column("a", "enum('b','a')", Some("utf8mb4"), None)), None);
        assert!(
            direct(&letters, &column("a", "enum('a','b','c')", Some("utf8mb4"), None)).is_some()
        );
    }
}
