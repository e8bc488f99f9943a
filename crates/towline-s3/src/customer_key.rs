//! Keys of one's own, with which S3 encrypts and decrypts an object (SSE-C).
//!
//! A transfer keeps only where its key is. Here it is looked up, each time a
//! request needs it.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest, Md5};
use towline_core::{KeyReference, Operation, S3Error, S3ErrorKind};
use zeroize::Zeroizing;

use crate::environment::Environment;

/// A key of 256 bits for SSE-C; shown nowhere and wiped when dropped.
#[derive(Clone)]
pub struct CustomerKey(Zeroizing<[u8; 32]>);

/// Something is no key of 256 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key has 32 bytes, or is their base64; this has {length} bytes and is neither")]
pub struct CustomerKeyError {
    /// How many bytes it has.
    pub length: usize,
}

impl CustomerKey {
    /// A key.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Reads 32 bytes, or their base64; white space around the latter is left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, CustomerKeyError> {
        if let Ok(key) = <[u8; 32]>::try_from(bytes) {
            return Ok(Self::new(key));
        }
        let decoded = Zeroizing::new(
            BASE64_STANDARD
                .decode(bytes.trim_ascii())
                .unwrap_or_default(),
        );
        let length = bytes.len();
        <[u8; 32]>::try_from(decoded.as_slice())
            .map(Self::new)
            .map_err(|_| CustomerKeyError { length })
    }

    fn set(&self, headers: &mut HeaderMap) {
        let sum = BASE64_STANDARD.encode(Md5::digest(self.0.as_slice()));
        let key = Zeroizing::new(BASE64_STANDARD.encode(self.0.as_slice()));
        for (name, value) in [
            ("algorithm", "AES256"),
            ("key", key.as_str()),
            ("key-md5", sum.as_str()),
        ] {
            let name = format!("x-amz-server-side-encryption-customer-{name}");
            let name = HeaderName::from_bytes(name.as_bytes()).expect("it is the name of a header");
            let mut value = HeaderValue::from_str(value).expect("base64 is ASCII");
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey(…)")
    }
}

/// Where keys are found.
#[derive(Clone, Default)]
pub(crate) struct CustomerKeys {
    env: Environment,
    registered: Arc<RwLock<HashMap<String, CustomerKey>>>,
}

/// A file with more than this is no key.
const MOST: u64 = 1024;

impl CustomerKeys {
    pub(crate) fn new(env: Environment) -> Self {
        Self {
            env,
            registered: Arc::default(),
        }
    }

    pub(crate) fn register(&self, name: String, key: CustomerKey) {
        let mut registered = self
            .registered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        registered.insert(name, key);
    }

    pub(crate) fn unregister(&self, name: &str) {
        let mut registered = self
            .registered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        registered.remove(name);
    }

    /// Why there is no such key here; `None` if there is.
    pub(crate) fn lacks(&self, reference: &KeyReference) -> Option<String> {
        self.find(reference).err()
    }

    /// Puts the key that is needed, if one is, into a request.
    pub(crate) fn set(
        &self,
        headers: &mut HeaderMap,
        operation: Operation,
        reference: Option<&KeyReference>,
        is_private: bool,
    ) -> Result<(), S3Error> {
        let Some(reference) = reference else {
            return Ok(());
        };
        if !is_private {
            let words = "a key of one's own is not sent without TLS";
            return Err(S3Error::new(operation, S3ErrorKind::Invalid, words));
        }
        match self.find(reference) {
            Ok(key) => {
                key.set(headers);
                Ok(())
            }
            Err(why) => {
                let mut facts = S3Error::new(operation, S3ErrorKind::Credentials, why);
                facts.code = Some("CustomerKeyMissing".into());
                Err(facts)
            }
        }
    }

    fn find(&self, reference: &KeyReference) -> Result<CustomerKey, String> {
        match reference {
            KeyReference::Registered(name) => {
                let registered = self
                    .registered
                    .read()
                    .unwrap_or_else(PoisonError::into_inner);
                let key = registered.get(name).cloned();
                key.ok_or_else(|| format!("no encryption key is registered as {name:?}"))
            }
            KeyReference::Environment(name) => match self.env.get(name) {
                Some(text) => CustomerKey::parse(text.as_bytes())
                    .map_err(|error| format!("the encryption key in {name}: {error}")),
                None => Err(format!("no encryption key in the variable {name}")),
            },
            KeyReference::File(path) => {
                let wrong =
                    |why: String| format!("the encryption key in {}: {why}", path.display());
                let bytes = read_file(path).map_err(|error| wrong(error.to_string()))?;
                CustomerKey::parse(&bytes).map_err(|error| wrong(error.to_string()))
            }
        }
    }
}

fn read_file(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    std::fs::File::open(path)?
        .take(MOST)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_or_their_base64_and_nothing_else() {
        let raw = [7; 32];
        let text = format!("{}\n", BASE64_STANDARD.encode(raw));
        for given in [&raw[..], text.as_bytes()] {
            assert_eq!(CustomerKey::parse(given).unwrap().0.as_slice(), raw);
        }
        for given in [&b""[..], b"short", &[0; 31]] {
            let length = given.len();
            assert_eq!(
                CustomerKey::parse(given).unwrap_err(),
                CustomerKeyError { length }
            );
        }
    }

    #[test]
    fn a_key_is_in_no_debug_output_and_goes_nowhere_without_tls() {
        let keys = CustomerKeys::default();
        keys.register(
            "k".into(),
            CustomerKey::new(*b"canary-canary-canary-canary-can."),
        );
        let name = KeyReference::Registered("k".into());
        let mut headers = HeaderMap::new();
        let get = Operation::GetObject;
        let error = keys.set(&mut headers, get, Some(&name), false).unwrap_err();
        assert_eq!((error.kind, headers.len()), (S3ErrorKind::Invalid, 0));
        keys.set(&mut headers, get, Some(&name), true).unwrap();
        assert_eq!(headers.len(), 3);
        let shown = format!("{headers:?} {:?}", keys.find(&name).unwrap());
        let key = BASE64_STANDARD.encode(b"canary-canary-canary-canary-can.");
        assert!(
            !shown.contains("canary") && !shown.contains(&key),
            "{shown}"
        );
    }

    #[test]
    fn a_key_that_is_not_there_is_said_to_be_missing() {
        let keys = CustomerKeys::default();
        for reference in [
            KeyReference::Registered("k".into()),
            KeyReference::Environment("KEY".into()),
            KeyReference::File("/nowhere/key".into()),
        ] {
            let mut headers = HeaderMap::new();
            let error = keys
                .set(&mut headers, Operation::PutObject, Some(&reference), true)
                .unwrap_err();
            assert_eq!(error.kind, S3ErrorKind::Credentials);
            assert_eq!(error.code(), "CustomerKeyMissing");
        }
    }
}
