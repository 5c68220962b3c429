//! `instance.ensure` and `instance.remove`.

use super::Fault;
use super::desk::Desk;
use super::files;
use super::order::{Command, InstanceWish, RemoveWish};
use super::provider::Inner;
use super::start::{Started, forget, healthy, start, stop};
use super::table::{Live, Slot, SlotRecord};
use crate::balance::BackendSetup;
use crate::launch::Order;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use writ_core::{Effect, Health};

/// Parameters that say how to start or stop, not what runs.
const PASSING: [&str; 4] = ["component", "drain_ms", "generation", "start_timeout_ms"];

/// How long a process that does not serve may take to end by itself.
const PATIENCE_MS: u64 = 500;

/// What runs, of all that was asked for.
fn lasting(params: &Value) -> Value {
    let mut lasting = params.clone();
    if let Some(fields) = lasting.as_object_mut() {
        PASSING.iter().for_each(|name| drop(fields.remove(*name)));
    }
    lasting
}

impl Inner {
    /// Brings a slot to the wanted generation: the new process serves and has the balancer's requests before the old one
    /// goes.
    pub(super) async fn ensure_instance(&self, effect: &Effect, wish: &InstanceWish) -> Result<Value, Fault> {
        let (component, slot) = (wish.component.as_str(), wish.slot.as_str());
        let desk = self.desk_of(component)?;
        let there = self.table.get(component, slot);
        if let Some(there) = &there {
            let ours = there.record.effect_key == effect.key.0;
            if there.record.generation > wish.generation && !there.alive() {
                return Err(Fault::Refused(format!(
                    "generation {} was started here and has ended; ask for that one or a later one",
                    there.record.generation
                )));
            }
            if there.record.generation >= wish.generation && there.alive() {
                return self.ensure_stands(there.clone(), &desk, wish, effect, ours).await;
            }
        }
        self.end_orphans(component, slot, &effect.key.0, there.as_ref()).await?;
        let mine = there.as_ref().is_some_and(|there| there.record.effect_key == effect.key.0);
        let (replaced, older) = match there {
            // A start of this very order that has died since; what it was to replace may still be there.
            Some(there) if mine => (None, there.record.replaces),
            Some(there) => (Some(there.clone()), Some(there.record.effect_key)),
            None => (None, None),
        };
        if let Some(old) = &replaced
            && wish.port != 0
            && old.alive()
        {
            // Both cannot have the one port: the old one goes first.
            self.table.leaving(component, slot);
            desk.remove(slot, Duration::from_millis(wish.drain_ms)).await?;
            self.end(&old.record.effect_key, old.live.as_deref(), wish.drain_ms).await?;
        }
        // What a dead or hung one had is lost anyway: nobody waits for it.
        let (drain, patience) = match &replaced {
            Some(old) if self.serves(&desk, old).await? => (wish.drain_ms, wish.drain_ms),
            Some(_) => (0, wish.drain_ms.min(PATIENCE_MS)),
            None => (0, wish.drain_ms),
        };
        let started = match self.start_instance(effect, wish).await {
            Ok(started) => started,
            Err(fault) => {
                forget(&self.places.instance(&effect.key.0)).await?;
                return Err(fault);
            }
        };
        let record = SlotRecord {
            address: started.address,
            component: component.to_owned(),
            effect_key: effect.key.0.clone(),
            generation: wish.generation,
            params: lasting(&effect.params),
            replaces: older.clone(),
            slot: slot.to_owned(),
            zone: wish.zone.clone(),
        };
        if let Err(fault) = desk.put(slot, &backend(&record), Duration::from_millis(drain)).await {
            return Err(self.undo_start(&desk, &started, &record, replaced.as_ref(), fault).await);
        }
        self.table.put(record.clone(), &started.live)?;
        if let Some(old) = older {
            let alive = Live::adopt(&self.places.instance(&old))?;
            self.end(&old, alive.as_ref(), patience).await?;
            self.table.amend(SlotRecord { replaces: None, ..record.clone() })?;
        }
        Ok(detail(&record, started.live.process.pid(), false))
    }

    /// What is asked for runs. Finishes what an attempt that was cut off had left to do.
    async fn ensure_stands(
        &self,
        there: Slot,
        desk: &Desk,
        wish: &InstanceWish,
        effect: &Effect,
        ours: bool,
    ) -> Result<Value, Fault> {
        let record = there.record;
        if record.generation == wish.generation && record.params != lasting(&effect.params) {
            return Err(Fault::Refused(format!(
                "generation {} runs with other parameters; ask for a higher generation to replace it",
                record.generation
            )));
        }
        let Some(live) = there.live else { return Err(Fault::Failed("it has just ended".to_owned())) };
        desk.put(&record.slot, &backend(&record), Duration::from_millis(wish.drain_ms)).await?;
        if let Some(old) = record.replaces.clone() {
            let alive = Live::adopt(&self.places.instance(&old))?;
            self.end(&old, alive.as_ref(), wish.drain_ms).await?;
            self.table.amend(SlotRecord { replaces: None, ..record.clone() })?;
        }
        Ok(detail(&record, live.process.pid(), !ours))
    }

    /// Whether it lives and the balancer's checks do not say otherwise.
    async fn serves(&self, desk: &Desk, slot: &Slot) -> Result<bool, Fault> {
        if !slot.alive() {
            return Ok(false);
        }
        let state = desk.state().await?;
        Ok(state.instances.get(&slot.record.slot).is_some_and(|reading| reading.health != Health::Failed))
    }

    async fn start_instance(&self, effect: &Effect, wish: &InstanceWish) -> Result<Started, Fault> {
        let dir = self.places.instance(&effect.key.0);
        let started = start(&self.config, &dir, self.instance_order(effect, wish)?).await?;
        let span = Duration::from_millis(wish.start_timeout_ms);
        if let Err(fault) = healthy(&started, &dir, &wish.health_path, span).await {
            stop(&started.live, &dir, Duration::ZERO).await?;
            return Err(fault);
        }
        Ok(started)
    }

    /// A start that cannot be completed leaves nothing behind, and its predecessor as it was.
    async fn undo_start(
        &self,
        desk: &Desk,
        started: &Started,
        record: &SlotRecord,
        old: Option<&Slot>,
        fault: Fault,
    ) -> Fault {
        let dir = self.places.instance(&record.effect_key);
        let undone = async {
            // The balancer may have heard of the new one although its answer was lost.
            match old.filter(|old| old.alive()) {
                Some(old) => drop(desk.put(&record.slot, &backend(&old.record), Duration::ZERO).await),
                None => drop(desk.remove(&record.slot, Duration::ZERO).await),
            }
            stop(&started.live, &dir, Duration::from_secs(1)).await?;
            forget(&dir).await
        };
        match undone.await {
            Ok(()) => fault,
            Err(left) => Fault::Unclear(format!("{fault}; and then: {left}")),
        }
    }

    fn instance_order(&self, effect: &Effect, wish: &InstanceWish) -> Result<Order, Fault> {
        let data = self.places.data(wish.component.as_str(), &wish.slot);
        files::make_dir(&data)?;
        let (program, args) = match &wish.command {
            Command::Named(_) => (self.config.program.clone(), self.config.faces.sample.clone()),
            Command::Words(words) => {
                let (program, args) =
                    words.split_first().ok_or_else(|| Fault::Refused("`command` is empty".to_owned()))?;
                (program.into(), args.to_vec())
            }
        };
        let mut env = wish.env.clone();
        let own = BTreeMap::from([
            ("WRIT_COMPONENT", wish.component.to_string()),
            ("WRIT_CPU_MILLICORES", wish.cpu_millicores.to_string()),
            ("WRIT_DATA_DIR", data.display().to_string()),
            ("WRIT_GENERATION", wish.generation.to_string()),
            ("WRIT_MEMORY_BYTES", wish.memory_bytes.to_string()),
            ("WRIT_SLOT", wish.slot.clone()),
            ("WRIT_ZONE", wish.zone.clone()),
        ]);
        let unset = |name: &&str| {
            (*name == "WRIT_CPU_MILLICORES" && wish.cpu_millicores == 0)
                || (*name == "WRIT_MEMORY_BYTES" && wish.memory_bytes == 0)
        };
        env.extend(own.into_iter().filter(|(name, _)| !unset(name)).map(|(name, value)| (name.to_owned(), value)));
        Ok(Order {
            attempt: 0,
            args,
            component: wish.component.to_string(),
            effect_key: effect.key.0.clone(),
            env,
            generation: wish.generation,
            host: self.zone_address(&wish.zone)?,
            port: wish.port,
            program,
            slot: wish.slot.clone(),
            starts_log: self.places.starts_log(),
        })
    }

    /// Each zone is a loopback address of its own, the same one for ever.
    fn zone_address(&self, zone: &str) -> Result<IpAddr, Fault> {
        let mut zones = super::provider::held(&self.zones);
        let known = zones.len();
        let number = match zones.get(zone) {
            Some(number) => *number,
            None => {
                let number = u8::try_from(known + 1).ok().filter(|number| *number < 255);
                let number = number
                    .ok_or_else(|| Fault::Refused(format!("there are {known} zones already; no more can be had")))?;
                zones.insert(zone.to_owned(), number);
                files::write_durable(&self.places.zones(), &*zones)?;
                number
            }
        };
        Ok(IpAddr::V4(Ipv4Addr::new(127, 0, 1, number)))
    }

    /// Takes a slot away: no new requests, what it has is finished, then its process.
    pub(super) async fn remove_instance(&self, effect: &Effect, wish: &RemoveWish) -> Result<Value, Fault> {
        let (component, slot) = (wish.component.as_str(), wish.slot.as_str());
        let Some(there) = self.table.get(component, slot) else { return Ok(json!({ "unchanged": true })) };
        self.table.leaving(component, slot);
        if let Some(balancer) = self.table.get(component, super::table::BALANCER)
            && balancer.alive()
        {
            let drain = if there.alive() { wish.drain_ms } else { 0 };
            self.desk(component).remove(slot, Duration::from_millis(drain)).await?;
        }
        // A balancer that is dead learns what there is when it is started again.
        if let Some(old) = &there.record.replaces {
            let alive = Live::adopt(&self.places.instance(old))?;
            self.end(old, alive.as_ref(), wish.drain_ms).await?;
        }
        let how = self.end(&there.record.effect_key, there.live.as_deref(), wish.drain_ms).await?;
        files::remove(&self.places.data(component, slot))?;
        self.table.remove(component, slot)?;
        tracing::info!(component, slot, key = %effect.key, "an instance was removed");
        Ok(json!({ "ended": how, "generation": there.record.generation }))
    }

    /// Ends a process and forgets its directory.
    pub(super) async fn end(&self, key: &str, live: Option<&Live>, drain_ms: u64) -> Result<String, Fault> {
        let dir = self.places.instance(key);
        let how = match live {
            Some(live) => stop(live, &dir, Duration::from_millis(drain_ms)).await?,
            None => "gone".to_owned(),
        };
        forget(&dir).await?;
        Ok(how)
    }
}

pub(super) fn backend(record: &SlotRecord) -> BackendSetup {
    BackendSetup { address: record.address, generation: record.generation, zone: record.zone.clone() }
}

fn detail(record: &SlotRecord, pid: i32, unchanged: bool) -> Value {
    json!({
        "address": record.address.to_string(), "generation": record.generation, "pid": pid,
        "slot": record.slot, "unchanged": unchanged, "zone": record.zone,
    })
}
