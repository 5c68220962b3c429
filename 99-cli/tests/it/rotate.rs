//! The journal's key is changed, and nothing that was signed before or after is lost.

use crate::journey::writ;
use crate::pin::serve;
use crate::program;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use writ_bench::Place;
use writ_seal::{Key, NoteKey};

/// Evidence and an export verify under each of these keys, and under no other.
fn proved(place: &Place, name: &str, keys: &[&str]) {
    let (file, dir) = (place.path(&format!("{name}.json")), place.path(name));
    let (file, dir) = (file.to_str().unwrap(), dir.to_str().unwrap());
    let stranger = NoteKey::of(&Key::from_seed("writ.local/x", &[3; 32])).to_string();
    for key in keys {
        writ(place, &["verify", file, "--key", key], 0);
        writ(place, &["audit", "verify", "--file", dir, "--key", key], 0);
    }
    writ(place, &["verify", file, "--key", &stranger], 8);
    writ(place, &["audit", "verify", "--file", dir, "--key", &stranger], 8);
}

fn take(place: &Place, name: &str) {
    let (file, dir) = (place.path(&format!("{name}.json")), place.path(name));
    writ(place, &["audit", "evidence", "provisioning-agent-001", "--out", file.to_str().unwrap()], 0);
    writ(place, &["audit", "export", dir.to_str().unwrap()], 0);
}

#[test]
fn a_key_that_was_rotated_signs_alone_after_a_restart_and_the_old_one_still_leads_to_it() {
    let place = Place::new(program()).unwrap();
    let dev = serve(&place);
    writ(&place, &["audit", "verify"], 0);
    take(&place, "before");
    writ(&place, &["audit", "rotate-key", "--as", "reviewer"], 4);
    let rotated = place.writ(&["audit", "rotate-key", "-o", "json"]).unwrap().json();
    let (old, new) = (rotated["old"].as_str().unwrap(), rotated["new"].as_str().unwrap());
    assert_ne!(old, new);
    assert!(writ(&place, &["audit", "rotate-key"], 3).contains("restart writ"));
    take(&place, "between");
    // Another client, which knows the old key alone, believes the new one as soon as both have signed.
    let other = place.path("other-pins");
    let between = ["audit", "verify", "--key", old, "--pins", other.to_str().unwrap(), "-o", "json"];
    assert_eq!(place.writ(&between).unwrap().json()["pinned"]["key"], new);
    let entry = place.writ(&["audit", "query", "--kind", "audit.key_rotated/1", "-o", "json"]).unwrap().json();
    assert_eq!((&entry[0]["actor"]["id"], &entry[0]["body"]["new"]), (&"person-01".into(), &new.into()));

    dev.crash();
    assert!(place.state().join("keys/log.next").exists());
    let dev = serve(&place);
    assert!(!place.state().join("keys/log.next").exists(), "the new key took the old one's place");
    assert_eq!(fs::metadata(place.state().join("keys/log")).unwrap().permissions().mode() & 0o777, 0o600);
    writ(&place, &["agent", "kill", "--all"], 0);
    let note = writ(&place, &["audit", "checkpoint"], 0);
    assert_eq!(note.matches('\u{2014}').count(), 1, "one signature: {note}");
    // The client knows the old key alone, and follows it.
    let followed = place.writ(&["audit", "verify", "-o", "json"]).unwrap();
    assert_eq!((followed.code, &followed.json()["pinned"]["key"]), (Some(0), &new.into()), "{}", followed.err);
    take(&place, "after");
    proved(&place, "before", &[old]);
    proved(&place, "between", &[old, new]);
    proved(&place, "after", &[old, new]);
    writ(&place, &["audit", "rotate-key"], 0);
    assert_eq!(dev.end(), Some(0));
    let dev = serve(&place);
    writ(&place, &["audit", "verify"], 0);
    writ(&place, &["audit", "verify", "--key", old], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_rotation_that_is_cut_short_anywhere_leaves_a_journal_that_opens() {
    let place = Place::new(program()).unwrap();
    for delay in [0, 4, 8, 12, 18, 40] {
        let dev = serve(&place);
        let mut rotating = place.command(&["audit", "rotate-key"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        dev.crash();
        rotating.wait().unwrap();
    }
    let dev = serve(&place);
    writ(&place, &["audit", "verify"], 0);
    let rotations = place.writ(&["audit", "query", "--kind", "audit.key_rotated/1", "-o", "json"]).unwrap().json();
    println!("{} of 6 rotations were recorded", rotations.as_array().unwrap().len());
    assert_eq!(dev.end(), Some(0));
}
