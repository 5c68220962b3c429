//! Which of a list are wanted: those in a state, of an intent, of a component.

use super::Shared;
use super::part::no_next;
use crate::console::words::text;
use crate::error::{Failure, short};
use crate::status;
use axum::http::StatusCode;
use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Required, Schema};
use writ_core::LedgerError;

/// Documents that are looked through for one page; where they do not fill it, `next` goes on from there.
pub(super) const LOOKED_THROUGH_MAX: usize = 5_000;

/// What can be asked of each list besides its state: the parameter, and where an item has it.
const OF: [(&str, &str, &str); 6] = [
    ("intents", "component", "/component"),
    ("runs", "intent", "/intent"),
    ("runs", "component", "/context/component"),
    ("incidents", "component", "/component"),
    ("incidents", "intent", "/intent"),
    ("recommendations", "intent", "/recommendation/intent"),
];

/// Which of a list are wanted.
#[derive(Debug, Default)]
pub(super) struct Which {
    pub(super) state: Option<String>,
    pub(super) intent: Option<String>,
    pub(super) component: Option<String>,
}

impl Which {
    /// What a list can be asked for, as its route says.
    pub(super) fn parameters(view: &str) -> Vec<Parameter> {
        let text = || ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        let of = |name: &str, says: &str, schema: ObjectBuilder| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            let parameter = parameter.required(Required::False).description(Some(says));
            parameter.schema(Some(Schema::Object(schema.build()))).build()
        };
        let mut all = Vec::new();
        let states = status::states(view);
        if !states.is_empty() {
            let words = states.iter().map(|state| state.replace(' ', "_"));
            all.push(of("state", "Those that stand so.", text().enum_values(Some(words.collect::<Vec<_>>()))));
        }
        for (_, name, _) in OF.iter().filter(|(known, ..)| *known == view) {
            all.push(of(name, &format!("Those of this {name}."), text()));
        }
        all
    }

    /// The same with its state as pages say it, where the list can be asked all of it.
    pub(super) fn of(self, view: &str) -> Result<Self, Failure> {
        for (name, wanted) in [("intent", &self.intent), ("component", &self.component)] {
            if wanted.is_some() && !OF.iter().any(|(known, of, _)| *known == view && *of == name) {
                return Err(none(view, name));
            }
        }
        let Some(state) = &self.state else { return Ok(self) };
        let states = status::states(view);
        if states.is_empty() {
            return Err(none(view, "state"));
        }
        let told = state.replace('_', " ");
        if state.contains(' ') || !states.contains(&told.as_str()) {
            let near = writ_text::nearest(&told, states.iter().copied()).map(|near| near.replace(' ', "_"));
            let all = states.iter().map(|state| state.replace(' ', "_")).collect::<Vec<_>>().join(", ");
            let hint = near.map_or(format!("one of {all}"), |near| format!("did you mean `{near}`? one of {all}"));
            let detail = format!("`{}` is no state of {view}", short(state));
            return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).hint(hint).parameter("state"));
        }
        Ok(Self { state: Some(told), ..self })
    }

    /// Whether every one is wanted.
    pub(super) fn is_all(&self) -> bool {
        self.state.is_none() && self.intent.is_none() && self.component.is_none()
    }

    /// Where those of an intent or of a component are filed, so that not all have to be looked through.
    pub(super) fn filed(&self, view: &str) -> Option<String> {
        match (view, &self.intent, &self.component) {
            ("runs", Some(intent), _) => Some(format!("run/{intent}/")),
            ("incidents", _, Some(component)) => Some(format!("incident/{component}/")),
            _ => None,
        }
    }

    /// Whether a document stands as is wanted.
    pub(super) fn stands(&self, shared: &Shared, view: &str, id: &str, doc: &Value) -> bool {
        let state = || status::of(shared, view, id, doc);
        self.state.as_deref().is_none_or(|wanted| state().as_deref() == Some(wanted))
    }

    /// Whether an item is of what is wanted.
    pub(super) fn takes(&self, view: &str, item: &Value) -> bool {
        let of = |name: &str, wanted: &Option<String>| {
            let at = OF.iter().find(|(known, of, _)| *known == view && *of == name).map(|(.., at)| *at);
            wanted.as_deref().is_none_or(|wanted| text(item, at.unwrap_or_default()) == wanted)
        };
        of("intent", &self.intent) && of("component", &self.component)
    }
}

/// A list has no such parameter.
fn none(view: &str, name: &str) -> Failure {
    let detail = format!("{view} are not told apart by `{name}`");
    let known: Vec<&str> = OF.iter().filter(|(known, ..)| *known == view).map(|(_, of, _)| *of).collect();
    let state = Some("state").filter(|_| !status::states(view).is_empty());
    let known: Vec<&str> = state.into_iter().chain(known).collect();
    let failure = Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).parameter(name);
    if known.is_empty() { failure } else { failure.hint(format!("by {}", known.join(", "))) }
}

/// A page begins behind something that there is: another text is no `next` of any page.
pub(crate) async fn begins(shared: &Shared, view: &str, after: Option<&str>) -> Result<(), Failure> {
    let Some(after) = after else { return Ok(()) };
    // What people take back leaves the list of what stands, and is an approval all the same.
    let view = if view == "standing" { "approvals" } else { view };
    let known: Result<_, LedgerError> = shared.pipeline.journal().doc(view, after).await;
    if known?.is_some() {
        return Ok(());
    }
    Err(no_next(after))
}
