//! `writ init`.

use super::Failure;
use crate::Common;
use crate::exit::{self, Exit};
use clap::Args;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The example: a file of each sort, with comments.
const FILES: [(&str, &str); 5] = [
    ("intent.yaml", include_str!("../init/intent.yaml")),
    ("platform.yaml", include_str!("../init/platform.yaml")),
    ("agents.yaml", include_str!("../init/agents.yaml")),
    ("policies/policies.yaml", include_str!("../init/policies/policies.yaml")),
    ("policies/policies.test.yaml", include_str!("../init/policies/policies.test.yaml")),
];

/// Write a small example to begin with: intent, platform, agents, policies with a test
///
/// Nothing that is there already is overwritten: if one of the files is, none is written.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where to; made when it is not there
    #[arg(default_value = ".")]
    dir: PathBuf,
}

impl Init {
    pub(crate) fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        let there: Vec<&str> =
            FILES.iter().map(|(name, _)| *name).filter(|name| self.dir.join(name).symlink_metadata().is_ok()).collect();
        if !there.is_empty() {
            return Err(Failure::Other {
                exit: exit::USAGE,
                text: format!("`{}` has {} already", self.dir.display(), there.join(", ")),
                hint: Some("give a directory that does not, or take them away".into()),
            });
        }
        let mut written = Vec::new();
        for (name, text) in FILES {
            let path = self.dir.join(name);
            write(&path, text).map_err(|error| Failure::Other {
                exit: exit::FAILED,
                text: format!("`{}` cannot be written: {error}", path.display()),
                hint: None,
            })?;
            written.push(path.display().to_string());
        }
        let paths: Vec<Value> = written.iter().map(|path| json!(path)).collect();
        out.list(&paths, "", |_| written.iter().map(|path| format!("{path}\n")).collect());
        let (dir, file) = (self.dir.display(), self.dir.join("intent.yaml"));
        out.next(&format!("writ validate -f {}, writ policy test {dir}, writ dev {dir}", file.display()));
        Ok(exit::OK)
    }
}

/// Writes a file that must not be there.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut file = match File::options().create_new(true).write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
        opened => opened?,
    };
    file.write_all(text.as_bytes())
}
