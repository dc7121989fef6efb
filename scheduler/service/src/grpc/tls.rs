//! TLS material of server and client, by file path.
//!
//! Every file is read and judged before a socket is opened, so that an error names the file and
//! its fault. Never here: the content of a key in a message or a log, a default certificate, or a
//! way to switch verification off.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use thiserror::Error;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::Failure;

/// How the server's socket is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// TLS in which both sides show a certificate.
    MutualTls {
        /// The server's certificate chain, PEM.
        cert: PathBuf,
        /// Its private key, PEM.
        key: PathBuf,
        /// Certificates of the authorities that may sign clients, PEM. Every client with a
        /// certificate of theirs may make every call.
        client_ca: PathBuf,
    },
    /// No TLS, on a loopback address only: everyone on this machine may make every call.
    InsecureLoopback,
}

/// What a client shows and whom it trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// Certificates of the authorities that may sign the server, PEM.
    pub ca: PathBuf,
    /// The client's certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The name that the server's certificate must carry; `None`: the endpoint's host.
    pub server_name: Option<String>,
}

/// Why TLS material cannot be used.
#[derive(Debug, Error)]
enum TlsError {
    #[error("{}: {source} (hint: check the path and who may read it)", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: no certificate in it (hint: give a PEM file with BEGIN CERTIFICATE)", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{}: {fault} (hint: give a PEM file with well-formed X.509 certificates)", path.display())]
    BadCertificate { path: PathBuf, fault: String },
    #[error("{}: no usable private key in it (hint: give an unencrypted PEM key: PKCS #8, SEC1 or PKCS #1)", path.display())]
    BadKey { path: PathBuf },
    #[error("{}: it is not the key of {}, or of a kind that is not supported (hint: use the pair that was issued together; RSA, ECDSA P-256/P-384 or Ed25519)", key.display(), cert.display())]
    NotThePair { cert: PathBuf, key: PathBuf },
}

/// What the server shows, and which clients it trusts.
pub(super) fn server_config(
    cert: &Path,
    key: &Path,
    client_ca: &Path,
) -> Result<ServerTlsConfig, Failure> {
    use_ring();
    let identity = identity(cert, key)?;
    Ok(ServerTlsConfig::new().identity(identity).client_ca_root(authorities(client_ca)?))
}

/// What the client shows, and which server it trusts.
pub(super) fn client_config(tls: &ClientTls) -> Result<ClientTlsConfig, Failure> {
    use_ring();
    let config = ClientTlsConfig::new()
        .identity(identity(&tls.cert, &tls.key)?)
        .ca_certificate(authorities(&tls.ca)?);
    Ok(match &tls.server_name {
        Some(name) => config.domain_name(name),
        None => config,
    })
}

/// Settles which cryptography rustls uses, should another package have brought a second one.
fn use_ring() {
    // An error says that it was settled before.
    let _ = ring::default_provider().install_default();
}

fn identity(cert: &Path, key: &Path) -> Result<Identity, Failure> {
    let load = || -> Result<Identity, TlsError> {
        let (cert_pem, key_pem) = (read(cert)?, read(key)?);
        let chain = certificates(cert, &cert_pem)?;
        let parsed = PrivateKeyDer::from_pem_slice(&key_pem)
            .map_err(|_| TlsError::BadKey { path: key.to_owned() })?;
        CertifiedKey::from_der(chain, parsed, &ring::default_provider())
            .map_err(|_| TlsError::NotThePair { cert: cert.to_owned(), key: key.to_owned() })?;
        Ok(Identity::from_pem(cert_pem, key_pem))
    };
    load().map_err(Failure::invalid)
}

fn authorities(path: &Path) -> Result<Certificate, Failure> {
    let load = || -> Result<Certificate, TlsError> {
        let pem = read(path)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, &pem)? {
            roots.add(certificate).map_err(|e| TlsError::BadCertificate {
                path: path.to_owned(),
                fault: e.to_string(),
            })?;
        }
        Ok(Certificate::from_pem(pem))
    };
    load().map_err(Failure::invalid)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|e| TlsError::BadCertificate { path: path.to_owned(), fault: e.to_string() })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}
