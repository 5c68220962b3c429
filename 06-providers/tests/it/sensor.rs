//! What the sensor sees, and how soon.

use crate::world::{World, component, instance, load, pid, request, signal, url};
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use writ_core::{Health, Observation, Provider, Sensor, SensorError, Window};
use writ_providers::{LocalSensor, SensorConfig};

const FAST: SensorConfig = SensorConfig { poll: Duration::from_millis(100), window: Duration::from_millis(500) };

async fn next(sensor: &LocalSensor) -> Result<Observation, SensorError> {
    timeout(Duration::from_secs(10), sensor.next()).await.unwrap()
}

/// The next observation that fits.
async fn wait_for<T>(sensor: &LocalSensor, mut fits: impl FnMut(Result<Observation, SensorError>) -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        assert!(Instant::now() < deadline, "nothing of the kind was seen");
        if let Some(found) = fits(next(sensor).await) {
            return found;
        }
    }
}

pub(crate) async fn exit_of(sensor: &LocalSensor, name: &str) -> String {
    wait_for(sensor, |seen| match seen {
        Ok(Observation::Exited { instance, how, .. }) if instance == name => Some(how),
        _other => None,
    })
    .await
}

async fn window(sensor: &LocalSensor, mut fits: impl FnMut(&Window) -> bool) -> Window {
    wait_for(sensor, |seen| match seen {
        Ok(Observation::Window(window)) if fits(&window) => Some(window),
        _other => None,
    })
    .await
}

#[tokio::test]
async fn the_end_of_a_process_is_seen_in_milliseconds() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    let sensor =
        provider.sensor(component(), SensorConfig { poll: Duration::from_secs(60), window: Duration::from_secs(60) });
    let mut slowest = Duration::ZERO;
    for generation in 1..6 {
        let it = world.instance(&provider, "i-1", generation).await;
        let began = Instant::now();
        signal(pid(&it), Signal::KILL);
        assert_eq!(exit_of(&sensor, "i-1").await, "signal 9");
        slowest = slowest.max(began.elapsed());
    }
    println!("slowest of 5: {slowest:?}");
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn an_end_that_was_ordered_is_no_news_and_one_before_the_controller_came_is() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    let first = world.instance(&provider, "i-1", 1).await;
    world.instance(&provider, "i-2", 1).await;
    let sensor = provider.sensor(component(), FAST);
    provider.perform(&world.order("instance.remove", "i-2", crate::world::removal("i-2"))).await.unwrap();
    world.instance(&provider, "i-1", 2).await;
    let second = world.instance(&provider, "i-1", 3).await;
    assert_ne!(pid(&first), pid(&second));
    let seen = window(&sensor, |window| window.instances.len() == 1).await;
    assert_eq!(seen.instances[0].generation, 3);
    drop((sensor, provider));
    signal(pid(&second), Signal::KILL);
    let provider = world.open().await;
    let sensor = provider.sensor(component(), FAST);
    let how = exit_of(&sensor, "i-1").await;
    assert!(how == "gone" || how == "signal 9", "{how}");
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn windows_add_up_to_what_clients_sent() {
    let world = World::new();
    let provider = world.open().await;
    let lb = world.balancer(&provider).await;
    world.instance(&provider, "i-1", 1).await;
    world.instance(&provider, "i-2", 1).await;
    let sensor = provider.sensor(component(), FAST);
    let first = window(&sensor, |_| true).await;
    assert_eq!(first.requests, 0);
    let target = url(&lb, "/");
    let running = tokio::spawn(async move { load(&target, 200, Duration::from_millis(1_500)).await });
    let (mut requests, mut answers, mut cpu, mut to) = (0, 0, 0, first.to);
    while requests < 300 {
        let window = window(&sensor, |_| true).await;
        assert_eq!(window.from, to, "windows follow each other without a gap");
        to = window.to;
        requests += window.requests;
        answers += window.latency.count();
        cpu = window.instances.iter().map(|it| it.cpu_millicores).sum::<u64>().max(cpu);
        let given = window.instances.iter().map(|it| it.requests).sum::<u64>();
        assert!(given.abs_diff(window.requests) < 20, "{given} {}", window.requests);
        assert!(window.instances.iter().all(|it| it.memory_bytes > 1_000_000 && it.health == Health::Healthy));
    }
    let summary = running.await.unwrap();
    assert_eq!((requests, answers, summary.ok), (300, 300, 300));
    assert!((40..800).contains(&cpu), "200 requests a second at half a millisecond each: {cpu}");
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn a_hang_is_seen_as_a_change_of_health() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    world.health(&provider, 100).await;
    let it = world.instance(&provider, "i-1", 1).await;
    let sensor = provider.sensor(component(), FAST);
    request("POST", &url(&it, "/trigger_hang")).await.unwrap();
    let because = wait_for(&sensor, |seen| match seen {
        Ok(Observation::HealthChanged { health: Health::Failed, because, generation: 1, .. }) => Some(because),
        _other => None,
    })
    .await;
    assert_eq!(because, "2 checks failed, the last one: no answer within 200 ms");
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn a_balancer_that_dies_is_an_end_and_then_an_error_and_never_silence() {
    let world = World::new();
    let provider = world.open().await;
    let lb = world.balancer(&provider).await;
    world.instance(&provider, "i-1", 1).await;
    let sensor = provider.sensor(component(), FAST);
    signal(pid(&lb), Signal::KILL);
    assert_eq!(exit_of(&sensor, "lb").await, "signal 9");
    let because = wait_for(&sensor, |seen| seen.err().map(|error| error.because)).await;
    assert_eq!(because, "the balancer of `web-service-001` is dead; ensure `web-service-001/lb` first");
    wait_for(&sensor, |seen| seen.err()).await;
    world.balancer(&provider).await;
    window(&sensor, |window| window.instances.iter().all(|it| it.health == Health::Healthy)).await;
    provider.shutdown_all().await.unwrap();
}

#[tokio::test]
async fn a_leak_shows_in_the_memory_of_its_instance() {
    let world = World::new();
    let provider = world.open().await;
    world.balancer(&provider).await;
    let mut params = instance("i-1", 1);
    params["memory_bytes"] = (1_u64 << 30).into();
    let it = provider.perform(&world.order("instance.ensure", "i-1", params)).await.unwrap();
    let sensor = provider.sensor(component(), FAST);
    request("POST", &url(&it, "/trigger_memory?mb_per_s=200")).await.unwrap();
    window(&sensor, |window| window.instances[0].memory_bytes > 100 << 20).await;
    request("POST", &url(&it, "/trigger_reset")).await.unwrap();
    window(&sensor, |window| window.instances[0].memory_bytes < 100 << 20).await;
    request("POST", &url(&it, "/trigger_cpu?seconds=5")).await.unwrap();
    window(&sensor, |window| window.instances[0].cpu_millicores > 300).await;
    provider.shutdown_all().await.unwrap();
}
