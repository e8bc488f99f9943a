//! Uploads and downloads built step by step, and submitted by awaiting them.

mod download;
mod upload;

pub use download::{DownloadRequest, StreamRequest};
pub(crate) use upload::Body;
pub use upload::UploadRequest;

/// What all of them have in common: each has `utility`, `request` and `listener`.
macro_rules! common {
    ($($request:ident)*) => {$(
        impl $request {
            /// Checks what can be checked on this machine, and records nothing.
            /// Awaiting the request does the same first.
            pub fn check(&self) -> Result<(), SubmitError> {
                self.request.settle(&self.utility, false).map(drop)
            }

            /// Size of every part but the last. Default: by the length.
            pub fn part_size(mut self, size: PartSize) -> Self {
                self.request.options.part_size = Some(size);
                self
            }

            /// Another connection than the utility's own.
            pub fn connection(mut self, connection: Connection) -> Self {
                self.request.connection = Some(connection);
                self
            }

            /// The caller's own name for this request: the same one again is
            /// the same transfer.
            pub fn token(mut self, token: impl Into<String>) -> Self {
                self.request.token = Some(token.into());
                self
            }

            /// The name of the group that it belongs to: groups are found and
            /// steered as one, by [`Query::group`](towline_core::Query::group).
            pub fn group(mut self, name: impl Into<String>) -> Self {
                self.request.group = Some(name.into());
                self
            }

            /// On which networks it may go; on another one it waits. Default: on
            /// every one. Can be changed later: [`TransferObserver::allow_on`].
            pub fn network(mut self, policy: NetworkPolicy) -> Self {
                self.request.options.network = policy;
                self
            }

            /// Whether it goes ahead of others. Default: as most do. Can be changed
            /// later: [`TransferObserver::prioritize`].
            pub fn priority(mut self, priority: Priority) -> Self {
                self.request.options.priority = priority;
                self
            }

            /// Cancels an unfinished transfer of the same and starts anew.
            pub fn restart(mut self, restart: bool) -> Self {
                self.request.restart = restart;
                self
            }

            /// Is told what becomes of it, from the very first state on.
            pub fn listener(mut self, listener: impl TransferListener) -> Self {
                self.listener = Listener::new(listener);
                self
            }

            /// The one who asks pays, not the bucket's owner
            /// (`x-amz-request-payer` on every request).
            pub fn requester_pays(mut self, pays: bool) -> Self {
                self.request.options.access.requester_pays = pays;
                self
            }

            /// The account of 12 digits that must own the bucket
            /// (`x-amz-expected-bucket-owner` on every request).
            pub fn expected_bucket_owner(mut self, account: impl Into<String>) -> Self {
                self.request.options.access.expected_bucket_owner = Some(account.into());
                self
            }

            /// S3 encrypts the object with this key and does not keep it (SSE-C).
            /// Only where the key is, is stored; whenever the transfer goes on it
            /// is looked up again, and the transfer waits for it.
            pub fn customer_key(mut self, key: KeyReference) -> Self {
                self.request.options.access.customer_key = Some(key);
                self
            }

            /// A header of one's own, on what stores the object (PutObject,
            /// CreateMultipartUpload) or reads it (HeadObject, GetObject). Known
            /// ones become the option that they stand for; those that signing,
            /// integrity or resuming depend on are refused at the call.
            pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                let headers = &mut self.request.options.extra.headers;
                headers.insert(name.into().to_ascii_lowercase(), value.into());
                self
            }

            /// A parameter of one's own in the query of the same requests.
            pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                let parameters = &mut self.request.options.extra.parameters;
                parameters.insert(name.into(), value.into());
                self
            }
        }
    )*};
}
pub(crate) use common;
