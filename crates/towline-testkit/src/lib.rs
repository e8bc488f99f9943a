//! Store contract, fault proxy and other tools of Towline's tests.

pub mod fault_proxy;
pub mod store_contract;
