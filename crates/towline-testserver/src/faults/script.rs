//! A script: everything a server is to do wrong, as JSON or built in Rust.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::act::millis;
use super::rule::Rule;

/// Everything a server is to do wrong.
///
/// The first rule that is for a request decides what is done to it. The same
/// script and the same requests give the same faults, in whatever order the
/// requests arrive, unless a rule counts [all of them](Rule::of_all).
///
/// ```
/// use towline_testserver::{Answer, Operation, Rule, Script};
///
/// let built = Script::new().rule(
///     Rule::on(Operation::UploadPart).part(2).first(1).answer(Answer::error(503, "SlowDown")),
/// );
/// let read = Script::from_json(
///     r#"{"rules": [{"match": {"operation": "UploadPart", "part": 2, "first": 1},
///                    "act": {"answer": {"status": 503, "code": "SlowDown"}}}]}"#,
/// )?;
/// assert_eq!(built, read);
/// # Ok::<(), towline_testserver::ScriptError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
    pub(super) offline: Option<Offline>,
    pub(super) clock_offset_s: i64,
    pub(super) credentials: Option<Credentials>,
    pub(super) region: Option<Region>,
    pub(super) close_idle_ms: Option<u64>,
    pub(super) bandwidth: u64,
}

/// How a server is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offline {
    /// The port is closed and open connections are reset.
    Refuse,
    /// Connections are accepted and reset at once, open ones too.
    Reset,
    /// Connections are accepted and no byte moves, on open ones too.
    Blackhole,
}

/// Credentials that expire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// Counted from when the script began.
    pub(crate) expire_after_ms: u64,
    /// Accepted from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) then: Option<Keys>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// The region a server is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Region {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) answer: WrongRegion,
}

/// How a server answers a request that was signed for another region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrongRegion {
    /// 400 `AuthorizationHeaderMalformed`, which names the right one.
    #[default]
    Malformed,
    /// 301 `PermanentRedirect` with `x-amz-bucket-region`.
    Redirect,
}

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// It is not the JSON of a script.
    #[error("not a script")]
    Json(#[source] serde_json::Error),
    /// A rule asks for what cannot be done.
    #[error("rule {number}: {reason}")]
    Rule {
        /// Its place in the script, from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl Script {
    /// No fault at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a script, and checks it.
    pub fn from_json(json: &str) -> Result<Self, ScriptError> {
        let script: Self = serde_json::from_str(json).map_err(ScriptError::Json)?;
        script.check()?;
        Ok(script)
    }

    /// What [`Rule::probability`] draws from. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Adds a rule after those it has.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Starts out of reach.
    pub fn offline(mut self, form: Offline) -> Self {
        self.offline = Some(form);
        self
    }

    /// The server's clock is this many seconds ahead, or behind when negative.
    ///
    /// Requests dated more than 900 s from it are refused with
    /// `RequestTimeTooSkewed`, which names the server's time.
    pub fn clock_offset(mut self, seconds: i64) -> Self {
        self.clock_offset_s = seconds;
        self
    }

    /// From then on the credentials are answered with `ExpiredToken`.
    pub fn credentials_expire(mut self, after: Duration) -> Self {
        self.credentials = Some(Credentials {
            expire_after_ms: millis(after),
            then: None,
        });
        self
    }

    /// From then on only these credentials are accepted.
    pub fn credentials_change(
        mut self,
        after: Duration,
        access_key: &str,
        secret_key: &str,
    ) -> Self {
        self.credentials = Some(Credentials {
            expire_after_ms: millis(after),
            then: Some(Keys {
                access_key: access_key.to_owned(),
                secret_key: secret_key.to_owned(),
            }),
        });
        self
    }

    /// The server is in this region, and refuses signatures for another so.
    pub fn region(mut self, name: &str, answer: WrongRegion) -> Self {
        let name = name.to_owned();
        self.region = Some(Region { name, answer });
        self
    }

    /// Closes connections that wait for a request this long.
    pub fn close_idle(mut self, after: Duration) -> Self {
        self.close_idle_ms = Some(millis(after));
        self
    }

    /// Lets this many body bytes a second through, everything together; 0 is no limit.
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.bandwidth = bytes_per_second;
        self
    }

    pub(super) fn check(&self) -> Result<(), ScriptError> {
        for (place, rule) in self.rules.iter().enumerate() {
            rule.check().map_err(|reason| ScriptError::Rule {
                number: place + 1,
                reason,
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[track_caller]
    fn refused(json: &str) -> String {
        let error = Script::from_json(json).unwrap_err();
        let source = error.source().map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    }

    #[test]
    fn what_is_wrong_with_a_script_is_said() {
        assert!(refused("{").contains("EOF"));
        assert!(refused(r#"{"sed": 1}"#).contains("unknown field `sed`"));
        let unknown = refused(r#"{"rules": [{"act": {"cuts": {}}}]}"#);
        assert!(unknown.contains("unknown field `cuts`"), "{unknown}");
        let operation = refused(r#"{"rules": [{"match": {"operation": "Get"}, "act": {}}]}"#);
        assert!(operation.contains("unknown variant `Get`"), "{operation}");
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_the_rules_number() {
        for (act, reason) in [
            (
                r#"{"cut": {"at": "before_read"}, "apply": "yes"}"#,
                "not read to its end",
            ),
            (
                r#"{"cut": {"at": {"request_bytes": 5}}, "duplicate_ms": 0}"#,
                "duplicated",
            ),
            (r#"{"apply": "no"}"#, "needs an `answer`"),
            (
                r#"{"apply": "no", "cut": {"at": "after_headers"}}"#,
                "needs an `answer`",
            ),
            (r#"{"answer": {"status": 99}}"#, "no status"),
            (r#"{"body": {"flip": {"at": 0, "bit": 8}}}"#, "bits 0 to 7"),
            (r#"{"drip": 0}"#, "at least 1"),
            (r#"{"headers": {"set": {"a b": "c"}}}"#, "no header"),
        ] {
            let json = format!(r#"{{"rules": [{{"act": {{}}}}, {{"act": {act}}}]}}"#);
            let error = refused(&json);
            assert!(
                error.contains("rule 2") && error.contains(reason),
                "{act}: {error}"
            );
        }
        let nth = refused(r#"{"rules": [{"match": {"nth": 0}, "act": {}}]}"#);
        assert!(nth.contains("from 1"), "{nth}");
    }

    #[test]
    fn a_script_that_was_written_is_read_as_the_same() {
        let script = Script::new()
            .seed(3)
            .offline(Offline::Blackhole)
            .clock_offset(-3600)
            .credentials_change(Duration::from_secs(1), "new", "secret")
            .region("eu-west-1", WrongRegion::Redirect)
            .close_idle(Duration::from_secs(5))
            .rule(Rule::on_any().flip(3, 1).keep_length().probability(0.25));
        let json = serde_json::to_string(&script).unwrap();
        assert_eq!(Script::from_json(&json).unwrap(), script);
    }
}
