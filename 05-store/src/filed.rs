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

/// So many entries of a lookup are sorted, or held against the rest of a filter; one that finds more is not the first choice.
pub(crate) const FEW: u64 = 10_000;

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
    /// The ways to answer a filter, the likely narrowest first. Each is lookups that answer it together, no entry in two of them.
    pub(crate) fn ways(filter: &Filter) -> Vec<Vec<Self>> {
        let by_seq = |letter: char, text: &str| Search::Term { term: format!("{letter}:{text}"), by_seq: true };
        let by_stem = |letter: char, stem: &Stem<'_>| match stem {
            Stem::Whole(text) => by_seq(letter, text),
            Stem::Open(prefix) => Search::Prefix { term: format!("{letter}:{prefix}") },
        };
        if let Some(trace) = &filter.trace {
            return vec![vec![Search::Term { term: term::trace(trace), by_seq: false }]];
        }
        if let Some(stream) = &filter.stream {
            return vec![vec![Search::Term { term: term::stream(stream), by_seq: false }]];
        }
        let outcome =
            filter.outcome.filter(|outcome| !term::COMMON.contains(outcome)).map(|outcome| outcome.to_string());
        let kind = filter.kind.as_deref().map(kind_stem);
        let resource = filter.resource.as_deref().map(|text| stem(text, '*'));
        let (mut ways, mut open) = (Vec::new(), Vec::new());
        for (letter, stem) in [('k', kind), ('r', resource)] {
            let Some(stem) = stem else { continue };
            let way = vec![by_stem(letter, &stem)];
            if matches!(stem, Stem::Whole(_)) { &mut ways } else { &mut open }.push(way);
        }
        ways.extend(outcome.map(|outcome| vec![by_seq('o', &outcome)]));
        ways.extend(open);
        ways.extend(filter.action.as_deref().map(|action| vec![by_seq('a', action)]));
        let actors = filter.actor.as_deref().map(actors);
        ways.extend(actors.map(|actors| actors.iter().map(|actor| by_seq('p', actor)).collect()));
        ways
    }
}

/// The terms under which an entry is filed.
pub(crate) mod term {
    use writ_core::{Outcome, TraceId};

    /// How many terms each entry has, besides that of an outcome that few have.
    pub(crate) const TERMS: i64 = 7;

    /// What comes of most things is not filed: whoever wants it soon meets it in the journal itself.
    pub(crate) const COMMON: [Outcome; 2] = [Outcome::Started, Outcome::Success];

    /// How many entries before `$1` are filed by their outcome.
    pub(crate) const TOLD: &str =
        "SELECT COUNT(*) FROM entries WHERE seq < $1 AND outcome NOT IN ('started', 'success')";

    /// Files the entries from `$1` up to `$2`, in the order of the lookup.
    pub(crate) const FILE: &str = "INSERT INTO lookup (term, ord, seq) SELECT term, ord, seq FROM (
            SELECT 's:' || stream AS term, version AS ord, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 't:' || trace_id, trace_seq, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'e:' || event_id, 0, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'a:' || action, seq, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'p:' || actor, seq, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'r:' || resource, seq, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'k:' || kind, seq, seq FROM entries WHERE seq >= $1 AND seq < $2
            UNION ALL SELECT 'o:' || outcome, seq, seq FROM entries
                WHERE seq >= $1 AND seq < $2 AND outcome NOT IN ('started', 'success')) AS filed
        WHERE true ORDER BY term, ord ON CONFLICT (term, ord) DO UPDATE SET seq = excluded.seq";

    /// The first entry from `$1` up to `$2` that one of its terms does not lead to.
    pub(crate) const LOST: &str = "SELECT e.seq FROM entries AS e WHERE e.seq >= $1 AND e.seq < $2 AND NOT (
            EXISTS (SELECT 1 FROM lookup WHERE term = 's:' || e.stream AND ord = e.version AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 't:' || e.trace_id AND ord = e.trace_seq AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 'e:' || e.event_id AND ord = 0 AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 'a:' || e.action AND ord = e.seq AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 'p:' || e.actor AND ord = e.seq AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 'r:' || e.resource AND ord = e.seq AND seq = e.seq)
            AND EXISTS (SELECT 1 FROM lookup WHERE term = 'k:' || e.kind AND ord = e.seq AND seq = e.seq)
            AND (e.outcome IN ('started', 'success')
                OR EXISTS (SELECT 1 FROM lookup WHERE term = 'o:' || e.outcome AND ord = e.seq AND seq = e.seq)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use writ_core::Outcome;

    /// What is asked for, and the terms that each way to find it begins with.
    fn ways(filter: &Filter) -> Vec<String> {
        let shown = |search: &Search| match search {
            Search::Term { term, .. } => term.clone(),
            Search::Prefix { term } => format!("{term}*"),
            Search::Each => "each".to_owned(),
        };
        Search::ways(filter).iter().map(|way| way.iter().map(shown).collect::<Vec<_>>().join(" + ")).collect()
    }

    #[test]
    fn a_filter_is_answered_by_what_likely_finds_least() {
        let denied = Filter { outcome: Some(Outcome::Denied), ..Filter::default() };
        assert_eq!(ways(&Filter::default()), [""; 0]);
        assert_eq!(ways(&denied), ["o:denied"]);
        assert_eq!(ways(&Filter { outcome: Some(Outcome::Success), ..Filter::default() }), [""; 0]);
        let whole = Filter { kind: Some("run.failed/1".into()), resource: Some("web/i-1".into()), ..denied.clone() };
        assert_eq!(ways(&whole), ["k:run.failed/1", "r:web/i-1", "o:denied"]);
        let open = Filter {
            kind: Some("run.".into()),
            resource: Some("web*".into()),
            action: Some("restart".into()),
            ..denied
        };
        assert_eq!(ways(&open), ["o:denied", "k:run.*", "r:web*", "a:restart"]);
        let actor = Filter { actor: Some("ada".into()), ..Filter::default() };
        assert_eq!(ways(&actor), ["p:human:ada + p:agent:ada + p:system:ada"]);
    }
}
