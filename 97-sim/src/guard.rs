//! The world's own check of an order, whoever checked it before: what it remembers so as to refuse the old and the replayed.

use std::collections::BTreeMap;
use writ_core::{Effect, Permit, Timestamp};

/// What a permit or a nonce was used for: the effect's key and epoch.
type Use = (String, u64);

/// What must be remembered.
#[derive(Debug)]
pub(crate) struct Guard {
    gate_key: [u8; 32],
    /// The highest epoch seen, by resource.
    epochs: BTreeMap<String, u64>,
    redeemed: BTreeMap<String, Use>,
}

impl Guard {
    pub(crate) fn new(gate_key: [u8; 32]) -> Self {
        Self { gate_key, epochs: BTreeMap::new(), redeemed: BTreeMap::new() }
    }

    /// The permit, if the effect is one that may be carried out now. Changes nothing.
    pub(crate) fn check(&self, effect: &Effect, now: Timestamp) -> Result<Permit, String> {
        let permit = writ_seal::check_effect(effect, &self.gate_key, now).map_err(|refused| refused.to_string())?;
        let highest = self.epochs.get(&effect.resource).copied().unwrap_or(0);
        if effect.epoch < highest {
            return Err(format!("epoch {} is over: {highest} has been seen for this resource", effect.epoch));
        }
        for (name, what) in names(effect, &permit) {
            // The same order asked for again is no replay: it is answered with the first receipt.
            if let Some((key, epoch)) = self.redeemed.get(&name)
                && (key.as_str(), *epoch) != (effect.key.0.as_str(), effect.epoch)
            {
                return Err(format!("{what} was redeemed for effect `{key}`"));
            }
        }
        Ok(permit)
    }

    /// Checks and remembers, before anything is done.
    pub(crate) fn admit(&mut self, effect: &Effect, now: Timestamp) -> Result<(), String> {
        let permit = self.check(effect, now)?;
        self.epochs.insert(effect.resource.clone(), effect.epoch);
        for (name, _) in names(effect, &permit) {
            self.redeemed.insert(name, (effect.key.0.clone(), effect.epoch));
        }
        Ok(())
    }
}

fn names(effect: &Effect, permit: &Permit) -> [(String, &'static str); 2] {
    [
        (format!("permit:{}", permit.id), "the permit"),
        (format!("nonce:{}:{}", permit.agent_key, effect.redemption.nonce), "the nonce"),
    ]
}
