//! Groups: E5, E29.

use super::answer::{Fail, Outcome, data};
use super::call::Call;
use super::translate::group;

/// E5: all groups, or one.
pub(super) async fn get_group_details(call: &Call<'_>) -> Outcome {
    let wanted = call.number("groupId", 0)?;
    let mut found = call.operator.group_figures().await?;
    if let Some(id) = wanted {
        found.retain(|figures| figures.head.id == id);
        if found.is_empty() {
            return Err(Fail::not_found("Group"));
        }
    }
    data(&found.iter().map(|figures| group(figures, true)).collect::<Vec<_>>())
}

/// E29: the groups that a user may be moved to.
pub(super) async fn get_allowed_groups(call: &Call<'_>) -> Outcome {
    let found = call.operator.allowed_groups(call.needed_number("userId", 0)?).await?;
    data(&found.iter().map(|figures| group(figures, false)).collect::<Vec<_>>())
}
