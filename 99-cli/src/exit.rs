//! Exit codes, as scripts rely on them.

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

/// It was done.
pub(crate) const OK: Exit = Exit(0);
/// It was tried and failed.
pub(crate) const FAILED: Exit = Exit(1);
/// There are changes (`plan --detailed-exitcode`).
pub(crate) const CHANGES: Exit = Exit(2);
/// Policy, contracts or a person said no.
pub(crate) const DENIED: Exit = Exit(3);
/// The token does not allow it, or there is none.
pub(crate) const UNAUTHORISED: Exit = Exit(4);
/// There is no such thing.
pub(crate) const NOT_FOUND: Exit = Exit(5);
/// What it was planned or approved for has changed.
pub(crate) const STALE: Exit = Exit(6);
/// It waits for approval.
pub(crate) const WAITING: Exit = Exit(7);
/// The audit chain or the evidence does not hold.
pub(crate) const UNVERIFIED: Exit = Exit(8);
/// It failed, and what was done was taken back.
pub(crate) const COMPENSATED: Exit = Exit(9);
/// The command line or a file makes no sense.
pub(crate) const USAGE: Exit = Exit(64);
/// A fault of writ's own.
pub(crate) const INTERNAL: Exit = Exit(70);
/// The program is there and cannot be run (`exec`).
pub(crate) const NOT_RUN: Exit = Exit(126);
/// There is no such program (`exec`).
pub(crate) const NO_PROGRAM: Exit = Exit(127);
/// Interrupted.
pub(crate) const INTERRUPTED: Exit = Exit(130);

impl Exit {
    /// The exit code that goes with a problem's code.
    pub(crate) fn of_problem(code: &str) -> Self {
        match code {
            "denied" | "infeasible" | "refused" => DENIED,
            "unauthorised" | "forbidden" => UNAUTHORISED,
            "not-found" => NOT_FOUND,
            "stale" => STALE,
            "waiting" => WAITING,
            "unverified" => UNVERIFIED,
            "invalid" | "key-reused" | "too-large" | "usage" => USAGE,
            "internal" | "closed" => INTERNAL,
            _ => FAILED,
        }
    }

    /// The exit code that goes with the state a run ended in.
    pub(crate) fn of_run(state: &str) -> Self {
        match state {
            "succeeded" => OK,
            "rolled_back" => COMPENSATED,
            "rejected" => DENIED,
            "awaiting_approval" => WAITING,
            "expired" => STALE,
            _ => FAILED,
        }
    }
}
