//! Where a bucket is: AWS's host names, endpoints of one's own, and how the
//! bucket goes into the URL.

use std::net::IpAddr;

use http::uri::Authority;
use towline_core::{Addressing, ConnectError, Connection};

/// Used where no region is known.
pub(crate) const DEFAULT_REGION: &str = "us-east-1";

/// The endpoint of a connection, without a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    kind: Kind,
    addressing: Addressing,
}

#[derive(Clone, Debug)]
enum Kind {
    Aws {
        dual_stack: bool,
        fips: bool,
        accelerate: bool,
    },
    Custom {
        secure: bool,
        authority: String,
        /// `""` or `/…` without a final slash.
        prefix: String,
        host_is_ip: bool,
        host_is_aws: bool,
        loopback: bool,
    },
}

/// Where requests on a bucket go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) secure: bool,
    /// `Host`.
    pub(crate) authority: String,
    /// What stands before `/key`.
    pub(crate) path: String,
    /// The region to sign for.
    pub(crate) region: String,
    /// Plain HTTP that does not leave the machine.
    pub(crate) loopback: bool,
}

impl Endpoint {
    pub(crate) fn of(connection: &Connection) -> Result<Self, ConnectError> {
        let kind = match &connection.endpoint {
            Some(url) => custom(url)?,
            None => Kind::Aws {
                dual_stack: connection.dual_stack,
                fips: connection.fips,
                accelerate: connection.accelerate,
            },
        };
        Ok(Self {
            kind,
            addressing: connection.addressing,
        })
    }

    /// Whether all that goes there goes over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        match &self.kind {
            Kind::Aws { .. } => true,
            Kind::Custom { secure, .. } => *secure,
        }
    }

    /// Where a bucket is, or why it cannot be used here.
    pub(crate) fn locate(&self, bucket: &str, region: &str) -> Result<Location, ConnectError> {
        if bucket.starts_with("arn:") {
            return self.locate_arn(bucket);
        }
        if bucket.ends_with("--x-s3") {
            return Err(unfit(
                bucket,
                "this client",
                "directory buckets are not supported yet",
            ));
        }
        if bucket.ends_with(".mrap") {
            return Err(unfit(bucket, "this client", MULTI_REGION));
        }
        match &self.kind {
            Kind::Aws {
                dual_stack,
                fips,
                accelerate,
            } => {
                let region = match region {
                    "aws-global" => DEFAULT_REGION,
                    region => region,
                };
                if *accelerate {
                    return self.locate_accelerated(bucket, region, *dual_stack, *fips);
                }
                let service = if *fips { "s3-fips" } else { "s3" };
                let stack = if *dual_stack { ".dualstack" } else { "" };
                let host = format!("{service}{stack}.{region}.{}", suffix(region));
                let in_host = match self.addressing {
                    Addressing::Auto => fits_tls_host(bucket),
                    Addressing::Path => false,
                    Addressing::Virtual => self.demand_host(bucket)?,
                };
                Ok(place(true, host, "", bucket, in_host, region, false))
            }
            Kind::Custom {
                secure,
                authority,
                prefix,
                host_is_ip,
                host_is_aws,
                loopback,
            } => {
                let in_host = match self.addressing {
                    Addressing::Auto => {
                        let fits = if *secure { fits_tls_host } else { fits_host };
                        *host_is_aws && fits(bucket)
                    }
                    Addressing::Path => false,
                    Addressing::Virtual if *host_is_ip => {
                        let why = "the endpoint's host is an IP address";
                        return Err(unfit(bucket, "virtual-hosted addressing", why));
                    }
                    Addressing::Virtual => self.demand_host(bucket)?,
                };
                let authority = authority.clone();
                Ok(place(
                    *secure, authority, prefix, bucket, in_host, region, *loopback,
                ))
            }
        }
    }

    fn locate_accelerated(
        &self,
        bucket: &str,
        region: &str,
        dual_stack: bool,
        fips: bool,
    ) -> Result<Location, ConnectError> {
        const OPTION: &str = "transfer acceleration";
        if !fits_tls_host(bucket) {
            let why = "its name must be a DNS label without dots";
            return Err(unfit(bucket, OPTION, why));
        }
        if self.addressing == Addressing::Path || fips || suffix(region) != AWS {
            let why =
                "there is no such endpoint with path-style, FIPS or outside the aws partition";
            return Err(unfit(bucket, OPTION, why));
        }
        let stack = if dual_stack { ".dualstack" } else { "" };
        let host = format!("s3-accelerate{stack}.{AWS}");
        Ok(place(true, host, "", bucket, true, region, false))
    }

    /// `arn:aws:s3:region:account:accesspoint/name`.
    fn locate_arn(&self, arn: &str) -> Result<Location, ConnectError> {
        let option = "an access point ARN";
        let Kind::Aws {
            dual_stack,
            fips,
            accelerate: false,
        } = &self.kind
        else {
            let why = "access points need AWS's own endpoint, without acceleration";
            return Err(unfit(arn, option, why));
        };
        let mut fields = arn.splitn(6, ':').skip(1);
        let mut field = || fields.next().unwrap_or_default();
        let (partition, service, region, account, resource) =
            (field(), field(), field(), field(), field());
        let name = resource
            .strip_prefix("accesspoint")
            .and_then(|rest| rest.strip_prefix(['/', ':']))
            .unwrap_or_default();
        if service == "s3" && region.is_empty() {
            return Err(unfit(arn, option, MULTI_REGION));
        }
        let label = format!("{name}-{account}");
        let sound = service == "s3"
            && partition.starts_with("aws")
            && is_label(region)
            && !account.is_empty()
            && account.bytes().all(|b| b.is_ascii_digit())
            && !name.is_empty()
            && is_label(&label);
        if !sound {
            let why = "only arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME is supported";
            return Err(unfit(arn, option, why));
        }
        let fips = if *fips { "-fips" } else { "" };
        let stack = if *dual_stack { ".dualstack" } else { "" };
        Ok(Location {
            secure: true,
            authority: format!(
                "{label}.s3-accesspoint{fips}{stack}.{region}.{}",
                suffix(region)
            ),
            path: String::new(),
            region: region.to_owned(),
            loopback: false,
        })
    }

    fn demand_host(&self, bucket: &str) -> Result<bool, ConnectError> {
        match fits_host(bucket) {
            true => Ok(true),
            false => {
                let why = "its name cannot be part of a host name";
                Err(unfit(bucket, "virtual-hosted addressing", why))
            }
        }
    }
}

const AWS: &str = "amazonaws.com";
const MULTI_REGION: &str = "multi-region access points are not supported yet";

fn unfit(bucket: &str, option: &'static str, why: &'static str) -> ConnectError {
    ConnectError::BucketUnfit {
        bucket: bucket.to_owned(),
        option,
        why,
    }
}

fn place(
    secure: bool,
    host: String,
    prefix: &str,
    bucket: &str,
    in_host: bool,
    region: &str,
    loopback: bool,
) -> Location {
    let (authority, path) = match in_host {
        true => (format!("{bucket}.{host}"), prefix.to_owned()),
        false => (host, format!("{prefix}/{bucket}")),
    };
    Location {
        secure,
        authority,
        path,
        region: region.to_owned(),
        loopback,
    }
}

/// The domain of a region's partition.
pub(crate) fn suffix(region: &str) -> &'static str {
    let partitions = [
        ("cn-", "amazonaws.com.cn"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("eusc-", "amazonaws.eu"),
    ];
    let found = partitions
        .iter()
        .find(|(start, _)| region.starts_with(start));
    found.map_or(AWS, |(_, suffix)| suffix)
}

/// One DNS label, as it must be below AWS's wildcard certificate.
fn fits_tls_host(bucket: &str) -> bool {
    is_label(bucket) && bucket.len() >= 3
}

/// Labels joined by dots.
fn fits_host(bucket: &str) -> bool {
    bucket.len() <= 63 && bucket.split('.').all(is_label) && bucket.parse::<IpAddr>().is_err()
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a region's name can stand in a host name.
pub(crate) fn is_region(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn custom(url: &str) -> Result<Kind, ConnectError> {
    let bad = |why: &str| ConnectError::BadEndpoint {
        endpoint: without_userinfo(url),
        why: why.to_owned(),
    };
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| bad("it must start with http:// or https://"))?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err(bad("its scheme must be http or https")),
    };
    if rest.contains(['?', '#']) {
        return Err(bad("it must have no query and no fragment"));
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if authority.contains('@') {
        return Err(bad("credentials do not belong into it"));
    }
    let parsed: Authority = authority
        .parse()
        .map_err(|_| bad("it needs a host and may have a port"))?;
    let host = parsed.host().trim_matches(['[', ']']).to_ascii_lowercase();
    if host.is_empty() {
        return Err(bad("it needs a host"));
    }
    let bracketed = parsed.host().starts_with('[');
    let well_formed = match bracketed {
        true => host.parse::<std::net::Ipv6Addr>().is_ok(),
        false => host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
    };
    if !well_formed {
        return Err(bad("its host is no name and no address"));
    }
    // What stands behind the host is nothing, or `:` and a port.
    let after = &parsed.as_str()[parsed.host().len()..];
    let port = match after.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(bad("its port must be 1 to 65535")),
        },
        Some(_) => return Err(bad("its port must be 1 to 65535")),
        None => None,
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b);
    if !path.bytes().all(allowed) {
        return Err(bad("its path has characters that a path cannot have"));
    }
    let ip = host.parse::<IpAddr>().ok();
    let shown = if bracketed {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let default_port = if secure { 443 } else { 80 };
    Ok(Kind::Custom {
        secure,
        authority: match port.filter(|port| *port != default_port) {
            Some(port) => format!("{shown}:{port}"),
            None => shown,
        },
        prefix: path.trim_end_matches('/').to_owned(),
        host_is_ip: ip.is_some(),
        host_is_aws: host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"),
        loopback: host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()),
    })
}

fn without_userinfo(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(connection: &Connection, bucket: &str) -> Result<String, ConnectError> {
        let region = connection.region.as_deref().unwrap_or(DEFAULT_REGION);
        let found = Endpoint::of(connection)?.locate(bucket, region)?;
        let scheme = if found.secure { "https" } else { "http" };
        Ok(format!("{scheme}://{}{}/", found.authority, found.path))
    }

    fn aws(region: &str) -> Connection {
        Connection {
            region: Some(region.into()),
            ..Connection::default()
        }
    }

    fn at(endpoint: &str) -> Connection {
        Connection {
            endpoint: Some(endpoint.into()),
            ..Connection::default()
        }
    }

    #[test]
    fn buckets_at_aws_are_found_by_partition_and_name() {
        for (region, bucket, expected) in [
            (
                "eu-west-1",
                "my-bucket",
                "https://my-bucket.s3.eu-west-1.amazonaws.com/",
            ),
            (
                "us-east-1",
                "my.bucket",
                "https://s3.us-east-1.amazonaws.com/my.bucket/",
            ),
            (
                "us-east-1",
                "Old_Style",
                "https://s3.us-east-1.amazonaws.com/Old_Style/",
            ),
            (
                "aws-global",
                "abc",
                "https://abc.s3.us-east-1.amazonaws.com/",
            ),
            (
                "cn-north-1",
                "abc",
                "https://abc.s3.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "us-gov-west-1",
                "abc",
                "https://abc.s3.us-gov-west-1.amazonaws.com/",
            ),
            (
                "us-iso-east-1",
                "abc",
                "https://abc.s3.us-iso-east-1.c2s.ic.gov/",
            ),
            (
                "us-isob-east-1",
                "abc",
                "https://abc.s3.us-isob-east-1.sc2s.sgov.gov/",
            ),
        ] {
            assert_eq!(url(&aws(region), bucket).unwrap(), expected);
        }
        let both = Connection {
            dual_stack: true,
            fips: true,
            ..aws("us-east-2")
        };
        let expected = "https://abc.s3-fips.dualstack.us-east-2.amazonaws.com/";
        assert_eq!(url(&both, "abc").unwrap(), expected);
        let path = Connection {
            addressing: Addressing::Path,
            ..aws("us-east-2")
        };
        assert_eq!(
            url(&path, "abc").unwrap(),
            "https://s3.us-east-2.amazonaws.com/abc/"
        );
    }

    #[test]
    fn acceleration_takes_only_buckets_that_are_one_label() {
        let fast = Connection {
            accelerate: true,
            ..aws("us-east-2")
        };
        assert_eq!(
            url(&fast, "abc").unwrap(),
            "https://abc.s3-accelerate.amazonaws.com/"
        );
        let dual = Connection {
            dual_stack: true,
            ..fast.clone()
        };
        assert_eq!(
            url(&dual, "abc").unwrap(),
            "https://abc.s3-accelerate.dualstack.amazonaws.com/"
        );
        for bucket in ["a.b.c", "Abc", "a_b"] {
            assert!(
                matches!(url(&fast, bucket), Err(ConnectError::BucketUnfit { .. })),
                "{bucket}"
            );
        }
    }

    #[test]
    fn access_points_have_hosts_of_their_own() {
        let arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/my-ap";
        let expected = "https://my-ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/";
        assert_eq!(url(&aws("us-east-1"), arn).unwrap(), expected);
        for bucket in [
            "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
            "arn:aws:s3-outposts:us-west-2:1:outpost/op/accesspoint/ap",
            "arn:aws:s3:evil.com/:1:accesspoint/ap",
            "arn:aws:s3:us-west-2:1:bucket/b",
            "arn:aws:s3",
            "abc--use1-az4--x-s3",
        ] {
            assert!(
                matches!(
                    url(&aws("us-east-1"), bucket),
                    Err(ConnectError::BucketUnfit { .. })
                ),
                "{bucket}"
            );
        }
        assert!(url(&at("http://localhost:9000"), arn).is_err());
    }

    #[test]
    fn other_stores_get_the_bucket_in_the_path_unless_told_otherwise() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/abc/"),
            ("http://[::1]:9000/", "http://[::1]:9000/abc/"),
            ("https://minio.example:443", "https://minio.example/abc/"),
            ("HTTPS://Minio.Example/s3/", "https://minio.example/s3/abc/"),
            (
                "https://s3.eu-west-1.amazonaws.com",
                "https://abc.s3.eu-west-1.amazonaws.com/",
            ),
        ] {
            assert_eq!(url(&at(endpoint), "abc").unwrap(), expected);
        }
        let hosted = |endpoint| Connection {
            addressing: Addressing::Virtual,
            ..at(endpoint)
        };
        assert_eq!(
            url(&hosted("http://store:81"), "a.bc").unwrap(),
            "http://a.bc.store:81/"
        );
        assert!(url(&hosted("http://127.0.0.1"), "abc").is_err());
        assert!(url(&hosted("http://store"), "A_b").is_err());
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_a_reason() {
        for endpoint in [
            "",
            "localhost:9000",
            "ftp://h",
            "http://",
            "http://:80",
            "http://u:canary@h",
            "http://h?x",
            "http://h#f",
            "http://h:0",
            "http://h:99999",
            "http://h:",
            "http://h:8x",
            "http://h h",
            "http://[::g]",
            "http://h/a b",
            "http://::1:80",
        ] {
            match Endpoint::of(&at(endpoint)) {
                Err(error @ ConnectError::BadEndpoint { .. }) => {
                    assert!(!error.to_string().contains("canary"), "{error}");
                }
                other => panic!("{endpoint}: {other:?}"),
            }
        }
    }
}
