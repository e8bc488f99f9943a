//! Redirects: whether one stays within the endpoint, and those that are in force.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html>

use std::collections::HashMap;
use std::time::{Duration, Instant};

use http::Uri;

use crate::endpoint::Location;

/// How long a temporary redirect is followed without being told again.
const GOOD_FOR: Duration = Duration::from_secs(300);
/// Buckets whose redirects are remembered.
const MAX_BUCKETS: usize = 1024;

/// Where requests for a bucket go instead, for a while.
#[derive(Default)]
pub(crate) struct Redirects {
    /// What S3 said in an error, not yet taken up: the URL and its host.
    told: HashMap<String, (String, String)>,
    followed: HashMap<String, (String, Instant)>,
}

impl Redirects {
    /// Keeps what was said of a bucket until it is taken up.
    pub(crate) fn tell(&mut self, bucket: &str, location: &str, host: String) {
        if self.told.len() < MAX_BUCKETS || self.told.contains_key(bucket) {
            let told = (location.to_owned(), host);
            self.told.insert(bucket.to_owned(), told);
        }
    }

    /// From now on requests for the buckets of which this was said go there.
    pub(crate) fn follow(&mut self, location: &str, now: Instant) {
        let taken_up = self.told.extract_if(|_, (told, _)| told == location);
        let until = now + GOOD_FOR;
        let taken_up: Vec<_> = taken_up
            .map(|(bucket, (_, host))| (bucket, (host, until)))
            .collect();
        if self.followed.len() + taken_up.len() > MAX_BUCKETS {
            self.followed.clear(); // S3 will tell again
        }
        self.followed.extend(taken_up);
    }

    /// The host to which requests for the bucket go.
    pub(crate) fn host(&self, bucket: &str, now: Instant) -> Option<&str> {
        let (host, until) = self.followed.get(bucket)?;
        (now < *until).then_some(host.as_str())
    }
}

/// The host and port of `location`, where a request for `bucket` that belongs
/// at `place` may go instead: the same scheme and port, and a host of the same
/// endpoint that has the bucket in its name exactly if ours has.
pub(crate) fn within(place: &Location, bucket: &str, location: &str) -> Option<String> {
    let there: Uri = location.parse().ok()?;
    let scheme = if place.secure { "https" } else { "http" };
    let authority = there.authority()?;
    let plain = !authority.as_str().contains('@');
    if there.scheme_str() != Some(scheme) || !plain {
        return None;
    }
    let ours: http::uri::Authority = place.authority.parse().ok()?;
    let port = |authority: &http::uri::Authority| {
        let usual = if place.secure { 443 } else { 80 };
        authority.port_u16().unwrap_or(usual)
    };
    if port(authority) != port(&ours) {
        return None;
    }
    let in_host = format!("{}.", bucket.to_ascii_lowercase());
    let host = |authority: &http::uri::Authority| {
        let host = authority.host().to_ascii_lowercase();
        match host.strip_prefix(&in_host) {
            Some(rest) => (true, rest.to_owned()),
            None => (false, host),
        }
    };
    let ((ours_in_host, ours), (theirs_in_host, theirs)) = (host(&ours), host(authority));
    let same = theirs == ours
        || theirs.ends_with(&format!(".{ours}")) && ours.parse::<std::net::IpAddr>().is_err()
        || aws_domain(&ours).is_some_and(|domain| aws_domain(&theirs) == Some(domain));
    (same && ours_in_host == theirs_in_host).then(|| authority.as_str().to_owned())
}

/// The domain of AWS's that a host of its S3 is in: `s3.REGION.DOMAIN`,
/// `s3-REGION.DOMAIN` and alike. Others may have hosts there, but none of S3's.
fn aws_domain(host: &str) -> Option<&'static str> {
    let domains = ["amazonaws.com", "amazonaws.com.cn"];
    let domain = domains
        .into_iter()
        .find(|domain| host.ends_with(&format!(".{domain}")))?;
    let first = host.split('.').next()?;
    (first == "s3" || first.starts_with("s3-")).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Location {
        let (scheme, authority) = url.split_once("://").unwrap();
        Location {
            secure: scheme == "https",
            authority: authority.to_owned(),
            path: String::new(),
            region: "us-east-1".into(),
            loopback: false,
        }
    }

    #[test]
    fn only_hosts_of_the_endpoint_are_gone_to() {
        const AWS: &str = "https://b.s3.us-east-1.amazonaws.com";
        for (ours, location, goes) in [
            (AWS, "https://b.s3-us-west-2.amazonaws.com/key", true),
            (AWS, "https://b.s3.eu-central-1.amazonaws.com/key?x=y", true),
            (AWS, "http://b.s3.eu-central-1.amazonaws.com/key", false),
            (
                AWS,
                "https://b.s3.eu-central-1.amazonaws.com:8443/key",
                false,
            ),
            (AWS, "https://evil.test/key", false),
            (AWS, "https://b.s3.amazonaws.com.evil.test/key", false),
            (AWS, "https://me@b.s3.eu-central-1.amazonaws.com/key", false),
            (
                AWS,
                "https://other.s3.eu-central-1.amazonaws.com/key",
                false,
            ),
            (
                AWS,
                "https://b.execute-api.eu-central-1.amazonaws.com/key",
                false,
            ),
            (AWS, "https://s3.eu-central-1.amazonaws.com/b/key", false),
            (AWS, "/key", false),
            (AWS, "nonsense", false),
            (
                "https://s3.us-east-1.amazonaws.com",
                "https://s3.eu-west-1.amazonaws.com/b/key",
                true,
            ),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/b/key", true),
            ("http://127.0.0.1:9000", "http://127.0.0.1/b/key", false),
            (
                "http://127.0.0.1:9000",
                "http://x.127.0.0.1:9000/b/key",
                false,
            ),
            (
                "http://store.test:9000",
                "http://node7.store.test:9000/b/key",
                true,
            ),
            (
                "http://store.test:9000",
                "http://evilstore.test:9000/b/key",
                false,
            ),
            ("http://store.test", "http://STORE.test:80/b/key", true),
        ] {
            let host = within(&place(ours), "b", location);
            assert_eq!(host.is_some(), goes, "{ours} → {location}: {host:?}");
        }
    }

    #[test]
    fn a_redirect_is_in_force_for_its_bucket_and_for_a_while() {
        let mut redirects = Redirects::default();
        let now = Instant::now();
        redirects.tell("b", "http://x/b/key", "x".into());
        assert_eq!(redirects.host("b", now), None, "told is not followed");
        redirects.follow("http://y/b/key", now);
        assert_eq!(redirects.host("b", now), None, "another one was followed");
        redirects.follow("http://x/b/key", now);
        assert_eq!(redirects.host("b", now), Some("x"));
        assert_eq!(redirects.host("c", now), None);
        assert_eq!(redirects.host("b", now + GOOD_FOR), None);
    }
}
