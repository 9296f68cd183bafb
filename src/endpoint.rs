//! Where a server is, as the caller says it.

use std::fmt;

use mysql::Opts;

use crate::error::{Error, ErrorKind, Result};

/// Where the server is: a URL (`mysql://user:password@host:3306/schema`) or [`mysql::Opts`].
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Result<Opts, String>);

impl From<&str> for Endpoint {
    fn from(url: &str) -> Self {
        // The crate's own error quotes the URL, password and all.
        Endpoint(Opts::from_url(url).map_err(|error| match error {
            mysql::UrlError::UnsupportedScheme(_) => "its scheme is not mysql://".to_owned(),
            mysql::UrlError::UnknownParameter(name) => format!("unknown parameter `{name}`"),
            mysql::UrlError::InvalidValue(name, _) => format!("bad value of parameter `{name}`"),
            _ => "it is malformed".to_owned(),
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

impl From<mysql::OptsBuilder> for Endpoint {
    fn from(opts: mysql::OptsBuilder) -> Self {
        Endpoint(Ok(opts.into()))
    }
}

impl Endpoint {
    /// Where it is, without user and password.
    pub fn address(&self) -> String {
        match &self.0 {
            Ok(opts) => match opts.get_socket() {
                Some(socket) => socket.to_owned(),
                None => format!("{}:{}", opts.get_ip_or_hostname(), opts.get_tcp_port()),
            },
            Err(why) => format!("a URL that cannot be used: {why}"),
        }
    }

    /// How to connect, password included.
    ///
    /// # Errors
    /// A URL that cannot be used.
    pub fn opts(&self) -> Result<Opts> {
        self.0.clone().map_err(|why| {
            Error::new(ErrorKind::Config, format!("the URL of the server cannot be used: {why}"))
        })
    }
}

impl fmt::Debug for Endpoint {
    // `Opts` prints its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.address())
    }
}
