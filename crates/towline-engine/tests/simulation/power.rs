//! Losses of power, on a simulated disk: what was removed stays so. F7.5.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use towline_core::{
    Command, Connection, Direction, NewTransfer, ObjectAddress, Phase, Spec, Store, Timestamp,
    TransferOptions,
};
use towline_engine::{Config, Engine, Simulated};
use towline_testkit::simulation::{SimulatedDisk, SimulatedS3, SimulatedStores, Trace};
use towline_testkit::store_contract::MemoryStore;

use crate::scene::{BUCKET, STORE};

/// A download that is canceled half way; then the power is lost.
async fn canceled(seed: u64) -> Vec<std::path::PathBuf> {
    let trace = Trace::default();
    let disk = SimulatedDisk::new(&trace, seed, [Path::new("/targets")]);
    let s3 = SimulatedS3::new();
    s3.put(BUCKET, "object", vec![7; 1 << 20]);
    s3.set_bandwidth(Some(100_000));
    let simulated = Simulated {
        since: trace.start(),
        disk: Arc::new(disk.clone()),
        seed,
    };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let stores = SimulatedStores::with([(STORE, &s3)]);
    let engine = Engine::start_in(simulated, Arc::clone(&store), stores, Config::default());
    let engine = engine.await.unwrap();
    let new = NewTransfer {
        source: None,
        spec: Spec {
            direction: Direction::Download,
            connection: Connection {
                endpoint: Some(STORE.into()),
                ..Connection::default()
            },
            object: ObjectAddress::new(
                BUCKET.to_owned().try_into().unwrap(),
                "object".to_owned().try_into().unwrap(),
            ),
            path: "/targets/file".into(),
            options: TransferOptions::default(),
            token: None,
            group: None,
        },
        created_at: Timestamp::from_millis(1),
    };
    let id = engine.submit(vec![new]).await.unwrap()[0].record().id;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(disk.files().len(), 1, "it has a temporary file");
    engine.command(id, Command::Cancel).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let phase = store.get(id).await.unwrap().unwrap().phase;
    assert_eq!(phase, Phase::Canceled);
    engine.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    disk.lose_power();
    disk.files()
}

/// Found by a random world: the name was removed, and its directory not synced.
#[tokio::test(start_paused = true)]
async fn no_loss_of_power_brings_back_the_temporary_file_of_a_canceled_download() {
    for seed in 0..20 {
        assert_eq!(
            canceled(seed).await,
            Vec::<std::path::PathBuf>::new(),
            "{seed}"
        );
    }
}
