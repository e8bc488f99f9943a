//! Metrics for Prometheus. `docs/dashboard.json` shows them.

use std::time::SystemTime;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use towline::{COMMIT_BOUNDS_MS, Statistics, Timestamp};

use super::App;
use crate::Problem;
use crate::prometheus::Text;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    responses((status = 200, content_type = "text/plain", body = String)),
)]
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let mut text = Text::default();
    text.metric("towline_build_info", "gauge", "Which version runs.");
    let version = env!("CARGO_PKG_VERSION");
    text.sample("towline_build_info", &[("version", version)], 1);
    engine(&mut text, &app.utility.statistics());
    transfers(&mut text, &app).await?;
    let answer = ([(header::CONTENT_TYPE, CONTENT_TYPE)], text.finish());
    Ok(answer.into_response())
}

fn engine(text: &mut Text, done: &Statistics) {
    let name = "towline_bytes_total";
    text.metric(
        name,
        "counter",
        "Bytes moved, also by attempts that were given up.",
    );
    text.sample(name, &[("direction", "up")], done.bytes_up);
    text.sample(name, &[("direction", "down")], done.bytes_down);

    let name = "towline_requests_total";
    text.metric(name, "counter", "Requests to S3 that have ended.");
    for ((operation, result), count) in &done.requests {
        text.sample(name, &[("operation", operation), ("result", result)], count);
    }
    let name = "towline_requests_in_flight";
    text.metric(name, "gauge", "Requests to S3 under way.");
    text.sample(name, &[], done.requests_under_way);

    let name = "towline_failures_total";
    text.metric(
        name,
        "counter",
        "Failed attempts, by what is done about them.",
    );
    for (class, count) in &done.failures {
        text.sample(name, &[("class", class)], count);
    }
    let name = "towline_stalls_total";
    text.metric(name, "counter", "Attempts given up because nothing moved.");
    text.sample(name, &[], done.stalls);

    let name = "towline_store_commit_seconds";
    text.metric(
        name,
        "histogram",
        "How long commits of what was decided took.",
    );
    let bucket = "towline_store_commit_seconds_bucket";
    let mut below = 0;
    let bounds = COMMIT_BOUNDS_MS
        .iter()
        .map(|ms| (*ms as f64 / 1000.0).to_string());
    let bounds = bounds.chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(&done.commits) {
        below += count;
        text.sample(bucket, &[("le", &bound)], below);
    }
    let seconds = done.commit_time.as_secs_f64();
    text.sample("towline_store_commit_seconds_sum", &[], seconds);
    text.sample("towline_store_commit_seconds_count", &[], below);
}

async fn transfers(text: &mut Text, app: &App) -> Result<(), Problem> {
    let counts = super::find::counted(app).await?;
    let name = "towline_transfers";
    text.metric(name, "gauge", "Transfers that are recorded, by state.");
    for state in towline::State::ALL {
        text.sample(name, &[("state", state.as_str())], counts.of(state));
    }
    let name = "towline_oldest_unfinished_seconds";
    let help = "How long ago the oldest unfinished transfer was asked for; 0 when there is none.";
    text.metric(name, "gauge", help);
    let now = Timestamp::from(SystemTime::now()).as_millis();
    let oldest = app.utility.oldest_unfinished().await?;
    let age = oldest.map_or(0, |oldest| now.saturating_sub(oldest.as_millis()).max(0));
    text.sample(name, &[], age as f64 / 1000.0);

    let limits = app.utility.limits();
    let name = "towline_requests_limit";
    text.metric(
        name,
        "gauge",
        "Requests to S3 that there may be at one time.",
    );
    text.sample(name, &[], limits.requests);
    let pool = app.utility.connections();
    let name = "towline_connections_open";
    text.metric(
        name,
        "gauge",
        "Connections to stores and proxies that are open.",
    );
    text.sample(name, &[], pool.open);
    let name = "towline_connections_opened_total";
    text.metric(
        name,
        "counter",
        "Connections to stores and proxies that were opened.",
    );
    text.sample(name, &[], pool.opened);
    Ok(())
}
