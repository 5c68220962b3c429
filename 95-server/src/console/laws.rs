//! Pages without a browser: what stands on them, who may do what, and that nothing of what people wrote becomes markup.

use crate::api::router;
use crate::unreal::{Comes, SetClock, World, unreal, unreal_in};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use writ_pipeline::{OutsideAsked, OutsideWish, Pipeline, Principal};

mod changes;
mod evidence;
mod ids;
mod intents;
mod policy;
mod recommendations;

/// Written by people who mean harm, wherever people write something.
const HOSTILE: &str = "x'\"><script>alert(1)</script><img src=x onerror=alert(1)>{{31*3373}}";

/// A console over a journal in memory and a world in which nothing can be done.
struct Place {
    router: Router,
    pipeline: Pipeline,
}

/// An answer, as far as tests look at it.
struct Answer {
    status: StatusCode,
    to: String,
    cookie: String,
    text: String,
}

const PEOPLE: [(&str, &str, &str, &[&str]); 3] = [
    ("person-01", "ann", "writ_ann", &["viewer", "operator", "admin"]),
    ("person-02", "bob", "writ_bob", &["viewer", "approver"]),
    ("person-03", HOSTILE, "writ_eve", &["viewer"]),
];

impl Place {
    async fn new() -> Self {
        let (shared, pipeline) = unreal(&PEOPLE).await;
        Self { router: router(shared), pipeline }
    }

    /// One in which effects come to something.
    async fn with(comes: fn(&str, &str) -> Comes, clock: Arc<SetClock>) -> Self {
        let (shared, pipeline) = unreal_in(Arc::new(World(comes)), clock, &PEOPLE).await;
        Self { router: router(shared), pipeline }
    }

    /// A command of one's own, the question about it, and an incident, of which each text is hostile; their pages.
    async fn hostile_things(&self) -> [String; 3] {
        let wish = OutsideWish {
            action: None,
            changes: None,
            command: vec!["deploy".into(), HOSTILE.into()],
            directory: format!("/{HOSTILE}"),
            files: std::collections::BTreeMap::new(),
            intent: None,
            resource: None,
        };
        let asked = OutsideAsked { wish, silent: Duration::from_secs(60), here: false, reason: HOSTILE.into() };
        let by = Principal { id: "person-01".parse().unwrap(), roles: vec!["operator".into()] };
        let run = self.pipeline.ask_outside(asked, &by).await.unwrap();
        let (found, _) = self.pipeline.drive().run(&run).await.unwrap();
        let approval = found.pending().into_iter().next().unwrap().terms.approval;
        let incident = "inc_01m7znjwjxsxdw0zwmr5z97yce";
        let seen = writ_core::Draft {
            action: "open_incident".into(),
            actor: writ_core::Actor::system("self-healing"),
            body: serde_json::json!({"component": HOSTILE, "seen": HOSTILE, "condition": HOSTILE, "instance": HOSTILE}),
            kind: "incident.opened/1",
            outcome: writ_core::Outcome::Success,
            resource: HOSTILE.into(),
            stream: format!("incident/{incident}"),
        };
        let journal = self.pipeline.journal();
        journal.commit(&journal.new_cause(), writ_pipeline::Batch::of(vec![seen])).await.unwrap();
        [format!("/runs/{run}"), format!("/approvals/{approval}"), format!("/incidents/{incident}")]
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "writ.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == "POST" {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = TowerToHyperService::new(self.router.clone()).call(request).await.unwrap();
        let said = |name| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (status, to, cookie) = (answer.status(), said(header::LOCATION), said(header::SET_COOKIE));
        let bytes = axum::body::to_bytes(answer.into_body(), 4 << 20).await.unwrap();
        Answer { status, to, cookie, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// Logs somebody in; what they show from then on.
    async fn log_in(&self, token: &str) -> String {
        let answer = self.ask("POST", "/login", &[], &format!("token={token}")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        answer.cookie.split(';').next().unwrap().to_owned()
    }

    async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask("GET", path, &[("cookie", cookie)], "").await
    }

    async fn post(&self, path: &str, cookie: &str, form: &[(&str, &str)]) -> Answer {
        let pairs: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", super::words::segment(value))).collect();
        self.ask("POST", path, &[("cookie", cookie)], &pairs.join("&")).await
    }

    /// A page, once it says something.
    async fn once(&self, path: &str, cookie: &str, says: &str) -> String {
        let mut size = self.pipeline.journal().size();
        loop {
            let page = self.get(path, cookie).await.text;
            if page.contains(says) {
                return page;
            }
            let more = tokio::time::timeout(Duration::from_secs(20), size.changed()).await;
            assert!(more.is_ok(), "{path} does not come to say {says}: {page}");
        }
    }

    async fn entries(&self) -> u64 {
        *self.pipeline.journal().size().borrow()
    }
}

const PAGES: [&str; 19] = [
    "/",
    "/intents",
    "/intents/new",
    "/runs",
    "/runs?show=open",
    "/approvals",
    "/approvals?show=all",
    "/incidents",
    "/incidents?show=open",
    "/policy",
    "/policy/playground",
    "/audit",
    "/audit/verify",
    "/recommendations",
    "/agents",
    "/contracts",
    "/settings",
    "/reference",
    "/reference/intents",
];

/// Every form there is, with what it needs to be understood, and the role that may send it.
const FORMS: [(&str, &str, &str); 14] = [
    ("/intents/new", "text=intent%3A", "operator"),
    ("/waivers", "rule=COMP-BUDGET-001&subject=x&hours=1&reason=y", "operator"),
    ("/waivers/wvr_01m7znjwjxsxdw0zwmr5z97yce", "answer=grant&reason=x", "approver"),
    ("/waivers/wvr_01m7znjwjxsxdw0zwmr5z97yce", "answer=revoke&reason=x", "operator"),
    ("/runs/run_01m7znjwjxsxdw0zwmr5z97yce", "command=pause", "operator"),
    ("/incidents/inc_01m7znjwjxsxdw0zwmr5z97yce", "command=close", "operator"),
    ("/recommendations/OPT-001", "answer=approve&reason=x", "approver"),
    ("/agents", "scope=all&command=pull", "operator"),
    ("/agents/scaling-agent-001", "command=drain&reason=x", "admin"),
    ("/components/web-service-001", "slot=i-1", "operator"),
    ("/components/web-service-001/modes/scale_in", "mode=shadow", "operator"),
    ("/shadow-decisions/evt_01m7znjwjxsxdw0zwmr5z97yce", "answer=right&reason=x", "operator"),
    ("/intents/check", "text=intent%3A", "viewer"),
    ("/policy/playground", "text=intent%3A", "viewer"),
];

/// The forms besides that anybody may try.
const MORE: [(&str, &str); 6] = [
    ("/login", "token=x"),
    ("/logout", "x=y"),
    ("/theme", "theme=dark"),
    ("/approvals/apr_01m7znjwjxsxdw0zwmr5z97yce", "answer=approve&reason=x"),
    ("/intents/DEPLOY-WEB-001/decommission", "reason=x"),
    ("/recommendations", "hours=7"),
];

const MANIFEST: &str = include_str!("../../../examples/deploy-web-001/intent.yaml");

#[tokio::test]
async fn every_page_of_an_empty_place_says_what_it_is_for() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    for path in PAGES {
        let page = place.get(path, &ann).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        assert_eq!(page.text.matches("<h1").count(), 1, "{path}");
        assert!(!page.text.contains(" style=") && !page.text.contains("onclick"), "{path} has something inline");
        let stranger = place.get(path, "").await;
        assert_eq!((stranger.status, stranger.to.starts_with("/login?next=")), (StatusCode::SEE_OTHER, true), "{path}");
    }
    for (path, told) in [
        ("/", "Nothing has to hold yet."),
        ("/runs", "Nothing was changed yet."),
        ("/approvals", "Nobody is waited for."),
        ("/incidents?show=open", "No incident is open."),
        ("/recommendations", "Nothing is recommended."),
    ] {
        assert!(place.get(path, &ann).await.text.contains(told), "{path}");
    }
    assert!(place.get("/", &ann).await.text.contains("No change under way, nobody is waited for, no incident open."));
}

#[tokio::test]
async fn forms_are_taken_from_those_who_may_and_from_our_own_pages_alone() {
    let place = Place::new().await;
    let eve = place.log_in("writ_eve").await;
    let before = place.entries().await;
    for (path, body, role) in FORMS {
        let (own, bare) = ([("cookie", eve.as_str())], [("sec-fetch-site", "same-origin")]);
        let foreign = [("cookie", eve.as_str()), ("sec-fetch-site", "cross-site")];
        assert_eq!(place.ask("POST", path, &foreign, body).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(place.ask("POST", path, &bare, body).await.to, "/login", "{path}");
        let answer = place.ask("POST", path, &own, body).await;
        if role == "viewer" {
            assert!(answer.status.is_success(), "{path}: {}", answer.text);
        } else {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {}", answer.text);
            assert!(answer.text.contains(role), "{path}: {}", answer.text);
        }
    }
    // That somebody was refused is an entry, ten a minute of each; nothing else is, and nothing was done.
    let refused = FORMS.iter().filter(|(_, _, role)| *role != "viewer").count() as u64;
    assert_eq!(place.entries().await - before, refused.min(10));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_on_a_page() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let forms: Vec<(&str, &str)> = FORMS.iter().map(|(path, body, _)| (*path, *body)).chain(MORE).collect();
    let paths: std::collections::BTreeSet<&str> = forms.iter().map(|(path, _)| *path).collect();
    let routes = include_str!("../console.rs").matches("post(").count();
    assert_eq!(paths.len(), routes, "a form is missing in the lists above");
    let own = [("cookie", ann.as_str())];
    let mut refused = 0;
    for (path, body) in forms.iter().filter(|(path, _)| *path != "/logout") {
        let field = body.split('=').next().unwrap();
        for sent in [String::new(), format!("{body}&{field}=again"), "%ff=%ff".to_owned()] {
            let page = place.ask("POST", path, &own, &sent).await;
            let doubled = sent.contains("=again");
            assert!(!doubled || page.status.is_client_error(), "{path} {sent}: {} {}", page.status, page.text);
            if page.status.is_client_error() {
                refused += 1;
                assert!(page.text.starts_with("<!doctype html>"), "{path} {sent}: {}", page.text);
                assert!(!page.text.contains("deserialize"), "{path} {sent}: {}", page.text);
            }
            if doubled {
                assert!(
                    page.text.contains(&format!("<code>{field}</code> of the form: <code>{field}</code> stands twice")),
                    "{path}: {}",
                    page.text
                );
            }
        }
    }
    assert!(refused > 2 * forms.len(), "{refused}");
    for path in ["/components/%ff/modes/x", "/intents/%ff", "/runs?show=a&show=b", "/login?next=/&next=/"] {
        let page = place.get(path, &ann).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(page.text.starts_with("<!doctype html>"), "{path}: {}", page.text);
    }
}

#[tokio::test]
async fn what_people_wrote_never_becomes_markup() {
    let place = Place::new().await;
    let (ann, bob, eve) =
        (place.log_in("writ_ann").await, place.log_in("writ_bob").await, place.log_in("writ_eve").await);
    let hostile = MANIFEST.replace("部署高可用性 Web 服務，保證 99.9% 可用性", &HOSTILE.replace('\'', "''"));
    let looked = place.post("/intents/check", &ann, &[("text", &hostile)]).await;
    let broken = place.post("/intents/check", &ann, &[("text", &MANIFEST.replace("'99.9%'", HOSTILE))]).await;
    let played = place.post("/policy/playground", &ann, &[("text", &hostile)]).await;
    let submitted = place.post("/intents/new", &ann, &[("text", &hostile)]).await;
    assert!(submitted.to.starts_with("/runs/run_"), "{}", submitted.text);
    let waiver = [("rule", "COMP-BUDGET-001"), ("subject", HOSTILE), ("hours", "1"), ("reason", HOSTILE)];
    assert_eq!(place.post("/waivers", &ann, &waiver).await.to, "/policy#waivers");
    let rejected = place.post("/login", "", &[("token", HOSTILE), ("next", HOSTILE)]).await;
    let [change, question, incident] = place.hostile_things().await;
    let mut pages = vec![("check", looked), ("broken", broken), ("playground", played), ("login", rejected)];
    let run = submitted.to.clone();
    let ids = ["/intents/DEPLOY-WEB-001", run.as_str(), "/why/DEPLOY-WEB-001", "/audit?resource=%22%3E%3Cscript%3E"];
    let things = [change.as_str(), question.as_str(), incident.as_str()];
    for path in PAGES.iter().chain(&ids).chain(&things) {
        for (who, cookie) in [("ann", &ann), ("bob", &bob), ("eve", &eve)] {
            let page = place.get(path, cookie).await;
            assert_eq!(page.status, StatusCode::OK, "{path} as {who}: {}", page.text);
            pages.push((path, page));
        }
    }
    for (path, status) in [
        ("/runs/%3Cscript%3Ealert(1)%3C%2Fscript%3E", StatusCode::BAD_REQUEST),
        ("/why/%3Cscript%3Ealert(1)", StatusCode::NOT_FOUND),
        ("/intents/..%2f..%2fetc%2fpasswd", StatusCode::BAD_REQUEST),
        ("/audit/%00", StatusCode::NOT_FOUND),
        ("/audit?from=%3Cscript%3E", StatusCode::BAD_REQUEST),
        ("/audit?before=-1", StatusCode::BAD_REQUEST),
        ("/audit?actor=%22%3E%3Cscript%3Ealert(1)", StatusCode::BAD_REQUEST),
        ("/%3Cscript%3Ealert(1)", StatusCode::NOT_FOUND),
    ] {
        let page = place.get(path, &ann).await;
        assert_eq!(page.status, status, "{path}: {}", page.text);
        pages.push((path, page));
    }
    for (path, page) in &pages {
        let plain = page.text.replace("<script src=\"/assets/", "");
        assert!(!plain.contains("<script") && !plain.contains("<img"), "{path}: {plain}");
        assert!(!page.text.contains("104563"), "{path} evaluated what was written");
    }
    let told =
        pages.iter().filter(|(_, page)| page.text.contains("&#60;script&#62;") || page.text.contains("&lt;script&gt;"));
    assert!(told.count() > 8, "it is shown, as it was written");
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_with_its_time_and_when_it_is_closed() {
    let place = Place::new().await;
    let (ann, bob) = (place.log_in("writ_ann").await, place.log_in("writ_bob").await);
    assert_eq!(place.get("/", &bob).await.status, StatusCode::OK);
    let tokens = writ_pipeline::some_tokens(place.pipeline.journal(), writ_pipeline::Span::behind(None, 100))
        .await
        .unwrap()
        .rows;
    let of_bob = tokens.iter().find(|token| token.principal.as_str() == "person-02").unwrap();
    let by = writ_core::Actor::human(&"person-01".parse().unwrap());
    writ_pipeline::revoke_token(place.pipeline.journal(), &of_bob.id, &by).await.unwrap();
    assert_eq!(place.get("/", &bob).await.status, StatusCode::SEE_OTHER, "its token was revoked");
    let closed = place.post("/logout", &ann, &[]).await;
    assert!(closed.cookie.starts_with("writ_session=; ") && closed.cookie.contains("Max-Age=0"));
    assert_eq!(place.get("/", &ann).await.status, StatusCode::SEE_OTHER, "it was closed");
    for forged in ["writ_session=", "writ_session=00", "writ_session=writ_bob", "writ_session=../../x"] {
        assert_eq!(place.get("/", forged).await.status, StatusCode::SEE_OTHER, "{forged}");
    }
    let page = place.log_in("writ_eve").await;
    let seen = place.get("/audit?action=log_in", &page).await.text;
    assert_eq!(seen.matches("log in").count() - seen.matches("Log in").count(), 3, "{seen}");
}

#[tokio::test]
async fn whoever_is_asked_about_other_policies_sees_which_decisions_would_be_others() {
    let kept = serde_json::json!({
        "decisions": 12, "others": 2, "changes": {"allow → deny": 2},
        "told": [{"entry": "evt_01m7znjwjxsxdw0zwmr5z97yce", "at": "2026-11-22T01:02:03.000000Z", "stage": "action",
                  "action": "restart_instance", "resource": HOSTILE, "was": "allow", "would": "deny", "because": "X-001: no"}],
    });
    let impact = super::impact::Impact::of(&kept).unwrap();
    let row = &impact.rows[0];
    assert_eq!((impact.judged, impact.others, impact.sorts[0].clone()), (12, 2, ("allow → deny".to_owned(), 2)));
    assert_eq!(row.asked, format!("restart instance {HOSTILE}"));
    assert!(
        row.entry.to_string().contains("/audit/evt_01m7znjwjxsxdw0zwmr5z97yce")
            && row.at.to_string().contains("01:02:03")
    );
    assert!(super::impact::Impact::of(&serde_json::Value::Null).is_none());
}

#[tokio::test]
async fn filters_take_the_words_that_the_table_shows() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    for (query, rows) in [
        ("actor=ann&action=log_in", 1),
        ("actor=person-01&action=log+in", 1),
        ("actor=human%3Aann&action=log_in", 1),
        ("actor=human:person-01&action=log%20in", 1),
        ("actor=bob&action=log_in", 0),
        ("actor=system:nothing", 0),
    ] {
        for path in ["/audit", "/api/v1/audit/entries"] {
            let page = place.get(&format!("{path}?{query}"), &ann).await;
            assert_eq!(page.status, StatusCode::OK, "{path}?{query}: {}", page.text);
            let seen = page.text.matches("<tr id=\"e").count() + page.text.matches("\"event_id\"").count();
            assert_eq!(seen, rows, "{path}?{query}: {}", page.text);
        }
    }
    for (query, told) in [("actor=nobody+at+all", "nobody here is called"), ("outcome=fine", "is no outcome")] {
        for path in ["/audit", "/api/v1/audit/entries"] {
            let page = place.get(&format!("{path}?{query}"), &ann).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST, "{path}?{query}");
            assert!(page.text.contains(told), "{path}?{query}: {}", page.text);
        }
    }
    let page = place.get("/audit?actor=nobody+at+all&action=x", &ann).await.text;
    assert!(
        page.contains("value=\"nobody at all\"") && page.contains("value=\"x\""),
        "the filters are not lost: {page}"
    );
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_a_page_with_the_way_on() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let browser = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let page = place.ask("GET", "/nosuch", &[("cookie", &ann), browser], "").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    for part in
        ["there is no page <code>/nosuch</code>", "aria-label=\"Places\"", "id=\"search\"", "<h1>Not Found</h1>"]
    {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let bare = place.ask("GET", "/nosuch", &[browser], "").await;
    assert_eq!((bare.status, bare.text.contains("aria-label=\"Places\"")), (StatusCode::NOT_FOUND, false));
    assert!(bare.text.starts_with("<!doctype html>"), "{}", bare.text);
    for (path, accepts) in [("/nosuch", "*/*"), ("/nosuch", "application/json"), ("/api/v1/nosuch", browser.1)] {
        let told = place.ask("GET", path, &[("cookie", &ann), ("accept", accepts)], "").await;
        assert_eq!(told.status, StatusCode::NOT_FOUND);
        assert!(told.text.contains("\"code\":\"not-found\""), "{path}: {}", told.text);
    }
    let page = place.get("/runs/run_01m7znjwjxsxdw0zwmr5z97yce", &ann).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text.contains("list them under <a href=\"/runs\">Changes</a>"), "{}", page.text);
    assert!(page.text.contains("aria-label=\"Places\"") && !page.text.contains("writ run list"), "{}", page.text);
}

#[tokio::test]
async fn an_intent_says_why_it_is_refused_and_which_versions_there_are() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let submitted = place.post("/intents/new", &ann, &[("text", MANIFEST)]).await;
    assert!(submitted.to.starts_with("/runs/run_"), "{}", submitted.text);
    let other = MANIFEST.replace("DEPLOY-WEB-001", "DEPLOY-WEB-002");
    let checked = place.post("/intents/check", &ann, &[("text", &other)]).await.text;
    assert!(checked.contains("refused") && checked.contains("<code>DEPLOY-WEB-001</code>"), "{checked}");
    for (versions, status) in [("old=1&new=1", StatusCode::OK), ("old=1&new=99", StatusCode::NOT_FOUND)] {
        let page = place.get(&format!("/intents/DEPLOY-WEB-001?{versions}"), &ann).await;
        assert_eq!(page.status, status, "{versions}: {}", page.text);
        assert_eq!(
            page.text.contains("there is no version 99 of <code>DEPLOY-WEB-001</code>"),
            status != StatusCode::OK
        );
    }
    // One figure everywhere: as the plan has it.
    for path in ["/", "/intents", "/intents/DEPLOY-WEB-001"] {
        let page = place.get(path, &ann).await.text;
        assert!(page.contains("$107.53") && page.contains("99.9798%"), "{path}: {page}");
    }
    let rule = place.get("/why?q=COMP-BUDGET-001", &ann).await;
    assert_eq!(rule.to, "/policy?rule=COMP-BUDGET-001");
    let by = writ_core::Actor::human(&"person-01".parse().unwrap());
    writ_pipeline::order_fault(place.pipeline.journal(), "web-service-001", "i-2", &by).await.unwrap();
    for (name, subject) in [("i-2", "web-service-001/i-2"), ("bc4fabb965f0", "digest sha256:bc4fabb965f0")] {
        let story = place.get(&format!("/why/{name}"), &ann).await;
        assert!(story.text.contains(subject), "{name}: {}", story.text);
    }
}

#[tokio::test]
async fn a_change_that_waits_says_what_it_is_of_and_how_long_it_has_gone_on() {
    let place = Place::new().await;
    let (ann, eve) = (place.log_in("writ_ann").await, place.log_in("writ_eve").await);
    let costly = MANIFEST.replace(">1000 req/s", ">20000 req/s").replace("max_instances: 10", "max_instances: 80");
    let costly = costly.replace("'$500/month'", "'$1990/month'");
    let submitted = place.post("/intents/new", &ann, &[("text", &costly)]).await;
    let page = place.get("/intents/new?of=DEPLOY-WEB-001", &ann).await.text;
    assert!(page.contains("<h1>A new version of DEPLOY-WEB-001</h1>") && page.contains("primary\">Submit"), "{page}");
    let page = place.get("/intents/new?of=DEPLOY-WEB-001", &eve).await.text;
    assert!(page.contains("hold the role operator") && !page.contains("primary\">Submit"), "{page}");
    for path in ["/", "/runs"] {
        let page = place.get(path, &ann).await.text;
        assert!(page.contains(" so far</td>") && page.contains("DEPLOY-WEB-001 v1</td>"), "{path}: {page}");
    }
    for path in ["/", "/intents"] {
        let page = place.get(path, &ann).await.text;
        assert!(
            page.contains("</span>awaiting approval</span>") && !page.contains("</span>ready</span>"),
            "{path}: {page}"
        );
    }
    let asked = format!("<a href=\"{0}\" title=\"{1}\">DEPLOY-WEB-001 v1</a>", submitted.to, &submitted.to[6..]);
    let page = place.get("/approvals", &ann).await.text;
    assert!(page.contains(&asked), "{asked}: {page}");
    assert!(place.get(&submitted.to, &ann).await.text.contains("Why is it waiting?"));
    assert!(place.get(&submitted.to, &ann).await.text.contains("So far"));
    let page = place.get("/policy?rule=COMP-BUDGET-001", &ann).await.text;
    let at = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part}: {page}"));
    assert!(at("Must be true") < at("id=\"h-decisions\"") && at("id=\"h-decisions\"") < at("id=\"h-rules\""));
    at("<input name=\"rule\" required value=\"COMP-BUDGET-001\">");
    at("<tr aria-current=\"true\"><td><a href=\"/policy?rule=COMP-BUDGET-001\"");
}

#[tokio::test]
async fn a_browser_keeps_a_session_no_longer_than_the_token_behind_it_is_good() {
    let place = Place::with(|_, _| Comes::Done, SetClock::new()).await;
    let (journal, by) = (place.pipeline.journal(), writ_core::Actor::system("test"));
    let ann = writ_pipeline::person(journal, "ann").await.unwrap();
    for (span, seconds) in [(None, 43_200), (Some(6), 6), (Some(90_000), 43_200)] {
        let wish = writ_pipeline::TokenWish { span: span.map(Duration::from_secs), ..Default::default() };
        let (_, token) = writ_pipeline::issue_token(journal, &ann, &wish, &by).await.unwrap();
        let cookie = place.ask("POST", "/login", &[], &format!("token={token}")).await.cookie;
        assert!(cookie.contains(&format!("; Max-Age={seconds};")), "{span:?}: {cookie}");
    }
}
