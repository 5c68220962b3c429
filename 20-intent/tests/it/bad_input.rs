//! What people get wrong. Adding a case needs no Rust: a document in `cases/`, and every problem it should be told.

use proptest::prelude::*;
use writ_intent::{Platform, read_manifest, read_platform, read_recorded_manifest, translate};
use writ_text::Problem;

fn told(file: &str, bytes: &[u8]) -> Vec<Problem> {
    if file.contains("platform") {
        return read_platform(file, bytes).err().unwrap_or_default();
    }
    match read_manifest(file, bytes) {
        Ok(manifest) => manifest.check(&Platform::default()),
        Err(problems) => problems,
    }
}

#[test]
fn every_bad_document_is_told_all_that_is_wrong_with_it() {
    let cases = include_str!("../cases/bad-input.txt");
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases.split("\n=== ").skip(1) {
        let (file, rest) = case.split_once('\n').unwrap();
        let (document, expected) = rest.split_once("\n--- ").unwrap();
        let (_, expected) = expected.split_once('\n').unwrap();
        count += 1;
        let found: Vec<String> = told(file, document.as_bytes()).iter().map(ToString::to_string).collect();
        if found.join("\n") != expected.trim_end() {
            wrong.push(format!("=== {file}\n{document}\n--- told\n{}\n", found.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} cases differ; what is told now:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 30, "{count} cases");
}

#[test]
fn what_was_accepted_once_stays_readable_and_is_not_accepted_again() {
    for name in ["ca/i-1", "ca/../cb", "ca/", "a:b", "a@b"] {
        let text = format!("intent: {{ id: X-1, type: deployment, target: {{ component: '{name}' }} }}");
        assert_eq!(read_manifest("m.yaml", text.as_bytes()).err().map(|found| found.len()), Some(1), "{name}");
        let read = read_recorded_manifest("m.yaml", text.as_bytes()).unwrap();
        assert_eq!(read.intent.target.component.unwrap().as_str(), name);
    }
    for name in ["ca", "ca.b_c-1", "1"] {
        let text = format!("intent: {{ id: X-1, type: deployment, target: {{ component: '{name}' }} }}");
        assert!(read_manifest("m.yaml", text.as_bytes()).is_ok(), "{name}");
    }
}

#[test]
fn bytes_that_are_no_text_and_files_that_are_too_large_are_refused() {
    assert!(read_manifest("x.yaml", &[0xff, 0xfe, 0x00]).is_err());
    assert!(read_manifest("x.yaml", &vec![b' '; 2 << 20]).is_err());
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    assert!(read_manifest("x.yaml", bomb.as_bytes()).is_err());
}

/// Reads anything, and plans it when it is sound.
fn swallow(bytes: &[u8]) {
    let platform = read_platform("p.yaml", bytes).unwrap_or_default();
    if let Ok(manifest) = read_manifest("m.yaml", bytes) {
        let _ = manifest.check(&platform);
        let _ = translate(&manifest.intent, &platform);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        swallow(&bytes);
    }

    #[test]
    fn mutated_documents_never_panic(
        platform in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(EDITS.to_vec()), 0_usize..6), 1..4),
    ) {
        let name = if platform { "platform.yaml" } else { "intent.yaml" };
        let mut text = String::from_utf8(crate::example(name)).unwrap();
        for (at, insert, cut) in edits {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let first = at.index(places.len());
            let from = places[first];
            let to = places.get(first + cut).copied().unwrap_or(text.len());
            text.replace_range(from..to, insert);
        }
        swallow(text.as_bytes());
    }
}

const EDITS: [&str; 18] = [
    "",
    "0",
    "9",
    "999999999999999999999",
    "-",
    "%",
    "'",
    "\"",
    "\n",
    "\n  ",
    ":",
    "[",
    "]",
    "{",
    "&a ",
    "*a",
    "0.0000001",
    "\u{202e}",
];
