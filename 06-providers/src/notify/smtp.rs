//! Mail, handed to one server.

use super::outside::{PATIENCE, Trust, is_here};
use super::{ChannelError, plain};
use async_trait::async_trait;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, Message, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::error::Error;
use writ_core::{Notifier, NotifyError, Severity, Telling};

/// Receivers at the most.
const RECEIVERS_MAX: usize = 50;

/// How the way to the server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// It begins in the clear and must be secured before anything is said.
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all; on this machine alone.
    None,
}

/// Where mail is handed over, and whose it is.
#[derive(Clone)]
pub struct SmtpConfig {
    /// Host and port.
    pub server: String,
    /// How the way there is secured.
    pub security: SmtpSecurity,
    /// `user:password`, where the server wants to know.
    pub credentials: Option<String>,
    /// Who it is from.
    pub from: String,
    /// Who gets it, with commas between.
    pub to: String,
}

/// Sends each telling as a mail to everybody.
#[derive(Clone)]
pub struct SmtpNotifier {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Mailboxes,
}

impl SmtpNotifier {
    /// A server that takes mail.
    ///
    /// # Errors
    /// When the server, an address or the credentials are none, or mail would cross a network in the clear.
    pub fn new(config: &SmtpConfig, trust: &Trust) -> Result<Self, ChannelError> {
        let wrong = |what, because: &str| ChannelError { what, because: because.to_owned() };
        let parts = config.server.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let (host, port) =
            parts.ok_or_else(|| wrong("the server", "is no host and port, such as `mail.example:587`"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let from: Mailbox = config.from.parse().map_err(|_| wrong("`from`", "is no mail address"))?;
        let to: Mailboxes =
            config.to.parse().map_err(|_| wrong("`to`", "is not mail addresses with commas between"))?;
        if !(1..=RECEIVERS_MAX).contains(&to.iter().count()) {
            return Err(wrong("`to`", "names nobody, or more than 50"));
        }
        let secured = || -> Result<TlsParameters, ChannelError> {
            let failed = |_| wrong("the server", "cannot be reached by TLS");
            let mut builder = TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::None);
            for certificate in &trust.certificates {
                // What this machine trusts may hold what TLS cannot read; the rest counts.
                if let Ok(certificate) = Certificate::from_der(certificate.to_vec()) {
                    builder = builder.add_root_certificate(certificate);
                }
            }
            builder.build_rustls().map_err(failed)
        };
        let tls = match config.security {
            SmtpSecurity::StartTls => Tls::Required(secured()?),
            SmtpSecurity::Tls => Tls::Wrapper(secured()?),
            SmtpSecurity::None if is_here(host) => Tls::None,
            SmtpSecurity::None => {
                return Err(wrong(
                    "the server",
                    "is not this machine, and mail would go there in the clear; use `starttls` or `tls`",
                ));
            }
        };
        let hello = ClientId::Domain(from.email.domain().to_owned());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .hello_name(hello)
            .timeout(Some(PATIENCE));
        if let Some(credentials) = &config.credentials {
            let parts = credentials.trim().split_once(':').filter(|(user, word)| !user.is_empty() && !word.is_empty());
            let (user, word) = parts.ok_or_else(|| wrong("the credentials", "are not `user:password`"))?;
            builder = builder.credentials(Credentials::new(user.to_owned(), word.to_owned()));
        }
        Ok(Self { transport: builder.build(), from, to })
    }

    /// The mail that a telling becomes. What people wrote cannot begin another header: it has no line ends.
    fn mail(&self, telling: &Telling) -> Result<Message, lettre::error::Error> {
        let severity = telling.severity;
        let mut body = format!("{}\n\n{}\n\n", plain(&telling.text, 2_000), plain(&telling.link, 2_048));
        for (name, fact) in &telling.facts {
            body.push_str(&format!("{name}: {}\n", plain(fact, 500)));
        }
        body.push_str(&format!("severity: {severity}\nid: {}\n", telling.id));
        let builder: MessageBuilder = self.to.iter().fold(Message::builder(), |mail, to| mail.to(to.clone()));
        builder
            .from(self.from.clone())
            .subject(format!("[writ] {severity}: {}", plain(&telling.title, 200)))
            .message_id(Some(format!("<{}@{}>", telling.id, self.from.email.domain())))
            .header(Automatic)
            .header(Importance(severity))
            .body(body)
    }
}

#[async_trait]
impl Notifier for SmtpNotifier {
    fn name(&self) -> &str {
        "smtp"
    }

    async fn notify(&self, telling: &Telling) -> Result<(), NotifyError> {
        let mail = self.mail(telling).map_err(|error| NotifyError::Refused { because: error.to_string() })?;
        // A server that answers each command late is not waited for without end.
        match tokio::time::timeout(PATIENCE * 3, self.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(meant(&error)),
            Err(_) => Err(NotifyError::Unreachable { because: format!("no end within {} s", 3 * PATIENCE.as_secs()) }),
        }
    }
}

/// What a failure means. What the server said is left out: it may name people.
fn meant(error: &lettre::transport::smtp::Error) -> NotifyError {
    match error.status().map(u16::from) {
        // Who we are, or that we are secured, is for somebody to mend.
        Some(code @ (530 | 534 | 535 | 538)) => {
            NotifyError::Unreachable { because: format!("it answers {code}: it does not take the credentials") }
        }
        Some(code @ 500..) => NotifyError::Refused { because: format!("it answers {code}") },
        Some(code) => NotifyError::Unreachable { because: format!("it answers {code}") },
        None if error.is_timeout() => {
            NotifyError::Unreachable { because: format!("no answer within {} s", PATIENCE.as_secs()) }
        }
        None => match tls_failure(error) {
            Some(tls) => NotifyError::Unreachable { because: format!("TLS does not come about: {tls}") },
            None if error.is_tls() => NotifyError::Unreachable { because: "TLS does not come about".into() },
            None => NotifyError::Unreachable { because: "there is no connection, or it broke".into() },
        },
    }
}

/// Why TLS does not come about: what a handshake fails for is told as a connection that failed.
fn tls_failure(error: &lettre::transport::smtp::Error) -> Option<&rustls::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = within.and_then(|within| within.downcast_ref()).or_else(|| error.downcast_ref());
        if tls.is_some() {
            return tls;
        }
        cause = error.source();
    }
    None
}

/// That nobody need answer it, and no robot should.
#[derive(Clone)]
struct Automatic;

impl Header for Automatic {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".into())
    }
}

/// How urgent it is.
#[derive(Clone)]
struct Importance(Severity);

impl Header for Importance {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Importance")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(Severity::Medium))
    }

    fn display(&self) -> HeaderValue {
        let word = if self.0 >= Severity::High { "high" } else { "normal" };
        HeaderValue::new(Self::name(), word.into())
    }
}
