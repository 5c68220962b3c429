//! What a browser asks with: forms, and the parts of addresses. What cannot be read is told on a page, in the reader's words.

use super::frame::PageError;
use crate::error::Failure;
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The fields of a form.
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        match extract::Form::<T>::from_request(request, state).await {
            Ok(extract::Form(fields)) => Ok(Self(fields)),
            Err(rejected) => Err(unreadable("the form", rejected.status(), &rejected.body_text())),
        }
    }
}

/// The parts of a path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        match extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(extract::Path(parts)) => Ok(Self(parts)),
            Err(rejected) => Err(unreadable("the address", rejected.status(), &rejected.body_text())),
        }
    }
}

/// What stands behind the `?` of an address.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        match extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(extract::Query(asked)) => Ok(Self(asked)),
            Err(rejected) => Err(unreadable("the address", rejected.status(), &rejected.body_text())),
        }
    }
}

/// A problem with what was sent. What is behind the last colon of the framework's words is what is the matter.
fn unreadable(what: &str, status: StatusCode, said: &str) -> PageError {
    let detail = match status {
        StatusCode::PAYLOAD_TOO_LARGE => format!("{what} is larger than may be sent"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => format!("{what} was not sent as a form"),
        _ => format!("{what} cannot be read: {}", said.rsplit(": ").next().unwrap_or(said)),
    };
    Failure::new(status, "invalid", detail).hint("go back, look what you sent, and send it again").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::header::CONTENT_TYPE;
    use axum::response::IntoResponse;

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only whether it can be read is looked at")]
    struct Asked {
        hours: u64,
        reason: String,
    }

    async fn told(kind: &str, body: &'static str) -> (u16, String) {
        let request = Request::post("/").header(CONTENT_TYPE, kind).body(Body::from(body)).unwrap();
        let Err(error) = Form::<Asked>::from_request(request, &()).await else { return (200, String::new()) };
        let answer = error.into_response();
        let status = answer.status().as_u16();
        let page = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&page).into_owned())
    }

    #[tokio::test]
    async fn a_form_that_cannot_be_read_is_a_page_that_says_why() {
        let form = "application/x-www-form-urlencoded";
        for (kind, body, status, says) in [
            (form, "hours=2&reason=x", 200, ""),
            (form, "hours=2", 422, "the form cannot be read: missing field"),
            (form, "hours=-1&reason=x", 422, "the form cannot be read: invalid digit found in string"),
            ("text/plain", "hours=2&reason=x", 415, "the form was not sent as a form"),
        ] {
            let (came, page) = told(kind, body).await;
            assert_eq!(came, status, "{body}");
            assert!(page.contains(says), "{body}: {page}");
            assert!(status == 200 || page.contains("<html"), "{body}: it is a page");
        }
    }
}
