//! Lists in a body where an object is wanted. A reader takes a list as the fields of an object in order, which nobody who sends one can
//! have read anywhere; the schema that the OpenAPI document has of the body tells the two apart.

use super::body::{FOUND_MAX, below};
use super::route::Schemas;
use serde_json::Value;
use std::slice;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

/// Pointers to lists that have to be objects.
pub(super) fn lists<T: ToSchema>(body: &Value) -> Vec<String> {
    let mut named = Vec::new();
    T::schemas(&mut named);
    let named = named.into_iter().collect();
    let mut found = Vec::new();
    look(&T::schema(), body, "", &named, &mut found);
    found
}

fn look(schema: &RefOr<Schema>, value: &Value, at: &str, named: &Schemas, found: &mut Vec<String>) {
    let schema = match schema {
        RefOr::T(schema) => schema,
        RefOr::Ref(to) => {
            let known = to.ref_location.rsplit_once('/').and_then(|(_, name)| named.get(name));
            return known.into_iter().for_each(|schema| look(schema, value, at, named, found));
        }
    };
    if found.len() >= FOUND_MAX {
        return;
    }
    match (schema, value) {
        (Schema::Object(object), Value::Array(_)) if is_object(object) => found.push(at.to_owned()),
        (Schema::Object(object), Value::Object(fields)) => {
            for (name, value) in fields {
                if let Some(schema) = field(object, name) {
                    look(schema, value, &below(at, name), named, found);
                }
            }
        }
        (Schema::Array(list), Value::Array(items)) => {
            if let ArrayItems::RefOrSchema(schema) = &list.items {
                let place = |index: usize| below(at, &index.to_string());
                items.iter().enumerate().for_each(|(index, item)| look(schema, item, &place(index), named, found));
            }
        }
        (Schema::AllOf(all), _) => all.items.iter().for_each(|schema| look(schema, value, at, named, found)),
        (Schema::OneOf(one), _) => found.extend(least(&one.items, value, at, named)),
        (Schema::AnyOf(any), _) => found.extend(least(&any.items, value, at, named)),
        _ => {}
    }
}

/// What is found when a value is taken for what it fits best; that it may also be nothing says nothing of a list.
fn least(choices: &[RefOr<Schema>], value: &Value, at: &str, named: &Schemas) -> Vec<String> {
    let is_null = |schema: &&RefOr<Schema>| matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null));
    let of = |schema: &RefOr<Schema>| {
        let mut found = Vec::new();
        look(schema, value, at, named, &mut found);
        found
    };
    choices.iter().filter(|schema| !is_null(schema)).map(of).min_by_key(Vec::len).unwrap_or_default()
}

/// Whether it is an object, or nothing.
fn is_object(object: &Object) -> bool {
    let types = match &object.schema_type {
        SchemaType::Type(one) => slice::from_ref(one),
        SchemaType::Array(several) => several,
        SchemaType::AnyValue => &[],
    };
    types.contains(&Type::Object) && !types.contains(&Type::Array)
}

/// What a field of an object is.
fn field<'a>(object: &'a Object, name: &str) -> Option<&'a RefOr<Schema>> {
    object.properties.get(name).or(match object.additional_properties.as_deref() {
        Some(AdditionalProperties::RefOr(schema)) => Some(schema),
        Some(AdditionalProperties::FreeForm(_)) | None => None,
    })
}
