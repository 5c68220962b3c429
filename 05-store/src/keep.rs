//! A journal's file, looked at and copied without taking it from whoever writes it.

use crate::ledger::unreachable_at;
use crate::migrations::NEWEST;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use std::path::Path;
use std::time::Duration;
use writ_core::{LedgerError, Timestamp};

/// What a look at a journal's file shows. Nothing of it is proved: that is for `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The version of its tables, and the newest that this program knows.
    pub version: (i64, i64),
    /// What the database says is wrong with itself.
    pub damage: Option<String>,
    /// How many entries its head claims.
    pub size: u64,
    /// The time of the newest.
    pub newest: Option<Timestamp>,
    /// The newest checkpoint.
    pub checkpoint: Option<String>,
}

/// Looks at a journal's file.
///
/// # Errors
/// When it is not there, or is no database.
pub async fn look(path: &Path) -> Result<Looked, LedgerError> {
    let place = path.display().to_string();
    let failed = |cause: sqlx::Error| crate::sqlite::opening(&place, cause);
    let mut connection = plain(path).connect().await.map_err(failed)?;
    let found: i64 = sqlx::query("PRAGMA user_version").fetch_one(&mut connection).await.map_err(failed)?.get(0);
    let checked: String = sqlx::query("PRAGMA quick_check(1)").fetch_one(&mut connection).await.map_err(failed)?.get(0);
    let mut looked = Looked {
        version: (found, NEWEST),
        damage: (checked != "ok").then_some(checked),
        size: 0,
        newest: None,
        checkpoint: None,
    };
    if looked.damage.is_none() && (1..=NEWEST).contains(&found) {
        let head = sqlx::query("SELECT size, last_timestamp FROM head WHERE id = 1").fetch_optional(&mut connection);
        if let Some(row) = head.await.map_err(failed)? {
            looked.size = u64::try_from(row.get::<i64, _>(0)).unwrap_or(0);
            looked.newest = Some(Timestamp::from_micros(row.get(1)));
        }
        let newest = "SELECT checkpoint FROM entries WHERE checkpoint IS NOT NULL ORDER BY seq DESC LIMIT 1";
        let newest = sqlx::query(newest).fetch_optional(&mut connection).await.map_err(failed)?;
        looked.checkpoint = newest.map(|row| row.get(0));
    }
    connection.close().await.map_err(failed)?;
    Ok(looked)
}

/// Copies a journal as it is at one moment, while it may be written, to a file that is not there yet.
///
/// # Errors
/// When it cannot be read, or the copy cannot be written.
pub async fn copy(from: &Path, into: &Path) -> Result<(), LedgerError> {
    let place = from.display().to_string();
    let failed = |cause: sqlx::Error| crate::sqlite::opening(&place, cause);
    let mut connection = plain(from).connect().await.map_err(failed)?;
    let target = into.to_string_lossy().replace('\'', "''");
    let copied = sqlx::query(AssertSqlSafe(format!("VACUUM INTO '{target}'"))).execute(&mut connection).await;
    copied.map_err(|cause| unreachable_at(&into.display().to_string(), cause))?;
    connection.close().await.map_err(failed)
}

fn plain(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(10))
        .disable_statement_logging()
}
