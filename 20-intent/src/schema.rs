//! JSON Schemas of the manifest and the platform file, for editors and other programs. They accept what the readers accept as far
//! as shapes go: keys, types, words and ranges of counts; what a quantity may say is the readers' business.

use crate::intent::{Basis, Constraint, HealMode, Kind, Objective, Origin, Strategy, TriggerAction};
use crate::read_platform::{BALANCERS, METHODS, POLICIES, PROVIDERS, REGION_LIMIT, SCHEMES, TLS_VERSIONS};
use crate::solve::COUNT_LIMIT;
use serde_json::{Map, Value, json};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// A component, whose resources are `NAME/i-1`.
const COMPONENT: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$";
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,127}$";
const DECIMAL: &str = "^[0-9]{1,6}([.][0-9]{0,3})?$";
const LABEL: &str = "^[A-Za-z0-9._/-]{1,63}$";

/// The JSON Schema of a manifest.
#[must_use]
pub fn manifest_schema() -> Value {
    let intent = object(
        "What must hold.",
        &["id", "type"],
        vec![
            ("apiVersion", words("The version of this form.", &[("intent/v1", ())])),
            ("id", named("The intent's id: DEPLOY-WEB-001.")),
            ("type", words("What sort of change is wanted.", Kind::WORDS)),
            ("description", text("Your own words.", 1_000)),
            ("target", target()),
            ("requirements", requirements()),
            ("constraints", constraints()),
            ("workload", workload("What a request costs, when it differs from the platform's demand.")),
            ("heal", heal()),
            ("approvers", names("Principals or roles that are asked when policy wants a person.")),
            ("labels", text_map("Your own marks.", LABEL)),
            ("preferences", preferences()),
        ],
    );
    document("intent", "Manifest", intent)
}

/// The JSON Schema of a platform file.
#[must_use]
pub fn platform_schema() -> Value {
    let platform = object(
        "What the organisation provides. Whatever is left out keeps its default.",
        &[],
        vec![
            ("provider", words("Who carries effects out.", PROVIDERS)),
            (
                "currency",
                json!({ "type": "string", "pattern": "^[A-Z]{3}$", "description": "The currency of every price." }),
            ),
            (
                "tls",
                object(
                    "How traffic is encrypted.",
                    &[],
                    vec![
                        ("enabled", truth("Whether it is.")),
                        ("min_version", words("The least version.", TLS_VERSIONS)),
                    ],
                ),
            ),
            (
                "authentication",
                object(
                    "How callers are known.",
                    &[],
                    vec![("enabled", truth("Whether they are.")), ("method", words("By what.", METHODS))],
                ),
            ),
            ("regions", list("Regions, in order of preference.", region(), 1, REGION_LIMIT)),
            ("instance_types", list("The catalogue.", instance_type(), 1, 1_000)),
            ("balancer", balancer()),
            ("demand", workload("What a request costs, when the intent does not say.")),
            ("component", component()),
            ("scaling", scaling()),
            ("health", health()),
            ("healing", healing()),
            ("start_timeout", quantity("How long an instance may take to start: 30s.")),
            ("drain", quantity("How long an instance may take to finish what it has: 10s.")),
            ("profile", profile()),
        ],
    );
    document("platform", "Platform file", platform)
}

fn document(key: &str, title: &str, inner: Value) -> Value {
    json!({
        "$schema": DIALECT,
        "title": title,
        "type": "object",
        "required": [key],
        "additionalProperties": false,
        "properties": { key: inner },
    })
}

fn target() -> Value {
    let environment = json!({ "type": "string", "pattern": LABEL, "description": "dev, staging, production." });
    object(
        "Where it belongs.",
        &[],
        vec![
            ("environment", environment),
            ("component", of_component("The component, when it is not the platform's.")),
        ],
    )
}

fn requirements() -> Value {
    object(
        "What must hold.",
        &[],
        vec![
            ("availability", quantity("The least share of time that enough instances are up: 99.9%.")),
            (
                "performance",
                object(
                    "How fast, and how much.",
                    &[],
                    vec![
                        ("latency_p95", quantity("The longest 95th percentile: <100ms.")),
                        ("throughput", quantity("The least load to hold: >1000 req/s.")),
                    ],
                ),
            ),
            (
                "scalability",
                object(
                    "How many.",
                    &[],
                    vec![
                        ("min_instances", whole("The least instances.", 1, COUNT_LIMIT)),
                        ("max_instances", whole("The most instances.", 1, COUNT_LIMIT)),
                    ],
                ),
            ),
        ],
    )
}

fn constraints() -> Value {
    let placement = object(
        "How instances are spread.",
        &[],
        vec![
            ("min_regions", whole("The least regions.", 1, 6)),
            ("min_zones", whole("The least zones.", 1, 64)),
            ("spread", words("Evenly over regions and zones.", &[("balanced", ())])),
        ],
    );
    let mut region = names("Regions that may be used, best first.");
    region["minItems"] = json!(1);
    object(
        "Within which limits.",
        &[],
        vec![
            ("budget", quantity("The most a month may cost: $500/month.")),
            ("region", region),
            ("placement", placement),
        ],
    )
}

fn workload(about: &str) -> Value {
    object(
        about,
        &[],
        vec![
            ("service_time", quantity("Time of one core that a request costs: 3ms.")),
            (
                "cv",
                json!({ "type": ["number", "string"], "minimum": 0, "maximum": 10, "pattern": DECIMAL, "description": "Coefficient of variation of that time." }),
            ),
            ("memory_per_instance", quantity("Memory that each instance needs: 3GiB.")),
            ("source", words("Where these figures come from.", Origin::WORDS)),
        ],
    )
}

fn recovery_policy() -> Value {
    object(
        "What brings a failed component back.",
        &["strategy"],
        vec![
            ("strategy", words("How.", Strategy::WORDS)),
            ("max_attempts", whole("How often in one incident.", 1, 5)),
            ("timeout_seconds", whole("How long one attempt may take.", 30, 300)),
        ],
    )
}

fn trigger_list() -> Value {
    let trigger = object(
        "What to do when a condition holds.",
        &["condition", "action"],
        vec![
            ("condition", json!({ "type": "string", "description": "A condition over metrics: error_rate > 5%." })),
            ("action", words("What to do.", TriggerAction::WORDS)),
        ],
    );
    json!({ "type": "array", "items": trigger, "description": "What to do when." })
}

fn heal() -> Value {
    object(
        "How it is healed.",
        &[],
        vec![
            ("enabled", truth("Whether it is healed at all.")),
            ("mode", words("How far healing may go by itself.", HealMode::WORDS)),
            ("recovery_policy", recovery_policy()),
            ("triggers", trigger_list()),
        ],
    )
}

fn preferences() -> Value {
    let constraint = words("A constraint.", Constraint::WORDS);
    object(
        "What to prefer, and what may give way.",
        &[],
        vec![
            (
                "soft",
                json!({
                    "type": "array", "items": constraint, "uniqueItems": true,
                    "description": "Constraints that may give way, the most important first.",
                }),
            ),
            ("objective", words("What to prefer among layouts that hold.", Objective::WORDS)),
            ("budget_basis", words("Which cost the budget binds.", Basis::WORDS)),
        ],
    )
}

fn region() -> Value {
    let zone = object(
        "A zone.",
        &["name"],
        vec![
            ("name", text("Its name.", 128)),
            ("availability", quantity("How often it is up while its region is: 99.95%.")),
        ],
    );
    let zones = json!({
        "type": "array", "minItems": 1, "maxItems": 26,
        "items": { "anyOf": [text("Its name.", 128), zone] },
        "description": "Its zones, in the order in which they are used.",
    });
    object(
        "A region.",
        &["name", "zones"],
        vec![
            ("name", text("Its name: us-west-2.", 128)),
            ("aliases", names("Other names that intents may use: us-west.")),
            ("availability", quantity("How often it can be reached: 99.99%.")),
            ("zone_availability", quantity("How often each zone is up while the region is: 99.95%.")),
            ("zones", zones),
        ],
    )
}

fn instance_type() -> Value {
    object(
        "An instance type.",
        &["name", "cores", "memory", "price"],
        vec![
            ("name", text("Its name: t3.medium.", 128)),
            ("cores", whole("Whole cores.", 1, 1_024)),
            ("memory", quantity("Its memory: 4GiB.")),
            ("price", quantity("Its price: $0.0416/h.")),
            (
                "speed",
                json!({ "type": ["number", "string"], "minimum": 0.01, "maximum": 100, "pattern": DECIMAL, "description": "How fast a core is; 1 is the core that the demand was stated for." }),
            ),
            ("mtbf", quantity("Mean time between failures: 7d.")),
            ("mttr", quantity("Mean time to bring one back: 60s.")),
            ("source", words("Where the two times come from.", Origin::WORDS)),
        ],
    )
}

fn balancer() -> Value {
    object(
        "What stands before the instances in each region.",
        &[],
        vec![
            ("type", words("What it balances.", BALANCERS)),
            ("scheme", words("Who can reach it.", SCHEMES)),
            ("policy", words("How it chooses.", POLICIES)),
            ("price", quantity("Its price: $0.0225/h.")),
            ("availability", quantity("How often it is up: 99.99%.")),
            ("port", whole("The port it listens on; 0 has a free one chosen.", 0, 65_535)),
        ],
    )
}

fn component() -> Value {
    let command = json!({
        "anyOf": [
            { "const": "sample" },
            { "type": "array", "minItems": 1, "maxItems": 256, "items": { "type": "string" } },
        ],
        "description": "The program and its arguments, or `sample`.",
    });
    object(
        "What is run, when the intent does not say.",
        &[],
        vec![
            ("id", of_component("Its name: web-service-001.")),
            ("command", command),
            ("port", whole("The port each instance listens on; 0 has a free one chosen.", 0, 65_535)),
            (
                "health_path",
                json!({ "type": "string", "pattern": "^/[!-~]{0,255}$", "description": "Where its health is asked for." }),
            ),
            ("env", text_map("Its environment.", "^[A-Za-z_][A-Za-z0-9_]{0,127}$")),
        ],
    )
}

fn scaling() -> Value {
    object(
        "How the number of instances follows the load.",
        &[],
        vec![
            ("min_instances", whole("The least, when the intent does not say.", 1, COUNT_LIMIT)),
            ("max_instances", whole("The most, when the intent does not say.", 1, COUNT_LIMIT)),
            ("target_cpu", whole("The share of its cores an instance should use, in percent.", 1, 100)),
            ("cooldown", quantity("How long to wait after a change: 60s.")),
        ],
    )
}

fn health() -> Value {
    object(
        "How instances are checked.",
        &[],
        vec![
            ("interval", whole("From one check to the next, in seconds.", 1, 3_600)),
            ("timeout", whole("How long one may take, in seconds.", 1, 3_600)),
            ("healthy_threshold", whole("Passes in a row that make it healthy.", 1, 20)),
            ("unhealthy_threshold", whole("Failures in a row that make it unhealthy.", 1, 20)),
        ],
    )
}

fn healing() -> Value {
    object(
        "How instances are brought back, when the intent does not say.",
        &[],
        vec![
            ("mode", words("How far healing may go by itself.", HealMode::WORDS)),
            (
                "promotion",
                object(
                    "What it takes to let an action go further by itself.",
                    &[],
                    vec![
                        ("judged_right", whole("Shadow decisions to cite, each judged right.", 1, 100)),
                        ("judged_wrong", whole("Shadow decisions judged wrong since the first of these.", 0, 100)),
                    ],
                ),
            ),
            ("recovery_policy", recovery_policy()),
            ("triggers", trigger_list()),
        ],
    )
}

fn profile() -> Value {
    object(
        "Intervals that run otherwise than declared; printed wherever the plan is shown.",
        &["name"],
        vec![
            ("name", text("What it is called: demo.", 128)),
            ("health_interval", quantity("From one health check to the next: 500ms.")),
            ("health_timeout", quantity("How long a health check may take: 250ms.")),
            ("healing_timeout", quantity("How long one attempt at healing may take: 10s.")),
            ("scaling_cooldown", quantity("How long scaling waits after a change: 5s.")),
        ],
    )
}

/// A map of known keys. A key that need not be there may also stand without a value.
fn object(about: &str, required: &[&str], fields: Vec<(&str, Value)>) -> Value {
    let or_nothing = |(key, schema): (&str, Value)| {
        let schema = if required.contains(&key) { schema } else { json!({ "anyOf": [schema, { "type": "null" }] }) };
        (key.to_owned(), schema)
    };
    let properties: Map<String, Value> = fields.into_iter().map(or_nothing).collect();
    json!({
        "type": "object",
        "description": about,
        "required": required,
        "additionalProperties": false,
        "properties": properties,
    })
}

fn list(about: &str, items: Value, least: usize, most: usize) -> Value {
    json!({ "type": "array", "items": items, "minItems": least, "maxItems": most, "description": about })
}

fn words<T>(about: &str, known: &[(&str, T)]) -> Value {
    json!({ "enum": known.iter().map(|(word, _)| *word).collect::<Vec<_>>(), "description": about })
}

fn of_component(about: &str) -> Value {
    json!({ "type": "string", "pattern": COMPONENT, "description": about })
}

fn named(about: &str) -> Value {
    json!({ "type": "string", "pattern": NAME, "description": about })
}

fn text(about: &str, most: usize) -> Value {
    // A name is never empty; only the description, the one long text, may be.
    let least = usize::from(most < 1_000);
    json!({ "type": "string", "minLength": least, "maxLength": most, "description": about })
}

fn names(about: &str) -> Value {
    json!({ "type": "array", "items": text("A name.", 128), "uniqueItems": true, "maxItems": 32, "description": about })
}

fn text_map(about: &str, key: &str) -> Value {
    json!({
        "type": "object",
        "propertyNames": { "pattern": key },
        "additionalProperties": { "type": "string", "maxLength": 256 },
        "maxProperties": 32,
        "description": about,
    })
}

fn truth(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

fn whole(about: &str, least: u32, most: u32) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": about })
}

fn quantity(about: &str) -> Value {
    json!({ "type": ["string", "number"], "description": about })
}
