//! Numbered places at which a process may be made to end, so that every crash between two durable steps can be tried.
//!
//! A shell that wants this gives a hook; without one, passing a point costs one atomic load and nothing else happens.

use std::sync::OnceLock;

/// What is called when a point is passed: its name, and what passed it.
pub type Hook = fn(point: &'static str, about: &str);

static HOOK: OnceLock<Hook> = OnceLock::new();

/// From now on every passage is told. Only the first call in a process counts.
pub fn hook(hook: Hook) {
    HOOK.get_or_init(|| hook);
}

/// Passes a point: between what is durable before it and what is begun after it.
pub fn pass(point: &'static str, about: &str) {
    if let Some(hook) = HOOK.get() {
        hook(point, about);
    }
}
