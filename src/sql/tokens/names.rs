//! How servers compare the names of columns.

/// Names as the servers compare those of columns: ignoring case.
pub(crate) fn fold(name: &str) -> String {
    // One character for one, as in the servers' tables: `İ` becomes `i`, not `i` and a dot.
    name.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}

/// Whether two names of columns are the same to the server; nothing if servers disagree.
///
/// MariaDB 11 takes `ς` for `σ` and `ı` for `i`, and not `İ` for `i`; MySQL and MariaDB 10 do the
/// reverse. Letters that came late to Unicode have case only for servers that know of it.
pub(crate) fn same_name(a: &str, b: &str) -> Option<bool> {
    if a == b || a.eq_ignore_ascii_case(b) {
        return Some(true);
    }
    let loose = |name: &str| -> String { name.chars().map(loose_char).collect() };
    if loose(a) != loose(b) {
        return Some(false);
    }
    let sure = a.chars().zip(b.chars()).all(|(a, b)| {
        a == b
            || (has_old_case(a)
                && has_old_case(b)
                && a.to_lowercase().eq(b.to_lowercase())
                && a.to_uppercase().eq(b.to_uppercase()))
    });
    sure.then_some(true)
}

fn loose_char(c: char) -> char {
    let lower = c.to_lowercase().next().unwrap_or(c);
    let upper = lower.to_uppercase().next().unwrap_or(lower);
    upper.to_lowercase().next().unwrap_or(upper)
}

/// Letters whose case every server knows.
fn has_old_case(c: char) -> bool {
    matches!(c, '\0'..='\u{17f}' | '\u{386}'..='\u{3ce}' | '\u{400}'..='\u{45f}')
}
