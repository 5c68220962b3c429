//! Orders carried out, refused, repeated and cut off.

use crate::world::{
    COMPONENT, World, balancer, component, health, instance, load, pid, program, removal, request, signal, until, url,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use writ_core::{EffectKey, Health, Probe, Provider, ProviderError};
use writ_providers::conformance;

fn because<T: std::fmt::Debug>(outcome: Result<T, ProviderError>) -> (&'static str, String) {
    match outcome.unwrap_err() {
        ProviderError::Refused { because, .. } => ("refused", because),
        ProviderError::Failed { because, .. } => ("failed", because),
        ProviderError::Unclear { because, .. } => ("unclear", because),
    }
}

/// Children of this test that ended and were not buried.
fn zombies(pids: &BTreeSet<i64>) -> Vec<i64> {
    let dead =
        |pid: &&i64| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    pids.iter().filter(dead).copied().collect()
}

#[tokio::test]
async fn the_local_provider_conforms() {
    let world = World::new();
    let broken = conformance::check(&world).await;
    assert!(broken.is_empty(), "{broken:#?}");
}

#[tokio::test]
async fn a_killed_instance_is_replaced_and_serves_while_no_request_fails() {
    let world = World::new();
    let provider = world.open().await;
    let lb = world.balancer(&provider).await;
    let first = world.instance(&provider, "i-1", 1).await;
    world.instance(&provider, "i-2", 1).await;
    let target = url(&lb, "/");
    let running = tokio::spawn(async move { load(&target, 200, Duration::from_secs(3)).await });
    let mut killed = pid(&first);
    for generation in 2..5 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        let began = tokio::time::Instant::now();
        signal(killed, Signal::KILL);
        until("the end is seen", async || health(&provider, "i-1").await == Some(Health::Failed)).await;
        let next = world.instance(&provider, "i-1", generation).await;
        until("it serves again", async || health(&provider, "i-1").await == Some(Health::Healthy)).await;
        println!("killed and back in the balancer after {:?}", began.elapsed());
        assert_ne!(killed, pid(&next));
        killed = pid(&next);
    }
    let summary = running.await.unwrap();
    assert_eq!(summary.failures(), 0, "{:?}", summary.failed);
    assert!(summary.ok >= 590, "{}", summary.ok);
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn a_new_controller_takes_up_what_runs_and_starts_nothing_twice() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    let order = world.order("instance.ensure", "i-1", instance("i-1", 1));
    let first = provider.perform(&order).await.unwrap();
    let before = provider.list();
    drop(provider);
    let provider = world.open().await;
    assert_eq!(provider.list(), before);
    let again = world.issuer.again(&order).unwrap();
    let second = provider.perform(&again).await.unwrap();
    assert!(second.repeated);
    assert_eq!(second.detail, first.detail);
    let other = world.instance(&provider, "i-1", 1).await;
    assert_eq!((pid(&other), other.detail["unchanged"].clone()), (pid(&first), Value::from(true)));
    assert_eq!(world.lines("starts.log").len(), 2, "the balancer and one instance");
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn a_controller_killed_at_any_moment_loses_and_doubles_nothing() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    drop(provider);
    let state = world.dir.path().join("state");
    for round in 0..14_u64 {
        let (slot, key) = (format!("i-{}", round % 2 + 1), format!("ek_killed_{round}"));
        let params = instance(&slot, round / 2 + 1);
        let resource = format!("{COMPONENT}/{slot}");
        let mut controller = tokio::process::Command::new(program())
            .arg("control")
            .args([state.as_os_str(), resource.as_ref(), key.as_ref(), params.to_string().as_ref()])
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(round * 4)).await;
        controller.kill().await.unwrap();
        let provider = world.open().await;
        let probed = provider.probe(&EffectKey(key.clone()), "instance.ensure", &resource).await;
        assert!(
            !matches!(&probed, Probe::Unclear { because } if !because.contains("carry it out again")),
            "{probed:?}"
        );
        println!("killed after {} ms: {probed:?}", round * 4);
        let order = world.issuer.order("instance.ensure", &resource, params, &key, 1).unwrap();
        let receipt = provider.perform(&order).await.unwrap();
        assert_eq!(receipt.repeated, matches!(probed, Probe::Happened(_)), "round {round}: {probed:?}");
        let deeds = world.lines("effects.log").iter().filter(|line| line["key"] == key.as_str()).count();
        assert_eq!(deeds, 1, "round {round}");
        let alive = alive_in(&world, &slot);
        assert_eq!(alive.len(), 1, "round {round}: {alive:?}");
        assert_eq!(health(&provider, &slot).await, Some(Health::Healthy), "round {round}");
    }
    world.open().await.shutdown_all().await.unwrap();
}

/// Processes of a slot that live now, found without the provider's help.
fn alive_in(world: &World, slot: &str) -> Vec<i64> {
    let starts = world.lines("starts.log");
    let of_slot = starts.iter().filter(|line| line["slot"] == slot);
    let lives = |line: &&Value| {
        let wanted = format!("WRIT_EFFECT_KEY={}", line["effect_key"].as_str().unwrap());
        let environment = std::fs::read(format!("/proc/{}/environ", line["pid"])).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|it| it == wanted.as_bytes())
    };
    of_slot.filter(lives).map(|line| line["pid"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_higher_generation_takes_over_and_a_lower_one_changes_nothing() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    let first = world.instance(&provider, "i-1", 2).await;
    let second = world.instance(&provider, "i-1", 5).await;
    assert!(alive_in(&world, "i-1") == [pid(&second)], "the old process is gone");
    assert_ne!(pid(&first), pid(&second));
    let lower = world.instance(&provider, "i-1", 3).await;
    assert_eq!(pid(&lower), pid(&second));
    let mut other = instance("i-1", 5);
    other["memory_bytes"] = Value::from(1 << 28 << 1);
    let (sort, text) = because(provider.perform(&world.order("instance.ensure", "i-1", other)).await);
    assert_eq!(
        (sort, text.as_str()),
        ("refused", "generation 5 runs with other parameters; ask for a higher generation to replace it")
    );
    signal(pid(&second), Signal::KILL);
    until("it is known to be dead", async || health(&provider, "i-1").await == Some(Health::Failed)).await;
    let (sort, text) = because(provider.perform(&world.order("instance.ensure", "i-1", instance("i-1", 4))).await);
    assert_eq!(
        (sort, text.as_str()),
        ("refused", "generation 5 was started here and has ended; ask for that one or a later one")
    );
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn what_cannot_become_healthy_fails_with_its_last_words_and_leaves_nothing() {
    let world = World::new();
    let provider = world.open().await;
    let (sort, text) = because(provider.perform(&world.order("instance.ensure", "i-1", instance("i-1", 1))).await);
    assert_eq!(
        (sort, text.as_str()),
        ("failed", "`web-service-001` has no balancer; ensure `web-service-001/lb` first")
    );
    world.balancer(&provider).await;
    let with = |command: Value| {
        let mut params = instance("i-1", 1);
        params["command"] = command;
        params["start_timeout_ms"] = Value::from(400);
        world.order("instance.ensure", "i-1", params)
    };
    for (command, wanted) in [
        (
            json!(["/bin/sh", "-c", "echo no licence >&2; exit 3"]),
            "it ended while starting (exit 3); it said last: no licence",
        ),
        (json!(["/bin/sleep", "60"]), "it was not healthy within 400 ms: connect: Connection refused (os error 111)"),
        (json!(["/no/such/program"]), "error: cannot execute the command: No such file or directory (os error 2)"),
    ] {
        let (sort, text) = because(provider.perform(&with(command)).await);
        assert_eq!(sort, "failed");
        assert!(text.contains(wanted) || text.contains("ended at once"), "{text}");
    }
    let order = with(json!(["/bin/sleep", "60"]));
    assert!(provider.perform(&order).await.is_err());
    assert_eq!(provider.probe(&order.key, &order.verb, &order.resource).await, Probe::Absent);
    assert_eq!(alive_in(&world, "i-1"), [] as [i64; 0]);
    let state = world.dir.path().join("state/instances");
    assert_eq!(std::fs::read_dir(state).unwrap().count(), 1, "the balancer's directory alone");
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_fails_and_can_be_had_later() {
    let world = World::new();
    let provider = world.open().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut params = balancer();
    params["port"] = Value::from(taken.local_addr().unwrap().port());
    let order = world.order("balancer.ensure", "lb", params);
    let (sort, text) = because(provider.perform(&order).await);
    assert_eq!(sort, "failed");
    assert!(text.contains(&format!("cannot listen on {}", taken.local_addr().unwrap())), "{text}");
    drop(taken);
    let again = world.issuer.again(&order).unwrap();
    assert!(!provider.perform(&again).await.unwrap().repeated);
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_used_is_named() {
    let world = World::new();
    let mut config = world.config();
    let file = world.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    config.state_dir = file.join("state");
    let error = writ_providers::LocalProvider::open(config.clone()).await.err().unwrap();
    let below = std::error::Error::source(&error).unwrap();
    assert_eq!(error.to_string(), "the state directory cannot be used");
    assert_eq!(below.to_string(), format!("cannot make `{}`", file.join("state").display()));
    config.state_dir = world.dir.path().join("other");
    config.program = file.join("none");
    let error = writ_providers::LocalProvider::open(config).await.err().unwrap();
    assert!(error.to_string().ends_with("is not a program that can be started"), "{error}");
}

#[tokio::test]
async fn two_controllers_cannot_work_in_one_directory() {
    let world = World::new();
    let _first = world.open().await;
    let error = world.try_open().await.err().unwrap();
    assert!(error.to_string().starts_with("another controller works in"), "{error}");
}

#[tokio::test]
async fn children_left_behind_by_a_command_end_with_it_and_nobody_stays_a_zombie() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    let mut params = instance("i-1", 1);
    let script = format!("sleep 300 & exec {} sample", program().display());
    params["command"] = json!(["/bin/sh", "-c", script]);
    provider.perform(&world.order("instance.ensure", "i-1", params)).await.unwrap();
    let started: BTreeSet<i64> = world.lines("starts.log").iter().map(|line| line["pid"].as_i64().unwrap()).collect();
    let key = world.lines("starts.log").pop().unwrap()["effect_key"].as_str().unwrap().to_owned();
    let launched = world.dir.path().join("state/instances").join(key);
    let carriers = || {
        let wanted = format!("WRIT_LAUNCH_DIR={}", launched.display());
        let of = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let all = std::fs::read_dir("/proc").unwrap().flatten().map(of);
        all.filter(|it| it.split(|byte| *byte == 0).any(|it| it == wanted.as_bytes())).count()
    };
    assert_eq!(carriers(), 2);
    provider.perform(&world.order("instance.remove", "i-1", removal("i-1"))).await.unwrap();
    until("both are gone", async || carriers() == 0).await;
    provider.shutdown_all().await.unwrap();
    until("all are buried", async || zombies(&started).is_empty()).await;
    assert!(provider.list().is_empty());
}

#[tokio::test]
async fn settings_are_kept_shown_and_removed() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    world.health(&provider, 300).await;
    let scaling = json!({ "component": COMPONENT, "max": 10, "min": 3, "target_cpu_percent": 70 });
    let healing = json!({ "component": COMPONENT, "max_attempts": 3, "strategy": "restart", "timeout_ms": 60_000 });
    provider.perform(&world.order("scaling.configure", "scaling", scaling)).await.unwrap();
    provider.perform(&world.order("healing.configure", "healing", healing)).await.unwrap();
    drop(provider);
    let provider = world.open().await;
    let seen = provider.observe(&component()).await.unwrap().resources;
    assert_eq!(seen[&format!("{COMPONENT}/scaling")], json!({ "max": 10, "min": 3, "target_cpu_percent": 70 }));
    assert_eq!(seen[&format!("{COMPONENT}/health")]["interval_ms"], 300);
    let names: Vec<&str> = seen.keys().filter_map(|name| name.split_once('/')).map(|(_, name)| name).collect();
    assert_eq!(names, ["healing", "health", "lb", "scaling"]);
    for name in ["healing", "health", "scaling"] {
        let order = world.order(&format!("{name}.remove"), name, json!({ "component": COMPONENT }));
        provider.perform(&order).await.unwrap();
    }
    let seen = provider.observe(&component()).await.unwrap().resources;
    assert_eq!(seen.keys().collect::<Vec<_>>(), [&format!("{COMPONENT}/lb")]);
    let zero = json!({
        "component": COMPONENT, "healthy_threshold": 0, "interval_ms": 1, "timeout_ms": 1, "unhealthy_threshold": 1,
    });
    let (sort, text) = because(provider.perform(&world.order("health.configure", "health", zero)).await);
    assert_eq!((sort, text.as_str()), ("refused", "intervals, timeouts and thresholds must be at least 1"));
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn what_is_removed_finishes_what_it_has() {
    let world = World::new();
    let provider = world.open().await;
    let lb = world.balancer(&provider).await;
    let it = world.instance(&provider, "i-1", 1).await;
    request("POST", &url(&it, "/trigger_db_latency?ms=700")).await.unwrap();
    let slow = url(&lb, "/");
    let asked = tokio::spawn(async move { request("GET", &slow).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    provider.perform(&world.order("instance.remove", "i-1", removal("i-1"))).await.unwrap();
    let (status, answer) = asked.await.unwrap().unwrap();
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = request("GET", &url(&lb, "/")).await.unwrap();
    assert_eq!(status, 503);
    assert!(answer.ends_with("no instance can serve this request\n"), "{answer}");
    provider.shutdown_all().await.unwrap();
}
