//! Upload, kill, resume, download, kill, resume on servers that are not ours.
//! `./test.sh` installs them and says where they are.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

#[path = "../common/mod.rs"]
mod common;
mod memory;
#[path = "../black_box/process.rs"]
mod process;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{bytes, json_lines, sha256_of_file, spawn, stderr, temporary_files, towline};
use serde_json::{Value, json};
use towline_testkit::foreign::ForeignServer;

const MIB: u64 = 1 << 20;

struct Server(ForeignServer);

impl Server {
    fn sha256(&self, key: &str) -> String {
        let get = format!("s3.get_object(Bucket='bucket', Key='{key}')['Body'].read()");
        let output = self
            .0
            .boto(&format!("print(hashlib.sha256({get}).hexdigest())"));
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn open_uploads(&self) -> String {
        let list = "print(len(s3.list_multipart_uploads(Bucket='bucket').get('Uploads', [])))";
        String::from_utf8_lossy(&self.0.boto(list).stdout)
            .trim()
            .to_owned()
    }

    fn towline(&self, args: &[&str]) -> Command {
        towline(self.0.endpoint(), &self.0.dir().join("state"), args)
    }

    fn run(&self, args: &[&str]) -> Vec<Value> {
        let output = self
            .towline(&[args, &["--json"]].concat())
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        json_lines(&output)
    }

    /// The transfer that was submitted last, as it is recorded.
    fn last(&self) -> Value {
        self.run(&["list"]).pop().unwrap()
    }

    /// Kills a command once a part of its transfer, and not all, is recorded.
    fn kill_half_way(&self, args: &[&str]) -> u64 {
        for _ in 0..20 {
            let mut child = spawn(self.towline(args));
            loop {
                let rows = json_lines(&self.towline(&["list", "--json"]).output().unwrap());
                let row = rows.last().cloned().unwrap_or_default();
                let moved = row["bytes_transferred"].as_u64().unwrap_or(0);
                if moved > 0 && row["state"] != "completed" {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    return moved;
                }
                if child.try_wait().unwrap().is_some() {
                    break; // it was quicker than we: once more
                }
            }
        }
        panic!("{args:?} was never caught half way");
    }
}

/// The main job, on any server.
fn goes_up_and_down_through_kills(server: &Server, size: u64, proofs: &[&str]) {
    let dir = server.0.dir();
    let source = dir.join("source");
    std::fs::write(&source, bytes(size, 11)).unwrap();
    let source_arg = source.to_str().unwrap();
    let target = dir.join("target");
    let target_arg = target.to_str().unwrap();

    let up = ["upload", source_arg, "s3://bucket/some/key"];
    let kept = server.kill_half_way(&up);
    let ended = server.run(&up).remove(0);
    println!(
        "{}: kept {} MiB, then {ended}",
        server.0.endpoint(),
        kept / MIB
    );
    assert_eq!(ended["state"], "completed");
    assert_eq!(ended["generation"], 1, "it went on, and did not start anew");
    assert!(
        proofs.contains(&ended["verified"].as_str().unwrap()),
        "{ended}"
    );
    assert_eq!(server.sha256("some/key"), sha256_of_file(&source));
    assert_eq!(server.open_uploads(), "0");

    let down = ["download", "s3://bucket/some/key", target_arg];
    server.kill_half_way(&down);
    assert!(!target.exists(), "a final name never shows partial bytes");
    let ended = server.run(&down).remove(0);
    assert_eq!(
        (&ended["state"], &ended["generation"]),
        (&"completed".into(), &1.into())
    );
    assert_eq!(sha256_of_file(&target), sha256_of_file(&source));
    assert_eq!(temporary_files(dir), [] as [&Path; 0]);

    // Small ones go in one PUT; an empty one too.
    for (size, key) in [
        (0, "empty"),
        (1, "one"),
        (5 * MIB, "whole"),
        (5 * MIB + 1, "two parts"),
    ] {
        let small = dir.join("small");
        std::fs::write(&small, bytes(size, size + 3)).unwrap();
        let url = format!("s3://bucket/{key}");
        let ended = server
            .run(&["upload", small.to_str().unwrap(), &url])
            .remove(0);
        assert!(
            proofs.contains(&ended["verified"].as_str().unwrap()),
            "{ended}"
        );
        server.run(&["download", &url, target_arg]);
        assert_eq!(sha256_of_file(&target), sha256_of_file(&small), "{key}");
    }
    assert_eq!(server.open_uploads(), "0");
}

/// What `doctor` says of a server, which has all but some checksums; nothing of
/// it is left there.
fn doctor_says(server: &Server, verified: &str, [crc64nvme, crc32c]: [Value; 2]) {
    let output = server
        .towline(&["doctor", "s3://bucket/doctors/", "--json"])
        .output()
        .unwrap();
    let list = "print(s3.list_objects_v2(Bucket='bucket', Prefix='doctors/')['KeyCount'])";
    let left = server.0.boto(list);
    assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "0");
    assert_eq!(server.open_uploads(), "0");
    let said = json_lines(&output).remove(0);
    assert_eq!(output.status.code(), Some(0), "{said:#}");
    assert_eq!(said["verified"], verified, "{said:#}");
    let profile = json!({
        "crc64nvme": crc64nvme, "crc32c": crc32c, "ranges": true, "if_match": "kept",
        "if_none_match": "kept", "pages_of_parts": true, "denied": [],
    });
    assert_eq!(said["profile"], profile);
}

#[test]
fn the_main_job_on_seaweedfs() {
    let server = Server(ForeignServer::seaweedfs());
    doctor_says(&server, "full-object", [json!("shown"), json!(null)]);
    goes_up_and_down_through_kills(&server, 200 * MIB, &["full-object", "composite", "md5"]);
}

/// Objects beside the transfers: listed, counted, told and removed.
fn objects_are_told_and_removed(server: &Server) {
    let source = server.0.dir().join("object");
    std::fs::write(&source, bytes(1000, 5)).unwrap();
    for key in ["o/a b", "o/dir/&<>'", "o/ü"] {
        let url = format!("s3://bucket/{key}");
        server.run(&["upload", source.to_str().unwrap(), &url]);
    }
    let many = "for n in range(1050):\n\
                \x20 s3.put_object(Bucket='bucket', Key=f'o/many/{n:04}', Body=b'12')";
    let output = server.0.boto(many);
    assert!(output.status.success(), "{}", stderr(&output));

    let level = server.run(&["ls", "s3://bucket/o/"]);
    let name = |line: &Value| {
        let name = line["key"].as_str().or(line["prefix"].as_str());
        name.unwrap().to_owned()
    };
    let names: std::collections::BTreeSet<String> = level.iter().map(name).collect();
    let expected = ["o/a b", "o/dir/", "o/many/", "o/ü"].map(str::to_owned);
    assert_eq!(names, expected.into());
    assert_eq!(level.len(), 4);
    let all = server.run(&["ls", "--recursive", "s3://bucket/o/"]);
    assert_eq!(all.len(), 1053);
    let sum = server.run(&["du", "s3://bucket/o/"]).remove(0);
    assert_eq!(
        (&sum["objects"], &sum["bytes"]),
        (&1053.into(), &5100.into())
    );
    let groups = server.run(&["du", "--depth", "1", "s3://bucket/o/"]);
    let counted: Vec<_> = groups
        .iter()
        .map(|group| group["objects"].as_u64())
        .collect();
    assert_eq!(counted, [Some(1), Some(1050), Some(1053)]);
    let head = server.run(&["head", "s3://bucket/o/a b"]).remove(0);
    assert_eq!(
        (&head["size"], &head["key"]),
        (&1000.into(), &"o/a b".into())
    );

    let report = server.run(&["rm", "s3://bucket/o/a b"]).remove(0);
    assert_eq!(report["removed"], 1);
    let report = server.run(&["rm", "--recursive", "--yes", "s3://bucket/o/"]);
    assert_eq!(report.len(), 1, "{report:?}");
    assert_eq!(
        (&report[0]["removed"], &report[0]["failed"]),
        (&1052.into(), &0.into())
    );
    let list = "print(s3.list_objects_v2(Bucket='bucket', Prefix='o/')['KeyCount'])";
    let left = server.0.boto(list);
    assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "0");
    let output = server.towline(&["head", "s3://bucket/o/a b"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("there is no object"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn objects_are_told_and_removed_on_seaweedfs() {
    objects_are_told_and_removed(&Server(ForeignServer::seaweedfs()));
}

#[test]
fn objects_are_told_and_removed_on_moto() {
    objects_are_told_and_removed(&Server(ForeignServer::moto()));
}

#[test]
fn the_main_job_on_moto() {
    let server = Server(ForeignServer::moto());
    doctor_says(&server, "md5", [json!("silent"), json!("silent")]);
    goes_up_and_down_through_kills(&server, 100 * MIB, &["full-object", "composite", "md5"]);
}

/// An upload that was killed half way: its source, and where it goes.
fn half_uploaded(server: &Server, key: &str, size: u64) -> (PathBuf, String) {
    let source = server.0.dir().join(key);
    std::fs::write(&source, bytes(size, 17)).unwrap();
    let url = format!("s3://bucket/{key}");
    server.kill_half_way(&["upload", source.to_str().unwrap(), &url]);
    (source, url)
}

/// What S3 forgot of an upload behind our back is begun again, and said.
fn an_upload_that_vanished_is_begun_anew(server: &Server, size: u64) {
    let (source, url) = half_uploaded(server, "vanishes", size);
    let abort = "for upload in s3.list_multipart_uploads(Bucket='bucket')['Uploads']:\n\
                 \x20 s3.abort_multipart_upload(Bucket='bucket', Key=upload['Key'], UploadId=upload['UploadId'])";
    let output = server.0.boto(abort);
    assert!(output.status.success(), "{}", stderr(&output));
    let ended = server
        .run(&["upload", source.to_str().unwrap(), &url])
        .remove(0);
    assert_eq!(ended["state"], "completed", "{ended}");
    assert_eq!(ended["generation"], 2, "{ended}");
    assert_eq!(server.sha256("vanishes"), sha256_of_file(&source));
    assert_eq!(server.open_uploads(), "0");
}

/// A canceled upload leaves nothing, a paused one what it had sent.
fn pause_and_cancel(server: &Server, size: u64) {
    let (source, url) = half_uploaded(server, "paused", size);
    server.run(&["pause", &url]);
    let kept = server.last();
    assert_eq!(kept["state"], "paused", "{kept}");
    server.run(&["resume", &url]);
    let ended = server.last();
    assert_eq!(
        (&ended["state"], &ended["generation"]),
        (&"completed".into(), &1.into()),
        "{ended}"
    );
    assert_eq!(server.sha256("paused"), sha256_of_file(&source));

    let (_, url) = half_uploaded(server, "canceled", size);
    assert_eq!(server.open_uploads(), "1");
    server.run(&["cancel", &url]);
    assert_eq!(server.last()["state"], "canceled");
    assert_eq!(server.open_uploads(), "0");
}

#[test]
fn the_main_job_on_ceph() {
    let server = Server(ForeignServer::ceph());
    doctor_says(&server, "md5", [json!("silent"), json!("silent")]);
    goes_up_and_down_through_kills(&server, 100 * MIB, &["md5"]);
    an_upload_that_vanished_is_begun_anew(&server, 60 * MIB);
    pause_and_cancel(&server, 60 * MIB);
}
