//! Forms that name the plan that was looked at.

use super::*;

#[tokio::test]
async fn a_form_that_names_no_plan_that_can_be_read_does_nothing() {
    let place = Place::new().await;
    let form = "application/x-www-form-urlencoded";
    let login = Request::builder().method("POST").uri("/login").header("content-type", form);
    let answer = place.ask(login, format!("token={}", place.tokens[2])).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let send = async |path: &str, body: String| {
        let post = Request::builder().method("POST").uri(path).header("content-type", form);
        let answer = place.ask(post.header("cookie", &cookie), body).await;
        let status = answer.status();
        (status, String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap())
    };
    let manifest = include_str!("../../../../examples/deploy-web-001/intent.yaml");
    let mut text = String::new();
    for byte in manifest.bytes() {
        write!(text, "%{byte:02x}").unwrap();
    }
    let leave = "/intents/DEPLOY-WEB-001/decommission";
    let unreadable = ["garbage", "sha256:", "%20", "sha256:00", "%3Cb%3E"];
    let submitted = ("/intents/new", format!("text={text}"), StatusCode::SEE_OTHER);
    // What was just submitted is under way, and is not taken away meanwhile.
    for (path, rest, otherwise) in [submitted, (leave, "reason=x".to_owned(), StatusCode::CONFLICT)] {
        let before = place.size().await;
        for planned in unreadable {
            let (status, page) = send(path, format!("{rest}&planned={planned}")).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {planned}");
            assert!(page.contains("is not the digest of a plan") && !page.contains("<b>`"), "{path} {planned}: {page}");
        }
        assert_eq!(place.size().await, before, "{path}");
        let (status, page) = send(path, format!("{rest}&planned=")).await;
        assert_eq!(status, otherwise, "{path}: {page}");
    }
}
