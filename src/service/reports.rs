//! Lists and reports: sessions, login attempts, purchases, and what they add up to. They read the tables,
//! which memory is at most one commit ahead of, and see what lies in the operator's scope.

use super::error::ServiceError;
use super::management::Management;
use crate::domain::operator::Scope;
use crate::domain::report::{
    AttemptFilter, AttemptRow, Purchase, PurchaseFilter, SessionFilter, SessionRow, SessionTotals, Span,
    Statistics,
};
use crate::domain::{Page, Paging, Who};

/// Sessions of a subscriber's log that are read at a time.
const LOG_PAGE: u32 = 2_000;
/// Sessions of a subscriber's log, at most: a hundred a day for a year and a half.
const LOG_MOST: u32 = 50_000;

impl Management<'_> {
    /// Sessions, the newest first, closed and open. Of open ones alone [`SessionRow::seconds`] is what they
    /// have lasted until now, if their last counter does not say more.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        paging: Paging,
    ) -> Result<Page<SessionRow>, ServiceError> {
        let mut page = self.read()?.session_rows(filter, self.accounts(), paging).await?;
        if filter.open {
            let now = self.now().unix;
            for row in &mut page.rows {
                let lasted = row.started.map_or(0, |started| now.since(started));
                row.seconds = row.seconds.max(lasted);
            }
        }
        Ok(page)
    }

    /// Login attempts, the newest first.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn login_attempts(
        &self,
        filter: &AttemptFilter,
        paging: Paging,
    ) -> Result<Page<AttemptRow>, ServiceError> {
        Ok(self.read()?.attempt_rows(filter, self.accounts(), paging).await?)
    }

    /// Top-ups that were sold, the newest first.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn purchases(
        &self,
        filter: &PurchaseFilter,
        paging: Paging,
    ) -> Result<Page<Purchase>, ServiceError> {
        Ok(self.read()?.purchases(filter, self.accounts(), paging).await?)
    }

    /// All sessions of a login that began in a span, the oldest first.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for a login that nobody has.
    pub async fn session_log(&self, login: &str, span: Span) -> Result<Vec<SessionRow>, ServiceError> {
        self.known(login).await?;
        let filter = SessionFilter {
            subscriber: Some(login.into()),
            began: span,
            ascending: true,
            ..SessionFilter::default()
        };
        let (mut sessions, mut page) = (Vec::new(), 1);
        loop {
            let found = self.sessions(&filter, Paging::new(page, LOG_PAGE)).await?;
            sessions.extend(found.rows);
            if !found.more || page * LOG_PAGE >= LOG_MOST {
                return Ok(sessions);
            }
            page += 1;
        }
    }

    /// What the sessions of a login add up to that began in a span.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for a login that nobody has.
    pub async fn account_totals(&self, login: &str, span: Span) -> Result<SessionTotals, ServiceError> {
        self.known(login).await?;
        Ok(self.read()?.session_totals(login, span).await?)
    }

    /// What happened in a span.
    ///
    /// # Errors
    /// [`ServiceError::Denied`], [`ServiceError::Unavailable`].
    pub async fn statistics(&self, span: Span) -> Result<Statistics, ServiceError> {
        Ok(self.read()?.statistics(span, self.accounts()).await?)
    }

    async fn known(&self, login: &str) -> Result<(), ServiceError> {
        self.person(Who::Login(login), false).await.map(drop)
    }

    /// The accounts of the scope, where it is not all of them.
    fn accounts(&self) -> Option<&[i64]> {
        match self.scope() {
            Scope::Everything => None,
            Scope::Accounts(accounts) => Some(accounts),
        }
    }
}
