//! What a client remembers of a journal holds against whoever has the server, its database and its witness.

use crate::journey::writ;
use crate::{program, typed_at};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use writ_audit::Checkpoint;
use writ_bench::{Dev, Place};
use writ_seal::{Key, NoteKey, sha256};

/// A server over the state directory as it is, with nothing submitted.
pub(crate) fn serve(place: &Place) -> Dev {
    let mut dev = place.dev(&["--no-submit"]).unwrap();
    dev.until_up().unwrap();
    dev
}

/// Makes the journal longer by two entries.
fn grow(place: &Place) {
    writ(place, &["agent", "kill", "--all"], 0);
    writ(place, &["agent", "release", "--all"], 0);
}

fn keep(place: &Place, from: &str, to: &str) {
    let path = |dir: &str, name: &str| place.path(dir).join(name);
    fs::create_dir_all(place.path(to)).unwrap();
    for name in ["journal.db", "witness"] {
        fs::copy(path(from, name), path(to, name)).unwrap();
    }
    for name in ["journal.db-wal", "journal.db-shm"] {
        drop(fs::remove_file(path(to, name)));
    }
}

#[test]
fn a_journal_that_was_rolled_back_forked_or_replaced_with_its_witness_is_noticed_by_the_client() {
    let place = Place::new(program()).unwrap();
    let dev = serve(&place);
    assert!(writ(&place, &["audit", "verify"], 0).contains("a first look"));
    grow(&place);
    let again = writ(&place, &["audit", "verify"], 0);
    assert!(again.contains("this client's last checkpoint (consistency") && !again.contains("first look"), "{again}");
    assert_eq!(dev.end(), Some(0));
    keep(&place, "state", "backup");

    let dev = serve(&place);
    grow(&place);
    let seen = place.writ(&["audit", "verify", "-o", "json"]).unwrap().json();
    let point = |value: &serde_json::Value| {
        let root = value["root"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
        format!("{} entries (root {root})", value["size"])
    };
    let seen = point(&seen["pinned"]);
    assert_eq!(dev.end(), Some(0));

    // The whole database is restored, and the witness with it: the server has nothing to complain about.
    keep(&place, "backup", "state");
    let dev = serve(&place);
    let refused = writ(&place, &["audit", "verify"], 8);
    assert!(refused.contains("is rolled back") && refused.contains(&seen), "{refused}");
    assert!(refused.contains(&typed_at(&place, "audit unpin")), "the way out: {refused}");
    // It goes on as if nothing had been, past what the client has seen.
    (0..4).for_each(|_| grow(&place));
    let refused = writ(&place, &["audit", "verify"], 8);
    assert!(refused.contains("has forked") && refused.contains(&seen), "{refused}");
    writ(&place, &["audit", "verify"], 8);
    let forgotten = writ(&place, &["audit", "unpin"], 0);
    assert!(forgotten.contains("writ.local/") && forgotten.contains('\u{2014}'), "{forgotten}");
    writ(&place, &["audit", "unpin"], 5);
    assert!(writ(&place, &["audit", "verify"], 0).contains("a first look"));
    assert_eq!(dev.end(), Some(0));

    // Everything is made anew in the same place, under another key and so another name.
    fs::remove_dir_all(place.state()).unwrap();
    let dev = serve(&place);
    let refused = writ(&place, &["audit", "verify"], 8);
    assert!(refused.contains("showed the journal `writ.local/"), "{refused}");
    assert_eq!(dev.end(), Some(0));
}

/// Answers `/log/checkpoint`, `/log/key` and an empty list of rotations, as whoever took a server over could.
fn impostor(note: String, key: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 4_096];
            let read = stream.read(&mut asked).unwrap();
            let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
            let body = match asked.split(' ').nth(1).unwrap_or_default() {
                "/log/checkpoint" => note.clone(),
                "/log/key" => key.clone(),
                path if path.starts_with("/api/v1/audit/entries") => "{\"items\":[],\"next\":null}".into(),
                _ => "{}".into(),
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            drop(stream.write_all((head + &body).as_bytes()));
        }
    });
    address
}

#[test]
fn a_journal_of_the_same_name_under_another_key_is_refused() {
    let place = Place::new(program()).unwrap();
    let note = |seed: u8, size: u64| {
        let key = Key::from_seed("writ.test/log", &[seed; 32]);
        let checkpoint = Checkpoint { origin: "writ.test/log".into(), root: sha256(&[seed]), size };
        (checkpoint.sign(&[&key]).unwrap(), NoteKey::of(&key).to_string())
    };
    let look = |seed: u8, size: u64, more: &[&str]| {
        let (note, key) = note(seed, size);
        let url = format!("http://{}", impostor(note, key));
        let args: Vec<&str> = ["audit", "verify", "--server", &url].iter().chain(more).copied().collect();
        place.writ(&args).unwrap()
    };
    let first = look(1, 3, &[]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    let taken = look(2, 3, &[]);
    assert_eq!(taken.code, Some(8), "{}", taken.err);
    assert!(taken.err.contains("is not signed by `writ.test/log+"), "{}", taken.err);
    // Saying that it is the right key does not make another history the same.
    let (_, key) = note(2, 3);
    let forked = look(2, 3, &["--key", &key]);
    assert_eq!(forked.code, Some(8), "{}", forked.err);
    assert!(forked.err.contains("has forked"), "{}", forked.err);
    let shorter = look(1, 2, &[]);
    assert!(shorter.code == Some(8) && shorter.err.contains("is rolled back"), "{}", shorter.err);
    // The same key signs a longer journal, and shows nothing that would prove that it goes on.
    let longer = look(1, 300, &[]);
    assert_eq!(longer.code, Some(8), "{}", longer.err);
    // A damaged pin is not a first look.
    let file = fs::read_dir(place.path("pins")).unwrap().next().unwrap().unwrap().path();
    fs::write(&file, "{}").unwrap();
    let damaged = look(2, 3, &[]);
    assert!(damaged.code == Some(8) && damaged.err.contains(file.to_str().unwrap()), "{}", damaged.err);
}

#[test]
fn a_server_whose_journal_is_closed_says_so_with_every_answer() {
    let place = Place::new(program()).unwrap();
    let dev = serve(&place);
    let announced = fs::read_to_string(place.state().join("server.json")).unwrap();
    let url = announced.split('"').find_map(|part| part.strip_prefix("http://")).unwrap();
    let address: SocketAddr = url.parse().unwrap();
    assert_eq!(writ_bench::get(address, "/health/ready").unwrap().0, 200);
    let quiet = place.writ(&["maintenance", "show"]).unwrap();
    assert_eq!((quiet.code, quiet.out.as_str()), (Some(0), "changes go through\n"));
    assert!(!quiet.err.contains("warning"), "{}", quiet.err);

    // Behind one lock's back nobody gets the journal: the world is held by the first.
    fs::remove_file(place.state().join("journal.lock")).unwrap();
    let other = writ(&place, &["dev", place.files().to_str().unwrap(), "--no-submit"], 1);
    assert!(other.contains("another controller works"), "{other}");
    writ(&place, &["maintenance", "begin"], 0);
    writ(&place, &["maintenance", "end"], 0);

    // Behind both locks' backs another writer takes the journal over; the first learns of it when it has something to record.
    fs::remove_file(place.state().join("world/lock")).unwrap();
    let other = serve(&place);
    assert_eq!(other.end(), Some(0));
    let first = format!("http://{url}");
    let refused = writ(&place, &["maintenance", "begin", "--server", &first], 70);
    assert!(refused.contains("the journal is closed: "), "{refused}");
    for args in [&["maintenance", "show"][..], &["incident", "list"], &["audit", "query"]] {
        let args = [args, &["--server", &first]].concat();
        let said = place.writ(&args).unwrap();
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.err);
        assert_eq!(said.err.matches("warning: the journal is closed: ").count(), 1, "{args:?}: {}", said.err);
    }
    assert_eq!(writ_bench::get(address, "/health/live").unwrap().0, 200);
    let (status, body) = writ_bench::get(address, "/health/ready").unwrap();
    assert!(status == 503 && body.contains("urn:writ:problem:closed") && body.contains("moved on"), "{status} {body}");
    assert_eq!(dev.end(), Some(0));
}
