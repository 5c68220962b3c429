//! Wherever an id stands, it leads to why there is what it names.

use super::{MANIFEST, Place};
use crate::unreal::{Comes, SetClock};
use axum::http::StatusCode;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use writ_core::Actor;
use writ_pipeline::{GlassWish, Principal};

/// Pages that are looked at, at the most: every sort of page is among the first.
const LOOKED_AT: usize = 300;

/// A place in which something of each sort has an id.
async fn lived_in() -> (Place, String) {
    let place = Place::with(|_, _| Comes::Done, SetClock::new()).await;
    let (ann, bob) = (place.log_in("writ_ann").await, place.log_in("writ_bob").await);
    let done = place.post("/intents/new", &ann, &[("text", MANIFEST)]).await.to;
    place.once(&done, &ann, "</span>succeeded</span>").await;
    let costly = MANIFEST.replace(">1000 req/s", ">20000 req/s").replace("max_instances: 10", "max_instances: 80");
    let waits =
        place.post("/intents/new", &ann, &[("text", &costly.replace("'$500/month'", "'$1990/month'"))]).await.to;
    place.once(&waits, &ann, "Why is it waiting?").await;
    for rule in ["COMP-BUDGET-001", "COMP-COST-001"] {
        let asked = [("rule", rule), ("subject", "DEPLOY-WEB-001"), ("hours", "1"), ("reason", "a fair")];
        assert_eq!(place.post("/waivers", &ann, &asked).await.to, "/policy#waivers");
    }
    let page = place.get("/policy", &bob).await.text;
    let waiver = page.split("action=\"/waivers/").nth(1).unwrap().split('"').next().unwrap();
    place.post(&format!("/waivers/{waiver}"), &bob, &[("answer", "grant"), ("reason", "well")]).await;
    let by = Principal { id: "person-01".parse().unwrap(), roles: vec!["operator".into(), "admin".into()] };
    let span = Duration::from_secs(600);
    let wish = GlassWish { actions: vec!["*".into()], targets: vec!["*".into()], span };
    place.pipeline.break_glass(wish, "no time", &by).await.unwrap();
    writ_pipeline::order_fault(place.pipeline.journal(), "web-service-001", "i-2", &Actor::human(&by.id))
        .await
        .unwrap();
    (place, ann)
}

/// A page without what is shown as it was written: documents, texts that are edited, commands.
fn prose(page: &str) -> String {
    let mut left = page.to_owned();
    for part in ["title", "pre", "textarea"] {
        while let Some(at) = left.find(&format!("<{part}")) {
            let end = left[at..].find(&format!("</{part}>")).unwrap() + at;
            left.replace_range(at..end, "");
        }
    }
    left
}

/// What stands between tags.
fn words(page: &str) -> Vec<String> {
    let text: String =
        page.split('<').map(|part| format!("{} ", part.split_once('>').map_or("", |(_, text)| text))).collect();
    let letter = |c: char| c.is_alphanumeric() || "_-…".contains(c);
    text.split(|c| !letter(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a word is an id, whole or shortened.
fn is_id(word: &str) -> bool {
    let sorts = ["run_", "inc_", "apr_", "evt_", "wvr_", "pmt_", "tkt_"];
    let minted = |sort: &&str| word.strip_prefix(*sort).is_some_and(|rest| rest.len() == 26 || rest.starts_with('…'));
    sorts.iter().any(minted) || word.strip_prefix("OPT-").is_some_and(|rest| !rest.is_empty())
}

fn links(page: &str) -> Vec<String> {
    let all = page
        .split(" href=\"")
        .skip(1)
        .map(|link| link.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&"));
    all.map(|to| to.split('#').next().unwrap().to_owned()).filter(|to| to.starts_with('/')).collect()
}

#[tokio::test]
async fn every_id_stands_in_or_beside_a_link_and_every_link_leads_somewhere() {
    let (place, ann) = lived_in().await;
    let (mut seen, mut next) = (BTreeSet::new(), VecDeque::from([("".to_owned(), "/".to_owned())]));
    let mut sorts = BTreeSet::new();
    while let Some((from, path)) = next.pop_front().filter(|_| seen.len() < LOOKED_AT) {
        if !seen.insert(path.clone()) || path.starts_with("/assets/") {
            continue;
        }
        let page = place.get(&path, &ann).await;
        // What cannot be asked for while a change is under way says so.
        let there = [StatusCode::OK, StatusCode::CONFLICT].contains(&page.status);
        assert!(there, "{path}, to which {from} leads: {} {}", page.status, page.text);
        if path.starts_with("/api/") || path.starts_with("/log/") {
            continue;
        }
        let (text, all) = (prose(&page.text), links(&page.text));
        for word in words(&text).into_iter().filter(|word| is_id(word)) {
            let (whole, shortened) = (format!("/{word}"), format!(">{word}</a>"));
            let led = all.iter().any(|to| to.ends_with(&whole)) || text.contains(&shortened);
            assert!(led, "{word} on {path} leads nowhere: {}", page.text);
            sorts.insert(word.split(['_', '-']).next().unwrap().to_owned());
        }
        next.extend(all.into_iter().map(|to| (path.clone(), to)));
    }
    assert!(seen.len() > 100, "{seen:?}");
    assert_eq!(sorts.iter().map(String::as_str).collect::<Vec<_>>(), ["apr", "evt", "pmt", "run", "wvr"]);
}

#[tokio::test]
async fn why_answers_permits_tickets_waivers_and_tokens() {
    let (place, ann) = lived_in().await;
    let begun = place.get("/api/v1/audit/entries?kind=run.step_started/1&limit=1", &ann).await.text;
    let minted = |start: &str| {
        let rest = begun.split(&format!("\":\"{start}")).nth(1).unwrap();
        format!("{start}{}", &rest[..26])
    };
    for (sort, start) in [("permit", "pmt_"), ("ticket", "tkt_")] {
        let page = place.get(&format!("/why/{}", minted(start)), &ann).await.text;
        let told = page.split("id=\"h-then\"").nth(1).unwrap();
        assert!(page.contains(&format!("Why: {sort} ")), "{page}");
        assert_eq!(told.matches("<li>").count(), 2, "begun and done: {told}");
    }
    let settings = place.get("/settings", &ann).await.text;
    let token = settings.split("href=\"/why/").filter(|part| part.find('"') == Some(16)).last().unwrap();
    let page = place.get(&format!("/why/{}", &token[..16]), &ann).await.text;
    assert!(page.contains("Why: token") && page.contains("issue token"), "{page}");
    let policy = place.get("/policy", &ann).await.text;
    let waivers: Vec<&str> = policy.split("href=\"/why/wvr_").skip(1).map(|link| &link[..26]).collect();
    assert_eq!(waivers.len(), 2, "{policy}");
    for (waiver, granted) in [(waivers[0], true), (waivers[1], false)] {
        let page = place.get(&format!("/why/wvr_{waiver}"), &ann).await.text;
        assert!(page.contains("Why: waiver wvr_") && page.contains("ask waiver"), "{page}");
        assert_eq!(page.contains("grant waiver"), granted, "{page}");
    }
    assert_eq!(place.get("/why/pmt_00000000000000000000000000", &ann).await.status, StatusCode::NOT_FOUND);
}
