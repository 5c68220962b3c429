//! Running the command: its input is ours, its outputs are passed on and kept, signals reach it.

use super::report::{End, Outcome};
use super::tee::{At, Tee};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::signal::unix::{self, SignalKind};

/// How long a command's outputs may stay open after it, when nothing comes of them: something it left behind holds them.
const LINGER: Duration = Duration::from_millis(500);

/// The signals that are passed on.
pub(crate) struct Signals {
    hangup: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    terminate: unix::Signal,
}

impl Signals {
    /// From here on they do not end this process.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: unix::signal(SignalKind::hangup())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            quit: unix::signal(SignalKind::quit())?,
            terminate: unix::signal(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.quit.recv() => Signal::QUIT,
            _ = self.terminate.recv() => Signal::TERM,
        }
    }
}

/// A terminal sends what is typed to everybody in front of it, and so to the command: twice would mean something else.
fn by_terminal(signal: Signal) -> bool {
    (signal == Signal::INT || signal == Signal::QUIT) && io::stdin().is_terminal()
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started; nothing ran then.
pub(crate) async fn run(words: &[String], directory: &Path, signals: &mut Signals) -> io::Result<Outcome> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if directory.is_dir() {
        command.current_dir(directory);
    }
    let mut child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let outputs = child.stdout.take().zip(child.stderr.take());
    let (stdout, stderr) = outputs.ok_or(io::ErrorKind::BrokenPipe)?;
    let (mut stdout, mut stderr) = (Tee::start(stdout, io::stdout()), Tee::start(stderr, io::stderr()));
    let mut ended = tokio::task::spawn_blocking(move || child.wait());
    let status = loop {
        tokio::select! {
            status = &mut ended => break status,
            signal = signals.next() => {
                if let Some(pid) = pid.filter(|_| !by_terminal(signal)) {
                    // One that has just ended needs no telling.
                    _ = kill_process(pid, signal);
                }
            }
        }
    };
    let status = status.map_err(io::Error::other)??;
    drain(&mut stdout).await;
    drain(&mut stderr).await;
    Ok(Outcome { end: end_of(status), stdout: stdout.written(), stderr: stderr.written() })
}

fn end_of(status: ExitStatus) -> End {
    let byte = |code: i32| u8::try_from(code & 0xff).unwrap_or(u8::MAX);
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(byte(code)),
        (None, Some(signal)) => End::Signal(byte(signal)),
        (None, None) => End::Signal(0),
    }
}

/// Waits for what is still on its way. Whoever reads along may take their time; what is left of the command may not.
async fn drain(tee: &mut Tee) {
    loop {
        let at = *tee.at.borrow_and_update();
        match at {
            At::Done => return,
            At::Writing => drop(tee.at.changed().await),
            At::Reading(_) => match tokio::time::timeout(LINGER, tee.at.changed()).await {
                Ok(_) => {}
                Err(_) => return,
            },
        }
    }
}
