//! What a command says of a run that it began and can follow no more.

use crate::program;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use writ_bench::Place;

const RUN: &str = "run_01m7znjwjxsxdw0zwmr5z97yce";

/// Takes an intent, shows its run once as it goes, and then knows the token no more.
fn forgets() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut shown = false;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 65_536];
            let read = stream.read(&mut asked).unwrap();
            let (status, body) = if asked[..read].starts_with(b"POST /api/v1/intents ") {
                ("200 OK", format!("{{\"run\":\"{RUN}\"}}"))
            } else if !shown {
                shown = true;
                ("200 OK", "{\"state\":\"running\",\"over\":false,\"steps\":[]}".to_owned())
            } else {
                let told = "\"code\":\"unauthorised\",\"detail\":\"the request has no valid bearer token\"";
                ("401 Unauthorized", format!("{{{told}}}"))
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            drop(stream.write_all((head + &body).as_bytes()));
        }
    });
    address
}

#[test]
fn whoever_can_follow_a_run_no_more_is_told_that_it_goes_on_and_which_it_is() {
    let place = Place::new(program()).unwrap();
    let (manifest, url) = (place.files().join("intent.yaml"), format!("http://{}", forgets()));
    let apply = ["apply", "-f", manifest.to_str().unwrap(), "--wait", "--server", &url, "--token", "writ_x"];
    let said = place.writ(&apply).unwrap();
    assert_eq!(said.code, Some(4), "{}", said.err);
    let told = format!("run    {RUN} goes on without this command; `writ run watch {RUN}` follows it again\n");
    assert!(said.err.contains(&told), "{}", said.err);
    assert!(said.err.contains("error: the request has no valid bearer token"), "{}", said.err);
    // Of one that somebody only names, nothing is said that is not known.
    let watched = place.writ(&["run", "watch", RUN, "--server", &url, "--token", "writ_x"]).unwrap();
    assert_eq!((watched.code, watched.err.contains("goes on")), (Some(4), false), "{}", watched.err);
}
