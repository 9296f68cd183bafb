//! What an option file (`my.cnf`) says of how to reach a server.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::option_file::{self, Setting};

/// The groups that are read: those of all clients, MariaDB's ones too, and the tool's own.
const GROUPS: [&str; 4] = ["client", "client-server", "client-mariadb", "online-alter"];

/// How to reach a server, as an option file has it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Conf {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) socket: Option<String>,
    pub(crate) ssl_mode: Mode,
    /// What MariaDB's option says, which its `ssl` does not.
    pub(crate) ssl_verify: Option<bool>,
    pub(crate) ssl_ca: Option<PathBuf>,
    pub(crate) ssl_cert: Option<PathBuf>,
    pub(crate) ssl_key: Option<PathBuf>,
}

/// What the file wants of TLS, besides certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing: TLS if it names certificates. MySQL's PREFERRED too, of which no server can be held to anything.
    #[default]
    Unsaid,
    Off,
    /// MariaDB's `ssl`.
    On,
    /// No look at the server's certificate: MySQL's REQUIRED.
    Encrypted,
    /// VERIFY_IDENTITY, and VERIFY_CA: public authorities are trusted too, so names have to be looked at.
    Verified,
}

impl fmt::Debug for Conf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conf")
            .field("user", &self.user)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("socket", &self.socket)
            .field("ssl_mode", &self.ssl_mode)
            .finish_non_exhaustive()
    }
}

impl Conf {
    /// Reads a file, of each group also the one whose name ends with the suffix.
    pub(crate) fn read(path: &Path, suffix: Option<&str>) -> Result<Self, String> {
        let with_suffix = |group: &str| suffix.map(|suffix| format!("{group}{suffix}"));
        let more = GROUPS.iter().filter_map(|group| with_suffix(group));
        let groups: Vec<String> = GROUPS.iter().map(ToString::to_string).chain(more).collect();
        let environment = |name: &str| std::env::var(name).ok();
        Self::of(option_file::read(path, &groups)?, &environment)
    }

    /// Other options of a client do not matter here.
    fn of(
        settings: Vec<Setting>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let mut conf = Conf::default();
        for Setting { name, value, place } in settings {
            let wrong = |why: &str| format!("{place}: {why}");
            // Without a value it is a question, to which there is no answer here.
            let path = || value.clone().filter(|value| !value.is_empty()).map(PathBuf::from);
            match name.as_str() {
                "user" => conf.user = expanded(value, environment).map_err(wrong)?,
                "password" => conf.password = expanded(value, environment).map_err(wrong)?,
                "host" => conf.host = value,
                "socket" => conf.socket = value,
                "port" => {
                    let port = value.unwrap_or_default().parse();
                    conf.port = Some(port.map_err(|_| wrong("the port is not a port"))?);
                }
                "ssl-ca" => conf.ssl_ca = path(),
                "ssl-cert" => conf.ssl_cert = path(),
                "ssl-key" => conf.ssl_key = path(),
                "ssl-mode" => {
                    let value = value.unwrap_or_default();
                    conf.ssl_mode = mode(&value).ok_or_else(|| wrong("no such ssl-mode"))?;
                }
                // MariaDB has these two.
                "ssl" | "enable-ssl" | "skip-ssl" | "disable-ssl" => {
                    let yes = is_on(&name, value.as_deref());
                    conf.ssl_mode = if yes { Mode::On } else { Mode::Off };
                }
                "ssl-verify-server-cert"
                | "enable-ssl-verify-server-cert"
                | "skip-ssl-verify-server-cert"
                | "disable-ssl-verify-server-cert" => {
                    conf.ssl_verify = Some(is_on(&name, value.as_deref()));
                }
                _ => {}
            }
        }
        Ok(conf)
    }
}

/// gh-ost takes `${NAME}` for a variable of the environment.
fn expanded(
    value: Option<String>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, &'static str> {
    let name = value.as_deref().and_then(|value| value.strip_prefix("${")?.strip_suffix('}'));
    match name {
        Some(name) => environment(name).map(Some).ok_or("the environment has no such variable"),
        None => Ok(value),
    }
}

/// <https://dev.mysql.com/doc/refman/9.7/en/connection-options.html#option_general_ssl-mode>
fn mode(value: &str) -> Option<Mode> {
    match value.to_ascii_uppercase().as_str() {
        "DISABLED" => Some(Mode::Off),
        "PREFERRED" => Some(Mode::Unsaid),
        "REQUIRED" => Some(Mode::Encrypted),
        "VERIFY_CA" | "VERIFY_IDENTITY" => Some(Mode::Verified),
        _ => None,
    }
}

/// A switch, which a prefix may turn round.
fn is_on(name: &str, value: Option<&str>) -> bool {
    let on = !value.is_some_and(|value| {
        ["0", "OFF", "FALSE"].iter().any(|off| off.eq_ignore_ascii_case(value))
    });
    on != (name.starts_with("skip-") || name.starts_with("disable-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(settings: &[(&str, Option<&str>)]) -> Result<Conf, String> {
        let setting = |(name, value): &(&str, Option<&str>)| Setting {
            name: (*name).to_owned(),
            value: value.map(str::to_owned),
            place: "f, line 1".to_owned(),
        };
        let environment = |name: &str| (name == "KNOWN").then(|| "hidden".to_owned());
        Conf::of(settings.iter().map(setting).collect(), &environment)
    }

    #[test]
    fn the_last_one_counts_and_passwords_are_not_shown() {
        let conf = conf(&[
            ("user", Some("a")),
            ("password", Some("hidden")),
            ("what", None),
            ("user", Some("b")),
            ("host", Some("db1")),
            ("port", Some("3307")),
            ("socket", Some("/s")),
        ]);
        let conf = conf.unwrap();
        assert_eq!((conf.user.as_deref(), conf.host.as_deref()), (Some("b"), Some("db1")));
        assert_eq!((conf.port, conf.socket.as_deref()), (Some(3307), Some("/s")));
        assert_eq!(conf.password.as_deref(), Some("hidden"));
        assert!(!format!("{conf:?}").contains("hidden"));
    }

    #[test]
    fn the_environment_can_be_named() {
        let known = conf(&[("user", Some("${KNOWN}")), ("password", Some("${KNOWN}"))]).unwrap();
        assert_eq!((known.user, known.password), (Some("hidden".into()), Some("hidden".into())));
        assert!(conf(&[("password", Some("${NOT_KNOWN}"))]).unwrap_err().contains("f, line 1"));
        let literal = conf(&[("password", Some("$KNOWN"))]).unwrap();
        assert_eq!(literal.password.as_deref(), Some("$KNOWN"));
    }

    #[test]
    fn tls() {
        for (name, value, expected) in [
            ("ssl-mode", Some("disabled"), Mode::Off),
            ("ssl-mode", Some("PREFERRED"), Mode::Unsaid),
            ("ssl-mode", Some("REQUIRED"), Mode::Encrypted),
            ("ssl-mode", Some("VERIFY_CA"), Mode::Verified),
            ("ssl-mode", Some("Verify_Identity"), Mode::Verified),
            ("ssl", None, Mode::On),
            ("ssl", Some("0"), Mode::Off),
            ("skip-ssl", None, Mode::Off),
            ("disable-ssl", Some("OFF"), Mode::On),
        ] {
            assert_eq!(conf(&[(name, value)]).unwrap().ssl_mode, expected, "{name} {value:?}");
        }
        for (name, value, expected) in [
            ("ssl-verify-server-cert", None, true),
            ("ssl-verify-server-cert", Some("off"), false),
            ("skip-ssl-verify-server-cert", None, false),
        ] {
            let conf = conf(&[(name, value)]).unwrap();
            assert_eq!((conf.ssl_verify, conf.ssl_mode), (Some(expected), Mode::Unsaid));
        }
        for (name, bad) in [("ssl-mode", "hidden"), ("port", "hidden")] {
            let error = conf(&[(name, Some(bad))]).unwrap_err();
            assert!(!error.contains("hidden") && error.contains("f, line 1"), "{error}");
        }
        let files = conf(&[("ssl-ca", Some("a")), ("ssl-cert", Some("b")), ("ssl-key", None)]);
        let files = files.unwrap();
        assert_eq!((files.ssl_ca, files.ssl_cert), (Some("a".into()), Some("b".into())));
        assert_eq!(files.ssl_key, None);
    }
}
