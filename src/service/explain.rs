//! What would happen to a login now and why, rule by rule, and what happened to the last ones.
//!
//! One explanation for all who ask: a running server gives it from its memory ([`Explainer`]), the
//! command line from the tables as they are at this moment. The decision is the engine's own; only the
//! password is taken for right, since nobody knows it here, unless one is imagined too.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::answer::{NoReply, Wanted};
use super::directory::{Known, Lookup};
use super::error::ServiceError;
use super::limits::Snapshot;
use super::management::Management;
use super::state::State;
use crate::domain::text::mac_digits;
use crate::domain::{Nas, NasIdentity, NasTable, RejectReason, Uses};
use crate::engine::charge::Charging;
use crate::engine::password::{Comparison, SlowCheck};
use crate::engine::policy::{Attempt, Subscriber};
use crate::engine::{Denial, Offer, Seen, Settings, Standing, explain};
use crate::packs::{Pack, Packs, Past};
use crate::radius::ReplyAttributes;
use crate::radius::attribute::{
    CALLING_STATION_ID, FRAMED_IP_ADDRESS, FRAMED_IPV6_ADDRESS, NAS_IDENTIFIER, NAS_IP_ADDRESS,
    NAS_IPV6_ADDRESS, USER_NAME,
};
use crate::radius::dictionary::Dictionary;
use crate::radius::value;
use crate::sessions::{Device, SubscriberSessions};
use crate::store;
use crate::time::Now;

/// A login as it is imagined.
#[derive(Clone, Copy, Default)]
pub struct Imagined<'a> {
    /// User-Name.
    pub login: &'a str,
    /// Where the request comes from, and its NAS-IP-Address.
    pub nas: Option<IpAddr>,
    /// NAS-Identifier, where it is not the one that the NAS is configured with.
    pub identifier: Option<&'a str>,
    /// Calling-Station-Id.
    pub device: Option<&'a str>,
    /// Framed-IP-Address, which a hotspot knows before the login.
    pub address: Option<IpAddr>,
    /// The password by PAP; `None` is the right one, whatever it is.
    pub password: Option<&'a str>,
}

/// What would happen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Why it would be refused; `None` is Accept.
    pub reject: Option<RejectReason>,
    /// What decides: a row in words, or a sentence.
    pub rule: SmolStr,
    /// Every rule that was looked at, in order.
    pub steps: Vec<Seen>,
    /// What the Accept would carry: name and value, secrets masked.
    pub attributes: Vec<(String, String)>,
    /// Rows that have no effect, or not the one they seem to have.
    pub warnings: Vec<String>,
    /// Groups whose rows are used, in order.
    pub groups: Vec<SmolStr>,
    /// Open sessions, and Simultaneous-Use if it is set.
    pub places: (u32, Option<u32>),
    /// The first and the last use.
    pub uses: Uses,
    /// The last attempts, the latest first.
    pub last: Vec<store::Attempt>,
}

/// Attempts that are shown.
const LAST: u32 = 10;

/// Explains from the memory of a running server, in less than a millisecond.
#[derive(Clone)]
pub struct Explainer(pub(super) Arc<State>);

impl Explainer {
    /// Explains a login: from memory alone, but for a login that nobody has asked for yet and for an
    /// imagined password that is stored as a slow hash.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for a login that nobody has; [`ServiceError::Unavailable`] where it has
    /// to be read and cannot be.
    pub async fn explain(&self, imagined: Imagined<'_>) -> Result<Explanation, ServiceError> {
        let state = &*self.0;
        let login = SmolStr::new(imagined.login);
        let known = match self.known(&login) {
            Lookup::NotLoaded => {
                let loaded = state.loader.load(Some(Wanted::Login(login.clone())), SmallVec::new()).await;
                loaded.map_err(|_: NoReply| unavailable("the subscriber could not be read"))?;
                self.known(&login)
            }
            found => found,
        };
        let Lookup::Known(known) = known else {
            return self.explain_device(imagined).await;
        };
        self.explain_known(&known, imagined, Offer::Right).await
    }

    /// Explains the login of a device that is let in without a password, by its address.
    async fn explain_device(&self, imagined: Imagined<'_>) -> Result<Explanation, ServiceError> {
        let state = &*self.0;
        let nobody = || ServiceError::not_found("subscriber", imagined.login);
        let mac = mac_digits(imagined.login.as_bytes()).ok_or_else(nobody)?;
        let loaded = state.load_devices(vec![mac]).await;
        loaded.map_err(|_| unavailable("the device could not be read"))?;
        let now = state.clock.now();
        for login in state.directory.device(&mac, now.instant).into_iter().flatten() {
            if let Lookup::Known(known) = self.known(&login)
                && known.policy.admits(&mac, now.unix).is_some()
            {
                let device = imagined.device.or(Some(imagined.login));
                let imagined = Imagined { login: &login, device, ..imagined };
                return self.explain_known(&known, imagined, Offer::Device(mac)).await;
            }
        }
        Err(nobody())
    }

    async fn explain_known(
        &self,
        known: &Known,
        imagined: Imagined<'_>,
        offer: Offer,
    ) -> Result<Explanation, ServiceError> {
        let state = &*self.0;
        let mut case = Case {
            imagined,
            nases: &state.nas.load(),
            packs: &state.packs,
            subscriber: &known.policy,
            uses: known.uses(),
            settings: &state.settings.engine,
            dictionary: &state.dictionary,
            offer,
            held: None,
        };
        case.check_password(state.clock.now()).await?;
        let now = state.clock.now();
        let calling = imagined.device.map(str::as_bytes);
        let station = state.guesses.station(calling, case.source(), matches!(offer, Offer::Device(_)));
        case.held = state.guesses.held(Some(known.tries()), station, now.instant);
        let mut explanation =
            state.with_sessions(&known.owner(), Some(known), now, |sessions| case.explain(sessions, now));
        explanation.last = known.attempts();
        Ok(explanation)
    }

    fn known(&self, login: &str) -> Lookup {
        self.0.directory.lookup(login, self.0.clock.now().instant)
    }
}

impl Management<'_> {
    /// Explains a login.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for a login that nobody has.
    pub async fn explain(&self, imagined: Imagined<'_>) -> Result<Explanation, ServiceError> {
        let explained = self.explain_as(imagined, Offer::Right).await;
        let Some(mac) = mac_digits(imagined.login.as_bytes()) else { return explained };
        if !matches!(explained, Err(ServiceError::NotFound { .. })) {
            return explained;
        }
        // Nobody has the login: a device may be let in by its address.
        let owners = self.read()?.device_logins(&[mac]).await?;
        let Some((_, login)) = owners.first() else { return explained };
        let device = imagined.device.or(Some(imagined.login));
        self.explain_as(Imagined { login, device, ..imagined }, Offer::Device(mac)).await
    }

    async fn explain_as(&self, imagined: Imagined<'_>, offer: Offer) -> Result<Explanation, ServiceError> {
        let store = self.read()?;
        let now = self.now();
        let settings = self.engine();
        let Snapshot { subscriber, sessions, .. } = self.snapshot(imagined.login).await?;
        let nases = self.configured_nases().iter().cloned().chain(store.nas_rows().await?.usable);
        let last = store.last_attempts(imagined.login, LAST).await?;
        let mut case = Case {
            imagined,
            nases: &NasTable::new(nases),
            packs: self.packs(),
            subscriber: &subscriber,
            uses: subscriber.uses,
            settings,
            dictionary: self.dictionary(),
            offer,
            held: None,
        };
        case.check_password(now).await?;
        let mut explanation = case.explain(&sessions, now);
        explanation.last = last;
        Ok(explanation)
    }
}

/// A login that is imagined, with everything that decides it but its sessions.
struct Case<'a> {
    imagined: Imagined<'a>,
    nases: &'a NasTable,
    packs: &'a Packs,
    subscriber: &'a Subscriber,
    uses: Uses,
    settings: &'a Settings,
    dictionary: &'a Dictionary,
    offer: Offer,
    /// What refuses it before its password is looked at; only the server that counts the tries knows.
    held: Option<Denial>,
}

impl Case<'_> {
    fn source(&self) -> IpAddr {
        self.imagined.nas.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
    }

    fn nas(&self) -> Option<&Nas> {
        Some(self.nases.find(self.imagined.nas?)?)
    }

    /// How the NAS is told things.
    fn pack(&self) -> &Pack {
        let id = self.nas().and_then(|nas| self.packs.find(&nas.nas_type));
        self.packs.get(id.unwrap_or_default())
    }

    /// The Access-Request, but for the password.
    fn request(&self) -> ReplyAttributes {
        let mut request = ReplyAttributes::new();
        request.push(USER_NAME, self.imagined.login.as_bytes());
        match self.imagined.nas {
            Some(IpAddr::V4(address)) => request.push(NAS_IP_ADDRESS, &address.octets()),
            Some(IpAddr::V6(address)) => request.push(NAS_IPV6_ADDRESS, &address.octets()),
            None => {}
        }
        if let Some(identifier) = self.identifier() {
            request.push(NAS_IDENTIFIER, identifier.as_bytes());
        }
        if let Some(device) = self.imagined.device {
            request.push(CALLING_STATION_ID, device.as_bytes());
        }
        match self.imagined.address {
            Some(IpAddr::V4(address)) => request.push(FRAMED_IP_ADDRESS, &address.octets()),
            Some(IpAddr::V6(address)) => request.push(FRAMED_IPV6_ADDRESS, &address.octets()),
            None => {}
        }
        request
    }

    fn identifier(&self) -> Option<&str> {
        self.imagined.identifier.or_else(|| self.nas()?.identifier.as_deref())
    }

    /// Compares the imagined password with the stored one, beside the packets where that is slow.
    async fn check_password(&mut self, now: Now) -> Result<(), ServiceError> {
        let Some(password) = self.imagined.password else { return Ok(()) };
        let compared = {
            let request = self.request();
            let attempt =
                Attempt { attributes: request.attributes().rest(), source: self.source(), recalled: false };
            let policy = self.subscriber.policy(attempt, self.settings, now);
            policy.passwords.first().map(|stored| stored.compare(password.as_bytes()))
        };
        let right = match compared {
            _ if password.is_empty() && self.subscriber.is_ticket() => true,
            Some(Comparison::Wrong) => false,
            Some(Comparison::Slow(check)) => verify(check).await?,
            // What cannot be compared is said as such.
            Some(Comparison::Right | Comparison::Unservable(_)) | None => true,
        };
        self.offer = if right { Offer::Right } else { Offer::Wrong };
        Ok(())
    }

    fn explain(&self, sessions: &SubscriberSessions, now: Now) -> Explanation {
        let Self { imagined, subscriber, settings, .. } = *self;
        let request = self.request();
        let attempt =
            Attempt { attributes: request.attributes().rest(), source: self.source(), recalled: false };
        let policy = subscriber.policy(attempt, settings, now);
        let identity = NasIdentity {
            source: self.source(),
            address: imagined.nas,
            identifier: self.identifier().map(SmolStr::new).unwrap_or_default(),
        };
        let device = Device::of(imagined.device.unwrap_or_default(), &identity, "");
        let mac = imagined.device.and_then(|device| mac_digits(device.as_bytes()));
        let standing = Standing {
            occupancy: sessions.occupancy(&device, now),
            sessions: Some(sessions),
            uses: self.uses,
            session: None,
            terms: mac.and_then(|mac| subscriber.login_terms(&mac, now.unix)).map(|(_, terms)| terms),
        };
        let (outcome, steps) =
            explain(subscriber, &policy, self.offer, self.held.as_ref(), standing, settings, now);
        let mut warnings = self.warnings();
        let (reject, rule, attributes) = match outcome {
            Ok(grant) => {
                let decides = steps.iter().find(|seen| seen.decides).map(|seen| seen.rule.clone());
                warnings.extend(self.pack().notes(&grant.profile(Past::default())));
                (None, decides.unwrap_or_default(), self.shown(&grant.attributes(self.pack(), true)))
            }
            Err(denial) => (Some(denial.reason), denial.rule, Vec::new()),
        };
        Explanation {
            reject,
            rule,
            steps,
            attributes,
            warnings,
            groups: subscriber.groups().iter().map(|group| group.name.clone()).collect(),
            places: (
                u32::try_from(sessions.open_count()).unwrap_or(u32::MAX),
                policy.limits.simultaneous_use.as_ref().map(|(limit, _)| *limit),
            ),
            uses: self.uses,
            last: Vec::new(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let groups = self.subscriber.groups().iter().flat_map(|group| group.warnings());
        let rows = self.subscriber.warnings().iter().chain(groups);
        let mut warnings: Vec<_> = rows.map(|warning| format!("{}: {}", warning.rule, warning.why)).collect();
        let charging = self.subscriber.charging().map(|(charging, _)| charging);
        for (id, why) in charging.into_iter().flat_map(Charging::unusable) {
            warnings.push(format!("tk_charge_rule {id} is left out: {why}"));
        }
        if let (Some(address), None) = (self.imagined.nas, self.nas()) {
            warnings.push(format!("no NAS is configured for {address}: its requests are dropped"));
        }
        warnings
    }

    fn shown(&self, attributes: &ReplyAttributes) -> Vec<(String, String)> {
        let dictionary = self.dictionary;
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
}

async fn verify(check: SlowCheck) -> Result<bool, ServiceError> {
    let verified = tokio::task::spawn_blocking(move || check.verify()).await;
    verified.map_err(|_| unavailable("the password was not compared"))
}

fn unavailable(reason: &str) -> ServiceError {
    ServiceError::Unavailable { reason: reason.to_owned() }
}
