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

/// What comes after every text that starts with `prefix`, in byte order.
pub(crate) fn prefix_end(prefix: &str) -> String {
    format!("{prefix}\u{10FFFF}")
}

macro_rules! impl_ledger {
    ($name:ident, $database:ty) => {
        mod statements {
            use super::*;
            use crate::ledger::{count, digest, int, prefix_end};
            use async_trait::async_trait;
            use sqlx::{QueryBuilder, Transaction};
            use writ_core::{
                Append, AppendError, Columns, Digest, Erasable, Filter, Group, Head, Ledger, Sealed, Stored,
                StoredCheckpoint, Tile, TraceId, ViewChange,
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

                async fn blob(&self, sql: &'static str, key: &Digest) -> Result<Option<Line>, LedgerError> {
                    let asked = sqlx::query(sql).bind(key.0.to_vec()).fetch_optional(&self.pool).await;
                    asked.map_err(|cause| self.broken(cause))
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
                    insert_entries(&mut transaction, &group.entries).await.map_err(broken)?;
                    insert_blobs(&mut transaction, group).await.map_err(broken)?;
                    insert_tiles(&mut transaction, &group.tiles).await.map_err(broken)?;
                    change_views(&mut transaction, &group.views).await.map_err(broken)?;
                    let sql = "INSERT INTO checkpoints (size, note) VALUES ($1, $2)";
                    let insert = sqlx::query(sql).bind(int(group.head.size)).bind(&group.checkpoint);
                    insert.execute(&mut *transaction).await.map_err(broken)?;
                    transaction.commit().await.map_err(broken)
                }

                async fn entries(&self, seq: u64, limit: usize) -> Result<Vec<Stored>, LedgerError> {
                    let sql = "SELECT seq, bytes, leaf FROM entries WHERE seq >= $1 ORDER BY seq LIMIT $2";
                    let rows = sqlx::query(sql).bind(int(seq)).bind(int(limit as u64)).fetch_all(&self.pool).await;
                    rows.map_err(|cause| self.broken(cause))?.iter().map(|row| self.stored(row)).collect()
                }

                async fn stream(&self, stream: &str, version: u64, limit: usize) -> Result<Vec<Stored>, LedgerError> {
                    let sql = "SELECT seq, bytes, leaf FROM entries WHERE stream = $1 AND version > $2
                        ORDER BY version LIMIT $3";
                    let asked = sqlx::query(sql).bind(stream).bind(int(version)).bind(int(limit as u64));
                    let rows = asked.fetch_all(&self.pool).await.map_err(|cause| self.broken(cause))?;
                    rows.iter().map(|row| self.stored(row)).collect()
                }

                async fn stream_version(&self, stream: &str) -> Result<u64, LedgerError> {
                    let sql = "SELECT version FROM entries WHERE stream = $1 ORDER BY version DESC LIMIT 1";
                    let row = sqlx::query(sql).bind(stream).fetch_optional(&self.pool).await;
                    let version = row.map_err(|cause| self.broken(cause))?.map_or(0, |row| row.get::<i64, _>(0));
                    count(version, &self.place)
                }

                async fn trace_length(&self, trace: &TraceId) -> Result<u64, LedgerError> {
                    let sql = "SELECT trace_seq + 1 FROM entries WHERE trace_id = $1 ORDER BY trace_seq DESC LIMIT 1";
                    let row = sqlx::query(sql).bind(trace.as_str()).fetch_optional(&self.pool).await;
                    let length = row.map_err(|cause| self.broken(cause))?.map_or(0, |row| row.get::<i64, _>(0));
                    count(length, &self.place)
                }

                async fn query(&self, filter: &Filter, limit: usize) -> Result<Vec<Stored>, LedgerError> {
                    let mut sql = QueryBuilder::<$database>::new("SELECT seq, bytes, leaf FROM entries WHERE seq ");
                    let edge = if filter.newest_first { u64::MAX } else { 0 };
                    sql.push(if filter.newest_first { "<= " } else { ">= " });
                    sql.push_bind(int(filter.from_seq.unwrap_or(edge)));
                    match filter.actor.as_deref() {
                        Some(actor) if ["human:", "agent:", "system:"].iter().any(|kind| actor.starts_with(kind)) => {
                            sql.push(" AND actor = ").push_bind(actor.to_owned());
                        }
                        Some(actor) => {
                            sql.push(" AND actor IN (").push_bind(format!("human:{actor}"));
                            sql.push(", ").push_bind(format!("agent:{actor}"));
                            sql.push(", ").push_bind(format!("system:{actor}")).push(")");
                        }
                        None => {}
                    }
                    let exact = [
                        (" AND action = ", filter.action.clone()),
                        (" AND outcome = ", filter.outcome.map(|outcome| outcome.to_string())),
                        (" AND trace_id = ", filter.trace.as_ref().map(ToString::to_string)),
                        (" AND stream = ", filter.stream.clone()),
                    ];
                    for (clause, value) in exact {
                        if let Some(value) = value {
                            sql.push(clause).push_bind(value);
                        }
                    }
                    let starred = |text: &String| text.strip_suffix('*').map(str::to_owned);
                    let dotted = |text: &String| text.ends_with('.').then(|| text.clone());
                    let prefixed = [
                        ("resource", filter.resource.clone(), filter.resource.as_ref().and_then(starred)),
                        ("kind", filter.kind.clone(), filter.kind.as_ref().and_then(dotted)),
                    ];
                    for (column, exact, prefix) in prefixed {
                        if let Some(prefix) = prefix {
                            sql.push(format!(" AND {column} >= ")).push_bind(prefix.clone());
                            sql.push(format!(" AND {column} < ")).push_bind(prefix_end(&prefix));
                        } else if let Some(exact) = exact {
                            sql.push(format!(" AND {column} = ")).push_bind(exact);
                        }
                    }
                    if let Some(from) = filter.from_time {
                        sql.push(" AND timestamp >= ").push_bind(from.micros());
                    }
                    if let Some(to) = filter.to_time {
                        sql.push(" AND timestamp < ").push_bind(to.micros());
                    }
                    sql.push(if filter.newest_first { " ORDER BY seq DESC LIMIT " } else { " ORDER BY seq LIMIT " });
                    sql.push_bind(int(limit as u64));
                    let rows = sql.build().fetch_all(&self.pool).await.map_err(|cause| self.broken(cause))?;
                    rows.iter().map(|row| self.stored(row)).collect()
                }

                async fn by_event(&self, event: &str) -> Result<Option<Stored>, LedgerError> {
                    let sql = "SELECT seq, bytes, leaf FROM entries WHERE event_id = $1";
                    let row = sqlx::query(sql).bind(event).fetch_optional(&self.pool).await;
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

                async fn checkpoint(&self, at_most: Option<u64>) -> Result<Option<StoredCheckpoint>, LedgerError> {
                    let sql = "SELECT size, note FROM checkpoints WHERE size <= $1 ORDER BY size DESC LIMIT 1";
                    let asked = sqlx::query(sql).bind(int(at_most.unwrap_or(u64::MAX)));
                    let row = asked.fetch_optional(&self.pool).await.map_err(|cause| self.broken(cause))?;
                    let read = |row: Line| {
                        let note = row.try_get(1).map_err(|cause| self.broken(cause))?;
                        Ok(StoredCheckpoint { note, size: count(row.get::<i64, _>(0), &self.place)? })
                    };
                    row.map(read).transpose()
                }

                async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError> {
                    let sql = "SELECT size, note FROM checkpoints WHERE size > $1 ORDER BY size LIMIT $2";
                    let rows = sqlx::query(sql).bind(int(after)).bind(int(limit as u64)).fetch_all(&self.pool).await;
                    let rows = rows.map_err(|cause| self.broken(cause))?;
                    let read = |row: &Line| {
                        Ok(StoredCheckpoint { note: row.get(1), size: count(row.get::<i64, _>(0), &self.place)? })
                    };
                    rows.iter().map(read).collect()
                }

                async fn view(&self, view: &str, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
                    let sql = "SELECT doc FROM views WHERE name = $1 AND doc_key = $2";
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
                    let sql = "SELECT doc_key, doc FROM views
                        WHERE name = $1 AND doc_key >= $2 AND doc_key < $3 AND doc_key > $4 ORDER BY doc_key LIMIT $5";
                    let asked = sqlx::query(sql)
                        .bind(view)
                        .bind(prefix)
                        .bind(prefix_end(prefix))
                        .bind(after.unwrap_or(""))
                        .bind(int(limit as u64));
                    let rows = asked.fetch_all(&self.pool).await.map_err(|cause| self.broken(cause))?;
                    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
                }

                async fn rebuild(&self, documents: Vec<ViewChange>) -> Result<(), LedgerError> {
                    let broken = |cause| self.broken(cause);
                    let mut transaction = self.writer.begin().await.map_err(broken)?;
                    sqlx::query("DELETE FROM views").execute(&mut *transaction).await.map_err(broken)?;
                    change_views(&mut transaction, &documents).await.map_err(broken)?;
                    transaction.commit().await.map_err(broken)
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

            async fn insert_entries(transaction: &mut Tx<'_>, entries: &[Sealed]) -> Result<(), sqlx::Error> {
                let mut rest = entries;
                while !rest.is_empty() {
                    let (rows, after) = rest.split_at(1 << rest.len().min(ROWS).ilog2());
                    rest = after;
                    let mut sql = QueryBuilder::<$database>::new(
                        "INSERT INTO entries (seq, bytes, leaf, stream, version, trace_id, trace_seq, event_id, timestamp,
                         actor, action, resource, outcome, kind) ",
                    );
                    sql.push_values(rows, |mut row, sealed| {
                        let entry = &sealed.entry;
                        row.push_bind(int(entry.seq)).push_bind(sealed.bytes.clone()).push_bind(sealed.leaf.0.to_vec());
                        row.push_bind(entry.stream.clone()).push_bind(int(entry.version));
                        row.push_bind(entry.trace_id.to_string()).push_bind(int(entry.trace_seq));
                        row.push_bind(entry.event_id.to_string()).push_bind(entry.timestamp.micros());
                        row.push_bind(entry.actor.to_string()).push_bind(entry.action.clone());
                        row.push_bind(entry.resource.clone()).push_bind(entry.outcome.to_string());
                        row.push_bind(entry.kind.clone());
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

            async fn change_views(transaction: &mut Tx<'_>, views: &[ViewChange]) -> Result<(), sqlx::Error> {
                for change in views {
                    let sql = match &change.doc {
                        Some(_) => {
                            "INSERT INTO views (name, doc_key, doc) VALUES ($1, $2, $3)
                             ON CONFLICT (name, doc_key) DO UPDATE SET doc = excluded.doc"
                        }
                        None => "DELETE FROM views WHERE name = $1 AND doc_key = $2",
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
