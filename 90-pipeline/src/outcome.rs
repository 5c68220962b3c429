//! What came of a command that somebody outside ran, as they tell it: held to its own digests before it is believed.

use crate::outside::OutsideError;
use crate::record::Kept;
use serde_json::{Value, json};
use writ_automation::{Answer, Says};
use writ_core::{Digest, EffectKey, Entry, Receipt, StepKey, TicketId, Timestamp};
use writ_seal::{canonical, sha256};

/// The most bytes of one output that are kept.
pub const OUTPUT_MAX: usize = 512 << 10;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandEnd {
    /// By itself.
    Exit(u8),
    /// By a signal.
    Signal(u8),
    /// It never began: nothing ran.
    NotRun {
        /// Why not.
        because: String,
    },
}

/// What a command wrote to one of its outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How many bytes it wrote.
    pub bytes: u64,
    /// Digest of all of them.
    pub digest: Digest,
    /// What is kept of them: all, or the beginning and the end.
    pub kept: Vec<u8>,
}

impl Output {
    fn check(&self, name: &str) -> Result<(), OutsideError> {
        let refused = |because: String| Err(OutsideError::Outcome { because });
        if self.kept.len() > OUTPUT_MAX {
            return refused(format!("{} bytes of {name} are more than {OUTPUT_MAX}", self.kept.len()));
        }
        let whole = self.kept.len() as u64 == self.bytes;
        if whole && sha256(&self.kept) != self.digest {
            return refused(format!("{name} does not have the digest that is said of it"));
        }
        if self.bytes >= 1 << 53 {
            return refused(format!("nothing writes {} bytes", self.bytes));
        }
        Ok(())
    }

    fn document(&self) -> Value {
        json!({"bytes": self.bytes, "digest": self.digest, "kept": sha256(&self.kept)})
    }
}

/// What whoever ran a command says came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// How it ended.
    pub end: CommandEnd,
    /// What it wrote to standard output.
    pub stdout: Output,
    /// What it wrote to standard error.
    pub stderr: Output,
}

/// An outcome that fits together.
pub(crate) struct Ended {
    pub(crate) digest: Digest,
    pub(crate) kept: Kept,
    pub(crate) says: Says,
}

impl Ended {
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.says, Says::Done { .. })
    }
}

impl Reported {
    /// What it means for the run, with what is recorded of it.
    ///
    /// # Errors
    /// When an output is too long, or is not what it is said to be.
    pub(crate) fn check(self, key: EffectKey, now: Timestamp) -> Result<Ended, OutsideError> {
        self.stdout.check("standard output")?;
        self.stderr.check("standard error")?;
        let (said, because) = match &self.end {
            CommandEnd::Exit(code) => (json!({"exit": code}), format!("the command ended with exit status {code}")),
            CommandEnd::Signal(signal) => (json!({"signal": signal}), format!("signal {signal} ended the command")),
            CommandEnd::NotRun { because } => {
                let because: String = because.chars().filter(|c| !c.is_control()).take(500).collect();
                (json!({"not_run": because}), format!("nothing ran: {because}"))
            }
        };
        let mut detail = said;
        detail["stdout"] = self.stdout.document();
        detail["stderr"] = self.stderr.document();
        let bytes = canonical(&detail).map_err(|error| OutsideError::Outcome { because: error.to_string() })?;
        let digest = sha256(&bytes);
        let says = if self.end == CommandEnd::Exit(0) {
            Says::Done { receipt: Receipt { detail, finished_at: now, key, repeated: false } }
        } else {
            // What it did before it failed is its own to take back; it is not begun a second time.
            Says::Failed { because, retryable: false }
        };
        let mut kept: Kept = vec![("outcome", bytes)];
        for (name, output) in [("stdout", self.stdout.kept), ("stderr", self.stderr.kept)] {
            if !output.is_empty() {
                kept.push((name, output));
            }
        }
        Ok(Ended { digest, kept, says })
    }
}

/// An order that was taken, as its entry says.
pub(crate) struct Claimed {
    pub(crate) claim: String,
    pub(crate) epoch: u64,
    pub(crate) step: StepKey,
    pub(crate) ticket: TicketId,
}

impl Claimed {
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let text = |field: &str| entry.body.get(field).and_then(Value::as_str);
        Some(Self {
            claim: text("claim")?.to_owned(),
            epoch: entry.body.get("epoch")?.as_u64()?,
            step: text("step")?.parse().ok()?,
            ticket: text("ticket")?.parse().ok()?,
        })
    }

    pub(crate) fn answers(&self, says: Says) -> Answer {
        Answer { says, epoch: self.epoch, step: self.step.clone(), ticket: self.ticket.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Output {
        Output { bytes: text.len() as u64, digest: sha256(text.as_bytes()), kept: text.as_bytes().to_vec() }
    }

    fn check(reported: Reported) -> Result<Ended, OutsideError> {
        reported.check(EffectKey("ek_1".into()), Timestamp::from_micros(1))
    }

    #[test]
    fn only_an_exit_status_of_zero_is_success_and_nothing_else_is_tried_again() {
        for (end, because) in [
            (CommandEnd::Exit(3), "the command ended with exit status 3"),
            (CommandEnd::Signal(9), "signal 9 ended the command"),
            (CommandEnd::NotRun { because: "no\u{1b}[2Jsuch program".into() }, "nothing ran: no[2Jsuch program"),
        ] {
            let ended = check(Reported { end, stdout: output("out"), stderr: output("") }).unwrap();
            assert_eq!(ended.says, Says::Failed { because: because.into(), retryable: false });
            assert_eq!(ended.kept.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["outcome", "stdout"]);
        }
        let ended = check(Reported { end: CommandEnd::Exit(0), stdout: output(""), stderr: output("") }).unwrap();
        assert!(ended.is_done());
    }

    #[test]
    fn an_output_that_is_not_what_it_is_said_to_be_is_refused() {
        let with = |stdout| Reported { end: CommandEnd::Exit(0), stdout, stderr: output("") };
        let told = |stdout| check(with(stdout)).err().unwrap().to_string();
        assert!(told(Output { digest: sha256(b"other"), ..output("out") }).contains("does not have the digest"));
        assert!(told(Output { bytes: 1 << 53, ..output("out") }).contains("nothing writes"));
        let long = "x".repeat(OUTPUT_MAX + 1);
        assert!(told(output(&long)).contains("are more than"));
        // Of one that was cut, the rest is not here to be looked at.
        assert!(check(with(Output { bytes: 1_000_000, digest: sha256(b"the whole"), ..output("out") })).is_ok());
    }
}
