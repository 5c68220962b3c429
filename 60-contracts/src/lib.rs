//! Contracts between those who need something and those who provide it.
//!
//! A [`Contract`] names messages with a direction and a JSON Schema, errors, invariants and an owner; its id carries its major
//! version. In go contract files ([`read_contract`]) and requirements ([`read_needs`]), out come three answers:
//!
//! * [`Registry::publish`]: may this version come into force? A published version never changes. What a new version breaks to
//!   older ones is found by proof ([`changes`]), and a version that rises less than its changes require is refused with the
//!   counterexample. Who must accept what follows from the direction: providers must accept every command and query that
//!   consumers send, consumers every event and answer that providers send.
//! * [`check`]: does what a plan's actions and agents require fit? Per contract `verified`, `missing`, `version` or
//!   `incompatible`, with the place that breaks and a value that shows it.
//! * [`matrix`]: which published version would fit whom, and why not.
//!
//! ```
//! use writ_contracts::{Registry, Subject, check, read_contract, read_needs};
//!
//! let contract = br#"contract: {id: contract.echo.v1, version: '1.0.0', owner: web-team, status: published,
//!   messages: {say: {direction: command, schema: {type: string, maxLength: 9}}}}"#;
//! let registry = Registry::of([read_contract("echo.yaml", contract).unwrap()]).unwrap();
//! let needs = br#"requires: [{by: action/greet, contract: contract.echo.v1, version: ^1.0,
//!   carries: [{message: say, from: /text}]}]"#;
//! let needs = read_needs("needs.yaml", needs).unwrap();
//! let config = serde_json::json!({"text": "good morning"});
//! let report = check(&needs, &[Subject { name: "action/greet", config: Some(&config) }], &registry);
//! assert_eq!(report.results[0].fit.label(), "incompatible");
//! assert_eq!(report.results[0].reasons[0].pointer, "/messages/say/schema/maxLength");
//! ```
//!
//! This crate refuses to know: plans, agents, files, the clock; and it never calls compatible what it cannot prove.

mod check;
mod contract;
mod event;
mod read;
mod registry;
mod requirement;
mod schema;
mod status;
mod version;

pub use check::{ContractResult, Fit, Reason, Report, check, check_uses, comparison, matrix};
pub use contract::{Contract, Direction, ErrorCase, Message, Mode};
pub use event::{ContractEvent, contracts_of};
pub use read::{read_contract, recall_contract};
pub use registry::{PublishRefused, Record, Refusal, Registry, StatusRefused, Unresolved};
pub use requirement::{Carries, Needs, Provision, Requirement, Subject, Use, read_needs};
pub use schema::{Because, Change, Promise, changes, required_bump};
pub use status::{APPROVALS, IllegalStatus, NOTICE, Status, StatusEvent};
pub use version::{Bump, ContractId, ContractIdError};
