//! From a text to an intent, from an intent to a plan.
//!
//! In goes a manifest (the source's `intent:` document, every further key optional) and what the organisation provides (a
//! platform file, all of it defaulted). Out come, in this order: an [`Intent`] with every finding at its place; a
//! [`Translation`], the cheapest layout that holds everything asked, with its predictions, what they rest on and how far that
//! may move; a [`Plan`](writ_core::Plan), five declared actions and one keyed step for every effect; and, against what is
//! there already, a [`Diff`] that is a plan itself. When nothing holds everything, every minimal conflict and the least changes
//! that would do ([`Infeasible`]).
//!
//! Same input, same bytes: the search is exact and breaks ties by stated rules, what leaves it is rounded to the unfavourable
//! side, and no float stands in any document.
//!
//! This layer refuses to know the clock, the store, who may do what, and how a provider does it. It speaks the provider's verbs
//! as data.

mod command;
mod conflict;
mod diff;
mod document;
mod draw;
mod event;
mod facts;
mod figure;
mod graph;
mod intent;
mod lifecycle;
pub mod model;
mod order;
mod outside;
mod platform;
mod reach;
mod read;
mod read_platform;
mod schema;
mod solve;
mod svg;
mod tool;
mod translate;
mod trigger;

pub use command::{DeclaredCommand, read_commands};
pub use conflict::{Adjustment, Fix, Infeasible, Setting, explain, unit};
pub use diff::{
    Desired, Diff, ENDED, ResourceChange, Rollback, StaleWorld, after, change_of, check_world, decommission, desired,
    diff, drift, is_instance, rollback, world_digest,
};
pub use document::{
    diff_document, infeasible_document, infeasible_text, latency_band, mark, plan_digest, plan_document,
};
pub use draw::{dot, mermaid, text, tree};
pub use event::{DecodeError, FoundInfeasible, IntentEvent, Moved, Regained, Submitted, Translated, stream};
pub use facts::{intent_facts, plan_facts};
pub use figure::{bytes, millis, money, money_about, percent, percent_about, rate, span, span_about};
pub use graph::{PHASES, action_id, declared, permissions, plan, plan_at_count, translation_document};
pub use intent::{
    Basis, Budget, Constraint, Constraints, Heal, HealMode, Intent, Kind, Objective, Origin, Preferences,
    RecoveryPolicy, Requirements, Strategy, Target, Trigger, TriggerAction, Workload,
};
pub use lifecycle::{IllegalMove, State};
pub use outside::{NO_INTENT, OUTSIDE_PERMISSION, OUTSIDE_VERB, Outside, OutsideRefused, OutsideWish};
pub use platform::{
    Authentication, Balancer, Command, Component, Demand, Healing, HealthChecks, InstanceType, Intervals, MONTH_HOURS,
    Platform, Profile, Promotion, Region, Scaling, Tls, Zone,
};
pub use reach::{Extent, Reach};
pub use read::{Manifest, read_manifest, read_recorded_manifest};
pub use read_platform::{document as platform_document, read_platform};
pub use schema::{manifest_schema, platform_schema};
pub use solve::{COUNT_LIMIT, Candidate, LATENCY_QUANTILE, Requirement, Space};
pub use svg::svg;
pub use tool::{Form, OutsideChange, OutsideDeed, Says, Unreadable, form, read_manifests, read_terraform};
pub use translate::{
    BreakEven, Layout, Misfit, Predicted, TranslateError, Translation, demand, misfits, requirement, translate,
};

/// The digest of a document of ours.
#[expect(
    clippy::expect_used,
    reason = "our documents hold no floats, no wide integers and ASCII keys only: readers see to it"
)]
fn digest(document: &serde_json::Value) -> writ_core::Digest {
    writ_seal::sha256(&writ_seal::canonical(document).expect("a canonical document"))
}
