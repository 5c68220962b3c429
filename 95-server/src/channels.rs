//! The channels that a configuration names.

use crate::config::{Config, MailSecurity};
use crate::system::SystemClock;
use crate::wire::channel::{
    ChannelError, ConsoleNotifier, Secret, SlackNotifier, SmtpConfig, SmtpNotifier, SmtpSecurity, Trust,
    WebhookNotifier,
};
use std::path::Path;
use std::sync::Arc;
use writ_core::Notifier;

/// The longest file that holds a secret.
const SECRET_FILE_MAX: u64 = 4_096;

/// Why a channel cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ChannelsError {
    /// What a key says is wrong.
    #[error("`{key}` cannot be used for notifications")]
    Key {
        /// The key of the configuration.
        key: &'static str,
        /// What is wrong.
        #[source]
        cause: ChannelError,
    },
    /// A file that a key names cannot be read.
    #[error("`{key}` names `{path}`, which cannot be read")]
    File {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
}

/// The channels: the file in the state directory, and whatever else is configured. Nothing is sent.
///
/// # Errors
/// What is wrong with the first that cannot be set up.
pub(crate) fn channels(config: &Config) -> Result<Vec<Arc<dyn Notifier>>, ChannelsError> {
    let notify = &config.notify;
    let wrong = |key| move |cause| ChannelsError::Key { key, cause };
    let trust = Trust::of(notify.ca.as_deref()).map_err(wrong("notify.ca"))?;
    let file = config.state.join("notifications.log");
    let mut channels: Vec<Arc<dyn Notifier>> = vec![Arc::new(ConsoleNotifier::file(file))];
    if let (Some(url), Some(path)) = (&notify.webhook.url, &notify.webhook.secret_file) {
        let key = "notify.webhook.secret_file";
        let secret = Secret::read(&secret(key, path)?).map_err(wrong(key))?;
        let webhook = WebhookNotifier::new(url, secret, &trust, Arc::new(SystemClock));
        channels.push(Arc::new(webhook.map_err(wrong("notify.webhook.url"))?));
    }
    if let Some(path) = &notify.slack_url_file {
        let key = "notify.slack.url_file";
        channels.push(Arc::new(SlackNotifier::new(&secret(key, path)?, &trust).map_err(wrong(key))?));
    }
    if let (Some(server), Some(from), Some(to)) = (&notify.smtp.server, &notify.smtp.from, &notify.smtp.to) {
        let path = notify.smtp.credentials_file.as_deref();
        let credentials = path.map(|path| secret("notify.smtp.credentials_file", path)).transpose()?;
        let security = match notify.smtp.security {
            MailSecurity::StartTls => SmtpSecurity::StartTls,
            MailSecurity::Tls => SmtpSecurity::Tls,
            MailSecurity::None => SmtpSecurity::None,
        };
        let (server, from, to) = (server.clone(), from.clone(), to.clone());
        let smtp = SmtpConfig { server, security, credentials, from, to };
        channels.push(Arc::new(SmtpNotifier::new(&smtp, &trust).map_err(wrong("notify.smtp"))?));
    }
    Ok(channels)
}

fn secret(key: &'static str, path: &Path) -> Result<String, ChannelsError> {
    use std::io::Read;
    let failed = |cause| ChannelsError::File { key, path: path.display().to_string(), cause };
    let mut text = String::new();
    std::fs::File::open(path).and_then(|file| file.take(SECRET_FILE_MAX).read_to_string(&mut text)).map_err(failed)?;
    Ok(text)
}
