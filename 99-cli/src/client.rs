//! Talking to a running writ over HTTP.

use crate::Common;
use crate::cmd::items;
use crate::exit::{self, Exit};
use crate::out::{Form, Out};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as Legacy, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use writ_pipeline::input::{listed, visible};
use writ_server::StateDir;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No server is known.
    #[error("no writ is running here: `{state}` names no server")]
    Nowhere { state: String },
    /// It does not answer.
    #[error("writ at {url} does not answer")]
    Unreachable {
        url: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificates to trust cannot be used.
    #[error("the certificates to trust cannot be read: {because}")]
    Trust { because: String },
    /// It wants to know who asks, and there is no token to say so.
    #[error("there is no token `{name}` in `{place}`")]
    Nobody { name: String, place: String, kept: Vec<String> },
    /// It said no.
    #[error("{title}")]
    Problem { title: String, code: String, problem: Value },
    /// It said something that is no answer.
    #[error("writ at {url} answered {status} with something else than JSON")]
    Form { url: String, status: StatusCode },
}

impl ClientError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            ClientError::Nowhere { .. } | ClientError::Unreachable { .. } | ClientError::Form { .. } => exit::FAILED,
            ClientError::Trust { .. } => exit::USAGE,
            ClientError::Nobody { .. } => Exit::of_problem("unauthorised"),
            ClientError::Problem { code, .. } => Exit::of_problem(code),
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            ClientError::Nowhere { .. } => {
                Some("start one with `writ dev examples/deploy-web-001`, or name it with `--server`".into())
            }
            ClientError::Unreachable { url, .. } if url.starts_with("https:") => {
                Some("look whether it still runs; name the certificate that signs its own with `--ca FILE`".into())
            }
            ClientError::Unreachable { .. } => {
                Some("look whether it still runs, or name another with `--server`".into())
            }
            ClientError::Problem { problem, .. } => {
                let told = problem.get("hint").and_then(Value::as_str).map(str::to_owned);
                // Every command takes its reason by the same letter.
                let reason = problem.get("pointer").and_then(Value::as_str) == Some("/reason");
                told.or_else(|| reason.then(|| "say why with `-m REASON`".into()))
            }
            ClientError::Trust { .. } => Some("give certificates in PEM with `--ca FILE` or in `WRIT_CA`".into()),
            ClientError::Nobody { kept, .. } if kept.is_empty() => Some(
                "name the state directory with `--state DIR`, or give a token with `--token` or in `WRIT_TOKEN`".into(),
            ),
            ClientError::Nobody { kept, .. } => {
                let kept = listed(kept.iter().map(|name| visible(name)));
                Some(format!("it has {kept}: name one with `--as`, or give a token with `--token` or in `WRIT_TOKEN`"))
            }
            ClientError::Form { .. } => None,
        }
    }
}

/// Whether this command has said that the journal is closed.
static TOLD: AtomicBool = AtomicBool::new(false);

/// A server and who speaks to it.
pub(crate) struct Client {
    http: Legacy<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    token: String,
    /// Who was to ask, and where their token was looked for, when there is none.
    nobody: Option<(String, PathBuf)>,
}

impl Client {
    /// The server that was named, or the one that the state directory announces; the token that was given, or the one that
    /// the state directory keeps for a principal.
    pub(crate) fn new(common: &Common) -> Result<Self, ClientError> {
        let (state, name) = (&common.state, &common.name);
        let nowhere = || ClientError::Nowhere { state: state.display().to_string() };
        let dir = if state.is_dir() { StateDir::open(state).ok() } else { None };
        let announced = || dir.as_ref().and_then(|dir| dir.announced().ok().flatten()).map(|address| address.url);
        let url = common.server.clone().or_else(announced).ok_or_else(nowhere)?;
        let kept = || dir.as_ref().and_then(|dir| dir.read_secret(&format!("tokens/{name}")).ok().flatten());
        let token = common.token.clone().or_else(kept);
        let nobody = token.is_none().then(|| (name.clone(), state.join("tokens")));
        let token = token.unwrap_or_default();
        let trusted = trusted(&url, common.ca.as_deref()).map_err(|because| ClientError::Trust { because })?;
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError::Trust { because: error.to_string() })?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let http = Legacy::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token, nobody })
    }

    /// Where the server is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.json(Method::GET, path, None).await
    }

    /// All items of a list, page by page; `query` is what is asked for besides a page, as `&name=value`.
    pub(crate) async fn all(&self, list: &str, query: &str) -> Result<Vec<Value>, ClientError> {
        Ok(self.pages(list, query).await?.iter().flat_map(items).collect())
    }

    /// The newest of a list that is as wanted.
    pub(crate) async fn newest(
        &self,
        list: &str,
        query: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Option<Value>, ClientError> {
        let mut after = String::new();
        loop {
            let page = self.get(&format!("{list}?newest_first=true{query}{after}")).await?;
            if let Some(found) = items(&page).into_iter().find(&wanted) {
                return Ok(Some(found));
            }
            match following(&page) {
                Some(next) => after = next,
                None => return Ok(None),
            }
        }
    }

    /// All pages of a list.
    pub(crate) async fn pages(&self, list: &str, query: &str) -> Result<Vec<Value>, ClientError> {
        let (mut pages, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{list}?limit=1000{query}{after}")).await?;
            let next = following(&page);
            pages.push(page);
            match next {
                Some(next) => after = next,
                None => return Ok(pages),
            }
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.json(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.json(Method::DELETE, path, None).await
    }

    /// The bytes at a path; none where there is nothing.
    pub(crate) async fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>, ClientError> {
        let (status, bytes) = self.send(Method::GET, path, None).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if status.is_success() { Ok(Some(bytes.to_vec())) } else { Err(self.problem(status, &bytes)) }
    }

    async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        let (status, bytes) = self.send(method, path, body).await?;
        if !status.is_success() {
            return Err(self.problem(status, &bytes));
        }
        serde_json::from_slice(&bytes).map_err(|_| ClientError::Form { url: self.url.clone(), status })
    }

    fn problem(&self, status: StatusCode, bytes: &[u8]) -> ClientError {
        if let Some((name, tokens)) = self.nobody.as_ref().filter(|_| status == StatusCode::UNAUTHORIZED) {
            let (name, place) = (visible(name), tokens.display().to_string());
            return ClientError::Nobody { name, place, kept: kept(tokens) };
        }
        let Ok(problem) = serde_json::from_slice::<Value>(bytes) else {
            return ClientError::Form { url: self.url.clone(), status };
        };
        let text = |field: &str| problem.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let title = if text("detail").is_empty() { text("title") } else { text("detail") };
        ClientError::Problem { title, code: text("code"), problem }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Bytes), ClientError> {
        let unreachable =
            |cause: Box<dyn std::error::Error + Send + Sync>| ClientError::Unreachable { url: self.url.clone(), cause };
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Full::new(bytes))
            .map_err(|error| unreachable(error.into()))?;
        let response = self.http.request(request).await.map_err(|error| unreachable(error.into()))?;
        let status = response.status();
        if let Some(because) = response.headers().get("writ-journal-closed")
            && status.is_success()
            && !TOLD.swap(true, Ordering::Relaxed)
        {
            let because = String::from_utf8_lossy(because.as_bytes());
            let out = Out { form: Form::Table, quiet: false, at: "" };
            out.say(&format!(
                "warning: the journal is closed: {because}; this is how things were, nothing goes on: restart writ"
            ));
        }
        let body = response.into_body().collect().await.map_err(|error| unreachable(error.into()))?;
        Ok((status, body.to_bytes()))
    }
}

/// How the page behind one is asked for; none when there is no more.
fn following(page: &Value) -> Option<String> {
    page.get("next").and_then(Value::as_str).map(|next| format!("&after={}", escaped(next)))
}

/// Whom to believe that a server is who it says: nobody has to be when nothing is encrypted.
fn trusted(url: &str, ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if !url.starts_with("https:") {
        return Ok(roots);
    }
    let certificates = match ca {
        Some(path) => {
            let told = |error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
            let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let found = found.map_err(|error| told(&error))?;
            if found.is_empty() {
                return Err(told(&"it holds no certificate in PEM"));
            }
            found
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    // What a machine trusts may hold some that are of no use.
    roots.add_parsable_certificates(certificates);
    Ok(roots)
}

/// Whose tokens a directory keeps, in order.
fn kept(tokens: &Path) -> Vec<String> {
    let found = std::fs::read_dir(tokens).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = found.map(|one| one.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// A text as one part of a path or a query.
pub(crate) fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// A client of a server that gives these answers, one after the other, and then tells what it was asked.
    pub(crate) fn answering(answers: Vec<Value>) -> (Client, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = move |body: Value| {
            let (mut stream, _) = listener.accept().unwrap();
            let head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let asked = head.collect::<Vec<_>>().swap_remove(0);
            let body = body.to_string();
            write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .unwrap();
            asked
        };
        let typed = ["writ", "run", "list", "--server", &url, "--token", "t"];
        let client = Client::new(&crate::Cli::parse_from(typed).common).unwrap();
        (client, std::thread::spawn(move || answers.into_iter().map(answer).collect()))
    }

    #[tokio::test]
    async fn the_newest_that_is_wanted_is_found_behind_a_page_of_others() {
        let remedies: Vec<_> = (0..100).map(|at| json!({"id": format!("run_{at}"), "origin": "remedy"})).collect();
        let (client, server) = answering(vec![
            json!({"items": remedies, "next": "run_99"}),
            json!({"items": [{"id": "run_x", "origin": "intent"}, {"id": "run_y", "origin": "intent"}]}),
        ]);
        let wanted = |run: &Value| run["origin"] == "intent";
        let found = client.newest("/api/v1/runs", "&intent=WEB-1", wanted).await.unwrap();
        assert_eq!(found.unwrap()["id"], "run_x");
        let asked = ["", "&after=run_99"]
            .map(|after| format!("GET /api/v1/runs?newest_first=true&intent=WEB-1{after} HTTP/1.1"));
        assert_eq!(server.join().unwrap(), asked);
    }
}
