//! [`S3Client`]: one store, reached in one way with one identity.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Mutex;
use towline_core::{
    Body, CompleteUpload, ConnectError, Connection, CopyObject, CreateUpload, DeleteObject,
    DeleteObjects, GetObject, GetTags, ListObjects, ListUploads, ObjectBody, ObjectHead,
    ObjectsDeleted, ObjectsPage, OpenedUpload, Operation, PartStored, PartsPage, PutObject, S3,
    S3Error, S3ErrorKind, Stored, Tags, Timestamp, Unread, Upload, UploadPart, UploadPartCopy,
    UploadsPage,
};

use crate::body::RequestBody;
use crate::connect::Connector;
use crate::credentials::CredentialsProvider;
use crate::customer_key::CustomerKeys;
use crate::endpoint::{DEFAULT_REGION, Endpoint, Location, is_region};
use crate::redirect::{self, Redirects};
use crate::request::address;
use crate::sendfile;
use crate::sign::Signer;
use crate::uri::Query;

/// Credentials that end within this are asked for anew.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);
/// Buckets whose region is remembered.
const MAX_REGIONS: usize = 1024;
/// hyper reads into buffers that grow up to this; also the most of a head.
/// Measured per GiB received: 0.33 CPU-s with 128 KiB, 0.30 with 256, 0.28 with
/// 512, but each open download holds about two of them.
const READ_BUFFER: usize = 256 << 10;

pub(crate) type Http = Client<Connector, RequestBody>;

/// The S3 client of one connection.
///
/// One request per call: nothing is retried, waited for or redirected. Dropping
/// a call's future, or the stream of an object, closes its connection.
///
/// The stream of [`get_object`](S3::get_object) fails with a boxed [`S3Error`].
/// Must be used within a tokio runtime that has I/O and time enabled.
pub struct S3Client {
    endpoint: Endpoint,
    signed_payload: Option<bool>,
    pub(crate) connector: Connector,
    idle: Duration,
    http: RwLock<Http>,
    /// `None` does not sign.
    provider: Option<Arc<dyn CredentialsProvider>>,
    pub(crate) keys: CustomerKeys,
    signer: RwLock<Option<Arc<Signer>>>,
    /// Held while the provider is asked, so that many requests ask once.
    asking: Mutex<()>,
    /// What to add to our clock, in milliseconds.
    clock: AtomicI64,
    regions: RwLock<Regions>,
    redirects: RwLock<Redirects>,
}

/// Which region to sign for, where S3 said another than the connection's.
struct Regions {
    default: String,
    /// What S3 named in an error, not yet taken up.
    hinted: HashMap<String, String>,
    by_bucket: HashMap<String, String>,
}

impl S3Client {
    pub(crate) fn new(
        connection: &Connection,
        endpoint: Endpoint,
        connector: Connector,
        provider: Option<Arc<dyn CredentialsProvider>>,
        keys: CustomerKeys,
        idle: Duration,
    ) -> Self {
        let region = connection.region.as_deref().unwrap_or(DEFAULT_REGION);
        Self {
            endpoint,
            signed_payload: connection.signed_payload,
            http: RwLock::new(pool(&connector, idle)),
            connector,
            idle,
            provider,
            keys,
            signer: RwLock::new(None),
            asking: Mutex::new(()),
            clock: AtomicI64::new(0),
            regions: RwLock::new(Regions {
                default: region.to_owned(),
                hinted: HashMap::new(),
                by_bucket: HashMap::new(),
            }),
            redirects: RwLock::default(),
        }
    }

    pub(crate) fn http(&self) -> Http {
        self.http
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn locate(&self, bucket: &str) -> Result<Location, ConnectError> {
        let regions = self.regions.read().unwrap_or_else(PoisonError::into_inner);
        let region = regions.by_bucket.get(bucket).unwrap_or(&regions.default);
        let mut place = self.endpoint.locate(bucket, region)?;
        let redirects = self.redirects.read();
        let redirects = redirects.unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = redirects.host(bucket, Instant::now()) {
            place.authority = host.to_owned();
        }
        Ok(place)
    }

    /// Keeps what S3 said of where a bucket, or an object, is.
    pub(crate) fn remember(&self, bucket: &str, error: &mut S3Error) {
        if let Some(region) = &error.region {
            self.remember_region(bucket, region);
        }
        let redirects = error.status.is_some_and(|it| (300..400).contains(&it));
        let location = error.location.as_ref().filter(|_| redirects);
        let (Some(location), Ok(place)) = (location, self.locate(bucket)) else {
            return;
        };
        match redirect::within(&place, bucket, location) {
            Some(host) => {
                let redirects = self.redirects.write();
                let mut redirects = redirects.unwrap_or_else(PoisonError::into_inner);
                redirects.tell(bucket, location, host);
                error.location_is_of_endpoint = true;
            }
            None => {
                let to = location.escape_debug();
                error.message = format!("redirect refused: {to} is not of this endpoint");
            }
        }
    }

    /// Keeps what S3 said of a bucket's region until it is taken up.
    fn remember_region(&self, bucket: &str, region: &str) {
        let mut regions = self.regions.write().unwrap_or_else(PoisonError::into_inner);
        if regions.hinted.len() < MAX_REGIONS || regions.hinted.contains_key(bucket) {
            regions.hinted.insert(bucket.to_owned(), region.to_owned());
        }
    }

    /// Whether the signature covers the bytes: without TLS somebody on the
    /// way could change them.
    pub(crate) fn signs_payload(&self, place: &Location) -> bool {
        self.signed_payload
            .unwrap_or(!place.secure && !place.loopback)
    }

    /// Our clock, set right.
    pub(crate) fn now(&self) -> SystemTime {
        let offset = self.clock_offset();
        let by = Duration::from_millis(offset.unsigned_abs());
        let now = SystemTime::now();
        let right = if offset < 0 {
            now.checked_sub(by)
        } else {
            now.checked_add(by)
        };
        right.unwrap_or(now)
    }

    /// What to sign with; `None` for anonymous requests.
    pub(crate) async fn signer(
        &self,
        operation: Operation,
    ) -> Result<Option<Arc<Signer>>, S3Error> {
        let Some(provider) = &self.provider else {
            return Ok(None);
        };
        if let Some(signer) = self.fresh_signer() {
            return Ok(Some(signer));
        }
        let _one_asks = self.asking.lock().await;
        if let Some(signer) = self.fresh_signer() {
            return Ok(Some(signer));
        }
        let credentials = provider.credentials().await.map_err(|error| {
            let mut facts = S3Error::new(operation, S3ErrorKind::Credentials, error.to_string());
            facts.source = Some(Box::new(error));
            facts
        })?;
        let signer = Arc::new(Signer::new(credentials));
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = Some(signer.clone());
        Ok(Some(signer))
    }

    fn fresh_signer(&self) -> Option<Arc<Signer>> {
        let signer = self.signer.read().unwrap_or_else(PoisonError::into_inner);
        let signer = signer.as_ref()?;
        let lasts = |end: SystemTime| end > self.now() + EXPIRY_MARGIN;
        signer.expires().is_none_or(lasts).then(|| signer.clone())
    }
}

pub(crate) fn pool(connector: &Connector, idle: Duration) -> Http {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle)
        .retry_canceled_requests(false)
        .http1_max_buf_size(READ_BUFFER)
        .build(connector.clone())
}

impl fmt::Debug for S3Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Client")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl S3 for S3Client {
    async fn put_object(&self, request: PutObject, body: Body) -> Result<Stored, S3Error> {
        self.do_put_object(request, body).await
    }

    async fn copy_object(&self, request: CopyObject) -> Result<Stored, S3Error> {
        self.do_copy_object(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: CreateUpload,
    ) -> Result<OpenedUpload, S3Error> {
        self.do_create_multipart_upload(request).await
    }

    async fn upload_part(&self, request: UploadPart, body: Body) -> Result<PartStored, S3Error> {
        self.do_upload_part(request, body).await
    }

    /// A trailer is not signed: TLS protects it, or nobody is on the way.
    fn sends_trailers(&self, bucket: &str) -> bool {
        let place = self.locate(bucket);
        self.provider.is_some() && place.is_ok_and(|place| !self.signs_payload(&place))
    }

    /// Neither TLS nor a signature, which have to see the bytes.
    fn unread(&self, bucket: &str) -> Option<Unread> {
        let is_plain = self.locate(bucket).is_ok_and(|place| !place.secure);
        (is_plain && self.sends_trailers(bucket)).then_some(sendfile::unread)
    }

    fn open_ahead(&self, bucket: &str, requests: usize) {
        let Ok(place) = self.locate(bucket) else {
            return; // as the request that comes now will say
        };
        if let Ok(target) = address(&place, None, &Query::default()).parse() {
            self.connector.open_ahead(&target, requests);
        }
    }

    async fn upload_part_copy(&self, request: UploadPartCopy) -> Result<PartStored, S3Error> {
        self.do_upload_part_copy(request).await
    }

    async fn complete_multipart_upload(&self, request: CompleteUpload) -> Result<Stored, S3Error> {
        self.do_complete_multipart_upload(request).await
    }

    async fn abort_multipart_upload(&self, upload: &Upload) -> Result<(), S3Error> {
        self.do_abort_multipart_upload(upload).await
    }

    async fn list_parts(&self, upload: &Upload, after: Option<u32>) -> Result<PartsPage, S3Error> {
        self.do_list_parts(upload, after).await
    }

    async fn list_multipart_uploads(&self, request: ListUploads) -> Result<UploadsPage, S3Error> {
        self.do_list_multipart_uploads(request).await
    }

    async fn head_object(&self, request: GetObject) -> Result<ObjectHead, S3Error> {
        self.do_head_object(request).await
    }

    async fn get_object_tagging(&self, request: GetTags) -> Result<Tags, S3Error> {
        self.do_get_object_tagging(request).await
    }

    async fn get_object(&self, request: GetObject) -> Result<ObjectBody, S3Error> {
        self.do_get_object(request).await
    }

    async fn list_objects(&self, request: ListObjects) -> Result<ObjectsPage, S3Error> {
        self.do_list_objects(request).await
    }

    async fn delete_object(&self, request: DeleteObject) -> Result<(), S3Error> {
        self.do_delete_object(request).await
    }

    async fn delete_objects(&self, request: DeleteObjects) -> Result<ObjectsDeleted, S3Error> {
        self.do_delete_objects(request).await
    }

    fn refresh_credentials(&self) {
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn set_clock(&self, server: Timestamp) {
        let ours = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            });
        let offset = server.as_millis().saturating_sub(ours);
        self.clock.store(offset, Ordering::Relaxed);
    }

    fn clock_offset(&self) -> i64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// For the buckets of which S3 named this region; for all where it named
    /// it of none. At AWS the host follows the region.
    fn set_region(&self, region: &str) {
        if !is_region(region) {
            return;
        }
        let mut regions = self.regions.write().unwrap_or_else(PoisonError::into_inner);
        let told: Vec<_> = regions
            .hinted
            .extract_if(|_, hint| hint == region)
            .collect();
        if told.is_empty() && !regions.by_bucket.values().any(|known| known == region) {
            regions.default = region.to_owned();
        }
        regions.by_bucket.extend(told);
        if regions.by_bucket.len() > MAX_REGIONS {
            regions.by_bucket.clear(); // S3 will tell again
        }
    }

    fn set_redirect(&self, location: &str) {
        let redirects = self.redirects.write();
        let mut redirects = redirects.unwrap_or_else(PoisonError::into_inner);
        redirects.follow(location, Instant::now());
    }

    fn reset_connections(&self) {
        let fresh = pool(&self.connector, self.idle);
        *self.http.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        self.connector.forget_ahead();
    }
}
