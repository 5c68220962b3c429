//! Asking the issuer: over TLS, or in the clear on this machine alone; for a while, and for so many bytes. Nobody is followed
//! elsewhere.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer.
const ANSWER_MAX: usize = 256 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    #[error("`{url}` is neither https nor of this machine")]
    Clear { url: String },
    #[error("`{url}` did not answer in time")]
    Late { url: String },
    #[error("`{url}` does not answer")]
    Unreachable {
        url: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("`{url}` answered {status}")]
    Status { url: String, status: StatusCode },
    #[error("`{url}` answered with something else than JSON")]
    Form { url: String },
    #[error("the certificates to trust cannot be used: {because}")]
    Trust { because: String },
}

pub(crate) struct Web(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Web {
    /// One that believes the certificates of a file, or those that the machine trusts.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn new(ca: Option<&Path>) -> Result<Self, WebError> {
        let trust = |error: &dyn std::fmt::Display| WebError::Trust { because: error.to_string() };
        let certificates = match ca {
            Some(path) => {
                let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                found.map_err(|error| trust(&format!("`{}`: {error}", path.display())))?
            }
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| trust(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    pub(crate) async fn get(&self, url: &str) -> Result<Value, WebError> {
        self.ask(Method::GET, url, None, String::new()).await
    }

    /// Sends a form.
    pub(crate) async fn post(&self, url: &str, authorization: Option<String>, form: String) -> Result<Value, WebError> {
        self.ask(Method::POST, url, authorization, form).await
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        authorization: Option<String>,
        form: String,
    ) -> Result<Value, WebError> {
        if !is_safe(url) {
            return Err(WebError::Clear { url: url.to_owned() });
        }
        let named = || url.to_owned();
        let unreachable =
            |cause: Box<dyn std::error::Error + Send + Sync>| WebError::Unreachable { url: named(), cause };
        let mut request = Request::builder().method(method).uri(url).header(ACCEPT, "application/json");
        if !form.is_empty() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::from(form))).map_err(|error| unreachable(error.into()))?;
        let answer = async {
            let answer = self.0.request(request).await.map_err(|error| unreachable(error.into()))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await.map_err(unreachable)?;
            Ok((status, body.to_bytes()))
        };
        let (status, body) =
            tokio::time::timeout(PATIENCE, answer).await.map_err(|_| WebError::Late { url: named() })??;
        if !status.is_success() {
            return Err(WebError::Status { url: named(), status });
        }
        serde_json::from_slice(&body).map_err(|_| WebError::Form { url: named() })
    }
}

/// Whether what is sent there can be read on the way by nobody else.
pub(crate) fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let own = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => own,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_could_read_is_not_sent() {
        for (url, expected) in [
            ("https://id.example/token", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://[::1]:8080/token", true),
            ("http://localhost/token", true),
            ("http://id.example/token", false),
            ("http://127.0.0.1.example/token", false),
            ("http://localhost.example/token", false),
            ("ftp://127.0.0.1/", false),
            ("/token", false),
            ("", false),
        ] {
            assert_eq!(is_safe(url), expected, "{url}");
        }
    }
}
