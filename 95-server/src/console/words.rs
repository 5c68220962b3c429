//! How things are said on a page: states as word, icon and tone, times, spans, ids, money. Pure functions from data to HTML.

use askama::filters::HtmlSafe;
use serde_json::Value;
use std::fmt::{self, Display, Write};
use writ_core::Timestamp;
pub(crate) use writ_pipeline::input::visible;

/// Text that is HTML already: everything in it that came from outside is escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Html(pub(crate) String);

impl Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

/// Text as it may stand in HTML, in and out of attributes.
pub(crate) fn escape(text: &str) -> String {
    writ_pipeline::input::xml(text)
}

/// What a state means to whoever looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Under way.
    Busy,
    /// Somebody is waited for.
    Ask,
    /// Look when you can.
    Warn,
    /// Look now.
    Bad,
    /// Over, or not yet begun.
    Quiet,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Busy => "busy",
            Tone::Ask => "ask",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Quiet => "quiet",
        }
    }

    /// A sign beside the word, so that colour never stands alone.
    fn sign(self) -> &'static str {
        match self {
            Tone::Good => "✓",
            Tone::Busy => "●",
            Tone::Ask => "?",
            Tone::Warn => "!",
            Tone::Bad => "✕",
            Tone::Quiet => "○",
        }
    }
}

/// The tone of a state's word; every word that writ says of a state is here.
pub(crate) fn tone(state: &str) -> Tone {
    match state {
        "succeeded" | "success" | "active" | "monitoring" | "healthy" | "passed" | "granted" | "approved" | "allow"
        | "verified" | "published" | "resolved" | "realised" | "used" | "holds" | "alive" | "fits" | "reviewed"
        | "right" => Tone::Good,
        "running" | "executing" | "started" | "ticketed" | "probing" | "validating" | "translating" | "optimizing"
        | "recovering" | "healing" | "verifying" | "applying" | "compensating" | "replanning" | "resuming"
        | "remedy started" | "in flight" => Tone::Busy,
        "awaiting approval" | "open" | "asked" | "needs approval" | "require approval" | "proposed" | "claimed"
        | "ready" | "awaiting window" => Tone::Ask,
        "warned" | "degraded" | "paused" | "pausing" | "held" | "waiting to retry" | "needs operator" | "unknown"
        | "failing" | "cancelling" | "draining" | "waived" | "missed" | "not measured" | "voided" | "void"
        | "deprecated" | "skipped" | "shadowed" | "waiting" | "acknowledged" | "inconclusive" => Tone::Warn,
        "failed" | "denied" | "deny" | "invalid" | "infeasible" | "escalated" | "refused" | "rejected"
        | "quarantined" | "revoked" | "glass broken" | "error" | "broken" | "dead" | "incompatible" | "unhealthy"
        | "pulled" | "wrong" => Tone::Bad,
        _ if state.starts_with("needs ") => Tone::Ask,
        _ => Tone::Quiet,
    }
}

/// A state as sign and word, in its tone.
pub(crate) fn badge(state: &str) -> Html {
    let state = state.replace('_', " ");
    let tone = tone(&state);
    Html(format!(
        "<span class=\"badge {}\"><span class=\"sign\" aria-hidden=\"true\">{}</span>{}</span>",
        tone.class(),
        tone.sign(),
        escape(&state)
    ))
}

/// A moment: the time of day, with the whole of it on hover and for machines.
pub(crate) fn when(at: Timestamp) -> Html {
    let whole = at.to_string();
    let (day, clock) = whole.split_once('T').unwrap_or((whole.as_str(), ""));
    let clock = clock.get(..8).unwrap_or(clock);
    Html(format!(
        "<time datetime=\"{whole}\" title=\"{day} {} UTC\"><span class=\"day\">{day} </span>{clock}</time>",
        clock.trim_end_matches('Z')
    ))
}

/// A moment that a document tells; a dash where it tells none.
pub(crate) fn when_of(doc: &Value, pointer: &str) -> Html {
    time_of(doc, pointer).map_or_else(|| Html("–".to_owned()), when)
}

/// A moment that a document tells.
pub(crate) fn time_of(doc: &Value, pointer: &str) -> Option<Timestamp> {
    doc.pointer(pointer)?.as_str()?.parse().ok()
}

/// A sentence as HTML: what stands in backticks is code, an id leads to what it names, and a moment is told to the second, as
/// everywhere on pages.
pub(crate) fn phrase(sentence: &str) -> Html {
    let parts: Vec<&str> = sentence.split('`').collect();
    let mut out = String::with_capacity(sentence.len() + 64);
    for (at, part) in parts.iter().enumerate() {
        let (code, closed) = (at % 2 == 1, at + 1 < parts.len());
        if code && closed {
            // Writing to a string cannot fail.
            let _ = if is_minted(part) {
                write!(out, "{}", link(part))
            } else {
                write!(out, "<code>{}</code>", escape(part))
            };
            continue;
        }
        if code {
            out.push('`');
        }
        for word in part.split_inclusive(char::is_whitespace) {
            out.push_str(&moment_in(word).or_else(|| id_in(word)).unwrap_or_else(|| escape(word)));
        }
    }
    Html(out)
}

/// A word with the moment in it told to the second; none where there is no moment in it.
fn moment_in(word: &str) -> Option<String> {
    let from = word.find(|c: char| c.is_ascii_digit())?;
    let end = word.rfind('Z')? + 1;
    let (whole, after) = (word.get(from..end)?.parse::<Timestamp>().ok()?.to_string(), word.get(end..)?);
    let (day, clock) = whole.split_once('T')?;
    let told = format!("<time datetime=\"{whole}\">{day} {} UTC</time>", clock.get(..8)?);
    Some(format!("{}{told}{}", escape(word.get(..from)?), escape(after)))
}

/// A word with the id in it as a link; none where there is no id in it.
fn id_in(word: &str) -> Option<String> {
    let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let (before, after) = word.split_once(core).filter(|_| is_minted(core))?;
    Some(format!("{}{}{}", escape(before), link(core), escape(after)))
}

/// Sorts of ids that writ mints, and that pages lead on from.
const MINTED: [&str; 7] = ["run", "inc", "apr", "evt", "wvr", "pmt", "tkt"];

/// Whether a text is an id that writ minted.
fn is_minted(text: &str) -> bool {
    let letters = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    text.split_once('_').is_some_and(|(sort, rest)| MINTED.contains(&sort) && rest.len() == 26 && letters(rest))
}

/// A span between two moments, in the unit that fits.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> String {
    let micros = to.micros().saturating_sub(from.micros()).max(0);
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
        60_000_000..3_600_000_000 => format!("{} min {} s", micros / 60_000_000, micros / 1_000_000 % 60),
        3_600_000_000..86_400_000_000 => format!("{} h {} min", micros / 3_600_000_000, micros / 60_000_000 % 60),
        _ => format!("{} d {} h", micros / 86_400_000_000, micros / 3_600_000_000 % 24),
    }
}

/// A text of a document; empty where there is none.
pub(crate) fn text<'a>(doc: &'a Value, pointer: &str) -> &'a str {
    doc.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A number of a document; 0 where there is none.
pub(crate) fn number(doc: &Value, pointer: &str) -> u64 {
    doc.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// A list of a document; empty where there is none.
pub(crate) fn list<'a>(doc: &'a Value, pointer: &str) -> &'a [Value] {
    doc.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The texts of a list of a document; none where there is no list.
pub(crate) fn texts<'a>(doc: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    list(doc, pointer).iter().filter_map(Value::as_str)
}

/// The word by which documents name something that is one of a few: `human`, `write_external`.
pub(crate) fn word(kind: impl serde::Serialize) -> String {
    serde_json::to_value(kind).ok().and_then(|kind| Some(kind.as_str()?.to_owned())).unwrap_or_default()
}

/// The end of a long id, which is what tells two of them apart.
pub(crate) fn short(id: &str) -> String {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    match id.split_once('_') {
        Some((sort, rest)) if rest.len() == 26 && sort.len() <= 4 => format!("{sort}_…{}", tail(rest, 6)),
        _ if id.len() > 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => id.chars().take(12).collect(),
        _ => id.to_owned(),
    }
}

/// A sentence with its digests shortened; ids are where they become links.
pub(crate) fn shortened(sentence: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some(at) = rest.find(plain) {
        let (before, from) = rest.split_at(at);
        let (word, after) = from.split_at(from.find(|c| !plain(c)).unwrap_or(from.len()));
        out.push_str(before);
        if is_minted(word) {
            out.push_str(word);
        } else {
            out.push_str(&short(word));
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn tail(text: &str, count: usize) -> &str {
    text.char_indices().rev().nth(count - 1).map_or(text, |(at, _)| text.get(at..).unwrap_or(text))
}

/// Where something is told about, by the sort of its id.
pub(crate) fn page_of(id: &str) -> String {
    let segment = segment(id);
    match id.split_once('_').map(|(sort, _)| sort) {
        Some("run") => format!("/runs/{segment}"),
        Some("inc") => format!("/incidents/{segment}"),
        Some("apr") => format!("/approvals/{segment}"),
        Some("evt") => format!("/audit/{segment}"),
        _ if id.starts_with("OPT-") => format!("/recommendations/{segment}"),
        _ => format!("/why/{segment}"),
    }
}

/// Where an agent is told of.
pub(crate) fn agent_page(id: &str) -> String {
    format!("/agents/{}", segment(id))
}

/// A text as one segment of a path or one value of a query.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// An id as a link to its page, shortened for the eye and whole for the clipboard.
pub(crate) fn link(id: &str) -> Html {
    if id.is_empty() {
        return Html("–".to_owned());
    }
    Html(format!(
        "<a class=\"id\" href=\"{}\" title=\"{}\">{}</a>",
        escape(&page_of(id)),
        escape(id),
        escape(&short(id))
    ))
}

/// A name of parts as a link that may go on in another line behind each of its points.
pub(crate) fn parted(name: &str) -> Html {
    let (link, told) = (link(name).0, escape(name));
    Html(link.replace(&format!(">{told}</a>"), &format!(">{}</a>", told.replace('.', ".<wbr>"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_outside_is_escaped_wherever_it_stands() {
        let bad = "<img src=x onerror=alert(1)>\"'";
        for html in [badge(bad), link(bad)] {
            assert!(!html.0.contains("<img"), "{html}");
            assert!(!html.0.contains("\"'"), "{html}");
        }
    }

    #[test]
    fn spans_are_said_in_the_unit_that_fits() {
        let at = Timestamp::from_micros;
        for (micros, said) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (61_000, "61 ms"),
            (2_340_000, "2.3 s"),
            (61_000_000, "1 min 1 s"),
            (7_260_000_000, "2 h 1 min"),
            (90_000_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(at(0), at(micros)), said);
        }
        assert_eq!(span(at(5), at(0)), "0 µs", "a clock that stepped back is no negative span");
    }

    #[test]
    fn names_in_sentences_are_code_and_moments_are_told_to_the_second() {
        for (sentence, told) in [
            ("list them with `writ run list`", "list them with <code>writ run list</code>"),
            ("`a<b>` and `c`", "<code>a&lt;b&gt;</code> and <code>c</code>"),
            ("one ` alone <i>", "one ` alone &lt;i&gt;"),
            (
                "asked for until 2026-11-23T07:49:16.051271Z (`2026-11-23T07:49:16Z`), then",
                "asked for until <time datetime=\"2026-11-23T07:49:16.051271Z\">2026-11-23 07:49:16 UTC</time> \
                 (<code>2026-11-23T07:49:16Z</code>), then",
            ),
            (
                "(2026-11-23T07:49:16Z).",
                "(<time datetime=\"2026-11-23T07:49:16.000000Z\">2026-11-23 07:49:16 UTC</time>).",
            ),
            (
                "under pmt_01m7znjwjxsxdw0zwmr5z97yce, by `agent-1`",
                "under <a class=\"id\" href=\"/why/pmt_01m7znjwjxsxdw0zwmr5z97yce\" \
                 title=\"pmt_01m7znjwjxsxdw0zwmr5z97yce\">pmt_…z97yce</a>, by <code>agent-1</code>",
            ),
            (
                "(`run_01m7znjwjxsxdw0zwmr5z97yce`, 0 uses)",
                "(<a class=\"id\" href=\"/runs/run_01m7znjwjxsxdw0zwmr5z97yce\" \
                 title=\"run_01m7znjwjxsxdw0zwmr5z97yce\">run_…z97yce</a>, 0 uses)",
            ),
            ("run_of_3 and run_01M7ZNJWJXSXDW0ZWMR5Z97YCE", "run_of_3 and run_01M7ZNJWJXSXDW0ZWMR5Z97YCE"),
            ("3 × Z, 12Z, 什麼Z", "3 × Z, 12Z, 什麼Z"),
            ("2026-11-23T07:49:16Z\"><b>Z", "2026-11-23T07:49:16Z&quot;&gt;&lt;b&gt;Z"),
        ] {
            assert_eq!(phrase(sentence).0, told);
        }
    }

    #[test]
    fn ids_are_shortened_to_what_tells_them_apart() {
        assert_eq!(short("run_01m7znjwjxsxdw0zwmr5z97yce"), "run_…z97yce");
        assert_eq!(short("DEPLOY-WEB-001"), "DEPLOY-WEB-001");
        assert_eq!(short("sha256:bc4fabb965f01847c0390e79c6fae1135788bdcd36ba28d809a6debf85c0cc95"), "bc4fabb965f0");
        let digest = "bc4fabb965f01847c0390e79c6fae1135788bdcd36ba28d809a6debf85c0cc95";
        let told = shortened(&format!("`run_01m7znjwjxsxdw0zwmr5z97yce` of {digest}"));
        assert_eq!(told, "`run_01m7znjwjxsxdw0zwmr5z97yce` of bc4fabb965f0");
        assert_eq!(shortened("什麼 stopped_after 3 tries."), "什麼 stopped_after 3 tries.");
        assert_eq!(page_of("a/b c"), "/why/a%2Fb%20c");
        let parts = parted("contract.self-healing.v1").0;
        assert!(parts.contains("title=\"contract.self-healing.v1\">contract.<wbr>self-healing.<wbr>v1</a>"), "{parts}");
    }
}
