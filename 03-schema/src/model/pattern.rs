//! Regular expressions: compiled once, matched in linear time, and searched for a string that matches some and not others.

use crate::SchemaError;
use crate::limits::{PATTERN_SIZE_MAX, PATTERN_TEXT_MAX, PATTERNS_MAX};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::{primitives::StateID, start};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, OnceLock};

/// The patterns of a model, by their text.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    known: HashMap<Arc<str>, Pattern>,
}

#[derive(Debug)]
struct Pattern {
    automaton: OnceLock<Option<dense::DFA<Vec<u32>>>>,
    regex: regex::Regex,
    rust: String,
}

/// Why a pattern does not compile.
const UNUSABLE: &str = "it is malformed, too large, or looks around or back, which linear matching cannot";
/// How large an automaton may become before the prover leaves the pattern alone, in bytes.
const AUTOMATON_SIZE_MAX: usize = 4 << 20;
/// How many product states a search visits before it gives up.
const STATES_MAX: usize = 60_000;
/// How many characters a search counts.
const COUNT_MAX: u64 = 2_000;

impl Patterns {
    pub(crate) fn add(&mut self, text: &str, place: impl Fn() -> String) -> Result<Arc<str>, SchemaError> {
        let refuse = |why| SchemaError::Pattern { pattern: text.chars().take(80).collect(), pointer: place(), why };
        if let Some((known, _)) = self.known.get_key_value(text) {
            return Ok(known.clone());
        }
        if text.len() > PATTERN_TEXT_MAX {
            return Err(refuse("it is longer than 1,024 bytes"));
        }
        if self.known.len() >= PATTERNS_MAX {
            return Err(SchemaError::TooLarge { what: "patterns", limit: PATTERNS_MAX, pointer: place() });
        }
        let rust = jsonschema_regex::to_rust_regex(text).map_err(|()| refuse(UNUSABLE))?.into_owned();
        let regex =
            regex::RegexBuilder::new(&rust).size_limit(PATTERN_SIZE_MAX).dfa_size_limit(PATTERN_SIZE_MAX).build();
        let regex = regex.map_err(|_| refuse(UNUSABLE))?;
        let key: Arc<str> = Arc::from(text);
        self.known.insert(key.clone(), Pattern { automaton: OnceLock::new(), regex, rust });
        Ok(key)
    }

    pub(crate) fn matches(&self, pattern: &str, text: &str) -> bool {
        self.known.get(pattern).is_some_and(|known| known.regex.is_match(text))
    }

    fn automaton(&self, pattern: &str) -> Option<&dense::DFA<Vec<u32>>> {
        let known = self.known.get(pattern)?;
        known
            .automaton
            .get_or_init(|| {
                let config = dense::Config::new()
                    .start_kind(StartKind::Unanchored)
                    .dfa_size_limit(Some(AUTOMATON_SIZE_MAX))
                    .determinize_size_limit(Some(AUTOMATON_SIZE_MAX));
                dense::Builder::new().configure(config).build(&known.rust).ok()
            })
            .as_ref()
    }

    /// A string of `min` to `max` characters that matches each pattern or not, as told, and is none of `excluded`.
    pub(crate) fn search(
        &self,
        patterns: &[(Arc<str>, bool)],
        min: u64,
        max: Option<u64>,
        excluded: &[&str],
    ) -> Search {
        if max.is_some_and(|max| max < min) {
            return Search::Empty;
        }
        if patterns.is_empty() {
            return free_string(min, max, excluded);
        }
        let mut parts = Vec::new();
        for (pattern, wanted) in patterns {
            // A pattern that is too large is left out: there are only more strings, and the one found is matched against all.
            let Some(dfa) = self.automaton(pattern) else { continue };
            if let Ok(start) = dfa.start_state(&start::Config::new()) {
                parts.push(Part { dfa, start, wanted: *wanted });
            }
        }
        if min > COUNT_MAX {
            return Search::Unknown;
        }
        // A high limit is not counted up to: without it there are only more strings, and the one found is measured.
        let near = max.filter(|max| *max <= COUNT_MAX);
        let counted = min.max(near.map_or(0, |max| max + 1));
        let answer = product(&parts, min, near, counted, &Trie::of(excluded));
        let Search::Found(text) = answer else { return answer };
        let short_enough = max.is_none_or(|max| text.chars().count() as u64 <= max);
        let matches = patterns.iter().all(|(pattern, wanted)| self.matches(pattern, &text) == *wanted);
        if short_enough && matches { Search::Found(text) } else { Search::Unknown }
    }
}

/// What a search for a string came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Search {
    /// There is one: this.
    Found(String),
    /// There is none.
    Empty,
    /// It was too much to tell.
    Unknown,
}

/// Letters first: a counterexample is read by people.
fn free_string(min: u64, max: Option<u64>, excluded: &[&str]) -> Search {
    let taken: HashSet<&str> = excluded.iter().copied().collect();
    if min == 0 && !taken.contains("") {
        return Search::Found(String::new());
    }
    if max == Some(0) {
        return Search::Empty;
    }
    let Some(least) = usize::try_from(min.max(1)).ok().filter(|least| *least <= 100_000) else {
        return Search::Unknown;
    };
    // There are 26 strings of one letter and far more characters than that: `taken` runs out first.
    let alphabet = || ('a'..='z').chain('A'..='Z').chain('\u{4e00}'..='\u{9fff}');
    for last in alphabet() {
        let text: String = std::iter::repeat_n('a', least - 1).chain([last]).collect();
        if !taken.contains(text.as_str()) {
            return Search::Found(text);
        }
    }
    Search::Unknown
}

struct Part<'p> {
    dfa: &'p dense::DFA<Vec<u32>>,
    start: StateID,
    wanted: bool,
}

/// Where one pattern stands after some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Standing {
    Open(StateID),
    Matched,
    /// No continuation matches.
    Dead,
}

impl Part<'_> {
    fn after(&self, standing: Standing, byte: u8) -> Option<Standing> {
        let Standing::Open(state) = standing else { return Some(standing) };
        let next = self.dfa.next_state(state, byte);
        if self.dfa.is_quit_state(next) {
            return None;
        }
        Some(self.settled(next))
    }

    fn settled(&self, state: StateID) -> Standing {
        if self.dfa.is_match_state(state) {
            Standing::Matched
        } else if self.dfa.is_dead_state(state) {
            Standing::Dead
        } else {
            Standing::Open(state)
        }
    }

    fn matches_here(&self, standing: Standing) -> bool {
        match standing {
            Standing::Open(state) => self.dfa.is_match_state(self.dfa.next_eoi_state(state)),
            Standing::Matched => true,
            Standing::Dead => false,
        }
    }

    /// Whether no continuation can give what is wanted.
    fn is_lost(&self, standing: Standing) -> bool {
        matches!((standing, self.wanted), (Standing::Matched, false) | (Standing::Dead, true))
    }
}

/// The excluded strings as a tree of bytes.
struct Trie {
    nodes: Vec<(HashMap<u8, usize>, bool)>,
}

impl Trie {
    fn of(texts: &[&str]) -> Self {
        let mut nodes: Vec<(HashMap<u8, usize>, bool)> = vec![(HashMap::new(), false)];
        for text in texts {
            let mut at = 0;
            for byte in text.bytes() {
                let next = nodes.len();
                let to = *nodes[at].0.entry(byte).or_insert(next);
                if to == next {
                    nodes.push((HashMap::new(), false));
                }
                at = to;
            }
            nodes[at].1 = true;
        }
        Self { nodes }
    }

    fn after(&self, at: Option<usize>, byte: u8) -> Option<usize> {
        at.and_then(|at| self.nodes[at].0.get(&byte)).copied()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    count: u64,
    standings: Vec<Standing>,
    trie: Option<usize>,
    utf8: Utf8,
}

/// How far into a character the bytes are (Unicode, table 3-7: well-formed UTF-8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Utf8 {
    Whole,
    /// So many continuation bytes are missing, the next one within this range.
    Inside {
        missing: u8,
        from: u8,
        to: u8,
    },
}

impl Utf8 {
    /// Bytes of one class are alike to [`Utf8::after`].
    fn class(byte: u8) -> u8 {
        match byte {
            0x00..=0x7f => 0,
            0x80..=0x8f => 1,
            0x90..=0x9f => 2,
            0xa0..=0xbf => 3,
            0xc0..=0xc1 | 0xf5..=0xff => 4,
            0xc2..=0xdf => 5,
            0xe0 => 6,
            0xe1..=0xec | 0xee..=0xef => 7,
            0xed => 8,
            0xf0 => 9,
            0xf1..=0xf3 => 10,
            0xf4 => 11,
        }
    }

    fn after(self, byte: u8) -> Option<Self> {
        let inside = |missing, from, to| Some(Utf8::Inside { missing, from, to });
        match self {
            Utf8::Whole => match byte {
                0x00..=0x7f => Some(Utf8::Whole),
                0xc2..=0xdf => inside(1, 0x80, 0xbf),
                0xe0 => inside(2, 0xa0, 0xbf),
                0xe1..=0xec | 0xee..=0xef => inside(2, 0x80, 0xbf),
                0xed => inside(2, 0x80, 0x9f),
                0xf0 => inside(3, 0x90, 0xbf),
                0xf1..=0xf3 => inside(3, 0x80, 0xbf),
                0xf4 => inside(3, 0x80, 0x8f),
                0x80..=0xc1 | 0xf5..=0xff => None,
            },
            Utf8::Inside { missing, from, to } if (from..=to).contains(&byte) => {
                if missing == 1 {
                    Some(Utf8::Whole)
                } else {
                    inside(missing - 1, 0x80, 0xbf)
                }
            }
            Utf8::Inside { .. } => None,
        }
    }
}

/// Breadth first over the product of all automata: the first accepted string is among the shortest, and running out of
/// states proves that there is none.
fn product(parts: &[Part<'_>], min: u64, max: Option<u64>, counted: u64, trie: &Trie) -> Search {
    let start = State {
        count: 0,
        standings: parts.iter().map(|part| part.settled(part.start)).collect(),
        trie: Some(0),
        utf8: Utf8::Whole,
    };
    let bytes = telling_bytes(parts, trie);
    let mut came_from: Vec<(usize, u8)> = vec![(usize::MAX, 0)];
    let mut seen: HashSet<State> = HashSet::from([start.clone()]);
    let mut open: VecDeque<(usize, State)> = VecDeque::from([(0, start)]);
    let mut quit = false;
    while let Some((index, state)) = open.pop_front() {
        let long_enough = state.count >= min && max.is_none_or(|max| state.count <= max);
        let allowed = state.trie.is_none_or(|node| !trie.nodes[node].1);
        let fits = |(part, standing): (&Part<'_>, &Standing)| part.matches_here(*standing) == part.wanted;
        if state.utf8 == Utf8::Whole && long_enough && allowed && parts.iter().zip(&state.standings).all(fits) {
            return Search::Found(spelled(&came_from, index));
        }
        for byte in &bytes {
            let Some(utf8) = state.utf8.after(*byte) else { continue };
            let first = state.utf8 == Utf8::Whole;
            let count = if first { (state.count + 1).min(counted) } else { state.count };
            if max.is_some_and(|max| count > max) {
                continue;
            }
            let after = |(part, standing): (&Part<'_>, &Standing)| part.after(*standing, *byte);
            let Some(standings) = parts.iter().zip(&state.standings).map(after).collect::<Option<Vec<_>>>() else {
                quit = true;
                continue;
            };
            if parts.iter().zip(&standings).any(|(part, standing)| part.is_lost(*standing)) {
                continue;
            }
            let next = State { count, standings, trie: trie.after(state.trie, *byte), utf8 };
            if seen.insert(next.clone()) {
                if seen.len() > STATES_MAX {
                    return Search::Unknown;
                }
                came_from.push((index, *byte));
                open.push_back((came_from.len() - 1, next));
            }
        }
    }
    if quit { Search::Unknown } else { Search::Empty }
}

/// One byte of each class that no part of the product tells apart, letters first: a counterexample is read by people.
fn telling_bytes(parts: &[Part<'_>], trie: &Trie) -> Vec<u8> {
    let in_trie: HashSet<u8> = trie.nodes.iter().flat_map(|(next, _)| next.keys().copied()).collect();
    let friendly = (b'a'..=b'z').chain(b'0'..=b'9').chain(b'A'..=b'Z').chain(*b"-_. ");
    let mut classes = HashSet::new();
    let class = |byte: u8| {
        let of_parts: Vec<u8> = parts.iter().map(|part| part.dfa.byte_classes().get(byte)).collect();
        (of_parts, Utf8::class(byte), in_trie.contains(&byte).then_some(byte))
    };
    friendly.chain(0..=255).filter(|byte| classes.insert(class(*byte))).collect()
}

fn spelled(came_from: &[(usize, u8)], mut index: usize) -> String {
    let mut bytes = Vec::new();
    while index != 0 {
        let (before, byte) = came_from[index];
        bytes.push(byte);
        index = before;
    }
    bytes.reverse();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(wanted: &[(&str, bool)], min: u64, max: Option<u64>, excluded: &[&str]) -> Search {
        let mut patterns = Patterns::default();
        let parts: Vec<(Arc<str>, bool)> =
            wanted.iter().map(|(text, wanted)| (patterns.add(text, String::new).unwrap(), *wanted)).collect();
        patterns.search(&parts, min, max, excluded)
    }

    #[test]
    fn a_string_is_found_where_there_is_one() {
        assert_eq!(search(&[("^a+$", true), ("^aa$", false)], 2, None, &[]), Search::Found("aaa".into()));
        assert_eq!(search(&[("^(ab)*$", true)], 0, None, &["", "ab"]), Search::Found("abab".into()));
        assert_eq!(search(&[("b", true)], 3, Some(3), &[]), Search::Found("aab".into()));
    }

    #[test]
    fn running_out_of_states_proves_that_there_is_none() {
        assert_eq!(search(&[("^a+$", true), ("^a*$", false)], 0, None, &[]), Search::Empty);
        assert_eq!(search(&[("^[ab]$", true)], 0, None, &["a", "b"]), Search::Empty);
        assert_eq!(search(&[("^.{5,}$", true)], 0, Some(4), &[]), Search::Empty);
        assert_eq!(search(&[("a*", false)], 0, None, &[]), Search::Empty);
    }

    #[test]
    fn lengths_count_characters_not_bytes() {
        let found = search(&[("^[é雲]+$", true)], 2, Some(2), &[]);
        let Search::Found(text) = found else { panic!("{found:?}") };
        assert_eq!(text.chars().count(), 2);
    }
}
