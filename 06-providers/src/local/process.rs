//! One process of the machine, held by a descriptor and never by its number.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

/// The variable by which a process, and what it starts, can be told to be ours.
pub(crate) const LAUNCH_DIR: &str = "WRIT_LAUNCH_DIR";

/// Which process it is: a number alone may come to mean another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) boot_id: String,
    pub(crate) pid: i32,
    pub(crate) start_ticks: u64,
}

/// What `/proc/<pid>/stat` says.
struct Stat {
    zombie: bool,
    cpu_ticks: u64,
    start_ticks: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in parentheses and may hold anything; fields are counted from behind the last one.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    Some(Stat {
        zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
        cpu_ticks: number(11)? + number(12)?,
        start_ticks: number(19)?,
    })
}

fn boot_id() -> Option<String> {
    Some(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

impl Identity {
    /// This process.
    pub(crate) fn own() -> Option<Self> {
        let pid = i32::try_from(std::process::id()).ok()?;
        Some(Self { boot_id: boot_id()?, pid, start_ticks: stat(pid)?.start_ticks })
    }
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time in microseconds.
    pub(crate) cpu_micros: u64,
    /// Resident memory in bytes.
    pub(crate) memory_bytes: u64,
}

/// A process that was found to be the one that was meant.
#[derive(Debug)]
pub(crate) struct Process {
    identity: Identity,
    fd: OwnedFd,
}

impl Process {
    /// The process, if it still is the one and lives. The descriptor is opened before the comparison, so that what was
    /// compared is what the descriptor holds.
    pub(crate) fn open(identity: &Identity) -> Option<Self> {
        let fd = pidfd_open(Pid::from_raw(identity.pid)?, PidfdFlags::empty()).ok()?;
        let process = Self { identity: identity.clone(), fd };
        let seen = stat(identity.pid)?;
        if seen.zombie {
            process.reap(); // Ours to bury if we are its parent; otherwise this does nothing.
            return None;
        }
        let same = seen.start_ticks == identity.start_ticks && boot_id().as_deref() == Some(&identity.boot_id);
        (same && !process.ended()).then_some(process)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.identity.pid
    }

    /// Whether it has ended, as the kernel says at this moment.
    pub(crate) fn ended(&self) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended meanwhile; the descriptor cannot mean another process.
        if let Err(error) = pidfd_send_signal(&self.fd, signal) {
            tracing::debug!(pid = self.identity.pid, %error, "the signal found nobody");
        }
    }

    /// How it ended, when this process is its parent; that also takes it out of the process table.
    fn reap(&self) -> Option<String> {
        let status = waitid(WaitId::PidFd(self.fd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok()??;
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(format!("exit {code}")),
            (None, Some(signal)) => Some(format!("signal {signal}")),
            (None, None) => None,
        }
    }

    /// Waits on a thread of the runtime until it ends and says how: `exit 1`, `signal 9`, or `gone` when it was not our child.
    pub(crate) fn watch(&self) -> std::io::Result<Exit> {
        #[expect(
            deprecated,
            reason = "its successor is `unsafe`; an owned descriptor, as here, keeps what that asks for"
        )]
        let fd = AsyncFd::with_interest(self.fd.try_clone()?, Interest::READABLE)?;
        let held = Self { identity: self.identity.clone(), fd: self.fd.try_clone()? };
        let (told, exit) = watch::channel(None);
        let task = tokio::spawn(async move {
            let readable = fd.readable().await;
            drop(readable);
            let _ = told.send(Some(held.reap().unwrap_or_else(|| "gone".to_owned())));
        });
        Ok(Exit { exit, task: task.abort_handle() })
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        let seen = stat(self.identity.pid)?;
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.identity.pid)).ok()?;
        let resident: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
        // Read first, asked afterwards: if it lives now, the number meant it while both files were read.
        if seen.start_ticks != self.identity.start_ticks || self.ended() {
            return None;
        }
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        Some(Usage {
            cpu_micros: seen.cpu_ticks.saturating_mul(1_000_000) / ticks_per_second,
            memory_bytes: resident.saturating_mul(rustix::param::page_size() as u64),
        })
    }
}

/// The end of a process, awaited or seen.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    exit: watch::Receiver<Option<String>>,
    task: tokio::task::AbortHandle,
}

impl Exit {
    /// How it ended, if it has.
    pub(crate) fn seen(&self) -> Option<String> {
        self.exit.borrow().clone()
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> String {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(how) => how.clone().unwrap_or_default(),
            Err(_) => "gone".to_owned(), // The watch was given up: who still asks has no use for more.
        }
    }

    /// Waits for the end no longer than this.
    pub(crate) async fn within(&self, span: Duration) -> Option<String> {
        tokio::time::timeout(span, self.wait()).await.ok()
    }

    /// Stops watching.
    pub(crate) fn give_up(&self) {
        self.task.abort();
    }
}

/// Ends whatever was started in this directory and says so in its environment: children that a command left behind. Two
/// controllers on one machine may know the same effect key, so that is not what is looked for.
pub(crate) fn end_stragglers(launch_dir: &Path) {
    let wanted = format!("{LAUNCH_DIR}={}", launch_dir.display());
    let Ok(entries) = std::fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            let _ = pidfd_send_signal(&fd, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_and_one_with_another_start_is_not() {
        let own = Identity::own().unwrap();
        assert_eq!(Process::open(&own).map(|process| process.pid()), Some(own.pid));
        assert!(Process::open(&Identity { start_ticks: own.start_ticks + 1, ..own.clone() }).is_none());
        assert!(Process::open(&Identity { boot_id: "another boot".into(), ..own }).is_none());
    }

    #[tokio::test]
    #[expect(clippy::zombie_processes, reason = "the process under test buries it")]
    async fn a_zombie_is_dead_and_gets_buried() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let identity = Identity { pid, start_ticks: stat(pid).unwrap().start_ticks, boot_id: boot_id().unwrap() };
        while !stat(pid).unwrap().zombie {
            tokio::task::yield_now().await;
        }
        assert!(Process::open(&identity).is_none());
        assert!(stat(pid).is_none(), "it is still in the process table");
    }

    #[tokio::test]
    #[expect(clippy::zombie_processes, reason = "the process under test buries it")]
    async fn an_end_is_noticed_with_its_signal() {
        let child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let identity = Identity { pid, start_ticks: stat(pid).unwrap().start_ticks, boot_id: boot_id().unwrap() };
        let process = Process::open(&identity).unwrap();
        let exit = process.watch().unwrap();
        process.signal(Signal::KILL);
        assert_eq!(exit.within(Duration::from_secs(5)).await.as_deref(), Some("signal 9"));
    }
}
