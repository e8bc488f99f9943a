//! Linux tells of every change of links, addresses and routes. What changed is
//! not looked at: it is only a reason to ask the store at once.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};
use towline_core::NetworkClass;

use super::NetworkMonitor;

/// `RTMGRP_LINK`, `…_IPV4_IFADDR`, `…_IPV4_ROUTE`, `…_IPV6_IFADDR`, `…_IPV6_ROUTE` of
/// `linux/rtnetlink.h`.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// One change is told in several messages.
const SETTLES_IN: Duration = Duration::from_millis(200);

pub(super) struct Changes(TokioSocket);

impl Changes {
    /// On a runtime.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        socket.socket_mut().bind(&SocketAddr::new(0, GROUPS))?;
        Ok(Self(socket))
    }

    async fn message(&self) -> io::Result<()> {
        let mut message = Vec::with_capacity(16 << 10);
        match self.0.recv(&mut message).await {
            // There were more than the system keeps: that is news too.
            Err(error) if error.raw_os_error() == Some(NO_BUFFERS) => Ok(()),
            received => received,
        }
    }
}

/// `ENOBUFS`.
const NO_BUFFERS: i32 = 105;

#[async_trait]
impl NetworkMonitor for Changes {
    async fn changed(&mut self) -> Option<NetworkClass> {
        self.message().await.ok()?;
        let quiet = async { while self.message().await.is_ok() {} };
        let _ = tokio::time::timeout(SETTLES_IN, quiet).await;
        Some(NetworkClass::Unknown)
    }
}
