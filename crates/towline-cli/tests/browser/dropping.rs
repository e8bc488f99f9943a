//! Files of the browser's machine are dropped on the page.

use std::path::Path;

use serde_json::json;

use crate::browser::Browser;
use crate::service::{MIB, Service};

/// As the system does when a person lets files go over the page.
fn drop_files(browser: &Browser, files: &[&Path]) {
    let data = json!({"items": [], "files": files, "dragOperationsMask": 1});
    for kind in ["dragEnter", "dragOver", "drop"] {
        let event = json!({"type": kind, "x": 600, "y": 400, "data": data});
        browser.devtools("Input.dispatchDragEvent", event);
        if kind == "dragOver" {
            browser.until_text("#drop", "Drop files");
        }
    }
    browser.until(
        "the form opens",
        "document.querySelector('#submit')?.open === true",
    );
}

#[test]
fn files_that_are_dropped_are_spooled_and_uploaded_also_after_the_source_and_the_page_are_gone() {
    let mut service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    let big = service.scene.file("big", 24 * MIB, 9);
    let odd = service
        .scene
        .file("<i>odd</i>".replace('/', "_").as_str(), 100, 9);
    let [big_bytes, odd_bytes] = [&big, &odd].map(|path| std::fs::read(path).unwrap());
    service.bandwidth(3 * MIB);
    drop_files(&browser, &[&big, &odd]);
    browser.until_text("#file-list", "<i>odd<_i>");
    browser.fill("#f-bucket", "bucket");
    browser.fill("#f-key", "dropped/");
    browser.click("#submit-go");
    browser.until(
        "both are accepted",
        "document.querySelectorAll('#rows tr').length === 2",
    );
    browser.until("the form closes", "!document.querySelector('#submit').open");

    // From here on neither the files nor the page are needed.
    std::fs::remove_file(&big).unwrap();
    std::fs::remove_file(&odd).unwrap();
    browser.go("about:blank");
    service.kill();
    service.bandwidth(0);
    service.run(&[]);
    browser.go(&service.login_url());
    browser.until(
        "both are done",
        "document.querySelectorAll('#rows tr[data-state=completed]').length === 2",
    );
    let object = |key: &str| service.scene.server.object_bytes("bucket", key).unwrap();
    assert!(object("dropped/big") == big_bytes);
    assert!(object("dropped/<i>odd<_i>") == odd_bytes);
}

#[test]
fn a_file_that_is_over_the_quota_is_refused_in_words_and_the_next_one_is_taken() {
    let scene = towline_testkit::crash::Scene::start(env!("CARGO_BIN_EXE_towline"));
    let service = Service::of(scene, &["--spool-quota", "1MiB"]);
    let Some(browser) = service.open() else {
        return;
    };
    let over = service.scene.file("over", 8 * MIB, 11);
    let within = service.scene.file("within", 1000, 11);
    drop_files(&browser, &[&over, &within]);
    browser.fill("#f-bucket", "bucket");
    browser.click("#submit-go");
    browser.until_text("#file-list [data-state=refused]", "quota");
    browser.until_text("#file-list [data-state=accepted]", "transfer 1");
    assert_eq!(service.list().len(), 1);
}

#[test]
fn what_is_chosen_before_more_files_are_dropped_stays_chosen_and_a_file_that_is_left_out_is_not_sent()
 {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    let first = service.scene.file("first", 1000, 12);
    let second = service.scene.file("second", 1000, 12);
    let was = std::fs::read(&first).unwrap();
    drop_files(&browser, &[&first]);
    browser.fill("#f-bucket", "bucket");
    browser.click("#submit-go");
    browser.until(
        "it is there",
        "document.querySelectorAll('#rows tr[data-state=completed]').length === 1",
    );
    browser.until("the form closes", "!document.querySelector('#submit').open");
    std::fs::write(&first, "other bytes").unwrap();
    drop_files(&browser, &[&first]);
    browser.choose("#f-if-it-exists", "absent");
    drop_files(&browser, &[&second]);
    browser.click("#file-list li:nth-child(2) button");
    browser.click("#submit-go");
    browser.until(
        "the other bytes are refused",
        "document.querySelectorAll('#rows tr[data-state=failed]').length === 1",
    );
    assert_eq!(service.list().len(), 2);
    let kept = service.scene.server.object_bytes("bucket", "first");
    assert!(kept.unwrap() == was);
}
