//! Metrics, and the dashboard that shows them.

use std::collections::BTreeSet;

use crate::served::Served;

/// The names of all metrics that are told.
fn names(text: &str) -> BTreeSet<&str> {
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    kinds.filter_map(|kind| kind.split(' ').next()).collect()
}

fn value(text: &str, sample: &str) -> f64 {
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{sample} ")));
    found
        .unwrap_or_else(|| panic!("{sample} is not in\n{text}"))
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_counted() {
    let served = Served::start().await;
    let id = served.submit_one(served.upload("a", 1000));
    served.until(id, "completed").await;
    let missing = served.submit_one(serde_json::json!({
        "type": "download", "bucket": "bucket", "key": "missing", "path": served.path("x"),
    }));
    served.until(missing, "failed").await;
    let answer = served.http.get("/metrics");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = String::from_utf8(answer.body).unwrap();
    for (sample, expected) in [
        ("towline_bytes_total{direction=\"up\"}", 1000.0),
        ("towline_bytes_total{direction=\"down\"}", 0.0),
        (
            "towline_requests_total{operation=\"PutObject\",result=\"ok\"}",
            1.0,
        ),
        ("towline_transfers{state=\"completed\"}", 1.0),
        ("towline_transfers{state=\"failed\"}", 1.0),
        ("towline_transfers{state=\"waiting\"}", 0.0),
        ("towline_requests_in_flight", 0.0),
        ("towline_oldest_unfinished_seconds", 0.0),
        ("towline_stalls_total", 0.0),
    ] {
        assert_eq!(value(&text, sample), expected, "{sample}");
    }
    assert!(value(&text, "towline_failures_total{class=\"fail\"}") >= 1.0);
    assert!(value(&text, "towline_connections_opened_total") >= 1.0);
    let commits = value(&text, "towline_store_commit_seconds_count");
    assert!(commits >= 2.0);
    assert_eq!(
        value(&text, "towline_store_commit_seconds_bucket{le=\"+Inf\"}"),
        commits
    );
    assert!(value(&text, "towline_store_commit_seconds_sum") > 0.0);
    // Each sample belongs to a metric that was announced.
    let names = names(&text);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        assert!(
            names.contains(name) || base.is_some_and(|it| names.contains(it)),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_shows_every_metric_and_no_other() {
    let served = Served::start().await;
    let text = String::from_utf8(served.http.get("/metrics").body).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dashboard.json");
    let dashboard = std::fs::read_to_string(path).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<_> = targets
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    let mut shown = BTreeSet::new();
    for query in &queries {
        let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| word.starts_with("towline_")) {
            shown.insert(word.trim_end_matches("_bucket").to_owned());
        }
    }
    let told: BTreeSet<_> = names(&text).into_iter().map(str::to_owned).collect();
    assert_eq!(shown, told);
}

#[test]
fn every_test_that_the_threat_table_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let words = table.split('`').skip(1).step_by(2);
    let named: Vec<_> = words
        .filter(|word| word.matches('_').count() >= 4)
        .collect();
    assert!(named.len() > 25, "{named:?}");
    let mut sources = String::new();
    let mut dirs = vec![root.join("crates")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                sources += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    for name in named {
        assert!(sources.contains(&format!("fn {name}(")), "{name}");
    }
}
