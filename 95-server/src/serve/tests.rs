use super::*;
use crate::config::Config;
use axum::routing::get;
use rustls::pki_types::ServerName;
use std::convert::Infallible;
use tokio::io::AsyncReadExt;

const GET: &[u8] = b"GET /ok HTTP/1.1\r\nhost: x\r\n\r\n";

/// A server that answers at `/ok`, after `gate` at `/gated`, and never to the end at `/stream`.
async fn serve(connections: usize, tls: Option<TlsAcceptor>) -> (SocketAddr, Serving, Arc<Notify>) {
    let (gate, entered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gated = {
        let (gate, entered) = (gate.clone(), entered.clone());
        move || {
            let (gate, entered) = (gate.clone(), entered.clone());
            async move {
                entered.notify_one();
                gate.notified().await;
                "gated"
            }
        }
    };
    let router = Router::new()
        .route("/ok", get(async |request: Request| format!("ok {}", request.extensions().get::<Peer>().unwrap().0)))
        .route("/gated", get(gated))
        .route("/entered", get(async move || entered.notified().await))
        .route("/stream", get(async || Body::new(Endless)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, Serving::start(listener, tls, router, Config::standard().limits, connections), gate)
}

struct Endless;

impl HttpBody for Endless {
    type Data = hyper::body::Bytes;
    type Error = Infallible;
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Pending
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Sends something and reads the head of one answer and what came with it.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut answer = vec![0; 4_096];
    let read = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn the_connection_that_is_idle_longest_makes_room_for_a_new_one() {
    let (address, serving, _) = serve(3, None).await;
    let (mut first, mut second) = (connect(address).await, connect(address).await);
    // Who never says anything is idle from the beginning.
    let mut silent = connect(address).await;
    let told = ask(&mut first, GET).await;
    assert!(told.starts_with("HTTP/1.1 200") && told.ends_with("ok 127.0.0.1"), "{told}");
    ask(&mut second, GET).await;
    ask(&mut first, GET).await;
    let mut third = connect(address).await;
    ask(&mut third, GET).await;
    assert!(is_closed(&mut silent).await);
    let mut fourth = connect(address).await;
    ask(&mut fourth, GET).await;
    assert!(is_closed(&mut second).await);
    assert!(ask(&mut first, GET).await.starts_with("HTTP/1.1 200"));
    serving.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn connections_in_use_are_kept_and_a_new_one_is_told_to_come_again() {
    let (address, serving, _) = serve(2, None).await;
    let (mut first, mut second) = (connect(address).await, connect(address).await);
    for stream in [&mut first, &mut second] {
        assert!(ask(stream, b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    }
    let mut third = connect(address).await;
    let mut told = String::new();
    third.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("retry-after: 5"), "{told}");
    drop(first);
    // A place is free as soon as the server has seen that the client is gone.
    while !ask(&mut connect(address).await, GET).await.starts_with("HTTP/1.1 200") {}
    serving.stop(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn who_takes_too_long_for_the_head_of_a_request_is_let_go() {
    let (address, _serving, _) = serve(8, None).await;
    for sent in [&b""[..], b"GET /ok HT", b"GET /ok HTTP/1.1\r\nhost: x\r\nx-slow:"] {
        let mut stream = connect(address).await;
        stream.write_all(sent).await.unwrap();
        assert!(is_closed(&mut stream).await, "{sent:?}");
    }
    // One that is idle after an answer, too.
    let mut stream = connect(address).await;
    ask(&mut stream, GET).await;
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (address, serving, _) = serve(8, None).await;
    let mut stream = connect(address).await;
    let large = format!("GET /ok HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "x".repeat(64 << 10));
    drop(stream.write_all(large.as_bytes()).await);
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    serving.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn at_the_end_requests_in_flight_are_answered_and_idle_connections_closed() {
    let (address, serving, gate) = serve(8, None).await;
    let (mut idle, mut busy, mut half) = (connect(address).await, connect(address).await, connect(address).await);
    ask(&mut idle, GET).await;
    half.write_all(b"GET /ok HT").await.unwrap();
    busy.write_all(b"GET /gated HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    ask(&mut connect(address).await, b"GET /entered HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let stopping = tokio::spawn(serving.stop(Duration::from_secs(60)));
    assert!(is_closed(&mut idle).await && is_closed(&mut half).await);
    assert!(TcpStream::connect(address).await.is_err());
    gate.notify_one();
    let mut told = String::new();
    busy.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 200") && told.ends_with("gated"), "{told}");
    stopping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_takes_too_long_is_cut() {
    let (address, serving, _) = serve(8, None).await;
    let mut stream = connect(address).await;
    ask(&mut stream, b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n").await;
    serving.stop(Duration::from_secs(10)).await;
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn with_tls_nothing_is_said_in_the_clear() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (cert_path, key_path) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert_path, key.cert.pem()).unwrap();
    crate::state::write_secret(&key_path, &key.signing_key.serialize_pem()).unwrap();
    let now = writ_core::Clock::now(&crate::system::SystemClock);
    let tls = crate::tls::offer(&cert_path, &key_path, now).unwrap();
    let (address, serving, _) = serve(8, Some(tls)).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = Arc::new(client.with_root_certificates(roots).with_no_client_auth());
    let connector = tokio_rustls::TlsConnector::from(client);
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, connect(address).await).await.unwrap();
    assert!(ask(&mut stream, GET).await.starts_with("HTTP/1.1 200"));

    let mut plain = connect(address).await;
    let told = ask(&mut plain, GET).await;
    assert!(!told.contains("HTTP"), "{told}");
    serving.stop(Duration::ZERO).await;
}

#[test]
fn there_is_room_for_no_more_connections_than_the_system_gives_files_for() {
    assert_eq!(room_for(8), 8);
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    assert!(u64::try_from(room_for(u64::MAX)).unwrap() <= most);
}
