use crate::judgements::{load, time};
use crate::{borrowed, example};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_core::{Place, Stage};
use writ_policy::{Bundle, Judgement, Question, Waiver, facts};
use writ_text::to_yaml;

fn intent_facts() -> Value {
    json!({
        "intent": {
            "id": "DEPLOY-WEB-001", "type": "deployment", "description": "部署", "labels": {}, "environment": "production",
            "requirements": {"availability": "0.999", "min_instances": 3}, "constraints": {"budget_per_month": 500, "regions": ["us-west"]},
        },
        "platform": {
            "provider": "local", "regions": ["us-west"], "tls": {"enabled": true, "min_version": "1.3"},
            "authentication": {"enabled": true, "method": "token"},
        },
        "requester": {"id": "alice", "kind": "human", "roles": []}, "maintenance": false, "now": facts::now(time()),
    })
}

fn judge(bundle: &Bundle, facts: Value, waivers: &[Waiver]) -> Judgement {
    let place = Place { file: "in tents/<web>.yaml".to_owned(), line: 21, column: 13 };
    let places = BTreeMap::from([("intent.constraints.budget_per_month".to_owned(), place)]);
    bundle.judge(&Question {
        stage: Stage::Intent,
        action: "",
        resource: "DEPLOY-WEB-001",
        facts,
        waivers,
        now: time(),
        places: &places,
    })
}

#[test]
fn row_2_03_the_validation_document_has_the_sources_form_and_words() {
    let (policies, _) = example();
    let bundle = Bundle::load(&borrowed(&policies)).unwrap();
    let document = judge(&bundle, intent_facts(), &[]).validation();
    let mut checked: Vec<&str> = document["validation"]["policies_checked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap())
        .collect();
    checked.sort_unstable();
    assert_eq!(checked, ["architecture-policies.yaml", "compliance-policies.yaml", "security-policies.yaml"]);
    for (policy, message) in [
        ("SEC-AUTH-001", "Authentication configured"),
        ("SEC-ENC-001", "TLS 1.3 enabled"),
        ("COMP-BUDGET-001", "Within budget constraints"),
    ] {
        let rows = document["validation"]["results"].as_array().unwrap();
        let row = rows.iter().find(|row| row["policy"] == policy).unwrap();
        assert_eq!((row["status"].as_str(), row["message"].as_str()), (Some("passed"), Some(message)));
    }
    assert!(
        to_yaml(&document).contains("    - message: 'Within budget constraints'\n      policy: 'COMP-BUDGET-001'\n"),
        "{}",
        to_yaml(&document)
    );
}

const RULES: &str = "rules:
  - {id: BUDGET, stage: intent, rule: 'has(intent.constraints.budget_per_month) && intent.constraints.budget_per_month <= 100', severity: high, violation: 'too <dear> & \"more\"'}
  - {id: WARN, stage: intent, rule: maintenance, enforcement: warn, severity: low}
  - {id: FINE, stage: intent, rule: '!maintenance', message: all is well}
  - {id: NOT, stage: intent, when: maintenance, rule: maintenance}
  - {id: BROKEN, stage: intent, rule: 'intent.constraints.regions[9] == \"\"', on_missing: ask}
";

#[test]
fn the_table_says_in_words_what_came_of_each_rule() {
    let told = judge(&load(RULES), intent_facts(), &[]).table();
    let bundle = load(RULES).digest().short();
    assert_eq!(
        told,
        format!(
            "POLICY  STATUS          MESSAGE\n\
             BROKEN  error           `rule` cannot be evaluated: an index is out of range\n\
             BUDGET  failed          too <dear> & \"more\"  (in tents/<web>.yaml:21:13)\n\
             FINE    passed          all is well\n\
             WARN    warned          not met: maintenance\n\
             5 checked: 1 passed, 1 failed, 1 warned, 0 need approval, 0 waived, 1 errors, 1 not applicable; deny; bundle {bundle}\n"
        )
    );
}

#[test]
fn sarif_points_into_the_manifest_and_suppresses_what_is_waived() {
    let waiver = Waiver {
        approver: "carol".parse().unwrap(),
        expires_at: "2027-01-01T00:00:00Z".parse().unwrap(),
        reason: "launch".to_owned(),
        rule: "BUDGET".parse().unwrap(),
        subject: "DEPLOY-WEB-001".to_owned(),
    };
    let sarif = judge(&load(RULES), intent_facts(), &[waiver]).sarif();
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    let budget = results.iter().find(|result| result["ruleId"] == "BUDGET").unwrap();
    assert_eq!(budget["level"], "error");
    assert_eq!(
        budget["locations"][0]["physicalLocation"],
        json!({"artifactLocation": {"uri": "in%20tents/%3Cweb%3E.yaml"}, "region": {"startLine": 21, "startColumn": 13}})
    );
    assert_eq!(budget["suppressions"][0]["justification"], "waived by carol until 2027-01-01T00:00:00.000000Z: launch");
    assert_eq!(results.iter().find(|result| result["ruleId"] == "WARN").unwrap()["level"], "note");
    assert_eq!(
        (sarif["version"].as_str(), run["tool"]["driver"]["rules"].as_array().unwrap().len()),
        (Some("2.1.0"), 5)
    );
}

#[test]
fn junit_counts_and_escapes() {
    let junit = judge(&load(RULES), intent_facts(), &[]).junit();
    assert!(
        junit.contains("<testsuite name=\"writ policy\" tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"1\">"),
        "{junit}"
    );
    assert!(junit.contains("too &lt;dear&gt; &amp; &quot;more&quot;"), "{junit}");
}
