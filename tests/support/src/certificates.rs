//! Certificates for TLS: of an authority of our own, a server and a client.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// Files in PEM, of an authority that nobody else trusts. They are gone when this is dropped.
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// The server's certificate is for 127.0.0.1, and for no other name or address.
    pub fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("online-alter-certificates-").tempdir()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        // Two of them have two names.
        let name = format!("authority {}", dir.path().display());
        authority.distinguished_name.push(DnType::CommonName, name);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = authority.self_signed(&key)?;
        fs::write(dir.path().join("ca.pem"), certificate.pem())?;
        let issuer = Issuer::new(authority, key);
        for (name, names, usage) in [
            ("server", vec!["127.0.0.1".to_owned()], ExtendedKeyUsagePurpose::ServerAuth),
            ("client", Vec::new(), ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name.push(DnType::CommonName, name);
            params.use_authority_key_identifier_extension = true;
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &issuer)?;
            fs::write(dir.path().join(format!("{name}.pem")), certificate.pem())?;
            fs::write(dir.path().join(format!("{name}-key.pem")), key.serialize_pem())?;
        }
        Ok(Self { dir })
    }

    /// Where they are: `ca.pem`, `server.pem`, `server-key.pem`, `client.pem`, `client-key.pem`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// One of the files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
