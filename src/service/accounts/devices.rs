//! Logging devices in as an account, and sessions out.

use smol_str::SmolStr;

use super::AccountError;
use crate::domain::account::{DeviceLogin, GivenLimits, LogoutOrder};
use crate::domain::dynamic_auth::{NotSent, Outcome, error_cause_name};
use crate::domain::report::{Pattern, SessionFilter};
use crate::domain::text::mac_digits;
use crate::domain::{Paging, RejectReason, UniqueId, Who};
use crate::service::error::ServiceError;
use crate::service::explain::Imagined;
use crate::service::limits::IDLE_SECONDS;
use crate::service::management::Management;
use crate::store::NewDeviceLogin;

/// Sessions that one command ends.
const SESSIONS_MOST: u32 = 1_000;

impl Management<'_> {
    /// Lets a device in as an account from its next Access-Request on, with limits of its own for that login.
    /// A RADIUS server cannot begin a session by itself: the NAS has to ask.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`AccountError::Disabled`] and [`AccountError::NothingLeft`] where the
    /// login would be refused; [`ServiceError::Invalid`] for an address whose device nobody knows.
    pub async fn login_device(&self, login: &str, order: &DeviceLogin) -> Result<(), AccountError> {
        let (store, author) = self.write()?;
        if store.person(Who::Login(login), self.scope(), &author).await?.is_none() {
            return Err(ServiceError::not_found("subscriber", login).into());
        }
        let explained = self.explain(Imagined { login, ..Imagined::default() }).await?;
        if let Some(error) = explained.reject.and_then(barred) {
            return Err(error);
        }
        let mac = match (&order.mac, &order.ip) {
            (Some(mac), _) => mac.clone(),
            (None, Some(ip)) => self.device_at(ip).await?,
            (None, None) => return Err(ServiceError::invalid("mac", "is missing").into()),
        };
        let mac =
            mac_digits(mac.as_bytes()).ok_or_else(|| ServiceError::invalid("mac", "is no MAC address"))?;
        if order.until.is_some_and(|until| until <= author.at) {
            return Err(ServiceError::invalid("expires", "lies in the past").into());
        }
        let GivenLimits { time_left, unlimited_time, quota_left, unlimited_quota, rate_down, rate_up } =
            order.limits;
        let new = NewDeviceLogin {
            mac,
            seconds: time_left.filter(|_| unlimited_time != Some(true)),
            octets: quota_left.filter(|_| unlimited_quota != Some(true)),
            rate_down: rate_down.filter(|rate| *rate > 0),
            rate_up: rate_up.filter(|rate| *rate > 0),
            idle_timeout: order.inactivity.map(|on| if on { IDLE_SECONDS } else { 0 }),
            until: order.until,
        };
        if store.add_device_login(login, &new, self.scope(), &author).await? {
            Ok(())
        } else {
            Err(ServiceError::not_found("subscriber", login).into())
        }
    }

    /// The device that has, or had last, an address.
    async fn device_at(&self, ip: &str) -> Result<String, ServiceError> {
        let filter =
            SessionFilter { framed: Some(Pattern::Exact(ip.to_owned())), ..SessionFilter::default() };
        let found = self.sessions(&filter, Paging::first(1)).await?;
        let device = found.rows.into_iter().map(|row| row.device.to_string()).find(|mac| !mac.is_empty());
        device.ok_or_else(|| ServiceError::invalid("ip", "no device is known there"))
    }

    /// Ends every open session that fits, and waits for what the NASes say.
    ///
    /// # Errors
    /// [`AccountError::NotLoggedIn`] where none is open; [`AccountError::Nas`] where one goes on;
    /// [`ServiceError::NotFound`] for the account.
    pub async fn logout(&self, order: &LogoutOrder) -> Result<(), AccountError> {
        if let Some(login) = &order.login {
            let (store, author) = self.write()?;
            if store.person(Who::Login(login), self.scope(), &author).await?.is_none() {
                return Err(ServiceError::not_found("subscriber", login).into());
            }
        }
        let filter = SessionFilter {
            subscriber: order.login.as_deref().map(SmolStr::from),
            framed: order.ip.clone().map(Pattern::Exact),
            device: order.mac.clone().map(Pattern::Exact),
            open: true,
            ..SessionFilter::default()
        };
        let open = self.sessions(&filter, Paging::first(SESSIONS_MOST)).await?;
        let sessions: Vec<UniqueId> =
            open.rows.iter().filter_map(|row| UniqueId::parse(&row.unique_id)).collect();
        if sessions.is_empty() {
            return Err(AccountError::NotLoggedIn);
        }
        let outcomes = self.disconnect_now(&sessions).await?;
        match outcomes.into_iter().find_map(refusal) {
            Some(reason) => Err(AccountError::Nas(reason)),
            None => Ok(()),
        }
    }
}

/// The state that keeps an account from being logged in, as the engine sees it.
fn barred(reason: RejectReason) -> Option<AccountError> {
    match reason {
        RejectReason::UserLocked => Some(AccountError::Disabled),
        RejectReason::AbsExpDateReached
        | RejectReason::RelExpDateReached
        | RejectReason::CreditFinished
        | RejectReason::TimelyQuotaExceeded
        | RejectReason::TrafficQuotaExceeded => Some(AccountError::NothingLeft),
        _ => None,
    }
}

/// What a NAS said to a Disconnect-Request, for the caller.
fn refusal(outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Ack => None,
        Outcome::Nak { error_cause: Some(507) } => None,
        Outcome::Nak { error_cause: Some(cause) } => {
            Some(format!("NAS refused: {cause} {}", error_cause_name(cause)))
        }
        Outcome::Nak { error_cause: None } => Some("NAS refused".to_owned()),
        Outcome::TimedOut => Some("NAS did not answer".to_owned()),
        Outcome::NotSent(NotSent::NoSession) => Some("Session is gone".to_owned()),
        Outcome::NotSent(NotSent::NoNas) => Some("NAS is unknown".to_owned()),
        Outcome::NotSent(NotSent::BadAttribute | NotSent::Full) => Some("NAS cannot be asked".to_owned()),
    }
}
