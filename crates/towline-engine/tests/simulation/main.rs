//! The real engine in simulated time, against simulated stores: what takes
//! minutes, hours or days. T39, T40, T44, T45, T54, T69.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod bandwidth;
mod copies;
mod credentials;
mod many;
mod metered;
mod outages;
mod power;
mod priority;
mod request_rate;
mod scene;
mod steering;
mod throttling;
