//! What rules may read at each stage. A layer that asks gives facts in exactly this shape; a rule that reads anything else is
//! refused when the bundle is loaded.

use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use writ_core::{Stage, Timestamp};
use writ_expr::{Schema, Shape, Type};

/// The facts schema of a stage.
#[must_use]
pub fn schema(stage: Stage) -> &'static Arc<Schema> {
    static INTENT: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(intent()));
    static PLAN: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(plan()));
    static ACTION: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(action()));
    match stage {
        Stage::Intent => &INTENT,
        Stage::Plan => &PLAN,
        Stage::Action => &ACTION,
    }
}

/// Facts as they were judged, from how a decision keeps them: there every fraction is a text.
#[must_use]
pub fn restored(stage: Stage, mut kept: Value) -> Value {
    for (path, fact) in schema(stage).paths() {
        if fact.shape != Shape::Value(Type::Number) {
            continue;
        }
        let at = format!("/{}", path.replace('.', "/"));
        if let Some(value) = kept.pointer_mut(&at)
            && let Some(number) = value.as_str().and_then(|text| text.parse().ok())
        {
            *value = Value::Number(number);
        }
    }
    kept
}

/// The fact `now` of a time: rules see time only so.
#[must_use]
pub fn now(time: Timestamp) -> Value {
    const DAYS: [&str; 7] = ["thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday"];
    let seconds = time.micros().div_euclid(1_000_000);
    let day = usize::try_from(seconds.div_euclid(86_400).rem_euclid(7)).unwrap_or(0);
    let text = time.to_string();
    json!({
        "date": text.get(..10).unwrap_or_default(),
        "hour": seconds.rem_euclid(86_400) / 3_600,
        "minute": seconds.rem_euclid(3_600) / 60,
        "time": text,
        "weekday": DAYS.get(day).copied().unwrap_or_default(),
    })
}

fn intent() -> Schema {
    let requirements = Schema::new()
        .maybe("availability", Type::Number, "least share of requests that must be answered: 0.999")
        .maybe("latency_p95_ms", Type::Number, "most milliseconds that 95 of 100 answers may take")
        .maybe("throughput_rps", Type::Number, "requests a second that must be served")
        .maybe("min_instances", Type::Int, "least instances at any time")
        .maybe("max_instances", Type::Int, "most instances at any time");
    let constraints = Schema::new()
        .maybe("budget_per_month", Type::Number, "most money a month, in units of the currency")
        .maybe("currency", Type::WORD, "the budget's currency: USD")
        .fact("regions", Type::words(32), "regions that may be used; empty when any may");
    let intent = Schema::new()
        .fact("id", Type::WORD, "the intent's id")
        .fact("type", Type::WORD, "deployment, scaling, optimization, migration or recovery")
        .fact("description", Type::Text { max: 4_096 }, "what it is for, in the submitter's words")
        .fact("labels", Type::Map { of: Box::new(Type::WORD), max: 32 }, "words that the submitter put on it")
        .fact("environment", Type::WORD, "production, staging, dev, …")
        .group("requirements", requirements, "what must hold")
        .group("constraints", constraints, "what may be used");
    let platform = Schema::new()
        .fact("provider", Type::WORD, "where it will run: local, docker, kubernetes")
        .fact("regions", Type::words(32), "regions that the platform offers")
        .group(
            "tls",
            Schema::new().fact("enabled", Type::Bool, "whether clients are served over TLS").fact(
                "min_version",
                Type::WORD,
                "the oldest version accepted: 1.3",
            ),
            "transport security",
        )
        .group(
            "authentication",
            Schema::new().fact("enabled", Type::Bool, "whether clients must say who they are").fact(
                "method",
                Type::WORD,
                "how: token, mtls, oidc, none",
            ),
            "client authentication",
        );
    common().group("intent", intent, "what was submitted").group("platform", platform, "what the organisation provides")
}

/// What every stage has.
fn common() -> Schema {
    let requester = Schema::new()
        .fact("id", Type::WORD, "who asks, as a principal, agent or part of writ")
        .fact("kind", Type::WORD, "human, agent or system")
        .fact("roles", Type::words(16), "roles that the requester holds");
    let now = Schema::new()
        .fact("date", Type::WORD, "2026-11-21, in UTC")
        .fact("hour", Type::Int, "0 to 23, in UTC")
        .fact("minute", Type::Int, "0 to 59")
        .fact("time", Type::WORD, "2026-11-21T10:30:00.000000Z; texts sort as times do")
        .fact("weekday", Type::WORD, "monday to sunday, in UTC");
    Schema::new().group("requester", requester, "who asks").group("now", now, "when").fact(
        "maintenance",
        Type::Bool,
        "whether changes are frozen for maintenance",
    )
}

fn plan() -> Schema {
    let predicted = Schema::new()
        .fact("availability", Type::Number, "share of requests that the model says will be answered")
        .fact("latency_p95_ms", Type::Number, "milliseconds that the model says 95 of 100 answers stay below");
    let plan = Schema::new()
        .fact("cost_per_month", Type::Number, "money a month in steady state")
        .fact("peak_cost_per_month", Type::Number, "money a month with all instances that scaling may add")
        .maybe("cost_per_million_requests", Type::Number, "money for a million requests at the required rate")
        .fact("instances", Type::Int, "instances to begin with")
        .fact("min_instances", Type::Int, "least instances")
        .fact("max_instances", Type::Int, "most instances")
        .fact("instance_type", Type::WORD, "the catalogue's name: t3.medium")
        .fact("zones", Type::words(64), "zones that are used")
        .fact("regions", Type::words(32), "regions that are used, by the names that intents use")
        .fact("steps", Type::Int, "steps in all")
        .fact("creates", Type::Int, "actions that create, or bring back what has ended")
        .fact("updates", Type::Int, "actions that change in place")
        .fact("replaces", Type::Int, "actions that make anew what is there")
        .fact("deletes", Type::Int, "actions that delete")
        .fact("irreversible", Type::Int, "steps that nothing takes back")
        .maybe_group("predicted", predicted, "what the models say");
    intent().group("plan", plan, "what would be done")
}

fn action() -> Schema {
    let action = Schema::new()
        .fact("name", Type::WORD, "the action: deploy_instances, restart_instance")
        .fact("verb", Type::WORD, "the provider's verb: instance.ensure")
        .fact("class", Type::WORD, "keyed, conditional, probeable or opaque")
        .fact("resource", Type::WORD, "what it is done to: web-service-001/i-2")
        .maybe("component", Type::WORD, "the component that the resource belongs to")
        .fact("origin", Type::WORD, "intent, remedy, scaling, feedback, exec, decommission or playbook")
        .fact("permission", Type::WORD, "what the agent must hold: execute:recovery");
    let agent = Schema::new()
        .fact("id", Type::WORD, "the agent")
        .fact("type", Type::WORD, "monitoring, self-healing, auto-scaling, provisioning")
        .fact("permissions", Type::words(32), "permissions that the agent holds");
    let intent = Schema::new().fact("id", Type::WORD, "the intent that it serves").fact(
        "environment",
        Type::WORD,
        "production, staging, dev, …",
    );
    let remedy = Schema::new()
        .fact("incident", Type::WORD, "the incident")
        .fact("attempt", Type::Int, "which attempt for this incident, from 1")
        .fact("attempts_last_hour", Type::Int, "remedies tried in the last hour, everywhere")
        .fact("component_attempts_last_hour", Type::Int, "remedies tried on this component in the last hour")
        .fact("healthy_instances", Type::Int, "instances of the component that are healthy")
        .fact("total_instances", Type::Int, "instances of the component in all")
        .fact("affected_instances", Type::Int, "instances that this remedy takes out of service")
        .fact("standing_approval", Type::Bool, "whether a standing approval covers it")
        .fact("mode", Type::WORD, "shadow, propose or auto");
    let planned = Schema::new()
        .fact("applies", Type::Int, "things that are made or changed, whichever it takes")
        .fact("creates", Type::Int, "things that are made")
        .fact("deletes", Type::Int, "things that are taken away")
        .fact("replaces", Type::Int, "things that are taken away and made anew")
        .fact("updates", Type::Int, "things that are changed where they are")
        .maybe("resources", Type::words(256), "what they are called; missing when they are more than rules can look at")
        .maybe("kinds", Type::words(256), "what sorts of things they are: aws_instance, Deployment; missing likewise");
    let outside = Schema::new()
        .fact("program", Type::WORD, "the program, as it was typed")
        .fact("arguments", Type::List { of: Box::new(Type::Text { max: 1_024 }), max: 128 }, "its arguments")
        .fact("directory", Type::Text { max: 4_096 }, "where it runs")
        .fact("tool", Type::WORD, "terraform, kubectl, or command for anything else")
        .maybe("declared", Type::WORD, "the declared command that it is, when it is one")
        .maybe_group("planned", planned, "what the tool says that it would change, when it is one that says so");
    common()
        .group("action", action, "what is about to be done")
        .group("agent", agent, "who would do it")
        .maybe_group("intent", intent, "the intent that it serves, when it serves one")
        .maybe_group(
            "run",
            Schema::new().fact("id", Type::WORD, "the run"),
            "the run that it belongs to, when it belongs to one",
        )
        .maybe_group("remedy", remedy, "what is known when it is a remedy")
        .maybe_group("outside", outside, "what is known when somebody else planned it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_broken_out_as_people_say_it() {
        let time: Timestamp = "2026-11-21T10:30:00Z".parse().unwrap();
        assert_eq!(
            now(time),
            json!({"date": "2026-11-21", "hour": 10, "minute": 30, "time": "2026-11-21T10:30:00.000000Z", "weekday": "saturday"})
        );
        assert_eq!(now(Timestamp::from_micros(0))["weekday"], "thursday");
    }

    #[test]
    fn a_plan_knows_all_that_an_intent_knows() {
        let paths = |stage| schema(stage).paths().into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        let plan = paths(Stage::Plan);
        assert!(paths(Stage::Intent).iter().all(|path| plan.contains(path)));
    }
}
