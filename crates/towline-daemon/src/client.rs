//! Talks to whoever owns a state.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use towline::{Group, GroupId, TransferId};

use crate::api::{
    About, Counted, Event, Find, Follow, Found, LoginCode, LoginCodeRequest, Shown, Steer, Steered,
    Submit, Submitted, Verb,
};
use crate::groups::{
    BeginGroup, FindGroups, FindLeftOut, GroupBegun, GroupSteered, GroupVerb, GroupsFound,
    LeftOutFound, SteerGroup,
};
use crate::limits::{Limits, SetLimits};
use crate::sse::Parser;
use crate::{Problem, place};

/// How long an owner may take to say who it is.
const HELLO: Duration = Duration::from_secs(5);

/// The way to the owner of one state. Each call connects anew, so it works
/// across owners.
#[derive(Clone, Debug)]
pub struct Client {
    dir: PathBuf,
}

/// Why the owner did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody is there, or went away before it had answered.
    #[error("no process that owns the transfers answers: {0}")]
    Gone(String),
    /// It refused.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// It speaks another language: another version of Towline.
    #[error("the process that owns the transfers gave an answer that is not understood: {0}")]
    NotUnderstood(String),
}

impl ClientError {
    /// Whether the next owner may well do it.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Gone(_) => true,
            Self::Problem(problem) => problem.is_closing(),
            Self::NotUnderstood(_) => false,
        }
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Gone(error.to_string())
    }
}

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        Self::Gone(error.to_string())
    }
}

impl Client {
    /// The way to the owner of the state in a directory, for who knows that there is one.
    pub fn of(dir: &Path) -> Self {
        let dir = dir.to_owned();
        Self { dir }
    }

    /// The way to the owner of the state in a directory, if there is one.
    pub async fn connect(dir: &Path) -> Result<(Self, About), ClientError> {
        let client = Self::of(dir);
        let about = client.get("/v1/about");
        match tokio::time::timeout(HELLO, about).await {
            Ok(about) => Ok((client, about?)),
            Err(_) => Err(ClientError::Gone("it does not answer".into())),
        }
    }

    /// Submits transfers, all or none.
    pub async fn submit(&self, submit: &Submit) -> Result<Submitted, ClientError> {
        self.post("/v1/transfers", submit).await
    }

    /// A page of transfers.
    pub async fn find(&self, find: &Find) -> Result<Found, ClientError> {
        self.get(&with_query("/v1/transfers", find)?).await
    }

    /// One transfer, with what happened on its way.
    pub async fn show(&self, id: TransferId) -> Result<Shown, ClientError> {
        self.get(&format!("/v1/transfers/{id}")).await
    }

    /// Steers transfers.
    pub async fn steer(&self, verb: Verb, steer: &Steer) -> Result<Steered, ClientError> {
        self.post(&format!("/v1/transfers/{}", verb.as_str()), steer)
            .await
    }

    /// Begins a group, or goes on with the same.
    pub async fn begin_group(&self, begin: &BeginGroup) -> Result<GroupBegun, ClientError> {
        self.post("/v1/groups", begin).await
    }

    /// A page of groups.
    pub async fn groups(&self, find: &FindGroups) -> Result<GroupsFound, ClientError> {
        self.get(&with_query("/v1/groups", find)?).await
    }

    /// One group.
    pub async fn group(&self, id: GroupId) -> Result<Group, ClientError> {
        self.get(&format!("/v1/groups/{id}")).await
    }

    /// A page of what a group has no transfers for.
    pub async fn left_out(
        &self,
        id: GroupId,
        find: &FindLeftOut,
    ) -> Result<LeftOutFound, ClientError> {
        let path = format!("/v1/groups/{id}/left-out");
        self.get(&with_query(&path, find)?).await
    }

    /// Steers a group as one.
    pub async fn steer_group(
        &self,
        verb: GroupVerb,
        id: GroupId,
        steer: &SteerGroup,
    ) -> Result<GroupSteered, ClientError> {
        let path = format!("/v1/groups/{id}/{}", verb.as_str());
        self.post(&path, steer).await
    }

    /// A code that logs a browser in.
    pub async fn login_code(&self, request: &LoginCodeRequest) -> Result<LoginCode, ClientError> {
        self.post("/v1/login-codes", request).await
    }

    /// How many transfers there are in each state.
    pub async fn counts(&self) -> Result<Counted, ClientError> {
        self.get("/v1/counts").await
    }

    /// The limits as they are now.
    pub async fn limits(&self) -> Result<Limits, ClientError> {
        self.get("/v1/limits").await
    }

    /// Changes limits, until the owner goes; gives them as they are then.
    pub async fn set_limits(&self, set: &SetLimits) -> Result<Limits, ClientError> {
        self.put(Method::PATCH, "/v1/limits", set).await
    }

    /// Asks a daemon to leave; a command is not sent away.
    pub async fn leave(&self) -> Result<About, ClientError> {
        self.post("/v1/leave", &()).await
    }

    /// Asks a daemon that would leave when nothing is left to do to stay.
    pub async fn stay(&self) -> Result<About, ClientError> {
        self.post("/v1/stay", &()).await
    }

    /// Follows what changes.
    pub async fn events(&self, follow: &Follow) -> Result<Events, ClientError> {
        let path = with_query("/v1/events", follow)?;
        let answer = self.send(Method::GET, &path, Bytes::new()).await?;
        Ok(Events {
            body: checked(answer).await?.into_body(),
            parser: Parser::default(),
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(self.send(Method::GET, path, Bytes::new()).await?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.put(Method::POST, path, body).await
    }

    async fn put<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(not_understood)?;
        read(self.send(method, path, body.into()).await?).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = TokioIo::new(place::connect(&self.dir).await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "towline")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(not_understood)?;
        Ok(sender.send_request(request).await?)
    }
}

/// The changes that an owner tells.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    parser: Parser,
}

impl Events {
    /// The next one; `None` when the owner is gone. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.parser.next() {
                return event.map(Some).map_err(not_understood);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.parser.arrived(bytes);
                    }
                }
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

async fn read<T: DeserializeOwned>(answer: Response<Incoming>) -> Result<T, ClientError> {
    let body = checked(answer).await?.into_body().collect().await?;
    serde_json::from_slice(&body.to_bytes()).map_err(not_understood)
}

async fn checked(answer: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
    if answer.status() == StatusCode::OK {
        return Ok(answer);
    }
    let body = answer.into_body().collect().await?.to_bytes();
    let problem = serde_json::from_slice(&body).map_err(not_understood)?;
    Err(ClientError::Problem(problem))
}

fn with_query(path: &str, query: &impl Serialize) -> Result<String, ClientError> {
    let query = serde_urlencoded::to_string(query).map_err(not_understood)?;
    Ok(format!("{path}?{query}"))
}

fn not_understood(error: impl std::fmt::Display) -> ClientError {
    ClientError::NotUnderstood(error.to_string())
}
