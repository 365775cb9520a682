//! Profiles and who has them (mfusion.md §8).
#![expect(unused_qualifications, reason = "utoipa writes the paths of parameters out")]

use axum::Json;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::wire::List;
use super::{Caller, Failure, Query, Refusals, Segment};
use crate::domain::{self, Member};

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by utoipa alone")]
pub(super) struct PagingParams {
    /// From 1.
    page: Option<String>,
    /// 1 to 2000; 100 without.
    #[param(rename = "perPage")]
    per_page: Option<String>,
}

/// A profile.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Profile {
    groupname: String,
    /// The name where nobody has said anything.
    description: String,
}

impl From<domain::Profile> for Profile {
    fn from(profile: domain::Profile) -> Self {
        let description = if profile.description.is_empty() { &profile.name } else { &profile.description };
        Self { description: description.to_string(), groupname: profile.name.into() }
    }
}

/// The profiles.
#[utoipa::path(
    get,
    path = "/profiles",
    operation_id = "profiles",
    tag = "mFusion",
    params(PagingParams),
    responses((status = 200, description = "A page of profiles by name", body = List<Profile>), Refusals),
    security(("token" = []))
)]
pub(super) async fn list(Caller(operator): Caller, query: Query) -> Result<Json<List<Profile>>, Failure> {
    let paging = query.paging();
    let page = operator.groups(paging).await?;
    Ok(Json(List::new(paging, page.map(Profile::from))))
}

/// A user of a profile. Its number and the priority are text.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileUser {
    id: String,
    username: String,
    firstname: Option<String>,
    lastname: Option<String>,
    profile_name: String,
    priority: String,
}

impl ProfileUser {
    fn of(member: Member, profile: &str) -> Self {
        Self {
            id: member.id.0.to_string(),
            username: member.login.into(),
            firstname: member.first.map(Into::into),
            lastname: member.last.map(Into::into),
            profile_name: profile.to_owned(),
            priority: member.priority.to_string(),
        }
    }
}

/// The users of a profile.
#[utoipa::path(
    get,
    path = "/profiles/{profileName}/users",
    operation_id = "profileUsers",
    tag = "mFusion",
    params(("profileName" = String, Path, description = "Name of the profile"), PagingParams),
    responses((status = 200, description = "A page of users, the newest first", body = List<ProfileUser>), Refusals),
    security(("token" = []))
)]
pub(super) async fn users(
    Caller(operator): Caller,
    Segment(profile): Segment,
    query: Query,
) -> Result<Json<List<ProfileUser>>, Failure> {
    let paging = query.paging();
    let page = operator.group_members(&profile, paging).await?;
    Ok(Json(List::new(paging, page.map(|member| ProfileUser::of(member, &profile)))))
}
