//! Groups as one: begun elsewhere, seen, steered, and seen to end.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::{Value, json};
use towline_testserver::{Answer, Operation, Rule, Script};

use crate::browser::Browser;
use crate::service::{MIB, Service};

const GROUP: &str = "#groups [data-id='1']";

fn upload(dir: &Path) -> Value {
    json!({ "type": "upload", "path": dir, "bucket": "bucket", "prefix": "p/" })
}

fn until_state(browser: &Browser, state: &str) {
    let expression = format!("document.querySelector(\"{GROUP}\")?.dataset.state === '{state}'");
    browser.until(&format!("the group is {state}"), &expression);
}

fn until_numbers(browser: &Browser, says: &str) {
    browser.until_text(&format!("{GROUP} .numbers"), says);
}

fn act(browser: &Browser, verb: &str) {
    browser.click(&format!("{GROUP} [data-verb={verb}]"));
}

/// As programs are told it.
fn told(service: &Service) -> Value {
    let output = service.towline(["groups", "--json", "1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

fn rows(browser: &Browser) -> u64 {
    let rows = browser.ask("document.querySelectorAll('#rows tr').length");
    rows.as_u64().unwrap()
}

#[test]
fn a_group_that_is_begun_over_the_socket_is_seen_paused_resumed_retried_and_seen_to_end() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    assert_eq!(
        browser.ask("document.querySelector('#groups').hidden"),
        true
    );
    let other = service.scene.file("other", 10, 1);
    let other = other.to_str().unwrap();
    service.towline(["upload", other, "s3://bucket/other"]);
    let dir = service.files("files", 12, MIB);
    std::fs::write(dir.join(std::ffi::OsStr::from_bytes(b"no\xff")), "").unwrap();
    let refused = Rule::on(Operation::PutObject).key("p/0003");
    let refused = refused.answer(Answer::error(403, "AccessDenied"));
    let faults = service.scene.server.faults();
    faults.play(Script::new().rule(refused)).unwrap();
    service.bandwidth(2 * MIB);

    assert_eq!(service.begin_group(&upload(&dir)), 1);
    browser.until_text(GROUP, "files to s3://bucket/p/");
    until_state(&browser, "in_progress");
    browser.until(
        "some of it is done",
        &format!(
            "/[1-9] of 12 done/.test(document.querySelector(\"{GROUP} .numbers\").textContent)"
        ),
    );
    act(&browser, "pause");
    until_state(&browser, "paused");
    assert_eq!(told(&service)["state"], "paused");
    until_numbers(&browser, "13 found");

    // The queue shows its transfers alone, and then all again.
    browser.until(
        "all are shown",
        "document.querySelectorAll('#rows tr').length === 13",
    );
    browser.click(&format!("{GROUP} .open"));
    browser.until(
        "its own are shown",
        "document.querySelectorAll('#rows tr').length === 12",
    );
    browser.until_text("#filter-group", "files to s3://bucket/p/");
    let pressed = format!("document.querySelector(\"{GROUP} .open\").ariaPressed");
    assert_eq!(browser.ask(&pressed), "true");
    browser.click("#filter-group");
    browser.until(
        "all are shown",
        "document.querySelectorAll('#rows tr').length === 13",
    );
    assert_eq!(browser.ask(&pressed), "false");

    // All its transfers end at about the same time, and yet its own end is heard of.
    browser.run(
        "window.heard = []; const announcer = document.querySelector('#announcer'); \
         new MutationObserver(() => heard.push(announcer.textContent)) \
         .observe(announcer, { childList: true });",
    );
    service.bandwidth(0);
    act(&browser, "resume");
    until_state(&browser, "failed");
    until_numbers(&browser, "11 of 12 done · 1 failed");
    browser.until(
        "its end is announced",
        "heard.some((said) => /group 1, [^:]*files to s3:..bucket.p.: Failed/.test(said))",
    );
    browser.click(&format!("{GROUP} .left-out summary"));
    browser.until_text(&format!("{GROUP} .left-list"), "NotUtf8");

    faults.play(Script::new()).unwrap();
    act(&browser, "retry");
    until_numbers(&browser, "12 of 12 done");
    let sent = service.scene.server.object_bytes("bucket", "p/0003");
    assert_eq!(sent.unwrap().len() as u64, MIB);
    act(&browser, "remove");
    browser.until_text("dialog.ask", "files to s3://bucket/p/");
    browser.click("dialog.ask button[value=yes]");
    browser.until("it goes", "document.querySelector('#groups').hidden");
    browser.until(
        "its transfers go",
        "document.querySelectorAll('#rows tr').length === 1",
    );
    assert_eq!(service.towline(["groups"]).stdout, b"no groups\n");
}

#[test]
fn a_group_is_canceled_by_keys_and_what_others_do_to_it_is_seen_without_a_reload() {
    let mut service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    service.bandwidth(MIB / 2);
    service.begin_group(&upload(&service.files("files", 4, 6 * MIB)));
    until_state(&browser, "in_progress");
    assert!(service.towline(["pause", "--group", "1"]).status.success());
    until_state(&browser, "paused");

    // Also what they did while the service was gone.
    service.kill();
    browser.until_text("#connection", "not connected");
    service.run(&[]);
    browser.until_text("#connection", "live");
    until_state(&browser, "paused");

    browser.key('g');
    let focused = format!("document.activeElement.matches(\"{GROUP} .open\")");
    browser.until("it has the focus", &focused);
    browser.key('r');
    until_state(&browser, "in_progress");
    browser.key('c');
    browser.until_text("dialog.ask", "What was completed stays");
    browser.click("dialog.ask button[value=yes]");
    service.bandwidth(0);
    until_state(&browser, "canceled");
    until_numbers(&browser, "4 canceled");
    let transfers = service.list();
    assert!(transfers.iter().all(|it| it["state"] == "canceled"));
    assert!(service.towline(["remove", "--group", "1"]).status.success());
    browser.until("it goes", "document.querySelector('#groups').hidden");
    assert_eq!(rows(&browser), 0);
}

#[test]
fn s10_what_a_group_is_called_and_left_out_is_text_and_comes_a_page_at_a_time() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    let dir = service.files("files", 1, 10);
    for n in 0..45 {
        let name = format!("{n:02}<img src=x onerror=window.hacked=1>\u{202e}");
        let name = [name.as_bytes(), b"\xff"].concat();
        std::fs::write(dir.join(std::ffi::OsStr::from_bytes(&name)), "").unwrap();
    }
    let mut request = upload(&dir);
    request["group"] = json!("\"'><script>window.hacked=1</script>\u{202e}");
    service.begin_group(&request);
    until_state(&browser, "failed");
    browser.until_text(GROUP, "\"'><script>window.hacked=1</script>U+202E");
    browser.until_text(&format!("{GROUP} .left-out"), "45 left out");
    let left_out = "document.querySelectorAll('.left-list li').length";
    assert_eq!(browser.ask(left_out), 0, "it is read when it is asked for");
    browser.click(&format!("{GROUP} .left-out summary"));
    for (says, shown, on) in [
        ("1–20 of 45", 20, true),
        ("21–40 of 45", 20, true),
        ("41–45 of 45", 5, false),
    ] {
        browser.until_text(&format!("{GROUP} .left-out .row"), says);
        assert_eq!(browser.ask(left_out), shown);
        browser.until_text(".left-list", "<img src=x onerror=window.hacked=1>U+202E");
        if on {
            browser.click(&format!("{GROUP} .left-out .row button:last-child"));
        }
    }
    browser.click(&format!("{GROUP} .open"));
    browser.until_text("#filter-group", "<script>");
    let strangers = "document.querySelectorAll('main img, main script').length";
    assert_eq!(browser.ask(strangers), 0);
    assert_eq!(browser.ask("typeof window.hacked"), "undefined");

    // Each of its controls has a name.
    let nameless = "[...document.querySelectorAll('#groups button, #groups progress')]
        .filter((at) => !(at.ariaLabel || at.textContent.trim())).length";
    assert_eq!(browser.ask(nameless), 0);
}

#[test]
fn why_a_group_does_not_list_on_is_seen_and_that_it_does_again() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    service.scene.object("p/one", 10, 1);
    let faults = service.scene.server.faults();
    faults.offline(true);
    let dir = service.scene.path("dir");
    service.begin_group(&json!({
        "type": "download", "path": dir, "bucket": "bucket", "prefix": "p/",
    }));
    until_state(&browser, "waiting");
    browser.until(
        "it says why",
        &format!("document.querySelector(\"{GROUP} .why\").textContent.length > 5"),
    );
    faults.offline(false);
    until_state(&browser, "completed");
    until_numbers(&browser, "1 of 1 done");
    browser.until(
        "that is over",
        &format!("document.querySelector(\"{GROUP} .why\").textContent === ''"),
    );
}
