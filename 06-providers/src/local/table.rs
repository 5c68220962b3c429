//! What the provider has running: slots, their processes, and how those ended.

use super::files::{self, Places, StateError};
use super::process::{Exit, Process, Usage};
use crate::launch::{self, Spawn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The balancer's slot.
pub(crate) const BALANCER: &str = "lb";

/// What holds a slot, as its file keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SlotRecord {
    pub(crate) address: SocketAddr,
    pub(crate) component: String,
    /// The effect that started it, and the name of its directory.
    pub(crate) effect_key: String,
    pub(crate) generation: u64,
    /// The parameters it was started with, without those that only say how to start or stop.
    pub(crate) params: serde_json::Value,
    /// The effect key of the process it took over from, until that one is stopped.
    pub(crate) replaces: Option<String>,
    pub(crate) slot: String,
    pub(crate) zone: String,
}

/// A process of ours that was seen alive.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) process: Process,
    pub(crate) exit: Exit,
}

impl Live {
    /// The process that this launch directory tells of, if it lives.
    pub(crate) fn adopt(dir: &std::path::Path) -> Result<Option<Self>, StateError> {
        let Some(spawn) = files::read::<Spawn>(&launch::spawn_path(dir))? else { return Ok(None) };
        let Some(process) = Process::open(&spawn.identity) else { return Ok(None) };
        let exit = process.watch().map_err(|source| StateError {
            doing: "watch the process of",
            path: dir.to_owned(),
            source,
        })?;
        Ok(Some(Self { process, exit }))
    }

    pub(crate) fn alive(&self) -> bool {
        self.exit.seen().is_none() && !self.process.ended()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.exit.give_up();
    }
}

/// A slot: who holds it, and its process unless that was dead when it was looked for.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) record: SlotRecord,
    pub(crate) live: Option<Arc<Live>>,
    /// Its end is wanted: nobody needs to be told.
    pub(crate) leaving: bool,
}

impl Slot {
    pub(crate) fn alive(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.alive())
    }

    /// How its process ended; none while it lives.
    pub(crate) fn ended(&self) -> Option<String> {
        match &self.live {
            None => Some("gone".to_owned()),
            Some(live) => live.exit.seen(),
        }
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        self.live.as_ref()?.process.usage()
    }
}

/// Component and slot.
type Name = (String, String);

pub(crate) struct Table {
    places: Places,
    slots: Mutex<BTreeMap<Name, Slot>>,
    /// Woken when a process has ended or a slot has changed.
    pub(crate) changed: Arc<Notify>,
}

impl Table {
    /// Takes up everything that an earlier controller left running.
    pub(crate) fn open(places: &Places) -> Result<Self, StateError> {
        let mut slots = BTreeMap::new();
        for component in files::names(&places.components())? {
            let dir: PathBuf = places.components().join(component).join("slots");
            for name in files::names(&dir)?.into_iter().filter(|name| name.ends_with(".json")) {
                let Some(record) = files::read::<SlotRecord>(&dir.join(name))? else { continue };
                let live = Live::adopt(&places.instance(&record.effect_key))?.map(Arc::new);
                slots.insert((record.component.clone(), record.slot.clone()), Slot { record, live, leaving: false });
            }
        }
        let table = Self { places: places.clone(), slots: Mutex::new(slots), changed: Arc::new(Notify::new()) };
        table.slots().values().filter_map(|slot| slot.live.clone()).for_each(|live| table.wake_at_end_of(&live));
        Ok(table)
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Name, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_at_end_of(&self, live: &Arc<Live>) {
        let (exit, changed) = (live.exit.clone(), self.changed.clone());
        tokio::spawn(async move {
            exit.wait().await;
            changed.notify_waiters();
        });
    }

    pub(crate) fn get(&self, component: &str, slot: &str) -> Option<Slot> {
        self.slots().get(&(component.to_owned(), slot.to_owned())).cloned()
    }

    /// The slots of a component, the balancer's among them.
    pub(crate) fn of(&self, component: &str) -> Vec<Slot> {
        self.slots().values().filter(|slot| slot.record.component == component).cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<Slot> {
        self.slots().values().cloned().collect()
    }

    /// Puts a process into its slot; on disk when this returns.
    pub(crate) fn put(&self, record: SlotRecord, live: &Arc<Live>) -> Result<(), StateError> {
        files::write_durable(&self.places.slot(&record.component, &record.slot), &record)?;
        let name = (record.component.clone(), record.slot.clone());
        self.slots().insert(name, Slot { record, live: Some(live.clone()), leaving: false });
        self.wake_at_end_of(live);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Keeps another record for the process that is in the slot.
    pub(crate) fn amend(&self, record: SlotRecord) -> Result<(), StateError> {
        files::write_durable(&self.places.slot(&record.component, &record.slot), &record)?;
        if let Some(slot) = self.slots().get_mut(&(record.component.clone(), record.slot.clone())) {
            slot.record = record;
        }
        Ok(())
    }

    /// From now on its end is wanted.
    pub(crate) fn leaving(&self, component: &str, slot: &str) {
        if let Some(slot) = self.slots().get_mut(&(component.to_owned(), slot.to_owned())) {
            slot.leaving = true;
        }
    }

    pub(crate) fn remove(&self, component: &str, slot: &str) -> Result<(), StateError> {
        files::remove(&self.places.slot(component, slot))?;
        self.slots().remove(&(component.to_owned(), slot.to_owned()));
        self.changed.notify_waiters();
        Ok(())
    }
}
