//! The objects below a prefix, page by page, in an order that advances.

use towline_core::{Access, Connection, GroupId, ListedObject, Operation, S3Error, S3ErrorKind};

use super::order::Order;
use crate::{Error, RequestError, TransferUtility};

/// A listing for a group.
#[derive(Debug)]
pub(crate) struct ObjectPages {
    group: GroupId,
    bucket: String,
    prefix: String,
    access: Access,
    connection: Option<Connection>,
    order: Order,
    next: Next,
}

#[derive(Debug)]
enum Next {
    First,
    After(String),
    Token(String),
    None,
}

impl ObjectPages {
    /// From the start, over the utility's own connection.
    pub(crate) fn of(group: GroupId, bucket: &str, prefix: &str, access: Access) -> Self {
        Self {
            group,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            access,
            connection: None,
            order: Order::new(),
            next: Next::First,
        }
    }

    /// Over the connection that was settled for the group.
    pub(crate) fn connection(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    /// Goes on behind a key.
    pub(crate) fn behind(mut self, after: String) -> Self {
        self.order = Order::behind(after.clone());
        self.next = Next::After(after);
        self
    }

    /// What follows the prefix in a key.
    pub(crate) fn below<'a>(&self, key: &'a str) -> &'a str {
        key.get(self.prefix.len()..).unwrap_or_default()
    }

    /// The key behind which another process may go on; `None` where the store lists
    /// in another order than that of bytes.
    pub(crate) fn after(&self) -> Option<&str> {
        self.order.last_by_bytes()
    }

    /// Whether the last page was given.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.next, Next::None)
    }

    /// The next page; `None` behind the last.
    pub(crate) async fn next(
        &mut self,
        utility: &TransferUtility,
    ) -> Result<Option<Vec<ListedObject>>, Error> {
        let mut list = utility
            .list(self.bucket.as_str())
            .prefix(self.prefix.as_str())
            .access(self.access.clone());
        if let Some(connection) = self.connection.clone() {
            list = list.of_group(self.group, connection);
        }
        let listed = match &self.next {
            Next::First => list.await?,
            Next::After(key) => list.start_after(key.as_str()).await?,
            Next::Token(token) => list.continuation(token.as_str()).await?,
            Next::None => return Ok(None),
        };
        self.next = listed.next.map_or(Next::None, Next::Token);
        let mut keys = listed.objects.iter().map(|object| &object.key);
        match keys.all(|key| self.order.advances_to(key)) {
            true => Ok(Some(listed.objects)),
            false => Err(does_not_advance()),
        }
    }
}

fn does_not_advance() -> Error {
    let words = "the listing does not advance";
    let error = S3Error::new(Operation::ListObjects, S3ErrorKind::Malformed, words);
    RequestError::of(error.into(), 1).for_good().into()
}
