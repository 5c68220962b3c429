//! `writ audit`, `writ why`, `writ verify`.

use super::{Failure, clock, holds, items, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::follow::look;
use crate::out::columns;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use writ_audit::{Bundle, Checkpoint};
use writ_pipeline::check_export;
use writ_pipeline::input::load;
use writ_seal::NoteKey;

/// The audit trail
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Find entries
    Query(Query),
    /// Verify the whole journal, and that it goes on from what this client saw last; or an exported directory
    Verify(Verify),
    /// Forget what this client has seen of the journal; the next `verify` is then a first look
    Unpin,
    /// Destroy a text that stands beside the journal: what a person is called, or what they said; needs the role `admin`
    Erase(Erase),
    /// Hand the journal over to a new key; needs the role `admin`
    RotateKey,
    /// Print the newest signed checkpoint
    Checkpoint,
    /// Write the journal as a static directory that any tlog-tiles reader understands, or print entries as another system reads them
    Export(super::export::Export),
    /// Write the evidence for anything to a file that verifies with no server
    Evidence(Evidence),
}

/// Which entries
#[derive(Debug, Args)]
pub(crate) struct Filters {
    /// Who did it: a person's name, an id, or `human:…`, `agent:…`, `system:…`
    #[arg(long)]
    actor: Option<String>,
    /// What was done: `open_incident`, or `open incident`
    #[arg(long)]
    action: Option<String>,
    /// What it was done to; a trailing `*` matches whatever starts so
    #[arg(long)]
    resource: Option<String>,
    /// What came of it: started, success, failure, denied, skipped, unknown
    #[arg(long)]
    outcome: Option<String>,
    /// The trace
    #[arg(long)]
    trace: Option<String>,
    /// Whose history it is: `intent/ID`, `run/ID`
    #[arg(long)]
    stream: Option<String>,
    /// The kind: `run` for all of runs, `run.failed` for one
    #[arg(long)]
    kind: Option<String>,
    /// At or after this time
    #[arg(long)]
    from: Option<String>,
    /// Before this time
    #[arg(long)]
    to: Option<String>,
    /// Go on from the place that the page before named
    #[arg(long, value_name = "SEQ")]
    pub(crate) after: Option<u64>,
}

impl Filters {
    /// What is asked for besides a page.
    pub(crate) fn query(&self) -> String {
        let all = [
            ("actor", &self.actor),
            ("action", &self.action),
            ("resource", &self.resource),
            ("outcome", &self.outcome),
            ("trace", &self.trace),
            ("stream", &self.stream),
            ("kind", &self.kind),
            ("from", &self.from),
            ("to", &self.to),
        ];
        all.iter().filter_map(|(name, value)| Some(format!("&{name}={}", escaped(value.as_ref()?)))).collect()
    }
}

/// Find entries
#[derive(Debug, Args)]
pub(crate) struct Query {
    #[command(flatten)]
    filters: Box<Filters>,
    /// Begin with the oldest
    #[arg(long)]
    oldest_first: bool,
    /// Entries of one page
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Verify the whole journal, and that it goes on from what this client saw last; or an exported directory
///
/// The server walks the whole journal. This client believes it nothing about the past: it keeps the journal's key and the
/// newest checkpoint it has seen, and checks signature and consistency itself, from the tiles that the server shows. At the
/// first look the key is believed as it is shown, unless `--key` gives one. What is kept stands in `$WRIT_PINS`, else in
/// `$XDG_STATE_HOME/writ/pins` or `~/.local/state/writ/pins`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// An exported directory, instead of asking a server
    #[arg(long, value_name = "DIR")]
    file: Option<PathBuf>,
    /// The verifier key that must have signed, or have handed over to the one that did
    #[arg(long)]
    key: Option<String>,
}

/// Write the evidence for anything
#[derive(Debug, Args)]
pub(crate) struct Evidence {
    /// A run, incident, intent, approval, recommendation, entry or resource
    id: String,
    /// Where to; without it, standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Audit {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Audit::Query(query) => query.run(common).await,
            Audit::Verify(verify) => verify.run(common).await,
            Audit::Unpin => unpin(common),
            Audit::Erase(erase) => erase.run(common).await,
            Audit::RotateKey => rotate_key(common).await,
            Audit::Checkpoint => {
                let note = common.client()?.bytes("/log/checkpoint").await?.unwrap_or_default();
                let note = String::from_utf8_lossy(&note).into_owned();
                let parsed = Checkpoint::parse(&note).map_err(|error| Failure::of(exit::UNVERIFIED, &error))?;
                let Checkpoint { origin, size, root } = parsed.0;
                let document = json!({"log": origin, "size": size, "root": root, "note": note});
                common.out().document(&document, |_| note);
                Ok(exit::OK)
            }
            Audit::Export(wanted) => wanted.run(common).await,
            Audit::Evidence(evidence) => evidence.run(common).await,
        }
    }
}

impl Query {
    async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        let after = self.filters.after.map(|seq| format!("&after={seq}")).unwrap_or_default();
        let path = format!(
            "/api/v1/audit/entries?limit={}&oldest_first={}{}{after}",
            self.limit,
            self.oldest_first,
            self.filters.query()
        );
        let page = common.client()?.get(&path).await?;
        let items = items(&page);
        out.list(&items, "no entries", |wide| entry_table(&items, wide, out.is_terminal()));
        if let Some(next) = page.get("next").and_then(Value::as_u64) {
            out.next(&format!("the same with --after {next}"));
        }
        Ok(exit::OK)
    }
}

/// Entries as rows.
fn entry_table(items: &[Value], wide: bool, terminal: bool) -> String {
    let row = |item: &Value| {
        let actor = format!("{}:{}", text(item, "/actor/kind"), text(item, "/actor/id"));
        let mut row = vec![text(item, "/seq"), clock(item, "/timestamp"), actor];
        row.extend(["/action", "/resource", "/outcome"].map(|field| text(item, field)));
        if wide {
            row.extend(["/kind", "/trace_id", "/event_id"].map(|field| text(item, field)));
        }
        row
    };
    let mut head = vec!["SEQ", "TIME(UTC)", "ACTOR", "ACTION", "RESOURCE", "OUTCOME"];
    if wide {
        head.extend(["KIND", "TRACE", "EVENT"]);
    }
    columns(&head, &items.iter().map(row).collect::<Vec<_>>(), terminal)
}

/// Where a journal was rolled back and goes on: both heads, and both names.
fn continued(one: &Value) -> String {
    let name = |field: &str| text(one, field).split('+').next().unwrap_or_default().to_owned();
    format!(
        "went on from {} entries (root {}) of `{}` as `{}`; given up: {} entries (root {})\n",
        text(one, "/found/size"),
        text(one, "/found/root"),
        name("/old"),
        name("/new"),
        text(one, "/witnessed/size"),
        text(one, "/witnessed/root"),
    )
}

impl Verify {
    async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        let trusted: Option<NoteKey> =
            self.key.as_deref().map(str::parse).transpose().map_err(|error| Failure::of(exit::USAGE, &error))?;
        if let Some(dir) = &self.file {
            let read = |path: &str| std::fs::read(dir.join(path)).ok();
            let checked =
                check_export(&read, trusted.as_ref()).map_err(|error| Failure::of(exit::UNVERIFIED, &error))?;
            out.document(&json!({"log": checked.origin, "size": checked.size, "root": checked.root}), |_| {
                format!(
                    "log    {}  size {}  root {}\nholds  hash chain, Merkle root, checkpoint signature, attachments\n",
                    checked.origin, checked.size, checked.root
                )
            });
            return Ok(exit::OK);
        }
        let (client, pins) = (common.client()?, common.pins()?);
        let look = look(&client, &common.place(), trusted.as_ref(), &pins).await?;
        let audit = client.get("/api/v1/audit/verify").await?;
        pins.keep(&look.pin).map_err(|error| Failure::of(exit::FAILED, &error))?;
        let shown = &look.checkpoint;
        let seen = match &look.before {
            Some(before) => {
                format!(", this client's last checkpoint (consistency {} \u{2192} {})", before.size, shown.size)
            }
            None => String::new(),
        };
        let mut document = audit.clone();
        if let Value::Object(fields) = &mut document {
            let before = look.before.as_ref().map(|before| before.size);
            let pinned = json!({"size": shown.size, "root": shown.root, "key": look.key.to_string(), "before": before});
            fields.insert("pinned".into(), pinned);
        }
        out.document(&document, |_| {
            format!(
                "log    {}  size {}  root {}\nholds  hash chain, Merkle root, {} checkpoints, columns, tiles, {} attachments{}{seen}\n{}",
                text(&audit, "/log"),
                text(&audit, "/size"),
                text(&audit, "/root"),
                text(&audit, "/checkpoints"),
                text(&audit, "/attachments"),
                if holds(&audit, "witness") { ", witness file" } else { "" },
                audit.get("continued").and_then(Value::as_array).into_iter().flatten().map(continued).collect::<String>(),
            )
        });
        if look.first_use && !common.quiet {
            out.say(&format!(
                "note: a first look at this journal: its key is believed as it was shown, and kept in {}; compare it with \
                 the key that you know: {}",
                pins.path(&shown.origin).display(),
                look.key
            ));
        }
        out.next("writ audit export DIR, and `writ audit verify --file DIR` anywhere");
        Ok(exit::OK)
    }
}

fn unpin(common: &Common) -> Result<Exit, Failure> {
    let (out, pins, place) = (common.out(), common.pins()?, common.place());
    let failed = |error: crate::pin::PinError| Failure::of(exit::FAILED, &error);
    let Some(pin) = pins.seen_at(&place).map_err(failed)? else {
        return Err(Failure::Other {
            exit: exit::NOT_FOUND,
            text: format!("this client has not seen a journal at `{place}`"),
            hint: None,
        });
    };
    pins.forget(&pin.origin).map_err(failed)?;
    out.say(&format!("forgotten: `{}`. The newest checkpoint that was seen of it:", pin.origin));
    out.document(&json!({"log": pin.origin, "note": pin.note()}), |_| pin.note().to_owned());
    out.next("writ audit verify, which is a first look");
    Ok(exit::OK)
}

/// Destroy a text that stands beside the journal
///
/// Entries keep a salted hash of the text, so that every proof stays valid. That it was erased, by whom and why, is an entry and
/// stays: let the reason name nobody.
#[derive(Debug, Args)]
pub(crate) struct Erase {
    #[command(flatten)]
    what: What,
    /// Why; it is recorded for ever
    #[arg(short, long)]
    message: String,
    /// Yes, for good
    #[arg(long)]
    yes: bool,
}

/// Which text
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// What a person is called, by their id or that name
    #[arg(long)]
    principal: Option<String>,
    /// What people said when they answered an approval
    #[arg(long)]
    approval: Option<String>,
    /// The text that an entry commits to: `sha256:…`
    #[arg(long)]
    commitment: Option<String>,
}

impl Erase {
    async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        if !self.yes {
            return Err(Failure::Other {
                exit: exit::USAGE,
                text: "what is erased cannot be brought back".into(),
                hint: Some("say so with `--yes`".into()),
            });
        }
        let What { principal, approval, commitment } = self.what;
        let body =
            json!({"principal": principal, "approval": approval, "commitment": commitment, "reason": self.message});
        let answer = common.client()?.post("/api/v1/audit/erase", &body).await?;
        let gone = answer.get("erased").and_then(Value::as_array).map_or(0, Vec::len);
        out.document(&answer, |_| format!("erased {gone} of {}\n", text(&answer, "/of")));
        out.next("writ audit query --kind audit.erased/1; backups of the database still hold it");
        Ok(exit::OK)
    }
}

async fn rotate_key(common: &Common) -> Result<Exit, Failure> {
    let out = common.out();
    let answer = common.client()?.post("/api/v1/audit/rotate-key", &json!({})).await?;
    out.document(&answer, |_| {
        format!(
            "old    {}\nnew    {}\nboth sign until writ is started again; then the new key signs alone\n",
            text(&answer, "/old"),
            text(&answer, "/new"),
        )
    });
    out.next("writ audit verify, and tell the new key to everybody who gives one with --key");
    Ok(exit::OK)
}

impl Evidence {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        let bundle = common.client()?.get(&format!("/api/v1/audit/evidence/{}", path_of(&self.id))).await?;
        let pretty = serde_json::to_string_pretty(&bundle).map_err(|error| Failure::of(exit::INTERNAL, &error))?;
        match &self.out {
            Some(path) => {
                std::fs::write(path, pretty + "\n").map_err(|error| Failure::unwritten(path, &error))?;
                out.say(&format!("evidence for {} in {}", self.id, path.display()));
                out.next(&format!("writ verify {}", path.display()));
            }
            None => out.line(&pretty),
        }
        Ok(exit::OK)
    }
}

/// An id as the rest of a path: its slashes stay.
fn path_of(id: &str) -> String {
    id.split('/').map(escaped).collect::<Vec<_>>().join("/")
}

/// Tell why anything is as it is
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// An id, a resource, a process id, a rule, a digest, the number of an entry, or `last`
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
}

impl Why {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        let story = common.client()?.get(&format!("/api/v1/why/{}", path_of(&self.id))).await?;
        out.document(&story, |wide| {
            let lines = |field: &str| story.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
            let mut all = format!("{}\n", text(&story, "/subject"));
            for (title, field) in [("because", "because"), ("then", "then")] {
                let lines = lines(field);
                if !lines.is_empty() {
                    all.push_str(&format!("{title}\n"));
                }
                for line in lines {
                    let event = if wide { format!("  {}", text(&line, "/event_id")) } else { String::new() };
                    all.push_str(&format!(
                        "  {:>6}  {}  {}{event}\n",
                        text(&line, "/seq"),
                        clock(&line, "/at"),
                        text(&line, "/text")
                    ));
                }
            }
            all
        });
        let id = text(&story, "/subject");
        let id = id.split(' ').nth(1).unwrap_or(&self.id);
        out.next(&format!("writ audit evidence {id} --out e.json"));
        Ok(exit::OK)
    }
}

/// Check an evidence file; needs no server
#[derive(Debug, Args)]
pub(crate) struct VerifyFile {
    /// The file
    file: PathBuf,
    /// The verifier key that must have signed, or have handed over to the one that did
    #[arg(long)]
    key: Option<String>,
}

impl VerifyFile {
    pub(crate) fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        let bytes = load(&self.file).map_err(|problem| Failure::Problems(vec![problem]))?;
        let bundle: Bundle = serde_json::from_slice(&bytes).map_err(|error| Failure::Other {
            exit: exit::UNVERIFIED,
            text: format!("`{}` is not an evidence bundle: {error}", self.file.display()),
            hint: Some("make one with `writ audit evidence ID --out FILE`".into()),
        })?;
        let trusted: Option<NoteKey> =
            self.key.as_deref().map(str::parse).transpose().map_err(|error| Failure::of(exit::USAGE, &error))?;
        let checked = bundle.check(trusted.as_ref()).map_err(|error| Failure::of(exit::UNVERIFIED, &error))?;
        let (Checkpoint { origin, size, root }, entries) = (&checked.checkpoint, checked.entries.len());
        let told = json!({"subject": bundle.subject, "entries": entries, "attachments": checked.attachments, "log": origin,
            "size": size, "root": root});
        out.document(&told, |_| {
            format!(
                "holds  {}: {entries} entries and {} attachments under one checkpoint\nlog    {origin}  size {size}  root {root}\n",
                bundle.subject, checked.attachments
            )
        });
        if trusted.is_none() {
            out.say(
                "note: signed by the key that the file names itself; to be sure, give `--key` with the key that you noted \
                 elsewhere, or that `writ audit verify -o json` names where you trust the server",
            );
        }
        Ok(exit::OK)
    }
}
