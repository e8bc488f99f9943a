//! The service is killed under the page.

use crate::service::{MIB, Service};

#[test]
fn a_killed_service_is_told_and_after_its_restart_the_page_has_missed_nothing() {
    let mut service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    service.bandwidth(MIB);
    for name in ["goes-on", "is-paused"] {
        let source = service.scene.file(name, 40 * MIB, 4);
        service.submit(&browser, &source, "");
    }
    browser.until("both move", "[...document.querySelectorAll('#rows progress')].filter((bar) => bar.value > 0).length === 2");

    service.kill();
    browser.until_text("#lost", "does not answer");
    browser.until_text("#connection", "not connected");
    assert_eq!(
        browser.ask("document.querySelectorAll('#rows tr').length"),
        2,
        "what was known stays"
    );
    // An order that cannot be carried out is said to be so.
    browser.click("#rows tr[data-id='1'] [data-verb=pause]");
    browser.until_text("#toasts", "does not answer");

    // Meanwhile somebody else is at it.
    assert!(service.towline(["pause", "2"]).status.success());
    service.run(&[]);
    browser.until_text("#connection", "live");
    browser.until("the warning goes", "document.querySelector('#lost').hidden");
    browser.until(
        "what happened meanwhile is shown",
        "document.querySelector(\"#rows tr[data-id='2']\").dataset.state === 'paused'",
    );
    service.bandwidth(0);
    browser.until(
        "the other one goes on",
        "document.querySelector(\"#rows tr[data-id='1']\").dataset.state === 'completed'",
    );
    browser.until_text("#tab-paused", "1");

    // And what comes later, too.
    assert!(service.towline(["remove", "1"]).status.success());
    browser.until(
        "it goes",
        "!document.querySelector(\"#rows tr[data-id='1']\")",
    );
}
