//! Certificates that are no good.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadCertificate {
    /// For `localhost` and 127.0.0.1, but nobody vouches for it.
    SelfSigned,
    /// It was valid until 2020.
    Expired,
    /// It will be valid from 2999 on.
    NotYetValid,
    /// It is for `elsewhere.test`.
    WrongHost,
}

/// Accepts TLS with such a certificate, which comes along as PEM.
pub(super) fn acceptor(bad: BadCertificate) -> (TlsAcceptor, String) {
    let here = ["localhost", "127.0.0.1"].as_slice();
    let names = match bad {
        BadCertificate::WrongHost => &["elsewhere.test"],
        _ => here,
    };
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("these are names");
    match bad {
        BadCertificate::Expired => {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        BadCertificate::NotYetValid => params.not_before = date_time_ymd(2999, 1, 1),
        BadCertificate::SelfSigned | BadCertificate::WrongHost => {}
    }
    let key = KeyPair::generate().expect("a key of the default kind");
    let certificate = params.self_signed(&key).expect("the key signs");
    let pem = certificate.pem();
    let key = key.serialize_der().try_into().expect("what was serialized");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("the certificate is the key's");
    (TlsAcceptor::from(Arc::new(config)), pem)
}
