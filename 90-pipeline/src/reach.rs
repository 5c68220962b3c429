//! How far a change that people are asked about reaches.

use crate::context::RunContext;
use crate::pipeline::Pipeline;
use writ_automation::Run;
use writ_intent::Reach;

impl Pipeline {
    /// How far a run reaches, or one step of it. Where it has not begun, that is held against what there is now; of another tool's
    /// change, only what the tool says is known, which may be nothing.
    pub async fn reach(&self, run: &Run, context: &RunContext, step: Option<&str>, waits: bool) -> Option<Reach> {
        if let Some(outside) = &context.outside {
            return Reach::planned(outside);
        }
        let world = match &context.component {
            Some(component) if waits => self.provider().observe(component).await.ok(),
            Some(_) | None => None,
        };
        let asked = run.steps().map(|(found, _)| found);
        let asked = asked.filter(|found| step.is_none_or(|key| found.key.as_str() == key));
        Some(Reach::of(asked, world.as_ref()))
    }
}
