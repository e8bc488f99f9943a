//! Redirects to where secrets do not belong.

use super::is_failed;
use super::server::{Evil, Reply, http};
use super::victim::{Verb, suffer, suffer_with_secret};

/// Whatever it is asked, it sends elsewhere; nobody comes there.
#[tokio::test]
async fn nobody_is_sent_to_another_place_by_a_redirect() {
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        for verb in [Verb::Upload, Verb::UploadInParts, Verb::Download] {
            for secret in [false, true] {
                let elsewhere = Evil::start(|_| Reply::Whole(Vec::new())).await;
                let port = elsewhere.port;
                let body = format!(
                    "<Error><Code>TemporaryRedirect</Code><Message>over there</Message>\
                     <Endpoint>localhost:{port}</Endpoint></Error>"
                );
                let headers = format!(
                    "location: http://localhost:{port}/bucket/key\r\n\
                     x-amz-bucket-region: localhost:{port}/\r\n"
                );
                let server = Evil::start(move |asked| {
                    let body = if asked.is("HEAD", "") { "" } else { &body };
                    Reply::Whole(http(status, &headers, body))
                })
                .await;
                let told = match secret {
                    true => suffer_with_secret(verb, server.endpoint()).await,
                    false => suffer(verb, server.endpoint()).await,
                };
                let name = format!("{status} {verb:?}");
                is_failed(&name, &told);
                assert_eq!(elsewhere.connections(), 0, "{name}");
                let asked = server.heads();
                assert!((1..10).contains(&asked.len()), "{name}: {asked:?}");
                assert!(asked.iter().all(|head| !head.contains("localhost")));
                // It had something to lose.
                let gave = |what: &str| asked.iter().any(|head| head.contains(what));
                assert!(gave("authorization: AWS4-HMAC-SHA256"), "{name}");
                let key = gave("x-amz-server-side-encryption-customer-key: ");
                assert_eq!(key, secret, "{name}");
            }
        }
    }
}
