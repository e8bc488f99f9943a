//! AWS's ini files (`~/.aws/config`, `~/.aws/credentials`) and what we use of
//! them.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use towline_core::{Addressing, ConnectError};

#[cfg(feature = "aws-config")]
use crate::chain;
use crate::credentials::{Credentials, CredentialsError, CredentialsProvider};
use crate::environment::Environment;

/// No configuration file is that long.
const MAX_FILE: u64 = 4 << 20;

/// The settings of one section. Keys of a nested block read `s3.addressing_style`.
type Section = HashMap<String, String>;

/// Keys by which a profile asks for more than keys written in it.
const OTHER_WAYS: [&str; 6] = [
    "sso_session",
    "sso_start_url",
    "role_arn",
    "credential_process",
    "web_identity_token_file",
    "login_session",
];

/// A file that is there but cannot be used.
#[derive(Debug)]
pub(crate) struct BadFile {
    path: PathBuf,
    why: String,
}

impl From<BadFile> for ConnectError {
    fn from(bad: BadFile) -> Self {
        let path = bad.path.display().to_string();
        Self::BadFile { path, why: bad.why }
    }
}

impl From<BadFile> for CredentialsError {
    fn from(bad: BadFile) -> Self {
        let path = bad.path.display().to_string();
        Self::BadFile { path, why: bad.why }
    }
}

/// Both files, as they are now.
pub(crate) struct ConfigFiles {
    paths: [Option<PathBuf>; 2],
    profiles: HashMap<String, Section>,
    services: HashMap<String, Section>,
}

impl ConfigFiles {
    pub(crate) fn read(env: &Environment) -> Result<Self, BadFile> {
        let path = |variable, default| match env.get(variable) {
            Some(path) => Some(env.path(path)),
            None => env.in_home(default),
        };
        let config = path("AWS_CONFIG_FILE", ".aws/config");
        let credentials = path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
        let mut files = Self {
            profiles: HashMap::new(),
            services: HashMap::new(),
            paths: [config.clone(), credentials.clone()],
        };
        for (title, section) in sections(config.as_deref())? {
            let (kind, name) = title
                .split_once(char::is_whitespace)
                .map_or((title.as_str(), ""), |(kind, name)| (kind, name.trim()));
            match (kind, name) {
                ("default", "") => files
                    .profiles
                    .entry("default".into())
                    .or_default()
                    .extend(section),
                ("profile", name) => files
                    .profiles
                    .entry(name.into())
                    .or_default()
                    .extend(section),
                ("services", name) => files
                    .services
                    .entry(name.into())
                    .or_default()
                    .extend(section),
                _ => {}
            }
        }
        // What stands in the credentials file wins.
        for (name, section) in sections(credentials.as_deref())? {
            files.profiles.entry(name).or_default().extend(section);
        }
        Ok(files)
    }

    /// A profile that stands in one of the files.
    pub(crate) fn profile(&self, name: &str) -> Option<Profile<'_>> {
        let section = self.profiles.get(name)?;
        let services = section
            .get("services")
            .and_then(|name| self.services.get(name));
        Some(Profile { section, services })
    }

    /// Of all profiles, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.profiles.keys().cloned().collect();
        names.sort();
        names
    }

    /// Where profiles were looked for.
    pub(crate) fn places(&self) -> Vec<String> {
        let known = self.paths.iter().flatten();
        known.map(|path| path.display().to_string()).collect()
    }
}

/// One profile.
pub(crate) struct Profile<'a> {
    section: &'a Section,
    services: Option<&'a Section>,
}

impl Profile<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.section.get(key)?;
        (!value.is_empty()).then_some(value)
    }

    pub(crate) fn region(&self) -> Option<&str> {
        self.get("region")
    }

    pub(crate) fn ca_bundle(&self) -> Option<&str> {
        self.get("ca_bundle")
    }

    /// For S3 in particular, else for all services.
    pub(crate) fn endpoint_url(&self) -> Option<&str> {
        let s3 = self
            .services
            .and_then(|services| services.get("s3.endpoint_url"));
        s3.map(String::as_str).or_else(|| self.get("endpoint_url"))
    }

    pub(crate) fn addressing(&self) -> Addressing {
        match self.get("s3.addressing_style") {
            Some("path") => Addressing::Path,
            Some("virtual") => Addressing::Virtual,
            _ => Addressing::Auto,
        }
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether it says anything about credentials.
    fn has_credentials(&self) -> bool {
        self.get("aws_access_key_id").is_some()
            || self.get("aws_secret_access_key").is_some()
            || OTHER_WAYS.iter().any(|key| self.get(key).is_some())
    }

    fn credentials(&self, name: &str) -> Result<Credentials, CredentialsError> {
        let place = || format!("profile {name:?}");
        let other_way = || OTHER_WAYS.iter().find(|key| self.get(key).is_some());
        // A role is assumed with the keys beside it: they alone are another identity.
        if let (Some(_), Some(_)) = (self.get("role_arn"), other_way()) {
            return Err(CredentialsError::Unsupported {
                profile: name.to_owned(),
                needs: "role_arn".into(),
            });
        }
        let token = self.get("aws_session_token");
        match (
            self.get("aws_access_key_id"),
            self.get("aws_secret_access_key"),
        ) {
            (Some(id), Some(secret)) => Ok(with_token(Credentials::new(id, secret), token)),
            (None, None) => Err(match other_way() {
                Some(key) => CredentialsError::Unsupported {
                    profile: name.to_owned(),
                    needs: (*key).to_owned(),
                },
                None => CredentialsError::Missing { looked_in: place() },
            }),
            (id, _) => Err(incomplete(place(), id.is_some())),
        }
    }
}

fn incomplete(place: String, has_id: bool) -> CredentialsError {
    let (id, secret) = ("aws_access_key_id", "aws_secret_access_key");
    let (has, lacks) = if has_id { (id, secret) } else { (secret, id) };
    CredentialsError::Incomplete { place, has, lacks }
}

fn with_token(credentials: Credentials, token: Option<&str>) -> Credentials {
    match token {
        Some(token) => credentials.with_session_token(token),
        None => credentials,
    }
}

/// The credentials of a profile; the files are read every time.
pub(crate) struct ProfileCredentials {
    pub(crate) env: Environment,
    pub(crate) name: String,
}

#[async_trait]
impl CredentialsProvider for ProfileCredentials {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let (env, name) = (&self.env, self.name.as_str());
        let files = ConfigFiles::read(env)?;
        match files.profile(name) {
            Some(profile) => of_profile(env, name, &profile).await,
            None => Err(CredentialsError::Missing {
                looked_in: format!("profile {name:?}, which is gone"),
            }),
        }
    }
}

/// The environment, else the profile it names, else `default`.
pub(crate) struct EnvironmentCredentials(pub(crate) Environment);

#[async_trait]
impl CredentialsProvider for EnvironmentCredentials {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let env = &self.0;
        if let Some(credentials) = variables(env)? {
            return Ok(credentials);
        }
        let files = ConfigFiles::read(env)?;
        let name = env.get("AWS_PROFILE").unwrap_or("default");
        match files.profile(name).filter(Profile::has_credentials) {
            Some(profile) => of_profile(env, name, &profile).await,
            None => {
                let places = files.places().join(" or ");
                let looked_in =
                    format!("the environment (AWS_ACCESS_KEY_ID) and profile {name:?} of {places}");
                of_machine(env, files.profile(name).as_ref(), looked_in).await
            }
        }
    }
}

/// Keys that stand in a profile, or those it says how to get.
async fn of_profile(
    env: &Environment,
    name: &str,
    profile: &Profile<'_>,
) -> Result<Credentials, CredentialsError> {
    let written = profile.credentials(name);
    #[cfg(feature = "aws-config")]
    if env.is_of_process()
        && let Err(CredentialsError::Unsupported { needs, .. }) = &written
        && needs != "login_session"
    {
        return chain::of_profile(env, name, profile).await;
    }
    let _ = env;
    written
}

/// What web identities, containers and EC2 give to who runs there.
async fn of_machine(
    env: &Environment,
    profile: Option<&Profile<'_>>,
    looked_in: String,
) -> Result<Credentials, CredentialsError> {
    #[cfg(feature = "aws-config")]
    if env.is_of_process() {
        return chain::of_machine(env, profile, looked_in).await;
    }
    let _ = (env, profile);
    Err(CredentialsError::Missing { looked_in })
}

/// The credentials in the variables alone.
pub(crate) fn variables(env: &Environment) -> Result<Option<Credentials>, CredentialsError> {
    let id = env.first(&["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"]);
    let secret = env.first(&["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"]);
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let keys = Credentials::new(id, secret);
            Ok(Some(with_token(keys, env.get("AWS_SESSION_TOKEN"))))
        }
        (None, None) => Ok(None),
        (id, _) => Err(incomplete("the environment".into(), id.is_some())),
    }
}

/// The sections of a file in order; none when there is no file.
fn sections(path: Option<&Path>) -> Result<Vec<(String, Section)>, BadFile> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let bad = |why: String| BadFile {
        path: path.to_owned(),
        why,
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(bad(error.to_string())),
        Ok(meta) if meta.len() > MAX_FILE => return Err(bad("it is over 4 MiB".into())),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    parse(&text).map_err(bad)
}

fn parse(text: &str) -> Result<Vec<(String, Section)>, String> {
    let mut sections: Vec<(String, Section)> = Vec::new();
    let mut block: Option<String> = None; // the key whose indented lines follow
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        // Never the line itself: it may hold a secret.
        let bad = |why: &str| format!("line {}: {why}", number + 1);
        if let Some(rest) = trimmed.strip_prefix('[') {
            let (title, _) = rest
                .split_once(']')
                .ok_or_else(|| bad("a section without ']'"))?;
            let title = title.replace(['"', '\''], "");
            sections.push((title.trim().to_owned(), Section::new()));
            block = None;
            continue;
        }
        let (key, value) = trimmed
            .split_once('=')
            .ok_or_else(|| bad("neither a section nor key = value"))?;
        let (_, section) = sections
            .last_mut()
            .ok_or_else(|| bad("a setting before any section"))?;
        let key = key.trim().to_ascii_lowercase();
        let value = without_comment(value).to_owned();
        let indented = line.starts_with([' ', '\t']);
        if let Some(block) = block.as_ref().filter(|_| indented) {
            section.insert(format!("{block}.{key}"), value);
            continue;
        }
        block = value.is_empty().then(|| key.clone());
        section.insert(key, value);
    }
    Ok(sections)
}

/// A comment starts with a space before `#` or `;`.
fn without_comment(value: &str) -> &str {
    let end = [" #", " ;", "\t#", "\t;"]
        .iter()
        .filter_map(|mark| value.find(mark))
        .min()
        .unwrap_or(value.len());
    value[..end].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section<'a>(all: &'a [(String, Section)], name: &str) -> &'a Section {
        &all.iter().find(|(title, _)| title == name).unwrap().1
    }

    #[test]
    fn sections_comments_and_nested_blocks_are_read() {
        let all = parse(
            "# top\n[default]\nregion = eu-west-1 ; here\nAWS_ACCESS_KEY_ID=AK#ID\n\n\
             [profile \"my dev\"]\ns3 =\n  addressing_style = path\nendpoint_url = http://h:1\n\
             [services local]\ns3 =\n\tendpoint_url=http://s3\nec2 =\n endpoint_url=http://ec2\n",
        )
        .unwrap();
        assert_eq!(section(&all, "default")["region"], "eu-west-1");
        assert_eq!(section(&all, "default")["aws_access_key_id"], "AK#ID");
        let dev = section(&all, "profile my dev");
        assert_eq!(dev["s3.addressing_style"], "path");
        assert_eq!(dev["endpoint_url"], "http://h:1");
        assert_eq!(
            section(&all, "services local")["s3.endpoint_url"],
            "http://s3"
        );
    }

    #[test]
    fn a_broken_file_is_told_by_line_and_not_by_content() {
        for text in ["[default\n", "canary = 1\n", "[a]\ncanary\n"] {
            let why = parse(text).unwrap_err();
            assert!(why.starts_with("line ") && !why.contains("canary"), "{why}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_file_makes_the_reader_panic(text in "[\\[\\]=#; \ta-c\n\"']{0,200}") {
            let _ = parse(&text);
        }
    }
}
