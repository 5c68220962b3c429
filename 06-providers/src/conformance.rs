//! What every provider must do, as a suite that runs against each of them.
//!
//! A provider's tests fill in a [`Stage`] and call [`check`]; the answer is a list of broken rules, empty when it conforms.

use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use writ_core::{
    AgentId, Clock, ComponentId, Digest, Effect, EffectClass, EffectKey, Permit, PermitId, Probe, Provider,
    ProviderError, SealedPermit, Signer, TicketId,
};
use writ_seal::{Key, digest_of, seal_permit, sign_redemption};

/// Signs orders as gate and agent would.
pub struct Issuer {
    gate: Key,
    agent: Key,
    clock: Arc<dyn Clock>,
    count: AtomicU64,
}

/// How an order differs from a sound one.
pub type Bend<'a> = &'a dyn Fn(&mut Permit);

impl Issuer {
    /// An issuer with keys made from these seeds.
    #[must_use]
    pub fn new(gate_seed: [u8; 32], agent_seed: [u8; 32], clock: Arc<dyn Clock>) -> Self {
        let (gate, agent) = (Key::from_seed("gate", &gate_seed), Key::from_seed("agent", &agent_seed));
        Self { gate, agent, clock, count: AtomicU64::new(1) }
    }

    /// The public key that providers must be opened with.
    #[must_use]
    pub fn gate_key(&self) -> [u8; 32] {
        self.gate.public_key()
    }

    /// A sound order; every call has a permit and a nonce of its own.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn order(&self, verb: &str, resource: &str, params: Value, key: &str, epoch: u64) -> Result<Effect, String> {
        self.bent(verb, resource, params, key, epoch, &|_| {})
    }

    /// An order whose permit was changed before it was signed.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn bent(
        &self,
        verb: &str,
        resource: &str,
        params: Value,
        key: &str,
        epoch: u64,
        bend: Bend<'_>,
    ) -> Result<Effect, String> {
        let said = |error: &dyn std::error::Error| crate::http::chain(error);
        let (now, count) = (self.clock.now(), self.count.fetch_add(1, Relaxed));
        let mut chance = [0; 10];
        chance[2..].copy_from_slice(&count.to_be_bytes());
        let mut permit = Permit {
            action: verb.to_owned(),
            agent: AgentId::try_from("conformance-agent".to_owned()).map_err(|error| said(&error))?,
            agent_key: self.agent.public_hex(),
            decision: Digest([7; 32]),
            effect: EffectKey(key.to_owned()),
            epoch,
            expires_at: now.plus(Duration::from_secs(60)),
            id: PermitId::mint(now.millis(), chance),
            issued_at: now,
            params: digest_of(&params).map_err(|error| said(&error))?,
            resource: resource.to_owned(),
            ticket: TicketId::mint(now.millis(), chance),
        };
        bend(&mut permit);
        let sealed = seal_permit(&permit, &self.gate).map_err(|error| said(&error))?;
        self.redeem(sealed, verb, resource, params, key, epoch, count)
    }

    #[expect(clippy::too_many_arguments, reason = "an order has that many parts, and tests bend each of them")]
    fn redeem(
        &self,
        permit: SealedPermit,
        verb: &str,
        resource: &str,
        params: Value,
        key: &str,
        epoch: u64,
        count: u64,
    ) -> Result<Effect, String> {
        let key = EffectKey(key.to_owned());
        let mut nonce = [0; 16];
        nonce[8..].copy_from_slice(&count.to_be_bytes());
        let redemption =
            sign_redemption(&permit, &key, epoch, nonce, &self.agent).map_err(|error| crate::http::chain(&error))?;
        Ok(Effect { epoch, key, params, permit, redemption, resource: resource.to_owned(), verb: verb.to_owned() })
    }

    /// The same permit with a new redemption, as an agent makes it that asks once more.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn again(&self, effect: &Effect) -> Result<Effect, String> {
        let count = self.count.fetch_add(1, Relaxed);
        let Effect { epoch, key, params, permit, resource, verb, .. } = effect.clone();
        self.redeem(permit, &verb, &resource, params, &key.0, epoch, count)
    }
}

/// The ground on which the suite plays: one world, and controllers over it.
#[async_trait]
pub trait Stage: Send + Sync {
    /// A provider over the stage's world. The one before, if any, was dropped, as if its controller had been killed.
    async fn open(&self) -> Arc<dyn Provider>;
    /// Who signs.
    fn issuer(&self) -> &Issuer;
    /// A component that is nobody else's.
    fn component(&self) -> ComponentId;
    /// Parameters of `balancer.ensure`.
    fn balancer(&self) -> Value;
    /// Parameters of `instance.ensure` for this slot and generation.
    fn instance(&self, slot: &str, generation: u64) -> Value;
    /// Parameters of `instance.remove`.
    fn removal(&self, slot: &str) -> Value;
    /// How often each effect was really carried out, as somebody outside the controller counts it: keys, one for each deed.
    async fn deeds(&self) -> Vec<String>;
}

/// A rule that a provider breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {because}")]
pub struct Broken {
    /// The rule.
    pub rule: &'static str,
    /// What was seen in its place.
    pub because: String,
}

struct Suite<'a> {
    stage: &'a dyn Stage,
    broken: Vec<Broken>,
}

/// Runs the suite and tells which rules are broken.
pub async fn check(stage: &dyn Stage) -> Vec<Broken> {
    let mut suite = Suite { stage, broken: Vec::new() };
    if let Err(because) = suite.run().await {
        suite.broken.push(Broken { rule: "the suite runs to its end", because });
    }
    suite.broken
}

fn told(error: &ProviderError) -> String {
    error.to_string()
}

impl Suite<'_> {
    fn rule(&mut self, rule: &'static str, holds: bool, seen: impl std::fmt::Debug) {
        if !holds {
            self.broken.push(Broken { rule, because: format!("{seen:?}") });
        }
    }

    async fn deeds(&self, key: &str) -> usize {
        self.stage.deeds().await.iter().filter(|deed| *deed == key).count()
    }

    async fn run(&mut self) -> Result<(), String> {
        let provider = self.stage.open().await;
        self.verbs(provider.as_ref());
        self.begin(provider.as_ref()).await?;
        self.twice(&provider).await?;
        self.refusals(provider.as_ref()).await?;
        drop(provider);
        let provider = self.stage.open().await;
        self.after_a_restart(provider.as_ref()).await?;
        self.removal(provider.as_ref()).await
    }

    fn verbs(&mut self, provider: &dyn Provider) {
        let verbs = provider.verbs();
        for verb in ["balancer.ensure", "balancer.remove", "instance.ensure", "instance.remove"] {
            let class = verbs.get(verb);
            self.rule(
                "the common verbs are known, and none of them is opaque",
                class.is_some_and(|class| *class != EffectClass::Opaque),
                (verb, class),
            );
        }
    }

    fn order(&self, verb: &str, slot: &str, params: Value, key: &str, epoch: u64) -> Result<Effect, String> {
        self.stage.issuer().order(verb, &format!("{}/{slot}", self.stage.component()), params, key, epoch)
    }

    async fn begin(&mut self, provider: &dyn Provider) -> Result<(), String> {
        let balancer = self.order("balancer.ensure", "lb", self.stage.balancer(), "cf_lb", 1)?;
        provider.perform(&balancer).await.map_err(|error| told(&error))?;
        let key = EffectKey("cf_i1".to_owned());
        let resource = format!("{}/i-1", self.stage.component());
        let before = provider.probe(&key, "instance.ensure", &resource).await;
        self.rule("an effect nobody asked for is absent", before == Probe::Absent, &before);
        let params = self.stage.instance("i-1", 1);
        let instance =
            self.stage.issuer().bent("instance.ensure", &resource, params, "cf_i1", 3, &|it| it.id = first_permit())?;
        let receipt = provider.perform(&instance).await.map_err(|error| told(&error))?;
        self.rule("a first receipt is not a repeated one", !receipt.repeated && receipt.key == key, &receipt);
        let after = provider.probe(&key, "instance.ensure", &resource).await;
        self.rule(
            "an effect that was carried out has happened",
            matches!(&after, Probe::Happened(found) if found.detail == receipt.detail),
            &after,
        );
        let world = provider.observe(&self.stage.component()).await.map_err(|error| told(&error))?;
        let seen = world.resources.get(&resource).and_then(|document| document.get("health")).cloned();
        self.rule("what serves is observed as healthy", seen == Some(Value::from("healthy")), seen);
        Ok(())
    }

    async fn twice(&mut self, provider: &Arc<dyn Provider>) -> Result<(), String> {
        let first = self.order("instance.ensure", "i-1", self.stage.instance("i-1", 1), "cf_i1", 3)?;
        let repeated = provider.perform(&first).await.map_err(|error| told(&error))?;
        self.rule("a repeated key gives the first receipt again", repeated.repeated, &repeated);
        let wish = || self.order("instance.ensure", "i-2", self.stage.instance("i-2", 1), "cf_i2", 1);
        let (one, other) = (wish()?, wish()?);
        let (left, right) = (provider.clone(), provider.clone());
        let (one, other) = (
            tokio::spawn(async move { left.perform(&one).await }),
            tokio::spawn(async move { right.perform(&other).await }),
        );
        for outcome in [one.await, other.await] {
            let outcome = outcome.map_err(|error| error.to_string())?;
            self.rule("both who ask for one key at once get a receipt", outcome.is_ok(), &outcome);
        }
        let deeds = self.deeds("cf_i2").await;
        self.rule("what two ask for at once under one key is done once", deeds == 1, deeds);
        Ok(())
    }

    /// Nothing of this may be done, and each is refused with a reason, not failed.
    async fn refusals(&mut self, provider: &dyn Provider) -> Result<(), String> {
        let before = self.stage.deeds().await.len();
        for (name, effect) in attacks(self.stage)? {
            let outcome = provider.perform(&effect).await;
            self.rule(
                "a senseless or forged order is refused",
                matches!(outcome, Err(ProviderError::Refused { .. })),
                (name, &outcome),
            );
        }
        let after = self.stage.deeds().await.len();
        self.rule("a refused order changes nothing", before == after, (before, after));
        Ok(())
    }

    async fn after_a_restart(&mut self, provider: &dyn Provider) -> Result<(), String> {
        let resource = format!("{}/i-1", self.stage.component());
        let world = provider.observe(&self.stage.component()).await.map_err(|error| told(&error))?;
        let seen = world.resources.get(&resource).and_then(|document| document.get("health")).cloned();
        self.rule(
            "what ran before a restart of the controller runs after it",
            seen == Some(Value::from("healthy")),
            seen,
        );
        let again = self.order("instance.ensure", "i-1", self.stage.instance("i-1", 1), "cf_i1", 3)?;
        let receipt = provider.perform(&again).await.map_err(|error| told(&error))?;
        self.rule("receipts outlive the controller", receipt.repeated, &receipt);
        let low = self.order("instance.ensure", "i-1", self.stage.instance("i-1", 2), "cf_low", 2)?;
        let outcome = provider.perform(&low).await;
        self.rule(
            "the epoch's mark outlives the controller",
            matches!(outcome, Err(ProviderError::Refused { .. })),
            &outcome,
        );
        let deeds = self.deeds("cf_i1").await;
        self.rule("a restart of the controller does nothing twice", deeds == 1, deeds);
        let next = self.order("instance.ensure", "i-1", self.stage.instance("i-1", 2), "cf_i1_2", 4)?;
        let receipt = provider.perform(&next).await.map_err(|error| told(&error))?;
        self.rule("a higher generation takes the place of a lower one", !receipt.repeated, &receipt);
        let world = provider.observe(&self.stage.component()).await.map_err(|error| told(&error))?;
        let seen = world.resources.get(&resource).and_then(|document| document.get("generation")).cloned();
        self.rule("the world shows the generation that runs", seen == Some(Value::from(2)), seen);
        Ok(())
    }

    async fn removal(&mut self, provider: &dyn Provider) -> Result<(), String> {
        for slot in ["i-1", "i-2"] {
            let effect =
                self.order("instance.remove", slot, self.stage.removal(slot), &format!("cf_remove_{slot}"), 9)?;
            provider.perform(&effect).await.map_err(|error| told(&error))?;
        }
        let effect = self.order("instance.remove", "i-1", self.stage.removal("i-1"), "cf_remove_again", 9)?;
        let outcome = provider.perform(&effect).await;
        self.rule("removing what is not there is done already", outcome.is_ok(), &outcome);
        let params = serde_json::json!({ "component": self.stage.component() });
        let effect = self.order("balancer.remove", "lb", params, "cf_remove_lb", 9)?;
        provider.perform(&effect).await.map_err(|error| told(&error))?;
        let world = provider.observe(&self.stage.component()).await.map_err(|error| told(&error))?;
        self.rule("what was removed is not observed", world.resources.is_empty(), world.resources.keys());
        Ok(())
    }
}

/// The id of the permit under which the suite's first instance is made.
fn first_permit() -> PermitId {
    PermitId::mint(1, [5; 10])
}

/// Orders that no provider may carry out, each by a name that says what is wrong with it. They suppose that `i-1` stands at
/// epoch 3 under the key `cf_i1`.
///
/// # Errors
/// When they cannot be signed.
pub fn attacks(stage: &dyn Stage) -> Result<Vec<(&'static str, Effect)>, String> {
    let (issuer, component) = (stage.issuer(), stage.component());
    let (verb, resource) = ("instance.ensure", format!("{component}/i-1"));
    let params = || stage.instance("i-1", 2);
    let sound = |key: &str| issuer.order(verb, &resource, params(), key, 5);
    let bent = |key: &str, bend: Bend<'_>| issuer.bent(verb, &resource, params(), key, 5, bend);
    let changed = |key: &str, change: &dyn Fn(&mut Effect)| {
        sound(key).map(|mut effect| {
            change(&mut effect);
            effect
        })
    };
    let stranger = Issuer::new([66; 32], [67; 32], issuer.clock.clone());
    let thief = Issuer {
        gate: Key::from_seed("gate", &[0; 32]),
        agent: Key::from_seed("thief", &[67; 32]),
        clock: issuer.clock.clone(),
        count: AtomicU64::new(1 << 40),
    };
    let mut widened = params();
    widened["zone"] = Value::from("elsewhere");
    let other = sound("cf_a_other")?;
    let mut list = vec![
        ("no permit at all", changed("cf_a1", &|it| it.permit = SealedPermit(String::new()))?),
        ("a permit that is no envelope", changed("cf_a2", &|it| it.permit = SealedPermit("{}".to_owned()))?),
        ("a permit by another gate", stranger.order(verb, &resource, params(), "cf_a3", 5)?),
        (
            "a permit with a byte changed",
            changed("cf_a4", &|it| it.permit = SealedPermit(it.permit.0.replacen("eyJ", "eyK", 1)))?,
        ),
        ("an expired permit", bent("cf_a5", &|it| it.expires_at = it.issued_at)?),
        (
            "a permit that is not yet valid",
            bent("cf_a6", &|it| it.issued_at = it.issued_at.plus(Duration::from_secs(30)))?,
        ),
        ("a permit for another action", bent("cf_a7", &|it| it.action = "instance.remove".to_owned())?),
        ("a permit for another resource", bent("cf_a8", &|it| it.resource = "another/i-1".to_owned())?),
        ("a permit for other parameters", changed("cf_a9", &|it| it.params = widened.clone())?),
        ("a permit for another effect", changed("cf_a10", &|it| it.key = EffectKey("cf_a_else".to_owned()))?),
        ("a permit of another epoch", changed("cf_a11", &|it| it.epoch = 6)?),
        ("somebody else's redemption", changed("cf_a12", &|it| it.redemption = other.redemption.clone())?),
        ("a redemption that is no signature", changed("cf_a13", &|it| it.redemption.signature = "00".repeat(64))?),
        ("a redemption with another nonce", changed("cf_a14", &|it| it.redemption.nonce = "ab".repeat(16))?),
        ("an agent with another key", {
            let effect = sound("cf_a15")?;
            thief.again(&effect)?
        }),
        ("a permit that names no key", bent("cf_a16", &|it| it.agent_key = "none".to_owned())?),
        ("an epoch that is over", issuer.order(verb, &resource, params(), "cf_a17", 2)?),
        ("a key that was used for other parameters", issuer.order(verb, &resource, params(), "cf_i1", 5)?),
        // A gate that signs one id twice is broken; a provider does not rely on it.
        ("a permit id that was used for another effect", bent("cf_a19", &|it| it.id = first_permit())?),
        // The suite's first order has the first nonce.
        ("a nonce that was used for another effect", {
            let effect = sound("cf_a20n")?;
            issuer.redeem(effect.permit, verb, &resource, params(), "cf_a20n", 5, 1)?
        }),
        ("an unknown verb", issuer.order("instance.explode", &resource, params(), "cf_a20", 5)?),
        ("parameters about another resource", issuer.order(verb, &resource, stage.instance("i-2", 2), "cf_a21", 5)?),
        ("parameters that are no map", issuer.order(verb, &resource, Value::from("i-1"), "cf_a22", 5)?),
        ("a key that is no name", issuer.order(verb, &resource, params(), "../../cf_a23", 5)?),
        ("an empty key", issuer.order(verb, &resource, params(), "", 5)?),
    ];
    let mut unknown = params();
    unknown["shell"] = Value::from("rm -rf /");
    list.push(("an unknown parameter", issuer.order(verb, &resource, unknown, "cf_a25", 5)?));
    let mut zero = params();
    zero["generation"] = Value::from(0);
    list.push(("generation zero", issuer.order(verb, &resource, zero, "cf_a26", 5)?));
    let path = format!("{component}/../x");
    let mut outside = params();
    outside["slot"] = Value::from("../x");
    list.push(("a slot that leaves its directory", issuer.order(verb, &path, outside, "cf_a27", 5)?));
    Ok(list)
}
