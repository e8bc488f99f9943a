//! The same server over TLS.

use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use towline_testserver::{Operation, StartError, TestServer};

use crate::client::{BUCKET, Client};

async fn server() -> (TestServer, rcgen::Certificate) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let server = TestServer::builder().bucket(BUCKET);
    let server = server.tls(certificate.pem(), key.serialize_pem());
    (server.start().await.unwrap(), certificate)
}

async fn connect(
    client: &Client,
    trusted: &rcgen::Certificate,
) -> TlsStream<tokio::net::TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "127.0.0.1".try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = client.connect().await;
    connector.connect(name, stream).await.unwrap()
}

/// The head of an answer.
async fn head(stream: &mut TlsStream<tokio::net::TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn an_object_is_stored_and_read_over_tls() {
    let (server, certificate) = server().await;
    assert!(server.endpoint().starts_with("https://127.0.0.1:"));
    let client = Client::of(&server);
    let mut stream = connect(&client, &certificate).await;
    let length = [("content-length", "5")];
    client
        .say(&mut stream, "PUT", "/key", &length, b"hello")
        .await;
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");
    client.say(&mut stream, "GET", "/key", &[], b"").await;
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    let mut body = [0; 5];
    stream.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"hello");
}

#[tokio::test]
async fn an_answer_is_lost_over_tls_too() {
    let (server, certificate) = server().await;
    let client = Client::of(&server);
    server.faults().drop_response(Operation::PutObject, 1);
    let mut stream = connect(&client, &certificate).await;
    let length = [("content-length", "5")];
    client
        .say(&mut stream, "PUT", "/key", &length, b"hello")
        .await;
    let mut heard = Vec::new();
    // How a connection without an answer ends is not what this is about.
    let _ = stream.read_to_end(&mut heard).await;
    assert!(heard.is_empty());
    assert_eq!(server.object_bytes(BUCKET, "key").unwrap(), b"hello");
}

#[tokio::test]
async fn a_certificate_without_its_key_starts_no_server() {
    let other = rcgen::KeyPair::generate().unwrap();
    let (_, certificate) = server().await;
    let server = TestServer::builder().tls(certificate.pem(), other.serialize_pem());
    let error = server.start().await.err();
    assert!(matches!(error, Some(StartError::Certificate { .. })));
    let server = TestServer::builder().tls("not", "PEM");
    let error = server.start().await.err();
    assert!(matches!(error, Some(StartError::Certificate { .. })));
}
