//! `tollkeeper plan`: what is sold.

use serde_json::{Value, json};

use super::context::{Context, user};
use super::output::{members, table};
use super::quota::{QuotaCommand, quota};
use super::tenure::{ExpiryCommand, Noun, expiry};
use super::{Exit, Failure};
use crate::domain::plan::{Concurrency, Plan};
use crate::domain::{Amount, ChargeRule, Price};
use crate::service::{ChargeRuleOrder, Management, PlanChange, shown};
use crate::store::QuotaOwner;

#[derive(Debug, clap::Subcommand)]
pub(super) enum PlanCommand {
    /// Make a plan; its name is the name of its group.
    Add(Box<PlanArguments>),
    /// Show all plans.
    List,
    /// Show one with its attributes.
    Show {
        /// Its name.
        name: String,
    },
    /// Change what is named; `none` takes a limit away.
    Set(Box<PlanArguments>),
    /// Rules by which its subscriptions end.
    #[command(subcommand)]
    Expiry(ExpiryCommand),
    /// What its sessions cost, beside the figures of the plan itself.
    #[command(subcommand)]
    Charge(ChargeCommand),
    /// Limits on time and volume beyond its own figures.
    #[command(subcommand)]
    Quota(QuotaCommand),
    /// Remove a plan that nobody has.
    Delete {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum ChargeCommand {
    /// Add a rule; of those that apply the one with the lowest number counts.
    Add {
        /// Name of the plan.
        plan: String,
        /// Name of the rule.
        name: String,
        /// Charge per minute online.
        #[arg(long, value_name = "AMOUNT", value_parser = amount)]
        per_minute: Option<Amount>,
        /// Charge per 1,024 octets.
        #[arg(long, value_name = "AMOUNT", value_parser = amount)]
        per_kib: Option<Amount>,
        /// When it applies, as in Login-Time (`Wk0800-1800,Sa`); without it always.
        #[arg(long, value_name = "TIMES", default_value = "", hide_default_value = true)]
        window: String,
        /// Where it applies: addresses, networks and NAS-Identifiers, joined by commas; without it everywhere.
        #[arg(long, value_name = "LIST", default_value = "", hide_default_value = true)]
        nas: String,
    },
    /// Show the rules of a plan.
    List {
        /// Name of the plan.
        plan: String,
    },
    /// Remove a rule.
    Delete {
        /// Name of the plan.
        plan: String,
        /// Name of the rule.
        name: String,
    },
}

pub(super) fn amount(text: &str) -> Result<Amount, String> {
    Amount::parse(text).ok_or_else(|| format!("expects {}", Amount::EXPECTED))
}

#[derive(Debug, clap::Args)]
pub(super) struct PlanArguments {
    /// Its name.
    name: String,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What it costs.
    #[arg(long, value_name = "AMOUNT")]
    price: Option<Maybe<Amount>>,
    /// Three letters.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Seconds online; without it unlimited.
    #[arg(long, value_name = "SECONDS")]
    time: Option<Maybe<u64>>,
    /// Octets, both directions together; without it unlimited.
    #[arg(long, value_name = "BYTES")]
    quota: Option<Maybe<u64>>,
    /// Bit/s to the subscriber.
    #[arg(long, value_name = "BPS")]
    rate_down: Option<Maybe<u64>>,
    /// Bit/s from the subscriber.
    #[arg(long, value_name = "BPS")]
    rate_up: Option<Maybe<u64>>,
    /// Days from the first use.
    #[arg(long, value_name = "DAYS")]
    validity: Option<Maybe<u32>>,
    /// Credit that comes with the plan.
    #[arg(long, value_name = "AMOUNT")]
    credit: Option<Maybe<Amount>>,
    /// Credit that a recharge adds.
    #[arg(long, value_name = "AMOUNT")]
    recharge_credit: Option<Maybe<Amount>>,
    /// Charge per minute online.
    #[arg(long, value_name = "AMOUNT")]
    charge_per_minute: Option<Maybe<Amount>>,
    /// Charge per 1,024 octets.
    #[arg(long, value_name = "AMOUNT")]
    charge_per_kib: Option<Maybe<Amount>>,
    /// Day of the month on which periodic quotas begin anew.
    #[arg(long, value_name = "DAY")]
    reset_day: Option<Maybe<u8>>,
    /// Who gives way when all places are taken: reject-new, replace-oldest, same-device.
    #[arg(long, value_name = "WHO")]
    concurrency: Option<Maybe<Concurrency>>,
    /// Attributes of the group, each in one argument; those of the same name are replaced.
    #[arg(long = "attribute", value_name = "NAME OP VALUE", num_args = 1..)]
    attributes: Vec<String>,
    /// Names of attributes to remove.
    #[arg(long = "remove-attribute", value_name = "NAME", num_args = 1..)]
    remove: Vec<String>,
}

/// A value, or `none`.
#[derive(Clone, Debug)]
struct Maybe<T>(Option<T>);

/// Reads one kind of value of the command line.
trait Written: Sized {
    const EXPECTED: &'static str;
    fn read(text: &str) -> Option<Self>;
}

impl<T: Written> std::str::FromStr for Maybe<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        T::read(text).map(|value| Self(Some(value))).ok_or_else(|| format!("expects {} or none", T::EXPECTED))
    }
}

impl Written for Amount {
    const EXPECTED: &'static str = "a decimal number with at most 12 digits before the point and 18 after it";
    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Written for Concurrency {
    const EXPECTED: &'static str = "reject-new, replace-oldest, same-device";
    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

macro_rules! whole_numbers {
    ($($kind:ty),*) => {$(
        impl Written for $kind {
            const EXPECTED: &'static str = "a whole number";
            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}
whole_numbers!(u8, u32, u64);

impl PlanArguments {
    fn change(&self) -> PlanChange {
        fn inner<T: Clone>(value: &Option<Maybe<T>>) -> Option<Option<T>> {
            value.as_ref().map(|maybe| maybe.0.clone())
        }
        PlanChange {
            description: self.description.clone(),
            price: inner(&self.price),
            currency: self.currency.clone(),
            credit: inner(&self.credit),
            recharge_credit: inner(&self.recharge_credit),
            charge_per_minute: inner(&self.charge_per_minute),
            charge_per_kib: inner(&self.charge_per_kib),
            time: inner(&self.time),
            quota: inner(&self.quota),
            rate_down: inner(&self.rate_down),
            rate_up: inner(&self.rate_up),
            validity_days: inner(&self.validity),
            reset_day: inner(&self.reset_day),
            concurrency: inner(&self.concurrency),
            attributes: self.attributes.clone(),
            remove: self.remove.clone(),
        }
    }
}

pub(super) async fn plan(command: &PlanCommand, context: &Context) -> Result<Exit, Failure> {
    let management = context.gate.console(&user());
    match command {
        PlanCommand::Add(arguments) => {
            let name = &arguments.name;
            let id = management.add_plan(name, &arguments.change()).await?;
            let value = json!({ "id": id.0, "name": name });
            context.output.answer(&value, || format!("plan {name} has number {}", id.0));
        }
        PlanCommand::Set(arguments) => {
            let name = &arguments.name;
            management.set_plan(name, &arguments.change()).await?;
            let plan = management.plan(name).await?;
            context.output.answer(&plan_json(&plan), || people(&plan));
        }
        PlanCommand::Show { name } => {
            let plan = management.plan(name).await?;
            context.output.answer(&plan_json(&plan), || people(&plan));
        }
        PlanCommand::List => {
            let plans = management.plans().await?;
            let value: Vec<Value> = plans.iter().map(terms_json).map(Value::Object).collect();
            context.output.answer(&value.into(), || list(&plans));
        }
        PlanCommand::Expiry(command) => expiry(command, Noun::Plan, &management, context).await?,
        PlanCommand::Charge(command) => charge(command, &management, context).await?,
        PlanCommand::Quota(command) => {
            return quota(command, QuotaOwner::Plan(command.name()), context).await;
        }
        PlanCommand::Delete { name } => {
            management.delete_plan(name).await?;
            context.output.answer(&json!({ "deleted": name }), || format!("plan {name} is gone"));
        }
    }
    Ok(Exit::Done)
}

async fn charge(
    command: &ChargeCommand,
    management: &Management<'_>,
    context: &Context,
) -> Result<(), Failure> {
    match command {
        ChargeCommand::Add { plan, name, per_minute, per_kib, window, nas } => {
            let price =
                Price { per_minute: per_minute.unwrap_or_default(), per_kib: per_kib.unwrap_or_default() };
            let order =
                ChargeRuleOrder { name: name.clone(), price, window: window.clone(), nas: nas.clone() };
            let id = management.add_charge_rule(plan, &order).await?;
            let value = json!({ "id": id, "name": name });
            context.output.answer(&value, || format!("charge rule {name} of plan {plan} has number {id}"));
        }
        ChargeCommand::List { plan } => {
            let rules = management.charge_rules(plan).await?;
            let value: Vec<Value> = rules
                .iter()
                .map(|rule| {
                    json!({
                        "id": rule.id,
                        "name": rule.name.as_str(),
                        "per_minute": rule.price.per_minute.to_string(),
                        "per_kib": rule.price.per_kib.to_string(),
                        "window": rule.window.as_str(),
                        "nas": rule.nas.as_str(),
                    })
                })
                .collect();
            context.output.answer(&value.into(), || {
                let row = |rule: &ChargeRule| {
                    vec![
                        rule.id.to_string(),
                        rule.name.to_string(),
                        rule.price.per_minute.to_string(),
                        rule.price.per_kib.to_string(),
                        rule.window.to_string(),
                        rule.nas.to_string(),
                    ]
                };
                let rows: Vec<_> = rules.iter().map(row).collect();
                table(&["ID", "NAME", "PER MINUTE", "PER KIB", "WINDOW", "NAS"], &rows)
            });
        }
        ChargeCommand::Delete { plan, name } => {
            management.delete_charge_rule(plan, name).await?;
            let value = json!({ "deleted": name });
            context.output.answer(&value, || format!("charge rule {name} of plan {plan} is gone"));
        }
    }
    Ok(())
}

fn terms_json(plan: &Plan) -> serde_json::Map<String, Value> {
    let terms = &plan.terms;
    let amount = |amount: Option<Amount>| amount.map(|amount| amount.to_string());
    let value = json!({
        "id": plan.id.0,
        "name": plan.name.as_str(),
        "description": terms.description.as_str(),
        "price": amount(terms.price),
        "currency": terms.currency.as_str(),
        "time": terms.time,
        "quota": terms.quota,
        "rate_down": terms.rate_down,
        "rate_up": terms.rate_up,
        "validity": terms.validity_days,
        "credit": amount(terms.credit),
        "recharge_credit": amount(terms.recharge_credit),
        "charge_per_minute": amount(terms.charge_per_minute),
        "charge_per_kib": amount(terms.charge_per_kib),
        "reset_day": terms.reset_day,
        "concurrency": terms.concurrency.map(Concurrency::as_str),
        "subscribers": plan.subscribers,
    });
    match value {
        Value::Object(object) => object,
        _ => serde_json::Map::new(),
    }
}

fn plan_json(plan: &Plan) -> Value {
    let mut object = terms_json(plan);
    object.insert(
        "check".to_owned(),
        plan.check.iter().map(|row| shown(row, false)).collect::<Vec<_>>().into(),
    );
    object.insert(
        "reply".to_owned(),
        plan.reply.iter().map(|row| shown(row, false)).collect::<Vec<_>>().into(),
    );
    Value::Object(object)
}

fn people(plan: &Plan) -> String {
    let mut rows = members(&terms_json(plan));
    rows.extend(plan.check.iter().map(|row| vec!["check".to_owned(), shown(row, false)]));
    rows.extend(plan.reply.iter().map(|row| vec!["reply".to_owned(), shown(row, false)]));
    table(&["WHAT", "VALUE"], &rows)
}

fn list(plans: &[Plan]) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let row = |plan: &Plan| {
        let terms = &plan.terms;
        let price = terms.price.map_or_else(|| "-".to_owned(), |price| price.to_string());
        vec![
            plan.id.0.to_string(),
            plan.name.to_string(),
            format!("{price} {}", terms.currency).trim_end().to_owned(),
            number(terms.time),
            number(terms.quota),
            number(terms.rate_down),
            number(terms.rate_up),
            number(terms.validity_days.map(u64::from)),
            plan.subscribers.to_string(),
        ]
    };
    let rows: Vec<_> = plans.iter().map(row).collect();
    table(
        &["ID", "NAME", "PRICE", "TIME S", "QUOTA B", "DOWN BIT/S", "UP BIT/S", "DAYS", "SUBSCRIBERS"],
        &rows,
    )
}
