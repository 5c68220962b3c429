//! Orders carried out, refused, repeated and cut off.

use crate::world::{
    COMPONENT, World, balancer, component, health, instance, load, pid, removal, request, signal, until, url,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;
use writ_core::{Health, Probe, Provider, ProviderError};
use writ_providers::conformance;

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
    tokio::time::sleep(Duration::from_millis(800)).await;
    signal(pid(&first), Signal::KILL);
    until("the end is seen", async || health(&provider, "i-1").await == Some(Health::Failed)).await;
    let second = world.instance(&provider, "i-1", 2).await;
    assert_ne!(pid(&first), pid(&second));
    until("it serves again", async || health(&provider, "i-1").await == Some(Health::Healthy)).await;
    let summary = running.await.unwrap();
    assert_eq!(summary.failures(), 0, "{:?}", summary.failed);
    assert!(summary.ok >= 590, "{}", summary.ok);
    provider.shutdown_all().await.unwrap();
}
