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

const FILES: &[File] = &[
    File {
        path: "/",
        content_type: "text/html; charset=utf-8",
        bytes: include_bytes!("page/index.html"),
    },
    File {
        path: "/app.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("page/app.js"),
    },
    File {
        path: "/style.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("page/style.css"),
    },
    File {
        path: "/api.html",
        content_type: "text/html; charset=utf-8",
        bytes: include_bytes!("page/api.html"),
    },
    File {
        path: "/api.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("page/api.js"),
    },
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
