//! The OpenAPI document: the table of routes, as programs read it.

use super::route::{Route, Schemas, documents};
use crate::error::Problem;
use axum::http::header;
use axum::response::IntoResponse;
use std::sync::LazyLock;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Paths};
use utoipa::{PartialSchema, ToSchema};

const SAYS: &str = "Everything that `writ` does from a terminal goes through this interface. Failures are \
`application/problem+json` with a stable `code`; docs/errors has a page for each. Lists are pages: `next` of one is `after` of \
the following. Ids are opaque texts, times are RFC 3339 in UTC, digests are `sha256:` and 64 hexadecimal digits.";

documents! {
    /// An OpenAPI document.
    OpenApiDocument;
}

/// The document as text.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let text = document(super::table()).to_pretty_json().unwrap_or_default();
    // The format is called `uint64`; its name is taken apart where it is written.
    text.replace("\"format\": \"u-int", "\"format\": \"uint") + "\n"
});

/// The document, as it is served.
pub(crate) fn text() -> &'static str {
    TEXT.as_str()
}

/// Serves the document.
pub(crate) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text())
}

fn document(table: Vec<Route>) -> OpenApi {
    let mut paths = Paths::new();
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    let mut schemas: Schemas = schemas.into_iter().collect();
    for route in table {
        paths.add_path_operation(route.template(), vec![route.verb()], route.operation());
        schemas.extend(route.schemas);
    }
    let bearer = Http::new(HttpAuthScheme::Bearer);
    let session = ApiKeyValue::with_description("writ_session", "A session of the console; good for reading alone.");
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    let info = InfoBuilder::new().title("writ").version(env!("CARGO_PKG_VERSION")).description(Some(SAYS));
    OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components.build())).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_document_that_is_checked_in_is_the_one_that_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        #[expect(clippy::disallowed_methods, reason = "whoever changes a route writes the document anew with this")]
        if std::env::var_os("WRIT_WRITE_OPENAPI").is_some() {
            fs::write(&path, TEXT.as_str()).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap();
        assert!(kept == *TEXT, "docs/openapi.json is old: WRIT_WRITE_OPENAPI=1 cargo test -p writ-server openapi");
    }

    #[test]
    fn every_route_is_in_the_document_and_the_other_way_round() {
        let document: Value = serde_json::from_str(&TEXT).unwrap();
        let told: BTreeSet<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
            .collect();
        let table = super::super::table();
        let served: BTreeSet<String> = table
            .iter()
            .map(|route| format!("{} {}", route.method.as_str().to_lowercase(), route.template()))
            .collect();
        assert_eq!(told, served);
        assert_eq!(served.len(), table.len(), "a route stands in the table twice");
    }

    #[test]
    fn no_two_types_have_one_name_in_the_document() {
        let mut seen = Schemas::new();
        for route in super::super::table() {
            for (name, schema) in &route.schemas {
                let first = seen.entry(name.clone()).or_insert_with(|| schema.clone());
                assert!(first == schema, "`{name}` of {} is another type elsewhere: rename one", route.path);
            }
        }
    }

    #[test]
    fn every_operation_says_what_it_does_and_every_name_in_the_document_means_something() {
        let document: Value = serde_json::from_str(&TEXT).unwrap();
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let text = |field: &str| operation[field].as_str().unwrap_or_default().to_owned();
                assert!(!text("summary").is_empty() && text("description").len() > 20, "{method} {path}");
                assert!(operation["tags"][0].as_str().is_some_and(|tag| !tag.is_empty()), "{method} {path}");
                assert!(ids.insert(text("operationId")), "{method} {path}");
                assert!(operation["responses"]["200"].is_object(), "{method} {path}");
            }
        }
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in TEXT.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schemas.contains_key(name), "`{name}` is not described");
        }
    }
}
