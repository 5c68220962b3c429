//! Forms that name the plan that was looked at.

use super::*;

#[tokio::test]
async fn what_is_larger_than_is_taken_is_told_the_bound_and_the_way_out() {
    let place = Place::new().await;
    let before = place.size().await;
    let (told, way) = ("the body is larger than 2097152 bytes", "limits.body_bytes");
    for key in [None, Some("once")] {
        let request =
            Request::builder().method("POST").uri("/api/v1/intents").header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", place.tokens[2]));
        let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        let (status, problem) = read(place.ask(request, vec![b' '; 3 << 20]).await).await;
        assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("too-large")), "{problem}");
        assert_eq!(problem["detail"], told);
        assert!(problem["hint"].as_str().unwrap().contains(way), "{problem}");
    }
    let login = Request::builder().method("POST").uri("/login");
    let login = login.header("content-type", "application/x-www-form-urlencoded");
    let answer = place.ask(login, format!("token={}", "x".repeat(3 << 20))).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let page = String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    assert!(page.contains(told) && page.contains(way), "{page}");
    assert_eq!(place.size().await, before);
}

#[tokio::test]
async fn a_period_that_is_none_is_told_with_its_bound() {
    let place = Place::new().await;
    let before = place.size().await;
    let form = "application/x-www-form-urlencoded";
    let login = Request::builder().method("POST").uri("/login").header("content-type", form);
    let answer = place.ask(login, format!("token={}", place.tokens[1])).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    for hours in ["0", "8785", "999999", "18446744073709551615"] {
        let post = Request::builder().method("POST").uri("/recommendations").header("content-type", form);
        let answer = place.ask(post.header("cookie", &cookie), format!("hours={hours}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{hours}");
        let page = String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        assert!(page.contains(&format!("a period has 1 to 8784 hours, not {hours}")), "{page}");
    }
    assert_eq!(place.size().await, before + 1, "of which one is the session");
}

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
