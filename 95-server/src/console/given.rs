//! What a page is given: the parts of its path, its query, the form that was sent. What is wrong with them is told on a page.

use super::frame::PageError;
use crate::api::{self, Asked, Shared, misread, too_large};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The fields of a form.
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Form<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &Arc<Shared>) -> Result<Self, PageError> {
        #[expect(clippy::disallowed_types, reason = "what it says of a form that it cannot read becomes a page here")]
        match axum::Form::<T>::from_request(request, state).await {
            Ok(axum::Form(fields)) => Ok(Self(fields)),
            Err(rejected) if rejected.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(too_large(state.config.limits.body_bytes).into())
            }
            Err(rejected) => Err(misread("form", &rejected, rejected.status(), &rejected.body_text()).into()),
        }
    }
}

/// The parts of a path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        Ok(Self(api::Path::from_request_parts(parts, state).await?.0))
    }
}

/// What an address says behind its question mark.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        Ok(Self(Asked::from_request_parts(parts, state).await?.0))
    }
}
