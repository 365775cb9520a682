//! What the calls are told and tell, for `/openapi.json`: drawn from the table of calls.

use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response,
    ResponseBuilder, ResponsesBuilder,
};
use utoipa::{PartialSchema as _, ToSchema};

use super::answer::Failure;
use super::{Route, Verb, tier2};

/// Something that a call is told.
#[derive(Clone, Copy)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

/// What it is like.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Digits.
    Number,
    /// Any text.
    Text,
    /// `yyyy-mm-dd` or `dd-mm-yyyy`.
    Day,
    /// Digits, perhaps with a point.
    Money,
    /// One of some words, in whatever case.
    Word(&'static [&'static str]),
    /// A list of numbers.
    Numbers,
    /// A list of records with these members.
    Records(&'static [&'static str]),
}

/// It has to be there.
pub(super) const fn must(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: true }
}

/// It need not be there.
pub(super) const fn may(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: false }
}

pub(super) const YES: Kind = Kind::Word(&["yes", "no"]);
pub(super) const ON: Kind = Kind::Word(&["on", "off"]);

/// What is said of a user, new or not.
pub(super) const USER: &[Param] = &[
    may("userId", Kind::Number),
    may("userGroupId", Kind::Number),
    may("userName", Kind::Text),
    may("password", Kind::Text),
    may("userState", Kind::Word(&tier2::STATES)),
    may("activationDate", Kind::Word(&["now", "custom"])),
    may("customActivationDate", Kind::Day),
    may("expirationDate", Kind::Word(&["never", "custom"])),
    may("customExpirationDate", Kind::Day),
    may("comments", Kind::Text),
    may("type", Kind::Text),
    may("latitude", Kind::Text),
    may("longitude", Kind::Text),
    may("areaId", Kind::Number),
    may("streetId", Kind::Number),
    may("blockId", Kind::Number),
    may("firstName", Kind::Text),
    may("lastName", Kind::Text),
    may("phoneNumber", Kind::Text),
    may("altPhoneNumber", Kind::Text),
    may("emailId", Kind::Text),
    may("altEmailId", Kind::Text),
    may("address_line1", Kind::Text),
    may("address_line2", Kind::Text),
    may("address_city", Kind::Text),
    may("address_pin", Kind::Text),
    may("address_state", Kind::Text),
    may("address_country", Kind::Text),
    may("companyName", Kind::Text),
];

/// Named shapes that others refer to.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;
/// A shape.
pub(super) type Shape = RefOr<Schema>;

/// The payload is in `data`.
pub(super) fn data<T: ToSchema>(schemas: &mut Schemas) -> Shape {
    envelope(Some(("data", bare::<T>(schemas))))
}

/// The payload is in `message`.
pub(super) fn message<T: ToSchema>(schemas: &mut Schemas) -> Shape {
    envelope(Some(("message", bare::<T>(schemas))))
}

/// There is no payload.
pub(super) fn nothing(_: &mut Schemas) -> Shape {
    envelope(None)
}

/// There is no envelope.
pub(super) fn bare<T: ToSchema>(schemas: &mut Schemas) -> Shape {
    T::schemas(schemas);
    T::schema()
}

fn envelope(payload: Option<(&str, Shape)>) -> Shape {
    let status = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["success"]));
    let code = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([200]));
    let mut envelope = ObjectBuilder::new()
        .property("status", status)
        .required("status")
        .property("errorCode", code)
        .required("errorCode");
    if let Some((name, shape)) = payload {
        envelope = envelope.property(name, shape).required(name);
    }
    envelope.into()
}

/// The document of some calls; `rest` as in `[jaze] http_errors = "rest"`.
pub(super) fn document(routes: &[Route], rest: bool) -> OpenApi {
    let mut schemas = Schemas::new();
    let mut paths = Paths::new();
    Failure::schemas(&mut schemas);
    schemas.push((Failure::name().into_owned(), Failure::schema()));
    for route in routes {
        let success = (route.success)(&mut schemas);
        let least = route.params.iter().filter(|param| param.required).count().min(route.segments());
        // A path for each number of segments that there may be.
        for segments in least..=route.segments() {
            let (told, _) = route.params.split_at(segments);
            let path = told
                .iter()
                .fold(format!("/{}", route.name), |path, param| format!("{path}/{{{}}}", param.name));
            let method = match route.verb {
                Verb::Get => HttpMethod::Get,
                Verb::Post => HttpMethod::Post,
            };
            let operation = operation(route, told, &success, rest);
            paths.add_path_operation(path, vec![method], operation);
        }
    }
    let components = ComponentsBuilder::new().schemas_from_iter(schemas).build();
    OpenApiBuilder::new().paths(paths).components(Some(components)).build()
}

fn operation(route: &Route, segments: &[Param], success: &Shape, rest: bool) -> OperationBuilder {
    let name = match route.verb {
        Verb::Get => format!("jaze.{}.{}", route.name, segments.len()),
        Verb::Post => format!("jaze.{}", route.name),
    };
    let failure = || RefOr::from(Ref::from_schema_name(Failure::name()));
    let of = |why: &str, shape: Shape| -> Response {
        let content = ContentBuilder::new().schema(Some(shape)).build();
        ResponseBuilder::new().description(why).content("application/json", content).build()
    };
    let shape =
        if rest { success.clone() } else { AnyOfBuilder::new().item(success.clone()).item(failure()).into() };
    let mut responses = ResponsesBuilder::new().response("200", of(route.about, shape));
    let rest = REST.iter().filter(|_| rest);
    for (status, why) in STATUSES.iter().chain(rest) {
        responses = responses.response(*status, of(why, failure()));
    }
    let mut operation = OperationBuilder::new()
        .operation_id(Some(name))
        .tag("Jaze")
        .summary(Some(route.about))
        .security(SecurityRequirement::new("key", [""; 0]))
        .responses(responses.build());
    for param in segments {
        let parameter = ParameterBuilder::new()
            .name(param.name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(param.kind.shape()));
        operation = operation.parameter(parameter);
    }
    if route.verb == Verb::Post {
        let mut members = ObjectBuilder::new();
        let account = may("accountId", Kind::Text);
        let account = (!route.params.iter().any(|param| param.name == account.name)).then_some(&account);
        for param in route.params.iter().chain(account) {
            members = members.property(param.name, param.kind.shape());
            if param.required {
                members = members.required(param.name);
            }
        }
        let members: Shape = members.into();
        let mut body = RequestBodyBuilder::new();
        for kind in ["application/x-www-form-urlencoded", "multipart/form-data", "application/json"] {
            body = body.content(kind, ContentBuilder::new().schema(Some(members.clone())).build());
        }
        operation = operation.request_body(Some(body.build()));
    }
    operation
}

impl Kind {
    fn shape(self) -> Shape {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        match self {
            Self::Number => text().pattern(Some("^[0-9]+$")).into(),
            Self::Text | Self::Money => text().into(),
            Self::Day => text().description(Some("yyyy-mm-dd or dd-mm-yyyy, perhaps with HH:MM[:SS]")).into(),
            Self::Word(words) => text().enum_values(Some(words.iter().copied())).into(),
            Self::Numbers => ArrayBuilder::new().items(Self::Number.shape()).into(),
            Self::Records(members) => {
                let record = members
                    .iter()
                    .fold(ObjectBuilder::new(), |record, name| record.property(*name, Self::Text.shape()));
                ArrayBuilder::new().items(RefOr::from(record)).into()
            }
        }
    }
}

/// What concerns HTTP itself.
const STATUSES: [(&str, &str); 6] = [
    ("401", "The credentials are wrong"),
    ("404", "There is no such endpoint"),
    ("405", "It takes the other method"),
    ("408", "The request took too long"),
    ("413", "The body is too large"),
    ("429", "Too many failed attempts"),
];

/// Statuses besides, where they say what `errorCode` says.
const REST: [(&str, &str); 5] = [
    ("400", "A parameter is missing or cannot be read"),
    ("403", "The key does not permit this"),
    ("409", "Something stands in the way"),
    ("422", "A word is not in its list"),
    ("502", "No NAS acknowledged"),
];

#[cfg(test)]
mod tests {
    use super::super::ROUTES;
    use super::*;

    #[test]
    fn every_call_is_described_once_for_each_number_of_segments() {
        let document = document(ROUTES, false);
        let paths = &document.paths.paths;
        for route in ROUTES {
            let own = |path: &&String| path.split('/').nth(1) == Some(route.name);
            let optional = route.params.iter().filter(|param| !param.required).count();
            let wanted = if route.verb == Verb::Get { 1 + optional } else { 1 };
            assert_eq!(paths.keys().filter(own).count(), wanted, "{}", route.name);
        }
        assert!(paths.contains_key("/get_users_by_date/{FromDate}/{toDate}/{basedOn}"));
    }

    #[test]
    fn what_is_read_of_a_user_is_described() {
        for (name, _) in tier2::CONTACT {
            assert!(USER.iter().any(|param| param.name == name), "{name}");
        }
    }

    #[test]
    fn what_has_to_be_there_comes_first_in_a_path() {
        for route in ROUTES.iter().filter(|route| route.verb == Verb::Get) {
            assert!(route.params.is_sorted_by_key(|param| !param.required), "{}", route.name);
        }
    }
}
