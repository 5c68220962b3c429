//! The three models that the search asks: queues, availability, money.
//!
//! Floats stay in here and in the search; what leaves is rounded to whole units, always to the unfavourable side: a latency up,
//! an availability down, a price up.

pub mod availability;
pub mod cost;
pub mod erlang;
