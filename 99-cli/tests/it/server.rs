//! `writ server`: how it begins, whom it lets in, and how it ends.

use crate::journey::{SOON, writ};
use crate::program;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use writ_bench::{Dev, Place, Signal, get, kill, wait_until};

const READY: Duration = Duration::from_secs(30);

pub(crate) fn serve(place: &Place, args: &[&str]) -> Dev {
    let mut server = place.server(args).unwrap();
    server.until(&["next: writ token issue"], READY).unwrap();
    server
}

/// Where it listens.
pub(crate) fn address(place: &Place) -> SocketAddr {
    let announced = fs::read_to_string(place.state().join("server.json")).unwrap();
    announced.split('"').find_map(|part| part.strip_prefix("http://")).unwrap().parse().unwrap()
}

/// Sends a request as it stands and reads the whole answer.
pub(crate) fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_new_server_knows_one_administrator_whose_token_is_told_once() {
    let place = Place::new(program()).unwrap();
    let server = serve(&place, &[]);
    let file = place.state().join("tokens/admin");
    assert!(
        server.said().contains(&format!("token  {}", fs::canonicalize(&file).unwrap().display())),
        "{}",
        server.said()
    );
    let token = fs::read_to_string(&file).unwrap();
    assert!(!server.said().contains(token.trim()));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let known: Vec<_> =
        fs::read_dir(place.state().join("tokens")).unwrap().flatten().map(|one| one.file_name()).collect();
    assert_eq!(known, ["admin"]);
    let people = writ(&place, &["token", "list", "--as", "admin"], 0);
    assert_eq!(people.lines().count(), 1, "{people}");
    // Nothing is agreed to beforehand.
    let granted =
        place.writ(&["audit", "query", "--kind", "standing.granted/1", "--as", "admin", "-o", "json"]).unwrap();
    assert_eq!(granted.out.trim(), "[]", "{}", granted.err);
    let told = writ(
        &place,
        &["token", "issue", "Ada", "--enrol", "-m", "new", "--roles", "viewer,approver", "--as", "admin"],
        0,
    );
    let ada =
        told.split_whitespace().find(|word| word.starts_with("writ_")).unwrap_or_else(|| panic!("{told}")).to_owned();
    writ(&place, &["run", "list", "--token", &ada], 0);

    // What was kept elsewhere and removed here is not made again, and nobody new is let in.
    fs::remove_file(&file).unwrap();
    assert_eq!(server.end(), Some(0));
    let server = serve(&place, &[]);
    assert!(!server.said().contains("token  ") && !file.exists(), "{}", server.said());
    writ(&place, &["run", "list", "--token", token.trim()], 0);
    writ(&place, &["audit", "verify", "--token", &ada], 0);
    server.signal(Signal::INT);
    assert_eq!(server.end(), Some(0), "an interrupt is how it is meant to end");
}

#[test]
fn what_would_be_unsafe_or_makes_no_sense_is_refused_with_the_way_out() {
    let place = Place::new(program()).unwrap();
    let files = place.files();
    let refused = |args: &[&str], code: i32| {
        let args = [&["server", "run", "--files", files.to_str().unwrap()], args].concat();
        writ(&place, &args, code)
    };
    let told = refused(&["--listen", "0.0.0.0:0"], 1);
    assert!(told.contains("give `tls.cert` and `tls.key`, or set `insecure_bind`"), "{told}");
    assert!(!place.state().exists(), "nothing was made");
    let told = refused(&["--set", "tls.cert=/nowhere/cert.pem", "--set", "tls.key=/nowhere/key.pem"], 1);
    assert!(told.contains("`/nowhere/cert.pem` cannot be read"), "{told}");
    let told = refused(&["--set", "insecure-bind=true"], 64);
    assert!(told.contains("did you mean `insecure_bind`?"), "{told}");
    let told = writ(&place, &["server", "--files", "/nowhere", "--listen", "127.0.0.1:0"], 64);
    assert!(told.contains("there is no directory `/nowhere`") && told.contains("`--files DIR`"), "{told}");
    let told =
        writ(&place, &["dev", files.to_str().unwrap(), "--listen", "0.0.0.0:0", "--set", "insecure_bind=true"], 1);
    assert!(told.contains("`dev` serves this machine alone"), "{told}");
}

#[test]
fn with_a_certificate_it_speaks_tls_to_whoever_trusts_that() {
    let place = Place::new(program()).unwrap();
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key, file) = (place.path("cert.pem"), place.path("key.pem"), place.path("writ.toml"));
    fs::write(&cert, pair.cert.pem()).unwrap();
    fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n").unwrap();
    let server = serve(&place, &["--config", file.to_str().unwrap()]);
    assert!(server.said().contains("writ   https://127.0.0.1:"), "{}", server.said());
    let trusting = ["run", "list", "--as", "admin", "--ca", cert.to_str().unwrap()];
    writ(&place, &trusting, 0);
    let told = writ(&place, &["run", "list", "--as", "admin"], 1);
    assert!(told.contains("--ca FILE"), "{told}");
    let told = writ(&place, &["run", "list", "--as", "admin", "--ca", key.to_str().unwrap()], 64);
    assert!(told.contains("holds no certificate"), "{told}");
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_run_that_is_under_way_at_the_end_is_finished_by_the_next_start_with_nothing_done_twice() {
    let place = Place::new(program()).unwrap();
    let server = serve(&place, &[]);
    let manifest = place.files().join("intent.yaml");
    let accepted = place.writ(&["apply", "-f", manifest.to_str().unwrap(), "--as", "admin", "-o", "json"]).unwrap();
    let run = accepted.json()["run"].as_str().unwrap_or_else(|| panic!("{}{}", accepted.out, accepted.err)).to_owned();
    wait_until(SOON, || !place.effects().is_empty()).expect("it has begun");
    assert_eq!(server.end(), Some(0));
    let (before, alive) = (place.effects(), place.alive());
    // Nothing was cut: what was begun has its outcome in the journal already.
    let server = serve(&place, &[]);
    assert!(!server.said().contains("under way at the end"), "{}", server.said());
    writ(&place, &["run", "watch", &run, "--as", "admin"], 0);
    let effects = place.effects();
    let keys: BTreeSet<_> = effects.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), effects.len(), "each effect once: {effects:?}");
    assert!(before.len() < effects.len(), "{before:?} {effects:?}");
    let asked = ["audit", "query", "--kind", "run.step_readied/1", "--as", "admin", "-o", "json"];
    let readied = place.writ(&asked).unwrap().json();
    let restarted = readied.as_array().unwrap().iter().filter(|entry| entry.to_string().contains("restarted")).count();
    assert_eq!(restarted, 0, "{readied:#}");
    // Services outlive the server, with the processes that they had.
    assert_eq!(server.end(), Some(0));
    let now = place.alive();
    assert!(alive.iter().all(|(slot, pid)| now.get(slot) == Some(pid)), "{alive:?} {now:?}");
    assert_eq!(now.keys().collect::<Vec<_>>(), ["i-1", "i-2", "i-3", "lb"]);
    assert_eq!(get(place.balancer().unwrap(), "/").unwrap().0, 200);
}

#[test]
fn connections_that_say_nothing_do_not_keep_others_out() {
    let place = Place::new(program()).unwrap();
    let server = serve(&place, &["--set", "limits.connections=64"]);
    let address = address(&place);
    let mut silent = Vec::new();
    for _ in 0..2_000 {
        silent.extend(TcpStream::connect(address));
        if silent.len() > 500 {
            silent.remove(0);
        }
    }
    assert_eq!(get(address, "/health/ready").unwrap().0, 200);
    writ(&place, &["run", "list", "--as", "admin"], 0);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn ten_thousand_silent_connections_keep_nobody_out_and_lose_nothing() {
    const MANY: u64 = 10_000;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = MANY + 500;
    if maximum.is_some_and(|maximum| maximum < needed) {
        assert!(std::env::var_os("WRIT_REQUIRE_REAL").is_none(), "a process may have no {needed} open files here");
        println!("skipped: this machine lets a process have {} open files, not {needed}", maximum.unwrap_or(0));
        return;
    }
    if current.is_some_and(|current| current < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).unwrap();
    }
    let place = Place::new(program()).unwrap();
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    let (address, served) = (address(&place), place.alive());
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..4 {
        // Many at once: the system lets one that finds no room in the queue come again only after a second.
        let some = || (0..MANY / 4 / 25).map(|_| TcpStream::connect(address).unwrap()).collect::<Vec<_>>();
        silent.extend(std::thread::scope(|scope| {
            let all: Vec<_> = (0..25).map(|_| scope.spawn(some)).collect();
            all.into_iter().flat_map(|one| one.join().unwrap()).collect::<Vec<_>>()
        }));
        let (status, said) = get(address, "/health/ready").unwrap();
        assert_eq!(status, 200, "after {}: {said}", silent.len());
    }
    assert_eq!(silent.len() as u64, MANY);
    kill(served["i-1"], Signal::KILL);
    let healed = wait_until(SOON, || {
        place.alive().get("i-1").is_some_and(|pid| *pid != served["i-1"]) && place.healthy().len() == 3
    });
    assert!(healed.is_some(), "{}", dev.said());
    drop(silent);
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again_and_others_are_not() {
    let place = Place::new(program()).unwrap();
    let server = serve(&place, &["--set", "limits.writes_per_minute=3", "--set", "limits.logins_per_minute=2"]);
    let issue =
        ["token", "issue", "Ada", "--enrol", "-m", "new", "--roles", "viewer,operator", "--as", "admin", "-o", "json"];
    let ada = place.writ(&issue).unwrap().json()["token"].as_str().unwrap().to_owned();
    writ(&place, &["maintenance", "begin", "--as", "admin"], 0);
    writ(&place, &["maintenance", "end", "--as", "admin"], 0);
    let told = writ(&place, &["maintenance", "begin", "--as", "admin"], 1);
    assert!(told.contains("more than 3 changes in a minute") && told.contains("come again in"), "{told}");
    writ(&place, &["maintenance", "show", "--as", "admin"], 0);
    writ(&place, &["recommend", "collect", "--token", &ada], 3);
    // Each session of a browser is an entry: opening one is a change.
    let login = |token: &str| {
        let body = format!("token={token}");
        let (address, length) = (address(&place), body.len());
        raw(
            address,
            &format!(
                "POST /login HTTP/1.1\r\nhost: {address}\r\norigin: http://{address}\r\nconnection: close\r\n\
                 content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{body}"
            ),
        )
    };
    assert!(login(&ada).starts_with("HTTP/1.1 303"));
    let admin = fs::read_to_string(place.state().join("tokens/admin")).unwrap();
    assert!(login(admin.trim()).starts_with("HTTP/1.1 429"));
    for code in [4, 4, 1] {
        let told = writ(&place, &["run", "list", "--token", "writ_wrong"], code);
        assert_eq!(told.contains("come again in"), code == 1, "{told}");
    }
    writ(&place, &["run", "list", "--token", &ada], 0);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_request_is_followed_from_its_caller_into_logs_and_entries_and_no_secret_is_in_a_line() {
    let place = Place::new(program()).unwrap();
    let server = serve(&place, &["--set", "log.format=json", "--set", "log.level=debug"]);
    let (address, admin) = (address(&place), fs::read_to_string(place.state().join("tokens/admin")).unwrap());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let body = "{\"on\":true}";
    let told = raw(
        address,
        &format!(
            "POST /api/v1/maintenance HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             authorization: Bearer {}\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\ncontent-length: {}\r\n\r\n{body}",
            admin.trim(),
            body.len()
        ),
    );
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    let head = told.split("\r\n\r\n").next().unwrap().to_lowercase();
    assert!(head.contains(&format!("traceparent: 00-{trace}-")) && !head.contains("00f067aa0ba902b7"), "{head}");
    for name in ["x-content-type-options: nosniff", "cache-control: no-store", "content-security-policy: default-src"] {
        assert!(head.contains(name), "{name} in {head}");
    }
    let entries = place.writ(&["audit", "query", "--trace", trace, "--as", "admin", "-o", "json"]).unwrap().json();
    let kinds: Vec<&str> = entries.as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"policy.maintenance_set/1"), "{kinds:?}");

    // A token is wrong, another is issued, and one comes in a place where none should be.
    writ(&place, &["run", "list", "--token", "writ_wrongwrongwrong"], 4);
    let issued = place
        .writ(&["token", "issue", "Ada", "--enrol", "-m", "new", "--roles", "viewer", "--as", "admin", "-o", "json"]);
    let ada = issued.unwrap().json()["token"].as_str().unwrap().to_owned();
    raw(address, &format!("GET /api/v1/runs?token={ada} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    assert_eq!(server.end(), Some(0));
    let said = fs::read_to_string(place.path("dev.log")).unwrap();
    let lines: Vec<serde_json::Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let ours =
        |line: &&serde_json::Value| line["span"]["trace_id"] == trace && line["span"]["route"] == "/api/v1/maintenance";
    assert!(lines.iter().any(|line| ours(&line) && line["status"] == 200), "{said}");
    for secret in [admin.trim(), &ada, "writ_wrongwrongwrong"] {
        assert!(!said.contains(secret), "a token is in the log: {said}");
    }
}

#[test]
fn metrics_and_health_say_what_is_so() {
    let place = Place::new(program()).unwrap();
    let server = serve(&place, &[]);
    let manifest = place.files().join("intent.yaml");
    writ(&place, &["apply", "-f", manifest.to_str().unwrap(), "--wait", "--as", "admin"], 0);
    let (address, admin) = (address(&place), fs::read_to_string(place.state().join("tokens/admin")).unwrap());
    let scrape = |token: &str| {
        let asked =
            format!("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n");
        raw(address, &asked)
    };
    assert!(scrape("writ_nobody").starts_with("HTTP/1.1 401"));
    let counted =
        || scrape(admin.trim()).lines().any(|line| line.starts_with("writ_steps_total{outcome=\"succeeded\"} "));
    wait_until(SOON, counted).expect("steps are counted");
    let told = scrape(admin.trim());
    for part in [
        "content-type: application/openmetrics-text",
        "writ_journal_closed 0",
        "writ_http_requests_total{method=\"POST\",route=\"/api/v1/intents\",status=\"200\"} 1",
        "writ_journal_commit_seconds_count ",
        "writ_incidents_open 0",
        "# EOF",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let (status, body) = get(address, "/health/ready").unwrap();
    let ready: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &ready["ready"]), (200, &true.into()), "{body}");
    let checks: Vec<&str> =
        ready["checks"].as_array().unwrap().iter().map(|one| one["check"].as_str().unwrap()).collect();
    assert_eq!(checks, ["journal", "reports", "provider"]);
    assert_eq!(server.end(), Some(0));

    let server = serve(&place, &["--set", "metrics=false"]);
    let told = writ_bench::get(self::address(&place), "/metrics").unwrap();
    assert_ne!(told.0, 200, "{}", told.1);
    assert_eq!(server.end(), Some(0));
}
