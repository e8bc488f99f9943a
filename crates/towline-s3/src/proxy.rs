//! Which proxy a request goes through: `HTTPS_PROXY`, `HTTP_PROXY`,
//! `ALL_PROXY`, `NO_PROXY`, upper or lower case.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use towline_core::ConnectError;

use crate::environment::Environment;

/// One proxy. Its credentials are in no `Debug` output.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// `http://host:port` or `https://host:port`.
    pub(crate) uri: Uri,
    /// `Proxy-Authorization`.
    pub(crate) authorization: Option<HeaderValue>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uri, f)
    }
}

/// The rules of an environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyRules {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Vec<Exception>,
}

#[derive(Clone, Debug)]
enum Exception {
    All,
    /// A host and all below it, on one port or any.
    Host(String, Option<u16>),
    /// Addresses with these leading bits.
    Net(IpAddr, u8),
}

impl ProxyRules {
    /// Fails on a proxy that is no `http` or `https` URL: going around it
    /// would be worse than not going.
    pub(crate) fn read(env: &Environment) -> Result<Self, ConnectError> {
        let all = env.first(&["all_proxy", "ALL_PROXY"]);
        // In a CGI process `HTTP_PROXY` is the client's `Proxy:` header.
        let http = match env.get("REQUEST_METHOD") {
            Some(_) => env.get("http_proxy"),
            None => env.first(&["http_proxy", "HTTP_PROXY"]),
        };
        let https = env.first(&["https_proxy", "HTTPS_PROXY"]);
        let except = env.first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        Ok(Self {
            http: http.or(all).map(parse).transpose()?,
            https: https.or(all).map(parse).transpose()?,
            except: except
                .split([',', ' '])
                .filter_map(|rule| exception(rule.trim()))
                .collect(),
        })
    }

    /// Whether plain HTTP can be on its way over TLS as far as a proxy.
    pub(crate) fn secure_plain_http(&self) -> bool {
        let proxy = self.http.as_ref();
        proxy.is_some_and(|proxy| proxy.uri.scheme_str() == Some("https"))
    }

    /// The proxy for a destination, if any.
    pub(crate) fn pick(&self, target: &Uri) -> Option<&Proxy> {
        let secure = target.scheme_str() == Some("https");
        let proxy = if secure { &self.https } else { &self.http }.as_ref()?;
        let host = target.host()?.trim_matches(['[', ']']).to_ascii_lowercase();
        let port = target.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let direct = self.except.iter().any(|rule| rule.covers(&host, port));
        (!direct).then_some(proxy)
    }
}

impl Exception {
    fn covers(&self, host: &str, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Host(name, at) => {
                at.is_none_or(|at| at == port)
                    && host
                        .strip_suffix(name.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Net(net, bits) => match (host.parse(), net) {
                (Ok(IpAddr::V4(host)), IpAddr::V4(net)) => same_bits(
                    u128::from(host.to_bits()),
                    u128::from(net.to_bits()),
                    32,
                    *bits,
                ),
                (Ok(IpAddr::V6(host)), IpAddr::V6(net)) => {
                    same_bits(host.to_bits(), net.to_bits(), 128, *bits)
                }
                _ => false,
            },
        }
    }
}

fn same_bits(a: u128, b: u128, width: u8, bits: u8) -> bool {
    bits == 0 || (a ^ b) >> (width - bits.min(width)) == 0
}

fn exception(rule: &str) -> Option<Exception> {
    let rule = rule.to_ascii_lowercase();
    if rule.is_empty() {
        return None;
    }
    if rule == "*" {
        return Some(Exception::All);
    }
    if let Ok(ip) = rule.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Exception::Net(ip, if ip.is_ipv4() { 32 } else { 128 }));
    }
    if let Some((net, bits)) = rule.split_once('/') {
        return Some(Exception::Net(net.parse().ok()?, bits.parse().ok()?));
    }
    let (host, port) = match rule.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (rule.as_str(), None),
    };
    let host = host.trim_start_matches('*').trim_start_matches('.');
    Some(Exception::Host(host.to_owned(), port))
}

fn parse(text: &str) -> Result<Proxy, ConnectError> {
    // Without the credentials that may stand before the `@`.
    let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let bad = |why: &str| ConnectError::BadEndpoint {
        endpoint: shown.to_owned(),
        why: format!("as a proxy, {why}"),
    };
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if scheme != "http" && scheme != "https" {
        return Err(bad("its scheme must be http or https"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let uri: Uri = format!("{scheme}://{host}/")
        .parse()
        .map_err(|_| bad("it must be a host and a port"))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(bad("it needs a host"));
    }
    let authorization = user.map(|user| {
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let mut plain: Vec<u8> = percent_decode_str(name).collect();
        plain.push(b':');
        plain.extend(percent_decode_str(password));
        let value = format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(plain));
        let mut value = HeaderValue::from_str(&value).expect("base64 is ASCII");
        value.set_sensitive(true);
        value
    });
    Ok(Proxy { uri, authorization })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(vars: &[(&str, &str)]) -> ProxyRules {
        ProxyRules::read(&Environment::new(vars.iter().copied(), None)).unwrap()
    }

    fn picked(rules: &ProxyRules, target: &str) -> Option<String> {
        rules
            .pick(&target.parse().unwrap())
            .map(|proxy| proxy.uri.authority().unwrap().to_string())
    }

    #[test]
    fn the_scheme_of_the_endpoint_chooses_the_proxy() {
        let rules = rules(&[("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2")]);
        assert_eq!(picked(&rules, "https://a/").as_deref(), Some("s:1"));
        assert_eq!(picked(&rules, "http://a/").as_deref(), Some("p:2"));
        let rules = self::rules(&[("ALL_PROXY", "http://all:3/")]);
        assert_eq!(picked(&rules, "https://a/").as_deref(), Some("all:3"));
        assert_eq!(picked(&rules, "http://a/").as_deref(), Some("all:3"));
        assert_eq!(picked(&ProxyRules::default(), "http://a/"), None);
    }

    #[test]
    fn hosts_of_no_proxy_are_reached_directly() {
        let rules = rules(&[
            ("https_proxy", "p:1"),
            (
                "NO_PROXY",
                "amazonaws.com, .local,10.0.0.0/8,::1,minio:9000",
            ),
        ]);
        for (host, direct) in [
            ("s3.eu-west-1.amazonaws.com", true),
            ("amazonaws.com", true),
            ("notamazonaws.com", false),
            ("x.LOCAL", true),
            ("10.1.2.3", true),
            ("11.1.2.3", false),
            ("[::1]:9000", true),
            ("minio:9000", true),
            ("minio:9001", false),
        ] {
            let target = format!("https://{host}/");
            assert_eq!(picked(&rules, &target).is_none(), direct, "{host}");
        }
        let rules = self::rules(&[("https_proxy", "p:1"), ("no_proxy", "*")]);
        assert_eq!(picked(&rules, "https://a/"), None);
    }

    #[test]
    fn a_proxys_password_is_shown_nowhere() {
        let rules = rules(&[("https_proxy", "http://me:can%40ary@p:1")]);
        assert!(!format!("{rules:?}").contains("ary"));
        let authorization = rules.https.unwrap().authorization.unwrap();
        assert_eq!(authorization, "Basic bWU6Y2FuQGFyeQ==");
        let env = Environment::new([("https_proxy", "socks5://me:canary@p:1")], None);
        let error = ProxyRules::read(&env).unwrap_err().to_string();
        assert!(
            error.contains("p:1") && !error.contains("canary"),
            "{error}"
        );
    }

    #[test]
    fn a_proxy_variable_that_came_from_a_web_request_is_ignored() {
        let rules = rules(&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil:1")]);
        assert_eq!(picked(&rules, "http://a/"), None);
    }
}
