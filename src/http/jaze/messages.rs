//! Messages to users: E32, E33.

use super::answer::{Fail, Outcome, message};
use super::call::Call;
use super::translate::phone;
use crate::domain::Channel;
use crate::service::{MessageOrder, MessageTemplate};

const SMS: [&str; 9] = [
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

const EMAIL: [&str; 9] = [
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

/// Users of one request.
const USERS_MAX: usize = 1_000;

/// What a template needs besides the user.
fn order(call: &Call<'_>, template: &'static str) -> Result<MessageOrder, Fail> {
    let params = call.params;
    let access = ["PPPoE/Hotspot", "customerPortal"];
    let usage = ["bandwidth", "duration", "vendor"];
    let mut order = MessageOrder { template: MessageTemplate(template), ..MessageOrder::default() };
    match template {
        "grantAccess" => order.detail = params.needed_keyword("grantAccessType", &access)?,
        "userRecipt" => order.detail = params.needed_keyword("userReciptType", &access)?,
        "usageAlert" | "notifyUser" => order.detail = params.needed_keyword("usageAlertType", &usage)?,
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
