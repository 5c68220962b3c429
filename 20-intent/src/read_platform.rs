//! From a platform file to a platform. Whatever the file leaves out keeps its default; lists are taken as a whole.

use crate::figure;
use crate::intent::{HealMode, Origin, Trigger};
use crate::platform::{Command, InstanceType, Platform, Profile, Region, Zone};
use crate::read::{
    self, distinct, micros, ordered, plain, recovery_policy, section, text_map, thousandths, told, triggers,
    unique_texts, workload,
};
use crate::solve::COUNT_LIMIT;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use writ_expr::quantity::{Bytes, Currency, MoneyRate, Ratio, Span};
use writ_text::{Fields, Limits, Node, Problem, Problems, Value};

/// The most regions a platform may have.
pub(crate) const REGION_LIMIT: usize = 16;

/// Reads a platform file. `file` is its name as problems show it.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn read_platform(file: &str, bytes: &[u8]) -> Result<Platform, Vec<Problem>> {
    let root = writ_text::read(file, bytes, &Limits::default())?;
    let problems = Problems::new();
    let platform = document_of(&root, &problems);
    problems.result(platform)
}

fn document_of(root: &Node, problems: &Problems) -> Option<Platform> {
    let mut document = root.fields("the platform file", problems)?;
    let node = document.need("platform");
    document.done();
    let mut fields = node?.fields("the platform", problems)?;
    let mut platform = Platform::default();
    if let Some(provider) = fields.maybe_choice("provider", PROVIDERS) {
        platform.provider = provider.to_owned();
    }
    currency(&mut fields, &mut platform);
    section(&mut fields, "tls", |fields| {
        keep(&mut platform.tls.enabled, fields.maybe_bool("enabled"));
        keep(&mut platform.tls.min_version, fields.maybe_choice("min_version", TLS_VERSIONS).map(str::to_owned));
    });
    section(&mut fields, "authentication", |fields| {
        keep(&mut platform.authentication.enabled, fields.maybe_bool("enabled"));
        keep(&mut platform.authentication.method, fields.maybe_choice("method", METHODS).map(str::to_owned));
    });
    keep(&mut platform.regions, regions(&mut fields));
    let own = platform.currency.clone();
    keep(&mut platform.instance_types, instance_types(&mut fields, &own));
    section(&mut fields, "balancer", |fields| balancer(fields, &mut platform));
    section(&mut fields, "demand", |fields| {
        let own = workload(fields);
        keep(&mut platform.demand.core_us, own.core_us);
        keep(&mut platform.demand.variation_permille, own.variation_permille);
        keep(&mut platform.demand.memory_bytes, own.memory_bytes);
        keep(&mut platform.demand.origin, own.origin);
    });
    section(&mut fields, "component", |fields| component(fields, &mut platform));
    section(&mut fields, "scaling", |fields| scaling(fields, &mut platform));
    section(&mut fields, "health", |fields| health(fields, &mut platform));
    section(&mut fields, "healing", |fields| {
        platform.healing.mode = fields.maybe_choice("mode", HealMode::WORDS);
        section(fields, "promotion", |fields| {
            keep(&mut platform.healing.promotion.judged_right, whole(fields, "judged_right", 1..=100));
            keep(&mut platform.healing.promotion.judged_wrong, whole(fields, "judged_wrong", 0..=100));
        });
        keep(&mut platform.healing.recovery, section(fields, "recovery_policy", recovery_policy).flatten());
        keep(&mut platform.healing.triggers, triggers(fields));
    });
    keep(&mut platform.start_timeout_ms, millis(&mut fields, "start_timeout"));
    keep(&mut platform.drain_ms, millis(&mut fields, "drain"));
    platform.profile = section(&mut fields, "profile", profile);
    fields.done();
    Some(platform)
}

pub(crate) const PROVIDERS: &[(&str, &str)] = &[("local", "local"), ("docker", "docker"), ("kubernetes", "kubernetes")];
pub(crate) const TLS_VERSIONS: &[(&str, &str)] = &[("1.2", "1.2"), ("1.3", "1.3")];
pub(crate) const METHODS: &[(&str, &str)] = &[("oidc", "oidc"), ("mtls", "mtls"), ("token", "token")];
pub(crate) const POLICIES: &[(&str, &str)] = &[("p2c", "p2c"), ("least_connections", "least_connections")];
pub(crate) const BALANCERS: &[(&str, &str)] = &[("application", "application")];
pub(crate) const SCHEMES: &[(&str, &str)] = &[("internet-facing", "internet-facing"), ("internal", "internal")];

fn keep<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn currency(fields: &mut Fields<'_>, platform: &mut Platform) {
    let Some(code) = fields.maybe_text("currency") else { return };
    match Currency::of(code) {
        Some(currency) => platform.currency = currency.code().to_owned(),
        None => fields.say("currency", "a currency has three capital letters: `USD`"),
    }
    // The built-in prices are dollars; in another currency they would be made up.
    if platform.currency != "USD" {
        for section in ["instance_types", "balancer"] {
            if fields.node().get(section).is_none() {
                fields.say(
                    "currency",
                    format!("the built-in prices are in USD; give `{section}` with prices of your own"),
                );
            }
        }
    }
}

fn availability(fields: &mut Fields<'_>, key: &'static str) -> Option<u64> {
    let (node, ratio) = plain::<Ratio>(fields, key)?;
    told(fields, node, ratio.0 > 0 && ratio <= Ratio::ONE, &format!("`{key}` must be above 0% and at most 100%"))?;
    u64::try_from(ratio.0).ok()
}

fn price(fields: &mut Fields<'_>, currency: &str) -> Option<u64> {
    let (node, rate) = plain::<MoneyRate>(fields, "price")?;
    if rate.money.currency.code() != currency {
        let message = format!("this price is in {}, and the platform's `currency` is {currency}", rate.money.currency);
        fields.problems().say(&node.at, message);
        return None;
    }
    let hour = u64::try_from(rate.money.micros).ok()?.div_ceil(rate.per.hours().unsigned_abs());
    told(fields, node, hour <= 1_000_000_000_000, "`price` must be at most a million an hour")?;
    Some(hour)
}

fn seconds(fields: &mut Fields<'_>, key: &'static str, least: u64) -> Option<u64> {
    let (node, span) = plain::<Span>(fields, key)?;
    let sound = span.0 % 1_000_000_000 == 0;
    let seconds = u64::try_from(span.0 / 1_000_000_000).ok().filter(|s| sound && (least..=3_153_600_000).contains(s));
    told(fields, node, seconds.is_some(), &format!("`{key}` must be whole seconds from {least} to a hundred years"))?;
    seconds
}

fn millis(fields: &mut Fields<'_>, key: &'static str) -> Option<u64> {
    let (node, span) = plain::<Span>(fields, key)?;
    Some(micros(fields, node, key, span, 1_000)? / 1_000)
}

fn whole(fields: &mut Fields<'_>, key: &'static str, range: std::ops::RangeInclusive<i64>) -> Option<u32> {
    fields.maybe_int(key, range).and_then(|number| u32::try_from(number).ok())
}

fn regions(fields: &mut Fields<'_>) -> Option<Vec<Region>> {
    let problems = fields.problems();
    let list = fields.maybe("regions")?;
    let items = list.items(problems)?;
    if items.is_empty() || items.len() > REGION_LIMIT {
        problems.say(&list.at, format!("a platform has 1 to {REGION_LIMIT} regions"));
    }
    let regions: Vec<Region> = items.iter().filter_map(|node| region(node, problems)).collect();
    let mut names = BTreeSet::new();
    for (region, node) in regions.iter().zip(items) {
        for name in
            std::iter::once(&region.name).chain(&region.aliases).chain(region.zones.iter().map(|zone| &zone.name))
        {
            if !names.insert(name.as_str()) {
                problems.say(&node.at, format!("the name `{name}` stands for two regions or zones"));
            }
        }
    }
    Some(regions)
}

fn region(node: &Node, problems: &Problems) -> Option<Region> {
    let mut fields = node.fields("the region", problems)?;
    let name = named(&mut fields);
    let aliases = unique_texts(&mut fields, "aliases");
    let own = availability(&mut fields, "availability").unwrap_or(999_900_000);
    let of_zones = availability(&mut fields, "zone_availability").unwrap_or(999_500_000);
    let zones: Vec<Zone> = match fields.need("zones") {
        Some(list) => {
            let items = list.items(problems).unwrap_or_default();
            if matches!(&list.value, Value::List(items) if items.is_empty() || items.len() > 26) {
                problems.say(&list.at, "a region has 1 to 26 zones");
            }
            items.iter().filter_map(|node| zone(node, of_zones, problems)).collect()
        }
        None => Vec::new(),
    };
    fields.done();
    Some(Region { name: name?, aliases, availability_ppb: own, zones })
}

fn zone(node: &Node, common: u64, problems: &Problems) -> Option<Zone> {
    if !matches!(node.value, Value::Map(_)) {
        let name = node.text(problems)?;
        if !(1..=128).contains(&name.chars().count()) || name.contains(char::is_control) {
            problems.say(&node.at, "a name has 1 to 128 characters, none of them control characters");
        }
        return Some(Zone { name: name.to_owned(), availability_ppb: common });
    }
    let mut fields = node.fields("the zone", problems)?;
    let name = named(&mut fields);
    let own = availability(&mut fields, "availability").unwrap_or(common);
    fields.done();
    Some(Zone { name: name?, availability_ppb: own })
}

fn named(fields: &mut Fields<'_>) -> Option<String> {
    let name = fields.text("name")?;
    if !(1..=128).contains(&name.chars().count()) || name.contains(char::is_control) {
        fields.say("name", "a name has 1 to 128 characters, none of them control characters");
        return None;
    }
    Some(name.to_owned())
}

fn instance_types(fields: &mut Fields<'_>, currency: &str) -> Option<Vec<InstanceType>> {
    let problems = fields.problems();
    let list = fields.maybe("instance_types")?;
    let items = list.items(problems)?;
    if items.is_empty() || items.len() > 1_000 {
        problems.say(&list.at, "a catalogue has 1 to 1000 instance types");
    }
    let all: Vec<InstanceType> = items.iter().filter_map(|node| instance_type(node, currency, problems)).collect();
    let mut names = BTreeSet::new();
    for (class, node) in all.iter().zip(items) {
        if !names.insert(class.name.as_str()) {
            problems.say(&node.at, format!("the instance type `{}` stands here twice", class.name));
        }
    }
    Some(all)
}

fn instance_type(node: &Node, currency: &str, problems: &Problems) -> Option<InstanceType> {
    let mut fields = node.fields("the instance type", problems)?;
    let name = named(&mut fields);
    let cores = fields.int("cores", 1..=1_024).and_then(|cores| u32::try_from(cores).ok());
    if fields.need("memory").is_none() | fields.need("price").is_none() {
        fields.done();
        return None;
    }
    let memory = plain::<Bytes>(&mut fields, "memory").and_then(|(node, bytes)| {
        told(&fields, node, (1 << 20..=1 << 46).contains(&bytes.0), "`memory` must be from 1MiB to 64TiB")?;
        u64::try_from(bytes.0).ok()
    });
    let price = price(&mut fields, currency);
    let speed = speed(&mut fields);
    let mtbf = seconds(&mut fields, "mtbf", 1).unwrap_or(7 * 86_400);
    let mttr = seconds(&mut fields, "mttr", 0).unwrap_or(60);
    let origin = fields.maybe_choice("source", Origin::WORDS).unwrap_or(Origin::Assumed);
    fields.done();
    Some(InstanceType {
        name: name?,
        cores: cores?,
        memory_bytes: memory?,
        hour_micros: price?,
        speed_permille: speed?,
        mtbf_s: mtbf,
        mttr_s: mttr,
        origin,
    })
}

fn speed(fields: &mut Fields<'_>) -> Option<u32> {
    if fields.maybe("speed").is_none() {
        return Some(1_000);
    }
    let message =
        "`speed` must be from 0.01 to 100, with at most three decimals; 1 is the core that the demand was stated for";
    thousandths(fields, "speed", 10..=100_000, message)
}

fn balancer(fields: &mut Fields<'_>, platform: &mut Platform) {
    let own = platform.currency.clone();
    let balancer = &mut platform.balancer;
    keep(&mut balancer.kind, fields.maybe_choice("type", BALANCERS).map(str::to_owned));
    keep(&mut balancer.scheme, fields.maybe_choice("scheme", SCHEMES).map(str::to_owned));
    keep(&mut balancer.policy, fields.maybe_choice("policy", POLICIES).map(str::to_owned));
    if fields.node().get("price").is_none() && own != "USD" {
        fields.say("price", format!("the built-in price is in USD; give a `price` in {own}"));
    }
    keep(&mut balancer.hour_micros, price(fields, &own));
    keep(&mut balancer.availability_ppb, availability(fields, "availability"));
    keep(&mut balancer.port, port(fields));
}

fn port(fields: &mut Fields<'_>) -> Option<u16> {
    fields.maybe_int("port", 0..=65_535).and_then(|port| u16::try_from(port).ok())
}

fn component(fields: &mut Fields<'_>, platform: &mut Platform) {
    let problems = fields.problems();
    let component = &mut platform.component;
    let id = fields.maybe_text("id").and_then(|text| read::component(fields, "id", text));
    if let Some(id) = &id {
        distinct(fields.node().nearest_at("/id"), problems, "id", id);
    }
    keep(&mut component.id, id);
    keep(&mut component.command, fields.maybe("command").and_then(|node| command(node, problems)));
    keep(&mut component.port, port(fields));
    if let Some(path) = fields.maybe_text("health_path") {
        if path.starts_with('/') && path.len() <= 256 && path.bytes().all(|b| b.is_ascii_graphic()) {
            component.health_path = path.to_owned();
        } else {
            fields.say("health_path", "`health_path` is a path such as `/healthz`");
        }
    }
    keep(&mut component.env, fields.maybe("env").map(|node| text_map(node, problems, is_variable)));
}

fn command(node: &Node, problems: &Problems) -> Option<Command> {
    if let Value::Text { value, .. } = &node.value {
        if value == "sample" {
            return Some(Command::Sample);
        }
        problems.suggest(
            &node.at,
            "a command is `sample` or a list of words",
            format!("write it as a list: ['{value}']"),
        );
        return None;
    }
    let words = node.texts(problems)?;
    if words.is_empty() || words.len() > 256 || words.iter().any(|word| word.contains('\0')) {
        problems.say(&node.at, "a command has 1 to 256 words");
        return None;
    }
    Some(Command::Words(words.into_iter().map(str::to_owned).collect()))
}

fn is_variable(name: &str) -> bool {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=128).contains(&name.len()) && name.chars().all(sound) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn scaling(fields: &mut Fields<'_>, platform: &mut Platform) {
    let scaling = &mut platform.scaling;
    keep(&mut scaling.min_instances, whole(fields, "min_instances", 1..=i64::from(COUNT_LIMIT)));
    keep(&mut scaling.max_instances, whole(fields, "max_instances", 1..=i64::from(COUNT_LIMIT)));
    ordered(fields, ("min_instances", Some(scaling.min_instances)), ("max_instances", Some(scaling.max_instances)));
    keep(&mut scaling.target_cpu_percent, whole(fields, "target_cpu", 1..=100));
    keep(&mut scaling.cooldown_ms, millis(fields, "cooldown"));
}

fn health(fields: &mut Fields<'_>, platform: &mut Platform) {
    let health = &mut platform.health;
    keep(&mut health.interval_s, whole(fields, "interval", 1..=3_600));
    keep(&mut health.timeout_s, whole(fields, "timeout", 1..=3_600));
    ordered(fields, ("timeout", Some(health.timeout_s)), ("interval", Some(health.interval_s)));
    keep(&mut health.healthy_threshold, whole(fields, "healthy_threshold", 1..=20));
    keep(&mut health.unhealthy_threshold, whole(fields, "unhealthy_threshold", 1..=20));
}

fn profile(fields: &mut Fields<'_>) -> Profile {
    let name = named(fields).unwrap_or_default();
    let profile = Profile {
        name,
        health_interval_ms: millis(fields, "health_interval"),
        health_timeout_ms: millis(fields, "health_timeout"),
        healing_timeout_ms: millis(fields, "healing_timeout"),
        scaling_cooldown_ms: millis(fields, "scaling_cooldown"),
    };
    if let (Some(interval), Some(timeout)) = (profile.health_interval_ms, profile.health_timeout_ms)
        && timeout > interval
    {
        fields.say("health_timeout", "`health_timeout` is longer than `health_interval`");
    }
    profile
}

/// The platform as a platform file again, every value stated in its canonical form. Reading it gives the same platform.
#[must_use]
pub fn document(platform: &Platform) -> Json {
    let price = |micros| format!("{}/h", figure::money(micros, &platform.currency));
    let zone = |zone: &Zone| json!({ "name": zone.name, "availability": figure::percent(zone.availability_ppb) });
    let region = |region: &Region| {
        json!({
            "name": region.name,
            "aliases": region.aliases,
            "availability": figure::percent(region.availability_ppb),
            "zones": region.zones.iter().map(zone).collect::<Vec<_>>(),
        })
    };
    let class = |class: &InstanceType| {
        json!({
            "name": class.name,
            "cores": class.cores,
            "memory": figure::bytes(class.memory_bytes),
            "price": price(class.hour_micros),
            "speed": figure::decimal(u64::from(class.speed_permille), 3),
            "mtbf": figure::span_of_seconds(class.mtbf_s),
            "mttr": figure::span_of_seconds(class.mttr_s),
            "source": class.origin.word(),
        })
    };
    let mut all = json!({
        "provider": platform.provider,
        "currency": platform.currency,
        "tls": { "enabled": platform.tls.enabled, "min_version": platform.tls.min_version },
        "authentication": { "enabled": platform.authentication.enabled, "method": platform.authentication.method },
        "regions": platform.regions.iter().map(region).collect::<Vec<_>>(),
        "instance_types": platform.instance_types.iter().map(class).collect::<Vec<_>>(),
        "balancer": {
            "type": platform.balancer.kind,
            "scheme": platform.balancer.scheme,
            "policy": platform.balancer.policy,
            "price": price(platform.balancer.hour_micros),
            "availability": figure::percent(platform.balancer.availability_ppb),
            "port": platform.balancer.port,
        },
        "demand": {
            "service_time": figure::span(platform.demand.core_us),
            "cv": figure::decimal(u64::from(platform.demand.variation_permille), 3),
            "memory_per_instance": figure::bytes(platform.demand.memory_bytes),
            "source": platform.demand.origin.word(),
        },
        "component": {
            "id": platform.component.id,
            "command": platform.component.command.document(),
            "port": platform.component.port,
            "health_path": platform.component.health_path,
            "env": platform.component.env,
        },
        "scaling": {
            "min_instances": platform.scaling.min_instances,
            "max_instances": platform.scaling.max_instances,
            "target_cpu": platform.scaling.target_cpu_percent,
            "cooldown": figure::millis(platform.scaling.cooldown_ms),
        },
        "health": {
            "interval": platform.health.interval_s,
            "timeout": platform.health.timeout_s,
            "healthy_threshold": platform.health.healthy_threshold,
            "unhealthy_threshold": platform.health.unhealthy_threshold,
        },
        "healing": {
            "mode": platform.healing.mode.map(HealMode::word),
            "promotion": {
                "judged_right": platform.healing.promotion.judged_right,
                "judged_wrong": platform.healing.promotion.judged_wrong,
            },
            "recovery_policy": platform.healing.recovery.document(),
            "triggers": platform.healing.triggers.iter().map(Trigger::document).collect::<Vec<_>>(),
        },
        "start_timeout": figure::millis(platform.start_timeout_ms),
        "drain": figure::millis(platform.drain_ms),
    });
    if let (Some(all), Some(profile)) = (all.as_object_mut(), &platform.profile) {
        all.insert("profile".into(), Json::Object(profile_document(profile)));
    }
    json!({ "platform": all })
}

fn profile_document(profile: &Profile) -> Map<String, Json> {
    let rows = [
        ("health_interval", profile.health_interval_ms),
        ("health_timeout", profile.health_timeout_ms),
        ("healing_timeout", profile.healing_timeout_ms),
        ("scaling_cooldown", profile.scaling_cooldown_ms),
    ];
    let mut all = Map::from_iter([("name".to_owned(), json!(profile.name))]);
    for (name, ms) in rows {
        if let Some(ms) = ms {
            all.insert(name.to_owned(), json!(figure::millis(ms)));
        }
    }
    all
}
