//! `writ approve` and `writ reject`.

use super::{Failure, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use clap::Args;
use serde_json::json;

/// Answer a request for approval, or for a recommendation
#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// The approval (`apr_…`) or recommendation (`OPT-…`)
    id: String,
    /// Why
    #[arg(short, long, default_value = "")]
    message: String,
}

impl Decide {
    pub(crate) async fn run(self, common: &Common, agrees: bool) -> Result<Exit, Failure> {
        let (out, word) = (common.out(), if agrees { "approve" } else { "reject" });
        let kind = if self.id.starts_with("apr_") { "approvals" } else { "recommendations" };
        let path = format!("/api/v1/{kind}/{}/{word}", escaped(&self.id));
        let answer = common.client()?.post(&path, &json!({"reason": self.message})).await?;
        out.document(&answer, |_| {
            let state = text(&answer, "/state");
            if state.is_empty() { crate::out::yaml(&answer) } else { format!("{} is {state}\n", self.id) }
        });
        out.next(&format!("writ why {}", self.id));
        Ok(exit::OK)
    }
}
