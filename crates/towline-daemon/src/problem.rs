//! What goes wrong, as it is answered: RFC 9457.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use towline::{Error, StoreError};
use utoipa::ToSchema;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What the status means.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable name, of [`towline::Error::code`] where it comes from there.
    pub code: String,
    /// What happened, in words.
    pub detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            code: code.into(),
            detail: detail.into(),
        }
    }

    /// The owner is leaving; the next one can be asked.
    pub fn is_closing(&self) -> bool {
        self.code == Error::Closed.code()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Submit(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Store(StoreError::Unknown(_) | StoreError::UnknownGroup(_)) => {
                StatusCode::NOT_FOUND
            }
            Error::Store(StoreError::TokenTaken { .. }) => StatusCode::CONFLICT,
            Error::Store(StoreError::UnknownCursor(_)) => StatusCode::GONE,
            Error::Store(StoreError::NoSpace { .. }) => StatusCode::INSUFFICIENT_STORAGE,
            Error::Closed | Error::Store(StoreError::Failed(_)) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f61_a_state_that_takes_no_writes_is_a_problem_of_the_server() {
        let path = "/state/towline.db".into();
        let full = Problem::from(Error::Store(StoreError::NoSpace { path }));
        assert_eq!((full.status, full.code.as_str()), (507, "StoreFull"));
        let failed = StoreError::Failed("disk I/O error".into());
        let failed = Problem::from(Error::Store(failed));
        assert_eq!((failed.status, failed.code.as_str()), (503, "StoreFailed"));
    }
}
