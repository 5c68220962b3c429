//! `writ audit export`.

use super::audit::Filters;
use super::{Failure, items};
use crate::Common;
use crate::exit::{self, Exit};
use crate::follow::shown_key;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use writ_audit::Checkpoint;
use writ_pipeline::{Exported, export_paths};

/// Events of one page.
const EVENTS: usize = 1_000;

/// Write the journal as a static directory that any tlog-tiles reader understands, or print entries as another system reads them
///
/// With `--format`, every entry that the filters fit is printed, oldest first, one JSON document a line, and the place to go on
/// from later is named on standard error.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The directory
    #[arg(required_unless_present = "format", conflicts_with = "format")]
    dir: Option<PathBuf>,
    /// Print entries in this form instead
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    filters: Box<Filters>,
}

/// A form in which other systems read entries.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// Open Cybersecurity Schema Framework, API Activity.
    Ocsf,
}

impl Export {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match (self.format, &self.dir) {
            (Some(Format::Ocsf), _) => self.ocsf(common).await,
            (None, Some(dir)) if self.filters.query().is_empty() && self.filters.after.is_none() => {
                tiles(common, dir).await
            }
            (None, _) => Err(Failure::Other {
                exit: exit::USAGE,
                text: "a directory has the whole journal, and takes no filter".into(),
                hint: Some("print some entries with `writ audit export --format ocsf`".into()),
            }),
        }
    }

    /// Prints events page by page: there may be many.
    async fn ocsf(&self, common: &Common) -> Result<Exit, Failure> {
        let (out, client, query) = (common.out(), common.client()?, self.filters.query());
        let mut after = self.filters.after.unwrap_or_default();
        loop {
            let path = format!("/api/v1/audit/export?format=ocsf&limit={EVENTS}&after={after}{query}");
            let page = client.get(&path).await?;
            let events = items(&page);
            events.iter().for_each(|event| out.line(&event.to_string()));
            after = page.get("next").and_then(Value::as_u64).unwrap_or(after);
            if events.len() < EVENTS {
                break;
            }
        }
        out.next(&format!("the same with --after {after}, for what comes later"));
        Ok(exit::OK)
    }
}

/// Writes the log as tiles.
async fn tiles(common: &Common, dir: &Path) -> Result<Exit, Failure> {
    let (out, client) = (common.out(), common.client()?);
    let failed = |error: std::io::Error| Failure::of(exit::FAILED, &error);
    let note = client.bytes("/log/checkpoint").await?.unwrap_or_default();
    let key = shown_key(&client).await?;
    let write = |path: &str, bytes: &[u8]| {
        let path = dir.join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, bytes)
    };
    write("checkpoint", &note).map_err(failed)?;
    write("key", key.to_string().as_bytes()).map_err(failed)?;
    let note = String::from_utf8_lossy(&note).into_owned();
    let (checkpoint, _) = Checkpoint::parse(&note).map_err(|error| Failure::of(exit::UNVERIFIED, &error))?;
    let mut files = 2;
    let mut attachments = std::collections::BTreeSet::new();
    for path in export_paths(checkpoint.size) {
        let bytes = client.bytes(&format!("/log/{path}")).await?;
        let bytes = bytes.ok_or_else(|| Failure::Other {
            exit: exit::FAILED,
            text: format!("`{path}` is missing"),
            hint: None,
        })?;
        if path.starts_with("tile/entries/") {
            attachments.extend(Exported::attachments_in(&bytes));
        }
        write(&path, &bytes).map_err(failed)?;
        files += 1;
    }
    for digest in attachments {
        if let Some(bytes) = client.bytes(&format!("/log/attachment/{}", digest.hex())).await? {
            write(&format!("attachment/{}", digest.hex()), &bytes).map_err(failed)?;
            files += 1;
        }
    }
    let told = json!({"log": checkpoint.origin, "size": checkpoint.size, "files": files, "directory": dir});
    out.document(&told, |_| format!("{} entries in {files} files under {}\n", checkpoint.size, dir.display()));
    out.next(&format!("writ audit verify --file {}", dir.display()));
    Ok(exit::OK)
}
