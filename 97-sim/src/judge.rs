//! The judge: what really happened in the world, held against what the journal says.

use crate::{Site, gate_key};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use writ_core::{Digest, EffectKey, Entry, Ledger, LedgerError, RunId, SealedPermit, Signer as _, Timestamp};
use writ_pipeline::{Trust, verify};

/// A start of a step as the journal has it.
struct Start {
    at: Timestamp,
    epoch: u64,
    key: EffectKey,
    resource: String,
    /// Run, step and leg.
    step: (String, String, String),
    permit: Option<Digest>,
    decision: Option<Digest>,
}

/// Everything that does not hold of a site; empty when all does:
/// the journal verifies; no effect was carried out twice under one key; no resource was changed at a lower epoch after a
/// higher; no effect happened without a decision and a permit that were recorded before it; every step that a run counts as
/// done was done once; no order was taken twice; and what a live run has in memory is what its entries say.
///
/// # Errors
/// When the journal cannot be read at all.
pub async fn judge(site: &Site) -> Result<Vec<String>, LedgerError> {
    let mut found = Vec::new();
    if let Err(error) = verify(&**site.ledger(), &Trust::default()).await {
        found.push(format!("the journal does not verify: {error}"));
    }
    let mut entries = Vec::new();
    for stored in site.ledger().entries(0, usize::MAX).await? {
        entries.push(writ_pipeline::decode(&stored)?);
    }
    let starts: Vec<Start> = entries.iter().filter_map(start).collect();
    once_each(site, &mut found);
    taken_once(&entries, &mut found);
    epochs(site, &starts, &mut found);
    permitted(site, &starts, &mut found).await?;
    runs(site, &entries, &starts, &mut found).await;
    Ok(found)
}

fn start(entry: &Entry) -> Option<Start> {
    if entry.kind != "run.step_started/1" {
        return None;
    }
    let text = |pointer: &str| entry.body.pointer(pointer).and_then(Value::as_str);
    let digest = |pointer: &str| text(pointer).and_then(|text| text.parse().ok());
    Some(Start {
        at: entry.timestamp,
        epoch: entry.body.get("epoch")?.as_u64()?,
        key: EffectKey(text("/effect_key")?.to_owned()),
        resource: entry.resource.clone(),
        step: (text("/run")?.to_owned(), text("/step/key")?.to_owned(), text("/step/leg")?.to_owned()),
        permit: digest("/attachments/permit"),
        decision: digest("/attachments/decision"),
    })
}

fn once_each(site: &Site, found: &mut Vec<String>) {
    let mut times: BTreeMap<EffectKey, u32> = BTreeMap::new();
    for deed in site.world.deeds() {
        *times.entry(deed.key).or_default() += 1;
    }
    found.extend(times.iter().filter(|(_, n)| **n > 1).map(|(key, n)| format!("`{key}` was carried out {n} times")));
}

/// Orders that somebody outside carries out are taken at most once each.
fn taken_once(entries: &[Entry], found: &mut Vec<String>) {
    let mut taken = BTreeSet::new();
    for ticket in entries.iter().filter_map(taken_ticket) {
        if !taken.insert(ticket) {
            found.push(format!("the order of `{ticket}` was taken twice"));
        }
    }
}

/// The ticket whose order an entry says was taken.
fn taken_ticket(entry: &Entry) -> Option<&str> {
    entry.body.get("ticket").filter(|_| entry.kind == "outside.claimed/1")?.as_str()
}

fn epochs(site: &Site, starts: &[Start], found: &mut Vec<String>) {
    let mut highest: BTreeMap<String, u64> = BTreeMap::new();
    for deed in site.world.deeds() {
        let before = highest.insert(deed.resource.clone(), deed.epoch).unwrap_or(0);
        if deed.epoch < before {
            found.push(format!("`{}` was changed at epoch {} after {before}", deed.resource, deed.epoch));
        }
    }
    let mut issued: BTreeMap<&str, u64> = BTreeMap::new();
    for start in starts {
        let before = issued.insert(&start.resource, start.epoch).unwrap_or(0);
        if start.epoch <= before {
            found.push(format!("epoch {} of `{}` was issued after {before}", start.epoch, start.resource));
        }
    }
}

/// Every deed rests on a start that was recorded before it, with a permit of the gate and a decision that does not deny.
async fn permitted(site: &Site, starts: &[Start], found: &mut Vec<String>) -> Result<(), LedgerError> {
    for deed in site.world.deeds() {
        let says = format!("`{}` on `{}` at epoch {}", deed.verb, deed.resource, deed.epoch);
        let start = starts.iter().find(|start| start.key == deed.key && start.epoch == deed.epoch);
        let Some(start) = start.filter(|start| start.at <= deed.at && start.resource == deed.resource) else {
            found.push(format!("{says} happened without a start that was recorded before it"));
            continue;
        };
        if let Some(because) = unpermitted(site, start, &deed).await? {
            found.push(format!("{says}: {because}"));
        }
    }
    Ok(())
}

async fn unpermitted(site: &Site, start: &Start, deed: &crate::Deed) -> Result<Option<String>, LedgerError> {
    let (Some(permit), Some(decision)) = (start.permit, start.decision) else {
        return Ok(Some("its start names no permit and decision".to_owned()));
    };
    let (Some(permit), Some(bytes)) =
        (site.ledger().attachment(&permit).await?, site.ledger().attachment(&decision).await?)
    else {
        return Ok(Some("its permit or decision is not kept".to_owned()));
    };
    let sealed = SealedPermit(String::from_utf8_lossy(&permit).into_owned());
    let permit = match writ_seal::open_permit(&sealed, &gate_key().public_key()) {
        Ok(permit) => permit,
        Err(error) => return Ok(Some(format!("its permit does not hold: {error}"))),
    };
    let agrees = permit.effect == deed.key && permit.resource == deed.resource && permit.action == deed.verb;
    if !agrees || permit.epoch != deed.epoch || permit.decision != decision {
        return Ok(Some("its permit is for something else".to_owned()));
    }
    if writ_seal::sha256(&bytes) != decision {
        return Ok(Some("its decision is another one than was signed for".to_owned()));
    }
    let decision: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let answer = decision.pointer("/verdict/decision/decision").and_then(Value::as_str);
    Ok(match answer {
        Some("allow" | "require_approval") => None,
        other => Some(format!("its decision is {}", other.unwrap_or("missing"))),
    })
}

async fn runs(site: &Site, entries: &[Entry], starts: &[Start], found: &mut Vec<String>) {
    let deeds = site.world.deeds();
    let done = |key: &EffectKey| deeds.iter().filter(|deed| deed.key == *key).count();
    for entry in entries.iter().filter(|entry| entry.kind == "run.submitted/1") {
        let Some(id) = entry.stream.strip_prefix("run/").and_then(|id| id.parse::<RunId>().ok()) else { continue };
        let drive = site.pipeline().drive();
        let (live, recorded) = match (drive.run(&id).await, drive.recorded(&id).await) {
            (Ok((live, _)), Ok(recorded)) => (live, recorded),
            (Err(error), _) | (_, Err(error)) => {
                found.push(format!("{id} cannot be folded: {error}"));
                continue;
            }
        };
        if *live != recorded {
            found.push(format!(
                "{id} is {} in memory and {} as recorded",
                live.state().name(),
                recorded.state().name()
            ));
        }
        for (step, cell) in recorded.steps() {
            let leg = match cell.state.name() {
                "succeeded" => "do",
                "undone" => "undo",
                _ => continue,
            };
            let of = (id.to_string(), step.key.to_string(), leg.to_owned());
            let keys: BTreeSet<&EffectKey> = starts.iter().filter(|one| one.step == of).map(|one| &one.key).collect();
            // What somebody outside does is done by whoever took the order.
            let ticket = cell.ticket.as_ref().map(|ticket| ticket.id.to_string());
            let taken =
                entries.iter().filter(|entry| taken_ticket(entry).is_some_and(|of| Some(of) == ticket.as_deref()));
            let times: usize = keys.iter().map(|key| done(key)).sum::<usize>() + taken.count();
            // A person's word that it happened stands where nobody else could tell.
            let by_word = entries.iter().any(|entry| {
                entry.kind == "run.step_resolved/1"
                    && entry.stream == format!("run/{id}")
                    && entry.body.pointer("/step/key") == Some(&Value::String(step.key.to_string()))
            });
            if times != 1 && !by_word {
                let name = recorded.state().name();
                found.push(format!("{id} ({name}): `{}` of `{}` happened {times} times", leg, step.resource));
            }
        }
    }
}
