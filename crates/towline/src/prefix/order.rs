//! The order of a listing: one that does not advance has no end.

/// S3 lists keys in the order of their bytes; stores that keep objects in
/// directories list what is in one behind it, as if `/` came before all else.
#[derive(Debug)]
pub(super) struct Order {
    last: Option<String>,
    by_bytes: bool,
    by_directories: bool,
}

impl Order {
    pub(super) fn new() -> Self {
        Self {
            last: None,
            by_bytes: true,
            by_directories: true,
        }
    }

    /// Goes on behind a key, in the order of bytes.
    pub(super) fn behind(key: String) -> Self {
        Self {
            last: Some(key),
            by_bytes: true,
            by_directories: false,
        }
    }

    /// The last key, where all were in the order of bytes: S3 lists on behind it.
    pub(super) fn last_by_bytes(&self) -> Option<&str> {
        self.last.as_deref().filter(|_| self.by_bytes)
    }

    /// Whether the next key lies behind the last one, in an order in which all
    /// keys did.
    pub(super) fn advances_to(&mut self, key: &str) -> bool {
        if let Some(last) = &self.last {
            self.by_bytes &= last.as_bytes() < key.as_bytes();
            self.by_directories &= last
                .bytes()
                .map(slash_first)
                .lt(key.bytes().map(slash_first));
        }
        self.last = Some(key.to_owned());
        self.by_bytes || self.by_directories
    }
}

fn slash_first(byte: u8) -> (bool, u8) {
    (byte != b'/', byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advances(keys: &[&str]) -> bool {
        let mut order = Order::new();
        keys.iter().all(|key| order.advances_to(key))
    }

    #[test]
    fn f34_keys_in_the_order_of_bytes_or_of_directories_advance_and_others_do_not() {
        assert!(advances(&["a", "a-b", "a/b", "a0", "b"]));
        assert!(advances(&["a/b", "a/c", "a-b", "a0", "b"]));
        assert!(!advances(&["a", "a"]));
        assert!(!advances(&["b", "a"]));
        assert!(!advances(&["a/b", "a-b", "a/c"]));
        assert!(!advances(&["a-b", "a/b", "a-b"]));
    }
}
