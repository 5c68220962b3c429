//! Journeys and properties over the whole pipeline, on simulated and on real ledgers.

mod conformance;
mod explore;
mod journal;
mod journeys;
mod mutants;
