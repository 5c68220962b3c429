//! Backups, what becomes of them, and what looks an installation over.

use crate::journey::writ;
use crate::server::serve;
use crate::{program, typed_at};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use writ_bench::Place;

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A command without the state directory of the place.
fn elsewhere(place: &Place, state: &Path, args: &[&str], code: i32) -> String {
    let mut command = std::process::Command::new(program());
    command.args(args).arg("--state").arg(state).env("WRIT_PINS", place.path("pins")).env_remove("WRIT_OUTPUT");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{said}");
    said
}

#[test]
fn a_backup_of_a_running_server_is_restored_into_an_empty_directory_alone_and_verified() {
    let place = Place::new(program()).unwrap();
    let (into, state) = (place.path("backup"), place.path("again"));
    let told = writ(&place, &["server", "backup", &text(&into)], 1);
    assert!(told.contains("holds no journal"), "{told}");
    let server = serve(&place, &[]);
    writ(&place, &["maintenance", "begin", "--as", "admin"], 0);
    let told = writ(&place, &["server", "backup", &text(&into)], 0);
    assert!(told.contains("the keys are not in it") && told.contains("writ.local/"), "{told}");
    let keys = text(&place.state().join("keys"));
    assert!(
        told.contains(&format!("restore {} --keys {keys} --state", text(&into))),
        "what to type next works: {told}"
    );
    assert!(writ(&place, &["server", "backup", &text(&into)], 1).contains("is there already"));
    for name in ["journal.db", "witness", "backup.json"] {
        assert_eq!(fs::metadata(into.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert!(!into.join("keys").exists() && !into.join("tokens").exists());
    writ(&place, &["maintenance", "end", "--as", "admin"], 0);
    let token = fs::read_to_string(place.state().join("tokens/admin")).unwrap();
    assert_eq!(server.end(), Some(0));

    let restore = |args: &[&str], code: i32| elsewhere(&place, &state, &[&["server", "restore"], args].concat(), code);
    assert!(restore(&[&text(&into)], 1).contains("name the directory that holds them with `--keys`"));
    assert!(restore(&[&text(&place.files())], 1).contains("is no backup of writ"));
    let told = restore(&[&text(&into), "--keys", &keys], 0);
    assert!(told.contains("all of which hold"), "{told}");
    assert!(restore(&[&text(&into), "--keys", &keys], 1).contains("is there already"));
    // It goes on where it was: the freeze that was on is on.
    let files = text(&place.files());
    let mut command = std::process::Command::new(program());
    command.args(["server", "--files", &files, "--listen", "127.0.0.1:0", "--state"]).arg(&state);
    let mut again = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let began = writ_bench::wait_until(crate::journey::SOON, || state.join("server.json").exists());
    let shown = elsewhere(&place, &state, &["maintenance", "show", "--token", token.trim()], 0);
    writ_bench::kill(again.id(), writ_bench::Signal::TERM);
    assert_eq!(again.wait().unwrap().code(), Some(0));
    assert!(began.is_some() && shown.contains("frozen"), "{shown}");

    // One byte of a copy changed, and it is refused.
    let bad = place.path("bad");
    let damaged = place.path("damaged");
    writ(&place, &["server", "backup", &text(&bad), "--keys"], 0);
    let bytes = fs::read(bad.join("journal.db")).unwrap();
    let at = bytes.windows(20).rposition(|part| part == b"policy.maintenance_s").unwrap();
    let mut changed = bytes.clone();
    changed[at] = b'q';
    fs::write(bad.join("journal.db"), changed).unwrap();
    let told = elsewhere(&place, &damaged, &["server", "restore", &text(&bad)], 8);
    assert!(told.contains("does not verify") && told.contains("entry"), "{told}");
}

#[test]
fn a_restored_backup_that_is_behind_its_witness_goes_on_only_when_that_is_accepted_and_says_so() {
    let place = Place::new(program()).unwrap();
    let (into, files) = (place.path("backup"), text(&place.files()));
    let server = serve(&place, &[]);
    writ(&place, &["server", "backup", &text(&into)], 0);
    assert!(writ(&place, &["audit", "verify", "--as", "admin"], 0).contains("a first look"));
    writ(&place, &["maintenance", "begin", "--as", "admin"], 0);
    let refused = writ(&place, &["server", "restore", "--accept-rollback", "--reason", "x"], 1);
    assert!(refused.contains("is held by another process"), "{refused}");
    assert_eq!(server.end(), Some(0));
    let refused = writ(&place, &["server", "restore", "--accept-rollback", "--reason", "x"], 1);
    assert!(refused.contains("it opens as it is"), "{refused}");

    // The database alone is put back; the witness remembers more.
    for end in ["-wal", "-shm"] {
        drop(fs::remove_file(place.state().join(format!("journal.db{end}"))));
    }
    fs::copy(into.join("journal.db"), place.state().join("journal.db")).unwrap();
    let refused = writ(&place, &["server", "--files", &files, "--listen", "127.0.0.1:0"], 1);
    assert!(refused.contains("is rolled back") && refused.contains("--accept-rollback --reason WHY"), "{refused}");
    let told = writ(&place, &["server", "doctor"], 1);
    assert!(told.contains("the journal is rolled back") && told.contains("--accept-rollback"), "{told}");
    assert!(writ(&place, &["server", "restore", "--accept-rollback"], 64).contains("--reason"));
    let told = writ(&place, &["server", "restore", "--accept-rollback", "--reason", "Zebulon lost the disk"], 0);
    assert!(told.contains("goes on from") && told.contains("given up"), "{told}");

    let server = serve(&place, &[]);
    // Who has seen what was given up is told that this is another journal, and looks anew.
    let refused = writ(&place, &["audit", "verify", "--as", "admin"], 8);
    assert!(refused.contains("showed the journal `writ.local/"), "{refused}");
    writ(&place, &["audit", "unpin"], 0);
    let told = writ(&place, &["audit", "verify", "--as", "admin"], 0);
    assert!(told.contains("went on from") && told.contains("given up"), "{told}");
    let entries =
        place.writ(&["audit", "query", "--kind", "audit.continued/1", "--as", "admin", "-o", "json"]).unwrap();
    let entry = &entries.json()[0];
    assert!(entry["body"]["witnessed"]["size"].as_u64() > entry["body"]["found"]["size"].as_u64(), "{entry:#}");
    assert_eq!(entry["seq"], entry["body"]["found"]["size"]);
    assert!(!entry.to_string().contains("Zebulon"), "why stands beside the journal");
    // What follows is signed by the new key, and the export of it holds.
    writ(&place, &["maintenance", "begin", "--as", "admin"], 0);
    let export = text(&place.path("log"));
    writ(&place, &["audit", "export", &export, "--as", "admin"], 0);
    writ(&place, &["audit", "verify", "--file", &export], 0);
    assert_eq!(server.end(), Some(0));
    let server = serve(&place, &[]);
    writ(&place, &["audit", "verify", "--as", "admin"], 0);
    assert_eq!(server.end(), Some(0));
    let told = writ(&place, &["server", "doctor"], 0);
    assert!(told.contains("entries hold"), "{told}");
}

#[test]
fn the_doctor_names_what_is_wrong_and_its_way_out() {
    let place = Place::new(program()).unwrap();
    let told = writ(&place, &["server", "doctor"], 1);
    assert!(told.contains("holds no journal"), "{told}");
    let server = serve(&place, &[]);
    assert!(writ(&place, &["server", "doctor"], 0).contains("a server has it open"));
    assert_eq!(server.end(), Some(0));
    let told = writ(&place, &["server", "doctor"], 0);
    for about in ["program", "state", "disk", "keys", "database", "clock", "witness", "journal"] {
        assert!(told.lines().any(|line| line.starts_with(&format!("{about}\t"))), "{about} in {told}");
    }
    assert!(writ(&place, &["server", "migrate"], 0).contains("which is what this program writes"));
    let files = text(&place.files());
    let starts = |part: &str| {
        let told = writ(&place, &["server", "--files", &files, "--listen", "127.0.0.1:0"], 1);
        assert!(told.contains(part) && told.contains(&typed_at(&place, "server doctor")), "{told}");
    };

    let key = place.state().join("keys/gate");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let told = writ(&place, &["server", "doctor"], 1);
    assert!(told.contains("can be read by others (mode 644)") && told.contains("chmod 600"), "{told}");
    starts("can be read by others");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    // A newer program was here, and then the file is no database any more.
    let database = place.state().join("journal.db");
    let sound = fs::read(&database).unwrap();
    let mut newer = sound.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for (bytes, found, start) in [
        (newer, "a newer writ wrote it", "was written by a newer writ"),
        (b"this is no database at all, and never was one".repeat(100), "not a database", "not a database"),
    ] {
        fs::write(&database, bytes).unwrap();
        let told = writ(&place, &["server", "doctor"], 1);
        assert!(told.contains(found) && told.contains("restore a backup"), "{told}");
        starts(start);
    }
    fs::write(&database, sound).unwrap();
    writ(&place, &["server", "doctor"], 0);
}
