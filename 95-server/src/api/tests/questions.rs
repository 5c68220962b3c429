//! What people are asked: which rules demand it, what changes, and how far it reaches.

use super::*;
use crate::question::Question;

#[tokio::test]
async fn an_approval_says_who_demands_it_and_how_far_it_reaches() {
    let place = Place::new().await;
    let change = |deed: &str, at: &str| json!({"address": at, "deed": deed, "kind": "aws_instance"});
    let changes = [change("delete", "a.x"), change("replace", "a.y"), change("create", "a.z")];
    let body = json!({
        "command": ["terraform", "apply", "tfplan"], "changes": changes, "files": {"tfplan": writ_core::Digest([7; 32])},
        "reason": "why",
    });
    let (status, told) = place.say("operator", "/api/v1/actions", body).await;
    assert_eq!(status, 200, "{told}");
    let (_, asked) = look(&place, &format!("/api/v1/approvals/{}", told["approval"].as_str().unwrap())).await;
    let reach = &asked["reach"];
    assert_eq!(reach["text"], "touches 2 resources, replaces 1, deletes 1, creates 1");
    assert_eq!((&reach["others"]["deleted"], &reach["instances"]["there"]), (&json!(1), &json!(null)));
    let demand = &asked["demands"][0];
    assert_eq!(demand["asks"], "require_approval", "{asked}");
    assert!(demand["rule"].is_string() && demand["message"].is_string(), "{asked}");
    assert!(demand["values"].as_array().is_some_and(|values| !values.is_empty()), "{asked}");
    assert!(demand["rule_at"]["line"].is_u64(), "{asked}");
    assert_eq!(asked["diff"], json!(null));
}

#[test]
fn a_change_of_who_governs_says_what_would_be_another() {
    let asked =
        Question::of_change(&json!({"before": {"roles": ["viewer"]}, "after": {"roles": ["approver"]}})).document();
    let diff = asked["diff"].as_str().unwrap();
    assert!(diff.starts_with("--- in force\n+++ proposed\n") && diff.contains("\n+    \"approver\""), "{diff}");
    assert_eq!((&asked["demands"], &asked["reach"]), (&json!([]), &json!(null)));
    assert_eq!(Question::of_change(&Value::Null).document()["diff"], json!(null));
}
