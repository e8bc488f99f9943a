//! The page: static files in the binary, which hold no data.

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::routes::App;

struct File {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A file of `page/` under its own name.
macro_rules! file {
    ($name:literal, $content_type:expr) => {
        File {
            path: concat!("/", $name),
            content_type: $content_type,
            bytes: include_bytes!(concat!("page/", $name)),
        }
    };
}

const FILES: &[File] = &[
    File {
        path: "/",
        content_type: HTML,
        bytes: include_bytes!("page/index.html"),
    },
    file!("icon.svg", IMAGE),
    file!("style.css", STYLE),
    file!("app.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("drawer.js", SCRIPT),
    file!("graph.js", SCRIPT),
    file!("group-card.js", SCRIPT),
    file!("groups.js", SCRIPT),
    file!("keys.js", SCRIPT),
    file!("limits.js", SCRIPT),
    file!("parts.js", SCRIPT),
    file!("paths.js", SCRIPT),
    file!("queue.js", SCRIPT),
    file!("rows.js", SCRIPT),
    file!("service.js", SCRIPT),
    file!("steer.js", SCRIPT),
    file!("submit.js", SCRIPT),
    file!("text.js", SCRIPT),
    file!("api.html", HTML),
    file!("api.js", SCRIPT),
];

/// Whether a path is one of the page's files, which need no token.
pub(crate) fn has(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

pub(crate) fn routes() -> Router<App> {
    FILES.iter().fold(Router::new(), |router, file| {
        let answer = || async { ([(header::CONTENT_TYPE, file.content_type)], file.bytes) };
        router.route(file.path, get(answer))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_and_what_it_imports_is_there() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/page");
        for entry in std::fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(has(&format!("/{name}")) || name == "index.html", "{name}");
        }
        for file in FILES.iter().filter(|file| file.content_type == SCRIPT) {
            let text = std::str::from_utf8(file.bytes).unwrap();
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let (_, name) = line.split_once(" from './").expect(line);
                let name = name.trim_end_matches("';");
                assert!(has(&format!("/{name}")), "{}: {line}", file.path);
            }
        }
    }

    /// The policy forbids it; here is who says so before a browser does.
    #[test]
    fn s10_no_file_of_the_page_makes_markup_of_strings_or_holds_inline_code() {
        let forbidden = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "eval(",
            "new Function",
            "javascript:",
            " style=\"",
            " onclick=",
            "<style",
            "setAttribute('style'",
        ];
        for file in FILES {
            let text = std::str::from_utf8(file.bytes).unwrap();
            for word in forbidden {
                assert!(!text.contains(word), "{} has {word}", file.path);
            }
            let inline = text.matches("<script").count()
                - text.matches("<script type=\"module\" src=").count()
                - text.matches("<script src=").count();
            assert_eq!(inline, 0, "{} has a script of its own", file.path);
        }
    }
}
