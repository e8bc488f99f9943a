//! What the API gives.

use std::time::Instant;

use serde_json::{Value, json};

use crate::served::{BUCKET, LONG, Served};

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_submitted_listed_shown_counted_and_removed() {
    let served = Served::start().await;
    let id = served.submit_one(served.upload("dir/Cat.jpg", 10));
    let shown = served.until(id, "completed").await;
    assert_eq!(shown["verified"], "full-object");
    assert_eq!(shown["incidents"], json!([]));
    let found = |query: &str| {
        let page = served.http.get(&format!("/v1/transfers?{query}"));
        assert_eq!(page.status, 200, "{query}: {}", page.json());
        page.json()["transfers"].as_array().unwrap().len()
    };
    for hit in [
        "",
        "search=cAt",
        "state=completed",
        "type=upload&bucket=bucket",
        "search=ir%2Fc",
    ] {
        assert_eq!(found(hit), 1, "{hit}");
    }
    for miss in [
        "search=dog",
        "state=failed",
        "type=download",
        "bucket=other",
        "group=g",
    ] {
        assert_eq!(found(miss), 0, "{miss}");
    }
    let counts = served.http.get("/v1/counts").json();
    assert_eq!(
        (&counts["completed"], &counts["waiting"]),
        (&json!(1), &json!(0))
    );
    let parts = served.http.get(&format!("/v1/transfers/{id}/parts")).json();
    assert_eq!((&parts["count"], &parts["parts"]), (&json!(1), &json!([])));
    assert_eq!(parts["proof"]["verified"], "full-object");
    assert_eq!(parts["proof"]["checksum"][0], "crc64nvme");
    let removed = served
        .http
        .ask("DELETE", &format!("/v1/transfers/{id}"), b"");
    assert_eq!(
        (removed.status, &removed.json()["state"]),
        (200, &Value::Null)
    );
    assert_eq!(
        served.http.get(&format!("/v1/transfers/{id}")).code(),
        "UnknownTransfer"
    );
    assert_eq!(
        served.http.get(&format!("/v1/transfers/{id}/parts")).code(),
        "UnknownTransfer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_live_transfer_are_seen_as_they_move() {
    const LEN: usize = 23 << 20;
    let served = Served::start().await;
    served.s3.faults().bandwidth(8 << 20);
    let id = served.submit_one(served.upload("large", LEN));
    let begun = Instant::now();
    let path = format!("/v1/transfers/{id}/parts");
    loop {
        let parts = served.http.get(&path).json();
        let states: Vec<_> = parts["parts"].as_array().unwrap().iter().collect();
        let sending = states.iter().filter(|part| part["state"] == "sending");
        let moved = sending.filter(|part| part["bytes"].as_u64().unwrap() > 0);
        if moved.count() > 0 {
            assert_eq!((&parts["count"], states.len()), (&json!(5), 5));
            assert_eq!(states[4]["end"], json!(LEN));
            assert_eq!(states[1]["start"], states[0]["end"]);
            break;
        }
        assert!(begun.elapsed() < LONG, "{parts}");
    }
    let in_progress = served.http.get("/v1/transfers?state=in_progress").json();
    assert_eq!(in_progress["transfers"][0]["id"], json!(id));
    assert_eq!(
        served.http.get("/v1/counts").json()["in_progress"],
        json!(1)
    );
    let paused = served
        .http
        .ask("POST", &format!("/v1/transfers/{id}/pause"), b"");
    assert_eq!(paused.json()["state"], "paused");
    let parts = served.http.get(&path).json();
    let parts = parts["parts"].as_array().unwrap();
    assert!(
        parts.iter().all(|part| part["state"] != "sending"),
        "{parts:?}"
    );
    served.s3.faults().clear();
    served
        .http
        .ask("POST", &format!("/v1/transfers/{id}/resume"), b"");
    served.until(id, "completed").await;
    let speed = loop {
        let speed = served.http.get("/v1/throughput").json();
        let up = speed["up"].as_array().unwrap().iter();
        if up.map(|bytes| bytes.as_u64().unwrap()).sum::<u64>() >= LEN as u64 {
            break speed;
        }
        assert!(begun.elapsed() < LONG, "{speed}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(speed["until"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(
        speed["up"].as_array().unwrap().len(),
        speed["down"].as_array().unwrap().len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_bulk_all_that_match_are_steered_and_none_that_is_canceled_is_revived() {
    let served = Served::start().await;
    served.s3.faults().bandwidth(1 << 20);
    let ids = ["a", "b", "c"].map(|key| served.submit_one(served.upload(key, 7 << 20)));
    let steer = |verb: &str, body: &Value| {
        let answer = served.http.post(&format!("/v1/transfers/{verb}"), body);
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()["transfers"].as_array().unwrap().len()
    };
    assert_eq!(steer("pause", &json!({ "all": [{}] })), 3);
    assert_eq!(served.http.get("/v1/counts").json()["paused"], json!(3));
    assert_eq!(steer("cancel", &json!({ "ids": [ids[0]] })), 1);
    served.until(ids[0], "canceled").await;
    served.s3.faults().clear();
    assert_eq!(
        steer("resume", &json!({ "all": [{ "bucket": BUCKET }] })),
        2
    );
    served.until(ids[1], "completed").await;
    served.until(ids[2], "completed").await;
    assert_eq!(steer("retry", &json!({ "all": [{}] })), 0);
    assert_eq!(served.http.get("/v1/counts").json()["canceled"], json!(1));
    assert_eq!(
        steer("remove", &json!({ "all": [{ "type": "upload" }] })),
        3
    );
    assert_eq!(
        served.http.get("/v1/transfers").json()["transfers"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_token_is_the_same_transfer_and_another_body_is_refused() {
    let served = Served::start().await;
    let mut request = served.upload("a", 10);
    request["token"] = json!("mine");
    let id = served.submit_one(request.clone());
    served.until(id, "completed").await;
    assert_eq!(served.submit_one(request.clone()), id);
    request["key"] = json!("b");
    let refused = served.submit(&[request]);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "TokenTaken")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_change_while_the_service_runs_and_nothing_else_does() {
    let served = Served::start().await;
    let patch = |body: Value| {
        served
            .http
            .ask("PATCH", "/v1/limits", body.to_string().as_bytes())
    };
    let set = patch(json!({ "requests": 3 })).json();
    assert_eq!(
        (&set["requests"], &set["parts_per_transfer"]),
        (&json!(3), &Value::Null)
    );
    let set = patch(json!({ "parts_per_transfer": 2 })).json();
    assert_eq!(served.http.get("/v1/limits").json(), set);
    assert_eq!(
        (&set["requests"], &set["parts_per_transfer"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(set["request_rate"], Value::Null);
    assert_eq!(
        patch(json!({ "request_rate": 50 })).json()["request_rate"],
        50
    );
    let set = patch(json!({ "requests": 4 })).json();
    assert_eq!(
        (&set["requests"], &set["request_rate"]),
        (&json!(4), &json!(50))
    );
    let set = patch(json!({ "request_rate": null })).json();
    assert_eq!(set["request_rate"], Value::Null);
    for wrong in [
        json!({ "requests": 0 }),
        json!({ "parts_per_transfer": 257 }),
        json!({ "requests": 9, "request_rate": 0 }),
    ] {
        assert_eq!(patch(wrong).status, 422);
    }
    for wrong in ["token", "auth", "listen", "root", "spool_quota"] {
        let body = json!({ wrong: "x" });
        assert_eq!(patch(body).status, 400, "s12: {wrong}");
    }
    assert_eq!(served.http.get("/v1/limits").json(), set);
}

#[tokio::test(flavor = "multi_thread")]
async fn t69_caps_on_bandwidth_are_set_one_by_one_and_lifted_with_null() {
    let served = Served::start().await;
    let patch = |body: Value| {
        served
            .http
            .ask("PATCH", "/v1/limits", body.to_string().as_bytes())
    };
    let caps = |upload: Value, download: Value| json!({ "upload": upload, "download": download });
    let (null, none) = (Value::Null, caps(Value::Null, Value::Null));
    let now = served.http.get("/v1/limits").json();
    assert_eq!((&now["bandwidth"], &now["groups"]), (&none, &json!({})));

    for (body, bandwidth, groups) in [
        (
            json!({ "bandwidth": { "upload": 5_000_000 } }),
            caps(5_000_000.into(), null.clone()),
            json!({}),
        ),
        (
            json!({ "bandwidth": { "download": 1024 }, "groups": { "a": { "upload": 2048 } } }),
            caps(5_000_000.into(), 1024.into()),
            json!({ "a": caps(2048.into(), null.clone()) }),
        ),
        (
            json!({ "bandwidth": { "upload": null }, "groups": {
                "a": { "download": u64::MAX }, "b c": { "upload": 4096 }, "gone": null
            } }),
            caps(null.clone(), 1024.into()),
            json!({
                "a": caps(2048.into(), u64::MAX.into()),
                "b c": caps(4096.into(), null.clone()),
            }),
        ),
        (
            json!({ "requests": 2, "groups": { "a": null, "b c": { "upload": null } } }),
            caps(null.clone(), 1024.into()),
            json!({}),
        ),
        (json!({ "bandwidth": null }), none.clone(), json!({})),
    ] {
        let set = patch(body.clone());
        assert_eq!(set.status, 200, "{body}: {}", set.json());
        let set = set.json();
        let is = (&set["bandwidth"], &set["groups"]);
        assert_eq!(is, (&bandwidth, &groups), "{body}");
        assert_eq!(served.http.get("/v1/limits").json(), set);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t69_a_cap_that_is_none_sets_nothing_and_groups_with_caps_are_bounded() {
    let served = Served::start().await;
    let patch = |body: &Value| {
        served
            .http
            .ask("PATCH", "/v1/limits", body.to_string().as_bytes())
    };
    let before = served.http.get("/v1/limits").json();
    let long = "x".repeat(8193);
    let many: serde_json::Map<_, _> = (0..1001)
        .map(|number| (number.to_string(), json!({ "upload": 1024 })))
        .collect();
    for (status, wrong) in [
        (
            422,
            json!({ "requests": 3, "bandwidth": { "upload": 1023 } }),
        ),
        (
            422,
            json!({ "bandwidth": { "upload": 9999, "download": 0 } }),
        ),
        (
            422,
            json!({ "bandwidth": { "upload": 9999 }, "groups": { "g": { "upload": 1 } } }),
        ),
        (422, json!({ "groups": { long: { "upload": 9999 } } })),
        (422, json!({ "groups": many })),
        (400, json!({ "bandwidth": { "upload": -1 } })),
        (400, json!({ "bandwidth": { "upload": 1.5e6 } })),
        (400, json!({ "bandwidth": { "upload": "1MiB" } })),
        (400, json!({ "bandwidth": { "up": 9999 } })),
        (400, json!({ "bandwidth": 9999 })),
        (400, json!({ "groups": { "g": 9999 } })),
    ] {
        let answer = patch(&wrong);
        assert_eq!(answer.status, status, "{wrong}: {}", answer.json());
        if status == 422 {
            assert_eq!(answer.code(), "BadLimit", "{wrong}");
        }
    }
    assert_eq!(served.http.get("/v1/limits").json(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn t69_the_bytes_of_the_service_keep_to_its_caps() {
    const LEN: usize = 6 << 20;
    let served = Served::start().await;
    let patch = |body: Value| {
        let body = body.to_string();
        let set = served.http.ask("PATCH", "/v1/limits", body.as_bytes());
        assert_eq!(set.status, 200, "{}", set.json());
    };
    patch(json!({ "groups": { "g": { "upload": 16384 } } })); // would take 6 minutes
    let mut request = served.upload("slow", LEN);
    request["group"] = "g".into();
    let slow = served.submit_one(request);
    let other = served.submit_one(served.upload("other", LEN));
    served.until(other, "completed").await;
    let shown = served.http.get(&format!("/v1/transfers/{slow}")).json();
    assert_eq!(shown["state"], "in_progress", "{shown}");
    patch(json!({ "groups": { "g": null } }));
    served.until(slow, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem_with_a_code() {
    let served = Served::start().await;
    let huge = vec![b' '; (1 << 20) + 1];
    for (method, path, body, status, code) in [
        ("GET", "/nowhere", &b""[..], 404, "NoRoute"),
        ("PATCH", "/v1/transfers", b"{}", 405, "NoMethod"),
        ("DELETE", "/metrics", b"", 405, "NoMethod"),
        ("POST", "/v1/transfers", b"{", 400, "BadRequest"),
        ("POST", "/v1/transfers", b"[]", 400, "BadRequest"),
        (
            "POST",
            "/v1/transfers",
            b"{\"requests\":[],\"x\":1}",
            400,
            "BadRequest",
        ),
        ("POST", "/v1/transfers", b"\xff", 400, "BadRequest"),
        ("POST", "/v1/transfers", &huge, 413, "TooLong"),
        ("GET", "/v1/transfers?limit=x", b"", 400, "BadRequest"),
        ("GET", "/v1/transfers?x=1", b"", 400, "BadRequest"),
        ("GET", "/v1/transfers/0", b"", 404, "UnknownTransfer"),
        (
            "GET",
            "/v1/transfers/18446744073709551615",
            b"",
            404,
            "UnknownTransfer",
        ),
        (
            "GET",
            "/v1/transfers/18446744073709551616",
            b"",
            400,
            "BadRequest",
        ),
        ("GET", "/v1/events?after=1", b"", 400, "BadRequest"),
        ("POST", "/v1/login", b"{\"code\":\"x\"}", 401, "BadCode"),
        ("POST", "/v1/login-codes", b"{}", 403, "SocketOnly"),
        ("GET", "/v1/paths", b"", 400, "BadRequest"),
        ("GET", "/v1/paths?under=/x%00", b"", 400, "BadRequest"),
    ] {
        let answer = served.http.ask(method, path, body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{method} {path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_told_by_name_and_paths_are_completed() {
    let served = Served::with(|service, dir| {
        std::fs::create_dir_all(dir.join("data/in")).unwrap();
        service.roots = vec![dir.join("data")];
    })
    .await;
    let profiles = served.http.get("/v1/profiles");
    assert_eq!(profiles.json(), json!({ "profiles": ["one", "two"] }));
    let base = std::fs::canonicalize(served.dir.path()).unwrap();
    let under = |path: &str| {
        let path = format!("/v1/paths?under={}/{path}", base.display());
        served.http.get(&path)
    };
    let inside = base.join("data/in/").display().to_string();
    let expected = json!({ "paths": [{ "path": inside, "directory": true }], "more": false });
    assert_eq!(under("data/i").json(), expected);
    assert_eq!(under(".aws/").code(), "OutsideRoots");
    assert_eq!(under("state/").code(), "OutsideRoots");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_describes_what_is_sent() {
    let served = Served::start().await;
    let mut request = served.upload("a", 10);
    request["group"] = json!("g");
    let id = served.submit_one(request);
    let shown = served.until(id, "completed").await;
    let document = served.http.get("/v1/openapi.json").json();
    let schema = &document["components"]["schemas"]["Transfer"];
    let described = schema["properties"].as_object().unwrap();
    let sent = shown.as_object().unwrap();
    for name in sent.keys().filter(|name| *name != "incidents") {
        assert!(described.contains_key(name), "{name} is not described");
    }
    for name in schema["required"].as_array().unwrap() {
        assert!(
            sent.contains_key(name.as_str().unwrap()),
            "{name} is not sent"
        );
    }
    let parts = served.http.get(&format!("/v1/transfers/{id}/parts")).json();
    let proof = &document["components"]["schemas"]["Proof"]["properties"];
    for name in parts["proof"].as_object().unwrap().keys() {
        assert!(proof.get(name).is_some(), "{name} is not described");
    }
    assert_eq!(document["openapi"], "3.1.0");
    let operations = document["paths"].as_object().unwrap().values();
    for operation in operations.flat_map(|methods| methods.as_object().unwrap().values()) {
        assert!(
            operation["summary"]
                .as_str()
                .is_some_and(|it| !it.is_empty()),
            "{operation}"
        );
        assert!(operation["responses"]["default"].is_object(), "{operation}");
    }
}
