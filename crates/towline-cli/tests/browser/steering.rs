//! Transfers are submitted, watched and steered.

use crate::browser::Browser;
use crate::service::{MIB, Service};

const ROW: &str = "#rows tr[data-id='1']";

fn until_state(browser: &Browser, id: u64, state: &str) {
    let expression = format!(
        "document.querySelector(\"#rows tr[data-id='{id}']\")?.dataset.state === '{state}'"
    );
    browser.until(&format!("transfer {id} is {state}"), &expression);
}

fn share(browser: &Browser) -> f64 {
    let value = browser.ask(&format!(
        "document.querySelector(\"{ROW} progress\")?.value ?? 0"
    ));
    value.as_f64().unwrap()
}

#[test]
fn an_upload_is_submitted_seen_to_move_paused_resumed_and_proven() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    browser.until_text("#empty", "towline upload");
    let source = service.scene.file("source", 64 * MIB, 1);
    service.bandwidth(MIB);
    service.submit(&browser, &source, "folder/");

    browser.until_text(ROW, "folder/source");
    until_state(&browser, 1, "in_progress");
    let first = format!("document.querySelector(\"{ROW} progress\").value > 0");
    browser.until("bytes move", &first);
    let before = share(&browser);
    browser.until(
        "more bytes move",
        &format!("document.querySelector(\"{ROW} progress\").value > {before}"),
    );
    browser.until(
        "the rate is told",
        &format!("/B\\/s/.test(document.querySelector(\"{ROW} td.rate\").textContent)"),
    );
    browser.until(
        "the graph has it",
        "/B\\/s/.test(document.querySelector('#rate-up').textContent)",
    );

    browser.click(&format!("{ROW} .open"));
    browser.until(
        "the map of its parts",
        "/^8 parts: /.test(document.querySelector('#drawer canvas')?.getAttribute('aria-label'))",
    );

    browser.click(&format!("{ROW} [data-verb=pause]"));
    until_state(&browser, 1, "paused");
    browser.until_text("#d-state", "Paused");
    assert_eq!(service.list()[0]["state"], "paused");
    service.bandwidth(0);
    browser.click("#d-acts [data-verb=resume]");
    until_state(&browser, 1, "completed");
    browser.until_text("#d-parts", "full-object");
    browser.until_text("#d-numbers", "100 %");
    browser.until_text("#tab-completed", "1");
    let sent = std::fs::read(&source).unwrap();
    assert!(
        service
            .scene
            .server
            .object_bytes("bucket", "folder/source")
            .unwrap()
            == sent
    );
    browser.key(crate::browser::ESCAPE);
    browser.until(
        "the drawer closes",
        "document.querySelector('#drawer').hidden",
    );
}

#[test]
fn a_cancel_asks_first_and_a_canceled_transfer_is_revived_alone_and_never_in_bulk() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    service.bandwidth(MIB / 4);
    for name in ["one", "two", "three"] {
        let source = service.scene.file(name, 12 * MIB, 2);
        service.submit(&browser, &source, "");
    }
    browser.until(
        "all three are there",
        "document.querySelectorAll('#rows tr').length === 3",
    );

    browser.click(&format!("{ROW} [data-verb=cancel]"));
    browser.click("dialog.ask button[value=no]");
    browser.until(
        "nothing is asked any more",
        "!document.querySelector('dialog.ask')",
    );
    assert_ne!(service.list()[0]["state"], "canceled");
    browser.click(&format!("{ROW} [data-verb=cancel]"));
    browser.click("dialog.ask button[value=yes]");
    until_state(&browser, 1, "canceled");

    // A selection: the two that are left are paused, the canceled one is left out.
    browser.click("#pick-all");
    browser.until_text("#picked output", "3 selected");
    browser.click("#picked [data-verb=pause]");
    until_state(&browser, 2, "paused");
    until_state(&browser, 3, "paused");
    browser.until(
        "nothing is selected any more",
        "document.querySelector('#picked').hidden",
    );

    // All of them: what is paused goes on, what was canceled does not.
    service.bandwidth(0);
    browser.click("#all-menu summary");
    browser.click("[data-all=resume]");
    until_state(&browser, 2, "completed");
    until_state(&browser, 3, "completed");
    browser.click("#all-menu summary");
    browser.click("[data-all=retry]");
    browser.until_text("#toasts", "0 transfers retried");
    until_state(&browser, 1, "canceled");
    browser.click(&format!("{ROW} [data-verb=retry]"));
    until_state(&browser, 1, "completed");

    browser.click("#all-menu summary");
    browser.click("[data-all=remove]");
    browser.click("dialog.ask button[value=yes]");
    browser.until_text("#empty", "Nothing to tow");
    assert!(service.list().is_empty());
    assert!(service.scene.server.object_bytes("bucket", "one").is_ok());
}

#[test]
fn the_queue_is_searched_and_filtered_and_limits_are_set_while_it_runs() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    service.scene.object("fetched", MIB, 3);
    let source = service.scene.file("sent", MIB, 3);
    service.submit(&browser, &source, "logs/sent.txt");
    service.towline(["download", "s3://bucket/fetched", "copy"]);
    browser.until(
        "both are done",
        "document.querySelectorAll('#rows tr[data-state=completed]').length === 2",
    );

    let only = |what: &str, id: u64| {
        let expression = format!(
            "[...document.querySelectorAll('#rows tr')].map((row) => row.dataset.id).join() === '{id}'"
        );
        browser.until(what, &expression);
    };
    browser.fill("#search", "LOGS/");
    only("found by its key", 1);
    browser.fill("#search", "copy");
    only("found by its path", 2);
    browser.fill("#search", "neither");
    browser.until_text("#empty", "No transfer is like this");
    browser.click("#all-menu summary");
    browser.click("[data-all=remove]");
    browser.until_text("#toasts", "Clear the search first");
    browser.run("const search = document.querySelector('#search'); search.value = ''; search.dispatchEvent(new Event('input', { bubbles: true }))");
    browser.choose("#filter-type", "upload");
    only("uploads alone", 1);
    browser.choose("#filter-type", "");
    browser.click("#tab-failed");
    browser.until_text("#empty", "No transfer is like this");

    browser.click("#open-limits");
    browser.until(
        "the limits are known",
        "document.querySelector('#limits').open && document.querySelector('#limit-requests').value !== ''",
    );
    browser.fill("#limit-requests", "0");
    browser.click("#limits button[type=submit]");
    browser.until_text("#limits-problem", "1 to 256");
    browser.fill("#limit-requests", "3");
    browser.fill("#limit-upload", "0.0001");
    browser.click("#limits button[type=submit]");
    browser.until_text("#limits-problem", "0.001 or more");
    browser.fill("#limit-upload", "2.5");
    browser.click("#limits button[type=submit]");
    browser.until("the form closes", "!document.querySelector('#limits').open");
    browser.click("#open-limits");
    browser.until(
        "they are set",
        "document.querySelector('#limits').open && document.querySelector('#limit-requests').value === '3'",
    );
    browser.until(
        "one cap is set",
        "document.querySelector('#limit-upload').value === '2.5' && document.querySelector('#limit-download').value === ''",
    );
    browser.run("const ask = window.fetch; window.fetch = (url, options) => { if (options?.method === 'PATCH') window.patched = options.body; return ask(url, options); }");
    browser.fill("#limit-upload", "");
    browser.click("#limits button[type=submit]");
    browser.until("the form closes", "!document.querySelector('#limits').open");
    browser.until(
        "nothing is set but what was changed",
        r#"window.patched === '{"bandwidth":{"upload":null}}'"#,
    );
    let limits = service.towline(["limits", "--json"]);
    let limits: serde_json::Value = serde_json::from_slice(&limits.stdout).unwrap();
    assert_eq!(limits["bandwidth"]["upload"], serde_json::Value::Null);
    assert_eq!(limits["requests"], 3);
}
