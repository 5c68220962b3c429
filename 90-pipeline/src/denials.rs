//! Requests that were refused for want of a token or a role. Each is an entry, as often as whoever counts them lets it be.

use crate::commit::{Batch, CommitError};
use crate::journal::Journal;
use serde_json::json;
use writ_core::{Actor, Draft, Outcome, PrincipalId};

const DENIED: &str = "principal.denied/1";

/// A request that was refused.
#[derive(Debug, Clone)]
pub struct Denial<'a> {
    /// Why.
    pub because: &'a str,
    /// How many were refused before and not recorded.
    pub before: u64,
    /// Who asked; none when nobody knows.
    pub by: Option<&'a PrincipalId>,
    /// The method of the request.
    pub method: &'a str,
    /// What it was for, without what names anything.
    pub route: &'a str,
}

/// Records that a request was refused.
///
/// # Errors
/// When it could not be recorded.
pub async fn record_denial(journal: &Journal, denial: &Denial<'_>) -> Result<(), CommitError> {
    let draft = draft(denial);
    journal.commit(&journal.new_cause(), Batch::of(vec![draft])).await.map(drop)
}

fn draft(denial: &Denial<'_>) -> Draft {
    let Denial { because, before, by, method, route } = denial;
    Draft {
        action: "request".into(),
        actor: by.map_or_else(|| Actor::system("api"), Actor::human),
        body: json!({"because": because, "before": before, "method": method, "route": route}),
        kind: DENIED,
        outcome: Outcome::Denied,
        resource: (*route).to_owned(),
        stream: "denials".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_written_so() {
        let by = "person-02".parse().unwrap();
        let because = "`person-02` does not hold the role `admin`";
        let route = "/api/v1/tokens";
        let known = draft(&Denial { because, before: 3, by: Some(&by), method: "POST", route });
        assert_eq!(
            known.body.to_string(),
            r#"{"because":"`person-02` does not hold the role `admin`","before":3,"method":"POST","route":"/api/v1/tokens"}"#
        );
        assert_eq!((known.kind, known.actor), ("principal.denied/1", Actor::human(&by)));
        let unknown = draft(&Denial { because: "the token is not valid", before: 0, by: None, method: "GET", route });
        assert_eq!((unknown.actor, unknown.outcome), (Actor::system("api"), Outcome::Denied));
    }
}
