//! The statements, once for both databases. A macro rather than generics: `sqlx`'s bounds for a generic database are longer
//! than the code, and both texts are the same to the letter.

use writ_core::{Digest, LedgerError};

pub(crate) fn unreachable_at(place: &str, cause: impl std::error::Error + Send + Sync + 'static) -> LedgerError {
    LedgerError::Unreachable { place: place.to_owned(), cause: Box::new(cause) }
}

/// Databases count in signed integers; a journal never comes near the end of them.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn count(number: i64, place: &str) -> Result<u64, LedgerError> {
    u64::try_from(number)
        .map_err(|_| LedgerError::Damaged { place: place.to_owned(), what: format!("a count is {number}") })
}

pub(crate) fn digest(bytes: &[u8], place: &str) -> Result<Digest, LedgerError> {
    let wrong = || LedgerError::Damaged { place: place.to_owned(), what: format!("a hash has {} bytes", bytes.len()) };
    Ok(Digest(bytes.try_into().map_err(|_| wrong())?))
}

/// Where a document is kept.
#[derive(Clone, Copy)]
pub(crate) enum Views {
    /// With the entries.
    Operational,
    /// With what trails them.
    Report,
}

macro_rules! impl_ledger {
    ($name:ident, $database:ty) => {
        mod statements {
            use super::*;
            use crate::filed::{FEW, Search, Stem, actors, kind_stem, prefix_end, stem, term};
            use crate::ledger::{Views, count, digest, int};
            use async_trait::async_trait;
            use sqlx::{QueryBuilder, Transaction};
            use writ_core::{
                Append, AppendError, Columns, Digest, Erasable, Filter, Group, Head, Ledger, Report, Stored,
                StoredCheckpoint, Tile, Timestamp, TraceId, ViewChange,
            };

            type Line = <$database as sqlx::Database>::Row;

            /// Rows in one statement: well below the variables that either database allows. What is left over is written in
            /// powers of two, so that a few statements are prepared once and serve every group.
            const ROWS: usize = 128;

            impl $name {
                fn broken(&self, cause: sqlx::Error) -> LedgerError {
                    unreachable_at(&self.place, cause)
                }

                fn stored(&self, row: &Line) -> Result<Stored, LedgerError> {
                    let bytes = row.try_get(1).map_err(|cause| self.broken(cause))?;
                    let leaf: Vec<u8> = row.try_get(2).map_err(|cause| self.broken(cause))?;
                    let seq: i64 = row.try_get(0).map_err(|cause| self.broken(cause))?;
                    Ok(Stored { bytes, leaf: digest(&leaf, &self.place)?, seq: count(seq, &self.place)? })
                }

                fn read_head(&self, row: &Line) -> Result<Head, LedgerError> {
                    let number = |at: usize| row.try_get::<i64, _>(at).map_err(|cause| self.broken(cause));
                    let hash = |at: usize| {
                        let bytes: Vec<u8> = row.try_get(at).map_err(|cause| self.broken(cause))?;
                        digest(&bytes, &self.place)
                    };
                    Ok(Head {
                        size: count(number(0)?, &self.place)?,
                        root: hash(1)?,
                        epoch: count(number(2)?, &self.place)?,
                        last_leaf: hash(3)?,
                        last_timestamp: writ_core::Timestamp::from_micros(number(4)?),
                    })
                }

                fn all_stored(&self, rows: Result<Vec<Line>, sqlx::Error>) -> Result<Vec<Stored>, LedgerError> {
                    rows.map_err(|cause| self.broken(cause))?.iter().map(|row| self.stored(row)).collect()
                }

                fn place_of(&self, row: Result<Line, sqlx::Error>) -> Result<Option<u64>, LedgerError> {
                    let place: Option<i64> = row.map_err(|cause| self.broken(cause))?.get(0);
                    place.map(|place| count(place, &self.place)).transpose()
                }

                /// How many entries the lookups have.
                async fn upto(&self) -> Result<u64, LedgerError> {
                    let row = sqlx::query("SELECT upto FROM reported").fetch_one(&self.pool).await;
                    count(row.map_err(|cause| self.broken(cause))?.get(0), &self.place)
                }

                /// The places that a filter allows. Times never step back, so they are bounds of places too.
                async fn range(&self, filter: &Filter) -> Result<std::ops::Range<u64>, LedgerError> {
                    let size = self.head().await?.map_or(0, |head| head.size);
                    let mut range = match filter.from_seq {
                        Some(from) if filter.newest_first => 0..size.min(from.saturating_add(1)),
                        from => from.unwrap_or(0)..size,
                    };
                    if let Some(from) = filter.from_time {
                        range.start = range.start.max(self.first_at(from, size).await?);
                    }
                    if let Some(to) = filter.to_time {
                        range.end = range.end.min(self.first_at(to, size).await?);
                    }
                    Ok(range)
                }

                /// The place of the first entry at or after a time.
                async fn first_at(&self, time: Timestamp, size: u64) -> Result<u64, LedgerError> {
                    let (mut low, mut high) = (0, size);
                    while low < high {
                        let middle = low + (high - low) / 2;
                        let ask = sqlx::query("SELECT timestamp FROM entries WHERE seq = $1").bind(int(middle));
                        let row = ask.fetch_optional(&self.pool).await.map_err(|cause| self.broken(cause))?;
                        if row.is_some_and(|row| row.get::<i64, _>(0) < time.micros()) {
                            low = middle + 1;
                        } else {
                            high = middle;
                        }
                    }
                    Ok(low)
                }

                /// The lookups for a filter: the first that find few, else the first that are in the journal's order. Under a
                /// prefix entries are not: where there are many, those that are wanted are soon met in the journal itself.
                async fn searches(&self, filter: &Filter) -> Result<Vec<Search>, LedgerError> {
                    let mut ways = Search::ways(filter);
                    let in_order = |way: &Vec<Search>| !matches!(way[..], [Search::Prefix { .. }]);
                    // Of one way there is nothing to choose.
                    if ways.len() == 1 && in_order(&ways[0]) {
                        return Ok(ways.remove(0));
                    }
                    for way in &ways {
                        if self.finds_few(way).await? {
                            return Ok(way.clone());
                        }
                    }
                    Ok(ways.into_iter().find(in_order).unwrap_or_else(|| vec![Search::Each]))
                }

                async fn finds_few(&self, way: &[Search]) -> Result<bool, LedgerError> {
                    let mut some = 0;
                    for search in way {
                        let (wanted, term, end) = match search {
                            Search::Term { term, .. } => ("term >= $1 AND term <= $2", term, term.clone()),
                            Search::Prefix { term } => ("term >= $1 AND term < $2", term, prefix_end(term)),
                            Search::Each => return Ok(false),
                        };
                        let sql = format!("SELECT COUNT(*) FROM (SELECT 1 FROM lookup WHERE {wanted} LIMIT $3) AS found");
                        let asked = sqlx::query(AssertSqlSafe(sql)).bind(term).bind(end).bind(int(FEW + 1));
                        some += self.place_of(asked.fetch_one(&self.pool).await)?.unwrap_or_default();
                    }
                    Ok(some <= FEW)
                }

                /// The numbers under a term that lie in a range of places, where those count by versions: both grow together.
                async fn versions(
                    &self,
                    term: &str,
                    range: &std::ops::Range<u64>,
                    filter: &Filter,
                ) -> Result<std::ops::Range<u64>, LedgerError> {
                    // Else the range ends with the journal, which bounds the places as well.
                    let ends = filter.to_time.is_some() || (filter.newest_first && filter.from_seq.is_some());
                    if range.start == 0 && !ends {
                        return Ok(0..i64::MAX.unsigned_abs());
                    }
                    let sql = "SELECT MAX(ord) FROM lookup WHERE term = $1";
                    let last = self.place_of(sqlx::query(sql).bind(term).fetch_one(&self.pool).await)?;
                    let end = last.map_or(0, |last| last + 1);
                    let from = if range.start == 0 { 0 } else { self.version_at(term, range.start, end).await? };
                    let to = if ends { self.version_at(term, range.end, end).await? } else { end };
                    Ok(from..to)
                }

                /// The first number under a term, below `end`, at or after a place.
                async fn version_at(&self, term: &str, seq: u64, end: u64) -> Result<u64, LedgerError> {
                    let (mut low, mut high) = (0, end);
                    while low < high {
                        let middle = low + (high - low) / 2;
                        let sql = "SELECT seq FROM lookup WHERE term = $1 AND ord >= $2 ORDER BY ord LIMIT 1";
                        let ask = sqlx::query(sql).bind(term).bind(int(middle));
                        let row = ask.fetch_optional(&self.pool).await.map_err(|cause| self.broken(cause))?;
                        if row.is_some_and(|row| row.get::<i64, _>(0) < int(seq)) {
                            low = middle + 1;
                        } else {
                            high = middle;
                        }
                    }
                    Ok(low)
                }

                /// Entries of one range that match, of one lookup.
                async fn search(
                    &self,
                    filter: &Filter,
                    search: &Search,
                    range: std::ops::Range<u64>,
                    limit: usize,
                ) -> Result<Vec<Stored>, LedgerError> {
                    let mut sql = QueryBuilder::<$database>::new("SELECT e.seq, e.bytes, e.leaf FROM ");
                    let (from, place) = match search {
                        Search::Each => ("entries AS e WHERE ", "e.seq"),
                        Search::Term { .. } | Search::Prefix { .. } => {
                            ("lookup AS l JOIN entries AS e ON e.seq = l.seq WHERE ", "l.seq")
                        }
                    };
                    sql.push(from);
                    sql.push(format!("{place} >= ")).push_bind(int(range.start));
                    sql.push(format!(" AND {place} < ")).push_bind(int(range.end));
                    let mut order = "e.seq";
                    match search {
                        Search::Term { term, by_seq } => {
                            sql.push(" AND l.term = ").push_bind(term.clone());
                            let ords = if *by_seq { range } else { self.versions(term, &range, filter).await? };
                            sql.push(" AND l.ord >= ").push_bind(int(ords.start));
                            sql.push(" AND l.ord < ").push_bind(int(ords.end));
                            order = "l.ord";
                        }
                        Search::Prefix { term } => {
                            sql.push(" AND l.term >= ").push_bind(term.clone());
                            sql.push(" AND l.term < ").push_bind(prefix_end(term));
                        }
                        Search::Each => {}
                    }
                    restrict(&mut sql, filter);
                    sql.push(format!(" ORDER BY {order}{} LIMIT ", if filter.newest_first { " DESC" } else { "" }));
                    sql.push_bind(int(limit as u64));
                    self.all_stored(sql.build().fetch_all(&self.pool).await)
                }

                async fn blob(&self, sql: &'static str, key: &Digest) -> Result<Option<Line>, LedgerError> {
                    let asked = sqlx::query(sql).bind(key.0.to_vec()).fetch_optional(&self.pool).await;
                    asked.map_err(|cause| self.broken(cause))
                }

                /// The checkpoints that a statement finds around a size.
                async fn kept(&self, sql: &'static str, size: u64, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError> {
                    let rows = sqlx::query(sql).bind(int(size)).bind(int(limit as u64)).fetch_all(&self.pool).await;
                    let read = |row: &Line| {
                        let note = row.try_get(1).map_err(|cause| self.broken(cause))?;
                        Ok(StoredCheckpoint { note, size: count(row.get::<i64, _>(0), &self.place)? })
                    };
                    rows.map_err(|cause| self.broken(cause))?.iter().map(read).collect()
                }
            }

            #[async_trait]
            impl Ledger for $name {
                async fn head(&self) -> Result<Option<Head>, LedgerError> {
                    let sql = "SELECT size, root, epoch, last_leaf, last_timestamp FROM head WHERE id = 1";
                    let row = sqlx::query(sql).fetch_optional(&self.pool).await.map_err(|cause| self.broken(cause))?;
                    row.map(|row| self.read_head(&row)).transpose()
                }

                async fn take_over(&self, empty: Head) -> Result<Head, LedgerError> {
                    let sql = "INSERT INTO head (id, size, root, epoch, last_leaf, last_timestamp)
                        VALUES (1, $1, $2, 1, $3, $4)
                        ON CONFLICT (id) DO UPDATE SET epoch = head.epoch + 1
                        RETURNING size, root, epoch, last_leaf, last_timestamp";
                    let row = sqlx::query(sql)
                        .bind(int(empty.size))
                        .bind(empty.root.0.to_vec())
                        .bind(empty.last_leaf.0.to_vec())
                        .bind(empty.last_timestamp.micros())
                        .fetch_one(&self.writer)
                        .await
                        .map_err(|cause| self.broken(cause))?;
                    self.read_head(&row)
                }

                async fn append(&self, group: &Group) -> Append {
                    if let Some(appended) = self.append_at_once(group).await {
                        return appended;
                    }
                    let broken = |cause| AppendError::Ledger(self.broken(cause));
                    let mut transaction = self.writer.begin().await.map_err(broken)?;
                    if !swap_head(&mut transaction, group).await.map_err(broken)? {
                        transaction.rollback().await.map_err(broken)?;
                        return Err(AppendError::Superseded);
                    }
                    insert_entries(&mut transaction, group).await.map_err(broken)?;
                    insert_blobs(&mut transaction, group).await.map_err(broken)?;
                    insert_tiles(&mut transaction, &group.tiles).await.map_err(broken)?;
                    change_views(&mut transaction, Views::Operational, &group.views).await.map_err(broken)?;
                    transaction.commit().await.map_err(broken)
                }

                async fn entries(&self, seq: u64, limit: usize) -> Result<Vec<Stored>, LedgerError> {
                    let sql = "SELECT seq, bytes, leaf FROM entries WHERE seq >= $1 ORDER BY seq LIMIT $2";
                    let rows = sqlx::query(sql).bind(int(seq)).bind(int(limit as u64)).fetch_all(&self.pool).await;
                    self.all_stored(rows)
                }

                async fn stream(&self, stream: &str, version: u64, limit: usize) -> Result<Vec<Stored>, LedgerError> {
                    let upto = self.upto().await?;
                    let sql = "SELECT e.seq, e.bytes, e.leaf FROM lookup AS l JOIN entries AS e ON e.seq = l.seq
                        WHERE l.term = $1 AND l.ord > $2 AND l.seq < $3 ORDER BY l.ord LIMIT $4";
                    let asked = sqlx::query(sql).bind(term::stream(stream)).bind(int(version)).bind(int(upto));
                    let mut found = self.all_stored(asked.bind(int(limit as u64)).fetch_all(&self.pool).await)?;
                    if found.len() < limit {
                        let sql = "SELECT seq, bytes, leaf FROM entries WHERE seq >= $1 AND stream = $2 AND version > $3
                            ORDER BY seq LIMIT $4";
                        let rest = int((limit - found.len()) as u64);
                        let asked = sqlx::query(sql).bind(int(upto)).bind(stream).bind(int(version)).bind(rest);
                        found.extend(self.all_stored(asked.fetch_all(&self.pool).await)?);
                    }
                    Ok(found)
                }

                async fn version_below(&self, stream: &str, below: u64) -> Result<u64, LedgerError> {
                    let sql = "SELECT MAX(place) FROM (
                        SELECT place FROM (SELECT ord AS place FROM lookup WHERE term = $1 AND seq < $2
                            ORDER BY ord DESC LIMIT 1) AS filed
                        UNION ALL SELECT MAX(version) FROM entries
                            WHERE seq >= (SELECT upto FROM reported) AND seq < $2 AND stream = $3) AS places";
                    let asked = sqlx::query(sql).bind(term::stream(stream)).bind(int(below)).bind(stream);
                    Ok(self.place_of(asked.fetch_one(&self.pool).await)?.unwrap_or(0))
                }

                async fn length_below(&self, trace: &TraceId, below: u64) -> Result<u64, LedgerError> {
                    let sql = "SELECT MAX(place) FROM (
                        SELECT place FROM (SELECT ord AS place FROM lookup WHERE term = $1 AND seq < $2
                            ORDER BY ord DESC LIMIT 1) AS filed
                        UNION ALL SELECT MAX(trace_seq) FROM entries
                            WHERE seq >= (SELECT upto FROM reported) AND seq < $2 AND trace_id = $3) AS places";
                    let asked = sqlx::query(sql).bind(term::trace(trace)).bind(int(below)).bind(trace.as_str());
                    Ok(self.place_of(asked.fetch_one(&self.pool).await)?.map_or(0, |place| place + 1))
                }

                async fn query(&self, filter: &Filter, limit: usize) -> Result<Vec<Stored>, LedgerError> {
                    let upto = self.upto().await?;
                    let range = self.range(filter).await?;
                    let filed = range.start..range.end.min(upto);
                    let tail = range.start.max(upto)..range.end;
                    let searches = self.searches(filter).await?;
                    // The newer part comes first or last, as is asked for; each is in order.
                    let parts = if filter.newest_first { [(tail, false), (filed, true)] } else { [(filed, true), (tail, false)] };
                    let mut found = Vec::new();
                    for (range, filed) in parts {
                        let rest = limit - found.len();
                        if range.is_empty() || rest == 0 {
                            continue;
                        }
                        let mut part = Vec::new();
                        for search in if filed { &searches } else { &[Search::Each][..] } {
                            part.extend(self.search(filter, search, range.clone(), rest).await?);
                        }
                        part.sort_by_key(|stored| stored.seq);
                        if filter.newest_first {
                            part.reverse();
                        }
                        part.truncate(rest);
                        found.extend(part);
                    }
                    Ok(found)
                }

                async fn by_event(&self, event: &str) -> Result<Option<Stored>, LedgerError> {
                    let sql = "SELECT e.seq, e.bytes, e.leaf FROM lookup AS l JOIN entries AS e ON e.seq = l.seq
                            WHERE l.term = $1 AND e.event_id = $2
                        UNION ALL SELECT seq, bytes, leaf FROM entries
                            WHERE seq >= (SELECT upto FROM reported) AND event_id = $2 LIMIT 1";
                    let row = sqlx::query(sql).bind(term::event(event)).bind(event).fetch_optional(&self.pool).await;
                    row.map_err(|cause| self.broken(cause))?.map(|row| self.stored(&row)).transpose()
                }

                async fn attachment(&self, key: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
                    let row = self.blob("SELECT bytes FROM attachments WHERE digest = $1", key).await?;
                    row.map(|row| row.try_get(0).map_err(|cause| self.broken(cause))).transpose()
                }

                async fn erasable(&self, key: &Digest) -> Result<Option<Erasable>, LedgerError> {
                    let row = self.blob("SELECT salt, bytes FROM erasables WHERE commitment = $1", key).await?;
                    let Some(row) = row else { return Ok(None) };
                    let salt: Vec<u8> = row.try_get(0).map_err(|cause| self.broken(cause))?;
                    let bytes = row.try_get(1).map_err(|cause| self.broken(cause))?;
                    Ok(Some(Erasable { commitment: *key, salt: digest(&salt, &self.place)?.0, bytes }))
                }

                async fn erase(&self, key: &Digest) -> Result<bool, LedgerError> {
                    let delete = sqlx::query("DELETE FROM erasables WHERE commitment = $1").bind(key.0.to_vec());
                    let gone = delete.execute(&self.writer).await.map_err(|cause| self.broken(cause))?;
                    self.forget_traces().await?;
                    Ok(gone.rows_affected() > 0)
                }

                async fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, LedgerError> {
                    let sql = "SELECT bytes FROM tiles WHERE level = $1 AND idx = $2";
                    let asked = sqlx::query(sql).bind(i64::from(level)).bind(int(index));
                    let row = asked.fetch_optional(&self.pool).await.map_err(|cause| self.broken(cause))?;
                    row.map(|row| row.try_get(0).map_err(|cause| self.broken(cause))).transpose()
                }

                async fn leaves(&self, from: u64, to: u64) -> Result<Vec<Digest>, LedgerError> {
                    let sql = "SELECT leaf FROM entries WHERE seq >= $1 AND seq < $2 ORDER BY seq";
                    let rows = sqlx::query(sql).bind(int(from)).bind(int(to)).fetch_all(&self.pool).await;
                    let rows = rows.map_err(|cause| self.broken(cause))?;
                    rows.iter().map(|row| digest(&row.get::<Vec<u8>, _>(0), &self.place)).collect()
                }

                async fn checkpoints_back(
                    &self,
                    at_most: Option<u64>,
                    limit: usize,
                ) -> Result<Vec<StoredCheckpoint>, LedgerError> {
                    let sql = "SELECT seq + 1, checkpoint FROM entries WHERE seq < $1 AND checkpoint IS NOT NULL
                        ORDER BY seq DESC LIMIT $2";
                    self.kept(sql, at_most.unwrap_or(u64::MAX), limit).await
                }

                async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError> {
                    let sql = "SELECT seq + 1, checkpoint FROM entries WHERE seq >= $1 AND checkpoint IS NOT NULL
                        ORDER BY seq LIMIT $2";
                    self.kept(sql, after, limit).await
                }

                async fn view(&self, view: &str, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
                    let sql = "SELECT doc FROM views WHERE name = $1 AND doc_key = $2
                        UNION ALL SELECT doc FROM reports WHERE name = $1 AND doc_key = $2";
                    let row = sqlx::query(sql).bind(view).bind(key).fetch_optional(&self.pool).await;
                    let row = row.map_err(|cause| self.broken(cause))?;
                    row.map(|row| row.try_get(0).map_err(|cause| self.broken(cause))).transpose()
                }

                async fn views(
                    &self,
                    view: &str,
                    prefix: &str,
                    after: Option<&str>,
                    limit: usize,
                ) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
                    let sql = "SELECT doc_key, doc FROM (SELECT name, doc_key, doc FROM views
                            UNION ALL SELECT name, doc_key, doc FROM reports) AS documents
                        WHERE name = $1 AND doc_key >= $2 AND doc_key < $3 AND doc_key > $4 ORDER BY doc_key LIMIT $5";
                    // The later of both, so that a page is looked for where the one before ended.
                    let asked = sqlx::query(sql)
                        .bind(view)
                        .bind(after.map_or(prefix, |after| after.max(prefix)))
                        .bind(prefix_end(prefix))
                        .bind(after.unwrap_or(""))
                        .bind(int(limit as u64));
                    let rows = asked.fetch_all(&self.pool).await.map_err(|cause| self.broken(cause))?;
                    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
                }

                async fn views_back(
                    &self,
                    view: &str,
                    prefix: &str,
                    before: Option<&str>,
                    limit: usize,
                ) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
                    let sql = "SELECT doc_key, doc FROM (SELECT name, doc_key, doc FROM views
                            UNION ALL SELECT name, doc_key, doc FROM reports) AS documents
                        WHERE name = $1 AND doc_key >= $2 AND doc_key < $3 ORDER BY doc_key DESC LIMIT $4";
                    let end = prefix_end(prefix);
                    // The earlier of both, so that a page is looked for where the one before ended.
                    let asked = sqlx::query(sql)
                        .bind(view)
                        .bind(prefix)
                        .bind(before.map_or(end.as_str(), |before| before.min(end.as_str())))
                        .bind(int(limit as u64));
                    let rows = asked.fetch_all(&self.pool).await.map_err(|cause| self.broken(cause))?;
                    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
                }

                async fn rebuild(&self, documents: Vec<ViewChange>, size: u64) -> Result<bool, LedgerError> {
                    let broken = |cause| self.broken(cause);
                    let mut transaction = self.writer.begin().await.map_err(broken)?;
                    // Written, not read: no group can be appended before this transaction is over.
                    let sql = "UPDATE head SET size = size WHERE id = 1 AND size = $1";
                    let same = sqlx::query(sql).bind(int(size)).execute(&mut *transaction).await.map_err(broken)?;
                    if same.rows_affected() != 1 {
                        transaction.rollback().await.map_err(broken)?;
                        return Ok(false);
                    }
                    sqlx::query("DELETE FROM views").execute(&mut *transaction).await.map_err(broken)?;
                    change_views(&mut transaction, Views::Operational, &documents).await.map_err(broken)?;
                    transaction.commit().await.map_err(broken)?;
                    Ok(true)
                }

                async fn reported(&self) -> Result<u64, LedgerError> {
                    let sql = "SELECT upto, leaf = COALESCE((SELECT leaf FROM entries WHERE seq = upto - 1), leaf),
                        upto <= COALESCE((SELECT size FROM head), 0) FROM reported";
                    let row = sqlx::query(sql).fetch_one(&self.pool).await.map_err(|cause| self.broken(cause))?;
                    let upto = count(row.get::<i64, _>(0), &self.place)?;
                    Ok(if row.get::<bool, _>(1) && row.get::<bool, _>(2) { upto } else { 0 })
                }

                async fn report(&self, report: &Report) -> Append {
                    let broken = |cause| AppendError::Ledger(self.broken(cause));
                    let mut transaction = self.reporter.begin().await.map_err(broken)?;
                    if report.upto == 0 {
                        for sql in ["DELETE FROM lookup", "DELETE FROM reports", "UPDATE reported SET upto = 0"] {
                            sqlx::query(sql).execute(&mut *transaction).await.map_err(broken)?;
                        }
                    }
                    let sql = "UPDATE reported SET upto = $1,
                        leaf = COALESCE((SELECT leaf FROM entries WHERE seq = $1 - 1), leaf) WHERE upto = $2";
                    let swap = sqlx::query(sql).bind(int(report.upto)).bind(int(report.from));
                    let swapped = swap.execute(&mut *transaction).await.map_err(broken)?;
                    if swapped.rows_affected() != 1 {
                        transaction.rollback().await.map_err(broken)?;
                        return Err(AppendError::Superseded);
                    }
                    let file = sqlx::query(term::FILE).bind(int(report.from)).bind(int(report.upto));
                    file.execute(&mut *transaction).await.map_err(broken)?;
                    change_views(&mut transaction, Views::Report, &report.views).await.map_err(broken)?;
                    transaction.commit().await.map_err(broken)
                }

                async fn misfiled(&self) -> Result<Option<u64>, LedgerError> {
                    let upto = int(self.upto().await?);
                    let failed = |cause| self.broken(cause);
                    let lost = sqlx::query(term::LOST).bind(0_i64).bind(upto).fetch_optional(&self.pool).await;
                    if let Some(row) = lost.map_err(failed)? {
                        return Ok(Some(count(row.get::<i64, _>(0), &self.place)?));
                    }
                    // Every term of every entry is there; whatever there is beyond that leads astray.
                    let filed = sqlx::query("SELECT COUNT(*) FROM lookup WHERE seq < $1").bind(upto);
                    let filed: i64 = filed.fetch_one(&self.pool).await.map_err(failed)?.get(0);
                    let told = sqlx::query(term::TOLD).bind(upto).fetch_one(&self.pool).await;
                    let told: i64 = told.map_err(failed)?.get(0);
                    Ok((filed != upto * term::TERMS + told).then_some(0))
                }

                async fn columns(&self, seq: u64, limit: usize) -> Result<Vec<Columns>, LedgerError> {
                    let sql = "SELECT seq, version, trace_seq, timestamp, stream, trace_id, event_id, actor, action,
                        resource, outcome, kind FROM entries WHERE seq >= $1 ORDER BY seq LIMIT $2";
                    let rows = sqlx::query(sql).bind(int(seq)).bind(int(limit as u64)).fetch_all(&self.pool).await;
                    let rows = rows.map_err(|cause| self.broken(cause))?;
                    let read = |row: &Line| {
                        let number = |at: usize| count(row.try_get::<i64, _>(at).unwrap_or(-1), &self.place);
                        Ok(Columns {
                            seq: number(0)?,
                            version: number(1)?,
                            trace_seq: number(2)?,
                            timestamp: row.get(3),
                            stream: row.get(4),
                            trace_id: row.get(5),
                            event_id: row.get(6),
                            actor: row.get(7),
                            action: row.get(8),
                            resource: row.get(9),
                            outcome: row.get(10),
                            kind: row.get(11),
                        })
                    };
                    rows.iter().map(read).collect()
                }
            }

            type Tx<'a> = Transaction<'a, $database>;

            async fn swap_head(transaction: &mut Tx<'_>, group: &Group) -> Result<bool, sqlx::Error> {
                let sql = "UPDATE head SET size = $1, root = $2, last_leaf = $3, last_timestamp = $4
                    WHERE id = 1 AND size = $5 AND root = $6 AND epoch = $7";
                let swapped = sqlx::query(sql)
                    .bind(int(group.head.size))
                    .bind(group.head.root.0.to_vec())
                    .bind(group.head.last_leaf.0.to_vec())
                    .bind(group.head.last_timestamp.micros())
                    .bind(int(group.expected.size))
                    .bind(group.expected.root.0.to_vec())
                    .bind(int(group.expected.epoch))
                    .execute(&mut **transaction)
                    .await?;
                Ok(swapped.rows_affected() == 1)
            }

            /// Everything a filter says but the place and the time.
            fn restrict(sql: &mut QueryBuilder<$database>, filter: &Filter) {
                if let Some(actor) = &filter.actor {
                    sql.push(" AND e.actor IN (");
                    let mut each = sql.separated(", ");
                    for actor in actors(actor) {
                        each.push_bind(actor);
                    }
                    sql.push(")");
                }
                let exact = [
                    (" AND e.action = ", filter.action.clone()),
                    (" AND e.outcome = ", filter.outcome.map(|outcome| outcome.to_string())),
                    (" AND e.trace_id = ", filter.trace.as_ref().map(ToString::to_string)),
                    (" AND e.stream = ", filter.stream.clone()),
                ];
                for (clause, value) in exact {
                    if let Some(value) = value {
                        sql.push(clause).push_bind(value);
                    }
                }
                let open_ended = [
                    ("e.resource", filter.resource.as_deref().map(|text| stem(text, '*'))),
                    ("e.kind", filter.kind.as_deref().map(kind_stem)),
                ];
                for (column, wanted) in open_ended {
                    match wanted {
                        Some(Stem::Open(prefix)) => {
                            sql.push(format!(" AND {column} >= ")).push_bind(prefix.to_owned());
                            sql.push(format!(" AND {column} < ")).push_bind(prefix_end(prefix));
                        }
                        Some(Stem::Whole(text)) => {
                            sql.push(format!(" AND {column} = ")).push_bind(text.to_owned());
                        }
                        None => {}
                    }
                }
            }

            async fn insert_entries(transaction: &mut Tx<'_>, group: &Group) -> Result<(), sqlx::Error> {
                let mut rest = group.entries.as_slice();
                while !rest.is_empty() {
                    let (rows, after) = rest.split_at(1 << rest.len().min(ROWS).ilog2());
                    rest = after;
                    let mut sql = QueryBuilder::<$database>::new("INSERT INTO entries (seq, leaf, stream, version, trace_id,
                        trace_seq, event_id, timestamp, actor, action, resource, outcome, kind, checkpoint, bytes) ");
                    sql.push_values(rows, |mut row, sealed| {
                        let entry = &sealed.entry;
                        row.push_bind(int(entry.seq)).push_bind(sealed.leaf.0.to_vec());
                        row.push_bind(entry.stream.clone()).push_bind(int(entry.version));
                        row.push_bind(entry.trace_id.to_string()).push_bind(int(entry.trace_seq));
                        row.push_bind(entry.event_id.to_string()).push_bind(entry.timestamp.micros());
                        row.push_bind(entry.actor.to_string()).push_bind(entry.action.clone());
                        row.push_bind(entry.resource.clone()).push_bind(entry.outcome.to_string());
                        row.push_bind(entry.kind.clone());
                        row.push_bind(group.checkpoint_at(entry.seq).map(str::to_owned)).push_bind(sealed.bytes.clone());
                    });
                    sql.build().execute(&mut **transaction).await?;
                }
                Ok(())
            }

            async fn insert_blobs(transaction: &mut Tx<'_>, group: &Group) -> Result<(), sqlx::Error> {
                for (key, bytes) in &group.attachments {
                    let sql = "INSERT INTO attachments (digest, bytes) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
                    sqlx::query(sql).bind(key.0.to_vec()).bind(bytes).execute(&mut **transaction).await?;
                }
                for text in &group.erasables {
                    let sql = "INSERT INTO erasables (commitment, salt, bytes) VALUES ($1, $2, $3)";
                    let insert = sqlx::query(sql).bind(text.commitment.0.to_vec()).bind(text.salt.to_vec());
                    insert.bind(&text.bytes).execute(&mut **transaction).await?;
                }
                Ok(())
            }

            async fn insert_tiles(transaction: &mut Tx<'_>, tiles: &[Tile]) -> Result<(), sqlx::Error> {
                for tile in tiles {
                    let sql = "INSERT INTO tiles (level, idx, bytes) VALUES ($1, $2, $3)";
                    let insert = sqlx::query(sql).bind(i64::from(tile.level)).bind(int(tile.index)).bind(&tile.bytes);
                    insert.execute(&mut **transaction).await?;
                }
                Ok(())
            }

            async fn change_views(
                transaction: &mut Tx<'_>,
                views: Views,
                changes: &[ViewChange],
            ) -> Result<(), sqlx::Error> {
                for change in changes {
                    let sql = match (views, &change.doc) {
                        (Views::Operational, Some(_)) => {
                            "INSERT INTO views (name, doc_key, doc) VALUES ($1, $2, $3)
                             ON CONFLICT (name, doc_key) DO UPDATE SET doc = excluded.doc"
                        }
                        (Views::Report, Some(_)) => {
                            "INSERT INTO reports (name, doc_key, doc) VALUES ($1, $2, $3)
                             ON CONFLICT (name, doc_key) DO UPDATE SET doc = excluded.doc"
                        }
                        (Views::Operational, None) => "DELETE FROM views WHERE name = $1 AND doc_key = $2",
                        (Views::Report, None) => "DELETE FROM reports WHERE name = $1 AND doc_key = $2",
                    };
                    let mut statement = sqlx::query(sql).bind(change.view).bind(&change.key);
                    if let Some(doc) = &change.doc {
                        statement = statement.bind(doc);
                    }
                    statement.execute(&mut **transaction).await?;
                }
                Ok(())
            }
        }
    };
}
pub(crate) use impl_ledger;
