//! TLS: a certificate and its key, looked at before they are offered to anybody.

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use writ_core::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// Why a certificate and a key are not offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`{path}` cannot be read")]
    Read {
        /// Which.
        path: String,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// A file holds something else.
    #[error("`{path}` holds no {what} in PEM")]
    Form {
        /// Which.
        path: String,
        /// What it should hold.
        what: &'static str,
    },
    /// The key can be read by anybody.
    #[error(
        "the key `{path}` can be read by everybody (mode {mode:o}); run `chmod o= {path}`, and replace it if anybody did"
    )]
    Exposed {
        /// Which.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// It was good once.
    #[error("the certificate `{path}` was good until {until}; renew it")]
    Expired {
        /// Which.
        path: String,
        /// Its end.
        until: Timestamp,
    },
    /// It will be good.
    #[error("the certificate `{path}` is good from {from} on; look at the clock of this machine")]
    Early {
        /// Which.
        path: String,
        /// Its beginning.
        from: Timestamp,
    },
    /// They are not a pair, or of a kind that is not known.
    #[error(
        "`{key}` is not the key of `{cert}`, or of a kind that is not known; give the pair that was issued together"
    )]
    Pair {
        /// The certificate.
        cert: String,
        /// The key.
        key: String,
        /// What TLS says.
        #[source]
        cause: rustls::Error,
    },
    /// The library refuses its own settings.
    #[error("TLS cannot be set up")]
    Settings(#[source] rustls::Error),
}

/// What offers TLS with a certificate chain and its key.
pub(crate) fn offer(cert: &Path, key: &Path, now: Timestamp) -> Result<TlsAcceptor, TlsError> {
    let (cert_name, key_name) = (cert.display().to_string(), key.display().to_string());
    let form = |path: &str, what| TlsError::Form { path: path.to_owned(), what };
    let pem = read(cert)?;
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|_| form(&cert_name, "certificate"))?;
    let first = chain.first().ok_or_else(|| form(&cert_name, "certificate"))?;
    let (from, until) = validity(first).ok_or_else(|| form(&cert_name, "certificate"))?;
    if until < now {
        return Err(TlsError::Expired { path: cert_name, until });
    }
    if from > now {
        return Err(TlsError::Early { path: cert_name, from });
    }
    let meta = fs::metadata(key).map_err(|cause| TlsError::Read { path: key_name.clone(), cause })?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(TlsError::Exposed { path: key_name, mode });
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| form(&key_name, "private key"))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Settings)?;
    let offered = builder.with_no_client_auth().with_single_cert(chain, secret);
    let mut config = offered.map_err(|cause| TlsError::Pair { cert: cert_name, key: key_name, cause })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|cause| TlsError::Read { path: path.display().to_string(), cause })
}

/// From when until when a certificate is good.
fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let validity = Certificate::from_der(certificate).ok()?.tbs_certificate.validity;
    let time = |time: x509_cert::time::Time| {
        let micros = i64::try_from(time.to_unix_duration().as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(micros)
    };
    Some((time(validity.not_before), time(validity.not_after)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemClock;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use std::path::PathBuf;
    use writ_core::Clock as _;

    /// Writes a certificate that is good in these years, and its key.
    fn pair(dir: &Path, name: &str, from: i32, until: i32) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().unwrap();
        let (cert_path, key_path) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        fs::write(&cert_path, params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(&key_path, key.serialize_pem()).unwrap();
        fs::set_permissions(&key_path, fs::Permissions::from_mode(0o640)).unwrap();
        (cert_path, key_path)
    }

    #[test]
    fn a_pair_that_nobody_should_trust_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let (good, key) = pair(dir.path(), "good", 2000, 2100);
        let (other, other_key) = pair(dir.path(), "other", 2000, 2100);
        let (old, old_key) = pair(dir.path(), "old", 2000, 2001);
        let (early, early_key) = pair(dir.path(), "early", 2090, 2100);
        fs::set_permissions(&other_key, fs::Permissions::from_mode(0o644)).unwrap();
        let now = SystemClock.now();
        assert!(offer(&good, &key, now).is_ok());
        let missing = dir.path().join("missing");
        for (cert, key, part) in [
            (&missing, &key, "missing` cannot be read"),
            (&good, &missing, "missing` cannot be read"),
            (&key, &key, "good.key` holds no certificate in PEM"),
            (&good, &good, "good.pem` can be read by everybody"),
            (&other, &other_key, "can be read by everybody (mode 644); run `chmod o="),
            (&old, &old_key, "was good until 2001-01-01"),
            (&early, &early_key, "is good from 2090-01-01"),
            (&other, &key, "is not the key of"),
        ] {
            let told = offer(cert, key, now).map(|_| ()).unwrap_err().to_string();
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}
