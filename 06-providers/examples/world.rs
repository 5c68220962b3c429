//! The four faces as one program, for tests: `world launch|balance|sample|load …`, and a controller to be killed.

use std::process::ExitCode;
use std::sync::Arc;
use writ_core::Provider;
use writ_providers::conformance::Issuer;
use writ_providers::{Faces, LocalConfig, LocalProvider, SystemClock};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let face = args.next();
    let rest: Vec<String> = args.collect();
    match (face.as_deref(), rest.as_slice()) {
        (Some("launch"), _) => writ_providers::launch::main(rest),
        (Some("balance"), _) => writ_providers::balance::main(rest),
        (Some("sample"), _) => writ_providers::sample::main(rest),
        (Some("load"), _) => writ_providers::load::main(rest),
        (Some("control"), [state_dir, resource, key, params]) => control(state_dir, resource, key, params),
        _other => {
            eprintln!("usage: world launch|balance|sample|load …, or world control STATE_DIR RESOURCE KEY PARAMS");
            ExitCode::from(64)
        }
    }
}

/// A controller that carries out one `instance.ensure` and ends.
fn control(state_dir: &str, resource: &str, key: &str, params: &str) -> ExitCode {
    // An agent of its own for each effect: its nonces begin at one.
    let mut seed = [3; 32];
    seed.iter_mut().zip(key.bytes()).for_each(|(seed, byte)| *seed = byte);
    let issuer = Issuer::new([1; 32], seed, Arc::new(SystemClock));
    let words = |face: &str| vec![face.to_owned()];
    let faces = Faces { launch: words("launch"), balance: words("balance"), sample: words("sample") };
    let work = async {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let (gate_key, state_dir) = (issuer.gate_key(), state_dir.into());
        let config = LocalConfig { clock: Arc::new(SystemClock), faces, gate_key, program, state_dir };
        let provider = LocalProvider::open(config).await.map_err(|error| error.to_string())?;
        let params = serde_json::from_str(params).map_err(|error| error.to_string())?;
        let order = issuer.order("instance.ensure", resource, params, key, 1)?;
        provider.perform(&order).await.map_err(|error| error.to_string())
    };
    let done =
        tokio::runtime::Runtime::new().map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(work));
    match done {
        Ok(_) => ExitCode::SUCCESS,
        Err(because) => {
            eprintln!("error: {because}");
            ExitCode::FAILURE
        }
    }
}
