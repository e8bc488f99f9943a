//! An app outside of this workspace builds with nothing but the facade, and what
//! it transfers arrives. The app is `tests/downstream`.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

use std::path::Path;
use std::process::{Command, Output};

use towline_testserver::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_depends_on_the_facade_alone_builds_and_transfers() {
    let app = build();
    // Cargo has left in its lock file what the app needs, and nothing else.
    let lock = std::fs::read_to_string(app.join("Cargo.lock")).unwrap();
    for of_the_command in [
        "towline-cli",
        "towline-daemon",
        "clap",
        "axum",
        "indicatif",
        "s3s",
    ] {
        let name = format!("name = \"{of_the_command}\"");
        assert!(!lock.contains(&name), "the facade needs {of_the_command}");
    }
    let server = TestServer::builder().bucket("bucket").start();
    let server = server.await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let content: Vec<u8> = (0..6 << 20).map(|i| (i % 251) as u8).collect();
    std::fs::write(&file, &content).unwrap();
    let output = Command::new(app.join("target/debug/downstream"))
        .arg(&file)
        .args(["bucket", "key"])
        .env_clear()
        .env("AWS_ENDPOINT_URL_S3", server.endpoint())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "testsecret")
        .env("TOWLINE_STATE_DIR", dir.path().join("state"))
        .env("HOME", dir.path())
        .output()
        .unwrap();
    let said = succeeded(&output);
    assert!(said.contains("6291456 bytes there and back"), "{said}");
    assert!(server.object_bytes("bucket", "key").unwrap() == content);
}

/// Builds it below the target directory, with the versions that this workspace
/// has locked: they are here already, so that nothing is asked of the network.
/// A second run builds only what changed. Gives its directory.
fn build() -> std::path::PathBuf {
    let facade = Path::new(env!("CARGO_MANIFEST_DIR"));
    let app = Path::new(env!("CARGO_TARGET_TMPDIR")).join("downstream");
    std::fs::create_dir_all(app.join("src")).unwrap();
    let manifest = std::fs::read_to_string(facade.join("tests/downstream/Cargo.toml")).unwrap();
    let place = format!("path = {:?}", facade.to_str().unwrap());
    let moved = manifest.replace("path = \"../..\"", &place);
    assert_ne!(moved, manifest);
    std::fs::write(app.join("Cargo.toml"), moved).unwrap();
    let copy = |from: &Path, to: &str| std::fs::copy(from, app.join(to)).unwrap();
    for file in ["src/main.rs", "src/calls.rs"] {
        copy(&facade.join("tests/downstream").join(file), file);
    }
    copy(&facade.join("../../Cargo.lock"), "Cargo.lock");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--offline"])
        .env("CARGO_TARGET_DIR", app.join("target"))
        .current_dir(&app)
        .output()
        .unwrap();
    succeeded(&output);
    app
}

fn succeeded(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
    said
}
