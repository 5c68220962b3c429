//! PostgreSQL: the same tables and the same statements, for several replicas.

use crate::ledger::{impl_ledger, unreachable_at};
use crate::migrations::{NEWEST, STEPS, TRAIL};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Postgres, Row};
use std::time::Duration;
use writ_core::{Append, Group, LedgerError};

/// A journal in a PostgreSQL schema. Sessions commit with `synchronous_commit=on`, but for the one that writes what trails.
#[derive(Debug)]
pub struct PostgresLedger {
    pool: PgPool,
    writer: PgPool,
    /// The session that writes what trails.
    reporter: PgPool,
    place: String,
}

impl PostgresLedger {
    /// Opens the journal in `schema` of the database at `url`, making the schema when it is not there.
    ///
    /// # Errors
    /// When the server does not answer, a newer writ wrote the schema, or its name is not a plain word.
    pub async fn open(url: &str, schema: &str) -> Result<Self, LedgerError> {
        let mut place = format!("postgres, schema `{schema}`");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if schema.is_empty()
            || schema.len() > 63
            || !schema.starts_with(|c: char| c.is_ascii_lowercase())
            || !schema.chars().all(plain)
        {
            return Err(LedgerError::Damaged {
                place,
                what: "a schema's name is lower-case letters, digits and `_`".into(),
            });
        }
        let options: PgConnectOptions = url.parse().map_err(|cause: sqlx::Error| unreachable_at(&place, cause))?;
        place = format!("postgres at {}:{}, schema `{schema}`", options.get_host(), options.get_port());
        let options = options.options([("search_path", schema), ("synchronous_commit", "on")]);
        let pooled = |size| {
            PgPoolOptions::new()
                .max_connections(size)
                .test_before_acquire(false)
                .acquire_timeout(Duration::from_secs(10))
        };
        let writer = pooled(1).connect_with(options.clone()).await.map_err(|cause| unreachable_at(&place, cause))?;
        migrate(&writer, schema, &place).await?;
        // What trails can be made anew, and need not reach the disk at once.
        let hasty = options.clone().options([("synchronous_commit", "off")]);
        let reporter = pooled(1).connect_with(hasty).await.map_err(|cause| unreachable_at(&place, cause))?;
        let pool = pooled(4).connect_with(options).await.map_err(|cause| unreachable_at(&place, cause))?;
        Ok(Self { pool, writer, reporter, place })
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
        self.reporter.close().await;
        self.writer.close().await;
    }
}

async fn migrate(pool: &PgPool, schema: &str, place: &str) -> Result<(), LedgerError> {
    let failed = |cause| unreachable_at(place, cause);
    let mut transaction = pool.begin().await.map_err(failed)?;
    // Two processes may start at once; the lock ends with the transaction.
    sqlx::query("SELECT pg_advisory_xact_lock(7753191)").execute(&mut *transaction).await.map_err(failed)?;
    let make = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
    sqlx::query(AssertSqlSafe(make)).execute(&mut *transaction).await.map_err(failed)?;
    let meta = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
    sqlx::query(meta).execute(&mut *transaction).await.map_err(failed)?;
    let ask = "SELECT COALESCE(MAX(version), 0)::BIGINT FROM schema_version";
    let found: i64 = sqlx::query(ask).fetch_one(&mut *transaction).await.map_err(failed)?.get(0);
    if found > NEWEST {
        return Err(LedgerError::Newer { place: place.to_owned(), found, known: NEWEST });
    }
    let typed = |text: &str| text.replace("{bytes}", "BYTEA").replace("{text}", "TEXT COLLATE \"C\"");
    for (version, step) in (1_i64..).zip(STEPS).filter(|(version, _)| *version > found) {
        for statement in *step {
            sqlx::query(AssertSqlSafe(typed(statement))).execute(&mut *transaction).await.map_err(failed)?;
        }
        let record = "INSERT INTO schema_version (version) VALUES ($1)";
        sqlx::query(record).bind(version).execute(&mut *transaction).await.map_err(failed)?;
    }
    for statement in TRAIL {
        let text = typed(statement).replace("{trail}", "").replace("{sorted}", "").replace("{nothing}", "''");
        sqlx::query(AssertSqlSafe(text)).execute(&mut *transaction).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

impl PostgresLedger {
    /// Takes what was deleted out of the table's pages, too. The database's own log and its archives keep it for as long as
    /// they are kept.
    async fn forget_traces(&self) -> Result<(), LedgerError> {
        let vacuumed = sqlx::raw_sql("VACUUM erasables").execute(&self.writer).await;
        vacuumed.map(drop).map_err(|cause| unreachable_at(&self.place, cause))
    }

    /// PostgreSQL takes one statement at a time where there are values to bind.
    #[expect(clippy::unused_async, reason = "the other database does this over the wire")]
    async fn append_at_once(&self, _: &Group) -> Option<Append> {
        None
    }
}

impl_ledger!(PostgresLedger, Postgres);
