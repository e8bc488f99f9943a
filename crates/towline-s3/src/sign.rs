//! Signature Version 4. In the query by AWS's own code; in the Authorization header,
//! which each request has, by ours: `docs/decisions/0017-sign-headers-ourselves.md`.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningParams,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use hmac::Mac;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::canonical::{CanonicalRequest, DATE_LEN, stamp};
use crate::credentials::Credentials;
use crate::day_key::DayKey;
use crate::signed_chunks::ChunkKey;

const STREAMING: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
/// SHA-256 of no bytes.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What the signature covers of the body.
pub(crate) enum SignedPayload<'a> {
    /// Nothing: TLS or a signed checksum header protects it.
    Unsigned,
    /// All of it.
    Bytes(&'a [u8]),
    /// Each chunk as it goes out.
    Chunks,
    /// Nothing: as [`Unsigned`](Self::Unsigned), with the checksum in a trailer.
    Trailed,
}

/// Credentials, also in the form that aws-sigv4 takes, and a key made of them.
pub(crate) struct Signer {
    identity: Identity,
    credentials: Credentials,
    keys: DayKey,
}

/// A request that cannot be signed: its address or a header is not one.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be signed")]
pub(crate) struct SignError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Signer {
    pub(crate) fn new(credentials: Credentials) -> Self {
        let identity = aws_credential_types::Credentials::new(
            credentials.access_key_id.clone(),
            credentials.secret_access_key.expose(),
            credentials
                .session_token
                .as_ref()
                .map(|token| token.expose().to_owned()),
            credentials.expires,
            "towline",
        )
        .into();
        Self {
            identity,
            credentials,
            keys: DayKey::default(),
        }
    }

    pub(crate) fn expires(&self) -> Option<SystemTime> {
        self.credentials.expires
    }

    /// Adds the headers of a signature; gives what chunks are signed with.
    ///
    /// `uri` and what it has of a query are encoded as they go out; all headers that
    /// are text are signed.
    pub(crate) fn sign(
        &self,
        method: &str,
        uri: &str,
        headers: &mut HeaderMap,
        payload: SignedPayload<'_>,
        region: &str,
        time: SystemTime,
    ) -> Result<Option<ChunkKey>, SignError> {
        let hash: Cow<'_, str> = match payload {
            SignedPayload::Unsigned => "UNSIGNED-PAYLOAD".into(),
            SignedPayload::Bytes([]) => EMPTY.into(),
            SignedPayload::Bytes(bytes) => hex(&Sha256::digest(bytes)).into(),
            SignedPayload::Chunks => STREAMING.into(),
            SignedPayload::Trailed => "STREAMING-UNSIGNED-PAYLOAD-TRAILER".into(),
        };
        let stamp = stamp(time);
        headers.insert("x-amz-date", value(&stamp)?);
        headers.insert("x-amz-content-sha256", value(&hash)?);
        if let Some(token) = &self.credentials.session_token {
            let mut token = value(token.expose())?;
            token.set_sensitive(true);
            headers.insert("x-amz-security-token", token);
        }
        let scope = format!("{}/{region}/s3/aws4_request", &stamp[..DATE_LEN]);
        let request = CanonicalRequest::of(method, uri, headers, &hash);
        let mut mac = self.keys.of_day(&scope, || self.key(region, time));
        let digest = hex(&Sha256::digest(&request.text));
        for text in ["AWS4-HMAC-SHA256\n", &stamp, "\n", &scope, "\n", &digest] {
            mac.update(text.as_bytes());
        }
        let signature = hex(&mac.finalize().into_bytes());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            self.credentials.access_key_id, request.signed_headers,
        );
        headers.insert("authorization", value(&authorization)?);
        let chunks = matches!(payload, SignedPayload::Chunks);
        Ok(chunks.then(|| ChunkKey {
            key: self.key(region, time),
            scope,
            time: stamp,
            seed: signature,
        }))
    }

    /// What a day's requests to a region are signed with.
    fn key(&self, region: &str, time: SystemTime) -> Zeroizing<Vec<u8>> {
        let secret = self.credentials.secret_access_key.expose();
        let key = v4::generate_signing_key(secret, time, region, "s3");
        Zeroizing::new(key.as_ref().to_vec())
    }

    fn params<'a>(
        &'a self,
        region: &'a str,
        time: SystemTime,
        settings: SigningSettings,
    ) -> Result<SigningParams<'a>, SignError> {
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(region)
            .name("s3")
            .time(time)
            .settings(settings)
            .build();
        Ok(params.map_err(|error| SignError(Box::new(error)))?.into())
    }

    /// The parameters of a signature that goes into the query, values not yet
    /// encoded. All of `headers` are signed, the body is not.
    pub(crate) fn sign_query(
        &self,
        method: &str,
        uri: &str,
        headers: &HeaderMap,
        region: &str,
        time: SystemTime,
        lifetime: Duration,
    ) -> Result<Vec<(&'static str, String)>, SignError> {
        let mut settings = settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(lifetime);
        let params = self.params(region, time, settings)?;
        let text = headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let request = SignableRequest::new(method, uri, text, SignableBody::UnsignedPayload)
            .map_err(|error| SignError(Box::new(error)))?;
        let (instructions, _) = sign(request, &params)
            .map_err(|error| SignError(Box::new(error)))?
            .into_parts();
        let (_, parameters) = instructions.into_parts();
        let owned = |(name, value): (_, std::borrow::Cow<'_, str>)| (name, value.into_owned());
        Ok(parameters.into_iter().map(owned).collect())
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
    let mut text = String::with_capacity(bytes.len() * 2);
    text.extend(digits.map(char::from));
    text
}

fn value(text: &str) -> Result<HeaderValue, SignError> {
    HeaderValue::from_str(text).map_err(|error| SignError(Box::new(error)))
}

/// As S3 has it: paths are signed as they are, and encoded once.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::UNIX_EPOCH;

    use aws_sigv4::http_request::PayloadChecksumKind;
    use proptest::prelude::*;

    use super::*;

    /// Examples of <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
    fn signature(
        method: &str,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: &[u8],
    ) -> String {
        let keys = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        );
        let mut map = HeaderMap::new();
        map.insert(
            "host",
            HeaderValue::from_static("examplebucket.s3.amazonaws.com"),
        );
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let uri = format!("https://examplebucket.s3.amazonaws.com{path}");
        let time = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        Signer::new(keys)
            .sign(
                method,
                &uri,
                &mut map,
                SignedPayload::Bytes(body),
                "us-east-1",
                time,
            )
            .unwrap();
        let authorization = map["authorization"].to_str().unwrap();
        authorization.split("Signature=").nth(1).unwrap().to_owned()
    }

    #[test]
    fn a_ranged_get_gets_awss_published_signature() {
        assert_eq!(
            signature("GET", "/test.txt", &[("range", "bytes=0-9")], b""),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    #[test]
    fn a_put_with_a_key_to_encode_gets_awss_published_signature() {
        let headers = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let mut path = String::from("/");
        crate::uri::push_key(&mut path, "test$file.text");
        assert_eq!(
            signature("PUT", &path, &headers, b"Welcome to Amazon S3."),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }

    #[test]
    fn a_parameter_without_value_gets_awss_published_signature() {
        let query = crate::uri::Query::default().flag("lifecycle");
        assert_eq!(
            signature("GET", &format!("/?{}", query.as_str()), &[], b""),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
    }

    #[test]
    fn a_listing_gets_awss_published_signature() {
        let query = crate::uri::Query::default()
            .pair("max-keys", "2")
            .pair("prefix", "J");
        assert_eq!(
            signature("GET", &format!("/?{}", query.as_str()), &[], b""),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>
    #[test]
    fn a_presigned_get_gets_awss_published_signature() {
        let keys = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        );
        let mut map = HeaderMap::new();
        map.insert(
            "host",
            HeaderValue::from_static("examplebucket.s3.amazonaws.com"),
        );
        let parameters = Signer::new(keys)
            .sign_query(
                "GET",
                "https://examplebucket.s3.amazonaws.com/test.txt",
                &map,
                "us-east-1",
                UNIX_EPOCH + Duration::from_secs(1_369_353_600),
                Duration::from_secs(86_400),
            )
            .unwrap();
        let signature = parameters
            .iter()
            .find(|(name, _)| *name == "X-Amz-Signature");
        assert_eq!(
            signature.unwrap().1,
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    /// The headers that AWS's own code adds to a request.
    fn of_aws(signer: &Signer, request: &Request) -> BTreeMap<String, String> {
        let mut settings = settings();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = signer
            .params(&request.region, request.time, settings)
            .unwrap();
        let body = match &request.body {
            None => SignableBody::UnsignedPayload,
            Some(bytes) => SignableBody::Bytes(bytes),
        };
        let headers = request.headers();
        let text = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let signable = SignableRequest::new(request.method, request.uri(), text, body).unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        let (added, _) = instructions.into_parts();
        added
            .iter()
            .map(|header| (header.name().to_owned(), header.value().to_owned()))
            .collect()
    }

    #[derive(Debug)]
    struct Request {
        method: &'static str,
        key: String,
        query: Vec<(String, String)>,
        headers: Vec<(String, String)>,
        body: Option<Vec<u8>>,
        region: String,
        time: SystemTime,
    }

    impl Request {
        fn uri(&self) -> String {
            let mut uri = String::from("http://store:9000/bucket/");
            crate::uri::push_key(&mut uri, &self.key);
            let query = self
                .query
                .iter()
                .fold(crate::uri::Query::default(), |query, (name, value)| {
                    query.pair(name, value)
                });
            if !self.query.is_empty() {
                uri.extend(["?", query.as_str()]);
            }
            uri
        }

        fn headers(&self) -> HeaderMap {
            let mut map = HeaderMap::new();
            map.insert("host", HeaderValue::from_static("store:9000"));
            map.insert("user-agent", HeaderValue::from_static("not signed"));
            for (name, value) in &self.headers {
                let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                map.append(name, HeaderValue::from_str(value).unwrap());
            }
            map
        }
    }

    fn any_request() -> impl Strategy<Value = Request> {
        let method = prop::sample::select(vec!["GET", "PUT", "POST", "DELETE", "HEAD"]);
        let query = prop::collection::vec(("[a-zA-Z0-9 +&=/.-]{1,8}", any::<String>()), 0..4);
        let header = (
            "x-amz-meta-[a-c]|range|content-type|if-match",
            "[ -~]{0,20}",
        );
        let headers = prop::collection::vec(header, 0..6);
        let body = prop::option::of(prop::collection::vec(any::<u8>(), 0..40));
        // Until the year 2100.
        let time = (0..4_102_444_800_000_u64).prop_map(|ms| UNIX_EPOCH + Duration::from_millis(ms));
        (
            method,
            any::<String>(),
            query,
            headers,
            body,
            "[a-z0-9-]{1,12}",
            time,
        )
            .prop_map(
                |(method, key, query, headers, body, region, time)| Request {
                    method,
                    key,
                    query,
                    headers,
                    body,
                    region,
                    time,
                },
            )
    }

    proptest! {
        #[test]
        fn headers_are_signed_as_awss_own_code_signs_them(
            requests in prop::collection::vec(any_request(), 1..4),
            token in prop::option::of("[!-~]{1,30}"),
        ) {
            let mut keys = Credentials::new("AKID", "secret");
            if let Some(token) = token {
                keys = keys.with_session_token(token);
            }
            // One signer for all: its key is that of another day each time.
            let signer = Signer::new(keys);
            for request in &requests {
                let mut headers = request.headers();
                let payload = match &request.body {
                    None => SignedPayload::Unsigned,
                    Some(bytes) => SignedPayload::Bytes(bytes),
                };
                let (region, time) = (&request.region, request.time);
                signer.sign(request.method, &request.uri(), &mut headers, payload, region, time).unwrap();
                for (name, value) in of_aws(&signer, request) {
                    prop_assert_eq!(headers[name.as_str()].to_str().unwrap(), value, "{}", name);
                }
            }
        }
    }

    #[test]
    fn secrets_are_not_in_what_a_signed_request_shows() {
        let mut headers = HeaderMap::new();
        let keys = Credentials::new("AKID", "canary-secret").with_session_token("canary-token");
        Signer::new(keys)
            .sign(
                "GET",
                "http://h/b",
                &mut headers,
                SignedPayload::Unsigned,
                "r",
                UNIX_EPOCH,
            )
            .unwrap();
        assert_eq!(headers["x-amz-security-token"], "canary-token");
        assert!(!format!("{headers:?}").contains("canary"), "{headers:?}");
    }
}
