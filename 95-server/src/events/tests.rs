//! Who is told what happens, what they miss, and when it ends.

use super::*;
use crate::api::router;
use crate::unreal::{Comes, SetClock, World, unreal, unreal_in};
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures::StreamExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use writ_core::Actor;
use writ_pipeline::{GovernanceWish, Pipeline, TokenWish, issue_token, open_session, order_fault};

async fn place() -> (Arc<Shared>, Pipeline) {
    unreal(&[("person-01", "ann", "writ_ann", &["viewer"])]).await
}

async fn listen(shared: &Arc<Shared>, query: &str, last: Option<&str>) -> (StatusCode, BodyDataStream) {
    let mut headers = vec![("authorization", "Bearer writ_ann")];
    headers.extend(last.map(|last| ("last-event-id", last)));
    listen_with(shared, query, &headers).await
}

async fn listen_with(shared: &Arc<Shared>, query: &str, headers: &[(&str, &str)]) -> (StatusCode, BodyDataStream) {
    let mut request = Request::get(format!("/api/v1/events{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let routes = TowerToHyperService::new(router(shared.clone()));
    let answer = routes.call(request.body(Body::empty()).unwrap()).await.unwrap();
    (answer.status(), answer.into_body().into_data_stream())
}

/// The next event: its name and its id.
async fn next(stream: &mut BodyDataStream) -> (String, Option<u64>) {
    let bytes = stream.next().await.unwrap().unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    (field("event: "), field("id: ").parse().ok())
}

async fn write(pipeline: &Pipeline, count: usize) {
    let by = Actor::system("test");
    for _ in 0..count {
        order_fault(pipeline.journal(), "web", "i-1", &by).await.unwrap();
    }
}

fn size(pipeline: &Pipeline) -> u64 {
    *pipeline.journal().size().borrow()
}

#[tokio::test]
async fn whoever_comes_back_is_told_what_they_missed_and_then_what_comes() {
    let (shared, pipeline) = place().await;
    let (from, upto) = (3, size(&pipeline) + 2);
    let (_, mut stream) = listen(&shared, "?after=9999", Some("2")).await;
    write(&pipeline, 2).await;
    for seq in from..upto {
        assert_eq!(next(&mut stream).await, ("entry".to_owned(), Some(seq)), "the header is newer than the query");
    }
    let (_, mut of_faults) = listen(&shared, "?after=-1&streams=demo/,none/", None).await;
    assert_eq!(next(&mut of_faults).await.1, Some(upto - 2), "only streams that were asked for");
}

#[tokio::test]
async fn whoever_falls_behind_is_told_so_and_misses_nothing() {
    let (shared, pipeline) = place().await;
    let first = size(&pipeline);
    let (_, mut stream) = listen(&shared, "", None).await;
    write(&pipeline, 1).await;
    assert_eq!(next(&mut stream).await.1, Some(first));
    // More than is kept in memory comes while the client does not read.
    write(&pipeline, KEPT + 50).await;
    let last = size(&pipeline) - 1;
    let (mut wanted, mut told_behind) = (first + 1, 0);
    while wanted <= last {
        match next(&mut stream).await {
            (name, None) if name == "behind" => told_behind += 1,
            (_, id) => {
                assert_eq!(id, Some(wanted));
                wanted += 1;
            }
        }
    }
    assert_eq!(told_behind, 1);
    assert_eq!(shared.metrics.sse_clients.get(), 1);
    drop(stream);
    assert_eq!((shared.metrics.sse_clients.get(), shared.feed.clients.lock().unwrap().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_hears_nothing_is_told_that_the_stream_lives() {
    let (shared, _) = place().await;
    let (_, mut stream) = listen(&shared, "", None).await;
    let began = Instant::now();
    for beat in 1..=3 {
        assert_eq!(stream.next().await.unwrap().unwrap(), ": still here\n\n");
        assert_eq!(began.elapsed(), HEARTBEAT * beat);
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_it_was_opened_with() {
    let (shared, pipeline) = place().await;
    let (_, mut stream) = listen(&shared, "", None).await;
    let by = Actor::system("test");
    write(&pipeline, 1).await;
    assert_eq!(next(&mut stream).await.0, "entry");
    let tokens =
        writ_pipeline::some_tokens(pipeline.journal(), writ_pipeline::Span::behind(None, 100)).await.unwrap().rows;
    writ_pipeline::revoke_token(pipeline.journal(), &tokens[0].id, &by).await.unwrap();
    write(&pipeline, 1).await;
    assert!(stream.next().await.is_none(), "nothing is told any more");
}

/// However much there is to tell, whoever listens is told no more once what they showed is over.
#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_the_token_behind_it_does_on_a_busy_journal_too() {
    let (clock, span) = (SetClock::new(), Duration::from_secs(6));
    let world = Arc::new(World(|_, _| Comes::Done));
    let (shared, pipeline) = unreal_in(world, clock.clone(), &[("person-01", "ann", "writ_ann", &["viewer"])]).await;
    let (journal, by) = (pipeline.journal(), Actor::system("test"));
    let ann = writ_pipeline::person(journal, "ann").await.unwrap();
    let wish = TokenWish { span: Some(span), ..TokenWish::default() };
    let (_, token) = issue_token(journal, &ann, &wish, &by).await.unwrap();
    let session = open_session(journal, &token).await.unwrap();
    let (token, cookie) = (format!("Bearer {token}"), format!("writ_session={}", session.secret));
    let (_, mut by_token) = listen_with(&shared, "", &[("authorization", &token)]).await;
    let (_, mut by_session) = listen_with(&shared, "", &[("cookie", &cookie)]).await;
    for _ in 0..6 {
        write(&pipeline, 1).await;
        for stream in [&mut by_token, &mut by_session] {
            assert_eq!(next(stream).await.0, "entry");
        }
        clock.pass(Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    write(&pipeline, 1).await;
    for stream in [&mut by_token, &mut by_session] {
        assert!(stream.next().await.is_none(), "nothing is told any more");
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_role_that_it_needs() {
    let (shared, pipeline) = place().await;
    let (_, mut stream) = listen(&shared, "", None).await;
    write(&pipeline, 1).await;
    assert_eq!(next(&mut stream).await.0, "entry");
    let wish = |role: &str| GovernanceWish::Roles { principal: "person-01".parse().unwrap(), roles: vec![role.into()] };
    pipeline.propose(wish("approver"), "", &Actor::system("test")).await.unwrap();
    write(&pipeline, 1).await;
    while let Some(event) = stream.next().await {
        let told = String::from_utf8(event.unwrap().to_vec()).unwrap();
        assert!(!told.contains("demo."), "what came after it is told: {told}");
    }
    assert_eq!(listen(&shared, "", None).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn one_person_leaves_room_for_others() {
    let (shared, _) = place().await;
    let one = shared.config.limits.connections / PART_OF_ONE;
    let whose = "person-01".parse().unwrap();
    let places: Vec<Place> = (0..one).map(|_| Place::take(&shared, &whose).unwrap()).collect();
    assert_eq!(listen(&shared, "", None).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let other = Place::take(&shared, &"person-02".parse().unwrap());
    assert!(other.is_ok());
    drop(places);
    assert_eq!(listen(&shared, "", None).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_place_of_an_entry_is_refused() {
    let (shared, pipeline) = place().await;
    for last in ["x", "1.5", "99999999999999999999", "1 or 1=1"] {
        assert_eq!(listen(&shared, "", Some(last)).await.0, StatusCode::BAD_REQUEST, "{last}");
    }
    assert_eq!(listen(&shared, "?after=x", None).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(listen(&shared, "?since=1", None).await.0, StatusCode::BAD_REQUEST);
    // From beyond the end: what comes is told.
    let (status, mut stream) = listen(&shared, "", Some("999999")).await;
    let first = size(&pipeline);
    write(&pipeline, 1).await;
    assert_eq!((status, next(&mut stream).await.1), (StatusCode::OK, Some(first)));
}
