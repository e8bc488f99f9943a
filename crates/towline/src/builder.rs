//! Opens a transfer utility on its state.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use towline_core::{BucketName, Connection, ConnectionSource};
use towline_engine::{Config, Engine, Recovery};
use towline_s3::{
    Credentials, CredentialsProvider, CustomerKey, Environment, S3Connector, StaticCredentials,
};
use towline_store_sqlite::SqliteStore;

use crate::{Error, NetworkMonitor, SettingsError, SubmitError, TransferUtility, retention};

/// What a [`TransferUtility`] is opened with.
pub struct Builder {
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) connection: Connection,
    pub(crate) default_bucket: Option<String>,
    environment: Option<Environment>,
    providers: Vec<(String, Arc<dyn CredentialsProvider>)>,
    /// An identity pool that gives the credentials, unless others are set.
    pub(crate) pool: Option<Pool>,
    connections: HashMap<String, Connection>,
    keys: Vec<(String, CustomerKey)>,
    pub(crate) config: Config,
    retention: retention::Asked,
    network: Network,
}

/// Who tells that the network changed.
enum Network {
    System,
    Monitor(Box<dyn NetworkMonitor>),
    Nobody,
}

/// An identity pool of Amazon Cognito.
pub(crate) struct Pool {
    pub(crate) id: String,
    pub(crate) region: String,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            state_dir: None,
            connection: Connection::default(),
            default_bucket: None,
            environment: None,
            providers: Vec::new(),
            pool: None,
            connections: HashMap::new(),
            keys: Vec::new(),
            config: Config::default(),
            retention: retention::Asked::default(),
            network: Network::System,
        }
    }

    /// Where the state is kept: a directory of its own on a local disk, owned by
    /// one process at a time. Made when it is not there. Default:
    /// `$TOWLINE_STATE_DIR`, else `towline` in the XDG state directory.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// How transfers reach S3 unless they say otherwise. Default: as AWS's
    /// tools do, by environment and files.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.connection = connection;
        self.pool = None;
        self
    }

    /// Another way to S3 under a name: another account, another store. Requests
    /// take it with
    /// [`TransferUtility::connection_named`]. To be given at each opening;
    /// transfers that were submitted keep theirs.
    pub fn connection_named(mut self, name: impl Into<String>, connection: Connection) -> Self {
        self.connections.insert(name.into(), connection);
        self
    }

    /// The bucket of requests that name none.
    pub fn default_bucket(mut self, bucket: impl Into<String>) -> Self {
        self.default_bucket = Some(bucket.into());
        self
    }

    /// Gives credentials under a name, for transfers whose connection has the
    /// source [`Registered`](towline_core::ConnectionSource::Registered) with
    /// it. To be given at each opening: secrets are never stored.
    pub fn credentials(
        mut self,
        name: impl Into<String>,
        provider: impl CredentialsProvider,
    ) -> Self {
        self.providers.push((name.into(), Arc::new(provider)));
        self
    }

    /// Signs with these keys unless a request has another connection. They are
    /// registered as `static`, which transfers remember, and are never stored:
    /// give them at each opening, or to [`TransferUtility::set_credentials`]
    /// later. A [`connection`](Self::connection) set after it decides otherwise.
    pub fn static_credentials(self, credentials: Credentials) -> Self {
        self.own_credentials("static", StaticCredentials(credentials))
    }

    /// Signs with what an identity pool gives unless a request has another
    /// connection. Registered as `cognito`, which transfers remember.
    #[cfg(feature = "cognito")]
    pub fn cognito(self, identity: crate::CognitoIdentity) -> Self {
        self.own_credentials("cognito", identity)
    }

    fn own_credentials(mut self, name: &str, provider: impl CredentialsProvider) -> Self {
        self.connection.source = ConnectionSource::Registered(name.to_owned());
        self.pool = None;
        self.credentials(name, provider)
    }

    /// Makes the pool that a file names the source of credentials.
    fn with_pool(mut self) -> Result<Self, SettingsError> {
        let Some(pool) = self.pool.take() else {
            return Ok(self);
        };
        #[cfg(feature = "cognito")]
        {
            let mut identity = crate::CognitoIdentity::new(pool.id, pool.region)?;
            if let Some(environment) = &self.environment {
                identity = identity.environment(environment.clone());
            }
            Ok(self.cognito(identity))
        }
        #[cfg(not(feature = "cognito"))]
        {
            let Pool { id, region } = pool;
            tracing::debug!(pool = id, region, "no credentials from an identity pool");
            Err(SettingsError::NeedsFeature {
                what: "the identity pool in awsconfiguration.json",
                feature: "cognito",
            })
        }
    }

    /// Gives a key for SSE-C under a name, for transfers with
    /// [`KeyReference::Registered`](towline_core::KeyReference::Registered). To be
    /// given at each opening: keys are never stored, and a transfer whose key is
    /// not there waits for it.
    pub fn customer_key(mut self, name: impl Into<String>, key: CustomerKey) -> Self {
        self.keys.push((name.into(), key));
        self
    }

    /// Reads settings and credentials from this instead of the process's own
    /// environment and home directory.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// How the engine runs.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Keeps the records of so many transfers that completed or were canceled, and
    /// of as many that failed; `None` is no bound. Older ones are forgotten in the
    /// background, but for those that ended in the last ten minutes, and those that
    /// failed and still have something at S3 or on this disk.
    ///
    /// It is remembered with the state. Default: what was asked for last, else
    /// 1,000,000, which take about 250 MB.
    pub fn keep_finished(mut self, most: Option<u64>) -> Self {
        self.retention.keep_finished = Some(most);
        self
    }

    /// Keeps the records of finished transfers for so long after their end, else as
    /// [`keep_finished`](Self::keep_finished) says; `None` is no bound. Default:
    /// what was asked for last, else 30 days.
    pub fn keep_for(mut self, time: Option<Duration>) -> Self {
        self.retention.keep_for = Some(time);
        self
    }

    /// Who tells what network there is. Default: the system, where it does
    /// (Linux), which says nothing of metered ones.
    pub fn network_monitor(mut self, monitor: impl NetworkMonitor) -> Self {
        self.network = Network::Monitor(Box::new(monitor));
        self
    }

    /// Nobody tells what network there is, unless
    /// [`TransferUtility::network_changed`] does.
    pub fn without_network_monitor(mut self) -> Self {
        self.network = Network::Nobody;
        self
    }

    /// Opens the state and goes on with every transfer in it that is neither
    /// final nor paused.
    ///
    /// Fails when another process owns the state, when it is damaged, not ours
    /// or of a newer Towline, or when its place is no good.
    pub async fn open(self) -> Result<TransferUtility, Error> {
        self.opening().await
    }

    /// Boxed, so that all of it is compiled here and not in each crate that opens
    /// a state.
    fn opening(self) -> Opening {
        Box::pin(self.opened())
    }

    async fn opened(mut self) -> Result<TransferUtility, Error> {
        self = self.with_pool()?;
        let default_bucket = match self.default_bucket {
            Some(bucket) => Some(BucketName::new(bucket).map_err(SubmitError::from)?),
            None => None,
        };
        let dir = self.state_dir.unwrap_or_else(default_state_dir);
        let environment = self.environment.unwrap_or_else(Environment::of_process);
        let connector = S3Connector::with_environment(environment);
        for (name, provider) in self.providers {
            connector.register(name, provider);
        }
        for (name, key) in self.keys {
            connector.register_key(name, key);
        }
        let connector = Arc::new(connector);
        let (state_dir, asked) = (dir.clone(), self.retention);
        let opened = tokio::task::spawn_blocking(move || {
            SqliteStore::open(&dir).map(|store| (store, retention::of_state(&dir, asked)))
        });
        let (store, retention) = match opened.await {
            Ok(opened) => opened?,
            Err(error) => return Err(Error::Start(error.into())),
        };
        let recovers = self.config.recovery == Recovery::All;
        let engine = Engine::start(Arc::new(store), connector.clone(), self.config.clone()).await?;
        let utility = TransferUtility::new(
            engine,
            connector,
            self.connection,
            default_bucket,
            self.connections,
            self.config,
            state_dir,
        );
        match self.network {
            Network::System => utility.watch_system_network()?,
            Network::Monitor(monitor) => utility.watch_network(monitor)?,
            Network::Nobody => {}
        }
        if recovers {
            utility.end_lost_streams().await?;
            utility.sweep_spool().await?;
            utility.go_on_with_groups().await?;
        }
        let keeping = retention::keep_to(retention, utility.downgrade());
        utility.engine().spawn(keeping)?;
        Ok(utility)
    }
}

type Opening = Pin<Box<dyn Future<Output = Result<TransferUtility, Error>> + Send>>;

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("state_dir", &self.state_dir)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// `$TOWLINE_STATE_DIR`, else `towline` in the XDG state directory.
pub(crate) fn default_state_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(dir) = set("TOWLINE_STATE_DIR") {
        return dir.into();
    }
    let state = set("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute());
    let home = || PathBuf::from(set("HOME").unwrap_or_else(|| "/".into()));
    state
        .unwrap_or_else(|| home().join(".local/state"))
        .join("towline")
}
