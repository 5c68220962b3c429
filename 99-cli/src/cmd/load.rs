//! `writ load`.

use clap::Args;
use std::process::ExitCode;

/// Make steady load on a URL and count what came of it
///
/// How long a request took counts from when it was due, not from when it was sent. The answer is one JSON document, in whatever
/// form; the exit code is 1 when a request failed.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// What to get: an `http://` URL
    #[arg(long, value_name = "URL")]
    target: String,
    /// Requests a second
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// For how many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u32>,
    /// Until the standard input ends
    #[arg(long)]
    until_stdin_closes: bool,
    /// How long one request may take
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout_ms: u32,
}

impl Load {
    /// Makes it: the face says what makes no sense.
    pub(crate) fn run(self) -> ExitCode {
        let Self { target, rate, seconds, until_stdin_closes, timeout_ms } = self;
        let mut args = vec!["--target".to_owned(), target, "--rate".to_owned(), rate.to_string()];
        args.extend(["--timeout-ms".to_owned(), timeout_ms.to_string()]);
        args.extend(seconds.into_iter().flat_map(|seconds| ["--seconds".to_owned(), seconds.to_string()]));
        args.extend(until_stdin_closes.then(|| "--until-stdin-closes".to_owned()));
        writ_server::faces::load::main(args)
    }
}
