//! Subscribers as the Jaze API's clients make and change them, and lists of what is around them.

use smol_str::SmolStr;

use super::error::{Denial, ServiceError};
use super::management::{Management, Proof, SubscriberChange, SubscriberOrder};
use super::portraits::GroupFigures;
use crate::domain::operator::{Operator, Scope};
use crate::domain::plan::Plan;
use crate::domain::{Contact, ContactField, IspSession, RenewalKind, SubscriberId, SubscriberStatus, Who};
use crate::store::{AccountRecord, LocationEdit, PlanHead};
use crate::time::UnixTime;

/// A subscriber to be made or changed; what is `None` stays.
#[derive(Clone, Default)]
pub struct CustomerOrder {
    /// User-Name.
    pub login: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Number of its plan.
    pub plan: Option<i64>,
    /// Name of its account.
    pub account: Option<String>,
    /// Administrative status.
    pub status: Option<SubscriberStatus>,
    /// Not to be used before; 1970 is from now on.
    pub activation: Option<UnixTime>,
    /// The end; `Some(None)` is never.
    pub expires: Option<Option<UnixTime>>,
    /// For people.
    pub comments: Option<String>,
    /// `home`, or any other word.
    pub label: Option<String>,
    /// Fields of its contact; empty clears one.
    pub contact: Vec<(ContactField, SmolStr)>,
    /// Degrees.
    pub latitude: Option<String>,
    /// Degrees.
    pub longitude: Option<String>,
    /// Number of an area.
    pub area: Option<i64>,
    /// Number of a street.
    pub street: Option<i64>,
    /// Number of a block.
    pub block: Option<i64>,
}

/// Rows of a list of sessions.
const SESSIONS_MAX: u32 = 5_000;
/// Characters of a label, and of a coordinate.
const LABEL_MAX: usize = 60;

impl Management<'_> {
    /// Makes a subscriber; gives its number.
    ///
    /// # Errors
    /// [`ServiceError::Exists`] where the login is taken; [`ServiceError::NotFound`] for plan, account or
    /// place; [`ServiceError::Invalid`].
    pub async fn add_customer(&self, order: &CustomerOrder) -> Result<SubscriberId, ServiceError> {
        let plan = self.plan_name(order.plan).await?;
        let location = self.location_of(order).await?;
        let new = SubscriberOrder {
            login: order.login.clone().unwrap_or_default(),
            proof: Proof::Password(order.password.clone().unwrap_or_default()),
            plan,
            account: order.account.clone().unwrap_or_default(),
            contact: order.contact.iter().cloned().collect::<Contact>(),
            comments: order.comments.clone().unwrap_or_default(),
            status: order.status,
            activation: order.activation.map(|at| self.or_now(at)),
            expires: order.expires.flatten(),
            label: order.label.clone().unwrap_or_default(),
            ..SubscriberOrder::default()
        };
        let made = self.add_subscriber(&new).await?;
        let (store, author) = self.write()?;
        if let Some(location) = location {
            store.set_location(made, &location, self.scope(), &author).await?.map_err(no_place)?;
        }
        store
            .note_renewal(made, (order.expires.flatten(), None), "add user", RenewalKind::New, &author)
            .await?;
        Ok(made)
    }

    /// Changes a subscriber.
    ///
    /// # Errors
    /// As [`Management::add_customer`].
    pub async fn set_customer(&self, id: i64, order: &CustomerOrder) -> Result<SubscriberId, ServiceError> {
        let found = self.living(id).await?;
        let plan = self.plan_name(order.plan).await?;
        let location = self.location_of(order).await?;
        let change = SubscriberChange {
            login: order.login.clone().filter(|login| found.sketch.login != login.as_str()),
            password: order.password.clone().map(Proof::Password),
            plan: plan
                .filter(|plan| found.plan.as_ref().is_none_or(|(_, known)| known != plan.as_str()))
                .map(Some),
            status: order
                .status
                .filter(|status| *status != found.sketch.status)
                .map(|status| (status, String::new())),
            activation: order.activation.map(|at| Some(self.or_now(at))),
            expires: order.expires,
            comments: order.comments.clone(),
            label: order.label.clone(),
            contact: order.contact.iter().map(|(field, value)| (*field, value.to_string())).collect(),
            ..SubscriberChange::default()
        };
        self.update_person(Who::Number(found.sketch.id), &change).await?;
        if let Some(location) = location {
            let (store, author) = self.write()?;
            store.set_location(found.sketch.id, &location, self.scope(), &author).await?.map_err(no_place)?;
        }
        Ok(found.sketch.id)
    }

    /// Blocks a subscriber, or lets one in again that was blocked.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] where another status than blocked keeps it out.
    pub async fn block_customer(&self, id: i64, block: bool, notes: &str) -> Result<(), ServiceError> {
        let found = self.living(id).await?;
        let status = match (block, found.sketch.status) {
            (true, _) => SubscriberStatus::Blocked,
            (false, SubscriberStatus::Blocked) => SubscriberStatus::Active,
            (false, other) => {
                return Err(ServiceError::Conflict {
                    reason: format!("the user is {}, not blocked", other.as_str()),
                });
            }
        };
        super::places::text("notes", notes, NOTES_MAX)?;
        let change =
            SubscriberChange { status: Some((status, notes.to_owned())), ..SubscriberChange::default() };
        self.update_person(Who::Number(found.sketch.id), &change).await.map(drop)
    }

    /// The plans that a subscriber may be moved to, with their figures.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn allowed_groups(&self, id: i64) -> Result<Vec<GroupFigures>, ServiceError> {
        let found = self.living(id).await?;
        let allowed = self.plan_numbers(&found).await?;
        let mut figures = self.group_figures().await?;
        figures.retain(|figures| allowed.contains(&figures.head.id));
        Ok(figures)
    }

    /// What of the plans is not among their figures, by number.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn plan_heads(&self) -> Result<Vec<PlanHead>, ServiceError> {
        self.read()?;
        self.visible_plans().await
    }

    /// A plan that this operator sees, told apart by its number and name, with number and name of its account.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn visible_plan(
        &self,
        is_it: impl Fn(i64, &str) -> bool,
    ) -> Result<Option<(Plan, (i64, SmolStr))>, ServiceError> {
        let store = self.read()?;
        let mut heads = self.visible_plans().await?.into_iter();
        let Some(head) = heads.find(|head| is_it(head.id, &head.name)) else { return Ok(None) };
        let Some(plan) = store.plan(&head.name).await? else { return Ok(None) };
        let mut accounts = store.accounts(&Scope::Everything).await?.into_iter();
        let account = accounts.find(|account| account.id == head.account);
        Ok(Some((plan, (head.account, account.map(|account| account.name).unwrap_or_default()))))
    }

    /// The plans of the accounts that this operator sees, and of `Main`, which are everybody's.
    pub(super) async fn visible_plans(&self) -> Result<Vec<PlanHead>, ServiceError> {
        let mut heads = self.gate.inner().store.plan_heads().await?;
        heads.retain(|head| head.account == 0 || self.scope().includes(head.account));
        Ok(heads)
    }

    /// The accounts that this operator sees.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn accounts_in_scope(&self) -> Result<Vec<AccountRecord>, ServiceError> {
        Ok(self.read()?.accounts(self.scope()).await?)
    }

    /// The operators of those accounts.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn operators_in_scope(&self) -> Result<Vec<Operator>, ServiceError> {
        let accounts = self.accounts_in_scope().await?;
        let mut operators = self.operators().await?;
        operators.retain(|operator| accounts.iter().any(|account| account.name == operator.account));
        Ok(operators)
    }

    /// May this operator read?
    ///
    /// # Errors
    /// [`Denial::Read`].
    pub fn may_read(&self) -> Result<(), ServiceError> {
        if self.rights().read { Ok(()) } else { Err(ServiceError::Denied(Denial::Read)) }
    }

    /// Sessions, the latest first: of a subscriber, begun in a time (the first second, and the first after
    /// it), open ones only.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn isp_sessions(
        &self,
        id: Option<i64>,
        from: Option<UnixTime>,
        to: Option<UnixTime>,
        open: bool,
    ) -> Result<Vec<IspSession>, ServiceError> {
        let store = self.read()?;
        let found = match id {
            Some(id) => Some(self.living(id).await?),
            None => None,
        };
        let whose = found.as_ref().map(|found| (found.sketch.id, found.sketch.login.as_str()));
        Ok(store.isp_sessions(whose, from, to, open, SESSIONS_MAX, self.scope()).await?)
    }

    /// 1970 stands for now.
    fn or_now(&self, at: UnixTime) -> UnixTime {
        if at.0 == 0 { self.now().unix } else { at }
    }

    async fn plan_name(&self, plan: Option<i64>) -> Result<Option<String>, ServiceError> {
        let Some(plan) = plan else { return Ok(None) };
        let found = self.visible_plans().await?.into_iter().find(|head| head.id == plan && head.enabled);
        let found = found.ok_or_else(|| ServiceError::not_found("plan", &plan.to_string()))?;
        Ok(Some(found.name.into()))
    }

    /// What an order says of where its subscriber lives; `None` is nothing.
    async fn location_of(&self, order: &CustomerOrder) -> Result<Option<LocationEdit>, ServiceError> {
        for text in [&order.latitude, &order.longitude, &order.label].into_iter().flatten() {
            super::places::text("location", text, LABEL_MAX)?;
        }
        let edit = LocationEdit {
            latitude: order.latitude.clone().map(Some),
            longitude: order.longitude.clone().map(Some),
            area: order.area.map(Some),
            street: order.street.map(Some),
            block: order.block.map(Some),
        };
        if edit == LocationEdit::default() {
            return Ok(None);
        }
        // Looked at before anything is made.
        let store = &self.gate.inner().store;
        store.check_location(&edit, self.scope()).await?.map_err(no_place)?;
        Ok(Some(edit))
    }
}

/// Characters of a note.
const NOTES_MAX: usize = 900;

fn no_place(kind: crate::domain::PlaceKind) -> ServiceError {
    ServiceError::not_found(kind.as_str(), "")
}
