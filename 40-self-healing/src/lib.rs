//! From what sensors saw to what should be done about it, and whether it helped.
//!
//! In go [`Observation`](writ_core::Observation)s: exits, health changes and windows of a component. A [`Watch`] keeps, in
//! constant space per series, which symptoms hold; it is volatile and forgets on restart, because samples are not journalled.
//! [`Heal::step`] compares what the watch sees with what was concluded before and returns a [`Decision`]: events to be
//! recorded first, then asks to be carried out. [`Heal`] itself is nothing but the fold of those events, so a crash loses
//! no incident, no attempt and no reservation of a budget.
//!
//! Everything is level-triggered: a timer or a lost answer changes when something is looked at, never what is decided. A
//! remedy is proposed only on fresh data, after its attempt has been counted against every budget by an event; it comes out as
//! ordinary plan steps that state desired state (a slot's next generation, a count), and is then judged in three values.
//!
//! An action goes no further on its own than its mode says. [`ModeChange`] decides whether what people say of its shadow decisions is
//! enough to let it go further; the event that sets a mode is recorded with people's answer, and [`Heal`] takes it in.
//!
//! This crate refuses to know: the clock, chance, providers, policies, agents, how a run is driven, and who is told.

mod budget;
mod condition;
mod config;
mod correlate;
mod decide;
mod detect;
mod event;
mod incident;
mod metric;
mod monitor;
mod post_mortem;
mod promotion;
mod remedy;
mod scale;
mod signal;
mod summary;
mod times;
mod treat;
mod verify;

pub use budget::{Allowance, Budgets};
pub use condition::{Condition, ConditionError};
pub use config::{
    Bounds, BudgetText, Config, ConfigError, ConfigErrors, Mode, RecoveryPolicy, RecoveryText, SelfHealingText,
    Strategy, Trigger, TriggerText,
};
pub use correlate::{Fingerprint, Subject};
pub use detect::{Alert, Phase, Symptom, Timing, Watch};
pub use event::{
    Acknowledged, Closed, DecodeError, Denied, DeniedBy, Ended, Escalated, EscalationReason, HealEvent, Held,
    HoldReason, Joined, Judged, ModeEnded, ModeSet, Opened, Proposed, Released, Resolved, Shadowed, Started, Verified,
    Waiting, decode, window_draft,
};
pub use incident::{Heal, Illegal, Incident, IncidentState, Resolution, Stage, Try};
pub use metric::{Amount, Limits, Metric, Reading};
pub use monitor::monitoring;
pub use post_mortem::post_mortem;
pub use promotion::{Bar, ModeChange, NotEnough, Opinion, ShadowDecision};
pub use remedy::{Blast, ComponentView, PlanHead, Remedy, RemedyAction, RemedyError, RemedyKey, Slot, Target};
pub use scale::Scaling;
pub use signal::{Ask, Decision, Refused, Signal};
pub use summary::Summary;
pub use times::{IncidentTimes, Times};
pub use verify::{Behaviour, Verification, delay};
