//! Secrets that can be recognised, so that it is seen where they turn up.

use std::path::Path;

/// The secrets that the commands of a scene are given.
#[derive(Debug)]
pub struct Canaries;

impl Canaries {
    /// A secret access key.
    pub const SECRET: &str = "canary/secret+0123456789abcdefghijklmno";
    /// A session token.
    pub const TOKEN: &str = "canary-session-token-0123456789";

    /// The variables that hand them to a command, and have it log whatever it can.
    pub fn environment() -> Vec<(&'static str, String)> {
        vec![
            ("AWS_SECRET_ACCESS_KEY", Self::SECRET.into()),
            ("AWS_SESSION_TOKEN", Self::TOKEN.into()),
            ("TOWLINE_LOG", "trace".into()),
        ]
    }

    /// Panics if one is in these bytes, plain, or as base64 or hexadecimal digits.
    pub fn assert_none_in(place: &str, bytes: &[u8]) {
        let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        for secret in [Self::SECRET, Self::TOKEN] {
            for form in [secret.to_owned(), hex(secret), base64(secret)] {
                let found = text.contains(&form.to_ascii_lowercase());
                assert!(!found, "a secret is in {place}");
            }
        }
    }

    /// Panics if one is in a file of this directory; says how many there are.
    pub fn assert_none_in_files(dir: &Path) -> usize {
        let mut looked = 0;
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                looked += Self::assert_none_in_files(&path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                Self::assert_none_in(&path.display().to_string(), &bytes);
                looked += 1;
            }
        }
        looked
    }

    /// Panics if one is in the arguments of any process.
    pub fn assert_none_in_arguments() {
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            // Of a process that ended meanwhile there is nothing to see.
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            Self::assert_none_in("a process argument", &line);
        }
    }
}

/// Without the last characters, which depend on what follows.
fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = text.as_bytes().chunks_exact(3).flat_map(|three| {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize] as char)
    });
    whole.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_recognised_plain_as_base64_and_as_digits() {
        let base64 = "x: Y2FuYXJ5L3NlY3JldCswMTIzNDU2Nzg5YWJjZGVmZ2hpamtsbW5v";
        let digits = Canaries::TOKEN.bytes().map(|b| format!("{b:02X}"));
        for text in [
            format!("key={}", Canaries::SECRET),
            base64.to_owned(),
            digits.collect(),
        ] {
            let found =
                std::panic::catch_unwind(|| Canaries::assert_none_in("it", text.as_bytes()));
            assert!(found.is_err(), "{text}");
        }
        Canaries::assert_none_in("it", b"canary/secret");
    }
}
