//! Each view, light and dark, wide and narrow: nothing is wider than the screen,
//! and there is a picture of each to look at, in `tmp/page` of the target
//! directory.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use towline_testserver::{Answer, Operation, Rule, Script};

use crate::browser::{Browser, ESCAPE};
use crate::service::{MIB, Service};

const SIZES: [(&str, u32, u32); 2] = [("wide", 1360, 860), ("narrow", 390, 800)];

fn picture(browser: &Browser, view: &str) {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&dir).unwrap();
    for scheme in ["light", "dark"] {
        browser.prefers(scheme);
        for (name, width, height) in SIZES {
            browser.size(width, height);
            // Two frames later the page has been laid out and painted anew.
            browser.ask_later(
                "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
            );
            std::fs::write(
                dir.join(format!("{view}-{scheme}-{name}.png")),
                browser.screenshot(),
            )
            .unwrap();
            let too_wide = "document.documentElement.scrollWidth - innerWidth";
            let too_wide = browser.ask(too_wide).as_i64().unwrap();
            let whose = browser.ask(
                "[...document.body.querySelectorAll('*')]
                    .filter((at) => at.getBoundingClientRect().right > innerWidth)
                    .map((at) => `${at.tagName}.${at.className}#${at.id}`).join(' ')",
            );
            assert!(
                too_wide <= 0,
                "{view}, {name}: {too_wide} px too wide, by {whose}"
            );
        }
    }
    let (_, width, height) = SIZES[0];
    browser.size(width, height);
}

#[test]
fn every_view_fits_its_screen_in_light_and_dark() {
    let mut service = Service::start();
    let Some(browser) = Browser::start() else {
        return;
    };
    browser.go(&service.url());
    browser.until_text("#logged-out", "towline open");
    picture(&browser, "logged-out");
    browser.go("about:blank");
    browser.go(&service.login_url());
    browser.until_text("#empty", "Nothing to tow");
    picture(&browser, "empty");

    let retried = Rule::on(Operation::UploadPart)
        .first(1)
        .answer(Answer::error(503, "SlowDown"));
    let refused = Rule::on(Operation::PutObject)
        .key("reports/2026/refused.pdf")
        .answer(Answer::error(403, "AccessDenied"));
    let odd = "odd/<b>\u{202e}fdp.exe \u{1b}[31m";
    service
        .scene
        .server
        .faults()
        .play(Script::new().rule(retried).rule(refused))
        .unwrap();
    let small = service.scene.file("small", 300_000, 10);
    for key in ["reports/2026/refused.pdf", "reports/2026/q3.pdf", odd] {
        service.towline([
            "upload".as_ref(),
            small.as_os_str(),
            format!("s3://bucket/{key}").as_ref(),
        ]);
    }
    service.scene.object("fetched", MIB, 10);
    service.towline(["download", "s3://bucket/fetched", "a-copy-of-fetched"]);
    service.bandwidth(MIB);
    let big = service.scene.file("video.mov", 160 * MIB, 10);
    service.submit(&browser, &big, "raw/");
    service.submit(&browser, &big, "paused/");
    browser.click("#rows tr[data-id='6'] [data-verb=pause]");
    browser.until(
        "one is paused",
        "document.querySelector(\"#rows tr[data-id='6']\").dataset.state === 'paused'",
    );
    browser.until(
        "one moves",
        "document.querySelector(\"#rows tr[data-id='5'] progress\").value > 0",
    );
    browser.until_text("#tab-all", "6");
    browser.until(
        "nothing is said any more",
        "document.querySelector('#toasts').children.length === 0",
    );
    picture(&browser, "queue");

    for (view, id, says) in [
        ("live", 5, "Parts"),
        ("failed", 1, "AccessDenied"),
        ("completed", 4, "Proof"),
        ("odd", 3, "Proof"),
    ] {
        browser.click(&format!("#rows tr[data-id='{id}'] .open"));
        browser.until_text("#drawer", says);
        browser.until_text("#d-timeline", "Asked for");
        picture(&browser, view);
    }
    browser.key(ESCAPE);
    browser.key('a');
    browser.until_text("#picked output", "6 selected");
    picture(&browser, "selected");
    browser.click("#picked [data-verb=remove]");
    browser.until(
        "it asks",
        "document.querySelector('dialog.ask')?.open === true",
    );
    picture(&browser, "asked");
    browser.key(ESCAPE);
    browser.click("#all-menu summary");
    picture(&browser, "all");
    browser.click("#all-menu summary");
    for (view, button) in [
        ("submit", "#open-submit"),
        ("limits", "#open-limits"),
        ("keys", "#open-keys"),
    ] {
        browser.click(button);
        browser.until(
            "it is open",
            "document.querySelector('dialog[open]') !== null",
        );
        picture(&browser, view);
        // The form's list takes the first one for itself.
        for _ in 0..2 {
            browser.key(ESCAPE);
        }
        browser.until(
            "it closes",
            "document.querySelector('dialog[open]') === null",
        );
    }
    service.kill();
    browser.until_text("#lost", "does not answer");
    picture(&browser, "lost");

    // The switch holds against the system's choice, also after a reload.
    service.run(&[]);
    browser.prefers("light");
    let ground = "getComputedStyle(document.body).backgroundColor";
    let light = browser.ask(ground);
    browser.click("#switch-theme");
    assert_ne!(browser.ask(ground), light);
    browser.reload();
    browser.until_text("#connection", "live");
    assert_ne!(browser.ask(ground), light);
}

#[test]
fn the_groups_fit_their_screen_in_light_and_dark() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    let begin = |dir: &str, prefix: &str| {
        let path = service.scene.path(dir);
        let request = serde_json::json!({
            "type": "upload", "path": path, "bucket": "bucket", "prefix": prefix,
        });
        service.begin_group(&request)
    };
    let until = |id: u64, state: &str| {
        let expression = format!(
            "document.querySelector(\"#groups [data-id='{id}']\")?.dataset.state === '{state}'"
        );
        browser.until(&format!("group {id} is {state}"), &expression);
    };
    let refused = Rule::on(Operation::PutObject)
        .key("reports/0001")
        .answer(Answer::error(403, "AccessDenied"));
    let faults = service.scene.server.faults();
    faults.play(Script::new().rule(refused)).unwrap();
    let dir = service.files("reports", 3, 10_000);
    for n in 0..3_u8 {
        let name = [b"not-utf-8-", &[b'0' + n, 0xff][..]].concat();
        let name = std::ffi::OsStr::from_bytes(&name);
        std::fs::write(dir.join(name), "").unwrap();
    }
    begin("reports", "done/");
    until(1, "failed");
    begin("reports", "reports/");
    until(2, "failed");
    service.files("a-directory-with-a-rather-long-name-that-goes-on", 40, MIB);
    service.bandwidth(2 * MIB);
    begin(
        "a-directory-with-a-rather-long-name-that-goes-on",
        "paused/",
    );
    until(3, "in_progress");
    browser.click("#groups [data-id='3'] [data-verb=pause]");
    until(3, "paused");
    begin(
        "a-directory-with-a-rather-long-name-that-goes-on",
        "moving/below/a/long/prefix/",
    );
    browser.until(
        "one moves",
        "document.querySelector(\"#groups [data-id='4'] progress\")?.value > 0",
    );
    picture(&browser, "groups");
    browser.click("#groups [data-id='4'] .open");
    browser.until_text("#filter-group", "moving");
    browser.click("#groups [data-id='2'] .left-out summary");
    browser.until_text("#groups [data-id='2'] .left-list", "NotUtf8");
    browser.click("#rows .open");
    browser.until_text("#d-timeline", "Asked for");
    browser.key(ESCAPE);
    browser.run("document.querySelector(\"#groups [data-id='2']\").scrollIntoView()");
    picture(&browser, "groups-left-out");
}
