//! What a balancer is told, and keeps.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Which of the instances that can serve gets the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Policy {
    /// The less busy of two that are drawn by lot.
    P2c,
    /// The least busy of all.
    LeastConnections,
}

/// How instances are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    pub(crate) healthy_threshold: u32,
    pub(crate) interval_ms: u64,
    pub(crate) path: String,
    pub(crate) timeout_ms: u64,
    pub(crate) unhealthy_threshold: u32,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            healthy_threshold: 2,
            interval_ms: 1_000,
            path: "/healthz".to_owned(),
            timeout_ms: 500,
            unhealthy_threshold: 3,
        }
    }
}

/// One instance that requests may go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackendSetup {
    pub(crate) address: SocketAddr,
    pub(crate) generation: u64,
    pub(crate) zone: String,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) backends: BTreeMap<String, BackendSetup>,
    /// The port it last listened on.
    pub(crate) bound: Option<u16>,
    pub(crate) check: Check,
    pub(crate) component: String,
    pub(crate) host: IpAddr,
    pub(crate) policy: Policy,
    /// The port that was asked for; zero means any.
    pub(crate) port: u16,
    pub(crate) scheme: String,
}
