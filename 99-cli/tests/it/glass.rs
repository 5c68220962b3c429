//! Breaking the glass: what passes, what does not, who is told, and who looks at it afterwards.

use crate::exec::ends;
use crate::journey::{SOON, writ};
use crate::pin::serve;
use crate::{program, typed_at};
use std::fs;
use writ_bench::{Place, wait_until};

#[test]
fn broken_glass_lets_a_command_through_is_told_survives_a_restart_and_is_reviewed_by_somebody_else() {
    let place = Place::new(program()).unwrap();
    let dev = serve(&place);
    let broken = |args: &[&str], code| {
        let on = ["glass", "break", "--for", "command", "--on", "exec/*"];
        writ(&place, &[&on, args].concat(), code)
    };
    for (args, code) in [
        (&["--minutes", "10"][..], 64),
        (&["--minutes", "10", "-m", " "], 64),
        (&["--minutes", "61", "-m", "x"], 64),
        (&["--minutes", "0", "-m", "x"], 64),
        (&["--minutes", "18446744073709551615", "-m", "x"], 64),
        (&["--minutes", "10", "-m", "x", "--as", "reviewer"], 4),
    ] {
        broken(args, code);
    }
    writ(&place, &["glass", "end", "apr_0123456789abcdefghjkmnpqrs"], 5);
    let glass = place
        .writ(&[
            "glass",
            "break",
            "--for",
            "command",
            "--on",
            "exec/*",
            "--minutes",
            "10",
            "-m",
            "the\u{1b}[2J house burns",
            "-o",
            "json",
        ])
        .unwrap()
        .json();
    let id = glass["approval"].as_str().unwrap();
    let again = broken(&["--minutes", "1", "-m", "more"], 3);
    assert!(again.contains(&typed_at(&place, &format!("glass end {id}"))), "{again}");

    // The approvers are told, with a way to it.
    let told = place.state().join("notifications.log");
    wait_until(SOON, || fs::read_to_string(&told).is_ok_and(|text| text.contains(id))).unwrap();
    let told = fs::read_to_string(&told).unwrap();
    assert!(told.contains(&format!("/approvals/{id}")) && told.contains("http://127.0.0.1:"), "{told}");
    assert!(told.contains("\"audience\":\"approver\"") && told.contains("\"type\":\"glass_broken\""), "{told}");
    // What somebody wrote can be erased here, so it does not leave.
    assert!(!told.contains("house burns"), "{told}");

    // What would have waited for a person runs; another action still waits.
    assert_eq!(ends(&place, &["--", "echo", "through"], 0).0, "through\n");
    assert_eq!(dev.end(), Some(0));
    let dev = serve(&place);
    assert_eq!(ends(&place, &["--", "echo", "through"], 0).0, "through\n");
    let used = place.writ(&["audit", "query", "--kind", "approval.glass_used/1", "-o", "json"]).unwrap().json();
    assert_eq!(used.as_array().unwrap().len(), 4, "run and step, twice: {used}");
    let why = writ(&place, &["why", id], 0);
    assert!(why.contains("house burns") && why.contains("use broken glass"), "{why}");

    let stands = writ(&place, &["glass", "review", id, "-m", "fine", "--as", "reviewer"], 3);
    assert!(stands.contains("it is reviewed once it is over"), "{stands}");
    writ(&place, &["glass", "end", id], 0);
    writ(&place, &["glass", "end", id], 3);
    // Without it, a command waits again.
    assert_eq!(ends(&place, &["--no-wait", "--", "echo", "through"], 7).0, "");
    writ(&place, &["glass", "review", id, "-m", "fine"], 4);
    writ(&place, &["glass", "review", id, "-m", "", "--as", "reviewer"], 64);
    writ(&place, &["glass", "review", id, "-m", "it did burn", "--as", "reviewer"], 0);
    writ(&place, &["glass", "review", id, "-m", "again", "--as", "reviewer"], 3);
    let listed = writ(&place, &["glass", "list"], 0);
    assert!(listed.contains("reviewed") && !listed.contains('\u{1b}'), "{listed}");
    writ(&place, &["policy", "report"], 0);
    writ(&place, &["approval", "list"], 0);
    writ(&place, &["approval", "get", id], 0);
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}
