//! The page without a pointer, and to a screen reader.

use crate::browser::{DOWN, ENTER, ESCAPE, TAB};
use crate::service::{MIB, Service};

#[test]
fn everything_is_done_by_keys_and_the_focus_is_seen_and_never_lost() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    service.bandwidth(MIB / 4);
    let focus = |what: &str, selector: &str| {
        browser.until(
            what,
            &format!("document.activeElement.matches({selector:?})"),
        );
    };

    // Submitted: a path by completion, the rest by Tab.
    service.scene.file("completed-by-the-list", 12 * MIB, 6);
    browser.key('n');
    focus("the form takes the focus", "#path");
    browser.fill(
        "#path",
        &format!("{}/completed-by", service.scene.path("").display()).replace("//", "/"),
    );
    browser.until_text("#path-list", "completed-by-the-list");
    browser.key(DOWN);
    browser.until(
        "the list is walked through",
        "document.querySelector('#path-list [aria-selected=true]') !== null",
    );
    browser.key(ENTER);
    browser.until(
        "the path is taken",
        "document.querySelector('#path').value.endsWith('/completed-by-the-list')",
    );
    for _ in 0..20 {
        if browser.ask("document.activeElement.id === 'f-bucket'") == true {
            break;
        }
        browser.key(TAB);
    }
    focus("Tab reaches the bucket", "#f-bucket");
    for letter in "bucket".chars() {
        browser.key(letter);
    }
    browser.key(ENTER);
    browser.until(
        "it is there",
        "document.querySelectorAll('#rows tr').length === 1",
    );

    browser.key('j');
    focus("a row has the focus", "#rows tr[data-id='1'] .open");
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.ask(outline), "solid", "the focus is not seen");
    browser.key('p');
    browser.until(
        "p pauses",
        "document.querySelector('#rows tr').dataset.state === 'paused'",
    );
    browser.key('x');
    browser.until_text("#picked output", "1 selected");
    browser.key(ESCAPE);
    browser.until(
        "Escape clears the selection",
        "document.querySelector('#picked').hidden",
    );
    browser.key(ENTER);
    browser.until("Enter opens", "!document.querySelector('#drawer').hidden");
    focus("the drawer takes the focus", "#drawer h2");
    browser.key(ESCAPE);
    browser.until("Escape closes", "document.querySelector('#drawer').hidden");
    focus("the focus goes back", "#rows tr[data-id='1'] .open");
    browser.key('c');
    browser.until(
        "what destroys asks",
        "document.querySelector('dialog.ask')?.open === true",
    );
    browser.key(ESCAPE);
    browser.until(
        "Escape is no",
        "document.querySelector('dialog.ask') === null",
    );
    assert_eq!(service.list()[0]["state"], "paused");
    service.bandwidth(0);
    browser.key('r');
    browser.until(
        "r resumes",
        "document.querySelector('#rows tr').dataset.state === 'completed'",
    );
    browser.until_text("#announcer", "Completed");

    // Letters in a field are the field's.
    browser.key('/');
    focus("the search", "#search");
    browser.key('n');
    browser.until(
        "it is typed",
        "document.querySelector('#search').value === 'n'",
    );
    assert_eq!(browser.ask("document.querySelector('#submit').open"), false);
    browser.key(ESCAPE);
    browser.key('?');
    browser.until_text("#keys", "next page");
    browser.key(ESCAPE);
    browser.until("the list closes", "!document.querySelector('#keys').open");
}

#[test]
fn every_control_has_a_name_and_the_page_has_landmarks_and_a_table() {
    let service = Service::start();
    let Some(browser) = service.open() else {
        return;
    };
    let source = service.scene.file("source", 10, 7);
    service.submit(&browser, &source, "");
    browser.until(
        "it is done",
        "document.querySelector('#rows tr')?.dataset.state === 'completed'",
    );
    browser.click("#rows .open");
    browser.until(
        "the drawer is open",
        "!document.querySelector('#drawer').hidden",
    );
    // As assistive technology is told it.
    let tree = browser.devtools("Accessibility.getFullAXTree", serde_json::json!({}));
    let nodes: Vec<(String, String)> = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["ignored"] != true)
        .map(|node| {
            ["role", "name"].map(|of| node[of]["value"].as_str().unwrap_or_default().to_owned())
        })
        .map(|[role, name]| (role, name))
        .collect();
    let nameless: Vec<_> = nodes
        .iter()
        .filter(|(role, name)| {
            [
                "button",
                "textbox",
                "searchbox",
                "combobox",
                "checkbox",
                "progressbar",
                "image",
            ]
            .contains(&role.as_str())
                && name.is_empty()
        })
        .collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    let has = |role: &str| nodes.iter().any(|(other, _)| other == role);
    for role in [
        "banner",
        "main",
        "navigation",
        "search",
        "complementary",
        "table",
        "row",
        "columnheader",
        "cell",
        "status",
        "toolbar",
    ] {
        assert!(has(role), "there is no {role}: {nodes:?}");
    }
}
