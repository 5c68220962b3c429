//! The order of things: what is asked, recorded and done, and in which sequence.
//!
//! In: what people submit, what sensors see, what runs come to. Out: entries in the journal, and effects under permits.
//! [`Pipeline`] puts it together; `submit.rs` tells how an intent becomes a run, `submission.rs` what is recorded of it, `drive.rs` and `live.rs` how a run is driven, `heal.rs` how
//! a component is healed, `gate.rs` who may do what, `commit.rs` how it is all recorded, `view.rs` what can be looked up.
//!
//! This crate holds sequence and no arithmetic: every judgement is a layer's, asked with what the others know. It refuses to
//! know adapters: ledger, provider, sensor, notifier, clock and chance are ports.

mod agents;
mod agreed;
mod agreement;
mod apart;
mod approvals;
mod bundles;
mod carry;
mod causes;
mod changes;
mod commit;
mod context;
mod contracts;
mod decided;
mod decommission;
mod deed;
mod denials;
mod desk;
mod drive;
mod erase;
mod evidence;
mod export;
mod facts;
mod fault;
mod fixes;
mod gate;
mod glass;
mod grant;
mod heal;
mod held;
mod holding;
pub mod input;
mod journal;
mod links;
mod listing;
mod live;
mod looked;
mod manage;
mod modes;
mod notify;
mod obligation;
mod once;
mod opening;
mod origin;
mod outcome;
mod outside;
mod past;
mod people;
mod pipeline;
mod playbook;
mod policy_report;
mod prepared;
mod reach;
mod recommendation;
mod record;
mod reflect;
mod remedy;
mod replan;
mod replay;
mod report;
mod resume;
mod rotate;
mod safety;
mod scope;
mod sessions;
mod shadows;
mod submission;
mod submit;
mod taken;
mod tokens;
mod trace;
mod under_way;
mod verify;
mod view;
mod why;
mod wish;

pub use agents::{AgentError, AgentWish};
pub use approvals::{AnswerError, Principal, person_as_is};
pub use bundles::{BundleStanding, KnownBundle};
pub use carry::TakenOrder;
pub use causes::error_chain;
pub use changes::Consent;
pub use commit::{Batch, Cause, Commit, CommitError, Expect, Receipt};
pub use context::{Origin, RunContext};
pub use contracts::{ContractError, ContractPublished, UsesChecked};
pub use decommission::{DecommissionError, Leaving, Removal};
pub use denials::{Denial, record_denial};
pub use drive::{Drive, DriveError, Ended, RunSubmission};
pub use erase::{ERASED, Erase, EraseError, Words, erase, say, text_beside, text_of, words_about, words_in};
pub use evidence::evidence;
pub use export::{ExportError, Exported, TILE, check_export, export_paths, tile_path};
pub use fault::order_fault;
pub use fixes::with_fix;
pub use gate::{Gate, GateState, Issued, POLICY_STREAM};
pub use glass::{GlassError, GlassWish, GovernanceFinding};
pub use grant::{AGENT, Barred, Grant, NoGrant, Scope};
pub use heal::Healing;
pub use held::{Holding, Holds, while_held, whoever_asked};
pub use journal::{Foundations, Journal, OpenError, decode, tile};
pub use links::{Link, Subject, linked_to, links_of, open_linked_session, unlink};
pub use listing::{Listing, Span};
pub use looked::{Looked, while_still};
pub use modes::{ModeInForce, ModeOrigin};
pub use notify::{ChannelState, Tested};
pub use once::{KEPT_FOR, Keyed, Known};
pub use origin::{ContinueError, continue_journal};
pub use outcome::{CommandEnd, OUTPUT_MAX, Output, Reported};
pub use outside::{Asked as OutsideAsked, OutsideError};
pub use people::{Person, Token, name_of, people, person, some_people, some_tokens};
pub use pipeline::{Pipeline, PipelineError, Ports, Sense, Setup};
pub use playbook::{PlaybookError, PlaybookOrder, Rehearsed};
pub use policy_report::{PolicyPeriod, ReportWanted};
pub use prepared::Prepared;
pub use recommendation::recommendation_made;
pub use reflect::ReflectError;
pub use replan::{ReplanError, manifest_in};
pub use report::{rebuild_views, reshape};
pub use rotate::{RotateError, key_chain};
pub use safety::{ExceptionError, KnownWaiver, PulledSwitch};
pub use sessions::{
    SESSION_SPAN, Session, SessionError, close_session, open_session, refuse_login, session_of, session_until,
};
pub use shadows::{JudgeError, ShadowFilter, Shadows};
pub use submit::{Accepted, SubmitError};
pub use tokens::{
    TokenError, TokenWish, enrol, enrol_person, good_token, is_span, issue_token, principal_of, principal_until,
    revoke_token, was_issued,
};
pub use trace::under_trace;
pub use under_way::UnderWay;
pub use verify::{Trust, VerifyError, verify};
pub use view::{FIGURES, LAST_IN_FORCE};
pub use why::{Line, Story, incident_story, sentence, why};
pub use wish::{ChangeError, GovernanceWish, Proposed};
pub use writ_agents::{
    Agent, AgentMove, AgentState, ContractUse, KILL_SWITCH_STREAM, KillScope, Limits as AgentLimits, Pulled,
    RedeemRefused, RosterRefused,
};
pub use writ_automation::{
    Answer as RunAnswer, BallotRefused, Budget as StandingBudget, Glass, GlassRefused, Refused as RunRefused, Run,
    RunState, Says as RunSays, Signal as RunSignal, Standing, StandingRefused, execution,
};
pub use writ_contracts::{PublishRefused, Refusal as PublishRefusal};
pub use writ_feedback::{Benefit, Refused as RecommendationRefused};
pub use writ_intent::{OutsideChange, OutsideRefused, OutsideWish, Reach};
pub use writ_policy::{EXCEPTIONS_STREAM, WaiverRefused, WaiverState, WaiverStatus};
pub use writ_self_healing::{Mode, NotEnough, Opinion, RemedyAction, Signal as HealSignal};
