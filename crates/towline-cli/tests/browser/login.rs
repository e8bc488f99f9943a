//! The way in: a code that is good once.

use crate::browser::Browser;
use crate::service::Service;

#[test]
fn s6_a_login_code_is_good_once_and_leaves_no_trace_in_the_address() {
    let service = Service::start();
    let Some(browser) = Browser::start() else {
        return;
    };
    browser.go(&service.url());
    browser.until_text("#logged-out", "towline open");
    assert_eq!(browser.ask("document.querySelector('#app').hidden"), true);

    let address = service.login_url();
    browser.go("about:blank");
    browser.go(&address);
    browser.until_text("#connection", "live");
    assert_eq!(browser.ask("location.href"), service.url());
    assert_eq!(browser.ask("document.cookie"), "");
    let visited = browser.devtools("Page.getNavigationHistory", serde_json::json!({}));
    let visited = visited["entries"].as_array().unwrap();
    let code = address.split("code=").nth(1).unwrap();
    assert!(
        visited
            .iter()
            .all(|entry| !entry["url"].as_str().unwrap().contains(code)),
        "{visited:?}"
    );
    // The token is kept for this tab.
    browser.reload();
    browser.until_text("#connection", "live");

    let Some(other) = Browser::start() else {
        return;
    };
    other.go(&address);
    other.until_text("#logged-out", "towline open");
    assert_eq!(other.ask("location.href"), service.url());
    assert_eq!(other.ask("sessionStorage.length"), 0);

    // A token that is good no more logs the page out.
    browser.run("sessionStorage.setItem('token', 'x'.repeat(64))");
    browser.until_text("#logged-out", "towline open");
    assert_eq!(browser.ask("sessionStorage.length"), 0);
}
