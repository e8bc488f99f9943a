//! Keys that are no good file names.

use std::os::unix::fs::symlink;

use crate::aws::{BUCKET, Scene, exits};

async fn with_keys(keys: &[&str]) -> Scene {
    let scene = Scene::start().await;
    for key in keys {
        let bytes = key.as_bytes().to_vec();
        scene.server.put_object(BUCKET, key, bytes).await.unwrap();
    }
    std::fs::create_dir(scene.path("down")).unwrap();
    scene
}

fn download_all(scene: &Scene) -> std::process::Command {
    let down = scene.path("down");
    scene.copy("s3://bucket/", down.to_str().unwrap(), &["--recursive"])
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_two_keys_that_are_one_path_overwrite_each_other() {
    let scene = with_keys(&["a//b", "a/b"]).await;
    exits(download_all(&scene), 0);
    let files: Vec<_> = std::fs::read_dir(scene.path("down/a")).unwrap().collect();
    assert_eq!(files.len(), 1, "two objects, one file, and no word of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn good_a_key_that_leaves_the_target_is_skipped() {
    let scene = with_keys(&["../escaped", "fine"]).await;
    let output = download_all(&scene).output().unwrap();
    assert!(!scene.path("escaped").exists());
    assert!(scene.path("down/fine").exists(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_a_symbolic_link_in_the_target_is_followed_out_of_it() {
    let scene = with_keys(&["link/planted"]).await;
    let outside = scene.path("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, scene.path("down/link")).unwrap();
    exits(download_all(&scene), 0);
    assert!(outside.join("planted").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_control_characters_of_a_key_reach_the_terminal() {
    let scene = with_keys(&["red\u{1b}[31m\u{7}"]).await;
    let output = scene.aws(&["s3", "ls", "s3://bucket/"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.contains(&0x1b) && output.stdout.contains(&0x07));
}
