//! Store contract, crash harness and other tools of Towline's tests.

pub mod crash;
pub mod store_contract;
