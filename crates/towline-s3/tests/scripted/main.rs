//! Answers that a well-behaved server would not give, byte by byte: each ends
//! in the facts of an error, never in a success, a panic or a hang.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

mod answers;
mod connections;
mod proxies;
mod server;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use towline_core::{
    Body, CompleteUpload, CompletedPart, Connection, ConnectionSource, DeleteObject, GetObject,
    PutObject, S3, S3Error, Stored, Upload,
};
use towline_s3::{Credentials, Environment, S3Client, S3Connector, StaticCredentials};

fn client_in(env: Environment, endpoint: &str) -> Arc<S3Client> {
    let connector = S3Connector::with_environment(env);
    let keys = Credentials::new("AKID", "canary-secret").with_session_token("canary-token");
    connector.register("app", Arc::new(StaticCredentials(keys)));
    let connection = Connection {
        source: ConnectionSource::Registered("app".into()),
        endpoint: Some(endpoint.to_owned()),
        ..Connection::default()
    };
    connector.client(&connection).unwrap()
}

fn client(endpoint: &str) -> Arc<S3Client> {
    client_in(Environment::default(), endpoint)
}

fn upload() -> Upload {
    Upload {
        bucket: "bucket".into(),
        key: "key".into(),
        id: "id".into(),
        ..Upload::default()
    }
}

fn deletion(bucket: &str, key: &str) -> DeleteObject {
    DeleteObject {
        bucket: bucket.into(),
        key: key.into(),
        ..DeleteObject::default()
    }
}

fn object() -> GetObject {
    GetObject {
        bucket: "bucket".into(),
        key: "key".into(),
        ..GetObject::default()
    }
}

async fn complete(client: &S3Client) -> Result<Stored, S3Error> {
    let request = CompleteUpload {
        upload: upload(),
        parts: vec![CompletedPart {
            number: 1,
            etag: "\"e\"".into(),
            checksum: None,
        }],
        size: 1,
        checksum: None,
        checksum_kind: None,
        condition: None,
    };
    client.complete_multipart_upload(request).await
}

/// Puts `frames` frames of 64 KiB.
async fn put(client: &S3Client, frames: usize) -> Result<Stored, S3Error> {
    let frame = Bytes::from(vec![7; 64 << 10]);
    let stream = futures_util::stream::repeat_with(move || Ok(frame.clone())).take(frames);
    let body = Body {
        len: (frames * (64 << 10)) as u64,
        stream: Box::pin(stream),
    };
    let request = PutObject {
        bucket: "bucket".into(),
        key: "key".into(),
        ..PutObject::default()
    };
    client.put_object(request, body).await
}
