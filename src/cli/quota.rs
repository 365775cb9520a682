//! `tollkeeper plan quota`, `tollkeeper subscriber quota`, `top-up` and `usage`.

use jiff::civil::Weekday;
use serde_json::{Value, json};

use super::context::{Context, user};
use super::output::{table, utc};
use super::plan::amount;
use super::{Exit, Failure};
use crate::domain::{Amount, Exhaustion, Metric, Period, Quota, Rate, TopUp, Usage};
use crate::service::{Balance, Lapse, UsageReport};
use crate::store::{NewQuota, QuotaOwner, Sale};
use crate::time::UnixTime;

#[derive(Debug, clap::Subcommand)]
pub(super) enum QuotaCommand {
    /// Limit time or volume.
    Add(Box<QuotaArguments>),
    /// Show the limits.
    List {
        /// Its name.
        name: String,
    },
    /// Remove a limit or a top-up.
    Delete {
        /// Its name.
        name: String,
        /// Number of the limit.
        id: i64,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct QuotaArguments {
    /// Whose limit it is.
    name: String,
    /// time, total, down, up, each (each direction for itself)
    #[arg(long, value_parser = metric)]
    metric: Metric,
    /// session, daily, weekly, monthly, quarterly, yearly, billing (from the day of joining), lifetime (of the term)
    #[arg(long, value_parser = period)]
    period: Period,
    /// Seconds or octets; 0 and less is nothing left.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    limit: i64,
    /// Add what was left of the limit of the period before.
    #[arg(long)]
    carry_over: bool,
    /// What happens when it is used up: refuse, throttle, redirect.
    #[arg(long, value_name = "WHAT", default_value = "refuse", value_parser = ["refuse", "throttle", "redirect"])]
    exhausted: String,
    /// Bit/s to the subscriber once it is used up.
    #[arg(long, value_name = "BPS")]
    rate_down: Option<u64>,
    /// Bit/s from the subscriber once it is used up.
    #[arg(long, value_name = "BPS")]
    rate_up: Option<u64>,
    /// Portal for who has used it up.
    #[arg(long, value_name = "URL")]
    redirect: Option<String>,
    /// First day of the week.
    #[arg(long, value_name = "WEEKDAY", value_parser = weekday, conflicts_with = "day")]
    week_start: Option<u8>,
    /// First day of the month, 1 to 31.
    #[arg(long)]
    day: Option<u8>,
    /// Lower ones decide first.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
}

fn metric(text: &str) -> Result<Metric, String> {
    let short = SHORT.iter().find(|(_, word)| *word == text).map(|(metric, _)| *metric);
    short.or_else(|| Metric::parse(text)).ok_or_else(|| "expects time, total, down, up, each".to_owned())
}

/// Words of the command line for what `tk_quota.metric` holds.
const SHORT: [(Metric, &str); 5] = [
    (Metric::Time, "time"),
    (Metric::Total, "total"),
    (Metric::Down, "down"),
    (Metric::Up, "up"),
    (Metric::EachDirection, "each"),
];

fn short(metric: Metric) -> &'static str {
    SHORT.iter().find(|(known, _)| *known == metric).map_or("", |(_, word)| word)
}

fn period(text: &str) -> Result<Period, String> {
    Period::parse(text).ok_or_else(|| {
        let known: Vec<_> = Period::ALL.iter().map(|(_, word)| *word).collect();
        format!("expects one of {}", known.join(", "))
    })
}

fn weekday(text: &str) -> Result<u8, String> {
    let day = DAYS.iter().find(|(_, word)| *word == text);
    day.map(|(day, _)| day.to_sunday_zero_offset().unsigned_abs())
        .ok_or_else(|| "expects sunday, monday, tuesday …".to_owned())
}

const DAYS: [(Weekday, &str); 7] = [
    (Weekday::Sunday, "sunday"),
    (Weekday::Monday, "monday"),
    (Weekday::Tuesday, "tuesday"),
    (Weekday::Wednesday, "wednesday"),
    (Weekday::Thursday, "thursday"),
    (Weekday::Friday, "friday"),
    (Weekday::Saturday, "saturday"),
];

impl QuotaArguments {
    fn quota(&self) -> NewQuota {
        let rate = Rate { down: self.rate_down, up: self.rate_up };
        let exhausted = match self.exhausted.as_str() {
            "throttle" => Exhaustion::Throttle(rate),
            "redirect" => Exhaustion::Redirect(self.redirect.as_deref().unwrap_or_default().into()),
            _ => Exhaustion::Refuse,
        };
        NewQuota {
            metric: self.metric,
            period: self.period,
            limit: self.limit,
            carry_over: self.carry_over,
            exhausted,
            begins: self.week_start.or(self.day),
            priority: self.priority,
        }
    }
}

impl QuotaCommand {
    /// Whose quotas are meant.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Add(arguments) => &arguments.name,
            Self::List { name } | Self::Delete { name, .. } => name,
        }
    }
}

/// `owner` has the name of the command.
pub(super) async fn quota(
    command: &QuotaCommand,
    owner: QuotaOwner<'_>,
    context: &Context,
) -> Result<Exit, Failure> {
    let management = context.gate.console(&user());
    match command {
        QuotaCommand::Add(arguments) => {
            let id = management.add_quota(owner, &arguments.quota()).await?;
            let value = json!({ "id": id, "name": arguments.name });
            context.output.answer(&value, || format!("quota {id} of {}", arguments.name));
        }
        QuotaCommand::List { .. } => {
            let (quotas, top_ups) = management.quotas(owner).await?;
            let value = json!({
                "quotas": quotas.iter().map(quota_json).collect::<Vec<_>>(),
                "top_ups": top_ups.iter().map(top_up_json).collect::<Vec<_>>(),
            });
            context.output.answer(&value, || list(&quotas, &top_ups));
        }
        QuotaCommand::Delete { name, id } => {
            management.delete_quota(owner, *id).await?;
            context.output.answer(&json!({ "deleted": id }), || format!("quota {id} of {name} is gone"));
        }
    }
    Ok(Exit::Done)
}

#[derive(Debug, clap::Args)]
pub(super) struct TopUpArguments {
    /// User-Name.
    login: String,
    /// Octets of both directions.
    #[arg(long, value_name = "N", required_unless_present = "seconds", conflicts_with = "seconds")]
    octets: Option<u64>,
    /// Seconds online.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Lapses then.
    #[arg(long, value_name = "DATE", conflicts_with = "days")]
    expires: Option<String>,
    /// Lapses after so many days.
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    /// What is bought, for the list of purchases.
    #[arg(long, value_name = "NAME", default_value = "")]
    plan_name: String,
    /// What it costs.
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    price: Option<Amount>,
    /// Currency of the price.
    #[arg(long, value_name = "CODE", default_value = "")]
    currency: String,
    /// For people.
    #[arg(long, value_name = "TEXT", default_value = "")]
    remarks: String,
    /// Who sells it, if not whoever runs this.
    #[arg(long, value_name = "NAME", default_value = "")]
    sold_by: String,
}

pub(super) async fn top_up(arguments: &TopUpArguments, context: &Context) -> Result<Exit, Failure> {
    let TopUpArguments { login, octets, seconds, expires, days, .. } = arguments;
    let lapse = match (expires, days) {
        (Some(date), _) => Lapse::At(date),
        (None, Some(days)) => Lapse::Days(*days),
        (None, None) => Lapse::Never,
    };
    let amount = octets.or(*seconds).unwrap_or(0);
    let sale = Sale {
        plan_name: arguments.plan_name.clone(),
        price: arguments.price,
        currency: arguments.currency.clone(),
        remarks: arguments.remarks.clone(),
        sold_by: arguments.sold_by.clone(),
    };
    let management = context.gate.console(&user());
    let id = management.top_up(login, octets.is_none(), amount, lapse, &sale).await?;
    let value = json!({ "id": id, "login": login });
    context.output.answer(&value, || format!("top-up {id} of {login}"));
    Ok(Exit::Done)
}

pub(super) async fn usage(login: &str, context: &Context) -> Result<Exit, Failure> {
    let report = context.gate.console(&user()).usage(login).await?;
    let UsageReport { lifetime, today, balances, top_ups } = &report;
    let value = json!({
        "login": login,
        "lifetime": usage_json(*lifetime),
        "today": usage_json(*today),
        "quotas": balances.iter().map(balance_json).collect::<Vec<_>>(),
        "top_ups": top_ups.iter().map(top_up_json).collect::<Vec<_>>(),
    });
    context.output.answer(&value, || people(&report));
    Ok(Exit::Done)
}

fn usage_json(usage: Usage) -> Value {
    json!({ "seconds": usage.seconds, "input": usage.input, "output": usage.output })
}

fn rate_of(exhausted: &Exhaustion) -> Rate {
    if let Exhaustion::Throttle(rate) = exhausted { *rate } else { Rate::default() }
}

fn redirect_of(exhausted: &Exhaustion) -> Option<&str> {
    if let Exhaustion::Redirect(url) = exhausted { Some(url) } else { None }
}

fn quota_json(quota: &Quota) -> Value {
    let rate = rate_of(&quota.exhausted);
    json!({
        "id": quota.id,
        "metric": short(quota.metric),
        "period": quota.period.as_str(),
        "limit": quota.limit,
        "carry_over": quota.carry_over,
        "exhausted": quota.exhausted.as_str(),
        "rate_down": rate.down,
        "rate_up": rate.up,
        "redirect": redirect_of(&quota.exhausted),
        "begins": quota.begins,
        "priority": quota.priority,
    })
}

fn balance_json(balance: &Balance) -> Value {
    let rate = rate_of(&balance.exhausted);
    json!({
        "rule": balance.rule.as_str(),
        "metric": short(balance.metric),
        "period": balance.period.as_str(),
        "begun": balance.begun.map(utc),
        "ends": balance.ends.map(utc),
        "limit": balance.limit,
        "used": balance.used,
        "left": balance.left,
        "exhausted": balance.exhausted.as_str(),
        "rate_down": rate.down,
        "rate_up": rate.up,
        "redirect": redirect_of(&balance.exhausted),
    })
}

fn top_up_json(bought: &TopUp) -> Value {
    json!({
        "id": bought.id,
        "metric": if bought.is_time { "time" } else { "total" },
        "limit": bought.amount,
        "used": bought.used,
        "left": bought.amount.saturating_sub(bought.used),
        "expires": bought.expires.map(utc),
        "created": utc(bought.created),
    })
}

fn end(exhausted: &Exhaustion) -> String {
    let number = |rate: Option<u64>| rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string());
    match exhausted {
        Exhaustion::Refuse => "refuse".to_owned(),
        Exhaustion::Throttle(rate) => format!("throttle {}/{}", number(rate.down), number(rate.up)),
        Exhaustion::Redirect(url) => format!("redirect {url}"),
    }
}

fn list(quotas: &[Quota], top_ups: &[TopUp]) -> String {
    let row = |quota: &Quota| {
        vec![
            quota.id.to_string(),
            short(quota.metric).to_owned(),
            quota.period.as_str().to_owned(),
            quota.limit.to_string(),
            if quota.carry_over { "yes" } else { "no" }.to_owned(),
            end(&quota.exhausted),
        ]
    };
    let mut rows: Vec<_> = quotas.iter().map(row).collect();
    rows.extend(top_ups.iter().map(|bought| {
        let metric = if bought.is_time { "time" } else { "total" };
        let until = bought.expires.map_or_else(|| "never".to_owned(), utc);
        let end = format!("used {}, lapses {until}", bought.used);
        let cells = [
            bought.id.to_string(),
            metric.into(),
            "top-up".into(),
            bought.amount.to_string(),
            "-".into(),
            end,
        ];
        cells.to_vec()
    }));
    table(&["ID", "METRIC", "PERIOD", "LIMIT", "CARRIES", "THEN"], &rows)
}

fn people(report: &UsageReport) -> String {
    let time = |at: Option<UnixTime>| at.map_or_else(|| "-".to_owned(), utc);
    let row = |balance: &Balance| {
        vec![
            balance.rule.to_string(),
            balance.used.to_string(),
            balance.limit.to_string(),
            balance.left.to_string(),
            time(balance.ends),
            end(&balance.exhausted),
        ]
    };
    let mut rows: Vec<_> = report.balances.iter().map(row).collect();
    rows.extend(report.top_ups.iter().map(|bought| {
        let left = bought.amount.saturating_sub(bought.used);
        let figures = [bought.used, bought.amount, left].map(|number| number.to_string());
        let mut cells = vec![format!("top-up {}", bought.id)];
        cells.extend(figures);
        cells.extend([time(bought.expires), "-".to_owned()]);
        cells
    }));
    let sum = |name: &str, usage: Usage| {
        format!(
            "{name}: {} s online, {} octets down, {} octets up\n",
            usage.seconds, usage.output, usage.input
        )
    };
    let balances = table(&["QUOTA", "USED", "LIMIT", "LEFT", "ANEW", "THEN"], &rows);
    sum("today", report.today) + &sum("since ever", report.lifetime) + &balances
}
