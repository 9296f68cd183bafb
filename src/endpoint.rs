//! Where a server is, as the caller says it.

use std::fmt;

use mysql::{Opts, OptsBuilder};

use crate::error::{Error, ErrorKind, Result};
use crate::tls::Tls;

/// Where the server is: a URL (`mysql://user:password@host:3306/schema`) or [`mysql::Opts`].
///
/// A Unix socket is given as `mysql://user@localhost/schema?socket=/path`, percent-encoded where necessary. What a
/// connection does without limit unless the options say otherwise, and within which limits the rest, is said in
/// `docs/CONNECTIONS.md`.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Result<Opts, String>);

impl From<&str> for Endpoint {
    fn from(url: &str) -> Self {
        // The crate's own error quotes the URL, password and all.
        let shown = |name: &str| shown(name, url);
        Endpoint(Opts::from_url(url).map_err(|error| match error {
            mysql::UrlError::UnsupportedScheme(_) => cannot("its scheme is not mysql://"),
            mysql::UrlError::UnknownParameter(name) => {
                cannot(&format!("unknown parameter{}", shown(&name)))
            }
            mysql::UrlError::InvalidValue(name, _) => {
                cannot(&format!("bad value of a parameter{}", shown(&name)))
            }
            mysql::UrlError::FeatureRequired(_, name) => {
                cannot(&format!("`{name}` takes a TLS feature that this build does not have"))
            }
            _ => cannot("it is malformed"),
        }))
    }
}

impl From<String> for Endpoint {
    fn from(url: String) -> Self {
        url.as_str().into()
    }
}

impl From<Opts> for Endpoint {
    fn from(opts: Opts) -> Self {
        Endpoint(Ok(opts))
    }
}

impl From<OptsBuilder> for Endpoint {
    fn from(opts: OptsBuilder) -> Self {
        Endpoint(Ok(opts.into()))
    }
}

impl Endpoint {
    /// Uses TLS, for this server and for all others that are reached by its options, such as replicas that are found.
    #[must_use]
    pub fn tls(self, tls: &Tls) -> Self {
        Endpoint(self.0.and_then(|opts| {
            let options = tls.options()?;
            Ok(OptsBuilder::from_opts(opts).ssl_opts(options).into())
        }))
    }

    /// Where it is, without user and password.
    pub fn address(&self) -> String {
        match &self.0 {
            Ok(opts) => match opts.get_socket() {
                Some(socket) => socket.to_owned(),
                None => format!("{}:{}", opts.get_ip_or_hostname(), opts.get_tcp_port()),
            },
            Err(why) => format!("nowhere: {why}"),
        }
    }

    /// The options of the connection, password and TLS included. The error is an [`ErrorKind::Config`]: the URL cannot be
    /// used, or this build has no such TLS.
    pub fn opts(&self) -> Result<Opts> {
        self.0.clone().map_err(|why| Error::new(ErrorKind::Config, why))
    }
}

/// The name of a parameter, unless it may be part of a password in which `?` or `&` was not encoded.
fn shown(name: &str, url: &str) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if query.contains('@') || !name.chars().all(is_name) {
        return " (in a password / : @ ? # & have to be percent-encoded)".to_owned();
    }
    format!(" `{name}`")
}

fn cannot(why: &str) -> String {
    format!("the URL of the server cannot be used: {why}")
}

impl fmt::Debug for Endpoint {
    // `Opts` prints its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for (url, why) in [
            ("http://u:hidden@h", "its scheme"),
            ("mysql://u:hidden@h?what=1", "unknown parameter `what`"),
            ("mysql://u:hidden@h?tcp_connect_timeout_ms=hidden", "bad value of a parameter `tcp"),
            ("mysql://root:?hidden@db1/app", "unknown parameter (in a password"),
            ("mysql://root:7?hidden=1@db1/app", "unknown parameter (in a password"),
            ("mysql://root:7?what=1&hidden@db1/app", "unknown parameter (in a password"),
            (
                "mysql://root:7?tcp_connect_timeout_ms=hidden@db1/app",
                "bad value of a parameter (in",
            ),
            ("mysql://root:?Hidden/app", "unknown parameter (in a password"),
            ("mysql://u:hidden@h:x", "malformed"),
            ("hidden", "malformed"),
        ] {
            let endpoint = Endpoint::from(url);
            let error = endpoint.opts().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            for text in [error.to_string(), endpoint.address(), format!("{endpoint:?}")] {
                assert!(text.contains(why) && !text.to_lowercase().contains("hidden"), "{text}");
            }
        }
        // One of these takes the other feature, whichever there is.
        let [a, b] = ["cert_chain_path=c&priv_key_path=k", "pkcs12_path=p"]
            .map(|query| Endpoint::from(format!("mysql://h?{query}")).opts());
        let error = a.and(b).unwrap_err();
        assert!(error.message().contains("takes a TLS feature"), "{error}");
    }
}
