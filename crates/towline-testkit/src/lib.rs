//! Store contract, crash harness, fault proxy and other tools of Towline's tests.

pub mod crash;
#[cfg(target_os = "linux")]
pub mod disk;
pub mod fault_proxy;
pub mod foreign;
pub mod simulation;
pub mod small_disk;
pub mod store_contract;
