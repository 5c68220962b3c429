//! The balancer with instances that hang, fail and break, and after its own death.

use crate::world::{World, balancer, health, load, pid, program, request, signal, until, url};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use writ_core::{Health, Provider};

#[tokio::test]
async fn a_hang_is_noticed_by_its_checks_and_costs_no_request() {
    let world = World::new();
    let provider = world.open().await;
    let lb = world.balancer(&provider).await;
    world.health(&provider, 100).await;
    let hung = world.instance(&provider, "i-1", 1).await;
    world.instance(&provider, "i-2", 1).await;
    request("POST", &url(&hung, "/trigger_hang")).await.unwrap();
    let summary = load(&url(&lb, "/"), 100, Duration::from_millis(1_500)).await;
    assert_eq!(summary.failures(), 0, "{:?}", summary.failed);
    assert_eq!(health(&provider, "i-1").await, Some(Health::Failed));
    assert_eq!(health(&provider, "i-2").await, Some(Health::Healthy));
    world.instance(&provider, "i-1", 2).await;
    until("it serves", async || health(&provider, "i-1").await == Some(Health::Healthy)).await;
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn errors_in_a_row_take_an_instance_out_before_its_checks_do() {
    let world = World::new();
    let provider = world.open().await;
    let lb = world.balancer(&provider).await;
    world.health(&provider, 30_000).await;
    let bad = world.instance(&provider, "i-1", 1).await;
    world.instance(&provider, "i-2", 1).await;
    request("POST", &url(&bad, "/trigger_errors")).await.unwrap();
    let summary = load(&url(&lb, "/"), 100, Duration::from_secs(1)).await;
    assert!((1..=12).contains(&summary.failures()), "{:?}", summary.failed);
    assert_ne!(health(&provider, "i-1").await, Some(Health::Healthy));
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn a_balancer_that_was_killed_comes_back_where_it_was_with_what_it_had() {
    let world = World::new();
    let provider = world.open().await;
    let lb = world.balancer(&provider).await;
    let it = world.instance(&provider, "i-1", 1).await;
    signal(pid(&lb), Signal::KILL);
    until("its death is seen", async || health(&provider, "lb").await == Some(Health::Failed)).await;
    assert_eq!(request("GET", &url(&it, "/")).await.unwrap().0, 200, "instances go on without it");
    let again = world.balancer(&provider).await;
    assert_eq!(again.detail["address"], lb.detail["address"]);
    assert_eq!(again.detail["generation"], 2);
    assert_eq!(request("GET", &url(&again, "/")).await.unwrap().0, 200);
    let mut other = balancer();
    other["policy"] = Value::from("least_connections");
    let changed = provider.perform(&world.order("balancer.ensure", "lb", other)).await.unwrap();
    assert_eq!(pid(&changed), pid(&again), "a change of policy restarts nothing");
    let summary = load(&url(&lb, "/"), 100, Duration::from_millis(300)).await;
    assert_eq!(summary.failures(), 0, "{:?}", summary.failed);
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn a_balancer_that_hangs_is_replaced_by_the_next_order() {
    let world = World::new();
    let provider = world.open().await;
    let lb = world.balancer(&provider).await;
    world.instance(&provider, "i-1", 1).await;
    signal(pid(&lb), Signal::STOP);
    let observed = provider.observe(&crate::world::component()).await;
    assert!(observed.is_err(), "what cannot be seen is not told: {observed:?}");
    let again = world.balancer(&provider).await;
    assert_ne!(pid(&again), pid(&lb));
    assert_eq!(again.detail["address"], lb.detail["address"]);
    until("it serves", async || matches!(request("GET", &url(&again, "/")).await, Ok((200, _)))).await;
    provider.shutdown_all().await.unwrap();
}

/// A server that answers health checks and closes every other connection once it has read a request.
async fn breaker() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = counted.clone();
            tokio::spawn(async move {
                let mut bytes = [0; 2048];
                let read = stream.read(&mut bytes).await.unwrap_or(0);
                if bytes[..read].starts_with(b"GET /healthz") {
                    let _ =
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                } else {
                    counted.fetch_add(1, Relaxed);
                }
            });
        }
    });
    (address, count)
}

struct Alone {
    #[expect(dead_code, reason = "killed when it goes")]
    child: tokio::process::Child,
    address: String,
    dir: tempfile::TempDir,
}

/// A balancer of its own over these addresses.
async fn alone(backends: &[SocketAddr]) -> Alone {
    let dir = tempfile::tempdir().unwrap();
    let named = backends
        .iter()
        .enumerate()
        .map(|(at, address)| (format!("i-{at}"), json!({ "address": address, "generation": 1, "zone": "a" })));
    let setup = json!({
        "backends": Value::Object(named.collect()), "bound": null, "component": "alone", "host": "127.0.0.1",
        "check": { "healthy_threshold": 2, "interval_ms": 50, "path": "/healthz", "timeout_ms": 200, "unhealthy_threshold": 3 },
        "policy": "p2c", "port": 0, "scheme": "internal",
    });
    std::fs::write(dir.path().join("setup.json"), setup.to_string()).unwrap();
    let child =
        tokio::process::Command::new(program()).arg("balance").arg(dir.path()).kill_on_drop(true).spawn().unwrap();
    let path = dir.path().join("setup.json");
    let port = || serde_json::from_slice::<Value>(&std::fs::read(&path).ok()?).ok()?["bound"].as_u64();
    until("it listens", async || port().is_some() && path.with_file_name("admin.sock").exists()).await;
    let address = format!("http://127.0.0.1:{}/", port().unwrap());
    until("it is ready", async || matches!(request("GET", &format!("{address}healthz")).await, Ok((200, _)))).await;
    Alone { child, address, dir }
}

#[tokio::test]
async fn what_may_have_been_done_is_not_sent_twice() {
    let ((one, first), (other, second)) = (breaker().await, breaker().await);
    let alone = alone(&[one, other]).await;
    let (status, answer) = request("POST", &alone.address).await.unwrap();
    assert_eq!(status, 502, "{answer}");
    assert_eq!(first.load(Relaxed) + second.load(Relaxed), 1, "a request that changes something was sent again");
    let (status, _) = request("GET", &alone.address).await.unwrap();
    assert_eq!(status, 502);
    assert_eq!(first.load(Relaxed) + second.load(Relaxed), 5, "one that does not is tried on four instances");
}

#[tokio::test]
async fn a_second_balancer_in_one_directory_goes_away() {
    let (address, _) = breaker().await;
    let alone = alone(&[address]).await;
    let second = tokio::process::Command::new(program()).arg("balance").arg(alone.dir.path()).output().await.unwrap();
    assert_eq!(second.status.code(), Some(70));
    assert_eq!(String::from_utf8_lossy(&second.stderr), "error: another balancer serves this directory\n");
}
