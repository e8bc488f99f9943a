//! The test client: one signed request on one connection, nothing retried, nothing hidden.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use towline_testserver::TestServer;

pub(crate) const BUCKET: &str = "bucket";
pub(crate) const MIB: usize = 1024 * 1024;

/// What the signature says of the payload.
pub(crate) enum Payload<'a> {
    Signed,
    Unsigned,
    Hash(&'a str),
}

pub(crate) struct Client {
    address: String,
    access_key: String,
    secret: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A server in memory with [`BUCKET`], and a client of it.
pub(crate) async fn server() -> (TestServer, Client) {
    let server = TestServer::builder()
        .memory()
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    let client = Client::of(&server);
    (server, client)
}

/// Bytes that are not all the same, so that a piece in the wrong place shows.
pub(crate) fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

impl Client {
    pub(crate) fn of(server: &TestServer) -> Self {
        Self {
            address: format!("127.0.0.1:{}", server.port()),
            access_key: "test".to_owned(),
            secret: "testsecret".to_owned(),
        }
    }

    pub(crate) fn with_secret(self, secret: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            ..self
        }
    }

    pub(crate) fn with_access_key(self, access_key: &str) -> Self {
        Self {
            access_key: access_key.to_owned(),
            ..self
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send("PUT", path, &[], body).await
    }

    /// Sends `method /bucket/path`; `path` may carry a query.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_send(method, path, headers, body, Payload::Signed)
            .await
            .unwrap()
    }

    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
        payload: Payload<'_>,
    ) -> Result<Answer, hyper::Error> {
        let body = body.into();
        let request = self.sign(method, path, headers, &body, payload);
        self.exchange(request, body).await
    }

    /// Sends a request that needs no other signature than it has.
    pub(crate) async fn send_as_is(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let request = self.request(method, uri, headers);
        self.exchange(request, body.into()).await.unwrap()
    }

    async fn exchange(&self, request: Request<()>, body: Bytes) -> Result<Answer, hyper::Error> {
        let request = request.map(|()| Full::new(body));
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }

    /// Sends the head of a PUT of `length` bytes and only these of its body.
    pub(crate) async fn begin_put(&self, path: &str, length: usize, sent: &[u8]) -> TcpStream {
        let mut stream = self.connect().await;
        let length = length.to_string();
        let headers = [("content-length", length.as_str())];
        self.say(&mut stream, "PUT", path, &headers, sent).await;
        stream
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// Writes a signed head and these bytes behind it.
    pub(crate) async fn say(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let request = self.sign(method, path, headers, b"", Payload::Unsigned);
        let mut head = format!("{method} {} HTTP/1.1\r\n", request.uri());
        for (name, value) in request.headers() {
            head += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        head += "\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
    }

    fn sign(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        payload: Payload<'_>,
    ) -> Request<()> {
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let body = match payload {
            Payload::Signed => SignableBody::Bytes(body),
            Payload::Unsigned => SignableBody::UnsignedPayload,
            Payload::Hash(hash) => SignableBody::Precomputed(hash.to_owned()),
        };
        let request = self.request(method, &format!("/{BUCKET}{path}"), headers);
        self.apply_signature(request, body, settings, SystemTime::now())
    }

    /// The path and query of a URL that is good for `expires` from `at` on,
    /// for requests that carry these headers.
    pub(crate) fn presign(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        at: SystemTime,
        expires: Duration,
    ) -> String {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(expires);
        let request = self.request(method, &format!("/{BUCKET}{path}"), headers);
        let body = SignableBody::UnsignedPayload;
        let request = self.apply_signature(request, body, settings, at);
        request.uri().path_and_query().unwrap().to_string()
    }

    fn request(&self, method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", &self.address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn apply_signature(
        &self,
        mut request: Request<()>,
        body: SignableBody<'_>,
        mut settings: SigningSettings,
        at: SystemTime,
    ) -> Request<()> {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = Credentials::from_keys(&self.access_key, &self.secret, None).into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(at)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let signed_headers = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let url = format!("http://{}{}", self.address, request.uri());
        let method = request.method().as_str();
        let signable = SignableRequest::new(method, url, signed_headers, body).unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        instructions.apply_to_request_http1x(&mut request);
        request
    }
}

impl Answer {
    /// The `<Code>` of an error.
    pub(crate) fn code(&self) -> String {
        self.tag("Code")
    }

    /// The text of the first `<name>`; empty when there is none.
    pub(crate) fn tag(&self, name: &str) -> String {
        self.tags(name).into_iter().next().unwrap_or_default()
    }

    pub(crate) fn tags(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        text.split(&format!("<{name}>"))
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap().replace("&quot;", "\""))
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn etag(&self) -> String {
        self.header("etag").to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    /// An error of this status and code.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Self {
        assert_eq!(self.code(), code, "{}", String::from_utf8_lossy(&self.body));
        self.expect(status)
    }
}

/// One multipart upload of [`Client`]'s.
pub(crate) struct Upload<'a> {
    pub(crate) client: &'a Client,
    pub(crate) key: &'static str,
    pub(crate) id: String,
}

impl<'a> Upload<'a> {
    pub(crate) async fn create(
        client: &'a Client,
        key: &'static str,
        headers: &[(&str, &str)],
    ) -> Self {
        let answer = client
            .send("POST", &format!("/{key}?uploads="), headers, "")
            .await
            .expect(200);
        Self {
            client,
            key,
            id: answer.tag("UploadId"),
        }
    }

    pub(crate) async fn part(&self, number: u32, body: impl Into<Bytes>) -> Answer {
        self.part_with(number, &[], body).await
    }

    pub(crate) async fn part_with(
        &self,
        number: u32,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let path = format!("/{}?partNumber={number}&uploadId={}", self.key, self.id);
        self.client.send("PUT", &path, headers, body).await
    }

    /// Completes with these numbers and ETags.
    pub(crate) async fn complete(&self, parts: &[(u32, &str)], headers: &[(&str, &str)]) -> Answer {
        let parts: String = parts
            .iter()
            .map(|(number, etag)| {
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        self.complete_with(&parts, headers).await
    }

    /// Completes with this inside the list.
    pub(crate) async fn complete_with(&self, parts: &str, headers: &[(&str, &str)]) -> Answer {
        let xml = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let path = format!("/{}?uploadId={}", self.key, self.id);
        self.client.send("POST", &path, headers, xml).await
    }

    pub(crate) async fn list(&self, query: &str) -> Answer {
        self.client
            .get(&format!("/{}?uploadId={}{query}", self.key, self.id))
            .await
    }

    pub(crate) async fn abort(&self) -> Answer {
        let path = format!("/{}?uploadId={}", self.key, self.id);
        self.client.send("DELETE", &path, &[], "").await
    }
}
