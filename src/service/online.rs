//! Open sessions as operators see them, and what they order about them.

use smol_str::SmolStr;

use super::attributes::{self, Sorted};
use super::error::ServiceError;
use super::management::Management;
use crate::domain::dynamic_auth::{Order, Outcome};
use crate::domain::{Session, UniqueId};
use crate::store::{OpenCursor, OpenPage, OrderRow};

impl Management<'_> {
    /// A page of open sessions, after `after`.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn online_sessions(
        &self,
        after: Option<&OpenCursor>,
        most: u32,
    ) -> Result<OpenPage, ServiceError> {
        Ok(self.read()?.open_sessions(after, most).await?)
    }

    /// The open session with that unique id, or the only one with that Acct-Session-Id.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] where several have that Acct-Session-Id.
    pub async fn online_session(&self, id: &str) -> Result<Session, ServiceError> {
        let unique = UniqueId::parse(id);
        let mut found: Vec<Session> = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.online_sessions(cursor.as_ref(), SESSIONS_PER_PAGE).await?;
            for session in page.sessions {
                if Some(session.unique_id) == unique {
                    return Ok(session);
                }
                if session.acct_session_id == id {
                    found.push(session);
                }
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        if found.len() > 1 {
            let reason =
                format!("{} open sessions have the Acct-Session-Id {id}: name one by its id", found.len());
            return Err(ServiceError::Conflict { reason });
        }
        found.pop().ok_or_else(|| ServiceError::not_found("open session", id))
    }

    /// Orders the end of a session; gives the number of the order.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn disconnect(&self, session: UniqueId) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        Ok(store.order(session, &Order::Disconnect, &author).await?)
    }

    /// Orders the end of sessions: all or none.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn disconnect_all(&self, sessions: &[UniqueId]) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        Ok(store.order_all(sessions, &Order::Disconnect, &author).await?)
    }

    /// Closes sessions here and asks no NAS, for those that nobody serves any more: what they used stays counted.
    /// One that its NAS goes on with is open again with its next record.
    ///
    /// # Errors
    /// [`ServiceError::Denied`]; [`ServiceError::Unavailable`] where no server runs in this process.
    pub async fn clear_sessions(&self, sessions: &[UniqueId]) -> Result<(), ServiceError> {
        let (store, author) = self.write()?;
        let coa = self.gate.coa()?;
        store.audit_sessions(sessions, "clear", &author).await?;
        sessions.iter().for_each(|session| coa.clear(*session));
        Ok(())
    }

    /// Asks the NASes to end these sessions and waits for what each says, 30 s unless many are asked; the
    /// outcomes are in the order of the sessions.
    ///
    /// # Errors
    /// [`ServiceError::Denied`]; [`ServiceError::Unavailable`] where no server runs in this process.
    pub async fn disconnect_now(&self, sessions: &[UniqueId]) -> Result<Vec<Outcome>, ServiceError> {
        let (store, author) = self.write()?;
        let coa = self.gate.coa()?;
        let by = SmolStr::from(author.name.as_str());
        let mut asked = Vec::with_capacity(sessions.len());
        store.audit_sessions(sessions, "disconnect", &author).await?;
        for session in sessions {
            let (coa, session, by) = (coa.clone(), *session, by.clone());
            asked.push(tokio::spawn(async move { coa.enforce(session, Order::Disconnect, by).await }));
        }
        let mut outcomes = Vec::with_capacity(asked.len());
        for outcome in asked {
            outcomes.push(outcome.await.unwrap_or(Outcome::TimedOut));
        }
        Ok(outcomes)
    }

    /// Orders a change of a session (`Name = value`); gives the number of the order.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for an attribute that cannot be sent.
    pub async fn change_session(
        &self,
        session: UniqueId,
        attributes: &[String],
    ) -> Result<i64, ServiceError> {
        let (store, author) = self.write()?;
        let Sorted { check, reply } = attributes::sort(attributes, self.dictionary())?;
        if let Some(item) = check.first() {
            let reason = format!("{} {} {} cannot be sent to a NAS", item.attribute, item.op, item.value);
            return Err(ServiceError::invalid("attribute", reason));
        }
        let lines = reply.iter().map(|item| format!("{} = {}", item.attribute, item.value).into()).collect();
        Ok(store.order(session, &Order::ChangeOfAuthorization(lines), &author).await?)
    }

    /// How an order stands.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn order(&self, id: i64) -> Result<OrderRow, ServiceError> {
        let found = self.read()?.outcome(id).await?;
        found.ok_or_else(|| ServiceError::not_found("order", &id.to_string()))
    }
}

/// Sessions that are read at a time.
const SESSIONS_PER_PAGE: u32 = 2_000;
