//! Launcher, sample service and load generator as processes of their own.

use crate::world::{World, instance, pid, program, request, until, url};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use writ_core::{Provider, ProviderError};

fn write_order(dir: &Path, attempt: u64) {
    let order = json!({
        "args": ["30"], "attempt": attempt, "component": "c", "effect_key": "ek_race", "env": {}, "generation": 1,
        "host": "127.0.1.1", "port": 0, "program": "/bin/sleep", "slot": "i-1", "starts_log": dir.join("starts.log"),
    });
    std::fs::write(dir.join("order.json"), order.to_string()).unwrap();
}

fn launcher(dir: &Path, attempt: &str) -> tokio::process::Child {
    Command::new(program())
        .arg("launch")
        .arg(dir)
        .arg(attempt)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn of_many_launchers_of_one_order_one_starts_it() {
    let dir = tempfile::tempdir().unwrap();
    write_order(dir.path(), 1);
    let mut launchers: Vec<_> = (0..8).map(|_| launcher(dir.path(), "1")).collect();
    let mut codes = Vec::new();
    until("all but one have gone", async || {
        codes = launchers.iter_mut().filter_map(|it| it.try_wait().unwrap()).map(|status| status.code()).collect();
        codes.len() == 7
    })
    .await;
    assert_eq!(codes, [Some(i32::from(writ_providers::launch::HELD)); 7]);
    let starts = std::fs::read_to_string(dir.path().join("starts.log")).unwrap();
    assert_eq!(starts.lines().count(), 1);
    let late = launcher(dir.path(), "1").wait().await.unwrap();
    assert_eq!(late.code(), Some(i32::from(writ_providers::launch::HELD)));
}

#[tokio::test]
async fn a_launcher_that_comes_too_late_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write_order(dir.path(), 2);
    let late = launcher(dir.path(), "1").wait().await.unwrap();
    assert_eq!(late.code(), Some(i32::from(writ_providers::launch::STALE)));
    assert!(!dir.path().join("starts.log").exists());
}

#[tokio::test]
async fn a_launcher_leaves_its_session_and_gives_no_secret_on() {
    let dir = tempfile::tempdir().unwrap();
    write_order(dir.path(), 1);
    let child = Command::new(program())
        .arg("launch")
        .arg(dir.path())
        .arg("1")
        .env("DATABASE_PASSWORD", "hunter2")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = child.id().unwrap();
    until("it is the command", async || {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|it| it == "sleep\n")
    })
    .await;
    let environment = String::from_utf8(std::fs::read(format!("/proc/{pid}/environ")).unwrap()).unwrap();
    assert!(!environment.contains("hunter2"));
    assert!(environment.contains("WRIT_EFFECT_KEY=ek_race"));
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned();
    assert_eq!(session, pid.to_string());
}

#[tokio::test]
async fn the_sample_tells_the_truth_about_itself() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    let it = world.instance(&provider, "i-1", 1).await;
    let get = async |path: &str| request("GET", &url(&it, path)).await.map(|(status, _)| status);
    assert_eq!(
        (get("/").await.unwrap(), get("/healthz").await.unwrap(), get("/nothing").await.unwrap()),
        (200, 200, 404)
    );
    get("/trigger_errors").await.unwrap();
    assert_eq!((get("/").await.unwrap(), get("/healthz").await.unwrap()), (500, 503));
    get("/trigger_reset").await.unwrap();
    assert_eq!((get("/").await.unwrap(), get("/healthz").await.unwrap()), (200, 200));
    get("/trigger_memory?mb_per_s=512").await.unwrap();
    until("it admits that it uses too much", async || get("/healthz").await.unwrap() == 503).await;
    get("/trigger_reset").await.unwrap();
    until("it has given it back", async || get("/healthz").await.unwrap() == 200).await;
    get("/trigger_slow?ms=80").await.unwrap();
    let began = tokio::time::Instant::now();
    get("/").await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(80));
    get("/trigger_crash").await.unwrap();
    until("it is dead", async || get("/healthz").await.is_err()).await;
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn a_permanent_fault_stands_until_the_slot_is_removed() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    let it = world.instance(&provider, "i-1", 1).await;
    request("GET", &url(&it, "/trigger_permanent")).await.unwrap();
    until("it is dead", async || request("GET", &url(&it, "/")).await.is_err()).await;
    let failed = provider.perform(&world.order("instance.ensure", "i-1", instance("i-1", 2))).await;
    assert!(
        matches!(&failed, Err(ProviderError::Failed { because, .. }) if because.contains("permanent fault")),
        "{failed:?}"
    );
    provider.perform(&world.order("instance.remove", "i-1", crate::world::removal("i-1"))).await.unwrap();
    world.instance(&provider, "i-1", 3).await;
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn the_sample_ends_well_when_it_is_told_to() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    let it = world.instance(&provider, "i-1", 1).await;
    let sensor = provider.sensor(crate::world::component(), writ_providers::SensorConfig::default());
    crate::world::signal(pid(&it), Signal::TERM);
    let how = crate::sensor::exit_of(&sensor, "i-1").await;
    assert_eq!(how, "exit 0");
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn the_load_generator_prints_one_line_and_ends_with_its_input() {
    let world = World::new();
    let provider = world.open().await;
    let lb = world.balancer(&provider).await;
    world.instance(&provider, "i-1", 1).await;
    let load = |words: &[&str]| {
        let mut command = Command::new(program());
        command
            .args(["load", "--target", &url(&lb, "/"), "--rate", "50"])
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    };
    let done = load(&["--seconds", "1"]).stdin(Stdio::null()).output().await.unwrap();
    let summary: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((summary["ok"].clone(), summary["failed"].clone(), done.status.code()), (json!(50), json!(0), Some(0)));
    assert!(summary["latency_micros"]["p50"].as_u64().unwrap() >= 500);
    let mut running = load(&["--until-stdin-closes"]).stdin(Stdio::piped()).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(running.stdin.take());
    let done = running.wait_with_output().await.unwrap();
    let summary: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(summary["ok"].as_u64().unwrap() >= 5, "{summary}");
    provider.shutdown_all().await.unwrap();
}
