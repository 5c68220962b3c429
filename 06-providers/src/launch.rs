//! The launcher: a process of its own that becomes the ordered command.
//!
//! It takes the lock of its directory, writes down who it is, and executes the command in its place. The lock's descriptor
//! stays open across the exec, so whoever finds the lock free knows that nothing of it lives; a second launcher for the same
//! order finds it held and goes away. An order carries the number of its attempt, so that a launcher which was delayed past
//! the decision to try again does nothing either.

use crate::local::files::{self, StateError};
use crate::local::process::{Identity, LAUNCH_DIR};
use rustix::io::FdFlags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// The exit code of a launcher that found the lock held.
pub const HELD: u8 = 75;
/// The exit code of a launcher whose attempt is no longer wanted.
pub const STALE: u8 = 76;

/// How often a lock that is held is asked for again, and how far apart.
const LOCK_TRIES: u32 = 60;
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// The exit code of a launcher that could not do its work.
pub const BROKEN: u8 = 77;

/// What is to be started, as `order.json` holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The number of the attempt that may start; zero when none may any more.
    pub(crate) attempt: u64,
    pub(crate) args: Vec<String>,
    pub(crate) component: String,
    pub(crate) effect_key: String,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) generation: u64,
    /// The address to serve on.
    pub(crate) host: IpAddr,
    /// The port to serve on; zero lets the launcher choose a free one.
    pub(crate) port: u16,
    pub(crate) program: PathBuf,
    pub(crate) slot: String,
    /// Where each start is told, one line each.
    pub(crate) starts_log: PathBuf,
}

/// What was started, as `spawn.json` holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spawn {
    pub(crate) address: SocketAddr,
    pub(crate) attempt: u64,
    pub(crate) identity: Identity,
}

pub(crate) fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

pub(crate) fn order_path(dir: &Path) -> PathBuf {
    dir.join("order.json")
}

pub(crate) fn spawn_path(dir: &Path) -> PathBuf {
    dir.join("spawn.json")
}

pub(crate) fn log_path(dir: &Path) -> PathBuf {
    dir.join("out.log")
}

/// What a launcher inherits; everything else a command sees is in its order, so that no secret of the controller leaks.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error("usage: launch DIR ATTEMPT")]
    Usage,
    #[error("another launcher holds `{}`", .0.display())]
    Held(PathBuf),
    #[error("attempt {mine} is no longer wanted")]
    Stale { mine: u64 },
    #[error("`{}` holds no order", .0.display())]
    NoOrder(PathBuf),
    #[error("this process cannot be identified")]
    Nameless,
    #[error("state")]
    State(#[from] StateError),
    #[error("cannot {doing}")]
    System {
        doing: &'static str,
        #[source]
        source: std::io::Error,
    },
}

/// `launch DIR ATTEMPT`: becomes the command that `DIR/order.json` describes. Returns only when it does not.
#[must_use]
pub fn main(args: Vec<String>) -> ExitCode {
    let Err(error) = launch(&args);
    let code = match &error {
        LaunchError::Held(_) => HELD,
        LaunchError::Stale { .. } => STALE,
        LaunchError::Usage
        | LaunchError::NoOrder(_)
        | LaunchError::Nameless
        | LaunchError::State(_)
        | LaunchError::System { .. } => BROKEN,
    };
    eprintln!("error: {}", crate::http::chain(&error));
    ExitCode::from(code)
}

fn launch(args: &[String]) -> Result<std::convert::Infallible, LaunchError> {
    let [dir, attempt] = args else { return Err(LaunchError::Usage) };
    let (dir, attempt) = (PathBuf::from(dir), attempt.parse::<u64>().map_err(|_| LaunchError::Usage)?);
    let lock = take_lock(&dir)?.ok_or_else(|| LaunchError::Held(dir.clone()))?;
    let order: Order = files::read(&order_path(&dir))?.ok_or_else(|| LaunchError::NoOrder(dir.clone()))?;
    if order.attempt != attempt {
        return Err(LaunchError::Stale { mine: attempt });
    }
    let system = |doing| move |source| LaunchError::System { doing, source };
    rustix::process::setsid().map_err(|error| system("detach")(error.into()))?;
    let address = choose(order.host, order.port).map_err(system("find a free port"))?;
    let identity = Identity::own().ok_or(LaunchError::Nameless)?;
    let pid = identity.pid;
    if !files::write_once(&spawn_path(&dir), &Spawn { address, attempt, identity })? {
        return Err(LaunchError::Stale { mine: attempt }); // The order was carried out before and nobody cleared it.
    }
    files::append_line(
        &order.starts_log,
        &serde_json::json!({
            "attempt": attempt, "component": order.component, "effect_key": order.effect_key,
            "generation": order.generation, "pid": pid, "slot": order.slot,
        }),
    )?;
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(log_path(&dir))
        .map_err(system("open the log"))?;
    let also = log.try_clone().map_err(system("open the log"))?;
    rustix::io::fcntl_setfd(&lock, FdFlags::empty()).map_err(|error| system("keep the lock")(error.into()))?;
    let place = |text: &String| {
        text.replace("{port}", &address.port().to_string()).replace("{host}", &address.ip().to_string())
    };
    let inherited = std::env::vars().filter(|(name, _)| INHERITED.contains(&name.as_str()));
    let error = Command::new(&order.program)
        .args(order.args.iter().map(place))
        .env_clear()
        .envs(inherited)
        .envs(&order.env)
        .env("HOST", address.ip().to_string())
        .env("PORT", address.port().to_string())
        .env("WRIT_EFFECT_KEY", &order.effect_key)
        .env(LAUNCH_DIR, &dir)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(also)
        .exec();
    Err(LaunchError::System { doing: "execute the command", source: error })
}

/// The ordered address, or one that is free now. Loopback addresses other than 127.0.0.1 have few other users, so it
/// stays free for the moment it takes the command to bind it; when it does not, the command fails and is ordered anew.
fn choose(host: IpAddr, port: u16) -> std::io::Result<SocketAddr> {
    if port != 0 {
        return Ok(SocketAddr::new(host, port));
    }
    TcpListener::bind(SocketAddr::new(host, 0))?.local_addr()
}

/// Takes the order's lock. The controller looks whether the lock is free by taking it for a moment, and a process that is
/// forked in that moment keeps it until it becomes another program: so a lock that is held is asked for again before it counts
/// as another launcher's.
fn take_lock(dir: &Path) -> Result<Option<File>, StateError> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = files::try_lock(&lock_path(dir))? {
            return Ok(Some(lock));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(None)
}
