//! The objects below a prefix, page by page, in the order of the bytes of their
//! keys.

use towline_core::{GroupId, ListedObject, Operation, S3Error, S3ErrorKind};

use crate::{Error, RequestError, TransferRequest, TransferUtility};

/// A listing that goes on.
#[derive(Debug, Default)]
pub(super) struct Listing {
    next: Next,
    last: Option<String>,
}

#[derive(Debug, Default)]
enum Next {
    #[default]
    First,
    After(String),
    Token(String),
    None,
}

impl Listing {
    /// Goes on behind a key.
    pub(super) fn behind(key: String) -> Self {
        Self {
            last: Some(key.clone()),
            next: Next::After(key),
        }
    }

    /// The next page, with what was handed over for a group; `None` behind the last.
    /// Fails where keys are in another order: there are stores that keep them in
    /// directories.
    pub(super) async fn next(
        &mut self,
        utility: &TransferUtility,
        prefix: &str,
        like: &TransferRequest,
        group: Option<GroupId>,
    ) -> Result<Option<Vec<ListedObject>>, Error> {
        let mut list = utility
            .list(like.bucket.as_str())
            .prefix(prefix)
            .access(like.options.access.clone());
        if let Some(connection) = &like.connection {
            list = match group {
                Some(group) => list.of_group(group, connection.clone()),
                None => list.connection(connection.clone()),
            };
        }
        let page = match &self.next {
            Next::First => list.await?,
            Next::After(key) => list.start_after(key.as_str()).await?,
            Next::Token(token) => list.continuation(token.as_str()).await?,
            Next::None => return Ok(None),
        };
        self.next = page.next.map_or(Next::None, Next::Token);
        for object in &page.objects {
            if !self.advances_to(&object.key) || !object.key.starts_with(prefix) {
                return Err(out_of_order());
            }
        }
        Ok(Some(page.objects))
    }

    fn advances_to(&mut self, key: &str) -> bool {
        let behind = |last: &String| last.as_bytes() < key.as_bytes();
        let advances = self.last.as_ref().is_none_or(behind);
        self.last = Some(key.to_owned());
        advances
    }
}

fn out_of_order() -> Error {
    let words = "the listing is not in the order of the bytes of its keys, as S3's is, \
                 so it cannot be compared with a directory step by step";
    let error = S3Error::new(Operation::ListObjects, S3ErrorKind::Malformed, words);
    RequestError::of(error.into(), 1).for_good().into()
}

#[cfg(test)]
mod tests {
    use super::Listing;

    #[test]
    fn only_keys_in_the_order_of_their_bytes_advance() {
        let advance = |keys: &[&str]| {
            let mut listing = Listing::default();
            keys.iter().all(|key| listing.advances_to(key))
        };
        assert!(advance(&[
            "B",
            "a",
            "a-b",
            "a/b",
            "a0",
            "\u{e9}",
            "\u{10000}"
        ]));
        assert!(!advance(&["a", "a"]));
        assert!(!advance(&["a", "B"]), "as people sort");
        assert!(!advance(&["a/b", "a-b"]), "as directories are listed");
    }
}
