//! A change that is asked for under an `Idempotency-Key` while the server is killed at every commit on the way: asked for again,
//! it is there once.

use crate::program;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;
use writ_bench::{Place, wait_until};

const LONG: Duration = Duration::from_secs(30);

/// Starts a server over a place, with one variable, and waits until it listens.
fn start(place: &Place, variable: (&str, &str)) -> Child {
    drop(fs::remove_file(place.state().join("server.json")));
    let files = place.files().display().to_string();
    let mut command = place.command(&["server", "--files", &files, "--listen", "127.0.0.1:0"]);
    let server = command.env(variable.0, variable.1).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until(LONG, || place.api("/api/v1/runs").is_ok()).unwrap();
    server
}

/// Asks for one change under one key, as the administrator; what is answered, if anything is.
fn ask(place: &Place) -> String {
    let announced = fs::read_to_string(place.state().join("server.json")).unwrap();
    let announced: serde_json::Value = serde_json::from_str(&announced).unwrap();
    let address = announced["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let token = fs::read_to_string(place.state().join("tokens/operator")).unwrap();
    let body = "{\"command\":[\"true\"],\"reason\":\"a try\"}";
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST /api/v1/actions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nidempotency-key: one\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        token.trim(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    // A server that was killed on the way answers nothing.
    drop(stream.read_to_string(&mut answer));
    answer
}

fn end(mut server: Child) {
    drop(server.kill());
    server.wait().unwrap();
}

/// A place whose administrator's token stands where `Place::api` looks for one.
fn fresh() -> Place {
    let place = Place::new(program()).unwrap();
    let server = {
        let files = place.files().display().to_string();
        let mut command = place.command(&["server", "--files", &files, "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let tokens = place.state().join("tokens");
    wait_until(LONG, || fs::copy(tokens.join("admin"), tokens.join("operator")).is_ok()).unwrap();
    wait_until(LONG, || place.api("/api/v1/runs").is_ok()).unwrap();
    end(server);
    place
}

#[test]
fn what_carries_a_key_is_there_once_wherever_the_server_is_killed() {
    let place = fresh();
    let log = place.path("points.log");
    let server = start(&place, ("WRIT_FAILPOINT_LOG", log.to_str().unwrap()));
    let first = ask(&place);
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    end(server);
    let passed = fs::read_to_string(&log).unwrap();
    let points: Vec<&str> = passed.lines().skip_while(|point| !point.contains("request.taken")).collect();
    assert!(points.iter().any(|point| point.contains("request.answered")), "{passed}");
    for point in points {
        println!("killed at {point}");
        let place = fresh();
        let mut server = start(&place, ("WRIT_FAILPOINT", point));
        let told = ask(&place);
        let ended = wait_until(LONG, || server.try_wait().unwrap().is_some());
        assert!(ended.is_some(), "the server does not pass {point} again");
        let server = start(&place, ("WRIT_FAILPOINT", ""));
        let again = ask(&place);
        assert!(again.starts_with("HTTP/1.1 200"), "killed at {point}, first told {told:?}: {again}");
        assert_eq!(place.list("runs").unwrap().len(), 1, "killed at {point}");
        end(server);
    }
}
