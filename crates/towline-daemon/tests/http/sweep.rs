//! Every route, as strangers ask for it. The routes come from the OpenAPI
//! document, which is made of the router: a new one is swept too.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::served::Served;

/// All that may be asked for without the token.
const PUBLIC: [(&str, &str); 7] = [
    ("GET", "/v1/alive"),
    ("POST", "/v1/login"),
    ("GET", "/"),
    ("GET", "/app.js"),
    ("GET", "/style.css"),
    ("GET", "/api.html"),
    ("GET", "/api.js"),
];

/// Each route with a path that could be asked for.
fn routes(served: &Served) -> Vec<(String, String)> {
    let document = served.http.get("/v1/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    let mut routes: Vec<_> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let path = path.replace("{id}", "1").replace("{verb}", "cancel");
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    assert!(routes.len() >= 18, "{routes:?}");
    for (method, path) in PUBLIC.into_iter().chain([
        ("GET", "/v1/openapi.json"),
        ("GET", "/nowhere"),
        ("POST", "/nowhere"),
        ("OPTIONS", "/v1/transfers"),
        ("TRACE", "/v1/transfers"),
        ("HEAD", "/v1/transfers"),
        ("DELETE", "/"),
    ]) {
        let route = (method.to_owned(), path.to_owned());
        if !routes.contains(&route) {
            routes.push(route);
        }
    }
    routes
}

fn is_public(method: &str, path: &str) -> bool {
    PUBLIC.contains(&(method, path))
}

/// What must be the same after a sweep.
fn state(served: &Served) -> (Value, Value, Value) {
    let get = |path| served.http.get(path).json();
    (
        get("/v1/transfers"),
        get("/v1/limits"),
        get("/v1/transfers/1/parts"),
    )
}

/// Asks every route in this way; each has to be refused with one of these
/// statuses, and nothing may change.
async fn refuses(statuses: &[u16], headers: &[(&str, &str)], which: impl Fn(&str, &str) -> bool) {
    let served = paused_transfer().await;
    let before = state(&served);
    for (method, path) in routes(&served) {
        if which(&method, &path) {
            let answer = served.http.with(&method, &path, headers, b"{}");
            let asked = format!("{method} {path} {headers:?}");
            assert!(statuses.contains(&answer.status), "{asked}: {answer:?}");
            assert_hardened(&answer, &asked);
        }
    }
    assert_eq!(state(&served), before);
}

/// One that any of the verbs would change.
async fn paused_transfer() -> Served {
    let served = Served::start().await;
    served.s3.faults().bandwidth(1 << 20);
    let id = served.submit_one(served.upload("a", 7 << 20));
    assert_eq!(id, 1);
    served.http.ask("POST", "/v1/transfers/1/pause", b"");
    served.until(id, "paused").await;
    served
}

fn assert_hardened(answer: &Answer, asked: &str) {
    let has = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    let policy = has("content-security-policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(rule), "{asked}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{asked}: {policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(has(name), value, "{asked}: {name}");
    }
    let head = answer.head.to_ascii_lowercase();
    assert!(!head.contains("access-control"), "{asked}: {head}");
    assert!(!head.contains("set-cookie"), "{asked}: {head}");
    assert!(!head.contains("server:"), "{asked}: {head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_a_page_of_another_site_gets_nothing_and_changes_nothing() {
    for foreign in [
        "http://evil.test",
        "null",
        "http://127.0.0.1:1",
        "https://localhost",
    ] {
        refuses(&[403], &[("Origin", foreign)], |_, _| true).await;
    }
    for site in ["cross-site", "same-site", "nonsense"] {
        refuses(&[403], &[("Sec-Fetch-Site", site)], |_, _| true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_what_changes_something_is_no_form() {
    let changes = |method: &str, _: &str| matches!(method, "POST" | "PUT" | "PATCH");
    for kind in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/json, text/plain",
    ] {
        refuses(&[415], &[("Content-Type", kind)], changes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_a_request_under_another_name_is_misdirected() {
    let served = Served::start().await;
    let own = served.http.host();
    let port = served.http.address.port();
    let userinfo = format!("user@{own}");
    let elsewhere = format!("127.0.0.1:{}", port ^ 1);
    let similar = format!("localhost.evil.test:{port}");
    let dotted = format!("localhost.:{port}");
    let names = [
        "evil.test",
        "",
        "127.0.0.1",
        &userinfo,
        &elsewhere,
        &similar,
        &dotted,
    ];
    for name in names {
        for (method, path) in routes(&served) {
            let answer = served.http.with(&method, &path, &[("Host", name)], b"{}");
            assert_eq!(answer.status, 421, "{method} {path} {name:?}");
            assert_hardened(&answer, &path);
        }
    }
    let token = format!("Authorization: Bearer {}", served.http.token);
    let twice = format!("GET /v1/about HTTP/1.1\r\nHost: {own}\r\nHost: {own}\r\n{token}\r\n\r\n");
    assert_eq!(served.http.raw(twice.as_bytes()).status, 421);
    for target in [
        "http://evil.test/v1/about",
        &format!("http://{own}/v1/about"),
    ] {
        let close = "Connection: close";
        let absolute =
            format!("GET {target} HTTP/1.1\r\nHost: {own}\r\n{close}\r\n{token}\r\n\r\n");
        assert_eq!(served.http.raw(absolute.as_bytes()).status, 421, "{target}");
    }
    for name in ["localhost", "[::1]", "127.0.0.1"] {
        let host = format!("{name}:{port}");
        let answer = served
            .http
            .with("GET", "/v1/about", &[("Host", &host)], b"");
        assert_eq!(answer.status, 200, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_without_the_token_there_is_only_a_sign_of_life_and_an_empty_page() {
    let private = |method: &str, path: &str| !is_public(method, path);
    let long = "0".repeat(64);
    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic dDp0",
        &format!("Bearer {long}"),
    ] {
        refuses(&[401], &[("Authorization", wrong)], private).await;
    }
    let served = Served::start().await;
    for (method, path) in PUBLIC {
        let answer = served
            .http
            .with(method, path, &[("Authorization", "")], b"{}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!([200, 400].contains(&answer.status), "{path}: {answer:?}");
        assert_hardened(&answer, path);
        assert!(!text.contains(&served.http.token), "{path}");
    }
    let alive = served
        .http
        .with("GET", "/v1/alive", &[("Authorization", "")], b"");
    assert_eq!(alive.json(), json!({ "alive": true }));
    let refused = served
        .http
        .with("GET", "/v1/about", &[("Authorization", "")], b"");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!(refused.code(), "Unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_every_answer_is_hardened_and_s7_none_sets_a_cookie() {
    let served = paused_transfer().await;
    for (method, path) in routes(&served) {
        if path != "/v1/events" {
            let answer = served.http.ask(&method, &path, b"");
            assert_ne!(answer.status, 401, "{method} {path}");
            assert_hardened(&answer, &path);
        }
    }
    // A panic of ours would show as a connection that closes without an answer.
    let own = format!("http://{}", served.http.host());
    let headers = [("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")];
    let answer = served.http.with("GET", "/v1/about", &headers, b"");
    assert_eq!(answer.status, 200);
    let upgrade = [
        ("Connection", "upgrade"),
        ("Upgrade", "websocket"),
        ("Origin", "http://evil.test"),
    ];
    let answer = served.http.with("GET", "/v1/events", &upgrade, b"");
    assert_eq!(answer.status, 403, "s8: {answer:?}");
}
