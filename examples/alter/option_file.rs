//! The syntax of option files (`my.cnf`), as MySQL's and MariaDB's own programs read it:
//! <https://dev.mysql.com/doc/refman/9.7/en/option-files.html>,
//! <https://mariadb.com/kb/en/configuring-mariadb-with-option-files/>.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// How deep files may include each other, as there.
const DEEPEST: u32 = 10;

/// An option of one of the groups.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// With `-` for `_`, and without `loose-`.
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    /// Where it stands, for errors: they never quote a line, there are passwords in there.
    pub(crate) place: String,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.place)
    }
}

/// Reads the settings of these groups, in the order in which they stand: the last of several counts.
pub(crate) fn read(path: &Path, groups: &[String]) -> Result<Vec<Setting>, String> {
    let mut reader = Reader { groups, settings: Vec::new() };
    reader.file(path, 0)?;
    Ok(reader.settings)
}

struct Reader<'a> {
    groups: &'a [String],
    settings: Vec<Setting>,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, depth: u32) -> Result<(), String> {
        let wrong = |why: String| format!("{}: {why}", path.display());
        if is_open_to_all(path) {
            return Err(wrong(
                "everybody on this machine may write to it; the servers' own programs ignore such a file"
                    .to_owned(),
            ));
        }
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut wanted = false;
        for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
            let line = line.trim();
            let place = || format!("{}, line {number}", path.display());
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(directive) = line.strip_prefix('!') {
                self.directive(directive, depth).map_err(|why| format!("{}: {why}", place()))?;
                continue;
            }
            if let Some(group) = line.strip_prefix('[') {
                let (group, _) = group
                    .split_once(']')
                    .ok_or_else(|| format!("{}: the name of the group has no end", place()))?;
                wanted = self.groups.iter().any(|wanted| wanted == group.trim());
                continue;
            }
            if wanted {
                let (name, value) = setting(line);
                self.settings.push(Setting { name, value, place: place() });
            }
        }
        Ok(())
    }

    /// What an included file has is as if it stood by itself: its groups begin and end there.
    fn directive(&mut self, text: &str, depth: u32) -> Result<(), String> {
        let (name, argument) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let path = Path::new(argument.trim());
        let files = match name {
            "include" => vec![path.to_owned()],
            "includedir" => match listed(path) {
                Ok(files) => files,
                Err(error) => return self.passed_over(path, &error.to_string()),
            },
            _ => return Err("there is no such directive: !include and !includedir are".to_owned()),
        };
        if depth == DEEPEST {
            return Err(format!("files include each other more than {DEEPEST} deep"));
        }
        for file in files {
            if !file.exists() {
                self.passed_over(&file, "it is not there")?;
                continue;
            }
            self.file(&file, depth + 1)?;
        }
        Ok(())
    }

    /// The servers' own programs do so without a word.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "an arm among others")]
    fn passed_over(&self, path: &Path, why: &str) -> Result<(), String> {
        log::warn!("{} is to be included in an option file: {why}", path.display());
        Ok(())
    }
}

/// The option files of a directory, in the order of their names.
fn listed(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "cnf"));
    files.sort();
    Ok(files)
}

#[cfg(unix)]
fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn is_open_to_all(_: &Path) -> bool {
    false
}

/// Name and value of a line.
fn setting(line: &str) -> (String, Option<String>) {
    let line = without_comment(line);
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name, Some(unquoted(value.trim()))),
        None => (line, None),
    };
    let name = name.trim().replace('_', "-");
    (name.strip_prefix("loose-").unwrap_or(&name).to_owned(), value)
}

/// Within a line a comment begins with a #, unless that is in quotes, wherever those begin.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in line.char_indices() {
        if matches!(c, '"' | '\'') && !escaped {
            match quote {
                None => quote = Some(c),
                Some(open) if open == c => quote = None,
                Some(_) => {}
            }
        }
        if c == '#' && quote.is_none() {
            return line.get(..at).unwrap_or(line);
        }
        escaped = quote.is_some() && c == '\\' && !escaped;
    }
    line
}

/// Without the quotes, if there are some around all of it, and the escapes.
fn unquoted(value: &str) -> String {
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    let text = inside('"').or_else(|| inside('\'')).unwrap_or(value);
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            value.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => value.push('\u{8}'),
            Some('t') => value.push('\t'),
            Some('n') => value.push('\n'),
            Some('r') => value.push('\r'),
            Some('s') => value.push(' '),
            Some(c @ ('\\' | '"' | '\'')) => value.push(c),
            Some(other) => value.extend(['\\', other]),
            None => value.push('\\'),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (line, name, value) in [
            ("user", "user", None),
            ("user =", "user", Some("")),
            ("loose_ssl_ca=/a b", "ssl-ca", Some("/a b")),
            ("p = a;b # c", "p", Some("a;b")),
            ("p=a\\sb\\q\\\\", "p", Some("a b\\q\\")),
            ("p='a#b' # c", "p", Some("a#b")),
            ("p=\"a#b;'c\\\"d\\\\\" # x", "p", Some("a#b;'c\"d\\")),
            // Quotes hide a # wherever they are, and go only if they are around everything.
            ("p=it's#1", "p", Some("it's#1")),
            ("p='a", "p", Some("'a")),
            ("p='a' b", "p", Some("'a' b")),
            ("p='", "p", Some("'")),
            ("p=caf\u{e9}\\", "p", Some("caf\u{e9}\\")),
            ("p=a=b", "p", Some("a=b")),
        ] {
            assert_eq!(setting(line), (name.to_owned(), value.map(str::to_owned)), "{line}");
        }
    }

    #[test]
    fn groups_and_included_files() {
        let dir = std::env::temp_dir().join(format!("online-alter-conf-{}", std::process::id()));
        let part = dir.join("part.d");
        fs::create_dir_all(&part).unwrap();
        let write = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
        let here = dir.display();
        write(
            "my.cnf",
            &format!(
                "\u{feff}a=0\n[ client ]\na=1\n!include {here}/other.cnf\na=2\r\n; a=3\n[mysqld]\na=4\n\
                 !includedir {here}/part.d\n!include {here}/missing.cnf\n!includedir {here}/missing\n"
            ),
        );
        write("other.cnf", "a=no group\n[client_x]\nb\n[other]\na=5\n");
        write("part.d/2.cnf", "[client]\na=7");
        write("part.d/1.cnf", "[client]\na=6");
        write("part.d/3.txt", "[client]\na=8");
        let groups = ["client".to_owned(), "client_x".to_owned()];
        let read = |name: &str| read(&dir.join(name), &groups);
        let settings = read("my.cnf").unwrap();
        let found: Vec<_> =
            settings.iter().map(|s| (s.name.as_str(), s.value.as_deref())).collect();
        let a = |value| ("a", Some(value));
        assert_eq!(found, [a("1"), ("b", None), a("2"), a("6"), a("7")]);
        assert_eq!(settings[1].place, format!("{here}/other.cnf, line 3"));
        assert!(!format!("{:?}", settings[0]).contains('1') || here.to_string().contains('1'));

        write("loop.cnf", &format!("!include {here}/loop.cnf\n"));
        write("bad.cnf", "[client]\n!hidden\n");
        write("end.cnf", "[hidden");
        for (name, why) in [
            ("loop.cnf", "more than 10 deep"),
            ("bad.cnf", "line 2: there is no such directive"),
            ("end.cnf", "line 1: the name of the group has no end"),
            ("none.cnf", "No such file"),
        ] {
            let error = read(name).unwrap_err();
            assert!(error.contains(why) && !error.contains("hidden"), "{error}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let file = dir.join("other.cnf");
            fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap();
            assert!(read("my.cnf").unwrap_err().contains("everybody"));
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
