//! Names and words of strangers are shown as text, whatever they are made of.

use serde_json::json;
use towline_testserver::{Answer, Operation, Rule, Script};

use crate::service::Service;

const KEYS: [&str; 5] = [
    "<img src=x onerror=window.hacked=1>",
    "\"'><script>window.hacked=1</script>",
    "photo\u{202e}gnp.exe",
    "bell\u{7}-escape\u{1b}[31m-del\u{7f}-zero\u{200b}width",
    "{{7*7}}${7*7}javascript:window.hacked=1//&lt;b&gt;",
];

#[test]
fn s10_s21_keys_and_errors_of_markup_bidi_and_control_characters_are_shown_as_text() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    let body = "<Error><Code>&lt;img src=x onerror=window.hacked=2&gt;</Code><Message>&lt;script&gt;window.hacked=2\
         &lt;/script&gt; \u{202e}txet &quot;quoted&quot;</Message></Error>";
    let refuse = Rule::on(Operation::PutObject)
        .answer(Answer::status(403).body(body, "application/xml"))
        .set_header("x-amz-request-id", "<b>4442</b>");
    service
        .scene
        .server
        .faults()
        .play(Script::new().rule(refuse))
        .unwrap();
    let source = service.scene.file("<b>source", 10, 5);
    for key in KEYS {
        service.towline([
            "upload".as_ref(),
            source.as_os_str(),
            format!("s3://bucket/{key}").as_ref(),
        ]);
    }
    browser.until(
        "all have failed",
        "document.querySelectorAll('#rows tr[data-state=failed]').length === 5",
    );

    let shown = browser.text("#rows");
    assert!(
        shown.contains("<img src=x onerror=window.hacked=1>"),
        "{shown}"
    );
    assert!(
        shown.contains("\"'><script>window.hacked=1</script>"),
        "{shown}"
    );
    assert!(shown.contains("photoU+202Egnp.exe"), "{shown}");
    assert!(
        shown.contains("bellBEL-escapeESC[31m-delDEL-zeroU+200Bwidth"),
        "{shown}"
    );
    assert!(
        shown.contains("${7*7}javascript:window.hacked=1//&lt;b&gt;"),
        "{shown}"
    );
    assert!(shown.contains("<b>source"), "{shown}");
    assert_eq!(
        browser.ask("document.querySelectorAll('.hidden-char').length > 4"),
        true
    );

    for id in 1..=KEYS.len() {
        browser.click(&format!("#rows tr[data-id='{id}'] .open"));
        browser.until_text("#drawer h2", "bucket/");
        browser.until_text("#d-error", "<img src=x onerror=window.hacked=2>");
        browser.until_text("#d-error", "<script>window.hacked=2</script>");
        browser.until_text("#d-error", "U+202Etxet");
        browser.until_text("#d-error", "<b>4442</b>");
        browser.until_text("#d-error", "403");
    }
    // What is asked, and said, about them.
    browser.click("#rows tr[data-id='1'] [data-verb=remove]");
    browser.until_text("dialog.ask", "<img src=x onerror=window.hacked=1>");
    browser.click("dialog.ask button[value=no]");

    // Nowhere is an element, an attribute or a character that came from outside.
    let strangers = "document.querySelectorAll('main img, aside img, main script, aside script, main b, aside b, dialog img').length";
    assert_eq!(browser.ask(strangers), 0);
    let raw = "/[\\u0000-\\u0008\\u000e-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u202a-\\u202e\\u2066-\\u2069]/.test(document.documentElement.outerHTML)";
    assert_eq!(browser.ask(raw), false);
    assert_eq!(browser.ask("typeof window.hacked"), "undefined");

    // And if the page ever tried, the browser would refuse.
    let refused = "(() => { try { document.querySelector('#empty').innerHTML = '<b>x</b>'; return 'taken'; } catch (error) { return error.name; } })()";
    assert_eq!(browser.ask(refused), "TypeError");
    let inline = "new Promise((resolve) => { const script = document.createElement('script'); \
         document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective), { once: true }); \
         try { script.text = 'window.hacked=3'; document.body.append(script); } catch (error) { resolve(error.name); } })";
    assert_ne!(browser.ask_later(inline), json!(null));
    assert_eq!(browser.ask("typeof window.hacked"), "undefined");
}
