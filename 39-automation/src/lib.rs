//! A run as data: a plan is carried out by a state machine that decides and never acts.
//!
//! In goes a [`Run`] (the fold of what was recorded about it), a [`Signal`] and the time; out comes a [`Decision`]: events
//! to record and commands to do once they are durable. [`submit`] begins a run, [`step`] moves it, [`turn`] moves it and
//! asks the gate for every step that may start now. Nothing here waits, reads a clock or rolls dice, so the same code runs
//! in the simulator and in production, and a run can be taken up after any prefix of its events.
//!
//! **Two entries a step.** `StepStarted` (ticket, permit, agent, epoch, effect key) is durable before the effect may happen;
//! its outcome commits together with the `StepStarted` of the steps that waited for it. A driver gets this for free:
//!
//! ```text
//! let decision = turn(&mut run, signal, now, &mut |run, ask| Some(gate.judge(run, ask)))?;
//! commit(decision.events)?;            // one group, one sync; on failure fold the run again from the journal
//! for command in decision.commands { … }   // Perform, Probe, SetTimer, AskApproval, Notify, RunEnded
//! ```
//!
//! **What may be repeated.** The effect key is a digest of run, step, plan revision and leg, and the same for each attempt;
//! the epoch counts up with each. A *keyed* or *conditional* effect is asked for again under its key; a *probe-able* one is
//! looked for after the provider's bound on late arrivals; an *opaque* one is tried once, and a person is called when its
//! outcome is lost. A step that may have happened is never given up, cancelled past or compensated around unasked.
//!
//! **Late answers.** Only the holder of a step's live ticket is believed. Everybody else's answer is recorded as late and
//! changes nothing. Run-level states and transitions are in [`RunState`], those of steps in [`StepState`]: one `match` each,
//! and what is not listed is refused with both names.
//!
//! [`Approval`], [`Standing`] and [`Glass`] say when people have agreed; [`ApprovalEvent`] records it. [`Run::waiting`] and [`Run::step_waiting`] say
//! why something is not over yet, [`execution`] what was done and how long it took.
//!
//! A [`Playbook`] is read from a file, told its arguments, and joined to a plan from what others say its actions mean.
//!
//! This crate refuses to know: policy, agents and their keys, providers, the store.

mod answer;
mod approval;
mod approval_event;
mod approve;
mod attached;
mod body;
mod breaker;
mod cancel;
mod cell;
mod compensate;
mod event;
mod execution;
mod fold;
mod glass;
mod graph;
mod operator;
mod options;
mod pause;
mod permit;
mod playbook;
mod probe;
mod recover;
mod replan;
mod retry;
mod run;
mod settle;
mod signal;
mod sketch;
mod standing;
mod state;
mod step;
mod submit;
mod ticket;
mod timer;
mod waiting;

pub use approval::{Approval, ApprovalChange, ApprovalState, Ballot, BallotRefused, NotUsable, Question};
pub use approval_event::{ApprovalEvent, ApprovalFact, Cited, GlassEnded, GlassReviewed, GlassUsed, Revoked};
pub use attached::Attached;
pub use body::{
    Answered, ApprovalAsked, ApprovalGiven, ApprovalTerms, Back, Because, Cancelling, Compensating, Denial, Failing,
    Gate, LateAnswer, NeedsOperator, Plain, Readied, Replanned, Replanning, StepApprovalAsked, StepApproved,
    StepDenied, StepDone, StepFailed, StepHeld, StepKept, StepProbed, StepReadied, StepRef, StepResolved, StepStarted,
    StepUnclear, Submitted, Then, Validated, WindowAwaited,
};
pub use breaker::{BREAKER_FAILURES, BREAKER_OPEN, BreakerKey, BreakerMoved, Breakers};
pub use cell::{Cell, HeldBy, Hold, Leg, Next, StepState};
pub use event::{DecodeError, RunEvent, What, decode};
pub use execution::execution;
pub use glass::{BREAK_GLASS_MAX, BreakGlass, Glass, GlassRefused};
pub use options::{OnFailure, Options, ProbeRule};
pub use playbook::{
    Act, ArgumentProblem, BindError, Bound, JoinError, Kind, Parameter, Playbook, Verb, join, read_playbook,
};
pub use retry::Backoff;
pub use run::{Deed, FoldError, Illegal, Run, effect_key};
pub use settle::{Pending, Settled, settle};
pub use signal::{Answer, Ask, Command, Decision, Grant, Order, Refused, Says, Signal, Submission, TimerKey};
pub use standing::{Budget, NotCovered, STANDING_MAX, Standing, StandingRefused};
pub use state::RunState;
pub use step::{ask_all, step, turn};
pub use submit::submit;
pub use ticket::Ticket;
pub use waiting::{Reason, Waiting};
