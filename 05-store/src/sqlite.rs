//! SQLite: one file, one writing process, readers beside it.

use crate::ledger::{impl_ledger, unreachable_at};
use crate::migrations::{NEWEST, STEPS};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, Row, Sqlite};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;
use writ_core::LedgerError;

/// A journal in an SQLite file, in WAL mode with `synchronous=FULL`: what `append` returned for is on the disk.
#[derive(Debug)]
pub struct SqliteLedger {
    pool: SqlitePool,
    /// One connection alone writes, so that a commit never waits behind another of ours.
    writer: SqlitePool,
    place: String,
    /// Held for as long as the ledger is open; the system releases it however the process ends.
    _lock: File,
}

impl SqliteLedger {
    /// Opens the journal at `path`, making it when it is not there.
    ///
    /// # Errors
    /// When another process holds it, a newer writ wrote it, or the file cannot be used.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let place = path.display().to_string();
        let lock = lock(path, &place)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .pragma("cache_size", "-8000")
            .foreign_keys(false)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(64);
        let pooled = |size| SqlitePoolOptions::new().max_connections(size).min_connections(1);
        let writer = pooled(1).connect_with(options.clone()).await.map_err(|cause| unreachable_at(&place, cause))?;
        migrate(&writer, &place).await?;
        let pool = pooled(3).connect_with(options).await.map_err(|cause| unreachable_at(&place, cause))?;
        Ok(Self { pool, writer, place, _lock: lock })
    }

    /// Closes the file, folding the write-ahead log into it.
    pub async fn close(&self) {
        self.pool.close().await;
        self.writer.close().await;
    }
}

fn lock(path: &Path, place: &str) -> Result<File, LedgerError> {
    let unreachable = |cause: std::io::Error| unreachable_at(place, cause);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(unreachable)?;
    }
    let beside = path.with_extension("lock");
    let file = File::options().create(true).append(true).open(&beside).map_err(unreachable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::Held { place: place.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(unreachable(cause)),
    }
}

async fn migrate(pool: &SqlitePool, place: &str) -> Result<(), LedgerError> {
    let failed = |cause: sqlx::Error| {
        let broken = |text: &str| text.contains("not a database") || text.contains("malformed");
        match cause.as_database_error().map(|error| error.message().to_owned()).filter(|text| broken(text)) {
            Some(what) => LedgerError::Damaged { place: place.to_owned(), what },
            None => unreachable_at(place, cause),
        }
    };
    let mut connection = pool.acquire().await.map_err(failed)?;
    let found: i64 = sqlx::query("PRAGMA user_version").fetch_one(&mut *connection).await.map_err(failed)?.get(0);
    if found > NEWEST {
        return Err(LedgerError::Newer { place: place.to_owned(), found, known: NEWEST });
    }
    for (version, step) in (1..).zip(STEPS).filter(|(version, _)| *version > found) {
        let mut transaction = connection.begin().await.map_err(failed)?;
        for statement in *step {
            let text = statement
                .replace("{bytes}", "BLOB")
                .replace("{text}", "TEXT")
                .replace("BIGINT PRIMARY", "INTEGER PRIMARY");
            sqlx::query(AssertSqlSafe(text)).execute(&mut *transaction).await.map_err(failed)?;
        }
        sqlx::query(AssertSqlSafe(format!("PRAGMA user_version = {version}")))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
    }
    Ok(())
}

impl_ledger!(SqliteLedger, Sqlite);
