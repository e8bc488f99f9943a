//! A page of very many transfers. `TOWLINE_PAGE_ROWS` sets how many.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

use towline_core::{Phase, Store};
use towline_store_sqlite::SqliteStore;
use towline_testkit::crash::Scene;
use towline_testkit::store_contract::{Sample, completed, phase};

use crate::service::Service;

/// On a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn the_page_stays_quick_and_small_with_a_hundred_thousand_transfers() {
    if crate::browser::Browser::programs().is_none() {
        return;
    }
    let rows = std::env::var("TOWLINE_PAGE_ROWS").map_or(100_000, |rows| rows.parse().unwrap());
    let scene = Scene::start(env!("CARGO_BIN_EXE_towline"));
    fill(&scene.path("state"), rows);
    // They ended long ago.
    let service = Service::of(scene, &["--keep-for", "none"]);
    let begun = Instant::now();
    let Some(browser) = service.open() else {
        return;
    };
    let newest = format!("document.querySelector('#rows tr')?.dataset.id === '{rows}'");
    browser.until("the first page", &newest);
    println!(
        "first page, with the start of the browser: {:?}",
        begun.elapsed()
    );

    // How long the page's thread was busy without a break.
    browser.run(
        "window.longest = 0; let last = performance.now(); setInterval(() => { const now = performance.now(); \
         window.longest = Math.max(window.longest, now - last); last = now; }, 10);",
    );
    let timed = |what: &str, act: &dyn Fn(), until: &str| {
        let begun = Instant::now();
        act();
        browser.until(what, until);
        let took = begun.elapsed();
        println!("{what}: {took:?}");
        assert!(took < SOON, "{what} took {took:?}");
        assert_eq!(
            browser.ask("document.querySelectorAll('#rows tr').length <= 100"),
            true
        );
    };
    timed(
        "the second page",
        &|| browser.click("#page-on"),
        &format!(
            "document.querySelector('#rows tr')?.dataset.id === '{}'",
            rows - 100
        ),
    );
    timed(
        "the oldest first",
        &|| browser.choose("#filter-order", "oldest"),
        "document.querySelector('#rows tr')?.dataset.id === '1'",
    );
    for page in 2..=20 {
        let first = (page - 1) * 100 + 1;
        timed(
            "one page on",
            &|| browser.key(']'),
            &format!("document.querySelector('#rows tr')?.dataset.id === '{first}'"),
        );
    }
    timed(
        "the failed one",
        &|| browser.click("#tab-failed"),
        &format!(
            "document.querySelector('#rows tr')?.dataset.id === '{}'",
            rows / 2
        ),
    );
    timed(
        "all again",
        &|| browser.click("#tab-all"),
        "document.querySelectorAll('#rows tr').length === 100",
    );
    let needle = format!("needle-{}", rows / 3);
    timed(
        "a search",
        &|| browser.fill("#search", &needle),
        &format!("document.querySelector('#rows')?.innerText.includes('{needle}')"),
    );
    let nodes = browser
        .ask("document.querySelectorAll('*').length")
        .as_u64()
        .unwrap();
    assert!(nodes < 6_000, "{nodes} elements");
    let longest = browser.ask("window.longest").as_f64().unwrap();
    println!("the page's thread was busy for at most {longest:.0} ms");
    assert!(longest < 15_000.0, "{longest} ms");
}

/// A store with so many that are completed, and one in the middle that failed.
fn fill(dir: &Path, rows: u64) {
    std::fs::DirBuilder::new().mode(0o700).create(dir).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(dir).unwrap();
        let numbers: Vec<u64> = (1..=rows).collect();
        for some in numbers.chunks(5000) {
            let new = some
                .iter()
                .map(|n| Sample::upload(&format!("needle-{n}")).build());
            let made = store.create_many(new.collect()).await.unwrap();
            let ended = made.iter().map(|made| {
                let id = made.record().id;
                let failed = id.get() == rows / 2;
                (
                    id,
                    if failed {
                        vec![phase(Phase::Failed)]
                    } else {
                        completed()
                    },
                )
            });
            store.commit(ended.collect()).await.unwrap();
        }
        store.close().await.unwrap();
    });
}
