//! Against real sockets: an HTTP server and a mail server, each as small as it can be.

mod mail;

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use writ_core::{Clock, Notifier, NotifyError, Severity, Telling, Timestamp, TraceId};

const KEY: [u8; 32] = [9; 32];

struct At(i64);

#[async_trait::async_trait]
impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0)
    }

    async fn sleep(&self, _: std::time::Duration) {}
}

fn telling(title: &str) -> Telling {
    Telling {
        id: "evt_01kdvdna1j782cf3wpmy6cnmxw".into(),
        at: Timestamp::from_micros(1_767_225_600_000_000),
        audience: Some("approver".into()),
        facts: vec![("asked by", "Ada".into()), ("demanded by", "SEC-001".into())],
        link: "https://writ.example/approvals/apr_1".into(),
        severity: Severity::High,
        text: "Ada asks.".into(),
        title: title.into(),
        topic: "approval_asked",
        trace: Some(TraceId::of([10; 16])),
    }
}

/// What one request said: its head in lower case, and its body.
type Heard = (String, String);

async fn heard(stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) -> Heard {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 || line == "\r\n" {
            break;
        }
        let line = if head.is_empty() { line } else { line.to_lowercase() };
        if let Some(count) = line.strip_prefix("content-length:") {
            length = count.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.ok();
    (head, String::from_utf8(body).unwrap())
}

/// A server that hears one request and answers so.
async fn sink(answer: &'static str) -> (String, JoinHandle<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move { heard(listener.accept().await.unwrap().0, answer).await });
    (format!("http://{address}/hooks/T0/secret-path"), heard)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn webhook(url: &str) -> Result<WebhookNotifier, ChannelError> {
    let secret = Secret::read(&format!("whsec_{}\n", STANDARD.encode(KEY))).unwrap();
    WebhookNotifier::new(url, secret, &Trust::default(), Arc::new(At(1_767_225_700_000_000)))
}

/// HMAC-SHA256 as RFC 2104 writes it.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(block, key)| *block ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

#[tokio::test]
async fn a_webhook_is_signed_over_its_id_its_time_and_its_body() {
    let (url, sink) = sink(OK).await;
    webhook(&url).unwrap().notify(&telling("approval asked")).await.unwrap();
    let (head, body) = sink.await.unwrap();
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{name} in {head}")).to_owned()
    };
    assert!(head.starts_with("POST /hooks/T0/secret-path HTTP/1.1"), "{head}");
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    assert_eq!((&*id, &*at), ("evt_01kdvdna1j782cf3wpmy6cnmxw", "1767225700"));
    let signed = hmac(&KEY, format!("{id}.{at}.{body}").as_bytes());
    assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(signed)).to_lowercase());
    let parent = header("traceparent");
    assert_eq!((parent.len(), &parent[..36], &parent[52..]), (55, "00-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a-", "-01"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["data"]["trace_id"], "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a");
    assert_eq!(body["type"], "approval_asked");
    assert_eq!(body["timestamp"], "2026-01-01T00:00:00.000000Z");
    assert_eq!(body["data"]["facts"]["asked_by"], "Ada");
    assert_eq!(body["data"]["link"], "https://writ.example/approvals/apr_1");
}

#[test]
fn the_signature_is_that_of_the_standards_own_example() {
    // From the reference libraries of Standard Webhooks.
    let secret = Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#).unwrap();
    assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn what_is_no_secret_or_no_url_is_refused_and_not_repeated() {
    for secret in ["", "hunter2hunter2hunter2hunter2", "whsec_", "whsec_aHVudGVyMg==", "whsec_!!!"] {
        let refused = Secret::read(secret).err().unwrap().to_string();
        assert_eq!(refused, "the secret is not `whsec_` and 24 to 64 bytes in base64");
    }
    for (url, because) in [
        ("hooks.example/x", "names no server"),
        ("/hooks", "names no server"),
        ("https://user:hunter2@hooks.example/", "has credentials in it"),
        ("http://hooks.example/T0/hunter2", "is for this machine alone"),
        ("http://127.0.0.1.hooks.example/", "is for this machine alone"),
        ("ftp://hooks.example/", "is neither"),
        ("https://[::1]:99999/hunter2", "has a port"),
        ("https://hooks.example:99999/", "has a port"),
        ("https://hooks.example:0/", "has a port"),
        ("http://localhost:/", "has a port"),
        ("https:// /", "names no server"),
    ] {
        let told = webhook(url).err().unwrap_or_else(|| panic!("{url}")).to_string();
        assert!(told.contains(because) && !told.contains("hunter2"), "{url}: {told}");
        assert!(SlackNotifier::new(url, &Trust::default()).is_err());
    }
}

#[tokio::test]
async fn an_answer_says_whether_trying_again_may_help() {
    for (answer, expected) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", None),
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", Some("unreachable")),
        ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", Some("refused")),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", Some("unreachable")),
        ("HTTP/1.1 429 Too Many\r\ncontent-length: 0\r\n\r\n", Some("unreachable")),
        ("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", Some("failed")),
        ("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", Some("unreachable")),
        ("220 mail.example ESMTP\r\n", Some("unreachable")),
        ("", Some("unreachable")),
    ] {
        let (url, sink) = sink(answer).await;
        let took = webhook(&url).unwrap().notify(&telling("x")).await;
        sink.await.unwrap();
        let word = took.as_ref().err().map(|error| match error {
            NotifyError::Unreachable { .. } => "unreachable",
            NotifyError::Failed { .. } => "failed",
            NotifyError::Refused { .. } => "refused",
        });
        assert_eq!(word, expected, "{answer}: {took:?}");
        assert!(!format!("{took:?}").contains("secret-path"), "{took:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let sink = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
        let mut written = 0_u64;
        while stream.write_all(&chunk).await.is_ok() {
            written += 4096;
        }
        written
    });
    webhook(&url).unwrap().notify(&telling("x")).await.unwrap();
    assert!(sink.await.unwrap() < 64 << 20);
}

/// A server's side of TLS under a certificate that is made for it, and that certificate as PEM.
fn secured(certificate: rcgen::CertificateParams) -> (tokio_rustls::TlsAcceptor, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (tokio_rustls::TlsAcceptor::from(Arc::new(config)), certificate.pem())
}

#[tokio::test]
async fn a_server_that_is_not_held_to_be_who_it_says_is_not_spoken_to() {
    let (acceptor, certificate) = secured(rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, certificate).unwrap();
    for (trust, expected) in [(Trust::default(), false), (Trust::of(Some(&ca)).unwrap(), true)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/x", listener.local_addr().unwrap().port());
        let acceptor = acceptor.clone();
        let sink = tokio::spawn(async move {
            let stream = acceptor.accept(listener.accept().await.unwrap().0).await;
            match stream {
                Ok(stream) => Some(heard(stream, OK).await.1),
                Err(_) => None,
            }
        });
        let took = SlackNotifier::new(&url, &trust).unwrap().notify(&telling("over TLS")).await;
        assert_eq!(took.is_ok(), expected, "{took:?}");
        assert_eq!(sink.await.unwrap().is_some(), expected);
    }
    std::fs::write(&ca, "no certificate").unwrap();
    assert!(Trust::of(Some(&ca)).unwrap_err().to_string().contains("holds no certificate"));
}

#[tokio::test]
async fn what_people_wrote_is_no_markup_in_slack() {
    let (url, sink) = sink(OK).await;
    let nasty = "<!channel> <https://evil.example|Approve> & *now*\n<@U1>".repeat(20);
    let mut told = telling(&nasty);
    told.text = nasty.clone();
    told.facts = vec![("asked by", nasty.repeat(20)); 30];
    told.link = "https://writ.example/approvals/apr_1|x>".into();
    SlackNotifier::new(&url, &Trust::default()).unwrap().notify(&told).await.unwrap();
    let (_, body) = sink.await.unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    let blocks = body["blocks"].as_array().unwrap();
    let (last, rest) = blocks.split_last().unwrap();
    for text in rest.iter().map(ToString::to_string).chain([body["text"].to_string()]) {
        assert!(!text.contains('<') && !text.contains('>') && !text.contains("mrkdwn"), "{text}");
    }
    assert_eq!(last["text"]["text"], "<https://writ.example/approvals/apr_1x|Look and answer>");
    assert!(
        blocks[0]["text"]["text"]
            .as_str()
            .unwrap()
            .starts_with("&lt;!channel&gt; &lt;https://evil.example|Approve&gt; &amp;")
    );
    assert_eq!(blocks[2]["fields"].as_array().unwrap().len(), 10);
    assert!(body.to_string().len() < 20_000, "{}", body.to_string().len());
}

#[tokio::test]
async fn a_telling_is_one_line_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.log");
    let console = ConsoleNotifier::file(path.clone());
    console.notify(&telling("a\nb")).await.unwrap();
    console.notify(&telling("c")).await.unwrap();
    let written = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["data"]["title"]), (2, &Value::from("a\nb")));
}
