//! Taking one of the fixes of an intent that asks for what cannot be had together: its changes, written into the text.

use serde_json::{Value, json};
use writ_feedback::{Op, patch_text};
use writ_intent::read_manifest;

/// Where each thing that may give way stands in a manifest, and what stands before its value there. What is not listed stands
/// elsewhere: in the platform, or as a list.
const PLACES: [(&str, &str, &str); 6] = [
    ("availability", "/intent/requirements/availability", ""),
    ("budget", "/intent/constraints/budget", ""),
    ("latency_p95", "/intent/requirements/performance/latency_p95", "<"),
    ("max_instances", "/intent/requirements/scalability/max_instances", ""),
    ("min_instances", "/intent/requirements/scalability/min_instances", ""),
    ("throughput", "/intent/requirements/performance/throughput", ">"),
];

/// A manifest with the changes of a fix written into it, its other bytes as they stand; none when a change is not of the
/// manifest, or does not stand on a line of its own.
#[must_use]
pub fn with_fix(text: &str, fix: &Value) -> Option<String> {
    let changes = fix.get("changes")?.as_array()?;
    let mut ops = Vec::with_capacity(changes.len());
    for change in changes {
        let what = change.get("change")?.as_str()?;
        let (_, path, before) = PLACES.iter().find(|(name, _, _)| *name == what)?;
        let to = change.get("to")?.as_str()?;
        let value = to.parse::<u64>().map_or_else(|_| json!(format!("{before}{to}")), |count| json!(count));
        ops.push(Op::Replace { path: (*path).to_owned(), value });
    }
    let changed = patch_text(text, &ops).ok()?;
    read_manifest("manifest", changed.as_bytes()).ok().map(|_| changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = include_str!("../../examples/deploy-web-001/intent.yaml");

    #[test]
    fn a_fix_changes_its_values_and_leaves_every_other_byte() {
        let fix = json!({"changes": [
            {"change": "throughput", "from": "1000 req/s", "to": "636 req/s"},
            {"change": "min_instances", "from": "3", "to": "1"},
        ]});
        let changed = with_fix(MANIFEST, &fix).unwrap();
        let differ: Vec<(&str, &str)> = MANIFEST.lines().zip(changed.lines()).filter(|(old, new)| old != new).collect();
        assert_eq!(
            differ,
            [
                ("      throughput: '>1000 req/s'", "      throughput: '>636 req/s'"),
                ("      min_instances: 3", "      min_instances: 1"),
            ]
        );
    }

    #[test]
    fn what_does_not_stand_in_the_manifest_is_not_written_into_it() {
        let of = |what: &str, to: &str| json!({"changes": [{"change": what, "from": "x", "to": to}]});
        assert_eq!(with_fix(MANIFEST, &of("memory_per_instance", "2GiB")), None);
        assert_eq!(with_fix("intent: {requirements: {availability: '99.9%'}}", &of("availability", "99%")), None);
        assert_eq!(with_fix(MANIFEST, &of("availability", "very high")), None, "it would not be read any more");
        assert_eq!(with_fix(MANIFEST, &json!({})), None);
    }
}
