mod agents;
mod answers;
mod asked;
mod contracts;
mod forms;
mod matches;
mod modes;
mod moments;
mod pages;
mod places;
mod pressed;
mod questions;
mod ready;
mod recommendations;
mod recorded;
mod rights;
mod said;
mod scopes;
mod trailing;
mod versions;

use super::*;
use crate::setup::{Files, read_files};
use crate::state::StateError;
use axum::body::{Body as Sent, to_bytes};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use writ_pipeline::{TokenWish, enrol, enrol_person, issue_token};

/// The roles of the table; the first is that of who shows no token.
const ROLES: [&str; 6] = ["none", "viewer", "operator", "approver", "admin", "agent"];

/// The example's files.
fn example() -> Files {
    read_files(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001")).unwrap()
}

/// A server over an empty journal, with a token for each role.
struct Place {
    router: Router,
    shared: Arc<Shared>,
    tokens: Vec<String>,
}

impl Place {
    async fn new() -> Self {
        Self::over(crate::wire::offline(&example()).await.unwrap(), |_| {}).await
    }

    /// One over a pipeline, with what else it is given.
    async fn over(pipeline: Pipeline, given: impl FnOnce(&mut Shared)) -> Self {
        let mut config = Config::standard();
        config.limits.writes_per_minute = 1_000_000;
        let journal = pipeline.journal();
        enrol(journal, &"person-01".parse().unwrap(), "ada", &["admin"], "writ_ada").await.unwrap();
        let mut tokens = vec![String::new()];
        for role in &ROLES[1..] {
            let by = writ_core::Actor::system("test");
            let person = enrol_person(journal, role, &[(*role).to_owned()], &by).await.unwrap();
            tokens.push(issue_token(journal, &person, &TokenWish::default(), &by).await.unwrap().1);
        }
        let no_key: NextKey =
            Arc::new(|| Err(StateError::File { path: "log.next".into(), cause: std::io::ErrorKind::NotFound.into() }));
        let mut shared = Shared::new(pipeline, Arc::new(Vec::new), no_key, &config);
        given(&mut shared);
        let shared = Arc::new(shared);
        Self { router: router(shared.clone()), shared, tokens }
    }

    async fn ask(&self, request: axum::http::request::Builder, body: impl Into<Sent>) -> Response {
        let request = request.body(body.into()).unwrap();
        TowerToHyperService::new(self.router.clone()).call(request).await.unwrap()
    }

    /// Posts as the operator; the answer's status and body.
    async fn post(&self, path: &str, form: &str, body: impl Into<Sent>) -> (StatusCode, Value) {
        let request = Request::builder().method("POST").uri(path).header("content-type", form);
        let answer = self.ask(request.header("authorization", format!("Bearer {}", self.tokens[2])), body).await;
        read(answer).await
    }

    async fn size(&self) -> u64 {
        *self.shared.pipeline.journal().size().borrow()
    }
}

/// The status and body of an answer, which must be JSON and say so.
async fn read(answer: Response) -> (StatusCode, Value) {
    let (status, form) = (answer.status(), answer.headers()["content-type"].to_str().unwrap().to_owned());
    let wanted = if status.is_success() { "application/json" } else { route::PROBLEM };
    assert_eq!(form, wanted, "{status}");
    (status, serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap())
}

/// What one role comes to at one route.
async fn cell(place: &Place, route: &Route, token: &str) -> &'static str {
    let path: String =
        route.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/");
    let mut request = Request::builder().method(&route.method).uri(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let answer = place.ask(request, "").await;
    match answer.status() {
        StatusCode::UNAUTHORIZED => "401",
        StatusCode::FORBIDDEN => {
            assert_eq!(read(answer).await.1["code"], "forbidden", "{}", route.path);
            "403"
        }
        _ => "yes",
    }
}

#[tokio::test]
async fn each_role_may_use_the_routes_that_the_page_says_and_no_others() {
    let place = Place::new().await;
    let mut said =
        format!("| method | route | of | {} |\n|---|---|---|{}\n", ROLES.join(" | "), "---|".repeat(ROLES.len()));
    for route in table() {
        write!(said, "| {} | `{}` | {} |", route.method, route.path, route.of.word()).unwrap();
        for (role, token) in ROLES.iter().zip(&place.tokens) {
            let came = cell(&place, &route, token).await;
            assert!(*role != "none" || came == if route.needs == Needs::Nobody { "yes" } else { "401" });
            write!(said, " {came} |").unwrap();
        }
        said.push('\n');
    }
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, _) = text.split_once("| method |").unwrap();
    #[expect(clippy::disallowed_methods, reason = "whoever changes a route writes the page anew with this")]
    if std::env::var_os("WRIT_WRITE_OPENAPI").is_some() {
        fs::write(&page, format!("{before}{said}")).unwrap();
        return;
    }
    assert!(text.ends_with(&said), "docs/api.md is old: WRIT_WRITE_OPENAPI=1 cargo test -p writ-server api");
}

#[tokio::test]
async fn who_is_refused_is_recorded_as_often_as_is_useful() {
    let place = Place::new().await;
    let before = place.size().await;
    let ask = async |token: &str| {
        let request = Request::builder().uri("/api/v1/tokens").header("authorization", format!("Bearer {token}"));
        place.ask(request, "").await.status()
    };
    for _ in 0..30 {
        assert_eq!(ask(&place.tokens[1]).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(ask("writ_nobody").await, StatusCode::UNAUTHORIZED);
    let journal = place.shared.pipeline.journal();
    let entries = journal.stream("denials").await.unwrap();
    assert_eq!(place.size().await - before, 11);
    assert_eq!(entries.len(), 11);
    assert!(entries[0].body["because"].as_str().unwrap().ends_with("does not hold the role `admin`"));
    assert_eq!(entries[0].body["route"], "/api/v1/tokens");
    assert_eq!(
        (&entries[10].body["because"], &entries[10].body["before"]),
        (&json!("the token is not valid"), &json!(20))
    );
}

#[tokio::test]
async fn bodies_that_make_no_sense_are_refused_and_nothing_is_recorded() {
    let place = Place::new().await;
    let before = place.size().await;
    let json = "application/json";
    let deep = format!("{{\"name\":\"x\",\"text\":\"x\",\"planned\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for (path, form, body, status) in [
        ("/api/v1/intents", json, b"{\"name\":".to_vec(), 400),
        ("/api/v1/intents", json, b"".to_vec(), 400),
        ("/api/v1/intents", json, b"[]".to_vec(), 422),
        ("/api/v1/intents", json, b"{\"name\":\"x\",\"text\":\"x\",\"more\":1}".to_vec(), 422),
        ("/api/v1/intents", json, b"{\"name\":\"x\",\"text\":\"\xff\xfe\"}".to_vec(), 400),
        ("/api/v1/intents", json, deep.into_bytes(), 422),
        ("/api/v1/intents", json, vec![b' '; 3 << 20], 413),
        ("/api/v1/intents", "text/plain", b"{}".to_vec(), 415),
        ("/api/v1/intents", "application/x-www-form-urlencoded", b"name=x".to_vec(), 415),
        ("/api/v1/runs/nothing/pause", json, b"{}".to_vec(), 400),
        ("/api/v1/runs/..%2F..%2Fetc/pause", json, b"{}".to_vec(), 400),
        ("/api/v1/runs/%ff%fe/pause", json, b"{}".to_vec(), 400),
        ("/api/v1/runs/run_%0d%0ax/pause", json, b"{}".to_vec(), 400),
        ("/api/v1/runs/x/explode", json, b"{}".to_vec(), 400),
        ("/api/v1/kill-switch", json, b"{\"scope\":{\"scope\":\"moon\"},\"pulled\":true}".to_vec(), 422),
        ("/api/v1/kill-switch", json, b"{\"scope\":{\"scope\":\"all\",\"more\":1},\"pulled\":true}".to_vec(), 422),
        ("/api/v1/nowhere", json, b"{}".to_vec(), 404),
        ("/api/v1/audit/entries", json, b"{}".to_vec(), 405),
    ] {
        let told = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let (found, problem) = place.post(path, form, body).await;
        assert_eq!(found.as_u16(), status, "{path} {told}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(!detail.is_empty() && detail.len() < 1_000, "{path} {told}: {detail}");
    }
    assert_eq!(place.size().await, before);
}

#[tokio::test]
async fn paths_and_queries_that_make_no_sense_are_refused() {
    let place = Place::new().await;
    for (path, status) in [
        ("/log/tile/../../etc/passwd", 404),
        ("/log/tile/0/..%2F..%2Fetc%2Fpasswd", 404),
        ("/log/tile/0/999", 404),
        ("/log/tile/0/x999/x999/x999/x999/x999/x999/x999/999", 404),
        ("/log/tile/entries/x999/x999/x999/x999/x999/x999/999", 404),
        ("/log/tile/255/000", 404),
        ("/log/tile/99999/000", 404),
        ("/log/attachment/..%2F..%2Fetc%2Fpasswd", 400),
        ("/log/attachment/00", 400),
        ("/log/attachment/sha256:00", 400),
        ("/api/v1/runs/..%2F..%2Fetc", 404),
        ("/api/v1/runs/%00", 404),
        ("/api/v1/runs?limit=0", 400),
        ("/api/v1/runs?limit=1001", 400),
        ("/api/v1/runs?limit=-1", 400),
        ("/api/v1/runs?limit=many", 400),
        ("/api/v1/runs?order=up", 400),
        ("/api/v1/audit/entries?limit=0", 400),
        ("/api/v1/audit/entries?after=18446744073709551616", 400),
        ("/api/v1/audit/entries?from=yesterday", 400),
        ("/api/v1/audit/entries?outcome=fine", 400),
        ("/api/v1/audit/entries?trace=%0d%0aset-cookie:x", 400),
        ("/api/v1/why/%0d%0ax", 404),
        ("/api/v1/why/%ff", 400),
        ("/api/v1/audit/evidence/..%2F..%2Fx", 404),
        ("/api/v1/events?after=x", 400),
    ] {
        let request = Request::builder().uri(path).header("authorization", format!("Bearer {}", place.tokens[1]));
        let answer = place.ask(request, "").await;
        assert!(!answer.headers().contains_key("set-cookie"));
        let (found, problem) = read(answer).await;
        assert_eq!(found.as_u16(), status, "{path}: {problem}");
    }
    for header in ["Bearer", "Bearer ", "Basic d3JpdA==", "Bearer \u{7f}", "\u{e9}"] {
        let value = HeaderValue::from_bytes(header.as_bytes()).unwrap_or(HeaderValue::from_static("x"));
        let request = Request::builder().uri("/api/v1/runs").header("authorization", value);
        assert_eq!(read(place.ask(request, "").await).await.0.as_u16(), 401, "{header}");
    }
}

#[tokio::test]
async fn a_list_is_told_page_by_page_from_either_end() {
    let place = Place::new().await;
    let ask = async |query: &str| {
        let request = Request::builder().uri(format!("/api/v1/agents?{query}"));
        read(place.ask(request.header("authorization", format!("Bearer {}", place.tokens[1])), "").await).await.1
    };
    let whole = ask("").await;
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids(&whole);
    assert!(all.len() > 1 && whole["next"].is_null(), "{whole}");
    for back in [false, true] {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = ask(&format!("limit=1&newest_first={back}{after}")).await;
            found.extend(ids(&page));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        if back {
            found.reverse();
        }
        assert_eq!(found, all);
    }
}

/// What the operator gets for an action that is asked for under a key.
async fn act(place: &Place, key: &str, reason: &str) -> (StatusCode, bool, Value) {
    let request = Request::builder().method("POST").uri("/api/v1/actions").header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {}", place.tokens[2])).header("idempotency-key", key);
    let answer = place.ask(request, json!({"command": ["true"], "reason": reason}).to_string()).await;
    let replayed = answer.headers().contains_key("idempotency-replayed");
    let (status, body) = read(answer).await;
    (status, replayed, body)
}

/// How many runs there are.
async fn runs(place: &Place) -> usize {
    place.shared.pipeline.journal().docs("runs", "", None, 100).await.unwrap().0.len()
}

#[tokio::test]
async fn a_request_that_carries_a_key_is_done_once_and_answered_alike() {
    let place = Place::new().await;
    let (status, replayed, first) = act(&place, "k1", "why").await;
    assert!(status.is_success() && !replayed, "{first}");
    let size = place.size().await;
    assert_eq!(act(&place, "k1", "why").await, (StatusCode::OK, true, first.clone()));
    assert_eq!((place.size().await, runs(&place).await), (size, 1));
    let (status, _, problem) = act(&place, "k1", "another").await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (422, Some("key-reused")));
    assert_eq!(runs(&place).await, 1);
    let (_, replayed, second) = act(&place, "k2", "why").await;
    assert!(!replayed && first["run"] != second["run"]);
    for bad in ["", &"k".repeat(256)] {
        assert_eq!(act(&place, bad, "why").await.0.as_u16(), 400);
    }
}

#[tokio::test]
async fn a_crash_between_doing_and_answering_doubles_nothing() {
    use writ_pipeline::{Keyed, under_trace};
    let place = Place::new().await;
    let journal = place.shared.pipeline.journal();
    let body = json!({"command": ["true"], "reason": "why"}).to_string();
    let asks = writ_seal::sha256(format!("POST\n/api/v1/actions\n{body}").as_bytes());
    let who = writ_pipeline::principal_of(journal, &place.tokens[2]).await.unwrap().unwrap();
    let keyed = |key| Keyed::new(&who.id, key, "/api/v1/actions", asks);

    // Taken up, and then nothing: it is done now.
    keyed("before").take(journal, 0).await.unwrap();
    let (status, replayed, told) = act(&place, "before", "why").await;
    assert!(status.is_success() && !replayed, "{told}");
    assert_eq!(runs(&place).await, 1);

    // Taken up and done, and not answered: it is answered now, with the run that there is.
    let trace = keyed("after").take(journal, 0).await.unwrap();
    let asked = writ_pipeline::OutsideAsked {
        wish: writ_pipeline::OutsideWish {
            action: None,
            changes: None,
            command: vec!["true".into()],
            directory: String::new(),
            files: std::collections::BTreeMap::new(),
            intent: None,
            resource: None,
        },
        silent: std::time::Duration::from_secs(60),
        here: false,
        reason: "why".into(),
    };
    let run = under_trace(trace, place.shared.pipeline.ask_outside(asked, &who)).await.unwrap();
    let (status, _, told) = act(&place, "after", "why").await;
    assert_eq!((status, told["run"].as_str()), (StatusCode::OK, Some(run.as_str())), "{told}");
    assert_eq!(runs(&place).await, 2);
    assert_eq!(act(&place, "after", "why").await, (StatusCode::OK, true, told));
}

#[tokio::test]
async fn a_token_is_told_once_and_is_in_no_answer_that_is_kept() {
    let place = Place::new().await;
    let ask = async || {
        let request =
            Request::builder().method("POST").uri("/api/v1/tokens").header("content-type", "application/json");
        let request =
            request.header("authorization", format!("Bearer {}", place.tokens[4])).header("idempotency-key", "k");
        read(
            place
                .ask(
                    request,
                    json!({"principal": "bob", "enrol": true, "roles": ["viewer"], "reason": "x"}).to_string(),
                )
                .await,
        )
        .await
    };
    let (status, told) = ask().await;
    assert!(status.is_success() && told["token"].is_string(), "{told}");
    let size = place.size().await;
    let (status, problem) = ask().await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::CONFLICT, Some("repeated")), "{problem}");
    assert_eq!(place.size().await, size);
}

/// What somebody who looks is told.
async fn look(place: &Place, path: &str) -> (StatusCode, Value) {
    let request = Request::builder().uri(path).header("authorization", format!("Bearer {}", place.tokens[1]));
    read(place.ask(request, "").await).await
}

#[tokio::test]
async fn an_entry_is_proved_under_the_newest_checkpoint() {
    let place = Place::new().await;
    let (_, told) = look(&place, "/api/v1/audit/entries/3/proof").await;
    let key: writ_seal::NoteKey = told["key"].as_str().unwrap().parse().unwrap();
    let note = told["checkpoint"].as_str().unwrap();
    let checkpoint = writ_audit::Checkpoint::open(note, &key.name, &key).unwrap();
    let leaf = writ_seal::leaf_hash(told["entry"].as_str().unwrap().as_bytes());
    let path: Vec<writ_core::Digest> = told["proof"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| writ_core::Digest::from_hex(hash.as_str().unwrap()).unwrap())
        .collect();
    assert!(writ_audit::verify_inclusion(leaf, 3, checkpoint.size, checkpoint.root, &path));
    let (_, entry) = look(&place, "/api/v1/audit/entries/3").await;
    let event = entry["event_id"].as_str().unwrap();
    assert_eq!(look(&place, &format!("/api/v1/audit/entries/{event}")).await.1, entry);
    for missing in ["999999", "18446744073709551615", "evt_nothing"] {
        for end in ["", "/proof"] {
            assert_eq!(look(&place, &format!("/api/v1/audit/entries/{missing}{end}")).await.0, StatusCode::NOT_FOUND);
        }
    }
    let (_, page) = look(&place, "/api/v1/audit/checkpoints?limit=1").await;
    let (_, rest) = look(&place, &format!("/api/v1/audit/checkpoints?after={}", page["next"])).await;
    assert!(rest["items"][0]["size"].as_u64() > page["items"][0]["size"].as_u64(), "{page} {rest}");
}

#[tokio::test]
async fn entries_are_exported_as_ocsf_and_the_export_goes_on_where_it_ended() {
    let place = Place::new().await;
    let (_, first) = look(&place, "/api/v1/audit/export?format=ocsf&limit=2").await;
    assert_eq!((first["items"].as_array().unwrap().len(), first["next"].as_u64()), (2, Some(2)));
    for event in first["items"].as_array().unwrap() {
        assert_eq!(
            (&event["class_uid"], &event["category_uid"], &event["type_uid"]),
            (&json!(6003), &json!(6), &json!(600_399))
        );
        for required in ["activity_id", "severity_id", "time", "metadata", "actor", "api", "src_endpoint"] {
            assert!(!event[required].is_null(), "{required}: {event}");
        }
    }
    let (_, last) = look(&place, &format!("/api/v1/audit/export?format=ocsf&after={}", place.size().await)).await;
    assert_eq!((&last["items"], last["next"].as_u64()), (&json!([]), Some(place.size().await)));
    for query in [
        "kind=principal",
        "kind=principal.token_issued",
        "actor=system:test",
        "action=enrol_principal",
        "stream=principal/person-01",
        "resource=person-*",
        "outcome=success",
        "from=2001-01-01T00:00:00Z&to=2002-01-01T00:00:00Z",
        "actor=genesis&kind=principal&to=2101-01-01T00:00:00Z",
    ] {
        let (_, entries) = look(&place, &format!("/api/v1/audit/entries?oldest_first=true&limit=1000&{query}")).await;
        let found: Vec<&Value> = entries["items"].as_array().unwrap().iter().map(|entry| &entry["event_id"]).collect();
        assert_eq!(found.is_empty(), query.starts_with("from"), "{query}");
        let (mut told, mut after) = (Vec::new(), json!(0));
        loop {
            let (_, page) =
                look(&place, &format!("/api/v1/audit/export?format=ocsf&limit=2&after={after}&{query}")).await;
            let items = page["items"].as_array().unwrap().clone();
            after = page["next"].clone();
            if items.is_empty() {
                break;
            }
            told.extend(items);
        }
        assert_eq!(told.iter().map(|event| &event["metadata"]["uid"]).collect::<Vec<_>>(), found, "{query}");
        assert_eq!(after, json!(place.size().await), "{query}: what comes later is found from there on");
    }
    for query in ["outcome=fine", "from=yesterday", "actor=nobody-here", "colour=red"] {
        let (status, problem) = look(&place, &format!("/api/v1/audit/export?format=ocsf&{query}")).await;
        assert_eq!((status.as_u16(), problem["code"].as_str()), (400, Some("invalid")), "{query}: {problem}");
    }
    assert_eq!(look(&place, "/api/v1/audit/export?format=cef").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(look(&place, "/api/v1/audit/export").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_plan_is_found_by_its_digest_and_nothing_else_is_taken_for_one() {
    let place = Place::new().await;
    act(&place, "k1", "why").await;
    let journal = place.shared.pipeline.journal();
    let (mut plans, mut others) = (0, 0);
    for stored in journal.ledger().entries(0, 1_000).await.unwrap() {
        for digest in writ_audit::attachments_of(&writ_pipeline::decode(&stored).unwrap()) {
            for named in [digest.to_string(), digest.hex()] {
                let request = Request::builder().uri(format!("/log/attachment/{named}"));
                let request = request.header("authorization", format!("Bearer {}", place.tokens[1]));
                let bytes = to_bytes(place.ask(request, "").await.into_body(), 1 << 20).await.unwrap();
                assert_eq!(writ_seal::sha256(&bytes), digest, "{named}");
            }
            match look(&place, &format!("/api/v1/plans/{digest}")).await {
                (StatusCode::OK, plan) => {
                    assert!(plan["steps"].is_array(), "{plan}");
                    plans += 1;
                }
                (StatusCode::NOT_FOUND, _) => others += 1,
                (status, problem) => panic!("{status}: {problem}"),
            }
        }
    }
    assert!(plans > 0 && others > 0, "{plans} plans, {others} others");
}

#[tokio::test]
async fn an_agent_agrees_to_nothing_on_a_page_either() {
    let place = Place::new().await;
    let form = "application/x-www-form-urlencoded";
    for (at, allowed) in [(3, true), (5, false)] {
        let login = Request::builder().method("POST").uri("/login").header("content-type", form);
        let answer = place.ask(login, format!("token={}", place.tokens[at])).await;
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let post = Request::builder().method("POST").uri("/approvals/apr_nothing").header("content-type", form);
        let answer = place.ask(post.header("cookie", cookie), "answer=approve&reason=x").await;
        assert_eq!(answer.status() != StatusCode::FORBIDDEN, allowed, "{}: {}", ROLES[at], answer.status());
    }
}
