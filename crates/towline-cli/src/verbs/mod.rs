//! The verbs, a file each.

#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod download;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod upload;

use towline::{Config, Recovery, TransferUtility};

use crate::args::{Common, Waiting};
use crate::error::Error;

/// Opens the state to carry what this command asks for, and nothing else.
async fn open(common: &Common, waiting: &Waiting) -> Result<TransferUtility, Error> {
    let mut config = Config::default();
    config.recovery = Recovery::Named;
    if let Some(requests) = waiting.concurrency {
        config.requests = requests.into();
        config.parts_per_transfer = config.parts_per_transfer.min(requests.into());
    }
    let builder = TransferUtility::builder()
        .state_dir(common.state_dir())
        .connection(common.connection())
        .config(config);
    Ok(builder.open().await?)
}
