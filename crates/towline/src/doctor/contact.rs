//! The way to the store: name, connection, TLS, clock, region, credentials.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use towline_core::{
    ConnectionSource, Failure, Fix, GetObject, Operation, S3, S3Error, S3ErrorKind,
};
use towline_s3::S3Client;

use super::{CheckResult, Doctor};
use crate::{Error, RequestError};

/// Clocks that differ by less are right, in seconds.
const RIGHT: i64 = 60;
/// S3 refuses requests that are dated further off, in seconds.
const TOLERATED: i64 = 900;

impl Doctor {
    /// Asks for an object that is not there, since an answer that is no success
    /// tells the most. Gives whether anything further can be tried.
    pub(super) async fn contact(&mut self) -> Result<bool, Error> {
        let object = GetObject {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            access: self.access.clone(),
            ..GetObject::default()
        };
        let send = move |s3: Arc<S3Client>| {
            let object = object.clone();
            async move { s3.get_object(object).await.map(drop) }
        };
        let asked = self.asker.ask_and_tell(Operation::GetObject, send).await?;
        let error = match asked.result {
            Ok(()) => None,
            Err(Failure::S3(error)) => Some(error),
            Err(local) => return Err(RequestError::of(local, asked.attempts).into()),
        };
        if let Some(error) = &error
            && !self.reached(error)
        {
            return Ok(false);
        }
        self.clock(error.as_deref(), &asked.fixes);
        let region = self.connection.region.clone().unwrap_or_default();
        let told = asked.fixes.iter().find_map(|fix| match fix {
            Fix::Region(region) => Some(region),
            _ => None,
        });
        match told {
            None => self.note("region", CheckResult::Ok, region),
            Some(told) => {
                let detail = format!(
                    "the bucket is in {told}, requests are signed for {region}; \
                     each start costs a request more, so name {told}"
                );
                self.note("region", CheckResult::Warning, detail);
            }
        }
        Ok(match error {
            Some(error) => self.is_let_in(*error, asked.attempts),
            None => {
                self.credentials_are_good();
                true
            }
        })
    }

    /// Whether there was an answer at all.
    fn reached(&mut self, error: &S3Error) -> bool {
        let steps = ["name", "connection", "tls"];
        let reached = match error.kind {
            S3ErrorKind::Dns => 0,
            S3ErrorKind::Connect | S3ErrorKind::Transport | S3ErrorKind::Stalled => 1,
            S3ErrorKind::Tls => 2,
            S3ErrorKind::Credentials => {
                self.note("credentials", CheckResult::Failed, &error.message);
                return false;
            }
            S3ErrorKind::Foreign
            | S3ErrorKind::Malformed
            | S3ErrorKind::Body
            | S3ErrorKind::Invalid => {
                let detail = format!("what answers is no S3 store: {}", error.message);
                self.note("connection", CheckResult::Failed, detail);
                return false;
            }
            S3ErrorKind::Answer => steps.len(),
        };
        for (step, name) in steps.into_iter().enumerate() {
            if step == reached {
                self.note(name, CheckResult::Failed, &error.message);
                return false;
            }
            self.way(name);
        }
        true
    }

    /// A step of the way that works.
    fn way(&mut self, name: &'static str) {
        let endpoint = self.connection.endpoint.as_deref().unwrap_or("https://");
        match name {
            "tls" if !endpoint.starts_with("https://") => {
                let detail = "plain HTTP: whoever is on the way can read along";
                self.note(name, CheckResult::Warning, detail);
            }
            _ => self.note(name, CheckResult::Ok, ""),
        }
    }

    fn clock(&mut self, error: Option<&S3Error>, fixes: &[Fix]) {
        let fixed = fixes.iter().find_map(|fix| match fix {
            Fix::Clock(server) => Some(*server),
            _ => None,
        });
        let Some(server) = fixed.or(error.and_then(|error| error.server_date)) else {
            return self.note("clock", CheckResult::Skipped, "the store tells no time");
        };
        let ours = SystemTime::now().duration_since(UNIX_EPOCH);
        let ours = ours.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
        let ahead = (ours - server.as_millis()) / 1000;
        let (by, which) = (ahead.abs(), if ahead < 0 { "behind" } else { "ahead of" });
        let (result, consequence) = match by {
            0..=RIGHT => (CheckResult::Ok, ""),
            by if by <= TOLERATED => (CheckResult::Warning, "; S3 refuses more than 900 s"),
            _ => (
                CheckResult::Warning,
                "; requests are dated by the store's clock",
            ),
        };
        let detail = format!("{by} s {which} the store's{consequence}");
        self.note("clock", result, detail);
    }

    /// What an answer about an object that is not there says of us.
    fn is_let_in(&mut self, error: S3Error, attempts: u32) -> bool {
        let told = RequestError::of(error.into(), attempts);
        let detail = told.message().to_owned();
        let name = match (told.code(), told.http_status()) {
            ("NoSuchBucket", _) => {
                self.credentials_are_good();
                "bucket"
            }
            // The object is not there, or we may not read it: that is seen below.
            ("NoSuchKey" | "AccessDenied", _) | (_, Some(404)) => {
                self.credentials_are_good();
                return true;
            }
            ("RequestTimeTooSkewed", _) => "clock",
            (_, Some(301 | 307 | 308)) | ("AuthorizationHeaderMalformed", _) => "region",
            (_, Some(400 | 401 | 403)) => "credentials",
            _ => "bucket",
        };
        self.checks.retain(|check| check.name != name);
        self.note(name, CheckResult::Failed, detail);
        if let Some(check) = self.checks.last_mut() {
            check.code = Some(told.code().to_owned());
        }
        false
    }

    fn credentials_are_good(&mut self) {
        let detail = match &self.connection.source {
            ConnectionSource::Anonymous => "none: requests are not signed",
            _ => "",
        };
        self.note("credentials", CheckResult::Ok, detail);
    }
}
