//! How people are told. Secrets are named by their files.

use std::path::PathBuf;
use writ_core::Severity;

/// Channels, and what is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// How bad something is at the least that people are told.
    pub level: Severity,
    /// Certificates to trust besides those that this machine trusts.
    pub ca: Option<PathBuf>,
    /// A signed webhook.
    pub webhook: Webhook,
    /// Slack: the file with the URL of an incoming webhook.
    pub slack_url_file: Option<PathBuf>,
    /// Mail.
    pub smtp: Smtp,
}

/// A signed webhook; both or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Webhook {
    /// Where it is.
    pub url: Option<String>,
    /// The file with what messages are signed with.
    pub secret_file: Option<PathBuf>,
}

/// Mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    /// Host and port of the server that takes it.
    pub server: Option<String>,
    /// How the way there is secured.
    pub security: MailSecurity,
    /// Who it is from.
    pub from: Option<String>,
    /// Who gets it.
    pub to: Option<String>,
    /// The file with `user:password`.
    pub credentials_file: Option<PathBuf>,
}

/// How the way to a mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// It begins in the clear and must be secured before anything is said.
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all; on this machine alone.
    None,
}

impl Notify {
    /// What is built in: nobody outside is told.
    #[must_use]
    pub fn standard() -> Self {
        let smtp =
            Smtp { server: None, security: MailSecurity::StartTls, from: None, to: None, credentials_file: None };
        Self { level: Severity::High, ca: None, webhook: Webhook::default(), slack_url_file: None, smtp }
    }
}
