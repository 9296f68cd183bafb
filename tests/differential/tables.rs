//! Random tables.

use online_alter_support::Flavor;

use crate::names::{name, quote};
use crate::rng::Rng;
use crate::table::{Check, Column, Index, IndexKind, Table};
use crate::types::{self, Ty};
use crate::values::Style;

pub(crate) fn table(rng: &Rng, flavor: Flavor) -> Table {
    let mut columns = Vec::new();
    let mut key = Vec::new();
    let parts = if rng.chance(25) { rng.between(2, 3) } else { 1 };
    for i in 0..parts {
        let mut column = key_column(rng, flavor, &format!("k{i}"));
        if parts == 1 && column.ty.is_int() && rng.chance(70) {
            column.auto_increment = true;
        }
        key.push(column.name.clone());
        columns.push(column);
    }
    for i in 0..rng.between(1, 6) {
        let column = column(rng, flavor, &format!("c{i}"), &columns);
        columns.push(column);
    }
    if rng.chance(20) {
        let at = rng.below(columns.len());
        columns.rotate_left(at);
    }
    distinct(&mut columns);
    if rng.chance(15) {
        key.rotate_left(1);
    }
    let mut table = Table {
        name: if rng.chance(92) { "t".to_owned() } else { name(rng, "t") },
        columns,
        indexes: Vec::new(),
        checks: Vec::new(),
        options: Vec::new(),
        partition: None,
        key,
    };
    let kind = match rng.below(100) {
        0..85 => Some(IndexKind::Primary),
        85..98 => Some(IndexKind::Unique),
        _ => None,
    };
    if let Some(kind) = kind {
        let parts = table.key.iter().map(|name| {
            let down = if rng.chance(12) { " DESC" } else { "" };
            format!("{}{down}", quote(name))
        });
        let parts = parts.collect();
        table.indexes.push(Index { kind, name: name(rng, "u"), parts, tail: "" });
    }
    for i in 0..rng.below(4) {
        let found = index(rng, flavor, &table.columns, &format!("i{i}"));
        table.indexes.extend(found);
    }
    for i in 0..if rng.chance(20) { rng.between(1, 2) } else { 0 } {
        let found = check(rng, &table.columns, &format!("chk{i}"));
        table.checks.extend(found);
    }
    table.options = options(rng, flavor);
    let is_plain = table.indexes.iter().skip(1).all(|index| index.kind == IndexKind::Plain);
    if is_plain && kind == Some(IndexKind::Primary) && rng.chance(20) {
        table.partition = partition(rng, &table);
    }
    table
}

/// Nasty names repeat.
fn distinct(columns: &mut [Column]) {
    for i in 0..columns.len() {
        let folded = |column: &Column| column.name.to_lowercase();
        if columns[..i].iter().any(|other| folded(other) == folded(&columns[i])) {
            columns[i].name = format!("d{i}");
        }
    }
}

fn key_column(rng: &Rng, flavor: Flavor, plain: &str) -> Column {
    let ty = if rng.chance(35) {
        let name = rng.one(&["INT", "INT", "BIGINT"]);
        Ty::Int { name, unsigned: rng.chance(40), zerofill: false }
    } else {
        types::for_key(rng, flavor)
    };
    // A key is not renamed by the deduplication of names.
    let name = if plain == "k0" { name(rng, plain) } else { plain.to_owned() };
    let mut column = Column::plain(name, ty, Style::Key);
    column.nullable = false;
    column
}

/// A column that may be generated from `others`.
pub(crate) fn column(rng: &Rng, flavor: Flavor, plain: &str, others: &[Column]) -> Column {
    let style = match rng.below(10) {
        0..4 => Style::Tame,
        4..8 => Style::Wild,
        8 => Style::Numbers,
        _ => Style::Dates,
    };
    let mut column = Column::plain(name(rng, plain), types::any(rng, flavor), style);
    if rng.chance(14)
        && let Some((ty, expression)) = generated(rng, flavor, others)
    {
        column.ty = ty;
        column.generated = Some((expression, rng.chance(50)));
    } else {
        column.nullable = rng.chance(60);
        attributes(rng, flavor, &mut column);
    }
    if rng.chance(6) && !(flavor.is_mariadb() && !column.nullable && column.default.is_none()) {
        column.invisible = true;
    }
    if rng.chance(8) {
        column.comment =
            Some((rng.one(&["a comment", "it's; CHANGE a b INT", "é\\ \"x\""])).into());
    }
    column
}

/// A default.
pub(crate) fn attributes(rng: &Rng, flavor: Flavor, column: &mut Column) {
    if !rng.chance(45) {
        return;
    }
    let value = column.ty.value(rng, Style::Tame);
    column.default = Some(match &column.ty {
        Ty::Timestamp(fsp) | Ty::Datetime(fsp) if rng.chance(40) => {
            let now = if *fsp == 0 {
                "CURRENT_TIMESTAMP".into()
            } else {
                format!("CURRENT_TIMESTAMP({fsp})")
            };
            if rng.chance(40) { format!("{now} ON UPDATE {now}") } else { now }
        }
        Ty::Int { .. } if rng.chance(15) => format!("({value} + 1)"),
        Ty::Geometry(_) | Ty::Vector(_) => format!("({value})"),
        ty if ty.is_big() && !flavor.is_mariadb() => format!("({value})"),
        _ if column.nullable && rng.chance(20) => "NULL".to_owned(),
        _ => value,
    });
}

fn generated(rng: &Rng, flavor: Flavor, others: &[Column]) -> Option<(Ty, String)> {
    let base = rng.pick(others);
    if base.generated.is_some() || base.auto_increment || base.ty == Ty::Json && flavor.is_mariadb()
    {
        return None;
    }
    let c = quote(&base.name);
    let collation = types::collation(rng, flavor);
    let int = Ty::Int { name: "BIGINT", unsigned: false, zerofill: false };
    Some(match &base.ty {
        Ty::Int { .. } => match rng.below(3) {
            0 => (int, format!("{c} % 7")),
            1 => (Ty::Double { unsigned: false }, format!("{c} / 2")),
            _ => (
                Ty::Int { name: "TINYINT", unsigned: false, zerofill: false },
                format!("{c} IS NULL"),
            ),
        },
        Ty::Decimal { .. } => {
            (Ty::Decimal { digits: 65, scale: 8, unsigned: false }, format!("{c} * 2"))
        }
        Ty::Text { collation, .. } => match rng.below(4) {
            0 => (int, format!("CHAR_LENGTH({c})")),
            1 => {
                let collation = *collation;
                (Ty::Text { name: "VARCHAR", len: Some(3), collation }, format!("LEFT({c}, 3)"))
            }
            2 => {
                (Ty::Text { name: "TEXT", len: None, collation: *collation }, format!("LOWER({c})"))
            }
            _ => (Ty::Bytes { name: "VARBINARY", len: Some(20) }, format!("LEFT(HEX({c}), 20)")),
        },
        Ty::Bytes { .. } => (int, format!("LENGTH({c})")),
        Ty::Date | Ty::Datetime(_) => (int, format!("YEAR({c})")),
        Ty::Json => (
            Ty::Text { name: "VARCHAR", len: Some(60), collation },
            format!("LEFT(JSON_UNQUOTE(JSON_EXTRACT({c}, '$.a')), 60)"),
        ),
        Ty::Enum { collation, .. } => (
            Ty::Text { name: "VARCHAR", len: Some(60), collation: *collation },
            format!("CONCAT({c}, '!')"),
        ),
        _ => return None,
    })
}

pub(crate) fn index(rng: &Rng, flavor: Flavor, columns: &[Column], plain: &str) -> Option<Index> {
    let name = name(rng, plain);
    let make = |kind, parts| Some(Index { kind, name: name.clone(), parts, tail: "" });
    match rng.below(100) {
        0..6 => {
            let texts: Vec<&Column> =
                columns.iter().filter(|c| c.ty.is_text() && c.generated.is_none()).collect();
            if texts.is_empty() {
                return None;
            }
            let first = rng.pick(&texts);
            return make(IndexKind::Fulltext, vec![quote(&first.name)]);
        }
        6..12 => {
            let spatial = |c: &&Column| matches!(c.ty, Ty::Geometry(_)) && !c.nullable;
            let column = columns.iter().find(spatial)?;
            return make(IndexKind::Spatial, vec![quote(&column.name)]);
        }
        12..20 if !flavor.is_mariadb() => {
            let column = rng.pick(columns);
            let c = quote(&column.name);
            let expression = match &column.ty {
                Ty::Int { .. } => format!("({c} % 5)"),
                Ty::Text { .. } => format!("(CAST(LEFT({c}, 10) AS CHAR(10)))"),
                Ty::Json => format!("(CAST({c}->>'$.a' AS CHAR(20)))"),
                Ty::Date | Ty::Datetime(_) => format!("(YEAR({c}))"),
                _ => return None,
            };
            return make(IndexKind::Plain, vec![expression]);
        }
        _ => {}
    }
    let kind = if rng.chance(25) { IndexKind::Unique } else { IndexKind::Plain };
    let mut parts: Vec<String> = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    for _ in 0..if rng.chance(35) { rng.between(2, 3) } else { 1 } {
        let column = rng.pick(columns);
        if matches!(column.ty, Ty::Json | Ty::Geometry(_) | Ty::Vector(_))
            || used.contains(&column.name.as_str())
        {
            continue;
        }
        used.push(&column.name);
        let mut part = quote(&column.name);
        let short = match &column.ty {
            Ty::Text { len, .. } | Ty::Bytes { len, .. } => len.is_some_and(|len| len < 4),
            _ => false,
        };
        let must = column.ty.needs_prefix();
        if must || column.ty.can_have_prefix() && !short && rng.chance(25) {
            part = format!("{part}({})", rng.between(1, if must { 20 } else { 3 }));
        }
        if rng.chance(15) {
            part.push_str(" DESC");
        }
        parts.push(part);
    }
    if parts.is_empty() {
        return None;
    }
    let mut index = make(kind, parts)?;
    let hidden = rng.chance(5);
    if hidden {
        index.tail = if flavor.is_mariadb() { " IGNORED" } else { " INVISIBLE" };
    } else if rng.chance(5) {
        index.tail = " COMMENT 'of an index'";
    }
    Some(index)
}

pub(crate) fn check(rng: &Rng, columns: &[Column], plain: &str) -> Option<Check> {
    let column = rng.pick(columns);
    let c = quote(&column.name);
    let expression = match &column.ty {
        Ty::Int { .. } | Ty::Decimal { .. } if !column.auto_increment => format!("{c} <> 13"),
        Ty::Text { .. } => format!("CHAR_LENGTH({c}) < 1000"),
        Ty::Date | Ty::Datetime(_) => format!("{c} IS NULL OR {c} > '1900-01-01'"),
        _ => return None,
    };
    let name = rng.chance(50).then(|| name(rng, plain));
    Some(Check { name, expression })
}

fn options(rng: &Rng, flavor: Flavor) -> Vec<String> {
    let mut options = Vec::new();
    let c = types::collation(rng, flavor);
    options.push(format!("DEFAULT CHARSET={} COLLATE={}", c.charset, c.name));
    if rng.chance(15) {
        options.push(format!("AUTO_INCREMENT={}", rng.one(&[1, 7, 120, 1000])));
    }
    if rng.chance(20) {
        let format = rng.one(&["DYNAMIC", "COMPACT", "REDUNDANT", "COMPRESSED"]);
        options.push(format!("ROW_FORMAT={format}"));
    }
    if rng.chance(8) {
        options.push("COMMENT='a table''s comment'".to_owned());
    }
    if rng.chance(5) {
        options.push("STATS_PERSISTENT=0".to_owned());
    }
    options
}

pub(crate) fn partition(rng: &Rng, table: &Table) -> Option<String> {
    let column = table.column(table.key.first()?)?;
    let c = quote(&column.name);
    Some(match &column.ty {
        Ty::Int { unsigned, .. } => match rng.below(3) {
            0 => format!("PARTITION BY HASH ({c}) PARTITIONS {}", rng.between(1, 4)),
            1 => format!("PARTITION BY KEY ({c}) PARTITIONS 3"),
            _ => {
                let low = if *unsigned { 5 } else { 0 };
                format!(
                    "PARTITION BY RANGE ({c}) (PARTITION p0 VALUES LESS THAN ({low}), \
                     PARTITION p1 VALUES LESS THAN (50), PARTITION p2 VALUES LESS THAN MAXVALUE)"
                )
            }
        },
        Ty::Date | Ty::Datetime(_) => format!(
            "PARTITION BY RANGE COLUMNS ({c}) (PARTITION p0 VALUES LESS THAN ('2024-01-10'), \
             PARTITION p1 VALUES LESS THAN (MAXVALUE))"
        ),
        Ty::Text { .. } | Ty::Bytes { .. } => format!("PARTITION BY KEY ({c}) PARTITIONS 2"),
        _ => return None,
    })
}
