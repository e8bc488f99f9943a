//! Signature Version 4, in the Authorization header or in the query, by AWS's own code.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningParams, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::credentials::Credentials;
use crate::signed_chunks::ChunkKey;

const STREAMING: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

/// What the signature covers of the body.
pub(crate) enum SignedPayload<'a> {
    /// Nothing: TLS or a signed checksum header protects it.
    Unsigned,
    /// All of it.
    Bytes(&'a [u8]),
    /// Each chunk as it goes out.
    Chunks,
}

/// Credentials in the form that aws-sigv4 takes.
pub(crate) struct Signer {
    identity: Identity,
    credentials: Credentials,
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
        }
    }

    pub(crate) fn expires(&self) -> Option<SystemTime> {
        self.credentials.expires
    }

    /// Adds the headers of a signature; gives what chunks are signed with.
    pub(crate) fn sign(
        &self,
        method: &str,
        uri: &str,
        headers: &mut HeaderMap,
        payload: SignedPayload<'_>,
        region: &str,
        time: SystemTime,
    ) -> Result<Option<ChunkKey>, SignError> {
        let chunks = matches!(payload, SignedPayload::Chunks);
        let mut settings = settings();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = self.params(region, time, settings)?;
        let body = match payload {
            SignedPayload::Unsigned => SignableBody::UnsignedPayload,
            SignedPayload::Bytes(bytes) => SignableBody::Precomputed(hex(&Sha256::digest(bytes))),
            SignedPayload::Chunks => SignableBody::Precomputed(STREAMING.to_owned()),
        };
        let text = headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let request = SignableRequest::new(method, uri, text, body)
            .map_err(|error| SignError(Box::new(error)))?;
        let (instructions, signature) = sign(request, &params)
            .map_err(|error| SignError(Box::new(error)))?
            .into_parts();
        let (added, _) = instructions.into_parts();
        for header in added {
            let mut value = HeaderValue::from_str(header.value())
                .map_err(|error| SignError(Box::new(error)))?;
            value.set_sensitive(header.sensitive());
            headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(chunks.then(|| self.chunk_key(headers, region, time, signature)))
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

    fn chunk_key(
        &self,
        headers: &HeaderMap,
        region: &str,
        time: SystemTime,
        seed: String,
    ) -> ChunkKey {
        let key = v4::generate_signing_key(
            self.credentials.secret_access_key.expose(),
            time,
            region,
            "s3",
        );
        let time = headers
            .get("x-amz-date")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        ChunkKey {
            key: Zeroizing::new(key.as_ref().to_vec()),
            scope: format!(
                "{}/{region}/s3/aws4_request",
                time.get(..8).unwrap_or_default()
            ),
            time: time.to_owned(),
            seed,
        }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Examples of <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
/// As S3 has it: paths are signed as they are, and encoded once.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

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
