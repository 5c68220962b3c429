//! Mail.

use super::*;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// What a mail server was told, line by line, and the mail that it took.
type Mailed = (Vec<String>, String);

/// A mail server that takes one mail, or answers to `refuse` so. What it was told, and the mail.
async fn mail_server(refuse: &'static str, answer: &'static str) -> (String, JoinHandle<Mailed>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        stream.write_all(b"220 sink ESMTP\r\n").await.unwrap();
        let mut mailed = Mailed::default();
        converse(&mut stream, "AUTH PLAIN LOGIN", (refuse, answer), &mut mailed).await;
        mailed
    });
    (address, heard)
}

/// Answers as a mail server that offers something, until it is left, or TLS is to begin.
async fn converse(
    stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>,
    offers: &str,
    (refuse, answer): (&str, &str),
    (told, mail): &mut Mailed,
) {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end().to_owned();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        told.push(line);
        let said = match verb.as_str() {
            verb if verb == refuse => format!("{answer}\r\n"),
            "EHLO" => format!("250-sink\r\n250 {offers}\r\n"),
            "AUTH" => "235 welcome\r\n".into(),
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await.unwrap();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.unwrap();
                    if line == ".\r\n" {
                        break;
                    }
                    mail.push_str(&line);
                }
                "250 taken\r\n".into()
            }
            "QUIT" => "221 bye\r\n".into(),
            "STARTTLS" => "220 begin\r\n".into(),
            _ => "250 ok\r\n".into(),
        };
        if stream.write_all(said.as_bytes()).await.is_err() || verb == "STARTTLS" {
            return;
        }
    }
}

fn mail_to(server: &str) -> SmtpConfig {
    SmtpConfig {
        server: server.into(),
        security: SmtpSecurity::None,
        credentials: None,
        from: "writ <writ@writ.example>".into(),
        to: "ops@writ.example, On Call <call@writ.example>".into(),
    }
}

#[tokio::test]
async fn a_mail_reaches_everybody_and_what_people_wrote_begins_no_header() {
    let (server, sink) = mail_server("", "").await;
    let config = SmtpConfig { credentials: Some("writ:pass:word\n".into()), ..mail_to(&server) };
    let smtp = SmtpNotifier::new(&config, &Trust::default()).unwrap();
    let mut told = telling("Ärger\r\nBcc: evil@writ.example\r\n\r\n<b>x</b>");
    told.facts.push(("demanded by", "x\r\n.\r\nRCPT TO:<evil@writ.example>".into()));
    told.text = "first\r\n.\r\nMAIL FROM:<evil@writ.example>".into();
    smtp.notify(&told).await.unwrap();
    drop(smtp);
    let (said, mail) = sink.await.unwrap();
    let verbs: Vec<&str> = said.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(verbs.starts_with(&["EHLO", "AUTH", "MAIL", "RCPT", "RCPT", "DATA"]), "{said:?}");
    assert!(said.contains(&format!("AUTH PLAIN {}", STANDARD.encode("\0writ\0pass:word"))), "{said:?}");
    assert!(!said.iter().any(|line| line.contains("evil")), "{said:?}");
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let names: Vec<&str> = head
        .lines()
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert!(!names.iter().any(|name| name.eq_ignore_ascii_case("bcc")), "{head}");
    assert!(head.contains("Message-ID: <evt_01kdvdna1j782cf3wpmy6cnmxw@writ.example>"), "{head}");
    assert!(head.contains("Auto-Submitted: auto-generated") && head.contains("Importance: high"), "{head}");
    assert!(head.contains("Date: ") && head.contains("To: ops@writ.example, "), "{head}");
    assert!(body.contains("https://writ.example/approvals/apr_1"), "{body}");
}

#[tokio::test]
async fn what_a_mail_server_says_tells_whether_trying_again_may_help_and_is_not_repeated() {
    for (verb, answer, expected) in [
        ("RCPT", "550 no such user ops@writ.example", "Refused"),
        ("MAIL", "451 come again", "Unreachable"),
        ("DATA", "552 too much", "Refused"),
    ] {
        let (server, sink) = mail_server(verb, answer).await;
        let smtp = SmtpNotifier::new(&mail_to(&server), &Trust::default()).unwrap();
        let error = format!("{:?}", smtp.notify(&telling("x")).await.unwrap_err());
        drop(smtp);
        sink.await.unwrap();
        assert!(error.starts_with(expected) && !error.contains("ops@"), "{verb}: {error}");
    }
    let (server, sink) = mail_server("AUTH", "535 who are you").await;
    let config = SmtpConfig { credentials: Some("writ:wrong".into()), ..mail_to(&server) };
    let error = SmtpNotifier::new(&config, &Trust::default()).unwrap().notify(&telling("x")).await.unwrap_err();
    assert_eq!(error.to_string(), "nobody takes it now: it answers 535: it does not take the credentials");
    sink.await.unwrap();
    // Where TLS must come about first, nothing is said without it.
    let (server, sink) = mail_server("", "").await;
    let config =
        SmtpConfig { security: SmtpSecurity::StartTls, credentials: Some("writ:word".into()), ..mail_to(&server) };
    assert!(SmtpNotifier::new(&config, &Trust::default()).unwrap().notify(&telling("x")).await.is_err());
    let (said, mail) = sink.await.unwrap();
    assert!(
        !said.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")) && mail.is_empty(),
        "{said:?}"
    );
}

#[test]
fn mail_that_could_not_be_sent_or_would_cross_a_network_in_the_clear_is_refused_at_once() {
    let good = || mail_to("127.0.0.1:25");
    for (config, told) in [
        (
            SmtpConfig { server: "mail.example".into(), ..good() },
            "the server is no host and port, such as `mail.example:587`",
        ),
        (
            SmtpConfig { server: "mail.example:25".into(), ..good() },
            "the server is not this machine, and mail would go there in the clear; use `starttls` or `tls`",
        ),
        (SmtpConfig { from: "nobody".into(), ..good() }, "`from` is no mail address"),
        (SmtpConfig { to: "a@b.example, c".into(), ..good() }, "`to` is not mail addresses with commas between"),
        (
            SmtpConfig { to: "x@b.example\r\nBcc: y@b.example".into(), ..good() },
            "`to` is not mail addresses with commas between",
        ),
        (SmtpConfig { credentials: Some("hunter2".into()), ..good() }, "the credentials are not `user:password`"),
    ] {
        assert_eq!(SmtpNotifier::new(&config, &Trust::default()).err().unwrap().to_string(), told);
    }
}

/// What a mail server was told in the clear and by TLS, and how often TLS did not come about.
#[derive(Debug, Default)]
struct Heard {
    clear: Mailed,
    secured: Mailed,
    broken: usize,
}

/// A mail server that speaks TLS from `STARTTLS` on or from the first byte, however often it is come to, until it is told that
/// nobody comes any more.
async fn secured_server(
    security: SmtpSecurity,
    acceptor: tokio_rustls::TlsAcceptor,
) -> (String, Arc<Notify>, JoinHandle<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let over = Arc::new(Notify::new());
    let told = over.clone();
    let heard = tokio::spawn(async move {
        let mut heard = Heard::default();
        loop {
            tokio::select! {
                biased;
                come = listener.accept() => serve(come.unwrap().0, security, &acceptor, &mut heard).await,
                () = told.notified() => return heard,
            }
        }
    });
    (address, over, heard)
}

async fn serve(stream: TcpStream, security: SmtpSecurity, acceptor: &tokio_rustls::TlsAcceptor, heard: &mut Heard) {
    let mut stream = BufReader::new(stream);
    if security == SmtpSecurity::StartTls {
        stream.write_all(b"220 sink ESMTP\r\n").await.unwrap();
        converse(&mut stream, "STARTTLS", ("", ""), &mut heard.clear).await;
    }
    let Ok(stream) = acceptor.accept(stream).await else {
        heard.broken += 1;
        return;
    };
    let mut stream = BufReader::new(stream);
    if security == SmtpSecurity::Tls {
        stream.write_all(b"220 sink ESMTP\r\n").await.unwrap();
    }
    converse(&mut stream, "AUTH PLAIN LOGIN", ("", ""), &mut heard.secured).await;
}

/// A certificate of a server, as it is made.
fn of(name: &str) -> rcgen::CertificateParams {
    rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap()
}

#[tokio::test]
async fn mail_goes_by_tls_to_who_is_held_to_be_the_server_and_else_not_at_all() {
    let mut expired = of("localhost");
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    for security in [SmtpSecurity::StartTls, SmtpSecurity::Tls] {
        for (because, certificate, trusted) in [
            ("", of("localhost"), true),
            ("UnknownIssuer", of("localhost"), false),
            ("not valid for name", of("mail.example"), true),
            ("expired", expired.clone(), true),
        ] {
            let (acceptor, pem) = secured(certificate);
            std::fs::write(&ca, pem).unwrap();
            let trust = if trusted { Trust::of(Some(&ca)).unwrap() } else { Trust::default() };
            let (server, over, heard) = secured_server(security, acceptor).await;
            let config = SmtpConfig { security, credentials: Some("writ:word".into()), ..mail_to(&server) };
            let smtp = SmtpNotifier::new(&config, &trust).unwrap();
            let took = smtp.notify(&telling("by TLS alone")).await;
            drop(smtp);
            over.notify_one();
            let Heard { clear, secured: (told, mail), broken } = heard.await.unwrap();
            let case = format!("{security:?}, {because}: {took:?} {clear:?} {told:?}");
            // In the clear nothing is said but that TLS is to begin.
            let begins = ["EHLO writ.example".to_owned(), "STARTTLS".to_owned()];
            let begins = if security == SmtpSecurity::StartTls { &begins[..] } else { &[] };
            assert_eq!((&clear.0[..], clear.1.as_str()), (begins, ""), "{case}");
            if because.is_empty() {
                assert!(took.is_ok() && broken == 0, "{case}");
                let verbs: Vec<&str> = told.iter().map(|line| line.split(' ').next().unwrap()).collect();
                assert!(verbs.starts_with(&["EHLO", "AUTH", "MAIL", "RCPT", "RCPT", "DATA"]), "{case}");
                assert!(mail.contains("by TLS alone"), "{mail}");
            } else {
                let told_why = took.unwrap_err().to_string();
                assert!(told_why.starts_with("nobody takes it now: TLS does not come about: "), "{case}");
                assert!(told_why.contains(because), "{case}");
                assert_eq!((broken, told.len(), mail.as_str()), (1, 0, ""), "{case}");
            }
        }
    }
    // Who answers in the clear where TLS is to begin with the first byte is told nothing.
    let (server, sink) = mail_server("", "").await;
    let config = SmtpConfig { security: SmtpSecurity::Tls, ..mail_to(&server) };
    assert!(SmtpNotifier::new(&config, &Trust::default()).unwrap().notify(&telling("x")).await.is_err());
    let (told, mail) = sink.await.unwrap();
    assert!(!told.iter().any(|line| line.contains("EHLO")) && mail.is_empty(), "{told:?}");
}
