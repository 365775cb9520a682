//! Users and their profiles (mfusion.md §7).
#![expect(unused_qualifications, reason = "utoipa writes the paths of parameters out")]

use std::collections::HashSet;

use axum::Json;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::extract::text;
use super::wire::{Done, List, date_time};
use super::{Caller, Failure, Fields, Query, Refusals, Segment};
use crate::domain::report::Pattern;
use crate::domain::{ContactField, Kind, PeopleFilter, Person, StoredProof, SubscriberId, Who};
use crate::service::{Proof, ServiceError, SubscriberChange, SubscriberOrder};

/// Filters of users.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by utoipa alone")]
pub(super) struct UserParams {
    /// Number of a user.
    id: Option<String>,
    /// User name, whatever its case; `*` at its end or beginning stands for anything.
    username: Option<String>,
    /// From 1.
    page: Option<String>,
    /// 1 to 2000; 100 without.
    #[param(rename = "perPage")]
    per_page: Option<String>,
}

/// A user in a list.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct UserRow {
    id: i64,
    username: String,
    /// `Username-Password`, or `Auth-Type` where the name is enough.
    usertype: &'static str,
    /// Its profiles, joined by a comma and a blank.
    profile: Option<String>,
    firstname: Option<String>,
    lastname: Option<String>,
    email: Option<String>,
    mobile: Option<String>,
    gender: Option<String>,
    disabled: bool,
}

impl From<Person> for UserRow {
    fn from(person: Person) -> Self {
        Self {
            id: person.id.0,
            usertype: usertype(&person),
            profile: profiles(&person),
            firstname: contact(&person, ContactField::First),
            lastname: contact(&person, ContactField::Last),
            email: contact(&person, ContactField::Email),
            mobile: contact(&person, ContactField::Mobile),
            gender: contact(&person, ContactField::Gender),
            disabled: person.is_disabled(),
            username: person.login.into(),
        }
    }
}

/// The users.
#[utoipa::path(
    get,
    path = "/users",
    operation_id = "users",
    tag = "mFusion",
    params(UserParams),
    responses((status = 200, description = "A page of users, the newest first", body = List<UserRow>), Refusals),
    security(("token" = []))
)]
pub(super) async fn list(Caller(operator): Caller, query: Query) -> Result<Json<List<UserRow>>, Failure> {
    let paging = query.paging();
    let filter = PeopleFilter {
        // What is no number is nobody's.
        id: query.text("id").map(|id| number(id).map_or(-1, |id| id.0)),
        login: query.text("username").and_then(Pattern::parse),
        ..PeopleFilter::default()
    };
    let page = operator.people(&filter, paging).await?;
    Ok(Json(List::new(paging, page.map(UserRow::from))))
}

/// A user.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct User {
    id: i64,
    username: String,
    firstname: Option<String>,
    lastname: Option<String>,
    email: Option<String>,
    mobile: Option<String>,
    gender: Option<String>,
    createddate: String,
    createdby: String,
    updateddate: String,
    updatedby: String,
    /// `Username-Password`, or `Auth-Type` where the name is enough.
    usertype: &'static str,
    /// Its profiles, joined by a comma and a blank.
    profile: Option<String>,
    /// The first character, then asterisks; empty where there is none.
    password: String,
    disabled: bool,
}

impl User {
    fn of(person: Person, zone: &TimeZone) -> Self {
        Self {
            id: person.id.0,
            firstname: contact(&person, ContactField::First),
            lastname: contact(&person, ContactField::Last),
            email: contact(&person, ContactField::Email),
            mobile: contact(&person, ContactField::Mobile),
            gender: contact(&person, ContactField::Gender),
            createddate: date_time(person.created, zone),
            updateddate: date_time(person.updated, zone),
            usertype: usertype(&person),
            profile: profiles(&person),
            password: password(person.proof),
            disabled: person.is_disabled(),
            username: person.login.into(),
            createdby: person.created_by.into(),
            updatedby: person.updated_by.into(),
        }
    }
}

/// A user.
#[utoipa::path(
    get,
    path = "/users/{userId}",
    operation_id = "user",
    tag = "mFusion",
    params(("userId" = String, Path, description = "Number of the user")),
    responses((status = 200, description = "The user, or why not", body = Done<Vec<User>>), Refusals),
    security(("token" = []))
)]
pub(super) async fn show(
    Caller(operator): Caller,
    Segment(id): Segment,
) -> Result<Json<Done<Vec<User>>>, Failure> {
    let person = operator.person(who(&id)?, false).await?;
    let user = User::of(person, operator.zone());
    Ok(Json(Done::new("User details retrieved successfully.", vec![user])))
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "read by utoipa alone: `Fields` is more tolerant")]
pub(super) struct NewUser {
    /// 1 to 64 characters; of a `mac` user its MAC address.
    #[schema(min_length = 1, max_length = 64)]
    username: String,
    /// Needed by a `user`; others have none.
    password: Option<String>,
    usertype: UserType,
    #[serde(flatten)]
    rest: UserFields,
}

/// How a user logs in.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum UserType {
    /// By name and password.
    User,
    /// By the address of the device.
    Mac,
    /// By a number.
    Pin,
}

/// What shall be different about a user. What is left out stays; an empty text clears a field.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "read by utoipa alone: `Fields` is more tolerant")]
pub(super) struct UserChange {
    /// Another user name. Open sessions stay the user's.
    #[schema(min_length = 1, max_length = 64)]
    username: Option<String>,
    /// Another password.
    password: Option<String>,
    usertype: Option<UserType>,
    #[serde(flatten)]
    rest: UserFields,
}

/// What is known of a user beside.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "read by utoipa alone: `Fields` is more tolerant")]
pub(super) struct UserFields {
    firstname: Option<String>,
    lastname: Option<String>,
    email: Option<String>,
    mobile: Option<String>,
    gender: Option<String>,
    race: Option<String>,
    religion: Option<String>,
    nationality: Option<String>,
    profession: Option<String>,
    interests: Option<String>,
    marital_status: Option<String>,
    /// `YYYY-MM-DD`
    birthdate: Option<String>,
    locale: Option<String>,
    passport_nric_no: Option<String>,
    company: Option<String>,
    address: Option<String>,
    country: Option<String>,
    zip: Option<String>,
    /// May not log in; open sessions are disconnected.
    disabled: Option<bool>,
    /// One profile, or several with commas between them.
    profiles: Option<String>,
}

/// The fields of a contact that this dialect knows, by their names here.
const CONTACT: [(&str, ContactField); 18] = [
    ("firstname", ContactField::First),
    ("lastname", ContactField::Last),
    ("email", ContactField::Email),
    ("mobile", ContactField::Mobile),
    ("gender", ContactField::Gender),
    ("race", ContactField::Race),
    ("religion", ContactField::Religion),
    ("nationality", ContactField::Nationality),
    ("profession", ContactField::Profession),
    ("interests", ContactField::Interests),
    ("marital_status", ContactField::MaritalStatus),
    ("birthdate", ContactField::Birthdate),
    ("locale", ContactField::Locale),
    ("passport_nric_no", ContactField::DocumentId),
    ("company", ContactField::Company),
    ("address", ContactField::Address1),
    ("country", ContactField::Country),
    ("zip", ContactField::Zip),
];

/// A user just made. Its number is text.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Created {
    id: String,
    username: String,
    createdby: String,
    createddate: String,
    updatedby: String,
    updateddate: String,
}

/// Makes a user.
#[utoipa::path(
    post,
    path = "/users",
    operation_id = "createUser",
    tag = "mFusion",
    request_body = NewUser,
    responses((status = 200, description = "The user, or why not", body = Done<Created>), Refusals),
    security(("token" = []))
)]
pub(super) async fn create(Caller(operator): Caller, fields: Fields) -> Result<Json<Done<Created>>, Failure> {
    let order = order(&fields)?;
    let made = operator.create_people(std::slice::from_ref(&order)).await.map_err(named)?;
    let person = made.into_iter().next().ok_or_else(|| Failure::not_found("User not found."))?;
    let zone = operator.zone();
    let created = Created {
        id: person.id.0.to_string(),
        createddate: date_time(person.created, zone),
        updateddate: date_time(person.updated, zone),
        username: person.login.into(),
        createdby: person.created_by.into(),
        updatedby: person.updated_by.into(),
    };
    Ok(Json(Done::new("User created successfully.", created)))
}

pub(super) fn order(fields: &Fields) -> Result<SubscriberOrder, Failure> {
    let login = fields.required("username")?;
    let kind = kind(&fields.required("usertype")?)?;
    let proof = match kind {
        Kind::Mac => Proof::Mac,
        Kind::Pin => Proof::Pin,
        _ => Proof::Password(fields.required("password")?),
    };
    let mut groups = profile_names(fields)?.unwrap_or_default();
    let plan = (!groups.is_empty()).then(|| groups.remove(0));
    Ok(SubscriberOrder {
        login,
        proof,
        kind: Some(kind),
        plan,
        groups,
        contact: contacts(fields)?.into_iter().map(|(field, value)| (field, value.into())).collect(),
        disabled: fields.flag("disabled")?.unwrap_or_default(),
        ..SubscriberOrder::default()
    })
}

/// Changes a user.
#[utoipa::path(
    post,
    path = "/users/{userId}",
    operation_id = "updateUser",
    tag = "mFusion",
    params(("userId" = String, Path, description = "Number of the user")),
    request_body = UserChange,
    responses((status = 200, description = "The user as it is now, or why not", body = Done<Vec<User>>), Refusals),
    security(("token" = []))
)]
pub(super) async fn update(
    Caller(operator): Caller,
    Segment(id): Segment,
    fields: Fields,
) -> Result<Json<Done<Vec<User>>>, Failure> {
    let who = who(&id)?;
    let person = operator.update_person(who, &change(&fields)?).await.map_err(named)?;
    Ok(Json(Done::new("User successfully updated.", vec![User::of(person, operator.zone())])))
}

pub(super) fn change(fields: &Fields) -> Result<SubscriberChange, Failure> {
    let given = |name: &str| match fields.text(name)? {
        Some(text) if text.is_empty() => Err(Failure::required(name)),
        text => Ok(text),
    };
    Ok(SubscriberChange {
        login: given("username")?,
        password: given("password")?.map(Proof::Password),
        kind: given("usertype")?.map(|word| kind(&word)).transpose()?,
        groups: profile_names(fields)?,
        disabled: fields.flag("disabled")?,
        contact: contacts(fields)?,
        ..SubscriberChange::default()
    })
}

/// A user that is gone.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Deleted {
    id: i64,
    username: String,
}

/// Removes a user. Its sessions end, what they used stays on record.
#[utoipa::path(
    delete,
    path = "/users/{userId}",
    operation_id = "deleteUser",
    tag = "mFusion",
    params(("userId" = String, Path, description = "Number of the user")),
    responses((status = 200, description = "The user that was, or why not", body = Done<Deleted>), Refusals),
    security(("token" = []))
)]
pub(super) async fn delete(
    Caller(operator): Caller,
    Segment(id): Segment,
) -> Result<Json<Done<Deleted>>, Failure> {
    let (SubscriberId(id), username) = operator.delete_person(who(&id)?).await?;
    let message = format!("User '{username}' (ID: {id}) successfully deleted.");
    Ok(Json(Done::new(message, Deleted { id, username })))
}

/// A profile to be attached or detached.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "read by utoipa alone")]
pub(super) struct ProfileName {
    #[serde(rename = "profileName")]
    #[schema(min_length = 1)]
    profile_name: String,
}

/// A profile that was attached.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Attached {
    username: String,
    attached: String,
    /// All of its profiles, joined by a comma and a blank.
    profile: Option<String>,
}

/// Attaches a profile to a user.
#[utoipa::path(
    post,
    path = "/users/{userId}/actions/attach-profile",
    operation_id = "attachProfile",
    tag = "mFusion",
    params(("userId" = String, Path, description = "Number of the user")),
    request_body = ProfileName,
    responses((status = 200, description = "The user's profiles, or why not", body = Done<Attached>), Refusals),
    security(("token" = []))
)]
pub(super) async fn attach(
    Caller(operator): Caller,
    Segment(id): Segment,
    fields: Fields,
) -> Result<Json<Done<Attached>>, Failure> {
    let attached = fields.required("profileName")?;
    let (person, news) = operator.attach_group(who(&id)?, &attached).await?;
    let (profile, username) = (profiles(&person), String::from(person.login));
    if !news {
        let text = format!("User '{username}' is already attached to profile: '{attached}'.");
        return Err(Failure::conflict(text));
    }
    let message = format!("Profile '{attached}' successfully attached to user '{username}'.");
    Ok(Json(Done::new(message, Attached { username, attached, profile })))
}

/// A profile that was detached, or nothing where it was not attached.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Detached {
    /// It was.
    Profile {
        username: String,
        detached: String,
        /// Those that are left, joined by a comma and a blank.
        profile: Option<String>,
    },
    /// It was not.
    Nothing(Vec<bool>),
}

/// Detaches a profile from a user.
#[utoipa::path(
    post,
    path = "/users/{userId}/actions/detach-profile",
    operation_id = "detachProfile",
    tag = "mFusion",
    params(("userId" = String, Path, description = "Number of the user")),
    request_body = ProfileName,
    responses((status = 200, description = "The user's profiles, or why not", body = Done<Detached>), Refusals),
    security(("token" = []))
)]
pub(super) async fn detach(
    Caller(operator): Caller,
    Segment(id): Segment,
    fields: Fields,
) -> Result<Json<Done<Detached>>, Failure> {
    let detached = fields.required("profileName")?;
    let (person, news) = operator.detach_group(who(&id)?, &detached).await.map_err(|error| match error {
        // The group of those who are disabled is nobody's profile.
        ServiceError::NotFound { what: "plan", name } => {
            Failure::not_found(format!("Profile '{name}' not found."))
        }
        other => other.into(),
    })?;
    let (profile, username) = (profiles(&person), String::from(person.login));
    Ok(Json(if news {
        let message = format!("Profile '{detached}' successfully detached from user '{username}'.");
        Done::new(message, Detached::Profile { username, detached, profile })
    } else {
        let message =
            format!("User '{username}' was not attached to profile '{detached}'. No action needed.");
        Done::new(message, Detached::Nothing(Vec::new()))
    }))
}

/// A number as a path has it. One that no user can have is nobody's.
pub(super) fn number(text: &str) -> Option<SubscriberId> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| text.parse().ok().map(SubscriberId)).flatten()
}

fn who(id: &str) -> Result<Who<'static>, Failure> {
    let number = number(id).ok_or_else(|| Failure::not_found(format!("User with ID: {id} not found.")))?;
    Ok(Who::Number(number))
}

fn kind(word: &str) -> Result<Kind, Failure> {
    match word {
        "user" => Ok(Kind::User),
        "mac" => Ok(Kind::Mac),
        "pin" => Ok(Kind::Pin),
        _ => Err(Failure::invalid("Invalid usertype.")),
    }
}

/// The names in `profiles`: one, several with commas, or an array. `None` is absent.
fn profile_names(fields: &Fields) -> Result<Option<Vec<String>>, Failure> {
    let texts = match fields.get("profiles") {
        Some(Value::Array(items)) => {
            items.iter().map(|item| text("profiles", item)).collect::<Result<Vec<_>, _>>()?
        }
        _ => match fields.clearable("profiles")? {
            Some(text) => vec![text],
            None => return Ok(None),
        },
    };
    let mut once = HashSet::new();
    let names = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    Ok(Some(names.filter(|name| !name.is_empty() && once.insert(*name)).map(str::to_owned).collect()))
}

fn contacts(fields: &Fields) -> Result<Vec<(ContactField, String)>, Failure> {
    let mut contacts = Vec::new();
    for (name, field) in CONTACT {
        if let Some(value) = fields.clearable(name)? {
            contacts.push((field, value));
        }
    }
    Ok(contacts)
}

/// A mistake of the caller's, the field by its name here.
fn named(error: ServiceError) -> Failure {
    match error {
        ServiceError::Invalid { field: "password", reason } if reason == "is required" => {
            Failure::required("password")
        }
        ServiceError::Invalid { field, reason } => {
            match CONTACT.iter().find(|(_, known)| known.column() == field) {
                Some((name, _)) => Failure::invalid(format!("The {name} field {reason}.")),
                None => ServiceError::Invalid { field, reason }.into(),
            }
        }
        other => other.into(),
    }
}

fn contact(person: &Person, field: ContactField) -> Option<String> {
    person.contact.get(field).map(str::to_owned)
}

fn profiles(person: &Person) -> Option<String> {
    let names: Vec<&str> = person.groups.iter().map(|group| group.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

const fn usertype(person: &Person) -> &'static str {
    match person.proof {
        StoredProof::Password { .. } => "Username-Password",
        StoredProof::Login => "Auth-Type",
    }
}

fn password(proof: StoredProof) -> String {
    match proof {
        StoredProof::Password { initial: Some(initial) } => format!("{initial}*******"),
        StoredProof::Password { initial: None } => "********".to_owned(),
        StoredProof::Login => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits() {
        assert_eq!(number("1890"), Some(SubscriberId(1890)));
        assert_eq!(number("-1"), Some(SubscriberId(-1)));
        for wrong in ["", "-", "+1", "1.0", "abc", "1 ", "99999999999999999999"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_password_shows_its_first_character() {
        assert_eq!(password(StoredProof::Password { initial: Some('S') }), "S*******");
        assert_eq!(password(StoredProof::Login), "");
    }
}
