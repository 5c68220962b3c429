//! Starting a process under its effect key, waiting until it really serves, and stopping it.

use super::Fault;
use super::files::{self, SocketDir};
use super::process::end_stragglers;
use super::table::Live;
use crate::launch::{self, Order, Spawn};
use crate::local::LocalConfig;
use hyper::StatusCode;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use writ_core::failpoint;

/// How long a launcher may take until it has become the command.
const LAUNCH_MAX: Duration = Duration::from_secs(5);
/// How many good answers in a row make an instance healthy, and how far apart they are asked for.
const PASSES: u32 = 2;
const PASSES_APART: Duration = Duration::from_millis(10);
/// How long one look may take while an instance starts.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// How much of a dead process's last words stands in an error.
const LAST_WORDS_BYTES: usize = 400;
/// How long a killed process may take to leave the process table.
const KILL_MAX: Duration = Duration::from_secs(5);

/// A process that was started or found running under its effect key.
pub(crate) struct Started {
    pub(crate) live: Arc<Live>,
    pub(crate) address: SocketAddr,
}

/// The process of this order: the one that runs already, or a new one.
pub(crate) async fn start(config: &LocalConfig, dir: &Path, order: Order) -> Result<Started, Fault> {
    files::make_dir(dir)?;
    if let Some(live) = Live::adopt(dir)? {
        return started(dir, live);
    }
    // A launcher of an earlier attempt that has the lock is still on its way: its record decides who it is.
    let deadline = Instant::now() + LAUNCH_MAX;
    let attempt = loop {
        if let Some(_idle) = files::try_lock(&launch::lock_path(dir))? {
            let earlier: Option<Order> = files::read(&launch::order_path(dir))?;
            // From the clock, so that no number comes again when the directory was forgotten in between.
            let now = config.clock.now().micros().unsigned_abs();
            let attempt = now.max(earlier.map_or(0, |earlier| earlier.attempt) + 1);
            files::remove(&launch::spawn_path(dir))?;
            // Under the lock: from here on no earlier launcher starts anything, however late it comes.
            files::write_durable(&launch::order_path(dir), &Order { attempt, ..order.clone() })?;
            break attempt;
        }
        if let Some(live) = Live::adopt(dir)? {
            return started(dir, live);
        }
        if Instant::now() >= deadline {
            end_stragglers(dir);
            return Err(Fault::Failed(format!("something of an earlier attempt still holds `{}`", dir.display())));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    failpoint::pass("launch.ordered", &order.slot);
    let child = Command::new(&config.program)
        .args(&config.faces.launch)
        .arg(dir)
        .arg(attempt.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(launch_errors(dir)?)
        .spawn()
        .map_err(|error| Fault::Failed(format!("cannot start `{}`: {error}", config.program.display())))?;
    failpoint::pass("launch.spawned", &order.slot);
    let started = become_command(dir, attempt, child, deadline).await?;
    failpoint::pass("launch.adopted", &order.slot);
    Ok(started)
}

fn launch_errors(dir: &Path) -> Result<Stdio, Fault> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = launch::log_path(dir);
    let file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    file.map(Stdio::from).map_err(|error| Fault::Failed(format!("cannot open `{}`: {error}", path.display())))
}

fn started(dir: &Path, live: Live) -> Result<Started, Fault> {
    let spawn: Spawn =
        files::read(&launch::spawn_path(dir))?.ok_or_else(|| Fault::Failed("its record is gone".to_owned()))?;
    Ok(Started { live: Arc::new(live), address: spawn.address })
}

/// Waits until the launcher has written down who it is. It is our child and not reaped before that, so nothing else can have
/// its number.
async fn become_command(
    dir: &Path,
    attempt: u64,
    mut child: std::process::Child,
    deadline: Instant,
) -> Result<Started, Fault> {
    loop {
        if files::read::<Spawn>(&launch::spawn_path(dir))?.is_some_and(|spawn| spawn.attempt == attempt) {
            return match Live::adopt(dir)? {
                Some(live) => started(dir, live),
                None => Err(Fault::Failed(format!("it ended at once{}", last_words(dir)))),
            };
        }
        match child.try_wait() {
            Ok(Some(status)) => {
                return Err(Fault::Failed(format!("the launcher ended with {status}{}", last_words(dir))));
            }
            Ok(None) => {}
            Err(error) => return Err(Fault::Failed(format!("the launcher cannot be watched: {error}"))),
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Fault::Failed(format!("the launcher did not start it within {} s", LAUNCH_MAX.as_secs())));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What it said last, for an error.
pub(crate) fn last_words(dir: &Path) -> String {
    match files::tail(&launch::log_path(dir), LAST_WORDS_BYTES) {
        said if said.is_empty() => String::new(),
        said => format!("; it said last: {said}"),
    }
}

/// Waits until its health path answers 200 again and again, or says why it does not.
pub(crate) async fn healthy(started: &Started, dir: &Path, path: &str, span: Duration) -> Result<(), Fault> {
    let looks = async {
        let (mut passes, mut pause, mut last) = (0, Duration::from_millis(5), String::new());
        let deadline = Instant::now() + span;
        while passes < PASSES {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Fault::Failed(format!(
                    "it was not healthy within {} ms: {last}{}",
                    span.as_millis(),
                    last_words(dir)
                )));
            }
            match crate::http::get(started.address, path, left.min(LOOK_MAX)).await {
                Ok(StatusCode::OK) => {
                    passes += 1;
                    tokio::time::sleep(PASSES_APART).await;
                    continue;
                }
                Ok(status) => last = format!("`{path}` answers {}", status.as_u16()),
                Err(because) => last = because,
            }
            passes = 0;
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(Duration::from_millis(100));
        }
        Ok(())
    };
    tokio::select! {
        looked = looks => looked,
        how = started.live.exit.wait() => Err(Fault::Failed(format!("it ended while starting ({how}){}", last_words(dir)))),
    }
}

/// Stops a process: asks, waits, then ends it and whatever it left behind.
pub(crate) async fn stop(live: &Live, dir: &Path, patience: Duration) -> Result<String, Fault> {
    if live.alive() {
        live.process.signal(Signal::TERM);
    }
    let how = match live.exit.within(patience).await {
        Some(how) => how,
        None => {
            live.process.signal(Signal::KILL);
            live.exit.within(KILL_MAX).await.ok_or_else(|| {
                Fault::Unclear(format!("process {} does not end, not even killed", live.process.pid()))
            })?
        }
    };
    end_stragglers(dir);
    Ok(how)
}

/// Makes sure that nothing can be started in this directory any more, and takes it away.
pub(crate) async fn forget(dir: &Path) -> Result<(), Fault> {
    let deadline = Instant::now() + KILL_MAX;
    loop {
        if !dir.exists() {
            return Ok(());
        }
        if let Some(_idle) = files::try_lock(&launch::lock_path(dir))? {
            // The order goes first and under the lock: without it a late launcher starts nothing, even one that makes a new
            // lock while the directory is being taken away. Such a one can keep it from going at once.
            files::remove(&launch::order_path(dir))?;
            match files::remove(dir) {
                Err(error)
                    if error.source.kind() == std::io::ErrorKind::DirectoryNotEmpty && Instant::now() < deadline => {}
                removed => return Ok(removed?),
            }
        }
        if Instant::now() >= deadline {
            return Err(Fault::Unclear(format!("something in `{}` still runs", dir.display())));
        }
        end_stragglers(dir);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The balancer's directory, as its admin socket is reached through it.
pub(crate) fn sockets(dir: &Path) -> Result<SocketDir, Fault> {
    Ok(SocketDir::open(dir)?)
}
