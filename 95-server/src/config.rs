//! The server's configuration: one struct, one table of its keys, and where each value came from.
//!
//! Flags stand over the environment, the environment over the file, the file over what is built in. The file is TOML; a key
//! that is not in the table is refused with its place and the nearest name that is. `docs/configuration.md` is the table as a
//! page, and a test compares the two.

mod file;
mod notify;
mod slot;

pub use notify::{MailSecurity, Notify, Smtp, Webhook};
use slot::Slot;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use writ_core::Place;
use writ_text::{Problem, nearest};

/// How a server is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where state is kept.
    pub state: PathBuf,
    /// The directory with `platform.yaml`, `agents.yaml`, `commands.yaml`, `policies/`, `contracts/` and `playbooks/`.
    pub files: PathBuf,
    /// The address by which people reach it, where it is not the one that it listens on.
    pub public_url: Option<String>,
    /// Certificate chain and key, in PEM.
    pub tls: Tls,
    /// Whether to listen beyond loopback without TLS.
    pub insecure_bind: bool,
    /// What one client may take.
    pub limits: Limits,
    /// Who says who somebody is.
    pub oidc: Oidc,
    /// How people are told.
    pub notify: Notify,
    /// What is logged.
    pub log: Log,
    /// Whether the console is served.
    pub console: bool,
    /// Whether `/metrics` is served.
    pub metrics: bool,
}

/// The files that TLS is made of; both or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// An OpenID issuer that people log in by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oidc {
    /// Its address, as it calls itself; without one, people log in by token alone.
    pub issuer: Option<String>,
    /// What it calls writ.
    pub client_id: Option<String>,
    /// The file with writ's secret, where the issuer wants one.
    pub client_secret_file: Option<PathBuf>,
    /// The claim that tells people apart.
    pub subject_claim: Option<String>,
    /// The certificates that the issuer is held to.
    pub ca: Option<PathBuf>,
}

/// What one client, and all of them together, may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body.
    pub body_bytes: u64,
    /// The largest head of a request.
    pub header_bytes: u64,
    /// How long a client may take for the head of a request, and a connection may be idle.
    pub header_seconds: u64,
    /// How long an answer may take.
    pub request_seconds: u64,
    /// How long requests in flight are waited for at the end.
    pub drain_seconds: u64,
    /// Connections at one time.
    pub connections: u64,
    /// Changes that one person may ask for in a minute.
    pub writes_per_minute: u64,
    /// Refused tokens and logins that one address may have in a minute.
    pub logins_per_minute: u64,
}

/// What is logged, to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// In which form.
    pub format: LogFormat,
    /// From which severity on.
    pub level: LogLevel,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Words and fields.
    Text,
    /// One JSON document a line.
    Json,
}

/// The least severity that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

impl Config {
    /// What is built in: a server on this machine alone.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7420)),
            state: ".writ".into(),
            files: ".".into(),
            public_url: None,
            tls: Tls::default(),
            insecure_bind: false,
            limits: Limits {
                body_bytes: 2 << 20,
                header_bytes: 32 << 10,
                header_seconds: 10,
                request_seconds: 60,
                drain_seconds: 10,
                connections: 2_000,
                writes_per_minute: 600,
                logins_per_minute: 30,
            },
            oidc: Oidc { subject_claim: Some("sub".into()), ..Oidc::default() },
            notify: Notify::standard(),
            log: Log { format: LogFormat::Text, level: LogLevel::Warn },
            console: true,
            metrics: true,
        }
    }

    /// What is built in for `dev`: the same on a free port.
    #[must_use]
    pub fn dev() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Self::standard() }
    }
}

/// One key of the configuration.
struct Key {
    name: &'static str,
    about: &'static str,
    slot: fn(&mut Config) -> Slot<'_>,
}

impl Key {
    fn variable(&self) -> String {
        format!("WRIT_{}", self.name.replace('.', "_").to_uppercase())
    }
}

/// Every key, in the order in which people read them.
const KEYS: [Key; 34] = [
    Key { name: "listen", about: "where to listen; port 0 chooses a free one", slot: |c| Slot::Address(&mut c.listen) },
    Key {
        name: "state",
        about: "the directory with the journal, its keys and tokens",
        slot: |c| Slot::Path(&mut c.state),
    },
    Key {
        name: "files",
        about: "the directory with `platform.yaml`, `agents.yaml`, `commands.yaml`, `policies/`, `contracts/` and `playbooks/`",
        slot: |c| Slot::Path(&mut c.files),
    },
    Key {
        name: "public_url",
        about: "the address by which people reach this server: links for them begin with it",
        slot: |c| Slot::MaybeUrl(&mut c.public_url),
    },
    Key { name: "tls.cert", about: "the certificate chain, in PEM", slot: |c| Slot::MaybePath(&mut c.tls.cert) },
    Key { name: "tls.key", about: "the certificate's key, in PEM", slot: |c| Slot::MaybePath(&mut c.tls.key) },
    Key {
        name: "insecure_bind",
        about: "listen beyond loopback without TLS, as behind a proxy that has it",
        slot: |c| Slot::Switch(&mut c.insecure_bind),
    },
    Key {
        name: "limits.body_bytes",
        about: "the largest request body",
        slot: |c| Slot::Count(&mut c.limits.body_bytes, 1_024, 64 << 20),
    },
    Key {
        name: "limits.header_bytes",
        about: "the largest head of a request",
        slot: |c| Slot::Count(&mut c.limits.header_bytes, 8_192, 1 << 20),
    },
    Key {
        name: "limits.header_seconds",
        about: "how long a client may take for the head of a request, and a connection may be idle",
        slot: |c| Slot::Count(&mut c.limits.header_seconds, 1, 600),
    },
    Key {
        name: "limits.request_seconds",
        about: "how long an answer may take, half of it for what is sent; streams may take longer",
        slot: |c| Slot::Count(&mut c.limits.request_seconds, 1, 3_600),
    },
    Key {
        name: "limits.drain_seconds",
        about: "how long requests in flight are waited for at the end",
        slot: |c| Slot::Count(&mut c.limits.drain_seconds, 0, 600),
    },
    Key {
        name: "limits.connections",
        about: "connections at one time; beyond that the one that is idle longest is closed",
        slot: |c| Slot::Count(&mut c.limits.connections, 8, 100_000),
    },
    Key {
        name: "limits.writes_per_minute",
        about: "changes that one person may ask for in a minute, with however many tokens",
        slot: |c| Slot::Count(&mut c.limits.writes_per_minute, 1, 1_000_000),
    },
    Key {
        name: "limits.logins_per_minute",
        about: "refused tokens and logins that one address may have in a minute",
        slot: |c| Slot::Count(&mut c.limits.logins_per_minute, 1, 1_000_000),
    },
    Key {
        name: "oidc.issuer",
        about: "the OpenID issuer that people may log in by, as it calls itself",
        slot: |c| Slot::MaybeText(&mut c.oidc.issuer, "a URL, such as `https://id.example`"),
    },
    Key {
        name: "oidc.client_id",
        about: "what the issuer calls this server",
        slot: |c| Slot::MaybeText(&mut c.oidc.client_id, "a text"),
    },
    Key {
        name: "oidc.client_secret_file",
        about: "the file with this server's secret, where the issuer wants one",
        slot: |c| Slot::MaybePath(&mut c.oidc.client_secret_file),
    },
    Key {
        name: "oidc.subject_claim",
        about: "the claim by which people are told apart; `email` counts where the issuer has verified it",
        slot: |c| Slot::MaybeText(&mut c.oidc.subject_claim, "the name of a claim"),
    },
    Key {
        name: "oidc.ca",
        about: "certificates, in PEM, that the issuer is held to instead of those that this machine trusts",
        slot: |c| Slot::MaybePath(&mut c.oidc.ca),
    },
    Key {
        name: "notify.level",
        about: "how bad something is at the least that people are told",
        slot: |c| Slot::Severity(&mut c.notify.level),
    },
    Key {
        name: "notify.ca",
        about: "certificates, in PEM, that receivers are held to besides those that this machine trusts",
        slot: |c| Slot::MaybePath(&mut c.notify.ca),
    },
    Key {
        name: "notify.webhook.url",
        about: "where signed messages are posted: `https://…`, on this machine also `http://…`",
        slot: |c| Slot::MaybeText(&mut c.notify.webhook.url, "a URL"),
    },
    Key {
        name: "notify.webhook.secret_file",
        about: "the file with what they are signed with: `whsec_` and 24 to 64 bytes in base64",
        slot: |c| Slot::MaybePath(&mut c.notify.webhook.secret_file),
    },
    Key {
        name: "notify.slack.url_file",
        about: "the file with the URL of an incoming webhook of Slack, which is a secret",
        slot: |c| Slot::MaybePath(&mut c.notify.slack_url_file),
    },
    Key {
        name: "notify.smtp.server",
        about: "the server that takes mail",
        slot: |c| Slot::MaybeText(&mut c.notify.smtp.server, "a host and a port, such as `mail.example:587`"),
    },
    Key {
        name: "notify.smtp.security",
        about: "how the way there is secured; `none` on this machine alone",
        slot: |c| Slot::Security(&mut c.notify.smtp.security),
    },
    Key {
        name: "notify.smtp.from",
        about: "who mail is from",
        slot: |c| Slot::MaybeText(&mut c.notify.smtp.from, "a mail address"),
    },
    Key {
        name: "notify.smtp.to",
        about: "who gets mail",
        slot: |c| Slot::MaybeText(&mut c.notify.smtp.to, "mail addresses with commas between"),
    },
    Key {
        name: "notify.smtp.credentials_file",
        about: "the file with `user:password`, where the server wants to know",
        slot: |c| Slot::MaybePath(&mut c.notify.smtp.credentials_file),
    },
    Key { name: "log.format", about: "the form of log lines", slot: |c| Slot::Format(&mut c.log.format) },
    Key { name: "log.level", about: "the least severity that is logged", slot: |c| Slot::Level(&mut c.log.level) },
    Key { name: "console", about: "serve the console", slot: |c| Slot::Switch(&mut c.console) },
    Key { name: "metrics", about: "serve `/metrics`", slot: |c| Slot::Switch(&mut c.metrics) },
];

/// Keys that are of no use without each other.
const TOGETHER: [(&[&str], &str); 4] = [
    (&["tls.cert", "tls.key"], "give both for TLS, or neither"),
    (&["oidc.issuer", "oidc.client_id"], "give both for an issuer, or neither"),
    (&["notify.webhook.url", "notify.webhook.secret_file"], "give both for a webhook, or neither"),
    (&["notify.smtp.server", "notify.smtp.from", "notify.smtp.to"], "give all three for mail, or none"),
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is built in.
    Default,
    /// A line of the file.
    File(Place),
    /// A variable of the environment.
    Environment(String),
    /// The command line.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(at) => write!(f, "file {at}"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// What may say something else than what is built in.
pub struct Sources<'a> {
    /// The file.
    pub file: Option<&'a Path>,
    /// The environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Flag, key and value of what the command line gives; the last one counts.
    pub flags: &'a [(String, String, String)],
}

/// A configuration whose values know where they came from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The values.
    pub config: Config,
    origins: BTreeMap<&'static str, Origin>,
}

/// One line of `writ config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// The value; none where there is none.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// What it says.
    pub about: &'static str,
}

impl Resolved {
    /// Lays flags over the environment over the file over what is built in.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn of(standard: Config, sources: &Sources<'_>) -> Result<Self, Vec<Problem>> {
        let (mut config, mut origins, mut problems) = (standard, BTreeMap::new(), Vec::new());
        if let Some(path) = sources.file {
            file::lay(path, &mut config, &mut origins, &mut problems);
        }
        for key in &KEYS {
            let Some(text) = (sources.environment)(&key.variable()) else { continue };
            match (key.slot)(&mut config).put(&text) {
                Ok(()) => drop(origins.insert(key.name, Origin::Environment(key.variable()))),
                Err(right) => problems.push(wrong("environment", &key.variable(), &text, &right)),
            }
        }
        for (flag, name, text) in sources.flags {
            let Some(key) = known(name) else {
                problems.push(unknown(outside("command line"), name));
                continue;
            };
            match (key.slot)(&mut config).put(text) {
                Ok(()) => drop(origins.insert(key.name, Origin::Flag(flag.clone()))),
                Err(right) => problems.push(wrong("command line", flag, text, &right)),
            }
        }
        let resolved = Self { config, origins };
        problems.extend(resolved.halves());
        if problems.is_empty() { Ok(resolved) } else { Err(problems) }
    }

    /// Every key with its value and its origin.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let mut config = self.config.clone();
        let setting = |key: &Key| Setting {
            key: key.name,
            value: (key.slot)(&mut config).show(),
            origin: self.origins.get(key.name).cloned().unwrap_or(Origin::Default),
            about: key.about,
        };
        KEYS.iter().map(setting).collect()
    }

    /// Keys that are given without those that they need.
    fn halves(&self) -> Vec<Problem> {
        let mut config = self.config.clone();
        let mut given = |name: &str| known(name).is_some_and(|key| (key.slot)(&mut config).show().is_some());
        let mut problems = Vec::new();
        for (keys, hint) in TOGETHER {
            let Some(there) = keys.iter().find(|key| given(key)) else { continue };
            if let Some(missing) = keys.iter().find(|key| !given(key)) {
                let at = match self.origins.get(there) {
                    Some(Origin::File(place)) => place.clone(),
                    Some(Origin::Environment(_)) => outside("environment"),
                    Some(Origin::Flag(_)) | Some(Origin::Default) | None => outside("command line"),
                };
                let problem = Problem::new(at, format!("`{there}` is given and `{missing}` is not"));
                problems.push(problem.hint(hint));
            }
        }
        problems
    }
}

fn known(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn unknown(at: Place, name: &str) -> Problem {
    let shown: String = name.chars().take(140).collect();
    let problem = Problem::new(at, format!("the configuration does not know `{shown}`"));
    match nearest(name, KEYS.iter().map(|key| key.name)) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint("`writ config show` lists every key"),
    }
}

fn wrong(place: &str, name: &str, text: &str, right: &str) -> Problem {
    let shown: String = text.chars().take(140).collect();
    Problem::new(outside(place), format!("`{name}` is `{shown}`, which is not {right}"))
}

/// A place that is no file.
fn outside(name: &str) -> Place {
    Place { file: name.to_owned(), line: 1, column: 1 }
}

/// The table of keys as `docs/configuration.md` has it.
#[cfg(test)]
fn table() -> String {
    let mut config = Config::standard();
    let mut text = "| key | variable | value | built in | what it says |\n|---|---|---|---|---|\n".to_owned();
    for key in &KEYS {
        let slot = (key.slot)(&mut config);
        let default = slot.show().map_or("none".into(), |value| format!("`{value}`"));
        text.push_str(&format!(
            "| `{}` | `{}` | {} | {default} | {} |\n",
            key.name,
            key.variable(),
            slot.form(),
            key.about
        ));
    }
    text
}

#[cfg(test)]
mod tests;
