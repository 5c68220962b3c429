//! How entries are found by what they say: which lookup answers a filter best, and what the lookups are made of.

use writ_core::{Entry, Filter};

/// What comes after every text that starts with `prefix`, in byte order.
pub(crate) fn prefix_end(prefix: &str) -> String {
    format!("{prefix}\u{10FFFF}")
}

/// A text, or everything that starts so.
pub(crate) enum Stem<'a> {
    Whole(&'a str),
    Open(&'a str),
}

/// `web-*` is everything that starts with `web-`.
pub(crate) fn stem(text: &str, mark: char) -> Stem<'_> {
    text.strip_suffix(mark).map_or(Stem::Whole(text), Stem::Open)
}

/// `run.` is every kind that starts so, and `run.failed/` every version of one.
pub(crate) fn kind_stem(text: &str) -> Stem<'_> {
    if text.ends_with(['.', '/']) { Stem::Open(text) } else { Stem::Whole(text) }
}

/// What an actor may stand as in an entry: with its kind, or with any of them when none is given.
pub(crate) fn actors(actor: &str) -> Vec<String> {
    let kinds = ["human:", "agent:", "system:"];
    if kinds.iter().any(|kind| actor.starts_with(kind)) {
        return vec![actor.to_owned()];
    }
    kinds.iter().map(|kind| format!("{kind}{actor}")).collect()
}

/// So many entries under a prefix are looked up and sorted; of more than so many, a page is found sooner by looking at each entry.
pub(crate) const SORTED_MAX: u64 = 10_000;

/// A lookup: what it finds, the rest of a filter is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Search {
    /// One term; `by_seq` when it counts by places, and not by versions.
    Term { term: String, by_seq: bool },
    /// All terms that start so.
    Prefix { term: String },
    /// None: each entry is looked at.
    Each,
}

impl Search {
    /// The lookups that answer a filter together, no entry in two of them: the likely narrowest.
    pub(crate) fn of(filter: &Filter) -> Vec<Self> {
        let by_seq = |letter: char, text: &str| Search::Term { term: format!("{letter}:{text}"), by_seq: true };
        if let Some(trace) = &filter.trace {
            return vec![Search::Term { term: term::trace(trace), by_seq: false }];
        }
        if let Some(stream) = &filter.stream {
            return vec![Search::Term { term: term::stream(stream), by_seq: false }];
        }
        let (kind, resource) =
            (filter.kind.as_deref().map(kind_stem), filter.resource.as_deref().map(|text| stem(text, '*')));
        match (kind, resource) {
            (Some(Stem::Whole(kind)), _) => vec![by_seq('k', kind)],
            (_, Some(Stem::Whole(resource))) => vec![by_seq('r', resource)],
            (Some(Stem::Open(kind)), _) => vec![Search::Prefix { term: format!("k:{kind}") }],
            (None, Some(Stem::Open(resource))) => vec![Search::Prefix { term: format!("r:{resource}") }],
            (None, None) => match (&filter.action, &filter.actor) {
                (Some(action), _) => vec![by_seq('a', action)],
                (None, Some(actor)) => actors(actor).iter().map(|actor| by_seq('p', actor)).collect(),
                (None, None) => vec![Search::Each],
            },
        }
    }
}

/// The terms under which an entry is filed.
pub(crate) mod term {
    use writ_core::TraceId;

    /// How many terms each entry has.
    pub(crate) const TERMS: i64 = 7;

    /// Files the entries from `$1` up to `$2`, in the order of the lookup.
    pub(crate) const FILE: &str = "INSERT INTO lookup (term, ord, seq) SELECT term, ord, seq FROM (
            SELECT 's:' || stream AS term, version AS ord, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 't:' || trace_id, trace_seq, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'e:' || event_id, 0, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'a:' || action, seq, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'p:' || actor, seq, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'r:' || resource, seq, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'k:' || kind, seq, seq FROM entries WHERE seq >= $1 AND seq < $2) AS filed
        WHERE true ORDER BY term, ord ON CONFLICT (term, ord) DO UPDATE SET seq = excluded.seq";

    /// The first entry from `$1` up to `$2` that one of its terms does not lead to.
    pub(crate) const LOST: &str = "SELECT e.seq FROM entries AS e WHERE e.seq >= $1 AND e.seq < $2 AND NOT (
            EXISTS (SELECT 1 FROM lookup WHERE term = 's:' || e.stream AND ord = e.version AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 't:' || e.trace_id AND ord = e.trace_seq AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 'e:' || e.event_id AND ord = 0 AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 'a:' || e.action AND ord = e.seq AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 'p:' || e.actor AND ord = e.seq AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 'r:' || e.resource AND ord = e.seq AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 'k:' || e.kind AND ord = e.seq AND seq = e.seq))
        ORDER BY e.seq LIMIT 1";

    pub(crate) fn stream(stream: &str) -> String {
        format!("s:{stream}")
    }

    pub(crate) fn trace(trace: &TraceId) -> String {
        format!("t:{trace}")
    }

    pub(crate) fn event(event: &str) -> String {
        format!("e:{event}")
    }
}

/// Whether an entry is what a filter wants, wherever it stands.
pub(crate) fn matches(filter: &Filter, entry: &Entry) -> bool {
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    let within = |wanted: Option<Stem<'_>>, found: &str| match wanted {
        Some(Stem::Open(prefix)) => found.starts_with(prefix),
        Some(Stem::Whole(text)) => found == text,
        None => true,
    };
    is(&filter.action, &entry.action)
        && filter.actor.as_deref().is_none_or(|actor| actor == entry.actor.id || actor == entry.actor.to_string())
        && filter.outcome.is_none_or(|outcome| outcome == entry.outcome)
        && filter.trace.as_ref().is_none_or(|trace| *trace == entry.trace_id)
        && is(&filter.stream, &entry.stream)
        && within(filter.resource.as_deref().map(|text| stem(text, '*')), &entry.resource)
        && within(filter.kind.as_deref().map(kind_stem), &entry.kind)
        && filter.from_time.is_none_or(|from| entry.timestamp >= from)
        && filter.to_time.is_none_or(|to| entry.timestamp < to)
}
