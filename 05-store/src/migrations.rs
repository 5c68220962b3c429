//! The tables, one step a version. A step that has shipped is never changed.

/// What each version adds. `{bytes}` and `{text}` are the database's types: texts compare byte by byte in both.
pub(crate) const STEPS: &[&[&str]] = &[&[
    "CREATE TABLE head (id BIGINT PRIMARY KEY, size BIGINT NOT NULL, root {bytes} NOT NULL, epoch BIGINT NOT NULL,
        last_leaf {bytes} NOT NULL, last_timestamp BIGINT NOT NULL)",
    "CREATE TABLE entries (seq BIGINT PRIMARY KEY, bytes {bytes} NOT NULL, leaf {bytes} NOT NULL,
        stream {text} NOT NULL, version BIGINT NOT NULL, trace_id {text} NOT NULL, trace_seq BIGINT NOT NULL,
        event_id {text} NOT NULL, timestamp BIGINT NOT NULL, actor {text} NOT NULL, action {text} NOT NULL,
        resource {text} NOT NULL, outcome {text} NOT NULL, kind {text} NOT NULL)",
    "CREATE UNIQUE INDEX entries_by_stream ON entries (stream, version)",
    "CREATE UNIQUE INDEX entries_by_trace ON entries (trace_id, trace_seq)",
    "CREATE UNIQUE INDEX entries_by_event ON entries (event_id)",
    "CREATE INDEX entries_by_time ON entries (timestamp)",
    "CREATE INDEX entries_by_actor ON entries (actor, seq)",
    "CREATE INDEX entries_by_action ON entries (action, seq)",
    "CREATE INDEX entries_by_resource ON entries (resource, seq)",
    "CREATE INDEX entries_by_kind ON entries (kind, seq)",
    "CREATE TABLE attachments (digest {bytes} PRIMARY KEY, bytes {bytes} NOT NULL)",
    "CREATE TABLE erasables (commitment {bytes} PRIMARY KEY, salt {bytes} NOT NULL, bytes {bytes} NOT NULL)",
    "CREATE TABLE tiles (level BIGINT NOT NULL, idx BIGINT NOT NULL, bytes {bytes} NOT NULL, PRIMARY KEY (level, idx))",
    "CREATE TABLE checkpoints (size BIGINT PRIMARY KEY, note {text} NOT NULL)",
    "CREATE TABLE views (name {text} NOT NULL, doc_key {text} NOT NULL, doc {bytes} NOT NULL, PRIMARY KEY (name, doc_key))",
]];

/// The newest version this program knows.
pub(crate) const NEWEST: i64 = STEPS.len() as i64;
