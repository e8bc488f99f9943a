//! Requests as the engine makes them, up to the socket and back from it: signed,
//! written, answered and read. Who answers knows the answer already.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use towline_core::{
    Body, ChecksumKind, CompleteUpload, CompletedPart, Connection, ConnectionSource, ListObjects,
    PutObject, S3, Upload,
};
use towline_s3::{Credentials, Environment, Presign, S3Client, S3Connector, StaticCredentials};

use crate::Repetition;
use crate::pure::{MIB, crc};

const ETAG: &str = "&quot;9e107d9d372bb6826bd81d3542a419d6&quot;";

/// A signature alone; nobody is asked.
pub(crate) fn sign() -> Repetition {
    let (client, runtime) = (client(String::new()), crate::runtime());
    let request = Presign::get("bucket", "photos/2026/000001.jpg");
    Box::new(move || {
        let url = runtime.block_on(client.presign(&request));
        black_box(url.expect("it is signed"));
    })
}

/// PutObject of a small file.
pub(crate) fn put() -> Repetition {
    let (client, runtime) = (client(String::new()), crate::runtime());
    let bytes = Bytes::from(vec![7; 4096]);
    let request = PutObject {
        bucket: "bucket".into(),
        key: "photos/2026/000001.jpg".into(),
        checksum: Some(crc(1)),
        ..PutObject::default()
    };
    Box::new(move || {
        let body = Body {
            len: bytes.len() as u64,
            stream: Box::pin(futures_util::stream::iter([Ok(bytes.clone())])),
        };
        let stored = runtime.block_on(client.put_object(request.clone(), body));
        black_box(stored.expect("it is stored"));
    })
}

/// A full page of ListObjectsV2.
pub(crate) fn list() -> Repetition {
    let mut page = String::from("<ListBucketResult><IsTruncated>false</IsTruncated>");
    for number in 0..1000 {
        let _ = write!(
            page,
            "<Contents><Key>photos/2026/{number:06}.jpg</Key>\
             <LastModified>2026-11-22T10:00:00.000Z</LastModified><ETag>{ETAG}</ETag>\
             <ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>\
             <Size>4096</Size><StorageClass>STANDARD</StorageClass></Contents>"
        );
    }
    page.push_str("</ListBucketResult>");
    let (client, runtime) = (client(page), crate::runtime());
    let request = ListObjects {
        bucket: "bucket".into(),
        prefix: "photos/".into(),
        ..ListObjects::default()
    };
    Box::new(move || {
        let page = runtime.block_on(client.list_objects(request.clone()));
        assert_eq!(page.expect("it is listed").objects.len(), 1000);
    })
}

/// CompleteMultipartUpload, which lists the parts.
pub(crate) fn complete() -> Repetition {
    let result = format!(
        "<CompleteMultipartUploadResult><ETag>{ETAG}</ETag></CompleteMultipartUploadResult>"
    );
    let (client, runtime) = (client(result), crate::runtime());
    let part = |number: u32| CompletedPart {
        number,
        etag: "\"9e107d9d372bb6826bd81d3542a419d6\"".into(),
        checksum: Some(crc(number.into())),
    };
    let request = CompleteUpload {
        upload: Upload {
            bucket: "bucket".into(),
            key: "photos/2026/000001.jpg".into(),
            id: "upload".into(),
            ..Upload::default()
        },
        parts: (1..=1000).map(part).collect(),
        size: 8000 * MIB,
        checksum: Some(crc(0)),
        checksum_kind: Some(ChecksumKind::FullObject),
        condition: None,
    };
    Box::new(move || {
        let stored = runtime.block_on(client.complete_multipart_upload(request.clone()));
        black_box(stored.expect("it is completed"));
    })
}

/// A client of a server that answers each request with this.
fn client(answer: String) -> Arc<S3Client> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let streams = listener.incoming().flatten();
        streams.for_each(|stream| drop(serve(stream, &answer)));
    });
    let nothing: [(&str, &str); 0] = [];
    let connector = S3Connector::with_environment(Environment::new(nothing, None));
    let keys = StaticCredentials(Credentials::new("AKIAEXAMPLE", "secret"));
    connector.register("keys", Arc::new(keys));
    let connection = Connection {
        source: ConnectionSource::Registered("keys".into()),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        region: Some("us-east-1".into()),
        ..Connection::default()
    };
    connector.client(&connection).expect("it is a connection")
}

/// Reads requests and answers them, with as little work as can be.
fn serve(mut stream: TcpStream, answer: &str) -> io::Result<()> {
    let mut requests = BufReader::new(stream.try_clone()?);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nETag: \"9e107d9d372bb6826bd81d3542a419d6\"\r\n\
         Content-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        io::copy(&mut requests.by_ref().take(length), &mut io::sink())?;
        stream.write_all(answer.as_bytes())?;
    }
}
