//! Which certificates are trusted: the system's, a bundle of one's own, and the
//! bundled ones only where the system has none. TLS 1.2 and 1.3.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use towline_core::ConnectError;

/// Trusts the system's roots and those of a bundle. `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` replace the system's.
pub(crate) struct Trust {
    bundle: RootCertStore,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    /// Fails where there is a bundle that cannot be used.
    pub(crate) fn with(bundle: Option<&Path>) -> Result<Arc<Self>, ConnectError> {
        Ok(Arc::new(Self {
            bundle: bundle
                .map(read)
                .transpose()?
                .unwrap_or_else(RootCertStore::empty),
            config: OnceLock::new(),
        }))
    }

    /// Made when it is first asked for: to read the roots of a system takes 10 ms, and
    /// who needs no TLS needs none of them.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(self.config.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let native = rustls_native_certs::load_native_certs();
            for error in &native.errors {
                tracing::warn!(%error, "a system certificate cannot be read");
            }
            roots.add_parsable_certificates(native.certs);
            if roots.is_empty() {
                tracing::debug!("no system certificates, using the bundled ones");
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
            roots.extend(self.bundle.roots.iter().cloned());
            let config = ClientConfig::builder_with_provider(Arc::new(provider()))
                .with_safe_default_protocol_versions()
                .expect("the provider supports TLS 1.2 and 1.3")
                .with_root_certificates(roots)
                .with_no_client_auth();
            Arc::new(config)
        }))
    }
}

/// All that rustls takes for safe, those with AES-128 first: they cost a fifth less than
/// AES-256, and a server takes what it likes best anyway.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    provider
}

fn read(bundle: &Path) -> Result<RootCertStore, ConnectError> {
    let bad = |why: String| ConnectError::BadFile {
        path: bundle.display().to_string(),
        why,
    };
    let mut roots = RootCertStore::empty();
    let certs = CertificateDer::pem_file_iter(bundle).map_err(|e| bad(e.to_string()))?;
    for cert in certs {
        let cert = cert.map_err(|e| bad(e.to_string()))?;
        roots.add(cert).map_err(|e| bad(e.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(bad("it has no certificate".into())),
        false => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rustls::SupportedCipherSuite;

    use super::*;

    #[test]
    fn aes_128_comes_first_in_either_version_and_nothing_is_left_out() {
        let names = |suites: &[SupportedCipherSuite]| {
            let names = suites.iter().map(|suite| suite.suite());
            names.collect::<Vec<CipherSuite>>()
        };
        let ours = names(&provider().cipher_suites);
        let all = names(&aws_lc_rs::default_provider().cipher_suites);
        assert_eq!(ours.len(), all.len());
        assert_eq!(
            ours.iter().copied().map(u16::from).collect::<HashSet<_>>(),
            all.into_iter().map(u16::from).collect()
        );
        let aes_128 = |suite: &CipherSuite| suite.as_str().is_some_and(|it| it.contains("AES_128"));
        let begin = ours.iter().take_while(|suite| aes_128(suite)).count();
        assert_eq!(begin, ours.iter().filter(|suite| aes_128(suite)).count());
        assert_eq!(begin, 3, "one of TLS 1.3, two of 1.2");
    }
}
