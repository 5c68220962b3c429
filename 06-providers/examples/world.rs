//! The four faces as one program, for tests: `world launch|balance|sample|load …`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let face = args.next();
    let rest = args.collect();
    match face.as_deref() {
        Some("launch") => writ_providers::launch::main(rest),
        Some("balance") => writ_providers::balance::main(rest),
        Some("sample") => writ_providers::sample::main(rest),
        Some("load") => writ_providers::load::main(rest),
        _other => {
            eprintln!("usage: world launch|balance|sample|load …");
            ExitCode::from(64)
        }
    }
}
