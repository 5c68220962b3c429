//! Feedback: what was recorded in a period becomes figures and recommendations; what was done is judged by what it brought.

use crate::approvals::Principal;
use crate::commit::{Batch, CommitError, Expect};
use crate::grant::Barred;
use crate::pipeline::{Pipeline, PipelineError, is_gone};
use crate::recommendation::{Known, patched, stream};
use crate::submit::SubmitError;
use serde_json::{Value, json};
use std::time::Duration;
use writ_core::{Actor, ComponentId, Event, IntentId, LedgerError, Timestamp, Window};
use writ_feedback::{
    Better, Evidence, FeedbackEvent, Figures, History, Interval, Made, Move, Moved, Patch, Prediction, Recommendation,
    Settings, State, Verdict, WhatIf, WindowRecord, collected_draft, document, insights, judge, mtbf_interval,
    recommend, recommendations_document,
};
use writ_intent::{Intent, Platform, read_recorded_manifest, translate};

/// How long a recommendation may be approved.
const STANDS: Duration = Duration::from_secs(30 * 86_400);

/// Why feedback could not be collected or acted upon.
#[derive(Debug, thiserror::Error)]
pub enum ReflectError {
    /// No intent is in force, or not the one that was named, so there is nothing to look back on.
    #[error("{} is in force; there is nothing to look back on", .wanted.as_ref().map_or("no intent".to_owned(), |one| format!("no version of `{one}`")))]
    Nothing {
        /// What was asked for.
        wanted: Option<IntentId>,
    },
    /// There is no such recommendation.
    #[error("there is no recommendation `{id}`")]
    Unknown {
        /// What was asked for.
        id: String,
    },
    /// It may not be approved, or not by this person, or not any more.
    #[error("the approval is refused")]
    Refused(#[from] writ_feedback::Refused),
    /// Whoever approves may not, for what it is about.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// It is not at that point.
    #[error("the recommendation does not do that now")]
    Illegal {
        /// The recommendation.
        id: String,
        /// Why not.
        #[source]
        cause: writ_feedback::IllegalMove,
    },
    /// The patch does not fit the manifest.
    #[error("the patch cannot be applied")]
    Patch(#[from] writ_feedback::PatchError),
    /// The patched intent does not get through the front door.
    #[error("the changed intent is not accepted")]
    Submit(#[from] SubmitError),
    /// What was recorded cannot be read.
    #[error("what was recorded cannot be read")]
    Pipeline(#[from] PipelineError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
}

/// What there is to know of recommendations before new ones are made.
struct Standing {
    /// The number of the next one.
    next: u32,
    /// Those that wait for people.
    open: Vec<Known>,
}

impl Known {
    /// Whether it waits for people.
    fn is_open(&self) -> bool {
        matches!(self.proposal.state, State::Draft | State::Active | State::Claimed { .. })
    }

    /// Whether it was made for another version of this intent than the one in force: nobody can approve it.
    fn is_stale(&self, intent: &Intent) -> bool {
        let patch = self.proposal.recommendation.patch.as_ref();
        patch.is_some_and(|patch| patch.base != intent.digest())
            && self.proposal.recommendation.about().as_ref() == Some(&intent.id)
    }

    /// Whether it says the same as another one.
    fn says(&self, other: &Recommendation) -> bool {
        let what = |one: &Recommendation| (one.kind, one.about(), one.patch.as_ref().map(|patch| patch.ops.clone()));
        what(&self.proposal.recommendation) == what(other)
    }
}

impl Standing {
    /// What of it nobody was told yet. A number that was given is not given again, be it of something that was told.
    fn news(&mut self, found: Vec<Recommendation>, intent: &Intent) -> Vec<Recommendation> {
        self.next += found.len() as u32;
        let is_told = |one: &Recommendation| self.open.iter().any(|open| !open.is_stale(intent) && open.says(one));
        found.into_iter().filter(|one| !is_told(one)).collect()
    }
}

impl Pipeline {
    /// Looks back over a period, on the named intent or on every one that is in force: for each the source's `feedback:` document
    /// with real figures, and recommendations, which are recorded as made by whoever asked. Recommendations whose time has come
    /// are judged on the way.
    ///
    /// # Errors
    /// When nothing is in force, or the named one is not, or the journal fails.
    pub async fn reflect(
        &self,
        span: Duration,
        wanted: Option<&IntentId>,
        by: &Principal,
    ) -> Result<Value, ReflectError> {
        let all = self.intents_in_force(wanted).await?;
        if all.is_empty() {
            return Err(ReflectError::Nothing { wanted: wanted.cloned() });
        }
        // However many ask at one moment, the journal is read for one after the other.
        let _one_at_a_time = self.inner.reflecting.lock().await;
        let to = self.journal().now();
        let known = self.proposals().await?;
        let judged = self.judge_due(&known, to).await?;
        self.expire_due(&known, to).await?;
        let mut standing = self.standing().await?;
        let platform = self.platform();
        let only = wanted.and(all.first()).map(|(intent, _)| intent.component(&platform));
        let past = self.past(to.minus(span), to, only).await?;
        let mut intents = Vec::new();
        for (intent, text) in &all {
            let history = self.history(intent, &past).await?;
            intents.push(self.reflect_on(intent, text, &history, by, &mut standing).await?);
        }
        Ok(json!({"intents": intents, "judged": judged}))
    }

    async fn reflect_on(
        &self,
        intent: &Intent,
        text: &str,
        history: &History,
        by: &Principal,
        standing: &mut Standing,
    ) -> Result<Value, ReflectError> {
        let figures = Figures::of(history);
        let span = history.to.since(history.from);
        let settings = Settings { verify_seconds: span.as_secs().max(1), ..Settings::default() };
        let found = {
            let predict = |patch: Option<&Patch>| prediction(intent, text, &self.platform(), history, patch);
            let what_if = WhatIf { predict: &predict, backtest: &|_| None };
            recommend(history, &figures, &intent.digest(), standing.next, &settings, &what_if)
        };
        let found = standing.news(found, intent);
        let mut batch = Batch::of(vec![collected_draft(&intent.id, &figures, &Actor::human(&by.id))]);
        for one in &found {
            batch.drafts.extend(made(one, history.to, by));
            batch.expects.push(Expect { stream: stream(one.id.as_str()), version: 0 });
        }
        match self.journal().commit(&self.journal().new_cause(), batch).await {
            // Somebody else looked back at the same moment, and took a number.
            Err(CommitError::Stale { .. }) => {
                *standing = self.standing().await?;
                return Box::pin(self.reflect_on(intent, text, history, by, standing)).await;
            }
            done => done?,
        };
        for known in standing.open.iter().filter(|open| open.is_stale(intent)) {
            let same = |one: &&Recommendation| one.kind == known.proposal.recommendation.kind;
            if let Some(new) = found.iter().find(same) {
                let step = Move::Supersede { by: new.id.clone() };
                self.move_unless_moved(known, step, Vec::new()).await?;
            }
        }
        let mut all = document(&figures, &insights(history, &figures));
        all["intent"] = json!(intent.id);
        all["recommendations"] = recommendations_document(&found)["recommendations"].clone();
        Ok(all)
    }

    /// The recommendations as they stand now.
    async fn standing(&self) -> Result<Standing, ReflectError> {
        let known = self.journal().all_docs("recommendations", "").await?;
        let numbers = known.iter().filter_map(|(key, _)| key.trim_start_matches("OPT-").parse::<u32>().ok());
        let next = numbers.max().unwrap_or(0) + 1;
        Ok(Standing { next, open: self.proposals_in(&known).await?.into_iter().filter(Known::is_open).collect() })
    }

    /// The intents that are in force, or the one that is named if it is, with their manifests' texts, by id.
    pub(crate) async fn intents_in_force(
        &self,
        wanted: Option<&IntentId>,
    ) -> Result<Vec<(Intent, String)>, ReflectError> {
        let docs = match wanted {
            Some(wanted) => self.journal().doc("intents", wanted.as_str()).await?.into_iter().collect(),
            None => self.journal().all_docs("intents", "").await?.into_iter().map(|(_, doc)| doc).collect::<Vec<_>>(),
        };
        let mut found = Vec::new();
        for doc in docs.iter().filter(|doc| !is_gone(doc)) {
            let manifest = doc.get("applied_manifest").and_then(Value::as_str).and_then(|text| text.parse().ok());
            let Some(manifest) = manifest else { continue };
            let Some(text) = self.journal().ledger().attachment(&manifest).await? else { continue };
            if let Ok(read) = read_recorded_manifest("manifest", &text) {
                found.push((read.intent, String::from_utf8_lossy(&text).into_owned()));
            }
        }
        Ok(found)
    }

    /// Says of every recommendation that nobody took up in time that it is over: what it says can be recommended anew then.
    async fn expire_due(&self, known: &[Known], now: Timestamp) -> Result<(), ReflectError> {
        for known in known.iter().filter(|known| known.is_open() && now >= known.proposal.expires_at) {
            self.move_unless_moved(known, Move::Expire, Vec::new()).await?;
        }
        Ok(())
    }

    /// Moves a recommendation on; not one that somebody has moved on since it was read. Whether it was moved.
    async fn move_unless_moved(
        &self,
        known: &Known,
        step: Move,
        evidence: Vec<Evidence>,
    ) -> Result<bool, ReflectError> {
        let name = step.label();
        match self.move_on(known, step, evidence, &Actor::system("feedback")).await {
            Ok(()) => Ok(true),
            Err(ReflectError::Commit(CommitError::Stale { .. })) => {
                let id = &known.proposal.recommendation.id;
                tracing::info!(recommendation = %id, step = name, "somebody moved a recommendation on first");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Judges every recommendation whose time of watching is over: realised against expected.
    async fn judge_due(&self, known: &[Known], now: Timestamp) -> Result<Vec<Value>, ReflectError> {
        let mut told = Vec::new();
        for known in known {
            let State::Verifying { since, until } = known.proposal.state else { continue };
            if now < until {
                continue;
            }
            let one = &known.proposal.recommendation;
            let (before, after) = match self.watched(one).await? {
                Some(component) => {
                    (self.shares(&component, one.from, one.to).await?, self.shares(&component, since, until).await?)
                }
                None => (Vec::new(), Vec::new()),
            };
            let benefit = one.benefits.iter().find(|benefit| benefit.unit == "ppm");
            let expected = benefit.map_or(0, |benefit| benefit.expected);
            let effect = judge(&before, &after, Better::Higher, expected);
            let step = match effect.verdict {
                Verdict::Realised => Move::Realise,
                Verdict::Missed | Verdict::Worse | Verdict::Unknown => Move::Miss,
            };
            let outcome = if effect.verdict == Verdict::Unknown { "not_measured" } else { step.label() };
            let metric = benefit.map_or_else(|| "availability".to_owned(), |benefit| benefit.name.clone());
            let evidence = vec![Evidence { expected, metric, realised: effect.shift.map(Into::into) }];
            let about = json!({
                "recommendation": one.id, "outcome": outcome, "expected_ppm": expected,
                "realised_ppm": effect.shift.map(|shift| json!({"estimate": shift.estimate, "low": shift.low, "high": shift.high})),
            });
            told.extend(self.move_unless_moved(known, step, evidence).await?.then_some(about));
        }
        Ok(told)
    }

    /// The component by which a recommendation is judged; none where its intent has none any more.
    async fn watched(&self, one: &Recommendation) -> Result<Option<ComponentId>, LedgerError> {
        match one.about() {
            Some(intent) => self.held_by(&intent).await,
            None => Ok(None),
        }
    }

    /// The share of good answers of each window of a component that had any, in millionths.
    async fn shares(&self, component: &ComponentId, from: Timestamp, to: Timestamp) -> Result<Vec<i64>, ReflectError> {
        let mut shares = Vec::new();
        let share = |window: &Window| {
            let good = window.requests.checked_sub(window.errors)?;
            i64::try_from(u128::from(good) * 1_000_000 / u128::from(window.requests.max(1))).ok()
        };
        let take = |one: WindowRecord| {
            shares.extend(Some(&one.window).filter(|window| window.requests > 0).and_then(share));
        };
        self.windows_between(component, from, to, take).await?;
        Ok(shares)
    }
}

/// The entries that make a recommendation: it is made, and can be approved from then on.
fn made(one: &Recommendation, at: Timestamp, by: &Principal) -> Vec<writ_core::Draft> {
    let Ok(digest) = writ_seal::digest_of(one) else { return Vec::new() };
    let author = Actor::human(&by.id);
    let made = Made { at, author: author.clone(), digest, expires_at: at.plus(STANDS), recommendation: one.clone() };
    let active = Moved { at, evidence: Vec::new(), recommendation: one.id.clone(), step: Move::Activate };
    let feedback = Actor::system("feedback");
    vec![FeedbackEvent::Made(Box::new(made)).draft(&author), FeedbackEvent::Moved(active).draft(&feedback)]
}

/// What the models say of an intent, with or without a patch, at the failure rate that was seen.
fn prediction(
    intent: &Intent,
    text: &str,
    platform: &Platform,
    history: &History,
    patch: Option<&Patch>,
) -> Option<Prediction> {
    let intent = match patch {
        Some(patch) => read_recorded_manifest("patched", patched(text, patch).ok()?.as_bytes()).ok()?.intent,
        None => intent.clone(),
    };
    let chosen = translate(&intent, platform).ok()?;
    let failures = history.incidents.iter().filter(|incident| incident.symptom == "down").count() as u64;
    let watched = history.to.since(history.from).as_secs() * u64::from(chosen.layout.count);
    let at = |mtbf_s: u64| {
        // The layout stays as it was chosen; only how often an instance fails is varied.
        let mut fixed = intent.clone();
        fixed.requirements.availability_ppb = None;
        fixed.requirements.min_instances = Some(chosen.layout.count);
        let mut varied = platform.clone();
        varied.instance_types.retain(|class| class.name == chosen.layout.instance_type.name);
        varied.instance_types.iter_mut().for_each(|class| class.mtbf_s = mtbf_s);
        translate(&fixed, &varied).ok().map(|found| found.predicted.availability_ppb / 1_000)
    };
    let (low, middle, high) = mtbf_interval(failures, watched, chosen.layout.instance_type.mtbf_s);
    Some(Prediction {
        availability_ppm: at(middle)?,
        availability: Interval { low: at(low)?, high: at(high)? },
        cost_cents: i64::try_from(chosen.predicted.cost_micros / 10_000).ok()?,
        level_percent: 90,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::Cause;
    use writ_core::{Digest, TraceId};
    use writ_feedback::Proposal;

    const MANIFEST: &str = include_str!("../../examples/deploy-web-001/intent.yaml");

    fn recommended(id: &str, kind: &str) -> Recommendation {
        let at = "2026-01-01T00:00:00Z";
        let one = json!({
            "approval_required": false, "benefits": [], "description": "look", "evidence": [], "from": at, "to": at, "id": id,
            "intent": "DEPLOY-WEB-001", "kind": kind, "priority": "low", "value_cents": 1,
        });
        serde_json::from_value(one).unwrap()
    }

    #[test]
    fn a_number_that_was_given_to_what_was_told_already_is_not_given_again() {
        let intent = read_recorded_manifest("intent.yaml", MANIFEST.as_bytes()).unwrap().intent;
        let proposal = Proposal {
            recommendation: recommended("OPT-004", "deployment_improvement"),
            author: Actor::system("test"),
            digest: Digest([0; 32]),
            expires_at: "2096-01-01T00:00:00Z".parse().unwrap(),
            state: State::Active,
        };
        let cause = Cause { trace: TraceId::of([1; 16]), event: None };
        let open = vec![Known { version: 2, proposal, cause }];
        let mut standing = Standing { next: 5, open };
        let found =
            vec![recommended("OPT-005", "deployment_improvement"), recommended("OPT-006", "self_healing_improvement")];
        let told: Vec<String> = standing.news(found, &intent).iter().map(|one| one.id.to_string()).collect();
        assert_eq!((told, standing.next), (vec!["OPT-006".to_owned()], 7));
    }
}
