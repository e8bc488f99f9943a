//! TLS: whom the client trusts, with and without a proxy in between.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use towline_core::{Connection, ConnectionSource, GetObject, ObjectHead, S3, S3Error, S3ErrorKind};
use towline_s3::{Environment, S3Connector};

/// A server for `localhost` with a certificate of its own.
struct Server {
    port: u16,
    bundle: PathBuf,
}

impl Server {
    async fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = params.self_signed(&key).unwrap();
        let bundle = std::env::temp_dir().join(format!("towline-s3-ca-{}-{n}", std::process::id()));
        std::fs::write(&bundle, cert.pem()).unwrap();
        let key = key.serialize_der().try_into().unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    read_head(&mut stream).await;
                    let answer = b"HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 7\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                    stream.flush().await.unwrap();
                }
            }
        });
        Self { port, bundle }
    }

    fn bundle(&self) -> (&'static str, String) {
        ("AWS_CA_BUNDLE", self.bundle.display().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.bundle);
    }
}

async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A proxy that opens one tunnel.
async fn proxy() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let head = read_head(&mut client).await;
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let mut server = TcpStream::connect(target).await.unwrap();
        let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
        client.write_all(answer).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    });
    port
}

async fn head(
    host: &str,
    port: u16,
    env: Vec<(&'static str, String)>,
) -> Result<ObjectHead, S3Error> {
    let connector = S3Connector::with_environment(Environment::new(env, None));
    let connection = Connection {
        source: ConnectionSource::Anonymous,
        endpoint: Some(format!("https://{host}:{port}")),
        ..Connection::default()
    };
    let request = GetObject {
        bucket: "bucket".into(),
        key: "key".into(),
        ..GetObject::default()
    };
    let client = connector.client(&connection).unwrap();
    client.head_object(request).await
}

#[tokio::test]
async fn a_certificate_of_ones_own_bundle_is_trusted() {
    let server = Server::start().await;
    let head = head("localhost", server.port, vec![server.bundle()]).await;
    assert_eq!(head.unwrap().size, Some(7));
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_a_tls_error() {
    let server = Server::start().await;
    let error = head("localhost", server.port, vec![]).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Tls, "{error:?}");
    assert!(error.message.contains("UnknownIssuer"), "{error}");
    assert!(!error.request_sent);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_a_tls_error() {
    let server = Server::start().await;
    let error = head("127.0.0.1", server.port, vec![server.bundle()]).await;
    assert_eq!(error.unwrap_err().kind, S3ErrorKind::Tls);
}

#[tokio::test]
async fn tls_goes_through_a_proxys_tunnel_to_the_store() {
    let server = Server::start().await;
    let proxy = format!("http://127.0.0.1:{}", proxy().await);
    let env = vec![server.bundle(), ("HTTPS_PROXY", proxy)];
    let head = head("localhost", server.port, env).await;
    assert_eq!(head.unwrap().size, Some(7));
}
