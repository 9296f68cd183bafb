//! The flags for TLS, and what the option file says of it.

use std::path::PathBuf;

use clap::Args;
use online_alter::Tls;

use crate::conf::{Conf, Mode};

/// TLS, for the server, the replica of --stream-url and all other replicas that are looked at.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsFlags {
    /// Use TLS for all servers, and verify that their certificates are by an authority that is trusted, and for the host
    /// that was given. Not beside TLS parameters in --url. Needs a build with the feature `rustls` or `native-tls`
    #[arg(long)]
    pub(crate) ssl: bool,

    /// Certificates of authorities that are trusted, in PEM. Those of the public ones are trusted too (gh-ost: then not)
    #[arg(long, value_name = "FILE", requires = "ssl")]
    pub(crate) ssl_ca: Option<PathBuf>,

    /// The certificate that is shown to servers that ask for one, in PEM. Needs a build with the feature `rustls`
    #[arg(long, value_name = "FILE", requires = "ssl", requires = "ssl_key")]
    pub(crate) ssl_cert: Option<PathBuf>,

    /// Its private key, in PEM, without a passphrase
    #[arg(long, value_name = "FILE", requires = "ssl", requires = "ssl_cert")]
    pub(crate) ssl_key: Option<PathBuf>,

    /// Take any certificate, whoever made it for whatever host
    #[arg(long, requires = "ssl")]
    pub(crate) ssl_allow_insecure: bool,
}

impl TlsFlags {
    /// TLS, if it is asked for: by the flags, else by the file. Files that the flags leave out are those that it names.
    pub(crate) fn tls(&self, conf: &Conf) -> Option<Tls> {
        let names_files =
            conf.ssl_ca.is_some() || conf.ssl_cert.is_some() || conf.ssl_key.is_some();
        let any = match conf.ssl_mode {
            _ if self.ssl => self.ssl_allow_insecure,
            Mode::Off => return None,
            Mode::Unsaid if !names_files && conf.ssl_verify != Some(true) => return None,
            Mode::Encrypted => true,
            Mode::Verified => false,
            Mode::Unsaid | Mode::On => conf.ssl_verify == Some(false),
        };
        let mut tls = Tls::new().danger_accept_any_certificate(any);
        if let Some(ca) = self.ssl_ca.as_ref().or(conf.ssl_ca.as_ref()) {
            tls = tls.ca(ca);
        }
        // One file may hold both.
        let of_file = conf.ssl_cert.as_ref().or(conf.ssl_key.as_ref());
        let of_file = of_file.zip(conf.ssl_key.as_ref().or(conf.ssl_cert.as_ref()));
        let of_flags = self.ssl_cert.as_ref().zip(self.ssl_key.as_ref());
        if let Some((certificate, key)) = of_flags.or(of_file) {
            tls = tls.client_certificate(certificate, key);
        }
        Some(tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_come_first_then_the_file() {
        let file = |name: &str| Some(PathBuf::from(name));
        let flags = |ssl, any| TlsFlags { ssl, ssl_allow_insecure: any, ..TlsFlags::default() };
        let conf = |ssl_mode| Conf { ssl_mode, ..Conf::default() };
        let any = |yes| Some(Tls::new().danger_accept_any_certificate(yes));
        for (ssl, insecure, mode, expected) in [
            (false, false, Mode::Unsaid, None),
            (false, false, Mode::Off, None),
            (false, false, Mode::Encrypted, any(true)),
            (false, false, Mode::Verified, any(false)),
            (true, false, Mode::Off, any(false)),
            (true, false, Mode::Encrypted, any(false)),
            (true, true, Mode::Verified, any(true)),
        ] {
            assert_eq!(
                flags(ssl, insecure).tls(&conf(mode)),
                expected,
                "{ssl} {insecure} {mode:?}"
            );
        }
        for (mode, verify, expected) in [
            (Mode::On, None, any(false)),
            (Mode::On, Some(false), any(true)),
            (Mode::Verified, Some(false), any(false)),
            (Mode::Unsaid, Some(true), any(false)),
            (Mode::Unsaid, Some(false), None),
        ] {
            let conf = Conf { ssl_verify: verify, ..conf(mode) };
            assert_eq!(TlsFlags::default().tls(&conf), expected, "{mode:?} {verify:?}");
        }
        let mut names = Conf { ssl_ca: file("ca"), ssl_cert: file("both"), ..Conf::default() };
        let verified = Tls::new().ca("ca").client_certificate("both", "both");
        assert_eq!(TlsFlags::default().tls(&names), Some(verified.clone()));
        names.ssl_mode = Mode::Off;
        assert_eq!(TlsFlags::default().tls(&names), None);
        assert_eq!(flags(true, false).tls(&names), Some(verified));
        let own = TlsFlags { ssl_cert: file("c"), ssl_key: file("k"), ..flags(true, false) };
        let expected = Tls::new().ca("ca").client_certificate("c", "k");
        assert_eq!(own.tls(&names), Some(expected));
    }
}
