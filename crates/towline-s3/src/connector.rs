//! [`S3Connector`]: gives the client of a connection, and settles what a
//! connection means when a transfer is submitted.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use towline_core::{
    Addressing, ConnectError, Connection, ConnectionSource, Connector, GroupId, KeyReference, S3,
    TransferId,
};

use crate::client::S3Client;
use crate::config_files::{ConfigFiles, EnvironmentCredentials, ProfileCredentials, variables};
use crate::connect;
use crate::credentials::{Credentials, CredentialsError, CredentialsProvider, StaticCredentials};
use crate::customer_key::{CustomerKey, CustomerKeys};
use crate::endpoint::{DEFAULT_REGION, Endpoint, is_region};
use crate::environment::Environment;
use crate::handed::{Handed, Holder};
use crate::proxy::ProxyRules;
use crate::tls::Trust;
use crate::wire::{Connections, Pool};

type Registry = Arc<RwLock<HashMap<String, Arc<dyn CredentialsProvider>>>>;

/// Gives one [`S3Client`] for equal connections.
///
/// A connection is taken as it stands: endpoint `None` is AWS and region `None`
/// is `us-east-1`, whatever the environment says at the time. Call
/// [`resolve`](Self::resolve) once, when a transfer is submitted, to put the
/// environment's and the profile's settings into it.
pub struct S3Connector {
    env: Environment,
    registry: Registry,
    pool_idle: Duration,
    connect_timeout: Duration,
    pool: Arc<Pool>,
    clients: Mutex<HashMap<Connection, Arc<S3Client>>>,
    handed: Mutex<Handed>,
    keys: CustomerKeys,
}

impl S3Connector {
    /// With the environment of this process.
    pub fn new() -> Self {
        Self::with_environment(Environment::of_process())
    }

    /// With an environment of one's own.
    pub fn with_environment(env: Environment) -> Self {
        Self {
            keys: CustomerKeys::new(env.clone()),
            env,
            registry: Registry::default(),
            pool_idle: Duration::from_secs(4), // S3 closes idle connections after 5
            connect_timeout: Duration::from_secs(10),
            pool: Arc::default(),
            clients: Mutex::default(),
            handed: Mutex::default(),
        }
    }

    /// How long a connection is kept unused. Default: 4 s.
    pub fn pool_idle_timeout(mut self, timeout: Duration) -> Self {
        self.pool_idle = timeout;
        self
    }

    /// How long connecting may take over all of a host's addresses, and
    /// setting up TLS and a proxy's tunnel once more. Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Gives credentials a name, for [`ConnectionSource::Registered`]. A name
    /// registered again changes what its clients ask next.
    pub fn register(&self, name: impl Into<String>, provider: Arc<dyn CredentialsProvider>) {
        let mut registry = self
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        registry.insert(name.into(), provider);
        drop(registry);
        for client in self.clients().values() {
            client.refresh_credentials();
        }
    }

    /// Takes a name back; its transfers then lack credentials.
    pub fn unregister(&self, name: &str) {
        let mut registry = self
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        registry.remove(name);
        drop(registry);
        for client in self.clients().values() {
            client.refresh_credentials();
        }
    }

    /// Gives a key for SSE-C a name, for
    /// [`KeyReference::Registered`](towline_core::KeyReference::Registered).
    pub fn register_key(&self, name: impl Into<String>, key: CustomerKey) {
        self.keys.register(name.into(), key);
    }

    /// Takes a key back; the transfers that need it then wait for it.
    pub fn unregister_key(&self, name: &str) {
        self.keys.unregister(name);
    }

    /// Why a key cannot be had here; `None` if it can.
    pub fn lacks_key(&self, reference: &KeyReference) -> Option<String> {
        self.keys.lacks(reference)
    }

    /// The credentials in the variables of its environment; none when they are
    /// elsewhere, where a process of the same user finds them by itself.
    pub fn environment_credentials(&self) -> Result<Option<Credentials>, CredentialsError> {
        variables(&self.env)
    }

    /// Gives one transfer the credentials of the process that asked for it, in
    /// place of those in this process's own environment. They count for
    /// connections of [`ConnectionSource::Environment`] and go when the
    /// transfer is final.
    pub fn hand_over(&self, id: TransferId, credentials: &Credentials) {
        self.hand_over_to(Holder::Transfer(id), credentials);
    }

    /// The same for the listing of a group, until
    /// [`group_ended`](Self::group_ended).
    pub fn hand_over_to_group(&self, id: GroupId, credentials: &Credentials) {
        self.hand_over_to(Holder::Group(id), credentials);
    }

    /// Gives a transfer what was handed over for its group, if anything was.
    pub fn hand_on(&self, group: GroupId, id: TransferId) {
        self.handed().hand_on(group, id);
    }

    /// The group lists nothing more.
    pub fn group_ended(&self, id: GroupId) {
        self.handed().forget(Holder::Group(id));
    }

    fn hand_over_to(&self, holder: Holder, credentials: &Credentials) {
        match self.environment_credentials() {
            Ok(Some(own)) if own == *credentials => self.handed().forget(holder),
            _ => self.handed().give(holder, credentials),
        }
    }

    /// The connection with what the environment and the profile say put into
    /// it, so that a stored transfer keeps its meaning: the profile that
    /// `AWS_PROFILE` names, endpoint, region and addressing.
    pub fn resolve(&self, connection: Connection) -> Result<Connection, ConnectError> {
        let mut connection = connection;
        let env = &self.env;
        let keys = ["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"];
        if connection.source == ConnectionSource::Environment
            && env.first(&keys).is_none()
            && let Some(name) = env.get("AWS_PROFILE")
        {
            connection.source = ConnectionSource::Profile(name.to_owned());
        }
        let files = ConfigFiles::read(env)?;
        let named = match &connection.source {
            ConnectionSource::Profile(name) => Some(name.as_str()),
            _ => None,
        };
        let profile = files.profile(named.unwrap_or(env.get("AWS_PROFILE").unwrap_or("default")));
        if let (Some(name), None) = (named, &profile) {
            return Err(unknown(name, &files));
        }
        let profile = profile.as_ref();
        if connection.endpoint.is_none() && !ignores_endpoints(env) {
            connection.endpoint = env
                .first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
                .or_else(|| profile?.endpoint_url())
                .map(str::to_owned);
        }
        if connection.region.is_none() {
            let region = env
                .first(&["AWS_REGION", "AWS_DEFAULT_REGION"])
                .or_else(|| profile?.region())
                .unwrap_or(DEFAULT_REGION);
            connection.region = Some(region.to_owned());
        }
        if connection.addressing == Addressing::Auto {
            connection.addressing = profile.map_or(Addressing::Auto, |p| p.addressing());
        }
        let says = |variable: &str, key: &str| match env.get(variable) {
            Some(value) => value.eq_ignore_ascii_case("true"),
            None => profile.is_some_and(|profile| profile.flag(key)),
        };
        connection.dual_stack |= says("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
        connection.fips |= says("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
        // As AWS's tools have it, the profile's wish does not count elsewhere.
        let wished = profile.is_some_and(|p| p.flag("s3.use_accelerate_endpoint"));
        connection.accelerate |= wished && connection.endpoint.is_none();
        self.checked(&connection)?;
        Ok(connection)
    }

    /// How many connections are open, over all its clients.
    pub fn connections(&self) -> Connections {
        self.pool.read()
    }

    /// The names of the profiles in AWS's files, in order.
    pub fn profiles(&self) -> Result<Vec<String>, ConnectError> {
        Ok(ConfigFiles::read(&self.env)?.names())
    }

    /// What can be told of a connection, and of a bucket over it, without making a
    /// client.
    pub fn check(&self, connection: &Connection, bucket: &str) -> Result<(), ConnectError> {
        let region = connection.region.as_deref().unwrap_or(DEFAULT_REGION);
        self.checked(connection)?.locate(bucket, region).map(drop)
    }

    fn checked(&self, connection: &Connection) -> Result<Endpoint, ConnectError> {
        if let Some(region) = connection
            .region
            .as_deref()
            .filter(|region| !is_region(region))
        {
            return Err(ConnectError::BadEndpoint {
                endpoint: region.to_owned(),
                why: "it is not the name of a region".into(),
            });
        }
        if let Some(endpoint) = connection
            .endpoint
            .as_ref()
            .filter(|_| connection.accelerate)
        {
            return Err(ConnectError::BadEndpoint {
                endpoint: endpoint.clone(),
                why: "transfer acceleration is of AWS's own endpoint alone".into(),
            });
        }
        match &connection.source {
            ConnectionSource::Profile(name) => {
                let files = ConfigFiles::read(&self.env)?;
                if files.profile(name).is_none() {
                    return Err(unknown(name, &files));
                }
            }
            ConnectionSource::Registered(name) => {
                let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
                if !registry.contains_key(name) {
                    return Err(ConnectError::NotRegistered { name: name.clone() });
                }
            }
            ConnectionSource::Environment | ConnectionSource::Anonymous => {}
        }
        Endpoint::of(connection)
    }

    /// The client of a connection, as its own type.
    pub fn client(&self, connection: &Connection) -> Result<Arc<S3Client>, ConnectError> {
        if let Some(client) = self.clients().get(connection) {
            return Ok(client.clone());
        }
        let client = self.new_client(connection, self.provider(&connection.source))?;
        // Another thread may have been faster.
        let mut clients = self.clients();
        let client = clients
            .entry(connection.clone())
            .or_insert(Arc::new(client));
        Ok(client.clone())
    }

    fn new_client(
        &self,
        connection: &Connection,
        provider: Option<Arc<dyn CredentialsProvider>>,
    ) -> Result<S3Client, ConnectError> {
        let endpoint = self.checked(connection)?;
        let proxies = Arc::new(ProxyRules::read(&self.env)?);
        // To read a system's bundle takes milliseconds.
        let bundle = match endpoint.is_secure() || proxies.secure_plain_http() {
            true => self.ca_bundle(connection)?,
            false => None,
        };
        let trust = Trust::with(bundle.as_deref())?;
        let connector = connect::Connector::new(trust, proxies, self.connect_timeout);
        let connector = connector.counted(&self.pool);
        Ok(S3Client::new(
            connection,
            endpoint,
            connector,
            provider,
            self.keys.clone(),
            self.pool_idle,
        ))
    }

    /// The client with which a group lists over a connection.
    pub fn client_of_group(
        &self,
        id: GroupId,
        connection: &Connection,
    ) -> Result<Arc<S3Client>, ConnectError> {
        self.client_for(Holder::Group(id), connection)
    }

    fn client_for(
        &self,
        holder: Holder,
        connection: &Connection,
    ) -> Result<Arc<S3Client>, ConnectError> {
        let handed = match connection.source {
            ConnectionSource::Environment => self.client_with_handed(holder, connection),
            _ => None,
        };
        handed.unwrap_or_else(|| self.client(connection))
    }

    /// The client that signs with what was handed over.
    fn client_with_handed(
        &self,
        holder: Holder,
        connection: &Connection,
    ) -> Option<Result<Arc<S3Client>, ConnectError>> {
        let mut handed = self.handed();
        let (credentials, clients) = handed.of(holder)?;
        if let Some(client) = clients.get(connection) {
            return Some(Ok(client.clone()));
        }
        let provider = Arc::new(StaticCredentials(credentials.clone()));
        let client = match self.new_client(connection, Some(provider)) {
            Ok(client) => Arc::new(client),
            Err(error) => return Some(Err(error)),
        };
        clients.insert(connection.clone(), client.clone());
        Some(Ok(client))
    }

    fn handed(&self) -> std::sync::MutexGuard<'_, Handed> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, HashMap<Connection, Arc<S3Client>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn provider(&self, source: &ConnectionSource) -> Option<Arc<dyn CredentialsProvider>> {
        let env = self.env.clone();
        match source {
            ConnectionSource::Environment => Some(Arc::new(EnvironmentCredentials(env))),
            ConnectionSource::Profile(name) => {
                let name = name.clone();
                Some(Arc::new(ProfileCredentials { env, name }))
            }
            ConnectionSource::Registered(name) => Some(Arc::new(RegisteredCredentials {
                registry: self.registry.clone(),
                name: name.clone(),
            })),
            ConnectionSource::Anonymous => None,
        }
    }

    fn ca_bundle(&self, connection: &Connection) -> Result<Option<PathBuf>, ConnectError> {
        if let Some(path) = self.env.get("AWS_CA_BUNDLE") {
            return Ok(Some(self.env.path(path)));
        }
        let name = match &connection.source {
            ConnectionSource::Profile(name) => name,
            _ => self.env.get("AWS_PROFILE").unwrap_or("default"),
        };
        let files = ConfigFiles::read(&self.env)?;
        let profile = files.profile(name);
        let bundle = profile.as_ref().and_then(|profile| profile.ca_bundle());
        Ok(bundle.map(|path| self.env.path(path)))
    }
}

/// Whether a bucket can be used over a connection; no network is asked.
pub fn check_bucket(connection: &Connection, bucket: &str) -> Result<(), ConnectError> {
    let region = connection.region.as_deref().unwrap_or(DEFAULT_REGION);
    Endpoint::of(connection)?.locate(bucket, region).map(drop)
}

fn ignores_endpoints(env: &Environment) -> bool {
    env.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn unknown(name: &str, files: &ConfigFiles) -> ConnectError {
    ConnectError::UnknownProfile {
        name: name.to_owned(),
        files: files.places(),
    }
}

impl Default for S3Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for S3Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Connector")
            .field("env", &self.env)
            .finish_non_exhaustive()
    }
}

impl Connector for S3Connector {
    fn connect(
        &self,
        id: TransferId,
        connection: &Connection,
    ) -> Result<Arc<dyn S3>, ConnectError> {
        Ok(self.client_for(Holder::Transfer(id), connection)?)
    }

    fn ended(&self, id: TransferId) {
        self.handed().forget(Holder::Transfer(id));
    }
}

/// Asks whoever is registered under a name at the time.
struct RegisteredCredentials {
    registry: Registry,
    name: String,
}

#[async_trait]
impl CredentialsProvider for RegisteredCredentials {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let registered = {
            let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
            registry.get(&self.name).cloned()
        };
        match registered {
            Some(provider) => provider.credentials().await,
            None => Err(CredentialsError::NotRegistered {
                name: self.name.clone(),
            }),
        }
    }
}
