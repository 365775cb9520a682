//! The twelve commands: parse, one call of the service, answer.

use std::borrow::Cow;

use super::Settings;
use super::answer::{Answer, Error};
use super::documents::{self, Document};
use super::parameters::{Arguments, Command, Fault, Raw};
use super::translate::{
    PRICE_PLAN, account_change, account_elements, account_texts, batch_order, days, device_login, minute,
    money, number, plan_texts, second, span,
};
use crate::domain::Who;
use crate::domain::account::{AccountView, LogoutOrder};
use crate::domain::plan::PlanId;
use crate::domain::report::Span;
use crate::service::{Management, Refilled};
use crate::time::UnixTime;

/// What every command has.
struct Call<'a> {
    operator: &'a Management<'a>,
    settings: &'a Settings,
    arguments: Arguments,
    now: UnixTime,
}

/// Runs a command. What is missing or wrong is said before anything is looked at.
pub(super) async fn run(
    command: Command,
    raw: &Raw,
    operator: &Management<'_>,
    settings: &Settings,
) -> Result<Answer, Error> {
    let arguments = raw.arguments(command)?;
    let call = Call { operator, settings, arguments, now: operator.now().unix };
    match command {
        Command::GenerateAccounts => call.generate().await,
        Command::UpdateAccount => call.update().await,
        Command::RefillAccount => call.refill().await,
        Command::ViewAccount => call.view().await,
        Command::DeleteAccount => call.delete().await,
        Command::GetPricePlans => call.price_plans().await,
        Command::GetStatistics => call.statistics().await,
        Command::GetAccountLog => call.log().await,
        Command::GetAccountList => call.list().await,
        Command::LoginAccount => call.login().await,
        Command::LogoutAccount => call.logout().await,
        Command::GetAccountSummary => call.summary().await,
    }
}

impl Call<'_> {
    fn account(&self) -> &str {
        self.arguments.text("account").unwrap_or_default()
    }

    async fn generate(&self) -> Result<Answer, Error> {
        let order = batch_order(&self.arguments, self.now, self.operator.zone())?;
        let made = self.operator.generate_accounts(&order).await?;
        Ok(Answer::Generated(self.accounts(&made)))
    }

    async fn update(&self) -> Result<Answer, Error> {
        let change = account_change(&self.arguments, self.operator.zone())?;
        self.operator.update_account(self.account(), &change).await?;
        Ok(Answer::Done)
    }

    async fn refill(&self) -> Result<Answer, Error> {
        let plan = self.arguments.plan().map_or(0, |(_, plan)| plan);
        let refilled = self.operator.refill_account(self.account(), PlanId(plan)).await?;
        Ok(match refilled {
            Refilled::Refilled => Answer::Done,
            Refilled::Generated(made) => Answer::Generated(self.accounts(std::slice::from_ref(&made))),
        })
    }

    async fn view(&self) -> Result<Answer, Error> {
        let view = self.operator.account(self.account()).await?;
        Ok(Answer::Document(self.accounts(std::slice::from_ref(&view))))
    }

    async fn delete(&self) -> Result<Answer, Error> {
        self.operator.delete_person(Who::Login(self.account())).await?;
        Ok(Answer::Done)
    }

    async fn price_plans(&self) -> Result<Answer, Error> {
        let plans = self.operator.price_plans().await?;
        let texts = plans.iter().map(plan_texts);
        Ok(Answer::Document(Document::new(documents::PRICE_PLANS, &PRICE_PLAN, texts)))
    }

    async fn statistics(&self) -> Result<Answer, Error> {
        let zone = self.operator.zone();
        let (from, until) = days(&self.arguments, self.now, zone)?;
        let found = self.operator.statistics(Span { from: Some(from), until: Some(until) }).await?;
        let day = |at| Cow::Owned(minute(Some(at), zone).chars().take(8).collect::<String>());
        let texts = vec![
            day(from),
            day(until.minus(1)),
            number(found.made),
            number(found.sold),
            number(found.sessions.logins),
            number(found.sessions.sessions),
            number(found.sessions.seconds),
            number(found.sessions.output),
            number(found.sessions.input),
            Cow::Owned(money(found.income)),
        ];
        Ok(Answer::Document(Document::new(documents::STATISTICS, &STATISTIC, [texts])))
    }

    async fn log(&self) -> Result<Answer, Error> {
        let zone = self.operator.zone();
        let (from, until) = span(&self.arguments, zone)?;
        let sessions = self.operator.session_log(self.account(), Span { from, until }).await?;
        let texts = sessions.into_iter().map(|session| {
            vec![
                Cow::Owned(session.login.to_string()),
                second(session.started, zone),
                second(session.stopped, zone),
                number(session.seconds),
                number(session.output),
                number(session.input),
                Cow::Owned(session.framed.to_string()),
                Cow::Owned(session.device.to_string()),
                Cow::Owned(session.cause.to_string()),
            ]
        });
        Ok(Answer::Document(Document::new(documents::SESSIONS, &SESSION, texts)))
    }

    async fn list(&self) -> Result<Answer, Error> {
        let names = self.operator.account_names().await?;
        let texts = names.iter().map(|name| vec![Cow::Borrowed(name.as_str())]);
        Ok(Answer::Document(Document::new(documents::ACCOUNTS, &["Username"], texts)))
    }

    async fn login(&self) -> Result<Answer, Error> {
        let login = device_login(&self.arguments, self.now);
        self.operator.login_device(self.account(), &login).await?;
        Ok(Answer::Done)
    }

    async fn logout(&self) -> Result<Answer, Error> {
        let text = |name| self.arguments.text(name).map(str::to_owned);
        let order = LogoutOrder { login: text("account"), ip: text("ip"), mac: text("mac") };
        self.operator.logout(&order).await?;
        Ok(Answer::Done)
    }

    async fn summary(&self) -> Result<Answer, Error> {
        let zone = self.operator.zone();
        let (from, until) = span(&self.arguments, zone)?;
        let (view, totals) = self.operator.account_summary(self.account(), Span { from, until }).await?;
        let texts = vec![
            Cow::Owned(view.login.to_string()),
            number(totals.sessions),
            number(totals.seconds),
            number(view.time_left),
            number(totals.output),
            number(totals.input),
            number(view.quota_left),
            minute(view.first_used, zone),
            minute(view.last_used, zone),
            Cow::Owned(money(view.money)),
        ];
        Ok(Answer::Document(Document::new(documents::SUMMARY, &SUMMARY, [texts])))
    }

    /// A document of accounts, their passwords as far as the views have them.
    fn accounts(&self, views: &[AccountView]) -> Document {
        let texts = views.iter().map(|view| {
            let password = view.password.as_deref().unwrap_or_default();
            account_texts(view, password, self.operator.zone(), self.settings)
        });
        Document::new(documents::ACCOUNTS, &account_elements(self.settings), texts)
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault.into())
    }
}

const STATISTIC: [&str; 10] = [
    "From",
    "To",
    "AccountsGenerated",
    "AccountsSold",
    "AccountsUsed",
    "Sessions",
    "Time",
    "Download",
    "Upload",
    "Income",
];

const SESSION: [&str; 9] =
    ["Username", "Start", "Stop", "Duration", "Download", "Upload", "IP", "MAC", "TerminateCause"];

const SUMMARY: [&str; 10] = [
    "Username",
    "Sessions",
    "TimeUsed",
    "TimeLeft",
    "Download",
    "Upload",
    "QuotaLeft",
    "FirstUsed",
    "LastUsed",
    "Money",
];
