//! Messages to users: E32, E33.

use super::answer::{Fail, Outcome, message};
use super::call::Call;
use super::translate::phone;
use crate::domain::Channel;
use crate::service::{MessageOrder, MessageTemplate};

pub(super) const SMS: [&str; 9] = [
    "grantAccess",
    "verificationCode",
    "rejectUser",
    "usageAlert",
    "accountSuspension",
    "validityExpire",
    "userBalance",
    "closeTicketOtp",
    "closeTicketNotification",
];

pub(super) const EMAIL: [&str; 9] = [
    "userRecipt",
    "suspend",
    "rejectedUserRecipt",
    "billReminder",
    "billWarning",
    "prepaid",
    "notifyUser",
    "closeTicketOtp",
    "closedTicketNotificationClient",
];

/// What somebody is let into.
pub(super) const ACCESS: [&str; 2] = ["PPPoE/Hotspot", "customerPortal"];
/// What somebody has used much of.
pub(super) const USAGE: [&str; 3] = ["bandwidth", "duration", "vendor"];

/// Users of one request.
const USERS_MAX: usize = 1_000;

/// What a template needs besides the user.
fn order(call: &Call<'_>, template: &'static str) -> Result<MessageOrder, Fail> {
    let params = call.params;
    let mut order = MessageOrder { template: MessageTemplate(template), ..MessageOrder::default() };
    match template {
        "grantAccess" => order.detail = params.needed_keyword("grantAccessType", &ACCESS)?,
        "userRecipt" => order.detail = params.needed_keyword("userReciptType", &ACCESS)?,
        "usageAlert" | "notifyUser" => order.detail = params.needed_keyword("usageAlertType", &USAGE)?,
        "closeTicketOtp" | "closeTicketNotification" | "closedTicketNotificationClient" => {
            params.needed("ticketId")?.clone_into(&mut order.ticket);
            if template == "closeTicketOtp" {
                params.needed("otp")?.clone_into(&mut order.otp);
            }
        }
        _ => {}
    }
    Ok(order)
}

/// E32: a text to the mobile of a user, or of several.
pub(super) async fn send_sms_to_user(call: &Call<'_>) -> Outcome {
    let id = call.user()?;
    let template = call.params.needed_keyword("templateName", &SMS)?;
    let mut order = order(call, template)?;
    order.also_alternative = call.params.keyword("sendSmsTo", &["true", "false"])? == Some("true");
    let mut ids = vec![id];
    if call.params.yes("sendMultipleSms")? == Some(true) {
        ids.extend(call.params.numbers("userIds")?);
        ids.dedup();
        if ids.len() > USERS_MAX {
            return Err(Fail::wrong("userIds", "has too many users"));
        }
    }
    let sent = call.operator.send_messages(&ids, Channel::Sms, &order).await?;
    let number = sent.first().map(phone).unwrap_or_default();
    message(&format!("{template} SMS has been dispatched to {number} ."))
}

/// E33: a letter to the e-mail address of a user.
pub(super) async fn send_email_to_user(call: &Call<'_>) -> Outcome {
    let id = call.user()?;
    let template = call.params.needed_keyword("templateName", &EMAIL)?;
    let order = order(call, template)?;
    call.operator.send_messages(&[id], Channel::Email, &order).await?;
    message("Email is sent successfully .")
}
