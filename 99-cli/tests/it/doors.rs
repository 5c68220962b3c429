//! The journeys over HTTP alone, and that the terminal says the same of them, word for word.

use crate::journey::{SOON, up, writ};
use crate::upgrade::post;
use serde_json::{Value, json};
use std::fs;
use writ_bench::{Place, wait_until};

/// What the terminal says as a document, and what HTTP says: a list is the items of its page.
fn both(place: &Place, args: &[&str], path: &str) -> Value {
    let (terminal, http) = (place.writ(&[args, &["-o", "json"]].concat()).unwrap().json(), place.api(path).unwrap());
    let http = if terminal.is_array() { http["items"].clone() } else { http };
    assert_eq!(terminal, http, "{args:?} and {path}");
    http
}

#[test]
fn an_intent_is_submitted_judged_answered_and_proved_over_http_and_the_terminal_says_the_same() {
    let (place, dev) = up(&[]);
    let example = fs::read_to_string(place.files().join("intent.yaml")).unwrap();
    let text = example
        .replace(">1000 req/s", ">20000 req/s")
        .replace("max_instances: 10", "max_instances: 80")
        .replace("'$500/month'", "'$1990/month'");
    let say = |who: &str, path: &str, body: Value| post(&place, who, path, &body.to_string());
    let answer = |who: &str, approval: &str, word: &str| {
        say(who, &format!("/api/v1/approvals/{approval}/{word}"), json!({"reason": "it was looked at"}))
    };

    // Submit: what it would come to, and that it waits for somebody.
    let manifest = json!({"name": "intent.yaml", "text": text});
    let looked = say("operator", "/api/v1/validate", manifest.clone());
    assert_eq!(looked["decision"]["decision"], "require_approval", "{looked:#}");
    let size = place.api("/api/v1/audit/entries?limit=1").unwrap()["items"][0]["seq"].clone();
    let accepted = say("operator", "/api/v1/intents", manifest);
    let run = accepted["run"].as_str().unwrap_or_else(|| panic!("{accepted:#}"));
    let intents = both(&place, &["intent", "list"], "/api/v1/intents");
    assert_eq!(intents[0]["state"], "awaiting_approval", "{intents:#}");
    let history = both(&place, &["intent", "history", "DEPLOY-WEB-001"], "/api/v1/intents/DEPLOY-WEB-001/history");
    assert_eq!(history.as_array().unwrap().len(), 2, "{history:#}");

    // Review: which rules found what, and what people are asked.
    let report = place.api("/api/v1/policies/report?intent=DEPLOY-WEB-001").unwrap();
    let told = place.writ(&["policy", "report", "--intent", "DEPLOY-WEB-001", "-o", "json"]).unwrap().json();
    let asked = report["rules"].as_array().unwrap().iter().filter(|rule| rule["asked"].as_u64() > Some(0));
    let rule = asked.map(|rule| rule["rule"].as_str().unwrap()).next().unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!((&told["rules"], &told["subjects"]), (&report["rules"], &report["subjects"]), "{told:#}");
    let open = both(&place, &["approval", "list", "--is", "open"], "/api/v1/approvals?state=open");
    let approval = open[0]["id"].as_str().unwrap();
    let question = both(&place, &["approval", "get", approval], &format!("/api/v1/approvals/{approval}"));
    assert!(question["demands"].as_array().unwrap().iter().any(|demand| demand["rule"] == rule), "{question:#}");
    assert!(question["diff"].as_str().unwrap().contains("max_instances: 80"), "{question:#}");
    assert!(question["reach"]["text"].as_str().unwrap().contains("creates "), "{question:#}");

    // Answer: one is refused; what somebody else planned is let through by the other person, and runs.
    assert_eq!(answer("reviewer", approval, "reject")["state"], "refused");
    let over = || {
        both(&place, &["run", "list"], "/api/v1/runs").as_array().unwrap().iter().all(|one| one["state"] != "running")
    };
    wait_until(SOON, over).expect("nothing runs any more");
    let runs = both(&place, &["run", "list"], "/api/v1/runs");
    assert_eq!(runs.as_array().unwrap().iter().find(|one| one["id"] == run).unwrap()["state"], "rejected", "{runs:#}");
    let action =
        say("operator", "/api/v1/actions", json!({"command": ["true"], "directory": "/", "reason": "by hand"}));
    let (change, approval) = (action["run"].as_str().unwrap(), action["approval"].as_str().unwrap_or_default());
    let approval = if approval.is_empty() {
        both(&place, &["approval", "list", "--is", "open"], "/api/v1/approvals?state=open")[0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    } else {
        approval.to_owned()
    };
    assert_eq!(answer("reviewer", &approval, "approve")["state"], "granted");

    // Query and verify: each of it is an entry, and the evidence needs no server.
    let since = place.api(&format!("/api/v1/audit/entries?oldest_first=true&after={size}&limit=1000")).unwrap();
    let actions: Vec<&str> =
        since["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in ["submit_intent", "validate_policies", "ask_approval", "reject", "submit_run", "approve"] {
        assert!(actions.contains(&action), "{action} in {actions:?}");
    }
    for id in [run, change] {
        let evidence = place.api(&format!("/api/v1/audit/evidence/{id}")).unwrap().to_string();
        let file = place.path("evidence.json");
        fs::write(&file, &evidence).unwrap();
        writ(&place, &["verify", file.to_str().unwrap()], 0);
        fs::write(&file, evidence.replacen("it was looked", "it was ooked", 1).replacen("person-02", "person-01", 1))
            .unwrap();
        writ(&place, &["verify", file.to_str().unwrap()], 8);
        assert_eq!(both(&place, &["why", id], &format!("/api/v1/why/{id}"))["subject"], format!("run {id}"));
    }
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}
