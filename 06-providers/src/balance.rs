//! The load balancer: a process of its own, which goes on when the controller does not.
//!
//! Clients come in on one loopback port; the controller speaks to it over a socket file in its directory. Its
//! configuration is on disk before it is answered for, so a balancer that is started again is the one that was there before.

mod admin;
mod backend;
mod check;
mod pool;
mod proxy;
mod setup;

pub(crate) use admin::Config;
pub(crate) use backend::Reading;
pub(crate) use pool::{Metrics, State};
pub(crate) use setup::{BackendSetup, Check, Policy, Setup};

use crate::http::{Listener, serve, told_to_stop};
use crate::local::files::{self, SocketDir};
use hyper::service::service_fn;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket, UnixListener};

/// The admin socket's name in the balancer's directory.
pub(crate) const SOCKET: &str = "admin.sock";

/// Where a balancer keeps its configuration.
pub(crate) fn setup_path(dir: &Path) -> PathBuf {
    dir.join("setup.json")
}

/// `balance DIR`: serves as `DIR/setup.json` says until it is told to stop.
#[must_use]
pub fn main(args: Vec<String>) -> ExitCode {
    let [dir] = args.as_slice() else {
        eprintln!("usage: balance DIR");
        return ExitCode::from(64);
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::from(70);
        }
    };
    match runtime.block_on(run(Path::new(dir))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(because) => {
            eprintln!("error: {because}");
            ExitCode::from(70)
        }
    }
}

async fn run(dir: &Path) -> Result<(), String> {
    let said = |error: files::StateError| crate::http::chain(&error);
    let _alone = files::try_lock(&dir.join("lock")).map_err(said)?.ok_or("another balancer serves this directory")?;
    let mut setup: Setup = files::read(&setup_path(dir)).map_err(said)?.ok_or("there is no setup")?;
    let listener = listen(&setup)?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    if setup.bound != Some(bound.port()) {
        setup.bound = Some(bound.port());
        files::write_durable(&setup_path(dir), &setup).map_err(said)?;
    }
    let sockets = SocketDir::open(dir).map_err(said)?;
    let socket = sockets.socket(SOCKET);
    // Left over from a balancer that was killed; the lock says that it is nobody's now.
    files::remove(&dir.join(SOCKET)).map_err(said)?;
    let admin_listener =
        UnixListener::bind(&socket).map_err(|error| format!("cannot bind the admin socket: {error}"))?;

    let pool = pool::Pool::open(dir.to_owned(), setup);
    let for_admin = pool.clone();
    let admin = service_fn(move |request| {
        let pool = for_admin.clone();
        async move { Ok(admin::answer(pool, request).await) }
    });
    let admin_task = tokio::spawn(async move {
        serve(Listener::Unix(admin_listener), admin, std::future::pending()).await;
    });
    let clients = service_fn(move |request| {
        let pool: Arc<pool::Pool> = pool.clone();
        async move { Ok(proxy::forward(&pool, request).await) }
    });
    serve(Listener::Tcp(listener), clients, told_to_stop()).await;
    admin_task.abort();
    Ok(())
}

/// The port that was asked for; where none was, the one it had before if that is still free.
fn listen(setup: &Setup) -> Result<TcpListener, String> {
    let address = |port| SocketAddr::new(setup.host, port);
    if setup.port != 0 {
        let failed = |error| format!("cannot listen on {}: {error}", address(setup.port));
        return bind(address(setup.port)).map_err(failed);
    }
    if let Some(port) = setup.bound {
        match bind(address(port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => eprintln!("warning: port {port} is taken ({error}); another one is chosen"),
        }
    }
    bind(address(0)).map_err(|error| format!("no port is free on {}: {error}", setup.host))
}

/// Takes an address. So many connections may wait to be accepted: one that finds no room comes again only after a second.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4_096)
}
