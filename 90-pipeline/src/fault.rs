//! Faults that somebody orders to see them healed: what is done to the world on purpose is an entry before it is done.

use crate::commit::{Batch, CommitError};
use crate::journal::Journal;
use serde_json::json;
use writ_core::{Actor, Draft, Outcome};

/// The entry that says so.
pub(crate) const FAULT_ORDERED: &str = "demo.fault_ordered/1";

/// Records that somebody orders a fault of an instance.
///
/// # Errors
/// When it could not be recorded; then nothing may be broken.
pub async fn order_fault(journal: &Journal, component: &str, slot: &str, by: &Actor) -> Result<(), CommitError> {
    let draft = Draft {
        action: "order_fault".into(),
        actor: by.clone(),
        body: json!({"component": component, "fault": "kill", "instance": slot}),
        kind: FAULT_ORDERED,
        outcome: Outcome::Started,
        resource: format!("{component}/{slot}"),
        stream: format!("demo/{component}"),
    };
    journal.commit(&journal.new_cause(), Batch::of(vec![draft])).await.map(drop)
}
