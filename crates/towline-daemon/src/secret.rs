//! Secrets of the HTTP API: random, and compared in constant time.

use subtle::ConstantTimeEq as _;

/// 256 random bits as 64 hexadecimal digits. Its debug form hides them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

/// Digits of a secret.
const LEN: usize = 64;

impl Secret {
    pub(crate) fn random() -> std::io::Result<Self> {
        let mut bytes = [0_u8; LEN / 2];
        getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        Ok(Self(digits.collect()))
    }

    /// A text that can be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (text.len() == LEN && digits).then(|| Self(text.to_owned()))
    }

    /// How long this takes tells nothing about where they differ.
    pub(crate) fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_random_equals_itself_alone_and_is_not_shown() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert!(one.is(one.expose()) && !one.is(other.expose()));
        assert!(!one.is("") && !one.is(&one.expose()[..63]));
        assert_eq!(Secret::parse(one.expose()), Some(one.clone()));
        assert_eq!(Secret::parse(&one.expose()[1..]), None);
        assert_eq!(Secret::parse(&"x".repeat(64)), None);
        assert!(!format!("{one:?}").contains(one.expose()));
    }
}
