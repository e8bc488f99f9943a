//! Groups that list their own transfers: the files of a directory, the objects
//! below a prefix.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use towline::{
    Connection, ConnectionSource, Credentials, GroupRequest, HandedOver, SyncCompare, SyncOptions,
};
use towline_daemon::{BeginGroup, Client};
use towline_testserver::{Operation, Rule, Script};

use crate::client::Answer;
use crate::served::{BUCKET, LONG, Served};

/// A directory with so many files, and a link that is no file.
fn filled(served: &Served, name: &str, count: usize) -> PathBuf {
    let dir = served.path(name);
    std::fs::create_dir_all(&dir).unwrap();
    for n in 0..count {
        std::fs::write(dir.join(format!("{n:04}")), "bytes").unwrap();
    }
    symlink("0000", dir.join("link")).unwrap();
    dir
}

fn begin(served: &Served, request: &Value) -> Answer {
    served
        .http
        .post("/v1/groups", &json!({ "request": request }))
}

fn upload(dir: &PathBuf) -> Value {
    json!({ "type": "upload", "path": dir, "bucket": BUCKET, "prefix": "p/" })
}

fn steer(served: &Served, id: &Value, verb: &str) -> Value {
    let path = format!("/v1/groups/{id}/{verb}");
    let answer = served.http.post(&path, &json!({}));
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

async fn until(served: &Served, id: &Value, state: &str) -> Value {
    let begun = Instant::now();
    loop {
        let group = served.http.get(&format!("/v1/groups/{id}")).json();
        if group["state"] == state {
            return group;
        }
        assert!(begun.elapsed() < LONG, "never {state}: {group}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_begun_followed_listed_and_removed_as_one() {
    let served = Served::start().await;
    let request = upload(&filled(&served, "dir", 5));
    let begun = begin(&served, &request);
    assert_eq!(begun.status, 200, "{}", begun.json());
    let id = begun.json()["group"]["id"].clone();
    let ended = until(&served, &id, "completed").await;
    assert_eq!(ended["found"]["entries"], 6);
    assert_eq!(ended["transfers"]["completed"], 5);
    assert_eq!(ended["transfers"]["bytes_done"], 25);
    let left_out = |query: &str| {
        let path = format!("/v1/groups/{id}/left-out?{query}");
        served.http.get(&path).json()
    };
    let skipped = left_out("skipped=true&limit=1");
    assert_eq!(skipped["left_out"][0]["code"], "SymbolicLink");
    assert_eq!(skipped["left_out"][0]["key"], "p/link");
    assert_eq!(skipped["next"], 1);
    assert_eq!(left_out("skipped=true&after=1")["left_out"], json!([]));
    assert_eq!(left_out("")["left_out"], json!([]), "none was refused");

    // Each of its fields is described.
    let document = served.http.get("/v1/openapi.json").json();
    let schema = &document["components"]["schemas"]["Group"];
    let described: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    let sent = ended.as_object().unwrap();
    assert!(
        sent.keys().all(|name| described.contains(&name)),
        "{sent:?}"
    );
    for name in schema["required"].as_array().unwrap() {
        assert!(sent.contains_key(name.as_str().unwrap()), "{name}");
    }

    // Its end is told to who follows from before it.
    let mut stream = TcpStream::connect(served.http.address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let cursor = begun.json()["cursor"].as_str().unwrap().to_owned();
    let head = format!(
        "GET /v1/events?after={cursor} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        served.http.host(),
        served.http.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    while lines.next().unwrap() != "event: group" {}
    let told = lines.next().unwrap();
    let told: Value = serde_json::from_str(told.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(told, ended);

    let again = begin(&served, &request).json();
    assert_ne!(again["group"]["id"], id, "the first had its end");
    let name = ended["name"].as_str().unwrap().replace('/', "%2F");
    let name = name.replace(' ', "%20");
    until(&served, &again["group"]["id"], "completed").await;
    let page = |query: &str| served.http.get(&format!("/v1/groups?{query}")).json();
    let both = page(&format!("name={name}"));
    assert_eq!(both["groups"].as_array().unwrap().len(), 2);
    assert_eq!(both["next"], Value::Null);
    let newest = page("newest_first=true&limit=1");
    assert_eq!(newest["groups"][0]["id"], again["group"]["id"]);
    assert_eq!(newest["next"], again["group"]["id"]);
    assert_eq!(page("unended=true")["groups"], json!([]));

    let removed = steer(&served, &id, "remove");
    assert_eq!(
        (&removed["changed"], &removed["group"]),
        (&json!(true), &Value::Null)
    );
    for path in [
        format!("/v1/groups/{id}"),
        format!("/v1/groups/{id}/left-out"),
    ] {
        let gone = served.http.get(&path);
        assert_eq!((gone.status, gone.code().as_str()), (404, "UnknownGroup"));
    }
    let gone = served
        .http
        .post(&format!("/v1/groups/{id}/pause"), &json!({}));
    assert_eq!(gone.code(), "UnknownGroup");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_is_begun_as_a_group_that_counts_what_is_the_same() {
    let served = Served::start().await;
    let dir = filled(&served, "dir", 5);
    std::fs::write(dir.join("x.tmp"), "not this").unwrap();
    let put = served.s3.put_object(BUCKET, "p/0003", "bytes".into());
    put.await.unwrap();
    let mut request = upload(&dir);
    let how = json!({ "compare": "size", "filter": { "exclude": ["*.tmp"], "newer_than_ms": 3_600_000 } });
    request["sync"] = how;
    let id = begin(&served, &request).json()["group"]["id"].clone();
    let ended = until(&served, &id, "completed").await;
    let found = &ended["found"];
    assert_eq!((&found["entries"], &found["same"]), (&json!(6), &json!(1)));
    assert_eq!(ended["transfers"]["completed"], 4);

    let document = served.http.get("/v1/openapi.json").json();
    let schemas = &document["components"]["schemas"];
    for (name, field) in [("GroupRequest", "sync"), ("FoundCounts", "same")] {
        assert!(schemas[name]["properties"][field].is_object(), "{name}");
    }
    for (field, bad) in [
        ("filter", json!({ "exclude": ["[a"] })),
        ("filter", json!({ "no such": 1 })),
        ("compare", json!("by heart")),
    ] {
        request["sync"] = json!({ field: bad });
        let answer = begin(&served, &request);
        assert_eq!(answer.status, 400, "{}", answer.json());
    }
    let groups = served.http.get("/v1/groups").json()["groups"].clone();
    assert_eq!(groups.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_paused_resumed_and_canceled_as_one() {
    let served = Served::start().await;
    served.s3.faults().offline(true);
    let request = upload(&filled(&served, "dir", 5));
    let id = begin(&served, &request).json()["group"]["id"].clone();
    let paused = steer(&served, &id, "pause");
    assert_eq!(
        (&paused["changed"], &paused["group"]["state"]),
        (&json!(true), &json!("paused"))
    );
    assert_eq!(steer(&served, &id, "pause")["changed"], false);
    assert_eq!(steer(&served, &id, "carry")["group"]["state"], "paused");
    let same = begin(&served, &request).json();
    assert_eq!(same["group"]["id"], id);
    assert_ne!(same["group"]["state"], "paused", "the same again goes on");
    steer(&served, &id, "pause");
    assert_eq!(steer(&served, &id, "resume")["changed"], true);
    let other = served.path("other");
    std::fs::create_dir(&other).unwrap();
    let mut taken = upload(&other);
    taken["group"] = same["group"]["name"].clone();
    assert_eq!(begin(&served, &taken).code(), "GroupTaken");
    assert_eq!(steer(&served, &id, "cancel")["changed"], true);
    served.s3.faults().offline(false);
    until(&served, &id, "canceled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_over_tcp_a_group_is_of_a_profile_and_of_a_directory_within_the_roots() {
    let served = Served::with(|service, dir| {
        std::fs::create_dir(dir.join("open")).unwrap();
        service.roots = vec![dir.join("open")];
    })
    .await;
    filled(&served, "private", 1);
    symlink(served.path("private"), served.path("open/link")).unwrap();
    let refused = |served: &Served, path: PathBuf| {
        for kind in ["upload", "download"] {
            let mut request = upload(&path);
            request["type"] = kind.into();
            let code = begin(served, &request).code();
            assert_eq!(code, "OutsideRoots", "{kind} {}", path.display());
        }
    };
    for outside in [
        "private",
        "open/../private",
        "open/link",
        "state",
        "state/spool",
        "",
    ] {
        refused(&served, served.path(outside));
    }
    refused(&served, "relative".into());
    // Without roots, what has the service's own files below it is still not for others.
    let anywhere = Served::start().await;
    symlink(anywhere.dir.path(), anywhere.path("link")).unwrap();
    for own in ["", "state", "state/new", "link"] {
        refused(&anywhere, anywhere.path(own));
    }
    refused(&anywhere, "/".into());

    let inside = served.path("open/in");
    let mut request = upload(&inside);
    request["type"] = "download".into();
    for connection in [json!({ "source": "environment" }), json!({})] {
        request["connection"] = connection;
        assert_eq!(begin(&served, &request).code(), "ProfilesOnly");
    }
    request["connection"] = Value::Null;
    request["options"] = json!({ "access": { "customer_key": { "file": "/etc/shadow" } } });
    assert_eq!(begin(&served, &request).code(), "SocketOnly");
    request["options"] = json!({});
    let credentials = json!({ "access_key_id": "a", "secret_access_key": "b" });
    let body = json!({ "request": request, "credentials": credentials });
    assert_eq!(served.http.post("/v1/groups", &body).code(), "SocketOnly");
    assert!(!inside.exists());
    assert_eq!(served.http.get("/v1/groups").json()["groups"], json!([]));
    assert_eq!(served.s3.history().bytes_received(), 0);
    let id = begin(&served, &request).json()["group"]["id"].clone();
    until(&served, &id, "completed").await;
    let body = json!({ "credentials": credentials });
    let path = format!("/v1/groups/{id}/resume");
    assert_eq!(served.http.post(&path, &body).code(), "SocketOnly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_lists_and_moves_with_the_credentials_that_were_handed_over_for_it() {
    let served = Served::start().await;
    let (client, _) = Client::connect(&served.path("state")).await.unwrap();
    let connection = Connection {
        source: ConnectionSource::Environment,
        endpoint: Some(served.s3.endpoint()),
        region: Some("us-east-1".into()),
        ..Connection::default()
    };
    let own = Credentials::new("test", "testsecret");
    let dir = filled(&served, "dir", 3);
    for mut request in [
        GroupRequest::upload(&dir, BUCKET, "p/"),
        GroupRequest::download(BUCKET, "p/", served.path("back")),
    ] {
        request.connection = Some(connection.clone());
        let credentials = Some(HandedOver::from(&own));
        let begin = BeginGroup {
            request,
            credentials,
        };
        let begun = client.begin_group(&begin).await.unwrap();
        let id = json!(begun.group.id);
        let ended = until(&served, &id, "completed").await;
        assert_eq!(ended["transfers"]["completed"], 3);
    }
    assert_eq!(std::fs::read(served.path("back/0002")).unwrap(), b"bytes");

    // Comparing asks with them too.
    let mut how = SyncOptions::default();
    how.compare = SyncCompare::Checksum;
    let mut request = GroupRequest::upload(&dir, BUCKET, "p/");
    request.connection = Some(connection);
    request.sync = Some(how);
    let begin = BeginGroup {
        request,
        credentials: Some(HandedOver::from(&own)),
    };
    let begun = client.begin_group(&begin).await.unwrap();
    let ended = until(&served, &json!(begun.group.id), "completed").await;
    assert_eq!(ended["found"]["same"], 3);
}

/// The events of a stream up to the end of a group: what they tell, in short.
fn told_until_end(served: &Served, query: &str, group: &Value) -> Vec<(String, String)> {
    let mut stream = TcpStream::connect(served.http.address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let (host, token) = (served.http.host(), &served.http.token);
    let head = format!(
        "GET /v1/events?{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut told = Vec::new();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    loop {
        let kind = lines.next().unwrap();
        let Some(kind @ ("transfer" | "group")) = kind.strip_prefix("event: ") else {
            continue;
        };
        let data = lines.next().unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        let name = match kind {
            "transfer" => data["key"].as_str().unwrap().to_owned(),
            _ => format!("group {}", data["id"]),
        };
        told.push((name, data["state"].as_str().unwrap().to_owned()));
        if kind == "group" && data["id"] == *group && !data["ended_at"].is_null() {
            return told;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_one_group_for_its_troubles_hears_of_nothing_else() {
    let served = Served::start().await;
    let denied = Rule::on(Operation::PutObject)
        .key("p/0001")
        .answer(towline_testserver::Answer::error(400, "InvalidRequest"));
    served.s3.faults().play(Script::new().rule(denied)).unwrap();
    let begun = begin(&served, &upload(&filled(&served, "dir", 40))).json();
    let (id, cursor) = (&begun["group"]["id"], begun["cursor"].as_str().unwrap());
    let elsewhere = json!({
        "type": "upload", "path": filled(&served, "other", 3), "bucket": BUCKET, "prefix": "q/"
    });
    let other = begin(&served, &elsewhere).json()["group"]["id"].clone();
    until(&served, &other, "completed").await;
    let group = format!("group {id}");
    let is_group = |(name, _): &(String, String)| *name == group;

    let query = format!("after={cursor}&group={id}&only=trouble");
    let (groups, transfers): (Vec<_>, Vec<_>) = told_until_end(&served, &query, id)
        .into_iter()
        .partition(is_group);
    assert_eq!(transfers, [("p/0001".into(), "failed".into())]);
    assert_eq!(groups.last().unwrap().1, "failed");

    let query = format!("after={cursor}&group={id}&only=rest");
    let (_, transfers): (Vec<_>, Vec<_>) = told_until_end(&served, &query, id)
        .into_iter()
        .partition(is_group);
    assert_eq!(transfers.len(), 40, "{transfers:?}");
    let ended = |state: &str| transfers.iter().filter(|(_, its)| its == state).count();
    assert_eq!((ended("completed"), ended("failed")), (39, 1));

    let both = served.http.get(&format!("/v1/events?group={id}&ids=1"));
    assert_eq!((both.status, both.code().as_str()), (400, "BadRequest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_prefix_is_one_group_and_touches_no_file_of_the_service() {
    let served = Served::with(|service, dir| {
        std::fs::create_dir(dir.join("open")).unwrap();
        service.roots = vec![dir.join("open")];
    })
    .await;
    for key in ["p/a", "p/sub/"] {
        let put = served.s3.put_object(BUCKET, key, b"".to_vec());
        put.await.unwrap();
    }
    let mut request = json!({
        "type": "copy", "path": "s3://bucket/p/", "bucket": BUCKET, "prefix": "q/",
    });
    let begun = begin(&served, &request);
    assert_eq!(begun.status, 200, "{}", begun.json());
    let id = begun.json()["group"]["id"].clone();
    let ended = until(&served, &id, "completed").await;
    assert_eq!(
        (&ended["type"], &ended["path"]),
        (&json!("copy"), &request["path"])
    );
    assert_eq!(ended["transfers"]["completed"], 2);
    assert!(served.s3.object_bytes(BUCKET, "q/sub/").is_ok());

    for (path, prefix) in [
        ("s3://bucket/p/", "p/q/"),
        ("/etc/", "q/"),
        ("s3://bucket/p", "q/"),
    ] {
        request["path"] = path.into();
        request["prefix"] = prefix.into();
        assert_eq!(begin(&served, &request).code(), "BadOption", "{path}");
    }
}
