//! The console in a real browser. What people do there stands in `tests/browser/console.mjs`; here it is only started.

use crate::program;
use std::env;
use std::path::Path;
use std::process::Command;
use writ_bench::Place;

/// What is missing to run a browser's tests; none when nothing is.
fn missing(browser_tests: &Path, chromium: &str) -> Option<&'static str> {
    let runs = |program: &str| Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success());
    if !runs("node") {
        Some("node")
    } else if !runs(chromium) {
        Some("chromium")
    } else if !browser_tests.join("node_modules/playwright-core").is_dir() {
        Some("playwright-core: run `npm ci` in 99-cli/tests/browser")
    } else {
        None
    }
}

/// Runs a script in a place of its own, and answers what it printed; none when a real part is missing.
fn browse(script: &str) -> Option<String> {
    let browser_tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let chromium = env::var("WRIT_TEST_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    if let Some(part) = missing(&browser_tests, &chromium) {
        assert!(env::var_os("WRIT_REQUIRE_REAL").is_none(), "{part} is missing");
        println!("skipped: {part} is missing");
        return None;
    }
    let place = Place::new(program()).unwrap();
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
    let ran = Command::new("node")
        .arg(script)
        .current_dir(&browser_tests)
        .env("WRIT", program())
        .env("FILES", place.files())
        .env("STATE", place.state())
        .env("SHOTS", &shots)
        .env("CHROMIUM", which(&chromium))
        .env("DOC", Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/first-ten-minutes.md"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    println!("{told}{}screenshots are in {}", String::from_utf8_lossy(&ran.stderr), shots.display());
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    Some(told)
}

#[test]
fn people_do_in_a_browser_what_the_console_is_for() {
    if let Some(told) = browse("console.mjs") {
        assert!(told.lines().filter(|line| line.starts_with("ok ")).count() >= 19, "{told}");
    }
}

#[test]
fn people_log_in_by_an_issuer_that_is_another_site() {
    if let Some(told) = browse("oidc.mjs") {
        assert_eq!(told.lines().filter(|line| line.starts_with("ok ")).count(), 5, "{told}");
    }
}

#[test]
fn the_first_ten_minutes_go_as_they_are_told() {
    if let Some(told) = browse("ten-minutes.mjs") {
        assert!(told.contains("healed after ") && told.contains("ok the first ten minutes"), "{told}");
    }
}

/// Where a program is: the browser is started by its whole path.
fn which(program: &str) -> String {
    let dirs = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&dirs).map(|dir| dir.join(program)).find(|path| path.is_file());
    found.map_or_else(|| program.to_owned(), |path| path.display().to_string())
}
