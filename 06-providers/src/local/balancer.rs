//! `balancer.ensure`, `balancer.remove`, and the documents that are kept for a component.

use super::Fault;
use super::desk::Desk;
use super::files;
use super::instance::backend;
use super::order::{BalancerWish, Setting, check_of};
use super::provider::Inner;
use super::start::{Started, forget, last_words, start, stop};
use super::table::{BALANCER, Live, SlotRecord};
use crate::balance::{self, BackendSetup, Check, Config, Setup};
use crate::launch::Order;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;
use writ_core::Effect;

/// How long a balancer that is replaced may take to end by itself.
const REPLACED_MS: u64 = 1_000;

/// How long a balancer may take until it answers.
const READY_MAX: Duration = Duration::from_secs(5);
/// How long a balancer may take to finish what it has when it is removed.
const REMOVED_MS: u64 = 5_000;

impl Inner {
    pub(super) fn desk(&self, component: &str) -> Desk {
        Desk::new(self.places.balancer(component))
    }

    /// The desk of a balancer that lives.
    pub(super) fn desk_of(&self, component: &str) -> Result<Desk, Fault> {
        match self.table.get(component, BALANCER) {
            Some(balancer) if balancer.alive() => Ok(self.desk(component)),
            Some(_) => {
                Err(Fault::Failed(format!("the balancer of `{component}` is dead; ensure `{component}/lb` first")))
            }
            None => Err(Fault::Failed(format!("`{component}` has no balancer; ensure `{component}/lb` first"))),
        }
    }

    /// The checks in force for a component.
    fn check_for(&self, component: &str) -> Result<Check, Fault> {
        let document: Option<Value> = files::read(&self.places.setting(component, Setting::Health.name()))?;
        Ok(document.as_ref().and_then(check_of).unwrap_or_default())
    }

    fn backends(&self, component: &str) -> BTreeMap<String, BackendSetup> {
        let instances = self.table.of(component).into_iter().filter(|slot| slot.record.slot != BALANCER);
        instances.map(|slot| (slot.record.slot.clone(), backend(&slot.record))).collect()
    }

    pub(super) async fn ensure_balancer(&self, effect: &Effect, wish: &BalancerWish) -> Result<Value, Fault> {
        let component = wish.component.as_str();
        let there = self.table.get(component, BALANCER);
        let fits = |record: &SlotRecord| wish.port == 0 || record.address.port() == wish.port;
        if let Some(there) = &there
            && there.alive()
            && fits(&there.record)
        {
            match self.push(component, wish).await {
                Ok(()) => return Ok(detail(&there.record, there.live.as_ref().map(|live| live.process.pid()), true)),
                // It lives and does not do its work: it is replaced like a dead one.
                Err(fault) => {
                    tracing::warn!(component, error = crate::http::chain(&fault), "a balancer does not answer")
                }
            }
        }
        self.end_orphans(component, BALANCER, &effect.key.0, there.as_ref()).await?;
        if let Some(old) = &there
            && old.record.effect_key != effect.key.0
        {
            self.table.leaving(component, BALANCER);
            self.end(&old.record.effect_key, old.live.as_deref(), REPLACED_MS).await?;
        }
        let dir = self.places.balancer(component);
        files::make_dir(&dir)?;
        let earlier: Option<Setup> = files::read(&balance::setup_path(&dir))?;
        let setup = Setup {
            backends: self.backends(component),
            bound: earlier.and_then(|earlier| earlier.bound),
            check: self.check_for(component)?,
            component: component.to_owned(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            policy: wish.policy,
            port: wish.port,
            scheme: wish.scheme.clone(),
        };
        files::write_durable(&balance::setup_path(&dir), &setup)?;
        let generation = there.map_or(0, |there| there.record.generation) + 1;
        let run_dir = self.places.instance(&effect.key.0);
        let started = start(&self.config, &run_dir, self.balancer_order(effect, &setup, generation)).await?;
        let bound = match self.ready(component, &started, &setup, effect).await {
            Ok(bound) => bound,
            Err(fault) => {
                stop(&started.live, &run_dir, Duration::ZERO).await?;
                forget(&run_dir).await?;
                return Err(fault);
            }
        };
        let record = SlotRecord {
            address: SocketAddr::new(setup.host, bound),
            component: component.to_owned(),
            effect_key: effect.key.0.clone(),
            generation,
            params: json!({ "policy": wish.policy, "port": wish.port, "scheme": wish.scheme, "type": wish.sort }),
            replaces: None,
            slot: BALANCER.to_owned(),
            zone: String::new(),
        };
        self.table.put(record.clone(), &started.live)?;
        Ok(detail(&record, Some(started.live.process.pid()), false))
    }

    fn balancer_order(&self, effect: &Effect, setup: &Setup, generation: u64) -> Order {
        let component = &setup.component;
        let mut args = self.config.faces.balance.clone();
        args.push(self.places.balancer(component).display().to_string());
        // It finds its own port, so that it can come back to the one it had.
        let (host, port) = (setup.host, 0);
        Order {
            attempt: 0,
            args,
            component: component.clone(),
            effect_key: effect.key.0.clone(),
            env: BTreeMap::new(),
            generation,
            host,
            port,
            program: self.config.program.clone(),
            slot: BALANCER.to_owned(),
            starts_log: self.places.starts_log(),
        }
    }

    /// Waits until it answers, and says on which port it serves. An earlier attempt may have left it with another setup.
    async fn ready(&self, component: &str, started: &Started, setup: &Setup, effect: &Effect) -> Result<u16, Fault> {
        let (desk, deadline) = (self.desk(component), Instant::now() + READY_MAX);
        let words = || last_words(&self.places.instance(&effect.key.0));
        loop {
            match desk.state().await {
                Ok(state) => {
                    desk.configure(&Config {
                        check: setup.check.clone(),
                        policy: setup.policy,
                        scheme: setup.scheme.clone(),
                    })
                    .await?;
                    self.sync(&desk, component, state.setup.backends).await?;
                    return state
                        .setup
                        .bound
                        .ok_or_else(|| Fault::Failed("it does not say where it listens".to_owned()));
                }
                Err(fault) if Instant::now() >= deadline => return Err(Fault::Failed(format!("{fault}{}", words()))),
                Err(_) => {}
            }
            if let Some(how) = started.live.exit.within(Duration::from_millis(5)).await {
                return Err(Fault::Failed(format!("the balancer ended while starting ({how}){}", words())));
            }
        }
    }

    /// Tells a balancer that lives what it should be.
    async fn push(&self, component: &str, wish: &BalancerWish) -> Result<(), Fault> {
        let desk = self.desk(component);
        let config = Config { check: self.check_for(component)?, policy: wish.policy, scheme: wish.scheme.clone() };
        desk.configure(&config).await?;
        let has = desk.state().await?.setup.backends;
        self.sync(&desk, component, has).await
    }

    /// Makes its instances the ones that there are.
    async fn sync(&self, desk: &Desk, component: &str, has: BTreeMap<String, BackendSetup>) -> Result<(), Fault> {
        let wanted = self.backends(component);
        for slot in has.keys().filter(|slot| !wanted.contains_key(*slot)) {
            desk.remove(slot, Duration::ZERO).await?;
        }
        for (slot, backend) in wanted {
            desk.put(&slot, &backend, Duration::ZERO).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_balancer(&self, component: &str) -> Result<Value, Fault> {
        let Some(there) = self.table.get(component, BALANCER) else { return Ok(json!({ "unchanged": true })) };
        self.table.leaving(component, BALANCER);
        let how = self.end(&there.record.effect_key, there.live.as_deref(), REMOVED_MS).await?;
        files::remove(&self.places.balancer(component))?;
        self.table.remove(component, BALANCER)?;
        Ok(json!({ "ended": how, "generation": there.record.generation }))
    }

    pub(super) async fn configure(&self, component: &str, setting: Setting, document: &Value) -> Result<Value, Fault> {
        files::write_durable(&self.places.setting(component, setting.name()), document)?;
        self.settings_changed(component, setting).await?;
        Ok(json!({ "setting": setting.name() }))
    }

    pub(super) async fn unset(&self, component: &str, setting: Setting) -> Result<Value, Fault> {
        files::remove(&self.places.setting(component, setting.name()))?;
        self.settings_changed(component, setting).await?;
        Ok(json!({ "setting": setting.name() }))
    }

    async fn settings_changed(&self, component: &str, setting: Setting) -> Result<(), Fault> {
        // A balancer that is dead or not there yet reads them when it is started.
        if setting != Setting::Health || self.desk_of(component).is_err() {
            return Ok(());
        }
        let desk = self.desk(component);
        let now = desk.state().await?.setup;
        desk.configure(&Config { check: self.check_for(component)?, policy: now.policy, scheme: now.scheme }).await
    }

    /// Ends what an earlier order started in this slot and never completed: a slot has one process.
    pub(super) async fn end_orphans(
        &self,
        component: &str,
        slot: &str,
        key: &str,
        there: Option<&super::table::Slot>,
    ) -> Result<(), Fault> {
        let known = |other: &str| {
            let held = |slot: &super::table::Slot| {
                slot.record.effect_key == other || slot.record.replaces.as_deref() == Some(other)
            };
            other == key || there.is_some_and(held)
        };
        for name in files::names(&self.places.instances())? {
            let dir = self.places.instances().join(name);
            let Some(order) = files::read::<Order>(&crate::launch::order_path(&dir))? else { continue };
            if order.component == component && order.slot == slot && !known(&order.effect_key) {
                let live = Live::adopt(&dir)?;
                self.end(&order.effect_key, live.as_ref(), 0).await?;
            }
        }
        Ok(())
    }
}

fn detail(record: &SlotRecord, pid: Option<i32>, unchanged: bool) -> Value {
    json!({ "address": record.address.to_string(), "generation": record.generation, "pid": pid, "unchanged": unchanged })
}
