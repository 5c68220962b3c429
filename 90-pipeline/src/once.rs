//! Requests that carry a key and are done once, however often they are sent. That one was taken up is an entry before anything is
//! done for it, and what is done belongs to that entry's trace: so a crash between doing and answering is seen for what it is.
//!
//! A key means that request for a day; then it is new again. The entries stay, and so does what was answered: they are evidence
//! of what was done. Whether the day is over follows from when the request was taken up, and from nothing else.

use crate::commit::{Batch, Cause, CommitError, Expect};
use crate::journal::{Journal, decode};
use serde_json::{Value, json};
use std::time::Duration;
use writ_audit::attachments_of;
use writ_core::{Actor, Digest, Draft, Entry, Filter, LedgerError, Outcome, PrincipalId, RunId, TraceId};
use writ_seal::sha256;

/// For how long a key stands for the request that it came with, from when that was taken up.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);

const TAKEN: &str = "request.taken/1";
const ANSWERED: &str = "request.answered/1";
const SUBMITTED: &str = "run.submitted/1";

/// A request that carries a key.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// Who sent it.
    pub by: PrincipalId,
    /// What it asks for: a digest of method, path and body.
    pub asks: Digest,
    /// What it is for, without what names anything.
    pub route: String,
    /// The stream of its person and key.
    stream: String,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing, or nothing that still counts: it is new.
    New {
        /// Where the stream of its person and key stands, for taking it up.
        version: u64,
    },
    /// The key was another request's.
    Other,
    /// It was answered so; without a body where that is not kept.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Option<Vec<u8>>,
    },
    /// It was taken up and not answered, as before a crash.
    Begun {
        /// The trace of what was done for it.
        trace: TraceId,
        /// The run that it began.
        run: Option<RunId>,
        /// Whether anything at all came of it.
        done: bool,
    },
}

impl Keyed {
    /// A request of a person, under the key that they gave it.
    #[must_use]
    pub fn new(by: &PrincipalId, key: &str, route: &str, asks: Digest) -> Self {
        // A key may name people; the stream does not.
        let stream = format!("request/{}", sha256(format!("{by}\0{key}").as_bytes()).hex());
        Self { by: by.clone(), asks, route: route.to_owned(), stream }
    }

    /// What the journal knows of it.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn known(&self, journal: &Journal) -> Result<Known, LedgerError> {
        let entries = journal.stream(&self.stream).await?;
        let last = entries.iter().rposition(|entry| entry.kind == TAKEN);
        let counts = |at: &usize| entries.get(*at).is_some_and(|taken| journal.now() < taken.timestamp.plus(KEPT_FOR));
        let Some([taken, since @ ..]) = last.filter(counts).and_then(|at| entries.get(at..)) else {
            return Ok(Known::New { version: entries.len() as u64 });
        };
        if taken.body.get("asks") != Some(&json!(self.asks)) {
            return Ok(Known::Other);
        }
        if let Some(answered) = since.iter().find(|entry| entry.kind == ANSWERED) {
            return answer(journal, answered).await;
        }
        self.begun(journal, taken).await
    }

    async fn begun(&self, journal: &Journal, taken: &Entry) -> Result<Known, LedgerError> {
        // What is looked up trails the entries: it has to have what was done until now.
        let size = *journal.size().borrow();
        if journal.reported(size).await < size {
            let place = "the journal's lookups".into();
            return Err(LedgerError::Damaged { place, what: "they do not come forward".into() });
        }
        let of_trace = Filter { trace: Some(taken.trace_id.clone()), ..Filter::default() };
        let submitted = Filter { kind: Some(SUBMITTED.into()), ..of_trace.clone() };
        let run = match journal.ledger().query(&submitted, 1).await?.first() {
            Some(stored) => decode(stored)?.stream.strip_prefix("run/").and_then(|id| id.parse().ok()),
            None => None,
        };
        let done = Filter { outcome: Some(Outcome::Success), ..of_trace };
        let others = journal.ledger().query(&done, 2).await?;
        let done = others.iter().map(decode).any(|entry| entry.is_ok_and(|entry| entry.stream != self.stream));
        Ok(Known::Begun { trace: taken.trace_id.clone(), run, done })
    }

    /// Records that it is taken up, where its stream stands at a version, before anything is done for it. The trace of what is
    /// done for it.
    ///
    /// # Errors
    /// When it could not be recorded, or its twin was.
    pub async fn take(&self, journal: &Journal, version: u64) -> Result<TraceId, CommitError> {
        let cause = journal.new_cause();
        let trace = cause.trace.clone();
        let draft = self.draft(TAKEN, Outcome::Started, json!({"asks": self.asks, "route": self.route}));
        let expects = vec![Expect { stream: self.stream.clone(), version }];
        journal.commit(&cause, Batch { expects, ..Batch::of(vec![draft]) }).await?;
        Ok(trace)
    }

    /// Records what was answered; the body only where it may be kept.
    ///
    /// # Errors
    /// When it could not be recorded.
    pub async fn answered(
        &self,
        journal: &Journal,
        trace: TraceId,
        status: u16,
        body: Option<&[u8]>,
    ) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        let attachments = match body {
            Some(body) => json!({"answer": batch.attach(body.to_vec())}),
            None => json!({}),
        };
        batch.drafts =
            vec![self.draft(ANSWERED, Outcome::Success, json!({"attachments": attachments, "status": status}))];
        journal.commit(&Cause { trace, event: None }, batch).await.map(drop)
    }

    fn draft(&self, kind: &'static str, outcome: Outcome, body: Value) -> Draft {
        Draft {
            action: "request".into(),
            actor: Actor::human(&self.by),
            body,
            kind,
            outcome,
            resource: self.route.clone(),
            stream: self.stream.clone(),
        }
    }
}

async fn answer(journal: &Journal, answered: &Entry) -> Result<Known, LedgerError> {
    let status = answered.body.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let body = match attachments_of(answered).first() {
        Some(digest) => journal.ledger().attachment(digest).await?,
        None => None,
    };
    Ok(Known::Answered { status: status.unwrap_or(200), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_so_and_its_key_is_not() {
        let by = "person-01".parse().unwrap();
        let keyed = Keyed::new(&by, "order of Ada", "/api/v1/intents", sha256(b"{}"));
        assert_eq!(keyed.stream, format!("request/{}", sha256(b"person-01\0order of Ada").hex()));
        let taken = keyed.draft(TAKEN, Outcome::Started, json!({"asks": keyed.asks, "route": keyed.route}));
        assert_eq!(
            taken.body.to_string(),
            r#"{"asks":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","route":"/api/v1/intents"}"#
        );
        assert_eq!((TAKEN, ANSWERED), ("request.taken/1", "request.answered/1"));
        let other = Keyed::new(&"person-02".parse().unwrap(), "order of Ada", "/api/v1/intents", sha256(b"{}"));
        assert_ne!(other.stream, keyed.stream);
    }
}
