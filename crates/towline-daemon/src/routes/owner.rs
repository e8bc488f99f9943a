//! Who owns the state, and how long it stays.

use std::sync::{Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use tokio::sync::watch;
use towline::Timestamp;

use super::App;
use crate::Problem;
use crate::api::{About, Mode};
use crate::guard::Via;

/// The owner, as long as it is there.
#[derive(Debug)]
pub(crate) struct Presence {
    mode: Mutex<Mode>,
    since: Timestamp,
    addresses: Vec<String>,
    told_to_leave: watch::Sender<bool>,
}

impl Presence {
    pub(crate) fn new(mode: Mode, addresses: Vec<String>) -> Self {
        Self {
            mode: Mutex::new(mode),
            since: std::time::SystemTime::now().into(),
            addresses,
            told_to_leave: watch::Sender::new(false),
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_mode(&self, mode: Mode) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// Returns once a client has asked the owner to leave.
    pub(crate) async fn told_to_leave(&self) {
        let mut told = self.told_to_leave.subscribe();
        // The sender lives as long as this.
        let _ = told.wait_for(|told| *told).await;
    }

    fn about(&self) -> About {
        About {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            mode: self.mode(),
            since: self.since,
            addresses: self.addresses.clone(),
        }
    }

    /// A command leaves by itself, and is no one's to send away.
    fn of_daemon(&self) -> Result<(), Problem> {
        match self.mode() {
            Mode::Command => Err(Problem::new(
                StatusCode::CONFLICT,
                "NotADaemon",
                format!(
                    "process {} is a command with transfers of its own, not a daemon",
                    std::process::id()
                ),
            )),
            Mode::Background | Mode::Service => Ok(()),
        }
    }
}

/// Who owns the state
#[utoipa::path(
    get,
    path = "/v1/about",
    tag = "service",
    responses((status = 200, body = About)),
)]
pub(super) async fn about(State(app): State<App>) -> Json<About> {
    Json(app.presence.about())
}

/// Have a daemon leave
///
/// As SIGTERM does. Over the control socket only.
#[utoipa::path(
    post,
    path = "/v1/leave",
    tag = "service",
    responses((status = 200, body = About)),
)]
pub(super) async fn leave(
    State(app): State<App>,
    Extension(via): Extension<Via>,
) -> Result<Json<About>, Problem> {
    over_socket(&via)?;
    app.presence.of_daemon()?;
    tracing::info!("told to leave");
    app.presence.told_to_leave.send_replace(true);
    Ok(Json(app.presence.about()))
}

/// Have a daemon stay
///
/// One that would leave when nothing is left to do. Over the control socket only.
#[utoipa::path(
    post,
    path = "/v1/stay",
    tag = "service",
    responses((status = 200, body = About)),
)]
pub(super) async fn stay(
    State(app): State<App>,
    Extension(via): Extension<Via>,
) -> Result<Json<About>, Problem> {
    over_socket(&via)?;
    app.presence.of_daemon()?;
    app.presence.set_mode(Mode::Service);
    Ok(Json(app.presence.about()))
}

fn over_socket(via: &Via) -> Result<(), Problem> {
    match via {
        Via::Socket => Ok(()),
        Via::Tcp { .. } => {
            let detail = "a daemon is told to leave or stay over the control socket only";
            Err(Problem::new(StatusCode::FORBIDDEN, "SocketOnly", detail))
        }
    }
}
