//! Uploads, downloads and copies built step by step, and submitted by awaiting them.

mod copy;
mod download;
mod upload;

pub use copy::CopyRequest;
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

/// What makes an object has in common what the object carries.
macro_rules! carries {
    ($request:ident) => {
        impl $request {
            /// All that the object is to carry, in place of what was set so far.
            pub fn object_options(mut self, options: ObjectOptions) -> Self {
                self.request.options.object = options;
                self
            }

            /// `Content-Type`. Default: by the file name's extension, or the key's; of a
            /// copy, as its source has it.
            pub fn content_type(self, content_type: impl Into<String>) -> Self {
                self.object(|object| object.content_type = Some(content_type.into()))
            }

            /// `Content-Encoding`, stored as given: bytes are sent as they are.
            pub fn content_encoding(self, encoding: impl Into<String>) -> Self {
                self.object(|object| object.content_encoding = Some(encoding.into()))
            }

            /// `Content-Disposition`.
            pub fn content_disposition(self, disposition: impl Into<String>) -> Self {
                self.object(|object| object.content_disposition = Some(disposition.into()))
            }

            /// `Content-Language`.
            pub fn content_language(self, language: impl Into<String>) -> Self {
                self.object(|object| object.content_language = Some(language.into()))
            }

            /// `Cache-Control`.
            pub fn cache_control(self, control: impl Into<String>) -> Self {
                self.object(|object| object.cache_control = Some(control.into()))
            }

            /// `Expires`, in whole seconds.
            pub fn expires(self, at: Timestamp) -> Self {
                self.object(|object| object.expires = Some(at))
            }

            /// Adds own metadata, `x-amz-meta-NAME: VALUE`; printable ASCII, at most
            /// 2 KB in all.
            pub fn metadata(self, name: impl Into<String>, value: impl Into<String>) -> Self {
                self.object(|object| drop(object.metadata.insert(name.into(), value.into())))
            }

            /// Adds a tag; at most 10.
            pub fn tag(self, name: impl Into<String>, value: impl Into<String>) -> Self {
                self.object(|object| drop(object.tags.insert(name.into(), value.into())))
            }

            /// A canned ACL such as `public-read`; not together with grants.
            pub fn acl(self, acl: impl Into<String>) -> Self {
                self.object(|object| object.acl = Some(acl.into()))
            }

            /// Adds a permission for somebody.
            pub fn grant(self, permission: Permission, grantee: Grantee) -> Self {
                let grant = Grant {
                    permission,
                    grantee,
                };
                self.object(|object| object.grants.push(grant))
            }

            /// A storage class such as `STANDARD_IA`.
            pub fn storage_class(self, class: impl Into<String>) -> Self {
                self.object(|object| object.storage_class = Some(class.into()))
            }

            /// Where a website sends those who ask for the object: `/key`, or a URL.
            pub fn website_redirect(self, location: impl Into<String>) -> Self {
                self.object(|object| object.website_redirect = Some(location.into()))
            }

            /// How S3 encrypts the object. Default: as its bucket says.
            pub fn encryption(self, encryption: Encryption) -> Self {
                self.object(|object| object.encryption = Some(encryption))
            }

            /// Only where no object has the key yet; otherwise it ends as a conflict.
            pub fn if_absent(mut self, if_absent: bool) -> Self {
                self.request.options.if_absent = if_absent;
                self
            }

            /// What S3 checks the bytes with. Default: CRC-64/NVME.
            pub fn checksum(mut self, algorithm: ChecksumAlgorithm) -> Self {
                self.request.options.checksum = algorithm;
                self
            }

            fn object(mut self, set: impl FnOnce(&mut ObjectOptions)) -> Self {
                set(&mut self.request.options.object);
                self
            }
        }
    };
}
pub(crate) use carries;
