//! What became of each version of an intent: told of the one that it happened to, in a word and in a sentence.

use super::*;
use writ_pipeline::Batch;

/// A move of an intent: the number it is recorded under, from where to where, and why.
type Move = (u64, &'static str, &'static str, &'static str);

/// A version as it is told: its number, state and reason, and whether it is in force.
type Row = (u64, &'static str, &'static str, bool);

fn draft(kind: &'static str, body: Value) -> writ_core::Draft {
    writ_core::Draft {
        action: "test".into(),
        actor: writ_core::Actor::system("test"),
        body,
        kind,
        outcome: writ_core::Outcome::Success,
        resource: "WEB".into(),
        stream: "intent/WEB".into(),
    }
}

/// What is recorded of a version when it is handed in: its text, and a layout of as many instances as its number.
fn submitted(batch: &mut Batch, version: u64) {
    let manifest = batch.attach(format!("text of {version}\n").into_bytes());
    let submitted = json!({"version": version, "manifest": manifest, "attachments": {"manifest": manifest}});
    batch.drafts.push(draft("intent.submitted/1", submitted));
    let layout = json!({"version": version, "count": version, "instance_type": "m5.large"});
    batch.drafts.push(draft("intent.translated/1", layout));
}

/// A place with an intent of so many versions that moved so.
async fn moved(versions: u64, moves: &[Move]) -> Place {
    let place = Place::new().await;
    let (mut batch, mut newest) = (Batch::default(), 0);
    for (version, from, to, because) in moves {
        (newest + 1..=*version).for_each(|version| submitted(&mut batch, version));
        newest = newest.max(*version);
        let mut body = json!({"version": version, "from": from, "to": to, "because": because});
        match *to {
            "active" => body["applied_version"] = json!(version),
            "archived" => body["applied_version"] = Value::Null,
            _ => {}
        }
        batch.drafts.push(draft("intent.moved/1", body));
    }
    (newest + 1..=versions).for_each(|version| submitted(&mut batch, version));
    let journal = place.shared.pipeline.journal();
    journal.commit(&journal.new_cause(), batch).await.unwrap();
    place
}

async fn look(place: &Place, path: &str) -> (u16, Value) {
    let request = Request::builder().uri(path).header("authorization", format!("Bearer {}", place.tokens[1]));
    let (status, told) = read(place.ask(request, "").await).await;
    (status.as_u16(), told)
}

async fn tells(moves: &[Move], wanted: &[Row]) {
    let place = moved(wanted.len() as u64, moves).await;
    let (_, told) = look(&place, "/api/v1/intents/WEB/history").await;
    let row = |one: &Value| ["version", "state", "because", "in_force"].map(|field| one[field].clone());
    let rows: Vec<_> = told["items"].as_array().unwrap().iter().map(row).collect();
    let wanted = wanted.iter().map(|(v, state, why, force)| [json!(v), json!(state), json!(why), json!(force)]);
    assert_eq!(rows, wanted.collect::<Vec<_>>(), "{moves:?}");
}

const ONE: [Move; 3] = [
    (1, "draft", "validating", "submitted"),
    (1, "executing", "active", "the run succeeded"),
    (1, "active", "monitoring", "it is watched"),
];

/// The second is given up, and something of it stays.
const MIDWAY: [Move; 2] = [
    (2, "monitoring", "validating", "submitted"),
    (
        2,
        "executing",
        "degraded",
        "the run is cancelled; the version before stays in force, and what is there is not all that it asks",
    ),
];
const CANCELLED: Row = (
    2,
    "cancelled",
    "the run is cancelled; the version before stays in force, and what is there is not all that it asks",
    false,
);

#[tokio::test]
async fn a_version_stands_in_a_word_and_says_why_in_a_sentence() {
    tells(
        &[&ONE[..], &MIDWAY].concat(),
        &[
            CANCELLED,
            (
                1,
                "degraded",
                "the run of version 2 is cancelled; this one stays in force, and what is there is not all that it asks",
                true,
            ),
        ],
    )
    .await;
    let undone = [
        (2, "monitoring", "validating", "submitted"),
        (2, "executing", "degraded", "the run is rolled back"),
        (2, "degraded", "monitoring", "the version before stays in force"),
    ];
    tells(
        &[&ONE[..], &undone].concat(),
        &[
            (2, "rolled_back", "the run is rolled back; the version before stays in force", false),
            (1, "monitoring", "it stays in force", true),
        ],
    )
    .await;
    let second = [(2, "executing", "active", "the run succeeded"), (2, "active", "monitoring", "it is watched")];
    tells(
        &[&ONE[..], &second].concat(),
        &[(2, "monitoring", "it is watched", true), (1, "superseded", "version 2 took its place", false)],
    )
    .await;
    tells(
        &[(1, "draft", "validating", "submitted"), (1, "executing", "failed", "the run is failed")],
        &[(1, "failed", "the run is failed", false)],
    )
    .await;
}

#[tokio::test]
async fn what_is_taken_away_is_the_version_that_is_in_force_whatever_the_newest_is() {
    let leaving = [(2, "degraded", "decommissioning", "it is taken away")];
    let part = "the run is cancelled; part of it was taken away, and nobody watches the rest";
    let stopped = [(2, "decommissioning", "degraded", part)];
    let before = [&ONE[..], &MIDWAY, &leaving].concat();
    tells(&before, &[CANCELLED, (1, "decommissioning", "it is taken away", true)]).await;
    tells(&[&before[..], &stopped].concat(), &[CANCELLED, (1, "degraded", part, true)]).await;
    let back = [
        (2, "decommissioning", "recovering", "the run is rolled back, and all of it is there"),
        (2, "recovering", "monitoring", "it is watched"),
    ];
    tells(&[&before[..], &back].concat(), &[CANCELLED, (1, "monitoring", "it is watched", true)]).await;
    let gone = [(2, "decommissioning", "archived", "all of it was taken away")];
    tells(&[&before[..], &gone].concat(), &[CANCELLED, (1, "archived", "all of it was taken away", false)]).await;
    // Where none was ever in force, it is the newest.
    let never = [
        (1, "executing", "failed", "the run is cancelled"),
        (1, "failed", "decommissioning", "it is taken away"),
        (1, "decommissioning", "archived", "all of it was taken away"),
    ];
    tells(&never, &[(1, "archived", "all of it was taken away", false)]).await;
}

#[tokio::test]
async fn what_was_taken_away_is_shown_as_it_was_in_force_last() {
    let gone = [
        (2, "degraded", "decommissioning", "it is taken away"),
        (2, "decommissioning", "archived", "all of it was taken away"),
    ];
    let place = moved(2, &[&ONE[..], &MIDWAY, &gone].concat()).await;
    let (_, told) = look(&place, "/api/v1/intents/WEB").await;
    assert_eq!((&told["count"], &told["version"], &told["shown_version"]), (&json!(1), &json!(2), &json!(1)), "{told}");
    assert_eq!(told["applied_version"], Value::Null);
    let live = moved(2, &ONE).await;
    let (_, told) = look(&live, "/api/v1/intents/WEB").await;
    assert_eq!((&told["count"], &told["shown_version"]), (&json!(1), &Value::Null), "{told}");
}

#[tokio::test]
async fn a_version_that_did_not_begin_says_what_barred_it() {
    let ended = [
        (2, "monitoring", "validating", "submitted"),
        (2, "executing", "degraded", "the run is expired"),
        (2, "degraded", "monitoring", "the version before stays in force"),
    ];
    let place = moved(2, &[&ONE[..], &ended[..1]].concat()).await;
    let journal = place.shared.pipeline.journal();
    let because = "policy does not let it in any more: `COST-1`: too much";
    let mut batch = Batch::of(vec![draft("run.expired/1", json!({"because": because}))]);
    batch.drafts[0].stream = "run/run_01m7znjwjxsxdw0zwmr5z97yce".into();
    for (version, from, to, because) in &ended[1..] {
        let body = json!({"version": version, "from": from, "to": to, "because": because});
        batch.drafts.push(draft("intent.moved/1", body));
    }
    journal.commit(&journal.new_cause(), batch).await.unwrap();
    let (_, told) = look(&place, "/api/v1/intents/WEB/history").await;
    let newest = &told["items"][0];
    assert_eq!((&newest["version"], &newest["state"]), (&json!(2), &json!("expired")), "{told}");
    assert_eq!(newest["because"], json!(format!("{because}; the version before stays in force")));
}

#[tokio::test]
async fn versions_are_held_against_those_that_there_are() {
    let place = moved(2, &ONE).await;
    let first = "version 1 of `WEB` is its first, and there is none before it to hold it against";
    for (query, status, detail) in [
        ("?old=0", 404, "there is no version 0 of `WEB`"),
        ("?old=0&new=2", 404, "there is no version 0 of `WEB`"),
        ("?new=0", 404, "there is no version 0 of `WEB`"),
        ("?new=1", 409, first),
    ] {
        let (found, problem) = look(&place, &format!("/api/v1/intents/WEB/diff{query}")).await;
        assert_eq!((found, problem["detail"].as_str()), (status, Some(detail)), "{query}");
    }
}
