//! Notifications that leave the machine, from a real server to real sockets: an HTTP server that checks signatures by itself, and
//! a mail server.

use crate::exec::ends;
use crate::journey::{SOON, writ};
use crate::program;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use writ_bench::{Dev, Place, wait_until};
use writ_seal::sha256;

const KEY: &[u8; 24] = b"twenty-four bytes of key";
/// `KEY` in base64.
const SECRET: &str = "whsec_dHdlbnR5LWZvdXIgYnl0ZXMgb2Yga2V5";

/// A request: its head, and its body.
struct Heard {
    head: String,
    body: String,
}

impl Heard {
    fn header(&self, name: &str) -> String {
        let of = |line: &str| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        self.head.lines().find_map(of).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An HTTP server that takes everything, for as long as the test lasts.
fn hooks(listener: TcpListener) -> Receiver<Heard> {
    let (heard, all) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
            let mut one = Heard { head, body: String::new() };
            let mut body = vec![0; one.header("content-length").parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            one.body = String::from_utf8(body).unwrap();
            stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            if heard.send(one).is_err() {
                return;
            }
        }
    });
    all
}

/// A mail server; what it is told of each mail, commands and content alike.
fn mails(listener: TcpListener) -> Receiver<String> {
    let (heard, all) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if heard.send(take_mail(stream.unwrap())).is_err() {
                return;
            }
        }
    });
    all
}

fn take_mail(stream: TcpStream) -> String {
    let mut stream = BufReader::new(stream);
    let (mut told, mut content) = (String::new(), false);
    stream.get_mut().write_all(b"220 sink ESMTP\r\n").unwrap();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return told;
        }
        told.push_str(&line);
        let said = match (content, line.trim_end()) {
            (true, ".") => {
                content = false;
                "250 taken\r\n"
            }
            (true, _) => continue,
            (false, "DATA") => {
                content = true;
                "354 go on\r\n"
            }
            (false, "QUIT") => return told,
            (false, _) => "250 ok\r\n",
        };
        stream.get_mut().write_all(said.as_bytes()).unwrap();
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// HMAC-SHA256 as RFC 2104 writes it.
fn hmac(message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(KEY).for_each(|(block, key)| *block ^= key);
        block.to_vec()
    };
    let inner = sha256(&[pad(0x36), message.to_vec()].concat()).0;
    sha256(&[pad(0x5c), inner.to_vec()].concat()).0
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3).map(|group| {
        let number = group.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        let digit = |at: usize| {
            if at > group.len() { '=' } else { char::from(DIGITS[(number >> (18 - 6 * at)) as usize & 63]) }
        };
        (0..4).map(digit).collect::<String>()
    });
    groups.collect()
}

fn serve(place: &Place, hook: SocketAddr, mail: SocketAddr) -> Dev {
    let file = |name: &str, text: &str| {
        let path = place.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let variables = [
        ("WRIT_PUBLIC_URL", "https://writ.example/".to_owned()),
        ("WRIT_NOTIFY_WEBHOOK_URL", format!("http://{hook}/hooks/writ")),
        ("WRIT_NOTIFY_WEBHOOK_SECRET_FILE", file("webhook.secret", &format!("{SECRET}\n"))),
        ("WRIT_NOTIFY_SLACK_URL_FILE", file("slack.url", &format!("http://{hook}/services/T0/uncovered\n"))),
        ("WRIT_NOTIFY_SMTP_SERVER", mail.to_string()),
        ("WRIT_NOTIFY_SMTP_SECURITY", "none".into()),
        ("WRIT_NOTIFY_SMTP_FROM", "writ@writ.example".into()),
        ("WRIT_NOTIFY_SMTP_TO", "ops@writ.example".into()),
        ("WRIT_LOG_LEVEL", "debug".into()),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, &**value)).collect();
    let mut dev = place.dev_with(&["--no-submit"], &variables).unwrap();
    dev.until_up().unwrap();
    dev
}

fn break_glass(place: &Place) -> String {
    let args =
        ["glass", "break", "--for", "command", "--on", "exec/*", "--minutes", "10", "-m", "hunter2", "-o", "json"];
    place.writ(&args).unwrap().json()["approval"].as_str().unwrap().to_owned()
}

fn delivered(place: &Place) -> usize {
    let args = ["audit", "query", "--kind", "notification.delivered/1", "-o", "json"];
    place.writ(&args).unwrap().json().as_array().unwrap().len()
}

#[test]
fn what_waits_for_people_reaches_them_by_every_channel_once_the_receivers_live_and_the_server_was_killed_meanwhile() {
    let place = Place::new(program()).unwrap();
    let (hook, hook_at) = listen();
    let (mail, mail_at) = listen();
    // Nobody is there: the ports are known and closed.
    drop((hook, mail));
    let dev = serve(&place, hook_at, mail_at);
    let id = break_glass(&place);
    // The console's file takes it at once; the others fail, and are seen to.
    let waits = |word: &str| place.page("/settings").is_ok_and(|page| page.matches(word).count() >= 3);
    wait_until(SOON, || waits("connect: connection refused") || waits("nobody takes it now")).unwrap();
    let home = place.page("/").unwrap();
    assert!(
        home.contains("channel <code>webhook</code> takes nothing since") && home.contains("1 notification waits"),
        "{home}"
    );
    let metrics = place.page("/metrics").unwrap();
    assert!(metrics.contains("writ_notifications_waiting{channel=\"smtp\"} 1"), "{metrics}");
    let said = dev.said();
    dev.crash();

    // They live, the server lives again: each is told, once.
    let (hooks, mails) = (hooks(TcpListener::bind(hook_at).unwrap()), mails(TcpListener::bind(mail_at).unwrap()));
    let dev = serve(&place, hook_at, mail_at);
    let (first, second) = (hooks.recv_timeout(SOON).unwrap(), hooks.recv_timeout(SOON).unwrap());
    let (webhook, slack) = if first.head.starts_with("POST /hooks/writ ") { (first, second) } else { (second, first) };
    let (message, at) = (webhook.header("webhook-id"), webhook.header("webhook-timestamp"));
    let signed = hmac(format!("{message}.{at}.{}", webhook.body).as_bytes());
    assert_eq!(webhook.header("webhook-signature"), format!("v1,{}", base64(&signed)));
    let document = webhook.json();
    assert_eq!(document["type"], "glass_broken");
    assert_eq!(document["data"]["link"], format!("https://writ.example/approvals/{id}"));
    assert_eq!(document["data"]["id"], message.as_str());
    assert!(slack.head.starts_with("POST /services/T0/uncovered "), "{}", slack.head);
    assert!(slack.body.contains(&format!("<https://writ.example/approvals/{id}|Look and answer>")), "{}", slack.body);
    let mail = mails.recv_timeout(SOON).unwrap();
    assert!(mail.contains("RCPT TO:<ops@writ.example>") && mail.contains(&message), "{mail}");
    assert!(mail.contains(&format!("https://writ.example/approvals/{id}")), "{mail}");
    for told in [&webhook.body, &slack.body, &mail] {
        assert!(!told.contains("hunter2"), "a reason stays here: {told}");
    }
    wait_until(SOON, || delivered(&place) == 4).unwrap();

    // A channel is tried; after another restart nothing is told again.
    let tried = writ(&place, &["server", "notify-test"], 0);
    assert_eq!(tried.matches("took it").count(), 4, "{tried}");
    let tests = [hooks.recv_timeout(SOON).unwrap(), hooks.recv_timeout(SOON).unwrap()];
    assert!(tests.iter().any(|heard| heard.json()["type"] == "test"), "one of them is the webhook");
    mails.recv_timeout(SOON).unwrap();
    assert_eq!(dev.end(), Some(0));
    let dev = serve(&place, hook_at, mail_at);
    writ(&place, &["glass", "end", &id], 0);
    let next = break_glass(&place);
    for heard in [hooks.recv_timeout(SOON).unwrap(), hooks.recv_timeout(SOON).unwrap()] {
        assert!(heard.body.contains(&next), "{}", heard.body);
    }
    assert!(mails.recv_timeout(SOON).unwrap().contains(&next));
    assert!(hooks.try_recv().is_err() && mails.try_recv().is_err(), "nothing is told again");
    // Links are the same everywhere: whoever waits in a terminal sends on what others can open.
    writ(&place, &["glass", "end", &next], 0);
    let waits = ends(&place, &["--no-wait", "--", "echo", "hello"], 7).1;
    assert!(waits.contains("https://writ.example/approvals/apr_"), "{waits}");
    let asked = [hooks.recv_timeout(SOON).unwrap(), hooks.recv_timeout(SOON).unwrap()];
    let asked = asked.iter().map(Heard::json).find(|told| told["type"] == "approval_asked").unwrap();
    assert_eq!(asked["data"]["facts"]["demanded_by"], "SEC-EXEC-001", "{asked}");
    assert!(
        asked["data"]["facts"]["expires"].is_string() && asked["data"]["facts"]["asked_by"] == "operator",
        "{asked}"
    );
    let listed = place.api("/api/v1/notifications").unwrap();
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["console", "webhook", "slack", "smtp"]);
    let lines = format!("{said}{}", dev.said());
    for secret in ["uncovered", "dHdlbnR5", "hunter2"] {
        assert!(!lines.contains(secret), "{secret} in the log");
        assert!(!place.page("/settings").unwrap().contains(secret), "{secret} on the page");
    }
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn what_cannot_be_told_so_is_refused_at_the_start_with_the_key_and_the_way_out() {
    let place = Place::new(program()).unwrap();
    let path = |name: &str, text: &str| {
        let path = place.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (short, url) = (path("short", "whsec_aHVudGVyMg=="), path("url", "http://hooks.example/T0/hunter2"));
    for (settings, told) in [
        (
            &["notify.webhook.url=https://hooks.example/x".to_owned()][..],
            "`notify.webhook.url` is given and `notify.webhook.secret_file` is not",
        ),
        (
            &["notify.webhook.url=https://hooks.example/x".to_owned(), format!("notify.webhook.secret_file={short}")],
            "`notify.webhook.secret_file` cannot be used for notifications: the secret is not `whsec_`",
        ),
        (
            &[format!("notify.slack.url_file={url}")],
            "`notify.slack.url_file` cannot be used for notifications: the URL begins with `http://`",
        ),
        (
            &["notify.slack.url_file=/nowhere".to_owned()],
            "`notify.slack.url_file` names `/nowhere`, which cannot be read",
        ),
        (
            &[
                "notify.smtp.server=mail.example:25".to_owned(),
                "notify.smtp.security=none".to_owned(),
                "notify.smtp.from=a@b.example".to_owned(),
                "notify.smtp.to=c@d.example".to_owned(),
            ],
            "mail would go there in the clear",
        ),
        (&["public_url=writ.example".to_owned()], "which is not a URL without credentials"),
    ] {
        let mut args = vec!["server", "run", "--listen", "127.0.0.1:0"];
        settings.iter().for_each(|setting| args.extend(["--set", setting]));
        let said = place.writ(&args).unwrap();
        assert_ne!(said.code, Some(0));
        assert!(said.err.contains(told) && !said.err.contains("hunter2"), "{settings:?}: {}", said.err);
    }
    assert!(!place.state().join("journal.db").exists());
}
