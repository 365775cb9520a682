//! Overrides of rates and attributes, with a limit or without, and changes that a NAS is asked for at once.

use smol_str::SmolStr;

use super::attributes::{self, Sorted};
use super::error::ServiceError;
use super::management::Management;
use crate::domain::dynamic_auth::{Order, Outcome};
use crate::domain::{BandwidthTemplate, FupAttribute, FupKind, FupLimit, NewFup, UniqueId};
use crate::store::{FupObstacle, Sketch, Store};

/// Attributes of one side of an override.
const ATTRIBUTES_MAX: usize = 64;

impl Management<'_> {
    /// The templates by number; each plan with rates has one.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn bandwidth_templates(&self) -> Result<Vec<BandwidthTemplate>, ServiceError> {
        self.read()?;
        self.templates().await
    }

    /// Those of the plans that this operator sees, and those of no plan.
    async fn templates(&self) -> Result<Vec<BandwidthTemplate>, ServiceError> {
        let mut templates = self.gate.inner().store.bandwidth_templates().await?;
        let plans = self.visible_plans().await?;
        templates.retain(|template| template.plan.is_none_or(|id| plans.iter().any(|plan| plan.id == id)));
        Ok(templates)
    }

    /// Overrides what a subscriber's plan says, in the place of an earlier override of the same kind.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for it or a template; [`ServiceError::Invalid`] for an attribute that
    /// cannot be.
    pub async fn override_plan(&self, id: i64, new: &NewFup) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let found = self.living(id).await?;
        let new = match new {
            NewFup::Bandwidth { below, above } => {
                above.as_ref().map_or(Ok(()), |(limit, _)| check_limit(limit))?;
                let templates = self.templates().await?;
                for wanted in std::iter::once(below).chain(above.as_ref().map(|(_, template)| template)) {
                    if !templates.iter().any(|template| template.id == *wanted) {
                        return Err(ServiceError::not_found("template", &wanted.to_string()));
                    }
                }
                new.clone()
            }
            NewFup::Attributes { below, above } => NewFup::Attributes {
                below: self.checked(below)?,
                above: match above {
                    None => None,
                    Some((limit, items)) => {
                        check_limit(limit)?;
                        Some((*limit, self.checked(items)?))
                    }
                },
            },
        };
        let done = store.put_fup(found.sketch.id, &found.sketch.login, &new, &author).await?;
        done.map_err(|obstacle| match obstacle {
            FupObstacle::NoTemplate => ServiceError::not_found("template", ""),
        })
    }

    /// Takes an override away; that there was none is no mistake.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn clear_override(&self, id: i64, kind: FupKind) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let found = self.living(id).await?;
        Ok(store.clear_fup(found.sketch.id, &found.sketch.login, kind, &author).await?)
    }

    /// Attributes as the tables hold them: the dictionary knows each, and each value is one.
    fn checked(&self, items: &[FupAttribute]) -> Result<Vec<FupAttribute>, ServiceError> {
        if items.len() > ATTRIBUTES_MAX {
            return Err(ServiceError::invalid("vendorData", "has too many attributes"));
        }
        let mut checked = Vec::with_capacity(items.len());
        for item in items {
            if item.value.chars().chain(item.attribute.chars()).any(char::is_control) {
                return Err(ServiceError::invalid("vendorData", "must not contain control characters"));
            }
            let text = format!("{} {} {}", item.attribute, item.op, item.value);
            let Sorted { check, reply } = attributes::sort(&[text], self.dictionary())?;
            let (is_check, spelt) = match (check.into_iter().next(), reply.into_iter().next()) {
                (Some(spelt), _) => (true, spelt),
                (None, Some(spelt)) => (item.is_check, spelt),
                (None, None) => continue,
            };
            if is_check && !item.is_check {
                let reason = format!("{} {} cannot be sent to a NAS", spelt.attribute, spelt.op);
                return Err(ServiceError::invalid("vendorData", reason));
            }
            checked.push(FupAttribute {
                is_check,
                attribute: spelt.attribute,
                op: spelt.op,
                value: spelt.value,
            });
        }
        Ok(checked)
    }

    /// Asks the NAS of each open session of a subscriber for a change (`Name = value`), and waits for what
    /// comes of it: one outcome for each session.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for it, or where it is not online ("session");
    /// [`ServiceError::Invalid`] for an attribute that cannot be sent.
    pub async fn change_now(&self, id: i64, lines: &[String]) -> Result<Vec<Outcome>, ServiceError> {
        let found = self.living(id).await?;
        let Sorted { check, reply } = attributes::sort(lines, self.dictionary())?;
        if let Some(item) = check.first() {
            let reason = format!("{} {} cannot be sent to a NAS", item.attribute, item.op);
            return Err(ServiceError::invalid("vendorData", reason));
        }
        let (store, author) = self.write()?;
        let lines: Vec<SmolStr> =
            reply.iter().map(|item| format!("{} = {}", item.attribute, item.value).into()).collect();
        let sessions = open_sessions(store, &found.sketch).await?;
        if sessions.is_empty() {
            return Err(ServiceError::not_found("session", &found.sketch.login));
        }
        let coa = self.gate.coa()?;
        let by = SmolStr::from(author.name.as_str());
        let mut asked = Vec::with_capacity(sessions.len());
        for session in sessions {
            store.audit_session(session, "coa", &author).await?;
            let (coa, by) = (coa.clone(), by.clone());
            let order = Order::ChangeOfAuthorization(lines.clone());
            asked.push(tokio::spawn(async move { coa.enforce(session, order, by).await }));
        }
        let mut outcomes = Vec::with_capacity(asked.len());
        for outcome in asked {
            outcomes.push(outcome.await.unwrap_or(Outcome::TimedOut));
        }
        Ok(outcomes)
    }

    /// Ends the open sessions of a subscriber and waits for what comes of it.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for it, or where it is not online ("session").
    pub async fn disconnect_subscriber(&self, id: i64) -> Result<Vec<Outcome>, ServiceError> {
        let found = self.living(id).await?;
        let (store, _) = self.write()?;
        let sessions = open_sessions(store, &found.sketch).await?;
        if sessions.is_empty() {
            return Err(ServiceError::not_found("session", &found.sketch.login));
        }
        self.disconnect_now(&sessions).await
    }
}

/// The open sessions of a subscriber.
async fn open_sessions(store: &Store, whose: &Sketch) -> Result<Vec<UniqueId>, ServiceError> {
    let open = store.open_sessions_of(whose.id, &whose.login, SESSIONS_MAX).await?;
    Ok(open.into_iter().map(|session| session.unique_id).collect())
}

/// Sessions of one subscriber that are asked for something at a time.
const SESSIONS_MAX: u32 = 1_000;

fn check_limit(limit: &FupLimit) -> Result<(), ServiceError> {
    if limit.octets <= 0 {
        return Err(ServiceError::invalid("limit", "must be more than 0"));
    }
    Ok(())
}
