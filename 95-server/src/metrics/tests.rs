use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// All metrics, each with something to tell.
fn touched() -> Metrics {
    let metrics = Metrics::new();
    metrics.answered("GET", "/x", 200, Duration::from_millis(3));
    metrics.committed(Duration::from_millis(3));
    metrics.availability.get_or_create(&Of { component: "web".into() }).set(0.999);
    metrics.steps.get_or_create(&With { outcome: "failed" }).inc();
    metrics.remedies.get_or_create(&With { outcome: "success" }).inc();
    metrics.notifications.get_or_create(&Told { channel: "slack".into(), outcome: "delivered" }).inc();
    metrics.notifications_waiting.get_or_create(&Through { channel: "slack".into() }).set(1);
    metrics.denials.get_or_create(&By { by: "gate" }).inc();
    metrics
}

/// What a scrape shows: by name, the type and the labels.
fn shown() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut shown: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    let mut name = String::new();
    for line in touched().encoded().lines() {
        if let Some((metric, sort)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            name = metric.to_owned();
            shown.insert(name.clone(), (sort.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let labels =
                line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
            let names = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            shown.get_mut(&name).unwrap().1.extend(names.filter(|name| name != "le"));
        }
    }
    shown
}

/// The names under which Prometheus knows them.
fn exposed() -> BTreeSet<String> {
    let ends = |sort: &str| match sort {
        "counter" => &["_total"][..],
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    LIST.iter().flat_map(|(name, sort, ..)| ends(sort).iter().map(move |end| format!("{name}{end}"))).collect()
}

fn table() -> String {
    let mut text = "| metric | type | labels | what it says |\n|---|---|---|---|\n".to_owned();
    for (name, sort, labels, help) in LIST {
        let end = if sort == "counter" { "_total" } else { "" };
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        text.push_str(&format!("| `{name}{end}` | {sort} | {} | {help} |\n", labels.join(", ")));
    }
    text
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn what_a_scrape_shows_is_the_list() {
    let owned = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
    let list: BTreeMap<_, _> =
        LIST.iter().map(|(name, sort, labels, _)| ((*name).to_owned(), ((*sort).to_owned(), owned(labels)))).collect();
    assert_eq!(shown(), list);
}

#[test]
fn the_page_of_metrics_has_the_list() {
    let page = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    assert!(page.contains(&table()), "the table should read:\n{}", table());
}

#[test]
fn the_dashboard_and_the_alerts_name_metrics_that_there_are() {
    let known = exposed();
    for (file, at_least) in [("contrib/grafana/dashboard.json", 10), ("contrib/prometheus/alerts.yaml", 6)] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: BTreeSet<&str> = words.filter(|word| word.starts_with("writ_")).collect();
        assert_eq!(named.iter().find(|name| !known.contains(**name)), None, "{file}");
        assert!(named.len() >= at_least, "{file}: {named:?}");
    }
    let dashboard = fs::read(root().join("contrib/grafana/dashboard.json")).unwrap();
    serde_json::from_slice::<Value>(&dashboard).unwrap();
    let alerts = fs::read(root().join("contrib/prometheus/alerts.yaml")).unwrap();
    writ_text::read("alerts.yaml", &alerts, &writ_text::Limits::default()).unwrap();
}
