//! A route as the table has it: who may use it, what it takes and what it answers. The router and the OpenAPI document are both
//! made of this, so neither can say what the other does not.

use super::Shared;
use super::access::Needs;
use super::of::Of;
use super::once::{Again, KEY};
use crate::error::Problem;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{self, MethodRouter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Content, Ref, RefOr, Required, ResponseBuilder, Schema, SecurityRequirement};
use utoipa::{IntoParams, ToSchema};

/// Schemas by name.
pub(crate) type Schemas = BTreeMap<String, RefOr<Schema>>;

/// The form of every failure.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// One route.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) needs: Needs,
    /// Whose what it changes is: there its caller must hold the role.
    pub(crate) of: Of,
    /// What becomes of a request that is sent again under its key.
    pub(crate) again: Again,
    pub(crate) handler: MethodRouter<Arc<Shared>>,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    parameters: Vec<Parameter>,
    /// Path parameters that are one of a few words.
    words: BTreeMap<&'static str, Vec<&'static str>>,
    body: Option<RefOr<Schema>>,
    answer: (&'static str, Option<RefOr<Schema>>),
    fails: BTreeSet<u16>,
    tagged: bool,
    /// Why a list that it answers has one page.
    pub(crate) whole: Option<&'static str>,
    /// What the types of it are called and look like, in the order in which they were named.
    pub(crate) schemas: Vec<(String, RefOr<Schema>)>,
}

impl Route {
    /// Something to look at.
    pub(crate) fn get<T: 'static>(path: &'static str, needs: Needs, handler: impl Handler<T, Arc<Shared>>) -> Self {
        Self::new(Method::GET, path, (needs, Of::Nothing), routing::get(handler))
    }

    /// Something to ask for or to do.
    pub(crate) fn post<T: 'static>(
        path: &'static str,
        needs: Needs,
        of: Of,
        handler: impl Handler<T, Arc<Shared>>,
    ) -> Self {
        let mut route = Self::new(Method::POST, path, (needs, of), routing::post(handler));
        route.again = Again::Told;
        route
    }

    /// Something to take away.
    pub(crate) fn delete<T: 'static>(
        path: &'static str,
        needs: Needs,
        of: Of,
        handler: impl Handler<T, Arc<Shared>>,
    ) -> Self {
        Self::new(Method::DELETE, path, (needs, of), routing::delete(handler))
    }

    fn new(method: Method, path: &'static str, (needs, of): (Needs, Of), handler: MethodRouter<Arc<Shared>>) -> Self {
        let mut fails = BTreeSet::from([500, 503]);
        if needs != Needs::Nobody {
            fails.extend([401, 403, 429]);
        }
        if path.contains('{') {
            fails.extend([400, 404]);
        }
        Self {
            method,
            path,
            needs,
            of,
            again: Again::Harmless,
            handler,
            tag: "",
            summary: "",
            description: "",
            parameters: Vec::new(),
            words: BTreeMap::new(),
            body: None,
            answer: ("application/json", None),
            fails,
            tagged: false,
            whole: None,
            schemas: Vec::new(),
        }
    }

    /// Under which heading it stands, what it does in a line, and what else there is to know.
    pub(crate) fn says(mut self, tag: &'static str, summary: &'static str, description: &'static str) -> Self {
        (self.tag, self.summary, self.description) = (tag, summary, description);
        self
    }

    /// Nothing comes of it but the answer, however often it is sent.
    pub(crate) fn harmless(mut self) -> Self {
        self.again = Again::Harmless;
        self
    }

    /// The answer has a secret, which is told once.
    pub(crate) fn secret(mut self) -> Self {
        self.again = Again::Secret;
        self
    }

    /// A part of the path that is one of a few words.
    pub(crate) fn word(mut self, name: &'static str, words: impl Into<Vec<&'static str>>) -> Self {
        self.words.insert(name, words.into());
        self
    }

    /// A query string.
    pub(crate) fn query<T: IntoParams>(mut self) -> Self {
        self.parameters.extend(T::into_params(|| Some(ParameterIn::Query)));
        self.fails.insert(400);
        self
    }

    /// Parameters of a query besides those of its type.
    pub(crate) fn also(mut self, parameters: Vec<Parameter>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// Whether it is looked at and takes nothing behind a question mark.
    pub(crate) fn takes_no_query(&self) -> bool {
        let of_query = |parameter: &Parameter| parameter.parameter_in == ParameterIn::Query;
        self.method == Method::GET && self.path.starts_with("/api/") && !self.parameters.iter().any(of_query)
    }

    /// Whether it changes something, whatever somebody looked at.
    pub(crate) fn takes_no_tag(&self) -> bool {
        let names =
            |parameter: &Parameter| parameter.parameter_in == ParameterIn::Header && parameter.name == "if-match";
        !self.method.is_safe() && !self.parameters.iter().any(names)
    }

    /// What it answers is a list of one page, because it is bounded by nature.
    pub(crate) fn whole(mut self, because: &'static str) -> Self {
        self.whole = Some(because);
        self
    }

    /// The answer names the state that it shows.
    pub(crate) fn tagged(mut self) -> Self {
        self.tagged = true;
        self
    }

    /// What it changes may be named by the state that was looked at.
    pub(crate) fn matches(self) -> Self {
        let says = "The `ETag` of what was looked at. When something was recorded about it since, nothing is done (412); of two requests with \
             the same tag, one is done.";
        self.header("if-match", says).fails(&[412])
    }

    /// A header that may be sent.
    pub(crate) fn header(mut self, name: &str, says: &str) -> Self {
        self.parameters.push(header(name, says));
        self
    }

    /// A JSON body.
    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some(self.schema::<T>());
        self.fails.extend([400, 408, 413, 415, 422]);
        self
    }

    /// A JSON answer.
    pub(crate) fn answers<T: ToSchema>(mut self) -> Self {
        self.answer = ("application/json", Some(self.schema::<T>()));
        self
    }

    /// An answer that is no JSON.
    pub(crate) fn answers_as(mut self, form: &'static str) -> Self {
        self.answer = (form, None);
        self
    }

    /// Statuses of problems besides those that every such route has.
    pub(crate) fn fails(mut self, statuses: &[u16]) -> Self {
        self.fails.extend(statuses);
        self
    }

    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let mut named = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut named);
        self.schemas.extend(named);
        Ref::from_schema_name(T::name()).into()
    }

    /// The path as OpenAPI writes it.
    pub(crate) fn template(&self) -> String {
        self.path.replace("{*", "{")
    }

    /// The method as OpenAPI has it.
    pub(crate) fn verb(&self) -> HttpMethod {
        match self.method {
            Method::POST => HttpMethod::Post,
            Method::DELETE => HttpMethod::Delete,
            _ => HttpMethod::Get,
        }
    }

    /// What the document says of it.
    pub(crate) fn operation(&self) -> Operation {
        let id: Vec<&str> =
            self.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
        let method = self.method.as_str().to_ascii_lowercase();
        let mut operation = OperationBuilder::new()
            .tag(self.tag)
            .summary(Some(self.summary))
            .description(Some(self.told().trim()))
            .operation_id(Some(format!("{method}_{}", id.join("_").replace("api_v1_", ""))));
        for name in self.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            operation = operation.parameter(self.path_parameter(name.trim_start_matches('*')));
        }
        for parameter in &self.parameters {
            operation = operation.parameter(parameter.clone());
        }
        let mut fails = self.fails.clone();
        if self.takes_no_query() || self.takes_no_tag() {
            fails.insert(400);
        }
        if self.again != Again::Harmless {
            operation = operation.parameter(header(
                KEY.as_str(),
                "A request that carries a key is done once: sent again with the same body, it is given the same answer, also after a \
                 restart. With another body it is refused (422). A key stands for its request for 24 hours; then it is new again.",
            ));
            fails.extend([400, 409, 413, 422]);
        }
        if let Some(schema) = &self.body {
            let body = RequestBodyBuilder::new().required(Some(Required::True));
            let content = Content::new(Some(schema.clone()));
            operation = operation.request_body(Some(body.content("application/json", content).build()));
        }
        let (form, schema) = &self.answer;
        let mut done = ResponseBuilder::new().description("done").content(*form, Content::new(schema.clone()));
        if self.tagged {
            let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build();
            done = done.header("ETag", Header::new(Schema::Object(text)));
        }
        operation = operation.response("200", done.build());
        for status in &fails {
            operation = operation.response(status.to_string(), problem(*status));
        }
        if self.needs != Needs::Nobody {
            operation = operation.security(SecurityRequirement::new::<_, [&str; 0], &str>("bearer", []));
            if self.method == Method::GET {
                operation = operation.security(SecurityRequirement::new::<_, [&str; 0], &str>("session", []));
            }
        }
        operation.build()
    }

    /// What it does, whether a list is all there is, and who may use it.
    fn told(&self) -> String {
        let one_page = self.whole.map(|because| format!(" There is one page: {because}.")).unwrap_or_default();
        format!("{}{one_page}\n\n{} {}", self.description, self.needs.sentence(), self.of.sentence())
    }

    fn path_parameter(&self, name: &str) -> Parameter {
        let mut text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).min_length(Some(1));
        let mut says = match name {
            "digest" => "a SHA-256 digest, 64 hexadecimal digits",
            "path" => "level and number, as C2SP tlog-tiles writes them",
            _ => "which one",
        };
        if let Some(words) = self.words.get(name) {
            text = text.enum_values(Some(words.iter().copied()));
            says = "what is to be done";
        }
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(says))
            .schema(Some(Schema::Object(text.build())))
            .build()
    }
}

/// A header that may be sent.
fn header(name: &str, says: &str) -> Parameter {
    let text =
        ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).min_length(Some(1)).max_length(Some(255));
    let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).description(Some(says));
    header.schema(Some(Schema::Object(text.build()))).build()
}

/// What a status says, as every problem of it.
fn problem(status: u16) -> utoipa::openapi::Response {
    let says = match status {
        400 => "the request cannot be understood",
        401 => "no valid token or session",
        403 => "the role is missing, or policy or the state of things says no",
        404 => "there is no such thing",
        408 => "the body did not come in time, and nothing was done",
        409 => "it does not fit the state that things are in, or something changed meanwhile",
        412 => "what `If-Match` names is no longer what stands there",
        413 => "the body is too large",
        415 => "the body is not said to be JSON",
        422 => "the body is JSON, and not what is wanted",
        429 => "too much in a minute; `Retry-After` says when to come again",
        500 => "a fault of writ's own; its log says which",
        502 => "the world cannot be seen",
        _ => "not now: the answer took too long, or the journal takes nothing",
    };
    let schema = Ref::from_schema_name(Problem::name());
    ResponseBuilder::new().description(says).content(PROBLEM, Content::new(Some(schema))).build()
}

/// Documents of the layers below, as they are: what is in them is described where they are made.
macro_rules! documents {
    ($($(#[$says:meta])* $name:ident;)*) => {$(
        $(#[$says])*
        #[derive(Debug, serde::Serialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = Object)]
        pub(crate) struct $name(pub(crate) serde_json::Value);
    )*};
}
pub(crate) use documents;
