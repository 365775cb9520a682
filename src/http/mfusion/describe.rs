//! The part of the description that is the same for every endpoint: that business failures are 200 as
//! well, or have a status of their own where `http_errors = "rest"` asks for it.

use utoipa::PartialSchema as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

use super::failure::FailureBody;

/// Statuses of business failures under `http_errors = "rest"`.
const REST: [(&str, &str); 4] = [
    ("403", "The key does not have the right"),
    ("404", "There is no such thing"),
    ("409", "There is one already"),
    ("422", "A value cannot be"),
];
const FAILURE: &str = "FailureBody";

/// Completes what the handlers say of themselves.
pub(super) fn complete(description: &mut OpenApi, rest: bool) {
    let schemas = &mut description.components.get_or_insert_default().schemas;
    schemas.insert(FAILURE.to_owned(), FailureBody::schema());
    for item in description.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            if rest { with_statuses(operation) } else { with_failures(operation) }
        }
    }
}

/// 200 is what was asked for, or a failure.
fn with_failures(operation: &mut Operation) {
    let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200") else { return };
    let contents = answer.content.values_mut();
    for content in
        contents.filter_map(|content| if let RefOr::T(content) = content { Some(content) } else { None })
    {
        if let Some(schema) = content.schema.take() {
            let either = AnyOfBuilder::new().item(schema).item(Ref::from_schema_name(FAILURE));
            content.schema = Some(either.into());
        }
    }
}

fn with_statuses(operation: &mut Operation) {
    for (status, why) in REST {
        let failure = ContentBuilder::new().schema(Some(Ref::from_schema_name(FAILURE))).build();
        let response = ResponseBuilder::new().description(why).content("application/json", failure);
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.build().into());
    }
}
