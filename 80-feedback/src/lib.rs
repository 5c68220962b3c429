//! From what was recorded to what should be changed, and whether the change was worth it.
//!
//! In goes a [`History`]: outcomes of runs, incidents with their attempts, window summaries and an intent's targets over a
//! period, each with the journal entry it comes from. [`Figures`] are computed from it, every rate with its interval; nothing
//! measured is said to be nothing measured. [`recommend`] derives recommendations with evidence, a machine-applicable patch
//! on the intent, a benefit with its interval, and a backtest; [`Proposal`] leads one from draft to realised, missed or
//! reverted; [`judge`] tells what a change really did.
//!
//! Feedback reaches back into nothing: an approved patch makes a new manifest, which enters by the front door. What would
//! happen under a patch is asked of closures that the pipeline hands in, because the solver is another layer's.
//!
//! This crate refuses to know: the journal, the clock, the solver, policies, and how a patch is carried out.

mod document;
mod event;
mod figures;
mod history;
mod insight;
mod patch;
mod proposal;
mod realise;
mod recommend;
mod stats;
mod windows;

pub use document::{document, recommendations_document, yaml};
pub use event::{DecodeError, Evidence, FeedbackEvent, Made, Moved, Realised, collected_draft, decode, is_last};
pub use figures::{Figures, Interval, Latency, Rate, Share};
pub use history::{AttemptOutcome, AttemptRecord, History, IncidentRecord, RunKind, RunOutcome, RunRecord, Targets};
pub use insight::{Insight, insights};
pub use patch::{Op, Patch, PatchError, patch_text};
pub use proposal::{IllegalMove, Move, Proposal, Refused, State};
pub use realise::{Better, Effect, Verdict, judge};
pub use recommend::{
    Backtest, Benefit, Prediction, Priority, Recommendation, RecommendationKind, Settings, Verify, WhatIf, recommend,
};
pub use stats::{Shift, mtbf_interval, shift, wilson};
pub use windows::{WindowRecord, Windows};
