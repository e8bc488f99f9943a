//! What network there is: the system tells when it changes, an app may tell
//! what kind it is.

#[cfg(target_os = "linux")]
mod netlink;

use async_trait::async_trait;
use futures_util::stream;
use towline_core::{Command, NetworkClass, NetworkPolicy, TransferId};

use crate::{Error, TransferObserver, TransferUtility};

/// Tells what network there is. An app on a phone, which knows more than the
/// system tells a process, gives one to
/// [`Builder::network_monitor`](crate::Builder::network_monitor), or calls
/// [`TransferUtility::network_changed`] where it hears of a change.
///
/// No transfer depends on one to go on: a store that cannot be reached is asked
/// again at least every 30 s. With one it is asked at once.
#[async_trait]
pub trait NetworkMonitor: Send + Sync + 'static {
    /// Waits until the network is another one, is there again or is gone, or may
    /// be, and tells of what kind it is then. Too many tellings harm nothing.
    /// `None`: nothing will be told any more.
    async fn changed(&mut self) -> Option<NetworkClass>;
}

impl TransferUtility {
    /// The network changed, and is of this kind now. Transfers that must not use
    /// it wait as [`WaitingForNetwork`](crate::State::WaitingForNetwork) with the
    /// reason [`NetworkClass`](crate::ParkReason::NetworkClass), those that may
    /// again go on, and stores that could not be reached are asked at once.
    pub fn network_changed(&self, class: NetworkClass) -> Result<(), Error> {
        Ok(self.engine().network_changed(class)?)
    }

    /// Lets a transfer go on these networks only, from now on. False when it is
    /// so already, or the transfer is completed. Durable when this returns.
    pub async fn allow_on(&self, id: TransferId, policy: NetworkPolicy) -> Result<bool, Error> {
        self.steer(id, Command::AllowOn(policy)).await
    }

    /// Hears of changes from this monitor for as long as the utility is open.
    pub(crate) fn watch_network(&self, monitor: Box<dyn NetworkMonitor>) -> Result<(), Error> {
        let changes = stream::unfold(monitor, |mut monitor| async move {
            let class = monitor.changed().await?;
            Some((class, monitor))
        });
        Ok(self.engine().watch_network(changes)?)
    }

    /// Hears of changes from the system, where it tells.
    pub(crate) fn watch_system_network(&self) -> Result<(), Error> {
        #[cfg(target_os = "linux")]
        {
            let changes = stream::once(async { netlink::Changes::open() });
            let changes = futures_util::StreamExt::flat_map(changes, |opened| {
                let opened = opened.inspect_err(|error| {
                    tracing::info!(%error, "the system does not tell of changes of the network");
                });
                stream::unfold(opened.ok(), |changes| async move {
                    let mut changes = changes?;
                    let class = changes.changed().await?;
                    Some((class, Some(changes)))
                })
            });
            Ok(self.engine().watch_network(changes)?)
        }
        #[cfg(not(target_os = "linux"))]
        Ok(())
    }
}

impl TransferObserver {
    /// Lets it go on these networks only, from now on, see
    /// [`TransferUtility::allow_on`].
    pub async fn allow_on(&self, policy: NetworkPolicy) -> Result<bool, Error> {
        self.utility.allow_on(self.id(), policy).await
    }
}
