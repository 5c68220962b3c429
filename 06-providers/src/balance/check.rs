//! Looking at one instance's health path, again and again.

use super::backend::Backend;
use super::pool::Pool;
use super::setup::Check;
use hyper::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// The least time between two looks, however often somebody asks for one.
const APART: Duration = Duration::from_millis(20);

/// Looks once, and tells what that changed. Gives the check that was in force.
pub(super) async fn look(pool: &Pool, backend: &Backend) -> Check {
    let check = pool.check();
    let timeout = Duration::from_millis(check.timeout_ms);
    let outcome = match crate::http::get(backend.setup.address, &check.path, timeout).await {
        Ok(StatusCode::OK) => Ok(()),
        Ok(status) => Err(format!("status {}", status.as_u16())),
        Err(because) => Err(because),
    };
    pool.tell(backend, backend.looked(outcome, &check));
    check
}

/// Looks until the instance is no longer the balancer's.
pub(super) async fn watch(pool: Arc<Pool>, backend: Arc<Backend>) {
    let mut gone = backend.gone.subscribe();
    loop {
        let check = look(&pool, &backend).await;
        tokio::time::sleep(APART).await;
        tokio::select! {
            () = tokio::time::sleep(backend.pause(&check).saturating_sub(APART)) => {}
            () = backend.look.notified() => {}
            _ = gone.wait_for(|gone| *gone) => return,
        }
    }
}
