//! Whatever is handed in as a policy file, loading it ends in a bundle or in findings with places; and a bundle that was taken is
//! the same bundle when its files are loaded again.

use crate::{borrowed, example};
use proptest::prelude::*;
use proptest::sample::Index;
use writ_policy::Bundle;

/// Lines of a file left out, doubled or moved, and bytes of it changed: most of what comes of it is still YAML.
fn bent() -> impl Strategy<Value = Vec<u8>> {
    let files = example().0;
    let lines = proptest::collection::vec((any::<Index>(), any::<Index>(), 0..3_u8), 0..4);
    let bytes = proptest::collection::vec((any::<Index>(), any::<u8>()), 0..3);
    (any::<Index>(), lines, bytes).prop_map(move |(file, lines, bytes)| {
        let text = String::from_utf8_lossy(&files[file.index(files.len())].1).into_owned();
        let mut all: Vec<&str> = text.lines().collect();
        for (from, to, how) in lines {
            let (from, to) = (from.index(all.len()), to.index(all.len()));
            match how {
                0 if all.len() > 1 => drop(all.remove(from)),
                1 => all.insert(to, all[from]),
                _ => all.swap(from, to),
            }
        }
        let mut text = all.join("\n").into_bytes();
        for (place, byte) in bytes {
            let at = place.index(text.len());
            text[at] = byte;
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_file_loads_or_is_refused_with_places(
        bytes in prop_oneof![1 => proptest::collection::vec(any::<u8>(), 0..400), 4 => bent()]
    ) {
        let files = vec![("p.yaml".to_owned(), bytes)];
        match Bundle::load(&borrowed(&files)) {
            Ok(bundle) => {
                let again = Bundle::load(&borrowed(&files)).unwrap();
                prop_assert_eq!(again.digest(), bundle.digest());
                prop_assert_eq!(again.rules().count(), bundle.rules().count());
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                prop_assert!(problems.iter().all(|problem| problem.at.file == "p.yaml" && problem.at.line > 0), "{:?}", problems);
            }
        }
    }
}
