//! The page in a real browser: headless Chromium, the real service, a server in
//! this process. `TOWLINE_CHROMEDRIVER` and `TOWLINE_CHROMIUM` name the
//! programs; `./test.sh` installs them.

#![allow(clippy::unwrap_used, unreachable_pub)] // in tests it is the assertion

mod browser;
mod dropping;
mod foreign;
mod groups;
mod hostile;
mod keyboard;
mod login;
mod lost;
mod many;
mod service;
mod steering;
mod views;
