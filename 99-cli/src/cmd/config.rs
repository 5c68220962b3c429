//! `writ config`, and the options by which a server is configured.

use super::Failure;
use crate::Common;
use crate::exit::{self, Exit};
use crate::out::columns;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use writ_server::{Config, Origin, Resolved, Setting, Sources};

/// What configures a server, besides the environment.
#[derive(Debug, Clone, Args)]
pub(crate) struct Configured {
    /// The configuration file, TOML
    #[arg(long, env = "WRIT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a key of the configuration; can be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where to listen; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Configured {
    /// By a file alone.
    pub(crate) fn of(config: Option<PathBuf>) -> Self {
        Self { config, set: Vec::new(), listen: None }
    }

    /// Flags over the environment over the file over `standard`. `own` are flags, keys and values of the command itself.
    pub(crate) fn resolve(
        &self,
        standard: Config,
        common: &Common,
        own: &[(&str, &str, String)],
    ) -> Result<Resolved, Failure> {
        let mut flags = Vec::new();
        for text in &self.set {
            let usage = || Failure::Other {
                exit: exit::USAGE,
                text: format!("`--set {text}` gives no value"),
                hint: Some("write `--set KEY=VALUE`; `writ config show` lists every key".into()),
            };
            let (key, value) = text.split_once('=').ok_or_else(usage)?;
            flags.push(("--set".to_owned(), key.trim().to_owned(), value.to_owned()));
        }
        if let Some(listen) = &self.listen {
            flags.push(("--listen".into(), "listen".into(), listen.clone()));
        }
        if common.state_given {
            flags.push(("--state".into(), "state".into(), common.state.display().to_string()));
        }
        flags.extend(own.iter().map(|(flag, key, value)| ((*flag).to_owned(), (*key).to_owned(), value.clone())));
        let environment = |name: &str| variable(name);
        let sources = Sources { file: self.config.as_deref(), environment: &environment, flags: &flags };
        Resolved::of(standard, &sources).map_err(Failure::Problems)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the shell; the configuration takes its variables as an argument"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The server's configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigOf {
    /// Show every key and its value; no key holds a secret, files do
    Show {
        #[command(flatten)]
        configured: Configured,
        /// Say where each value came from
        #[arg(long)]
        origin: bool,
    },
}

impl ConfigOf {
    pub(crate) fn run(self, common: &Common) -> Result<Exit, Failure> {
        let ConfigOf::Show { configured, origin } = self;
        let settings = configured.resolve(Config::standard(), common, &[])?.settings();
        let documents: Vec<Value> = settings.iter().map(document).collect();
        let out = common.out();
        out.list(&documents, "", |wide| {
            let shown = if wide { 4 } else { 2 + usize::from(origin) };
            let rows: Vec<Vec<String>> = settings.iter().map(|one| row(one, shown)).collect();
            let head: Vec<&str> = ["KEY", "VALUE", "ORIGIN", "WHAT IT SAYS"].into_iter().take(shown).collect();
            columns(&head, &rows, out.is_terminal())
        });
        Ok(exit::OK)
    }
}

fn row(setting: &Setting, shown: usize) -> Vec<String> {
    let value = setting.value.clone().unwrap_or_else(|| "-".into());
    let cells = [setting.key.to_owned(), value, setting.origin.to_string(), setting.about.to_owned()];
    cells.into_iter().take(shown).collect()
}

fn document(setting: &Setting) -> Value {
    let origin = match &setting.origin {
        Origin::Default => json!({"from": "default"}),
        Origin::File(at) => json!({"from": "file", "at": at}),
        Origin::Environment(name) => json!({"from": "environment", "name": name}),
        Origin::Flag(name) => json!({"from": "flag", "name": name}),
    };
    json!({"key": setting.key, "value": setting.value, "origin": origin, "about": setting.about})
}
