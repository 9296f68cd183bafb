//! The `[client]` group of an option file (`my.cnf`).

use std::fmt;
use std::fs;
use std::path::Path;

/// How to reach a server, as an option file has it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Conf {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) socket: Option<String>,
}

impl fmt::Debug for Conf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conf")
            .field("user", &self.user)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

impl Conf {
    /// Reads a file. The errors name lines, and never quote them: there are passwords in there.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let wrong = |why: String| format!("{}: {why}", path.display());
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Self::parse(&text).map_err(wrong)
    }

    /// Reads the syntax of MySQL's and MariaDB's own programs, without `!include`: options of other
    /// groups and options that do not matter here are left alone, the last of several counts, `-`
    /// and `_` are the same in a name, and values may be quoted.
    fn parse(text: &str) -> Result<Self, String> {
        let mut conf = Conf::default();
        let mut client = false;
        for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with("!include") {
                log::warn!(
                    "line {number} of the option file is left out: !include is not supported"
                );
                continue;
            }
            if let Some(group) = line.strip_prefix('[') {
                let (group, _) = group
                    .split_once(']')
                    .ok_or_else(|| format!("line {number}: the name of the group has no end"))?;
                client = group.trim() == "client";
                continue;
            }
            if !client {
                continue;
            }
            let (name, raw) = line.split_once('=').unwrap_or((line, ""));
            let name = name.trim().replace('_', "-");
            let value = || value(raw).ok_or_else(|| format!("line {number}: a quote has no end"));
            match name.as_str() {
                "user" => conf.user = Some(value()?),
                "password" => conf.password = Some(value()?),
                "host" => conf.host = Some(value()?),
                "socket" => conf.socket = Some(value()?),
                "port" => {
                    let port = value()?.parse();
                    conf.port =
                        Some(port.map_err(|_| format!("line {number}: the port is not a port"))?);
                }
                _ => {}
            }
        }
        Ok(conf)
    }
}

/// What stands behind the `=`: without the comment, the quotes and the escapes.
fn value(raw: &str) -> Option<String> {
    let raw = raw.trim();
    let text = match raw.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let body = raw.get(1..)?;
            let mut escaped = false;
            let end = body.find(|c| {
                let ends = c == quote && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })?;
            body.get(..end)?
        }
        // Within a line a comment begins with a #, never with a semicolon.
        _ => raw.split_once('#').map_or(raw, |(text, _)| text.trim_end()),
    };
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
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_client_group() {
        let conf = Conf::parse(
            "\u{feff}# comment\n; comment\nuser=nobody\n[mysqld]\nport = 1\nuser=mysql\n\n\
             [client]\nuser = dba # who\n password=\"a#b;'c\\\"d\\\\\" # x\nhost= db1\r\nport=3307\n\
             socket='/tmp/my sock'\nloose-what\nssl-mode=REQUIRED\n[client-server]\nuser=x\n",
        );
        let conf = conf.unwrap();
        assert_eq!(conf.user.as_deref(), Some("dba"));
        assert_eq!(conf.password.as_deref(), Some("a#b;'c\"d\\"));
        assert_eq!(conf.host.as_deref(), Some("db1"));
        assert_eq!(conf.port, Some(3307));
        assert_eq!(conf.socket.as_deref(), Some("/tmp/my sock"));
        assert!(!format!("{conf:?}").contains("a#b"));
    }

    #[test]
    fn unquotes_values() {
        for (raw, expected) in [
            ("", Some("")),
            (" a b ", Some("a b")),
            ("a;b", Some("a;b")),
            ("a\\sb\\q", Some("a b\\q")),
            ("'a#b'", Some("a#b")),
            ("'a", None),
            ("caf\u{e9}\\", Some("caf\u{e9}\\")),
        ] {
            assert_eq!(value(raw).as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn the_last_one_counts_and_errors_quote_nothing() {
        let conf = Conf::parse("[client]\nuser=a\n[mysql]\nuser=b\n[client]\nuser=c").unwrap();
        assert_eq!(conf.user.as_deref(), Some("c"));
        for bad in ["[client]\npassword='hidden", "[client]\nport=hidden", "[hidden"] {
            let error = Conf::parse(bad).unwrap_err();
            assert!(!error.contains("hidden") && error.contains("line"), "{error}");
        }
    }
}
