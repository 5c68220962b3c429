//! The tables, one step a version. A step that has shipped is never changed.

/// What each version adds. `{bytes}` and `{text}` are the database's types: texts compare byte by byte in both. Entries have no
/// index but their place: a commit writes the end of one table, and whatever finds entries otherwise trails.
pub(crate) const STEPS: &[&[&str]] = &[&[
    "CREATE TABLE head (id BIGINT PRIMARY KEY, size BIGINT NOT NULL, root {bytes} NOT NULL, epoch BIGINT NOT NULL,
        last_leaf {bytes} NOT NULL, last_timestamp BIGINT NOT NULL)",
    "CREATE TABLE entries (seq BIGINT PRIMARY KEY, leaf {bytes} NOT NULL, stream {text} NOT NULL, version BIGINT NOT NULL,
        trace_id {text} NOT NULL, trace_seq BIGINT NOT NULL, event_id {text} NOT NULL, timestamp BIGINT NOT NULL,
        actor {text} NOT NULL, action {text} NOT NULL, resource {text} NOT NULL, outcome {text} NOT NULL,
        kind {text} NOT NULL, checkpoint {text}, bytes {bytes} NOT NULL)",
    "CREATE TABLE attachments (digest {bytes} PRIMARY KEY, bytes {bytes} NOT NULL)",
    "CREATE TABLE erasables (commitment {bytes} PRIMARY KEY, salt {bytes} NOT NULL, bytes {bytes} NOT NULL)",
    "CREATE TABLE tiles (level BIGINT NOT NULL, idx BIGINT NOT NULL, bytes {bytes} NOT NULL, PRIMARY KEY (level, idx))",
    "CREATE TABLE views (name {text} NOT NULL, doc_key {text} NOT NULL, doc {bytes} NOT NULL, PRIMARY KEY (name, doc_key))",
]];

/// The newest version this program knows.
pub(crate) const NEWEST: i64 = STEPS.len() as i64;

/// What trails the entries. `{trail}` stands before a name where it is kept apart; `{sorted}` ends a table that is kept in the
/// order of its key. A term is a letter for the column, a colon, and the column's text; `ord` counts within it.
pub(crate) const TRAIL: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS {trail}lookup (term {text} NOT NULL, ord BIGINT NOT NULL, seq BIGINT NOT NULL,
        PRIMARY KEY (term, ord)){sorted}",
    "CREATE TABLE IF NOT EXISTS {trail}reports (name {text} NOT NULL, doc_key {text} NOT NULL, doc {bytes} NOT NULL,
        PRIMARY KEY (name, doc_key))",
    "CREATE TABLE IF NOT EXISTS {trail}reported (id BIGINT PRIMARY KEY, upto BIGINT NOT NULL, leaf {bytes} NOT NULL)",
    "INSERT INTO {trail}reported (id, upto, leaf) VALUES (1, 0, {nothing}) ON CONFLICT (id) DO NOTHING",
];
