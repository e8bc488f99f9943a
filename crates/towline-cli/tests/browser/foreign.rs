//! A page of another origin can do nothing, and read nothing: FAILURES §6 as a
//! browser sees it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use crate::service::{MIB, Service};

/// Serves one page to whoever asks, for as long as the test lives.
fn foreign_page() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let page = format!(
        "<!doctype html><title>foreign</title><body><script>{}</script>",
        include_str!("foreign.js").replace("</script>", "<\\/script>")
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = stream.read(&mut [0; 8192]);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n";
            let _ = write!(stream, "{head}content-length: {}\r\n\r\n{page}", page.len());
        }
    });
    address
}

#[test]
fn s1_s7_s8_s9_a_page_of_another_origin_changes_nothing_and_reads_nothing_also_with_the_token() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    // One to be canceled or resumed, and one to be removed.
    service.bandwidth(MIB / 4);
    let source = service.scene.file("paused", 12 * MIB, 8);
    service.submit(&browser, &source, "");
    browser.click("#rows [data-verb=pause]");
    browser.until(
        "it is paused",
        "document.querySelector('#rows tr').dataset.state === 'paused'",
    );
    service.bandwidth(0);
    let source = service.scene.file("completed", 10, 8);
    service.submit(&browser, &source, "");
    browser.until(
        "it is done",
        "document.querySelector(\"#rows tr[data-id='2']\")?.dataset.state === 'completed'",
    );
    let token = browser.ask("sessionStorage.getItem('token')");
    let limits = "fetch('/v1/limits', { headers: { authorization: `Bearer ${sessionStorage.getItem('token')}` } }).then((r) => r.json())";
    let (before, limits_before) = (service.list(), browser.ask_later(limits));
    assert!(
        limits_before["requests"].as_u64() > Some(1),
        "{limits_before}"
    );

    browser.go(&foreign_page());
    let attempt = format!(
        "window.attempt('{}', {token}).then((results) => window.results = results)",
        service.url()
    );
    browser.run(&attempt);
    browser.until("all attempts are made", "window.results !== undefined");
    let results = browser.ask("window.results").as_object().unwrap().clone();
    assert!(results.len() > 25, "{results:?}");
    for (attempt, came_to) in &results {
        let came_to = came_to.as_str().unwrap_or("nothing");
        assert!(!came_to.starts_with("READ"), "{attempt}: {came_to}");
    }
    assert_eq!(service.list(), before, "{results:?}");
    let spooled = std::fs::read_dir(service.scene.path("state/spool"));
    assert_eq!(spooled.map_or(0, Iterator::count), 0);

    // From the page itself the same works: the attempts were no bad requests.
    browser.go(&service.url());
    browser.run(&format!("sessionStorage.setItem('token', {token})"));
    assert_eq!(browser.ask_later(limits), limits_before);
    let own = "fetch('/v1/transfers/1/cancel', { method: 'POST', body: '{}', headers: \
         { 'content-type': 'application/json', authorization: `Bearer ${sessionStorage.getItem('token')}` } }).then((r) => r.status)";
    assert_eq!(browser.ask_later(own), 200);
    assert_ne!(service.list(), before);
}

#[test]
fn s2_a_name_that_is_bound_to_this_machine_by_another_shows_no_page() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    let rebound = service.url().replace("127.0.0.1", "rebound.test");
    browser.go(&rebound);
    browser.until_text("body", "asked for under the name of another");
    let asked = "fetch('/v1/transfers').then((response) => response.status)";
    assert_eq!(browser.ask_later(asked), 421);
    // Linked to from elsewhere it does not open either: that page may frame, or time it.
    browser.go(&foreign_page());
    browser.run(&format!("location.href = '{}'", service.url()));
    browser.until_text("body", "pages of other sites");
}
