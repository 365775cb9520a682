//! What would happen to a login now and why, and what happened to the last ones.
//!
//! The decision is the engine's own, on the rows as the tables have them at this moment; only the
//! password is taken for right, since nobody knows it here.

use std::net::IpAddr;
use std::sync::Arc;

use smol_str::SmolStr;

use super::error::ServiceError;
use super::management::Management;
use super::plans::Plans;
use crate::domain::text::mac_digits;
use crate::domain::{Day, NasTable, RejectReason};
use crate::engine::policy::{Attempt, AuthType, Policy, Subscriber};
use crate::engine::{CompiledGroup, Compiler, Standing, authorize};
use crate::packs::{Pack, Past};
use crate::radius::ReplyAttributes;
use crate::radius::attribute::{CALLING_STATION_ID, NAS_IP_ADDRESS, NAS_IPV6_ADDRESS, USER_NAME};
use crate::radius::value;
use crate::sessions::{Occupancy, SubscriberSessions};
use crate::store;
use crate::time::Now;

/// A login as it is imagined.
#[derive(Clone, Copy, Debug, Default)]
pub struct Imagined<'a> {
    /// User-Name.
    pub login: &'a str,
    /// Where the request comes from, and its NAS-IP-Address.
    pub nas: Option<IpAddr>,
    /// Calling-Station-Id.
    pub device: Option<&'a str>,
}

/// What would happen, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Why it would be refused; `None` is Accept.
    pub reject: Option<RejectReason>,
    /// What decides: a row in words, or a sentence.
    pub rule: SmolStr,
    /// What the Accept would carry: name and value, secrets masked.
    pub attributes: Vec<(String, String)>,
    /// Rows that have no effect, or not the one they seem to have.
    pub warnings: Vec<String>,
    /// Groups whose rows are used, in order.
    pub groups: Vec<SmolStr>,
    /// Open sessions, and Simultaneous-Use if it is set.
    pub places: (u32, Option<u32>),
    /// The last attempts, the latest first.
    pub last: Vec<store::Attempt>,
}

/// Attempts that are shown.
const LAST: u32 = 10;

impl Management<'_> {
    /// Explains a login.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for a login that nobody has.
    pub async fn explain(&self, imagined: Imagined<'_>) -> Result<Explanation, ServiceError> {
        let store = self.read()?;
        let now = self.now();
        let login = SmolStr::new(imagined.login);
        let rows = store.subscribers(std::slice::from_ref(&login), Day::LIFETIME, now.unix).await?;
        let Some(mut rows) = rows.into_iter().find(|rows| rows.login == login) else {
            return Err(ServiceError::not_found("subscriber", imagined.login));
        };
        let groups = store.groups(&rows.groups).await?;
        let devices = store.open_devices(&login).await?;
        let last = store.last_attempts(&login, LAST).await?;

        let settings = self.engine();
        let compiler = Compiler { dictionary: self.shared_dictionary(), zone: settings.zone.clone() };
        let compiled: Vec<Arc<CompiledGroup>> =
            groups.iter().map(|group| Arc::new(compiler.group(group))).collect();
        let subscriber = compiler
            .subscriber(&rows, &|name| compiled.iter().find(|group| group.name == name).map(Arc::clone))
            .sold(Plans::new(&store.plan_limits().await?).of(&rows));
        let mut sessions = SubscriberSessions::new(Some(rows.id));
        sessions.continue_usage(std::mem::take(&mut rows.usage));
        let request = attributes_of(&imagined);
        let encoded: Vec<u8> = request.attributes().rest().to_vec();
        let source = imagined.nas.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        let policy =
            subscriber.policy(Attempt { attributes: &encoded, source, recalled: false }, settings, now);
        let occupancy = occupancy(&devices, imagined.device);
        let limit = policy.limits.simultaneous_use.as_ref().map(|(limit, _)| *limit);
        let mut explanation = Explanation {
            reject: None,
            rule: SmolStr::default(),
            attributes: Vec::new(),
            warnings: warnings(&subscriber),
            groups: subscriber.groups().iter().map(|group| group.name.clone()).collect(),
            places: (u32::try_from(devices.len()).unwrap_or(u32::MAX), limit),
            last,
        };
        let pack = self.pack_of(imagined.nas).await?;
        let standing = Standing { occupancy, sessions: Some(&sessions), session: None };
        match decide(&subscriber, &policy, standing, settings, pack, now) {
            Ok((attributes, rule, notes)) => {
                explanation.warnings.extend(notes);
                explanation.rule = rule;
                explanation.attributes = shown(&attributes, self);
            }
            Err((reason, rule)) => {
                explanation.reject = Some(reason);
                explanation.rule = rule;
            }
        }
        Ok(explanation)
    }

    /// How the NAS at that address is told things.
    async fn pack_of(&self, nas: Option<IpAddr>) -> Result<&Pack, ServiceError> {
        let Some(address) = nas else { return Ok(self.packs().other()) };
        let rows = self.read()?.nas_rows().await?;
        let table = NasTable::new(self.configured_nases().iter().cloned().chain(rows.usable));
        let id = table.find(address).and_then(|nas| self.packs().find(&nas.nas_type));
        Ok(self.packs().get(id.unwrap_or_default()))
    }
}

fn decide(
    subscriber: &Subscriber,
    policy: &Policy<'_>,
    standing: Standing<'_>,
    settings: &crate::engine::Settings,
    pack: &Pack,
    now: Now,
) -> Result<(ReplyAttributes, SmolStr, Vec<String>), (RejectReason, SmolStr)> {
    let grant = authorize(subscriber, policy, standing, settings, now)
        .map_err(|denial| (denial.reason, denial.rule))?;
    let accepts = matches!(policy.limits.auth_type, Some((AuthType::Accept, _)));
    if policy.passwords.is_empty() && !accepts {
        return Err((RejectReason::MethodNotServable, SmolStr::new_static("no password is stored")));
    }
    let rule = grant
        .session_timeout
        .as_ref()
        .map_or_else(|| SmolStr::new_static("accepted"), |(_, rule)| rule.clone());
    let notes = pack.notes(&grant.profile(Past::default()));
    Ok((grant.attributes(pack, true), rule, notes))
}

/// The places as the device would see them. Reservations are in the memory of the server alone.
fn occupancy(open: &[SmolStr], device: Option<&str>) -> Occupancy {
    let own = |other: &&SmolStr| {
        device.is_some_and(|device| {
            let digits = mac_digits(device.as_bytes());
            *other == device || (digits.is_some() && digits == mac_digits(other.as_bytes()))
        })
    };
    let mine = open.iter().filter(own).count();
    Occupancy { taken: u32::try_from(open.len() - mine).unwrap_or(u32::MAX), own_place: mine > 0 }
}

fn attributes_of(imagined: &Imagined<'_>) -> ReplyAttributes {
    let mut request = ReplyAttributes::new();
    request.push(USER_NAME, imagined.login.as_bytes());
    match imagined.nas {
        Some(IpAddr::V4(address)) => request.push(NAS_IP_ADDRESS, &address.octets()),
        Some(IpAddr::V6(address)) => request.push(NAS_IPV6_ADDRESS, &address.octets()),
        None => {}
    }
    if let Some(device) = imagined.device {
        request.push(CALLING_STATION_ID, device.as_bytes());
    }
    request
}

fn warnings(subscriber: &Subscriber) -> Vec<String> {
    let groups = subscriber.groups().iter().flat_map(|group| group.warnings());
    subscriber
        .warnings()
        .iter()
        .chain(groups)
        .map(|warning| format!("{}: {}", warning.rule, warning.why))
        .collect()
}

fn shown(attributes: &ReplyAttributes, management: &Management<'_>) -> Vec<(String, String)> {
    let dictionary = management.dictionary();
    let mut shown: Vec<(String, String)> = value::values(attributes.attributes(), dictionary)
        .iter()
        .map(|value| (value.name(dictionary), value.print(dictionary)))
        .collect();
    for hidden in attributes.hidden() {
        let def = dictionary.by_path(hidden.vendor, &[u32::from(hidden.number)]);
        let name = def.map_or_else(|| format!("Attr-{}", hidden.number), |def| def.name.to_string());
        shown.push((name, super::attributes::MASK.to_owned()));
    }
    shown
}
