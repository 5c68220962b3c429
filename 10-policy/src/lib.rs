//! May it? Rules that people write, asked at three moments: when an intent is submitted, when its plan is solved, and when an
//! action is about to get its permit.
//!
//! In go policy files and a [`Question`] with facts; out comes a [`Judgement`]: a [`writ_core::Verdict`] with every finding, the
//! values that decided and the places in rule and manifest, what came of each rule, and the digests that make the decision
//! replayable. A [`Bundle`] loads whole or not at all.
//!
//! - A **check** says what must be true (`rule`), else `enforcement`: deny, require approval, warn. A **permission** says what
//!   is allowed, forbidden or needs people (`effect`) for `actions` on `resources`. Both may have a `when`.
//! - Deny stands over approval over allow, whatever the order. Where several rules ask for approval, the verdict names the
//!   largest request, and the findings name each one: all of them must be met.
//! - What cannot be evaluated denies, or asks a person where the rule says `on_missing: ask`. At the action stage what no
//!   permission allows is denied.
//! - Waivers let a violation pass, and it is still reported. An expired waiver does nothing and says so.
//!
//! Rules are found by an index, so a bundle of ten thousand costs what the few cost that a question concerns. Evaluation runs on
//! the caller's stack and expects 8 MiB of it.
//!
//! This crate refuses to know: where facts come from, who approves, the clock (time is the fact `now`), and files on disk. The
//! engine behind rules has one seam, [`writ_expr::Expr`]; another language would be another `Body` of a rule.

mod demand;
mod exceptions;
mod explain;
pub mod facts;
mod glob;
mod index;
mod judge;
mod load;
mod report;
mod rule;
mod shadow;
mod source;
mod tally;
mod template;
mod trial;
mod waiver;

pub use demand::Demand;
pub use exceptions::{
    EXCEPTIONS_STREAM, ExceptionEvent, Exceptions, MaintenanceSet, WAIVER_MAX, WaiverAnswered, WaiverAsked,
    WaiverRefused, WaiverState, WaiverStatus,
};
pub use explain::Explanation;
pub use judge::{Judgement, Question, RuleResult, Status};
pub use load::{Bundle, is_test_file};
pub use report::decision_text;
pub use tally::{Counts, Past, Tally};
pub use trial::{Trial, TrialReport, run_tests, run_tests_while};
pub use waiver::Waiver;
