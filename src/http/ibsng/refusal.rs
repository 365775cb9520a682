//! What the service refuses, in the words of IBSng.

use super::fault::{Fault, texts};
use super::json;
use super::numbers;
use crate::domain::customer::{CustomerObstacle, NamedBy};
use crate::service::{CustomerError, Denial, ServiceError};

impl From<CustomerError> for Fault {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::Obstacle(obstacle) => obstacle.into(),
            CustomerError::Service(error) => error.into(),
        }
    }
}

impl From<CustomerObstacle> for Fault {
    fn from(obstacle: CustomerObstacle) -> Self {
        match obstacle {
            CustomerObstacle::Nobody(by, name) => match by {
                NamedBy::Number if name.trim().parse::<i64>().is_err() => texts::INVALID_USER_ID.of(&[&name]),
                NamedBy::Login => texts::NORMAL_USERNAME_DOESNT_EXISTS.of(&[&name]),
                NamedBy::Voip => texts::VOIP_USERNAME_DOESNT_EXISTS.of(&[&name]),
                NamedBy::Number | NamedBy::Serial | NamedBy::Phone | NamedBy::Address => {
                    texts::USERID_DOESNT_EXISTS.of(&[&name])
                }
            },
            CustomerObstacle::NoPlan(name) => texts::GROUP_NAME_INVALID.of(&[&name]),
            CustomerObstacle::NoAccount(name) => texts::ISP_NAME_INVALID.of(&[&name]),
            CustomerObstacle::LoginsTaken(logins) => texts::NORMAL_USERNAME_EXISTS.of(&[&logins.join(",")]),
            CustomerObstacle::IdentifierTaken(name) => texts::DUPLICATE_USERNAME.of(&[&name]),
            CustomerObstacle::BelowLimit { id, credit } => {
                let credit = json::text_of(&numbers::credit(credit));
                texts::CAN_NOT_NEGATE_CREDIT.of(&[&id.to_string(), &credit])
            }
            CustomerObstacle::TooLarge => texts::CREDIT_NOT_FLOAT.plain(),
            CustomerObstacle::PlanMissing(_) => texts::GROUP_NAME_INVALID.of(&[""]),
            CustomerObstacle::Online(id) => texts::DELETE_USER_IS_ONLINE.of(&[&id.to_string()]),
            CustomerObstacle::NoRule(id) => texts::INVALID_CHARGE_RULE_ID.of(&[&id.to_string()]),
        }
    }
}

impl From<ServiceError> for Fault {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound { what: "plan", name } => texts::GROUP_NAME_INVALID.of(&[&name]),
            ServiceError::NotFound { what: "account", name } => texts::ISP_NAME_INVALID.of(&[&name]),
            ServiceError::NotFound { what: "NAS", name } => texts::INVALID_RAS_IP.of(&[&name]),
            ServiceError::NotFound { name, .. } => texts::NORMAL_USERNAME_DOESNT_EXISTS.of(&[&name]),
            ServiceError::Conflict { .. } | ServiceError::Exists { .. } => {
                texts::INVALID_STRING_VALUE.of(&["value"])
            }
            ServiceError::Invalid { field, reason } => match field {
                "login" => texts::BAD_NORMAL_USERNAME.of(&[""]),
                "password" => texts::BAD_PASSWORD.plain(),
                "credit" => texts::CREDIT_MUST_BE_POSITIVE.plain(),
                "hours" => texts::INVALID_INT_VALUE.of(&["temporary_extend_hours"]),
                // Here the reason is the name itself.
                "field" => texts::ATTR_NOT_FOUND.of(&[&reason]),
                // The reason names the attribute.
                "attribute" => texts::INVALID_RADIUS_ATTRIBUTE.of(&[&reason]),
                field => texts::INVALID_STRING_VALUE.of(&[field]),
            },
            ServiceError::Denied(Denial::Read | Denial::Write | Denial::Secrets) => {
                texts::DONT_HAVE_PERMISSION.plain()
            }
            ServiceError::Denied(Denial::Disabled) => texts::ADMIN_LOCKED.plain(),
            ServiceError::Denied(Denial::Credential) => texts::ACCESS_DENIED.plain(),
            ServiceError::Unavailable { reason } => {
                tracing::error!(reason, "IBSng: a request was not served");
                texts::INTERNAL_ERROR.plain()
            }
        }
    }
}
