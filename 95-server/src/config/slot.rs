//! A place in the configuration that a value goes into, and the forms it may have.

use super::{LogFormat, LogLevel, MailSecurity};
use std::net::SocketAddr;
use std::path::PathBuf;
use writ_core::Severity;

/// Where the value of a key goes.
pub(super) enum Slot<'a> {
    Address(&'a mut SocketAddr),
    Path(&'a mut PathBuf),
    MaybePath(&'a mut Option<PathBuf>),
    /// Not less and not more than.
    Count(&'a mut u64, u64, u64),
    Switch(&'a mut bool),
    Format(&'a mut LogFormat),
    Level(&'a mut LogLevel),
    /// An address that links begin with.
    MaybeUrl(&'a mut Option<String>),
    /// A text, and what it is.
    MaybeText(&'a mut Option<String>, &'static str),
    Security(&'a mut MailSecurity),
    Severity(&'a mut Severity),
}

/// What a value is in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Text,
    Number,
    Truth,
}

const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
const LEVELS: [(&str, LogLevel); 4] =
    [("error", LogLevel::Error), ("warn", LogLevel::Warn), ("info", LogLevel::Info), ("debug", LogLevel::Debug)];

const SECURITIES: [(&str, MailSecurity); 3] =
    [("starttls", MailSecurity::StartTls), ("tls", MailSecurity::Tls), ("none", MailSecurity::None)];
const SEVERITIES: [(&str, Severity); 5] = [
    ("info", Severity::Info),
    ("low", Severity::Low),
    ("medium", Severity::Medium),
    ("high", Severity::High),
    ("critical", Severity::Critical),
];

impl Slot<'_> {
    /// Takes a value, or says what the right form is.
    pub(super) fn put(&mut self, text: &str) -> Result<(), String> {
        let taken = match self {
            Slot::Address(at) => put(*at, text.parse().ok()),
            Slot::Path(at) => put(*at, path(text)),
            Slot::MaybePath(at) => put(*at, path(text).map(Some)),
            Slot::Count(at, least, most) => {
                let range = *least..=*most;
                put(*at, text.parse().ok().filter(|count| range.contains(count)))
            }
            Slot::Switch(at) => put(*at, text.parse().ok()),
            Slot::Format(at) => put(*at, meant(&FORMATS, text)),
            Slot::Level(at) => put(*at, meant(&LEVELS, text)),
            Slot::MaybeUrl(at) => put(*at, url(text).map(Some)),
            Slot::MaybeText(at, _) => put(*at, line(text).map(Some)),
            Slot::Security(at) => put(*at, meant(&SECURITIES, text)),
            Slot::Severity(at) => put(*at, meant(&SEVERITIES, text)),
        };
        taken.ok_or_else(|| self.form())
    }

    /// The value as `put` takes it; none where there is none.
    pub(super) fn show(&self) -> Option<String> {
        Some(match self {
            Slot::Address(at) => at.to_string(),
            Slot::Path(at) => at.display().to_string(),
            Slot::MaybePath(at) => at.as_ref()?.display().to_string(),
            Slot::Count(at, ..) => at.to_string(),
            Slot::Switch(at) => at.to_string(),
            Slot::Format(at) => word(&FORMATS, **at)?.to_owned(),
            Slot::Level(at) => word(&LEVELS, **at)?.to_owned(),
            Slot::MaybeUrl(at) | Slot::MaybeText(at, _) => (**at).clone()?,
            Slot::Security(at) => word(&SECURITIES, **at)?.to_owned(),
            Slot::Severity(at) => word(&SEVERITIES, **at)?.to_owned(),
        })
    }

    /// The right form, in words.
    pub(super) fn form(&self) -> String {
        match self {
            Slot::Address(_) => "an address and a port, such as `127.0.0.1:7420`".into(),
            Slot::Path(_) | Slot::MaybePath(_) => "a path".into(),
            Slot::Count(_, least, most) => format!("a number from {least} to {most}"),
            Slot::Switch(_) => "`true` or `false`".into(),
            Slot::Format(_) => words(&FORMATS),
            Slot::Level(_) => words(&LEVELS),
            Slot::MaybeUrl(_) => "a URL without credentials, such as `https://writ.example`".into(),
            Slot::MaybeText(_, form) => (*form).into(),
            Slot::Security(_) => words(&SECURITIES),
            Slot::Severity(_) => words(&SEVERITIES),
        }
    }

    /// What it is in TOML.
    pub(super) fn sort(&self) -> Sort {
        match self {
            Slot::Address(_) | Slot::Path(_) | Slot::MaybePath(_) | Slot::Format(_) | Slot::Level(_) => Sort::Text,
            Slot::MaybeUrl(_) | Slot::MaybeText(..) | Slot::Security(_) | Slot::Severity(_) => Sort::Text,
            Slot::Count(..) => Sort::Number,
            Slot::Switch(_) => Sort::Truth,
        }
    }

    /// A relative path, from the directory of the file that says it.
    pub(super) fn beside(&mut self, dir: &std::path::Path) {
        match self {
            Slot::Path(at) => **at = dir.join(&**at),
            Slot::MaybePath(Some(at)) => *at = dir.join(&*at),
            Slot::MaybePath(None)
            | Slot::Address(_)
            | Slot::Count(..)
            | Slot::Switch(_)
            | Slot::Format(_)
            | Slot::Level(_)
            | Slot::MaybeUrl(_)
            | Slot::MaybeText(..)
            | Slot::Security(_)
            | Slot::Severity(_) => {}
        }
    }
}

fn put<T>(at: &mut T, value: Option<T>) -> Option<()> {
    *at = value?;
    Some(())
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

fn line(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= 2_048 && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// What a path can be put behind.
fn url(text: &str) -> Option<String> {
    let url: hyper::Uri = line(text)?.trim_end_matches('/').parse().ok()?;
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    let bare = !url.authority()?.as_str().contains('@') && url.query().is_none();
    let plain = text.chars().all(|c| c.is_ascii_graphic() && !"<>|\"`{}\\^#".contains(c));
    (known && bare && plain).then(|| text.trim().trim_end_matches('/').to_owned())
}

fn meant<T: Copy>(all: &[(&str, T)], text: &str) -> Option<T> {
    all.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

fn word<T: Copy + PartialEq>(all: &[(&'static str, T)], value: T) -> Option<&'static str> {
    all.iter().find(|(_, one)| *one == value).map(|(word, _)| *word)
}

fn words<T>(all: &[(&str, T)]) -> String {
    format!("one of {}", writ_text::listed(all.iter().map(|(word, _)| word)))
}
