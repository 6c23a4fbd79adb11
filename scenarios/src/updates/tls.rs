//! What the update server proves itself with over TLS, and an authority that makes it.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// A server can't prove itself with what it was given. Every message is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{} can't be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no certificate.
    #[error(
        "{} holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----",
        path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key.
    #[error(
        "{} holds no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----; \
         a key with a password can't be used",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The two don't belong together, or are of a kind that TLS doesn't know.
    #[error("a TLS server can't use this certificate with this key: {source}")]
    Unusable {
        /// What rustls said.
        source: rustls::Error,
    },
    /// No certificate can be made.
    #[error("can't make a certificate: {source}")]
    Make {
        /// What rcgen said.
        #[from]
        source: rcgen::Error,
    },
}

/// A certificate chain and its key.
#[derive(Clone)]
pub struct TlsIdentity(Arc<ServerConfig>);

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

impl TlsIdentity {
    /// Reads a certificate chain, the server's own certificate first, and its private key; both in PEM.
    ///
    /// # Errors
    /// Names the file that holds something else, or says that the two don't belong together.
    pub fn load(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
        };
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&read(certificates)?).collect();
        let chain = chain
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| TlsError::NoCertificate { path: certificates.to_owned() })?;
        let key = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|_| TlsError::NoKey { path: key.to_owned() })?;
        Self::new(chain, key)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let unusable = |source| TlsError::Unusable { source };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}

/// A certificate authority of its own, which nobody trusts unless told to ([`Authority::ca_pem`]).
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// The names by which guests reach an update server on this host: through a forward, and from QEMU's user network
    /// ([`Machine::host_address`](wheeltap_platforms::Machine::host_address)).
    pub const GUEST_NAMES: [&str; 3] = ["127.0.0.1", "10.0.2.2", "localhost"];

    /// A new one, with a key of its own.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new() -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "wheeltap update authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// The certificate that a client must trust, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.0.pem()
    }

    /// What a server proves itself with under these DNS names and IP addresses.
    ///
    /// # Errors
    /// If a name can't stand in a certificate.
    pub fn identity(&self, names: &[&str]) -> Result<TlsIdentity, TlsError> {
        self.sign(&params(names)?)
    }

    /// The same, but for a certificate that was good only until the year 2000.
    ///
    /// # Errors
    /// As for [`Authority::identity`].
    pub fn expired_identity(&self, names: &[&str]) -> Result<TlsIdentity, TlsError> {
        let mut params = params(names)?;
        params.not_after = date_time_ymd(2000, 1, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<TlsIdentity, TlsError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        TlsIdentity::new(vec![certificate.der().clone()], key.into())
    }
}

fn params(names: &[&str]) -> Result<CertificateParams, TlsError> {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "wheeltap update server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Strict clients want to see which key signed it.
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// What a handshake failed for, in words.
pub(super) fn handshake_failure(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) => format!("the client ended it: {alert:?}"),
        Some(rustls::Error::InvalidMessage(_)) => {
            "the client doesn't speak TLS; its URL has to begin with https://".to_owned()
        }
        Some(other) => other.to_string(),
        None => format!("the client hung up ({error})"),
    }
}
