//! SQLite: one file, one writing process, readers beside it.

use crate::ledger::{impl_ledger, int, unreachable_at};
use crate::migrations::{NEWEST, STEPS, TRAIL};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, Sqlite, SqliteConnection};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use writ_core::{Append, AppendError, Group, Ledger as _, LedgerError, Report};

/// A journal in an SQLite file, in WAL mode with `synchronous=FULL`: what `append` returned for is on the disk.
///
/// What trails the entries has a file of its own beside it, `journal.trail` by `journal.db`: it is written while groups are
/// appended, and neither waits for the other. It can be thrown away; the next start makes it anew.
#[derive(Debug)]
pub struct SqliteLedger {
    /// Connections that read both files.
    pool: SqlitePool,
    /// One connection alone appends, so that a commit never waits behind another of ours.
    writer: SqlitePool,
    /// The connection that writes the trail.
    reporter: SqlitePool,
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
        let trail = path.with_extension("trail");
        make(path).map_err(|cause| unreachable_at(&place, cause))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .pragma("cache_size", "-8000")
            // A checkpoint syncs the database file, so it should be seldom; but a log that begins anew is not extended, and its
            // syncs are cheaper then.
            .pragma("wal_autocheckpoint", "2000")
            .foreign_keys(false)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(256)
            // Rows come from another thread; with few places between the two, each waits for the other all the time.
            .row_buffer_size(1_024)
            .disable_statement_logging();
        let failed = |cause: sqlx::Error| opening(&place, cause);
        let writer = pooled(1).connect_with(options.clone()).await.map_err(failed)?;
        migrate(&writer, &place).await?;
        make_sound(&trail, &options).await?;
        let both = |size| {
            let trail = trail.clone();
            pooled(size).after_connect(move |connection, _| {
                let trail = trail.clone();
                Box::pin(async move { attach(connection, &trail).await })
            })
        };
        let reporter = both(1).connect_with(options.clone()).await.map_err(failed)?;
        let pool = both(3).connect_with(options).await.map_err(failed)?;
        let ledger = Self { pool, writer, reporter, place, _lock: lock };
        if ledger.reported().await? == 0 {
            // A trail of another journal would find what is not there.
            ledger.begin_trail().await?;
        }
        Ok(ledger)
    }

    /// Closes the files, folding the write-ahead logs into them.
    pub async fn close(&self) {
        self.pool.close().await;
        self.reporter.close().await;
        self.writer.close().await;
    }
}

/// Makes a file, unless it is there. SQLite would make it readable by others.
fn make(path: &Path) -> std::io::Result<()> {
    File::options().create(true).append(true).mode(0o600).open(path).map(drop)
}

/// Throws away what stands in the trail's place and is no trail: it is made anew. A pool would try for half a minute to open it.
async fn make_sound(trail: &Path, options: &SqliteConnectOptions) -> Result<(), LedgerError> {
    let place = trail.display().to_string();
    let hold = |cause: std::io::Error| {
        let told = format!("{cause}; it can be made anew from the journal: remove it and start again");
        unreachable_at(&place, std::io::Error::other(told))
    };
    if trail.is_dir() {
        // Only when it is empty: what else stands in it is not ours.
        std::fs::remove_dir(trail).map_err(hold)?;
    }
    make(trail).map_err(hold)?;
    match opens(trail, options).await.map_err(|cause| opening(&place, cause)) {
        Err(LedgerError::Damaged { .. }) => {}
        opened => return opened,
    }
    for end in ["", "-wal", "-shm"] {
        match std::fs::remove_file(format!("{place}{end}")) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(hold(cause)),
            Ok(()) | Err(_) => {}
        }
    }
    make(trail).map_err(hold)?;
    opens(trail, options).await.map_err(|cause| opening(&place, cause))
}

async fn opens(trail: &Path, options: &SqliteConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = options.connect().await?;
    let attached = attach(&mut connection, trail).await;
    connection.close().await?;
    attached
}

fn pooled(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(size).min_connections(1).test_before_acquire(false)
}

/// Opens what trails beside the journal. It can be made anew, so that a commit to it need not reach the disk at once.
async fn attach(connection: &mut SqliteConnection, trail: &Path) -> Result<(), sqlx::Error> {
    let path = trail.to_string_lossy().into_owned();
    sqlx::query("ATTACH DATABASE $1 AS trail").bind(path).execute(&mut *connection).await?;
    for pragma in ["journal_mode = WAL", "synchronous = NORMAL", "cache_size = -16000"] {
        sqlx::query(AssertSqlSafe(format!("PRAGMA trail.{pragma}"))).fetch_all(&mut *connection).await?;
    }
    for statement in TRAIL {
        let text = typed(statement).replace("{trail}", "trail.").replace("{sorted}", " WITHOUT ROWID");
        sqlx::query(AssertSqlSafe(text.replace("{nothing}", "x''"))).execute(&mut *connection).await?;
    }
    Ok(())
}

fn typed(statement: &str) -> String {
    statement.replace("{bytes}", "BLOB").replace("{text}", "TEXT").replace("BIGINT PRIMARY", "INTEGER PRIMARY")
}

pub(crate) fn opening(place: &str, cause: sqlx::Error) -> LedgerError {
    let broken = |text: &str| text.contains("not a database") || text.contains("malformed");
    match cause.as_database_error().map(|error| error.message().to_owned()).filter(|text| broken(text)) {
        Some(what) => LedgerError::Damaged { place: place.to_owned(), what },
        None => unreachable_at(place, cause),
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
    let failed = |cause: sqlx::Error| opening(place, cause);
    let mut connection = pool.acquire().await.map_err(failed)?;
    let found: i64 = sqlx::query("PRAGMA user_version").fetch_one(&mut *connection).await.map_err(failed)?.get(0);
    if found > NEWEST {
        return Err(LedgerError::Newer { place: place.to_owned(), found, known: NEWEST });
    }
    for (version, step) in (1..).zip(STEPS).filter(|(version, _)| *version > found) {
        let mut transaction = connection.begin().await.map_err(failed)?;
        for statement in *step {
            sqlx::query(AssertSqlSafe(typed(statement))).execute(&mut *transaction).await.map_err(failed)?;
        }
        sqlx::query(AssertSqlSafe(format!("PRAGMA user_version = {version}")))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
    }
    for statement in APPENDING {
        sqlx::query(statement).execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(())
}

/// How often the write-ahead log is folded; each try waits for readers as long as a statement may.
const FOLD_TRIES: u32 = 3;

/// Up to so many parts, a group goes to the database as one statement.
const AT_ONCE_MAX: usize = 24;

/// A view that holds nothing; a row inserted into it is one part of a group, and goes where the part belongs. So one statement
/// can write a whole group: each statement sent by itself costs changes of threads, which for a small group is most of what
/// a commit takes beside the disk.
const APPENDING: [&str; 2] = [
    "CREATE VIEW IF NOT EXISTS appending (part, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) AS
        SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE 0",
    "CREATE TRIGGER IF NOT EXISTS append_part INSTEAD OF INSERT ON appending BEGIN
        SELECT RAISE(ABORT, 'superseded') WHERE NEW.part = 'head' AND NOT EXISTS (
            SELECT 1 FROM head WHERE id = 1 AND size = NEW.e AND root = NEW.f AND epoch = NEW.g);
        UPDATE head SET size = NEW.a, root = NEW.b, last_leaf = NEW.c, last_timestamp = NEW.d
            WHERE NEW.part = 'head' AND id = 1;
        INSERT INTO entries (seq, leaf, stream, version, trace_id, trace_seq, event_id, timestamp, actor, action, resource,
                outcome, kind, checkpoint, bytes)
            SELECT NEW.a, NEW.b, NEW.c, NEW.d, NEW.e, NEW.f, NEW.g, NEW.h, NEW.i, NEW.j, NEW.k, NEW.l, NEW.m, NEW.n, NEW.o
            WHERE NEW.part = 'entry';
        INSERT INTO attachments (digest, bytes) SELECT NEW.a, NEW.b WHERE NEW.part = 'attachment'
            ON CONFLICT (digest) DO NOTHING;
        INSERT INTO views (name, doc_key, doc) SELECT NEW.a, NEW.b, NEW.c WHERE NEW.part = 'view' AND NEW.c IS NOT NULL
            ON CONFLICT (name, doc_key) DO UPDATE SET doc = excluded.doc;
        DELETE FROM views WHERE NEW.part = 'view' AND NEW.c IS NULL AND name = NEW.a AND doc_key = NEW.b;
    END",
];

/// One statement and its values, numbered through.
#[derive(Default)]
struct Statement {
    text: String,
    values: Vec<Bound>,
}

enum Bound {
    Bytes(Vec<u8>),
    Nothing,
    Number(i64),
    Words(String),
}

impl Statement {
    /// Adds a part of the group. Rows of a statement are of one length.
    fn part<const N: usize>(&mut self, part: &str, values: [Bound; N]) {
        self.text.push_str(if self.text.is_empty() { "INSERT INTO appending VALUES " } else { "," });
        self.text.push_str(&format!("('{part}'"));
        for value in values {
            self.values.push(value);
            self.text.push_str(&format!(",${}", self.values.len()));
        }
        self.text.push_str(&",NULL".repeat(15 - N));
        self.text.push(')');
    }

    fn of(group: &Group) -> Self {
        use Bound::{Bytes, Nothing, Number, Words};
        let mut statement = Self::default();
        let (head, expected) = (&group.head, &group.expected);
        let swap = [
            Number(int(head.size)),
            Bytes(head.root.0.to_vec()),
            Bytes(head.last_leaf.0.to_vec()),
            Number(head.last_timestamp.micros()),
            Number(int(expected.size)),
            Bytes(expected.root.0.to_vec()),
            Number(int(expected.epoch)),
        ];
        statement.part("head", swap);
        for sealed in &group.entries {
            let entry = &sealed.entry;
            let values = [
                Number(int(entry.seq)),
                Bytes(sealed.leaf.0.to_vec()),
                Words(entry.stream.clone()),
                Number(int(entry.version)),
                Words(entry.trace_id.to_string()),
                Number(int(entry.trace_seq)),
                Words(entry.event_id.to_string()),
                Number(entry.timestamp.micros()),
                Words(entry.actor.to_string()),
                Words(entry.action.clone()),
                Words(entry.resource.clone()),
                Words(entry.outcome.to_string()),
                Words(entry.kind.clone()),
                group.checkpoint_at(entry.seq).map_or(Nothing, |note| Words(note.to_owned())),
                Bytes(sealed.bytes.clone()),
            ];
            statement.part("entry", values);
        }
        for (digest, bytes) in &group.attachments {
            statement.part("attachment", [Bytes(digest.0.to_vec()), Bytes(bytes.clone())]);
        }
        for change in &group.views {
            let doc = change.doc.clone().map_or(Nothing, Bytes);
            statement.part("view", [Words(change.view.to_owned()), Words(change.key.clone()), doc]);
        }
        statement
    }
}

impl SqliteLedger {
    async fn begin_trail(&self) -> Result<(), LedgerError> {
        match self.report(&Report { from: 0, upto: 0, views: Vec::new() }).await {
            Ok(()) | Err(AppendError::Superseded) => Ok(()),
            Err(AppendError::Ledger(error)) => Err(error),
        }
    }

    /// Takes what was deleted out of the write-ahead log, too: the log is folded into the database, where it was overwritten,
    /// and cut to nothing. Readers that look at an older state hold that up for as long as they look.
    async fn forget_traces(&self) -> Result<(), LedgerError> {
        for _ in 0..FOLD_TRIES {
            let folded = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.writer).await;
            let busy: i64 = folded.map_err(|cause| unreachable_at(&self.place, cause))?.get(0);
            if busy == 0 {
                return Ok(());
            }
        }
        let cause = std::io::Error::other("its write-ahead log is in use and still holds what was deleted");
        Err(unreachable_at(&self.place, cause))
    }

    /// Appends a small group as one statement. None when the group is not small.
    async fn append_at_once(&self, group: &Group) -> Option<Append> {
        let parts = group.entries.len() + group.attachments.len() + group.views.len();
        if parts > AT_ONCE_MAX || !group.erasables.is_empty() || !group.tiles.is_empty() {
            return None;
        }
        let statement = Statement::of(group);
        let mut query = sqlx::query(AssertSqlSafe(statement.text));
        for value in statement.values {
            query = match value {
                Bound::Bytes(bytes) => query.bind(bytes),
                Bound::Nothing => query.bind(None::<String>),
                Bound::Number(number) => query.bind(number),
                Bound::Words(words) => query.bind(words),
            };
        }
        let Err(cause) = query.execute(&self.writer).await else { return Some(Ok(())) };
        let superseded = cause.as_database_error().is_some_and(|error| error.message() == "superseded");
        let failed = || AppendError::Ledger(unreachable_at(&self.place, cause));
        Some(Err(if superseded { AppendError::Superseded } else { failed() }))
    }
}

impl_ledger!(SqliteLedger, Sqlite);
