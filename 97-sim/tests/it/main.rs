//! Journeys and properties over the whole pipeline, on simulated and on real ledgers.

#![expect(clippy::unwrap_used, reason = "what tests share may fail as tests do")]

mod approved;
mod attacks;
mod conformance;
mod contracts;
mod ends;
mod explore;
mod gate;
mod journal;
mod journeys;
mod looked;
mod mutants;
mod notify;
mod once;
mod past;
mod report;
