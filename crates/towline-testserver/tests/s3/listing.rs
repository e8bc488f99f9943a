//! Listings longer than a page, and deleting many objects at once.

use towline_testserver::{OWNER_CANONICAL_ID, Operation};

use crate::client::{Answer, BUCKET, Client, server};

/// Every page of a listing, asked for with what `next` takes from the page before.
async fn pages(client: &Client, query: &str, next: impl Fn(&Answer) -> String) -> Vec<Answer> {
    let mut pages: Vec<Answer> = Vec::new();
    loop {
        let more = pages.last().map(&next).unwrap_or_default();
        let page = client.get(&format!("?{more}{query}")).await.expect(200);
        let ends = page.tag("IsTruncated") == "false";
        pages.push(page);
        if ends {
            return pages;
        }
    }
}

#[tokio::test]
async fn a_listing_of_many_keys_comes_in_pages_of_a_thousand() {
    let (server, client) = server().await;
    let mut keys = Vec::new();
    for at in 0..1105 {
        let key = format!("dir {:02}/key {at:04}", at / 100);
        server
            .put_object(BUCKET, &key, b"x".to_vec())
            .await
            .unwrap();
        keys.push(key);
    }
    let next = |page: &Answer| format!("continuation-token={}&", page.tag("NextContinuationToken"));
    let listed = pages(&client, "list-type=2", next).await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].tag("KeyCount"), "1000");
    assert_eq!(listed[1].tag("KeyCount"), "105");
    let told: Vec<String> = listed.iter().flat_map(|page| page.tags("Key")).collect();
    assert_eq!(told, keys);

    let asked_for_more = client.get("?list-type=2&max-keys=5000").await.expect(200);
    assert_eq!(asked_for_more.tag("MaxKeys"), "1000");
    assert_eq!(asked_for_more.tags("Key").len(), 1000);
    let query = "delimiter=%2F&encoding-type=url&list-type=2&max-keys=5&prefix=dir%20";
    let folders = pages(&client, query, next).await;
    assert_eq!(folders.len(), 3);
    let prefixes: Vec<String> = folders
        .iter()
        .flat_map(|page| page.tags("Prefix"))
        .filter(|prefix| prefix.ends_with('/'))
        .collect();
    let expected: Vec<String> = (0..12).map(|at| format!("dir%20{at:02}/")).collect();
    assert_eq!(prefixes, expected);
    client
        .get("?continuation-token=nonsense&list-type=2")
        .await
        .expect_error(400, "InvalidArgument");
}

#[tokio::test]
async fn the_older_listing_goes_on_behind_a_marker() {
    let (server, client) = server().await;
    for key in ["a", "dir/1", "dir/2", "e", "other/3", "z"] {
        server.put_object(BUCKET, key, b"x".to_vec()).await.unwrap();
    }
    let next = |page: &Answer| format!("marker={}&", page.tag("NextMarker"));
    let listed = pages(&client, "delimiter=%2F&max-keys=2", next).await;
    let seen: Vec<String> = listed
        .iter()
        .flat_map(|page| [page.tags("Key"), page.tags("Prefix")].concat())
        .filter(|text| !text.is_empty())
        .collect();
    assert_eq!(seen, ["a", "dir/", "e", "other/", "z"]);
    let behind = client.get("?marker=e").await.expect(200);
    assert_eq!(behind.tags("Key"), ["other/3", "z"]);
    assert_eq!(server.history().count(Operation::ListObjects), 4);

    // Who owns an object is told by this one, and by the newer one when asked.
    assert_eq!(behind.tags("ID"), [OWNER_CANONICAL_ID; 2]);
    let newer = client.get("?fetch-owner=true&list-type=2").await;
    assert_eq!(newer.expect(200).tags("ID").len(), 6);
    let newer = client.get("?list-type=2").await.expect(200);
    assert_eq!(newer.tags("ID").len(), 0);
}

#[tokio::test]
async fn many_uploads_of_one_key_come_in_pages_too() {
    let (server, client) = server().await;
    let mut ids = Vec::new();
    for key in std::iter::repeat_n("/a", 700).chain(std::iter::repeat_n("/b", 400)) {
        let path = format!("{key}?uploads=");
        let create = client.send("POST", &path, &[], "").await.expect(200);
        ids.push(create.tag("UploadId"));
    }
    let next = |page: &Answer| {
        format!(
            "key-marker={}&upload-id-marker={}&",
            page.tag("NextKeyMarker"),
            page.tag("NextUploadIdMarker")
        )
    };
    let listed = pages(&client, "uploads=", next).await;
    let sizes: Vec<usize> = listed
        .iter()
        .map(|page| page.tags("UploadId").len())
        .collect();
    assert_eq!(sizes, [1000, 100]);
    let told: Vec<String> = listed
        .iter()
        .flat_map(|page| page.tags("UploadId"))
        .collect();
    assert_eq!(told, ids);
    let small = pages(&client, "max-uploads=300&uploads=", next).await;
    assert_eq!(small.len(), 4);
    // Without an upload id, a key marker is behind every upload of its key.
    let behind = client.get("?key-marker=a&uploads=").await.expect(200);
    assert_eq!(behind.tags("UploadId"), ids[700..]);
    assert_eq!(server.open_uploads(BUCKET).len(), 1100);
}

#[tokio::test]
async fn many_objects_are_deleted_at_once() {
    let (server, client) = server().await;
    for key in ["a", "b & c", "d", "kept"] {
        server.put_object(BUCKET, key, b"x".to_vec()).await.unwrap();
    }
    let objects = |keys: &[&str]| -> String {
        keys.iter()
            .map(|key| format!("<Object><Key>{key}</Key></Object>"))
            .collect()
    };
    let delete = async |inner: String| {
        let xml = format!("<Delete>{inner}</Delete>");
        let headers = [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")];
        client.send("POST", "?delete=", &headers, xml).await
    };
    let deleted = delete(objects(&["a", "b &amp; c", "missing"]))
        .await
        .expect(200);
    assert_eq!(deleted.tags("Key"), ["a", "b &amp; c", "missing"]);
    let quiet = format!("<Quiet>true</Quiet>{}", objects(&["d"]));
    assert_eq!(delete(quiet).await.expect(200).tags("Key").len(), 0);
    let left = client.get("?list-type=2").await.expect(200);
    assert_eq!(left.tags("Key"), ["kept"]);

    delete(objects(&["kept"; 1001]))
        .await
        .expect_error(400, "MalformedXML");
    let xml = format!("<Delete>{}</Delete>", objects(&["kept"]));
    client
        .send("POST", "?delete=", &[], xml)
        .await
        .expect_error(400, "InvalidRequest");
    assert_eq!(server.versions(BUCKET, "kept").len(), 1);
}

#[tokio::test]
async fn deleting_many_objects_of_a_versioned_bucket_leaves_markers() {
    let (server, client) = server().await;
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    client.put("?versioning=", enabled).await.expect(200);
    let put = client.put("/key", "hello").await.expect(200);
    let version = put.header("x-amz-version-id").to_owned();
    let delete = async |object: String| {
        let xml = format!("<Delete><Object>{object}</Object></Delete>");
        let headers = [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")];
        client
            .send("POST", "?delete=", &headers, xml)
            .await
            .expect(200)
    };
    let marker = delete("<Key>key</Key>".to_owned()).await;
    assert_eq!(marker.tag("DeleteMarker"), "true");
    let versions = server.versions(BUCKET, "key");
    assert_eq!(marker.tag("DeleteMarkerVersionId"), versions[1].version_id);
    let gone = delete(format!("<Key>key</Key><VersionId>{version}</VersionId>")).await;
    assert_eq!(gone.tag("VersionId"), version);
    assert_eq!(server.versions(BUCKET, "key").len(), 1);
}
