//! The certificate of a listener, which may be replaced while it serves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The files of a certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Files that cannot serve.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}", path = path.display())]
pub struct TlsError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl TlsFiles {
    /// Can they serve?
    ///
    /// # Errors
    /// The first that cannot be read, or a key that is not the certificate's.
    pub fn check(&self) -> Result<(), TlsError> {
        self.load().map(drop)
    }

    fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let wrong = |path: &Path, reason: String| TlsError { path: path.to_owned(), reason };
        let unread = |path: &Path, error: rustls::pki_types::pem::Error| wrong(path, error.to_string());
        let chain: Vec<_> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| unread(&self.certificate, error))?;
        if chain.is_empty() {
            return Err(wrong(&self.certificate, "there is no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| unread(&self.key, error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| wrong(&self.key, error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// A certificate in force. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct Certificate(Arc<ArcSwap<ServerConfig>>);

impl Certificate {
    pub(super) fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(ArcSwap::new(files.load()?))))
    }

    /// Puts what the files hold now in force, for new connections. After an error the old one stays.
    pub(super) fn reload(&self, files: &TlsFiles) -> Result<(), TlsError> {
        self.0.store(files.load()?);
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}
