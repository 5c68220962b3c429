//! One question to a server that is not ours: over TLS, or to this machine alone. No redirect is followed, and neither the
//! answer nor its time is without bound.

use super::ChannelError;
use crate::http::chain;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use writ_core::NotifyError;

/// How long one question may take, from looking its server up to the end of the answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What is read of an answer at the most; nothing of it is used but that it came.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The longest URL.
const URL_MAX: usize = 2_048;

/// The certificates that servers outside are held to: those that this machine trusts, and more.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// What this machine trusts, and what a PEM file says besides.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no certificate.
    pub fn of(more: Option<&Path>) -> Result<Self, ChannelError> {
        let mut certificates = rustls_native_certs::load_native_certs().certs;
        if let Some(path) = more {
            let wrong = |because: String| ChannelError { what: "the file of certificates", because };
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let read = read.map_err(|error| wrong(format!("cannot be read: {error}")))?;
            if read.is_empty() {
                return Err(wrong("holds no certificate".into()));
            }
            certificates.extend(read);
        }
        Ok(Self { certificates })
    }

    fn config(&self) -> Result<ClientConfig, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.certificates.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// A URL that is posted to. It may be a secret, so it is never shown.
#[derive(Clone)]
pub(super) struct Outside {
    authority: String,
    host: String,
    port: u16,
    path: String,
    /// None for this machine, in the clear.
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Outside {
    /// A server to post to: `https`, or `http` on this machine.
    pub(super) fn at(url: &str, trust: &Trust) -> Result<Self, ChannelError> {
        let wrong = |because: &str| ChannelError { what: "the URL", because: because.to_owned() };
        if url.len() > URL_MAX {
            return Err(wrong("is longer than 2048 characters"));
        }
        let nowhere = || wrong("names no server: it begins with `https://` and a host");
        let uri: Uri = url.parse().map_err(|_| nowhere())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(nowhere()) };
        if authority.as_str().contains('@') {
            return Err(wrong("has credentials in it: a receiver knows writ by the signature"));
        }
        let after_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let given = authority.port_u16().filter(|port| *port > 0);
        if given.is_none() && !after_host.is_empty() {
            return Err(wrong("has a port that is not a number from 1 to 65535"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match scheme {
            "https" => {
                let config = trust.config().map_err(|error| wrong(&format!("cannot be reached by TLS: {error}")))?;
                let name = ServerName::try_from(host.clone()).map_err(|_| wrong("names no server that TLS knows"))?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            "http" if is_here(&host) => None,
            "http" => return Err(wrong("begins with `http://`, which is for this machine alone; use `https://`")),
            _ => return Err(wrong("is neither `https://` nor, on this machine, `http://`")),
        };
        let port = given.unwrap_or(if tls.is_some() { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { authority: authority.to_string(), host, port, path, tls })
    }

    /// Posts a JSON text. Anything but a 2xx is an error.
    pub(super) async fn post(&self, headers: &[(&str, &str)], body: String) -> Result<(), NotifyError> {
        let unreachable = |because: String| NotifyError::Unreachable { because };
        let mut question = Request::post(&self.path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(USER_AGENT, concat!("writ/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        for (name, value) in headers {
            question = question.header(*name, *value);
        }
        let question = question.body(Full::new(Bytes::from(body)));
        let question = question.map_err(|error| NotifyError::Refused { because: error.to_string() })?;
        let answer = async {
            let stream = self.connect().await?;
            match &self.tls {
                None => status(stream, question).await,
                Some((connector, name)) => {
                    let secured = connector.connect(name.clone(), stream).await;
                    status(secured.map_err(|error| format!("TLS: {}", chain(&error)))?, question).await
                }
            }
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(status)) => meant(status),
            Ok(Err(because)) => Err(unreachable(because)),
            Err(_) => Err(unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found: Vec<SocketAddr> = found.map_err(|_| "its name is not known here".to_owned())?.collect();
        // What is sent in the clear stays on this machine, whatever its name leads to.
        let fit = |address: &&SocketAddr| self.tls.is_some() || address.ip().is_loopback();
        let mut failed = "its name leads nowhere".to_owned();
        for address in found.iter().filter(fit) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = format!("connect: {}", error.kind()),
            }
        }
        Err(failed)
    }
}

/// Whether a host is this machine.
pub(super) fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

async fn status<S>(stream: S, question: Request<Full<Bytes>>) -> Result<StatusCode, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| chain(&error))?;
    let driver = tokio::spawn(connection);
    let answered = async {
        let answer = sender.send_request(question).await.map_err(|error| chain(&error))?;
        let status = answer.status();
        // Read to its end, so that the other side sees its answer taken; one that is too long has been given all the same.
        drop(Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await);
        Ok(status)
    }
    .await;
    driver.abort();
    answered
}

/// What a status means for the telling. Most refusals are about the channel, which somebody can mend: only what is said about
/// this very message is final.
fn meant(status: StatusCode) -> Result<(), NotifyError> {
    let because = format!("it answers {}", status.as_u16());
    match status.as_u16() {
        200..=299 => Ok(()),
        300..=399 => Err(NotifyError::Unreachable { because: format!("{because}, and redirects are not followed") }),
        400 | 413 | 415 | 422 => Err(NotifyError::Refused { because }),
        401..=499 | 502..=504 => Err(NotifyError::Unreachable { because }),
        _ => Err(NotifyError::Failed { because }),
    }
}
