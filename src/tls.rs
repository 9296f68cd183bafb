//! TLS to a server, in words that do not depend on which implementation is compiled in.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use mysql::SslOpts;

use crate::error::{Error, ErrorKind, Result};

/// What is said where TLS is asked for and not compiled in.
const NONE: &str = "TLS is asked for, and this build of online-alter has none: turn on one of the features \
                    `rustls` and `native-tls`";

/// TLS to a server: [`Endpoint::tls`](crate::Endpoint::tls). It needs one of the features `rustls` and `native-tls`.
///
/// A server without TLS is refused, and so is one whose certificate is not by an authority that is trusted, or not for the
/// host (or the address) that the [`Endpoint`](crate::Endpoint) names. Through a Unix socket there is no TLS, and no need
/// of it.
///
/// ```
/// use online_alter::{Endpoint, Tls};
///
/// let tls = Tls::new().ca("/etc/mysql/ca.pem").client_certificate("client.pem", "client-key.pem");
/// let server = Endpoint::from("mysql://dba@db1.example.org/edxapp").tls(&tls);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    ca: Option<PathBuf>,
    client: Option<Client>,
    any_certificate: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Client {
    Pem { certificate: PathBuf, key: PathBuf },
    Pkcs12 { archive: PathBuf, password: Option<String> },
}

impl Tls {
    /// Trusts the public authorities: those of Mozilla's list with the feature `rustls`, those of the system with
    /// `native-tls`.
    pub fn new() -> Self {
        Tls::default()
    }

    /// Trusts these authorities as well: a file with certificates in PEM, or with one in DER.
    #[must_use]
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca = Some(file.into());
        self
    }

    /// The certificate that is shown to the server if it asks for one, followed by those that lead to its
    /// authority, and its private key without a passphrase: files in PEM. With the feature `rustls` only.
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.client = Some(Client::Pem { certificate: certificate.into(), key: key.into() });
        self
    }

    /// The same as one PKCS#12 archive (`openssl pkcs12 -export -in client.pem -inkey client-key.pem -out client.p12`) and its
    /// password. With the feature `native-tls` only.
    #[must_use]
    pub fn client_pkcs12(mut self, archive: impl Into<PathBuf>, password: Option<&str>) -> Self {
        let password = password.map(str::to_owned);
        self.client = Some(Client::Pkcs12 { archive: archive.into(), password });
        self
    }

    /// Takes any certificate, whoever made it for whatever host: nobody can listen in, but whoever stands between can
    /// pretend to be the server, and gets the password.
    #[must_use]
    pub fn danger_accept_any_certificate(mut self, yes: bool) -> Self {
        self.any_certificate = yes;
        self
    }

    /// As the options of the crate. The error is a sentence.
    pub(crate) fn options(&self) -> Result<SslOpts, String> {
        let options = SslOpts::default()
            .with_root_cert_path(self.ca.clone())
            .with_danger_accept_invalid_certs(self.any_certificate);
        match &self.client {
            None => Ok(options),
            Some(client) => with_client(options, client),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = match &self.client {
            None => None,
            Some(Client::Pem { certificate, .. }) => Some(certificate),
            Some(Client::Pkcs12 { archive, .. }) => Some(archive),
        };
        f.debug_struct("Tls")
            .field("ca", &self.ca)
            .field("client", &client)
            .field("any_certificate", &self.any_certificate)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "rustls")]
fn with_client(options: SslOpts, client: &Client) -> Result<SslOpts, String> {
    match client {
        Client::Pem { certificate, key } => {
            let identity = mysql::ClientIdentity::new(certificate.clone(), key.clone());
            Ok(options.with_client_identity(Some(identity)))
        }
        Client::Pkcs12 { .. } => {
            Err("a client certificate in PKCS#12 takes the feature `native-tls`; \
                                      this build has `rustls`, which takes two files in PEM"
                .to_owned())
        }
    }
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
fn with_client(options: SslOpts, client: &Client) -> Result<SslOpts, String> {
    match client {
        Client::Pkcs12 { archive, password } => {
            let mut identity = mysql::ClientIdentity::new(archive.clone());
            if let Some(password) = password {
                identity = identity.with_password(password.clone());
            }
            Ok(options.with_client_identity(Some(identity)))
        }
        Client::Pem { .. } => {
            Err("a client certificate in PEM takes the feature `rustls`; this build has \
                                   `native-tls`, which takes a PKCS#12 archive"
                .to_owned())
        }
    }
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
fn with_client(_: SslOpts, client: &Client) -> Result<SslOpts, String> {
    // They are all there is to them here.
    match client {
        Client::Pem { certificate: _, key: _ } | Client::Pkcs12 { archive: _, password: _ } => {
            Err(NONE.to_owned())
        }
    }
}

/// Whether TLS with these options can be had: it is compiled in, and the files can be read. The crate would panic
/// without the one, and call the other an error of the connection.
pub(crate) fn check(options: &SslOpts) -> Result<()> {
    check_for(options, cfg!(any(feature = "rustls", feature = "native-tls")))
}

fn check_for(options: &SslOpts, built_in: bool) -> Result<()> {
    if !built_in {
        return Err(Error::new(ErrorKind::Config, NONE));
    }
    let ca = options.root_cert_path().map(|path| ("the certificate of the authority", path));
    ca.into_iter().chain(client_files(options)).try_for_each(|(what, path)| readable(what, path))
}

fn readable(what: &str, path: &Path) -> Result<()> {
    File::open(path).map(drop).map_err(|error| {
        let why = format!("{what} cannot be read from {}: {error}", path.display());
        Error::new(ErrorKind::Config, why).with_source(error)
    })
}

/// Whether a client certificate is shown to a server that asks for one.
pub(crate) fn has_client_certificate(options: &SslOpts) -> bool {
    !client_files(options).is_empty()
}

#[cfg(feature = "rustls")]
fn client_files(options: &SslOpts) -> Vec<(&'static str, &Path)> {
    options.client_identity().map_or_else(Vec::new, |identity| {
        vec![
            ("the client's certificate", identity.cert_chain_path()),
            ("the client's key", identity.priv_key_path()),
        ]
    })
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
fn client_files(options: &SslOpts) -> Vec<(&'static str, &Path)> {
    options
        .client_identity()
        .map_or_else(Vec::new, |identity| vec![("the client's archive", identity.pkcs12_path())])
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
fn client_files(_: &SslOpts) -> Vec<(&'static str, &Path)> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_tls_refuses_it() {
        let error = check_for(&Tls::new().options().unwrap(), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("`rustls` and `native-tls`"), "{error}");
        let built_in = cfg!(any(feature = "rustls", feature = "native-tls"));
        assert_eq!(check(&SslOpts::default()).is_ok(), built_in);
        let both = Tls::new().client_certificate("c", "k").options().is_ok()
            && Tls::new().client_pkcs12("c", None).options().is_ok();
        assert!(!both, "no build takes both kinds of client certificates");
    }

    #[test]
    fn files_that_are_not_there_are_named() {
        let missing = Tls::new().ca("/nowhere/ca.pem").options().unwrap();
        let error = check_for(&missing, true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.message().contains("authority cannot be read from /nowhere/ca.pem"),
            "{error}"
        );
    }

    #[test]
    fn its_password_is_not_shown() {
        let tls = Tls::new().client_pkcs12("c.p12", Some("hidden"));
        assert!(!format!("{tls:?}").contains("hidden"));
    }
}
