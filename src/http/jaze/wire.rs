//! The shapes of the original, member for member and in its order.

use serde::Serialize;
use utoipa::ToSchema;

/// The long form of a user (E1, E3, E13).
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::User)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) username: String,
    pub(super) last_name: String,
    #[serde(rename = "groupId")]
    pub(super) group_id: String,
    pub(super) status: &'static str,
    pub(super) name: String,
    pub(super) phone: String,
    pub(super) email: String,
    pub(super) address: String,
    pub(super) address_line1: String,
    pub(super) address_line2: String,
    pub(super) address_city: String,
    pub(super) address_pin: String,
    pub(super) address_state: String,
    pub(super) comments: String,
    #[serde(rename = "activationTime")]
    pub(super) activation: String,
    #[serde(rename = "createdTime")]
    pub(super) created: String,
    #[serde(rename = "expirationTime")]
    pub(super) expiration: String,
    pub(super) timezone: String,
    pub(super) group_name: String,
    pub(super) billing_id: Option<String>,
    #[serde(rename = "type")]
    pub(super) label: String,
    pub(super) modified: String,
    pub(super) company_name: Option<String>,
    /// E13 alone has these, and they are empty: nobody is told the credentials of an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api_token: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api_key: Option<&'static str>,
}

/// The flat form of a user (E4, E8, E9).
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::FlatUser)]
pub(super) struct FlatUser {
    pub(super) id: String,
    pub(super) username: String,
    #[serde(rename = "groupId")]
    pub(super) group_id: String,
    pub(super) status: &'static str,
    pub(super) name: String,
    pub(super) phone: String,
    pub(super) email: String,
    pub(super) address_line1: String,
    pub(super) address_line2: String,
    pub(super) address_city: String,
    pub(super) address_pin: String,
    pub(super) address_state: String,
    pub(super) comments: String,
    #[serde(rename = "activationTime")]
    pub(super) activation: String,
    #[serde(rename = "createdTime")]
    pub(super) created: String,
    #[serde(rename = "expirationTime")]
    pub(super) expiration: String,
    pub(super) billing_id: Option<String>,
    #[serde(rename = "type")]
    pub(super) label: String,
    pub(super) modified: String,
    pub(super) company_name: Option<String>,
    #[serde(rename = "staticIp")]
    pub(super) static_ip: Vec<StaticIpMac>,
}

/// The basic form of a user (E41).
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::BasicUser)]
pub(super) struct BasicUser {
    pub(super) id: String,
    pub(super) username: String,
    pub(super) account_id: String,
    pub(super) last_name: String,
    #[serde(rename = "groupId")]
    pub(super) group_id: String,
    pub(super) status: &'static str,
    pub(super) name: String,
    pub(super) phone: String,
    pub(super) email: String,
    pub(super) address: String,
    pub(super) address_line1: String,
    pub(super) address_line2: String,
    pub(super) address_city: String,
    pub(super) address_pin: String,
    pub(super) address_state: String,
    pub(super) comments: String,
    #[serde(rename = "activationTime")]
    pub(super) activation: String,
    #[serde(rename = "createdTime")]
    pub(super) created: String,
    #[serde(rename = "expirationTime")]
    pub(super) expiration: String,
    #[serde(rename = "installationTime")]
    pub(super) installation: String,
    pub(super) billing_id: Option<String>,
    #[serde(rename = "type")]
    pub(super) label: String,
    pub(super) modified: String,
    pub(super) country_code: String,
    pub(super) alt_phone: String,
    pub(super) alt_email: String,
}

/// A row of `staticIpMac`.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = jaze::StaticIpMac)]
pub(super) struct StaticIpMac {
    #[serde(rename = "staticIpAddress")]
    pub(super) ip: String,
    #[serde(rename = "staticIpBoundMac")]
    pub(super) mac: Option<String>,
}

/// What was used in the present billing cycle. Octets are text but for the sums.
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::CycleUsage)]
pub(super) struct CycleUsage {
    #[serde(rename = "bandwidthTemplateId")]
    pub(super) template_id: String,
    #[serde(rename = "bandwidthTemplateName")]
    pub(super) template_name: String,
    #[serde(rename = "bandwidthTemplateMikrotik")]
    pub(super) template_mikrotik: String,
    #[serde(rename = "billingResetType")]
    pub(super) reset_type: String,
    #[serde(rename = "billingStartDate")]
    pub(super) start: String,
    #[serde(rename = "billingEndDate")]
    pub(super) end: String,
    #[serde(rename = "uploadDataUsage")]
    pub(super) upload: String,
    #[serde(rename = "downloadDataUsage")]
    pub(super) download: String,
    #[serde(rename = "totalDataUsage")]
    pub(super) total: u64,
    #[serde(rename = "dataLimit")]
    pub(super) data_limit: String,
    #[serde(rename = "usedBandwidthQuota")]
    pub(super) used_quota: u64,
    #[serde(rename = "totalBandwidthQuota")]
    pub(super) total_quota: u64,
}

/// Where a user lives.
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Location)]
pub(super) struct Location {
    pub(super) latitude: Option<String>,
    pub(super) longitude: Option<String>,
    pub(super) area_id: Option<String>,
    pub(super) area: Option<String>,
    pub(super) street_id: Option<String>,
    pub(super) street: Option<String>,
    pub(super) block_id: Option<String>,
    pub(super) block: Option<String>,
}

/// The parts of user details: each is an object with a single member.
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Part)]
pub(super) enum Part {
    User(Box<User>),
    #[serde(rename = "currentBillingCycleUsage")]
    Usage(Box<CycleUsage>),
    #[serde(rename = "staticIpMac")]
    StaticIpMac(Vec<StaticIpMac>),
    #[serde(rename = "location")]
    Location(Box<Location>),
}

/// A group with its figures. `Online_Users` is not told of allowed groups.
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Group)]
pub(super) struct Group {
    #[serde(rename = "Group_id")]
    pub(super) id: String,
    #[serde(rename = "Group_name")]
    pub(super) name: String,
    #[serde(rename = "Profile_id")]
    pub(super) profile_id: String,
    #[serde(rename = "Profile_Name")]
    pub(super) profile_name: String,
    #[serde(rename = "Active_Users")]
    pub(super) active: u64,
    #[serde(rename = "Total_Users")]
    pub(super) total: u64,
    #[serde(rename = "Online_Users", skip_serializing_if = "Option::is_none")]
    pub(super) online: Option<u64>,
}

/// Counts by status (E37).
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Counts)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) active: u64,
    pub(super) online: u64,
    pub(super) expired: u64,
    #[serde(rename = "expiringNextWeek")]
    pub(super) expiring_next_week: u64,
    #[serde(rename = "newUsersLastWeek")]
    pub(super) new_last_week: u64,
    pub(super) blacklisted: u64,
    pub(super) suspended: u64,
    pub(super) blocked: u64,
    pub(super) pending: u64,
    pub(super) churned: u64,
    pub(super) others: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Area)]
pub(super) struct Area {
    pub(super) id: String,
    pub(super) account_id: String,
    pub(super) area: String,
    pub(super) internal: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Street)]
pub(super) struct Street {
    pub(super) id: String,
    pub(super) account_id: String,
    pub(super) area_id: String,
    pub(super) street: String,
    pub(super) internal: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Block)]
pub(super) struct Block {
    pub(super) id: String,
    pub(super) account_id: String,
    pub(super) street_id: String,
    pub(super) block: String,
    pub(super) internal: Option<String>,
}

/// Places, each an object with a single member.
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Place)]
pub(super) enum Place {
    #[serde(rename = "CollectionArea")]
    Area(Area),
    #[serde(rename = "CollectionStreet")]
    Street(Street),
    #[serde(rename = "CollectionBlock")]
    Block(Block),
}

/// Somebody to be visited (E21, E22).
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Visit)]
pub(super) struct Visit {
    #[serde(rename = "0", skip_serializing_if = "Option::is_none")]
    pub(super) balance: Option<Balance>,
    #[serde(rename = "UserLocation")]
    pub(super) location: UserLocation,
    #[serde(rename = "Contact")]
    pub(super) contact: Contact,
    #[serde(rename = "CollectionArea")]
    pub(super) area: AreaName,
    #[serde(rename = "CollectionStreet")]
    pub(super) street: StreetName,
    #[serde(rename = "CollectionBlock")]
    pub(super) block: BlockName,
    #[serde(rename = "PaymentCollectionMode", skip_serializing_if = "Option::is_none")]
    pub(super) payment: Option<PaymentMode>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Balance)]
pub(super) struct Balance {
    pub(super) balance: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::UserLocation)]
pub(super) struct UserLocation {
    pub(super) user_id: String,
    pub(super) latitude: Option<String>,
    pub(super) longitude: Option<String>,
    pub(super) account_id: String,
}

/// `street_addres1` and `street_addres2` are the original's spelling.
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Contact)]
pub(super) struct Contact {
    pub(super) person_title: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) phone_phone_number: String,
    pub(super) email: String,
    pub(super) street_addres1: String,
    pub(super) street_addres2: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::AreaName)]
pub(super) struct AreaName {
    pub(super) area: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::StreetName)]
pub(super) struct StreetName {
    pub(super) street: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::BlockName)]
pub(super) struct BlockName {
    pub(super) block: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::PaymentMode)]
pub(super) struct PaymentMode {
    pub(super) amount: String,
    pub(super) create_datetime: String,
    #[serde(rename = "paymentcollectionId")]
    pub(super) id: String,
}

/// A renewal (E35): 20 members.
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Renewal)]
pub(super) struct Renewal {
    pub(super) id: String,
    pub(super) user_id: String,
    pub(super) account_id: String,
    pub(super) admin_username: String,
    pub(super) renewal_days: String,
    pub(super) renewal_amount: Option<String>,
    pub(super) plan_rate: Option<String>,
    pub(super) tax_amount: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) previous_group_id: Option<String>,
    pub(super) present_group_id: Option<String>,
    pub(super) previous_plan_id: Option<String>,
    pub(super) present_plan_id: Option<String>,
    pub(super) order_id: Option<String>,
    pub(super) order_active_until: Option<String>,
    pub(super) date_created: String,
    pub(super) deleted: &'static str,
    pub(super) active_since: Option<String>,
    pub(super) active_until: Option<String>,
    pub(super) notes: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::RenewalRow)]
pub(super) struct RenewalRow {
    #[serde(rename = "RenewalDetails")]
    pub(super) details: Renewal,
}

/// A message of the log (E40); an e-mail has an address and a subject in place of the number.
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Message)]
pub(super) struct Message {
    pub(super) date_created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    pub(super) content: String,
    pub(super) status_code: String,
    pub(super) error_message: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::Password)]
pub(super) struct Password<'a> {
    pub(super) password: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = jaze::LogOff)]
pub(super) struct LogOff {
    #[serde(rename = "lastLogOffTime")]
    pub(super) last: String,
    pub(super) online: &'static str,
}

/// Ids by telephone (E7).
#[derive(Serialize, ToSchema)]
#[schema(as = jaze::ByPhone)]
pub(super) struct ByPhone {
    pub(super) success: String,
    #[serde(rename = "errorCode")]
    pub(super) code: u16,
}

/// Mikrotik-Rate-Limit: rate and burst, up before down, bit/s.
pub(super) fn mikrotik(up: Option<u64>, down: Option<u64>) -> String {
    match (up.or(down), down.or(up)) {
        (Some(up), Some(down)) => format!("{up}/{down} 0 0 0 0 {up}/{down}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_in_mikrotik_s_words() {
        assert_eq!(
            mikrotik(Some(25_600_000), Some(25_600_000)),
            "25600000/25600000 0 0 0 0 25600000/25600000"
        );
        assert_eq!(mikrotik(None, Some(8)), "8/8 0 0 0 0 8/8");
        assert_eq!(mikrotik(None, None), "");
    }

    #[test]
    fn parts_are_objects_of_one_member() {
        assert_eq!(serde_json::to_string(&Part::StaticIpMac(vec![])).unwrap(), r#"{"staticIpMac":[]}"#);
        let area = Area { id: "2".into(), account_id: "test".into(), area: "PTC".into(), internal: None };
        assert_eq!(
            serde_json::to_string(&[Place::Area(area)]).unwrap(),
            r#"[{"CollectionArea":{"id":"2","account_id":"test","area":"PTC","internal":null}}]"#
        );
        let group = Group {
            id: "3".into(),
            name: "Guest".into(),
            profile_id: "3".into(),
            profile_name: "Guest profile".into(),
            active: 0,
            total: 0,
            online: Some(0),
        };
        assert_eq!(
            serde_json::to_string(&group).unwrap(),
            r#"{"Group_id":"3","Group_name":"Guest","Profile_id":"3","Profile_Name":"Guest profile","Active_Users":0,"Total_Users":0,"Online_Users":0}"#
        );
    }
}
