//! How a run is to be run.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happens when a step has finally failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// What was done is taken back.
    Compensate,
    /// The run waits for a person, who may retry the step, change the plan, roll back or cancel.
    Hold,
    /// The run ends as it stands.
    Stop,
}

/// When and how often a provider is asked what came of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeRule {
    /// The provider's bound on how late a request can land, in milliseconds: no probe before it has passed.
    pub after_ms: u64,
    /// Between two probes, in milliseconds.
    pub every_ms: u64,
    /// Probes before a person is called.
    pub tries: u32,
}

/// How a run is to be run. Recorded when it is submitted, so that a restart runs it the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// How long the whole run may take from its first step on, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// How long an agent may be silent, in milliseconds; none for agents in this process.
    pub heartbeat_ms: Option<u64>,
    /// Chance added to or taken from each wait between attempts, in percent of it.
    pub jitter_percent: u32,
    /// How many steps may run at once.
    pub limit: u32,
    /// How many may run at once that share a key: `action:deploy_instances`, `resource:web-service-001`, `phase:…`.
    pub limits: BTreeMap<String, u32>,
    /// What happens when a step has finally failed.
    pub on_failure: OnFailure,
    /// How lost outcomes are looked for.
    pub probe: ProbeRule,
    /// The chance in waits; below 2^53.
    pub seed: u64,
    /// How long a step may be held before it counts as failed, in milliseconds.
    pub start_timeout_ms: u64,
}

impl Options {
    /// Sixteen steps at once, 20 % jitter, five probes a second apart after ten seconds, held steps for a quarter of an hour.
    #[must_use]
    pub fn new(on_failure: OnFailure, seed: u64) -> Self {
        Self {
            deadline_ms: None,
            heartbeat_ms: None,
            jitter_percent: 20,
            limit: 16,
            limits: BTreeMap::new(),
            on_failure,
            probe: ProbeRule { after_ms: 10_000, every_ms: 1_000, tries: 5 },
            seed: seed & ((1 << 53) - 1),
            start_timeout_ms: 900_000,
        }
    }
}
