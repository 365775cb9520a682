//! The methods: which there are, who may call them, and what each does. One method is one call of the
//! service wherever what it needs is known beforehand.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::attrs::{self, Wanted};
use super::conds::{self, Conds};
use super::dates::Calendar;
use super::fault::{Fault, texts};
use super::numbers;
use super::params::{self, Params};
use super::shapes;
use super::value::{Rows, Value};
use crate::domain::customer::{
    Connection, CreditMove, Customer, CustomerFilter, NamedBy, OnlineSession, ServiceState, Window,
};
use crate::domain::{Amount, ChargeRule};
use crate::service::{CUSTOMERS_MAX, Change, CustomerError, CustomersOrder, Management, OwnAccount, Purse};

/// Who calls.
pub(super) enum Caller<'g> {
    /// An operator: ADMIN.
    Operator(Management<'g>),
    /// A subscriber: NORMAL_USER.
    User(OwnAccount<'g>),
}

/// What a call is about.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) params: Params<'a>,
    pub(super) calendar: &'a Calendar<'a>,
    /// Rows that a report or a search has at most.
    pub(super) rows_max: u32,
}

impl Input<'_> {
    fn window(&self) -> Result<Window, Fault> {
        conds::window(self.params, self.rows_max)
    }
}

/// Rows of a report that is not small.
const SMALL: u32 = 1_000;
/// Large reports that are read and written at a time: each takes some hundreds of megabytes.
static LARGE: Semaphore = Semaphore::const_new(2);

/// Waits until there is room for a report of so many rows.
async fn room(rows: u32) -> Option<SemaphorePermit<'static>> {
    if rows > SMALL { LARGE.acquire().await.ok() } else { None }
}

/// The methods.
pub(super) const METHODS: [&str; 36] = [
    "login.login",
    "login.webLogin",
    "session.expireSession",
    "session.getAuthData",
    "user.getUserInfo",
    "user.addNewUsers",
    "user.updateUserAttrs",
    "user.changeCreditExtended",
    "user.renewUsers",
    "user.rechargeUsers",
    "user.searchUser",
    "user.changeCredit",
    "user.changeDeposit",
    "user.changeDepositExtended",
    "user.killUserByID",
    "user.killUser",
    "user.delUser",
    "user.searchExpiredUsers",
    "user.temporaryExtendUsers",
    "user.setOneChargeRuleUsage",
    "user.doesUserExists",
    "user.changeStatus",
    "user.getRemainingDurationAndBytes",
    "user.saveSearchExpiredUsers",
    "group.listGroups",
    "group.getGroupInfo",
    "group.getGroupInfoByID",
    "report.getConnections",
    "report.getOnlineUsers",
    "report.getOnlineUsersCount",
    "report.getCreditChanges",
    "ras.getActiveRasIPs",
    "ras.getInActiveRases",
    "ras.deActiveRas",
    "ras.reActiveRas",
    "ras.getRasInfo",
];

/// Handlers of the real server that have no method here.
pub(super) const OTHER_HANDLERS: &[&str] = &[
    "SystemNotification",
    "admin",
    "balance",
    "bw",
    "charge",
    "customer",
    "extra_charge",
    "import_file",
    "invoice",
    "ippool",
    "isp",
    "ldap",
    "log_console",
    "mc",
    "notification",
    "online_payment",
    "perm",
    "snapshot",
    "stat",
    "telephony_support",
    "user_balance",
    "user_custom_field",
    "util",
    "voip_provider",
    "voucher",
];

/// A method by its name. Whether there is one is told before anything else, whoever asks.
pub(super) fn known(method: &str) -> Result<&'static str, Fault> {
    if let Some(known) = METHODS.into_iter().find(|known| *known == method) {
        return Ok(known);
    }
    Err(Fault::bare(match method.split_once('.') {
        None => format!("parseMethodName: invalid method_name --{}--", short(method)),
        Some((handler, name)) => {
            let ours = METHODS.iter().filter_map(|known| known.split_once('.'));
            let exists = ours.map(|(known, _)| known).chain(OTHER_HANDLERS.iter().copied());
            match exists.into_iter().find(|known| *known == handler) {
                None => format!("Handler --{}-- not found", short(handler)),
                Some(known) => format!("Handler --{known}-- has not method --{}--", short(name)),
            }
        }
    }))
}

fn short(word: &str) -> String {
    word.chars().take(100).collect()
}

/// Runs a method for whoever has been let in.
pub(super) async fn run(
    handler: &str,
    name: &str,
    caller: &Caller<'_>,
    input: Input<'_>,
) -> Result<Value, Fault> {
    let operator = match caller {
        Caller::Operator(operator) => operator,
        Caller::User(user) => return own(handler, name, user, input).await,
    };
    match (handler, name) {
        ("user", "getUserInfo") => get_user_info(operator, input).await,
        ("user", "addNewUsers") => add_new_users(operator, input).await,
        ("user", "updateUserAttrs") => update_user_attrs(operator, input).await,
        ("user", "changeCreditExtended") => change(operator, input, Purse::Credit, "credit", true).await,
        ("user", "changeCredit") => change(operator, input, Purse::Credit, "credit", false).await,
        ("user", "changeDepositExtended") => change(operator, input, Purse::Deposit, "deposit", true).await,
        ("user", "changeDeposit") => change(operator, input, Purse::Deposit, "deposit", false).await,
        ("user", "renewUsers") => {
            input.params.need(&["user_id", "comment"])?;
            operator.renew_customers(&ids(input)?, &input.params.text("comment")?).await?;
            Ok(true.into())
        }
        ("user", "rechargeUsers") => {
            input.params.need(&["user_id", "comment"])?;
            operator.recharge_customers(&ids(input)?, &input.params.text("comment")?).await?;
            Ok(Value::nothing())
        }
        ("user", "searchUser") => search_user(operator, input).await,
        ("user", "searchExpiredUsers") => search_expired(operator, input).await,
        ("user", "saveSearchExpiredUsers") => {
            input.params.need(&["conds"])?;
            Conds::new(input.params, input.calendar)?.expired()?;
            operator.customer_numbers(NamedBy::Number, &[]).await?;
            Ok(Value::nothing())
        }
        ("user", "killUserByID") => {
            let kill = input.params.maybe_boolean("kill")?.unwrap_or(true);
            operator.end_sessions_of(&ids(input)?, kill).await?;
            Ok(Value::nothing())
        }
        ("user", "killUser") => kill_user(operator, input).await,
        ("user", "delUser") => {
            let params = input.params;
            params.need(&["user_id", "delete_comment", "del_connection_logs", "del_audit_logs"])?;
            let (records, history) =
                (params.boolean("del_connection_logs")?, params.boolean("del_audit_logs")?);
            operator
                .delete_customers(&ids(input)?, &params.text("delete_comment")?, records, history)
                .await?;
            Ok(Value::nothing())
        }
        ("user", "temporaryExtendUsers") => {
            let params = input.params;
            // Some callers leave out what stands before each of them.
            let name = |long: &'static str| {
                let short = long.trim_start_matches("temporary_extend_");
                if params.find(long).is_none() && params.find(short).is_some() { short } else { long }
            };
            let (for_hours, more) = (name("temporary_extend_hours"), name("temporary_extend_credit"));
            params.need(&["user_id", for_hours, more])?;
            let hours = params.int(for_hours)?;
            let hours = u32::try_from(hours).map_err(|_| texts::INVALID_INT_VALUE.of(&[for_hours]))?;
            operator.extend_customers(&ids(input)?, hours, params.amount(more)?).await?;
            Ok(Value::nothing())
        }
        ("user", "setOneChargeRuleUsage") => {
            let params = input.params;
            params.need(&["user_id", "charge_rule_id", "credit_usage", "time_usage", "traffic_usage"])?;
            let (rule, credit) = (params.int("charge_rule_id")?, params.amount("credit_usage")?);
            let (seconds, octets) = (params.int("time_usage")?, params.int("traffic_usage")?);
            operator.set_rule_usage(&ids(input)?, rule, credit, seconds, octets).await?;
            Ok(Value::nothing())
        }
        ("user", "doesUserExists") => {
            Ok(operator.is_login(&input.params.text("normal_username")?).await?.into())
        }
        ("user", "changeStatus") => {
            input.params.need(&["user_id", "status"])?;
            operator.set_service_state(&ids(input)?, status(input)?).await?;
            Ok(Value::nothing())
        }
        ("user", "getRemainingDurationAndBytes") => {
            let users = operator.customers(NamedBy::Number, &ids(input)?).await?;
            remaining(operator, users.first()).await
        }
        ("group", "listGroups") => {
            let mut groups = operator.plan_heads().await?;
            groups.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(Value::List(groups.iter().map(|group| group.name.as_str().into()).collect()))
        }
        ("group", "getGroupInfo") => get_group_info(operator, input).await,
        ("group", "getGroupInfoByID") => get_group_info_by_id(operator, input).await,
        ("report", "getConnections") => get_connections(operator, input).await,
        ("report", "getCreditChanges") => get_credit_changes(operator, input).await,
        ("report", "getOnlineUsers") => get_online_users(operator, input).await,
        ("report", "getOnlineUsersCount") => online_count(operator).await,
        ("ras", _) => ras(operator, name, input).await,
        _ => Err(texts::ACCESS_DENIED.plain()),
    }
}

/// What a subscriber may call, about itself.
async fn own(handler: &str, name: &str, user: &OwnAccount<'_>, input: Input<'_>) -> Result<Value, Fault> {
    match (handler, name) {
        ("user", "getUserInfo") => {
            let me = user.customer().await?;
            let mut info = shapes::user_info(&me, input.calendar);
            let group = match user.plan().await? {
                Some(plan) => group_attrs(&plan),
                None => Vec::new(),
            };
            if let Value::Map(members) = &mut info
                && let Some((_, Value::Map(attrs))) = members.iter_mut().find(|(name, _)| name == "attrs")
            {
                attrs.retain(|(name, _)| name != "normal_password" && name != "voip_password");
                for (name, value) in group {
                    if !attrs.iter().any(|(known, _)| *known == name) {
                        attrs.push((name, value));
                    }
                }
            }
            Ok(info)
        }
        ("user", "killUserByID") => {
            user.end_sessions().await?;
            Ok(Value::nothing())
        }
        ("user", "getRemainingDurationAndBytes") => {
            let me = user.customer().await?;
            remaining_by(&me, &user.charge_rules().await?)
        }
        ("report", "getConnections") => {
            input.params.need(&["conds", "from", "to", "sort_by", "desc"])?;
            let conds = Conds::new(input.params, input.calendar)?;
            let (order, window) = (conds::connection_order(input.params)?, input.window()?);
            let Some(filter) = conds.connections()? else { return Ok(no_connections()) };
            let room = room(window.len()).await;
            let (rows, totals) = user.connections(filter, order, window).await?;
            connections((rows, room), &totals, conds.totals()?, input.calendar, true)
        }
        ("report", "getCreditChanges") => {
            input.params.need(&["conds", "from", "to", "sort_by", "desc"])?;
            let conds = Conds::new(input.params, input.calendar)?;
            let mut filter = conds.credit_changes()?;
            filter.by_delta = by_delta(input)?;
            let window = input.window()?;
            let room = room(window.len()).await;
            let (rows, totals) = user.credit_moves(filter, window).await?;
            Ok(Value::map([
                ("total_rows", Value::count(totals.rows)),
                ("report", credit_changes((rows, room), input.calendar, true)),
                ("total_per_user_credit", numbers::credit(totals.delta)),
                ("total_isp_credit", numbers::credit(Amount::ZERO)),
            ]))
        }
        _ => Err(texts::ACCESS_DENIED.plain()),
    }
}

/// The numbers of the users that a call names, as texts.
fn ids(input: Input<'_>) -> Result<Vec<String>, Fault> {
    let mut once = std::collections::HashSet::new();
    let mut ids = input.params.multi("user_id")?;
    ids.retain(|id| once.insert(id.trim().to_owned()));
    Ok(ids)
}

fn status(input: Input<'_>) -> Result<ServiceState, Fault> {
    let word = input.params.text("status")?;
    let known = shapes::STATES
        .iter()
        .enumerate()
        .find(|(number, (_, name))| *name == word || number.to_string() == word);
    known.map(|(_, (state, _))| *state).ok_or_else(|| texts::INVALID_STRING_VALUE.of(&["status"]))
}

async fn get_user_info(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    let selectors = [
        ("user_id", NamedBy::Number),
        ("normal_username", NamedBy::Login),
        ("voip_username", NamedBy::Voip),
        ("serial", NamedBy::Serial),
        ("phone", NamedBy::Phone),
        ("remote_ip", NamedBy::Address),
        // The specification's spelling.
        ("rempte_ip", NamedBy::Address),
    ];
    let Some((name, by)) = selectors.into_iter().find(|(name, _)| input.params.find(name).is_some()) else {
        return Err(texts::INCOMPLETE_REQUEST.of(&["user_id"]));
    };
    let users = operator.weighed_customers(by, &input.params.multi(name)?).await?;
    let infos = users.iter().map(|user| (user.id.to_string(), shapes::user_info(user, input.calendar)));
    Ok(Value::Map(infos.collect()))
}

async fn add_new_users(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    let params = input.params;
    // Branch A has an owner in the place of the ISP.
    let (isp, unknown) = match params.find("isp_name") {
        None if params.find("owner_name").is_some() => ("owner_name", texts::ADMIN_USERNAME_INVALID),
        _ => ("isp_name", texts::ISP_NAME_INVALID),
    };
    params.need(&["count", "credit", isp, "group_name", "credit_comment"])?;
    let count = params::int(params.get("count")?).ok_or_else(|| texts::COUNT_NOT_INTEGER.plain())?;
    let count = u32::try_from(count).ok().filter(|count| (1..=CUSTOMERS_MAX).contains(count));
    let count =
        count.ok_or_else(|| texts::INVALID_USER_COUNT.of(&[&params.text("count").unwrap_or_default()]))?;
    let credit = params::amount(params.get("credit")?).ok_or_else(|| texts::CREDIT_NOT_FLOAT.plain())?;
    if credit.is_negative() {
        return Err(texts::CREDIT_MUST_BE_POSITIVE.plain());
    }
    let mut fields = Vec::new();
    if let Some(custom) = params.find("custom_fields") {
        let members =
            params::members(custom).ok_or_else(|| texts::INVALID_LIST_VALUE.of(&["custom_fields"]))?;
        for (name, value) in Params::of(members).members() {
            fields.push((attrs::custom_name(name), attrs::stored(value)?));
        }
    }
    let order = CustomersOrder {
        count,
        account: account(operator, params, isp)
            .await?
            .ok_or_else(|| unknown.of(&[&params.text(isp).unwrap_or_default()]))?,
        plan: params.text("group_name")?,
        credit,
        comment: params.text("credit_comment")?,
        fields,
    };
    let made = operator.make_customers(&order).await?;
    Ok(Value::List(made.into_iter().map(Value::Int).collect()))
}

/// The account that an ISP or the owner of branch A stands for: an operator's is its own.
async fn account(operator: &Management<'_>, params: Params<'_>, name: &str) -> Result<Option<String>, Fault> {
    let said = params.text(name)?;
    if name == "isp_name" {
        return Ok(Some(said));
    }
    let operators = operator.operators().await?;
    Ok(operators.iter().find(|known| known.login == said).map(|known| known.account.to_string()))
}

async fn update_user_attrs(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    input.params.need(&["user_id", "attrs", "to_del_attrs"])?;
    let ids = ids(input)?;
    let mut wanted = Wanted::read(input.params, ids.len())?;
    let users = operator.customers(NamedBy::Number, &ids).await?;
    let mut changes = Vec::with_capacity(ids.len());
    for (place, id) in ids.into_iter().enumerate() {
        let number: i64 = id.trim().parse().map_err(|_| texts::INVALID_USER_ID.of(&[&id]))?;
        let nobody = Customer::default();
        let user = users.binary_search_by_key(&number, |user| user.id).ok();
        let user = user.and_then(|place| users.get(place)).unwrap_or(&nobody);
        let mut edit = wanted.edit(place, user, input.calendar)?;
        if let Some(owner) = edit.account.clone()
            && input.params.map("attrs")?.find("owner_name").is_some()
        {
            let attrs = input.params.map("attrs")?;
            let account = account(operator, attrs, "owner_name").await?;
            edit.account = Some(account.ok_or_else(|| texts::ADMIN_USERNAME_INVALID.of(&[&owner]))?);
        }
        changes.push((id, edit));
    }
    let edited = operator.edit_customers(changes, &wanted.made_up).await;
    edited.map_err(|error| match error {
        CustomerError::Service(crate::service::ServiceError::Invalid { field: "attribute", reason }) => {
            let named = wanted.radius.iter().find(|name| reason.contains(name.as_str()));
            texts::INVALID_RADIUS_ATTRIBUTE.of(&[named.map_or(reason.as_str(), String::as_str)])
        }
        other => other.into(),
    })?;
    Ok(Value::nothing())
}

async fn change(
    operator: &Management<'_>,
    input: Input<'_>,
    purse: Purse,
    what: &str,
    extended: bool,
) -> Result<Value, Fault> {
    let params = input.params;
    let comment = format!("{what}_comment");
    let how = if extended { "change_type" } else { "is_absolute_change" };
    params.need(&["user_id", what, how, &comment])?;
    let amount = params::amount(params.get(what)?).ok_or_else(|| match purse {
        Purse::Credit => texts::CREDIT_NOT_FLOAT.plain(),
        Purse::Deposit => texts::INVALID_FLOAT_VALUE.of(&[what]),
    })?;
    let change = if extended {
        let word = params.text(how)?;
        match word.as_str() {
            "ADD" => Change::Add(amount),
            "SET" => Change::Set(amount),
            "MULTIPLY" => Change::Multiply(amount),
            _ => return Err(texts::INVALID_CREDIT_ACTION.of(&[&word])),
        }
    } else if params.boolean(how)? {
        Change::Set(amount)
    } else {
        Change::Add(amount)
    };
    let entries = operator.change_purses(&ids(input)?, purse, change, &params.text(&comment)?).await?;
    Ok(Value::List(entries.into_iter().map(Value::Int).collect()))
}

fn found(found: crate::domain::customer::CustomersFound) -> Value {
    let ids = found.ids.into_iter().map(Value::Int).collect();
    Value::List(vec![Value::count(found.rows), numbers::credit(found.credit), Value::List(ids)])
}

async fn search_user(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    input.params.need(&["conds", "from", "to", "order_by", "desc"])?;
    let filter = Conds::new(input.params, input.calendar)?.users()?;
    let (order, window) = (conds::user_order(input.params)?, input.window()?);
    let filter = filter.unwrap_or_else(nobody);
    Ok(found(operator.search_customers(&filter, order, window).await?))
}

async fn search_expired(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    input.params.need(&["conds", "from", "to", "order_by", "desc"])?;
    let filter = Conds::new(input.params, input.calendar)?.expired()?;
    let (order, window) = (conds::user_order(input.params)?, input.window()?);
    let filter = filter.unwrap_or_else(nobody);
    Ok(found(operator.expired_customers(&filter, order, window).await?))
}

/// A filter that nobody passes.
fn nobody() -> CustomerFilter {
    CustomerFilter { customers: Some(Vec::new()), ..CustomerFilter::default() }
}

async fn kill_user(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    let params = input.params;
    params.need(&["user_id", "ras_ip", "unique_id_val", "kill"])?;
    let (nases, uniques) = (params.multi("ras_ip")?, params.multi("unique_id_val")?);
    let kill = params.boolean("kill")?;
    let users = operator.customers(NamedBy::Number, &ids(input)?).await?;
    let mut sessions = Vec::new();
    for (place, user) in users.iter().enumerate() {
        let (nas, wanted) = (super::multi_str::nth(&nases, place), super::multi_str::nth(&uniques, place));
        let here = |session: &&OnlineSession| {
            session.nas == nas && [session.port.as_str(), session.session_id.as_str()].contains(&wanted)
        };
        let Some(session) = user.online.iter().find(here) else {
            let name = user.login.as_deref().unwrap_or_default();
            return Err(texts::CANT_FIND_INSTANCE.of(&[name, nas, wanted]));
        };
        sessions.push(session.unique_id.clone());
    }
    operator.end_these_sessions(&sessions, kill).await?;
    Ok(Value::nothing())
}

/// `{rule: [seconds, octets, state]}`: what is left of the credit buys so much under each rule alone.
fn remaining_by(user: &Customer, rules: &[ChargeRule]) -> Result<Value, Fault> {
    let plan = user.plan.as_ref().map_or("", |(_, name)| name.as_str());
    let shown = |left: Option<u64>| left.map_or_else(|| "-1".to_owned(), |left| left.to_string());
    let rules = rules.iter().map(|rule| {
        let name = if rule.name.is_empty() { plan } else { rule.name.as_str() };
        let left = user.credit.saturating_plus(user.credit_limit);
        let (seconds, octets) = (rule.price.seconds_for(left), rule.price.octets_for(left));
        let value = Value::List(vec![shown(seconds).into(), shown(octets).into(), Value::Int(1)]);
        (name.to_owned(), value)
    });
    Ok(Value::Map(rules.collect()))
}

async fn remaining(operator: &Management<'_>, user: Option<&Customer>) -> Result<Value, Fault> {
    let Some(user) = user else { return Err(texts::USERID_DOESNT_EXISTS.of(&[""])) };
    let rules = match &user.plan {
        Some((_, plan)) => operator.charge_rules(plan).await?,
        None => Vec::new(),
    };
    remaining_by(user, &rules)
}

async fn get_group_info(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    if input.params.find("group_name").is_none() {
        if input.params.find("group_id").is_some() {
            return get_group_info_by_id(operator, input).await;
        }
        return Err(texts::INCOMPLETE_REQUEST.of(&["group_name"]));
    }
    let name = input.params.text("group_name")?;
    let found = operator.visible_plan(|_, known| known == name).await?;
    let (plan, account) = found.ok_or_else(|| texts::GROUP_NAME_INVALID.of(&[&name]))?;
    Ok(group_info(&plan, (account.0, &account.1)))
}

async fn get_group_info_by_id(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    let id = input.params.text("group_id")?;
    let wrong = || texts::GROUP_ID_INVALID.of(&[&id]);
    let number: i64 = id.trim().parse().map_err(|_| wrong())?;
    let found = operator.visible_plan(|known, _| known == number).await?;
    let (plan, account) = found.ok_or_else(wrong)?;
    Ok(group_info(&plan, (account.0, &account.1)))
}

fn group_info(plan: &crate::domain::plan::Plan, isp: (i64, &str)) -> Value {
    let attrs = group_attrs(plan);
    Value::map([
        ("group_id", Value::Int(plan.id.0)),
        ("group_name", plan.name.as_str().into()),
        ("comment", plan.terms.description.as_str().into()),
        ("isp_id", Value::Int(isp.0)),
        ("isp_name", isp.1.into()),
        // The Spring client makes no user of a group without it.
        ("status", "ACTIVE".into()),
        ("raw_attrs", Value::Map(attrs.clone())),
        ("attrs", Value::Map(attrs)),
    ])
}

/// What a group gives its users.
fn group_attrs(plan: &crate::domain::plan::Plan) -> Vec<(String, Value)> {
    let mut attrs: Vec<(String, Value)> = Vec::new();
    let mut put = |name: &str, value: String| attrs.push((name.to_owned(), value.into()));
    put("group_credit", numbers::credit_text(plan.terms.credit.unwrap_or_default()));
    if let Some(credit) = plan.terms.recharge_credit {
        put("recharge_credit", numbers::credit_text(credit));
    }
    if let Some(days) = plan.terms.validity_days {
        put("rel_exp_date", days.to_string());
        put("rel_exp_date_unit", "Days".to_owned());
    }
    if plan.terms.charge_per_minute.is_some() || plan.terms.charge_per_kib.is_some() {
        put("normal_charge", plan.name.to_string());
    }
    for (name, rows, attribute) in [
        ("multi_login", &plan.check, "Simultaneous-Use"),
        ("session_timeout", &plan.reply, "Session-Timeout"),
        ("idle_timeout", &plan.reply, "Idle-Timeout"),
        ("ippool", &plan.reply, "Framed-Pool"),
        ("mikrotik_bw", &plan.reply, "Mikrotik-Rate-Limit"),
    ] {
        if let Some(row) = rows.iter().find(|row| row.attribute.eq_ignore_ascii_case(attribute)) {
            put(name, row.value.to_string());
        }
    }
    attrs
}

async fn get_connections(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    input.params.need(&["conds", "from", "to", "sort_by", "desc"])?;
    let conds = Conds::new(input.params, input.calendar)?;
    let (order, window) = (conds::connection_order(input.params)?, input.window()?);
    let Some(mut filter) = conds.connections()? else { return Ok(no_connections()) };
    if let Some(login) = conds.follows()? {
        match operator.customer_numbers(NamedBy::Login, std::slice::from_ref(&login)).await {
            Ok(ids) if filter.customers.is_none() => filter.customers = Some(ids),
            Ok(ids) => filter.customers.iter_mut().for_each(|wanted| wanted.retain(|id| ids.contains(id))),
            Err(CustomerError::Obstacle(_)) => filter.login = Some(login),
            Err(other) => return Err(other.into()),
        }
    }
    let room = room(window.len()).await;
    let (rows, totals) = operator.connections(&filter, order, window).await?;
    connections((rows, room), &totals, conds.totals()?, input.calendar, false)
}

fn connections(
    (rows, room): (Vec<Connection>, Option<SemaphorePermit<'static>>),
    totals: &crate::domain::customer::ConnectionTotals,
    [credit, octets]: [bool; 2],
    calendar: &Calendar<'_>,
    own: bool,
) -> Result<Value, Fault> {
    let asked = |asked: bool, value: Value| if asked { value } else { Value::Int(-1) };
    let calendar = calendar.own();
    let report = Rows::new(rows, room, move |row| shapes::connection(row, &calendar.get(), own));
    Ok(Value::map([
        ("total_rows", Value::count(totals.rows)),
        ("total_in_bytes", asked(octets, Value::count(totals.output))),
        ("total_duration", asked(octets || credit, Value::count(totals.seconds))),
        ("total_out_bytes", asked(octets, Value::count(totals.input))),
        ("total_credit", asked(credit, numbers::credit(totals.cost))),
        ("report", Value::Rows(report)),
    ]))
}

fn no_connections() -> Value {
    let none = || Value::Int(-1);
    Value::map([
        ("total_rows", Value::Int(0)),
        ("total_in_bytes", none()),
        ("total_duration", none()),
        ("total_out_bytes", none()),
        ("total_credit", none()),
        ("report", Value::List(Vec::new())),
    ])
}

fn by_delta(input: Input<'_>) -> Result<bool, Fault> {
    let word = input.params.text("sort_by")?;
    match word.as_str() {
        "change_time" | "action" => Ok(false),
        "per_user_credit" | "isp_credit" => Ok(true),
        _ => Err(texts::INVALID_ORDER_BY.of(&[&word])),
    }
}

async fn get_credit_changes(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    input.params.need(&["conds", "from", "to", "sort_by", "desc"])?;
    let conds = Conds::new(input.params, input.calendar)?;
    let mut filter = conds.credit_changes()?;
    filter.by_delta = by_delta(input)?;
    let window = input.window()?;
    let room = room(window.len()).await;
    let (rows, totals) = operator.credit_moves(&filter, window).await?;
    Ok(Value::map([
        ("total_rows", Value::count(totals.rows)),
        ("report", credit_changes((rows, room), input.calendar, false)),
        ("total_per_user_credit", numbers::credit(totals.delta)),
        ("total_admin_credit", numbers::credit(Amount::ZERO)),
    ]))
}

fn credit_changes(
    (rows, room): (Vec<CreditMove>, Option<SemaphorePermit<'static>>),
    calendar: &Calendar<'_>,
    own: bool,
) -> Value {
    let calendar = calendar.own();
    Value::Rows(Rows::new(rows, room, move |row| shapes::credit_change(row, &calendar.get(), own)))
}

const ONLINE_ORDERS: [&str; 18] = [
    "user_id",
    "normal_username",
    "login_time_epoch",
    "duration_secs",
    "ras_description",
    "ras_ip",
    "isp_name",
    "unique_id_val",
    "current_credit",
    "group_name",
    "attrs_remote_ip",
    "in_bytes",
    "out_bytes",
    "in_rate",
    "out_rate",
    "attrs_mac",
    "attrs_station_ip",
    "attrs_caller_id",
];

async fn get_online_users(operator: &Management<'_>, input: Input<'_>) -> Result<Value, Fault> {
    let params = input.params;
    params.need(&["conds", "normal_sort_by", "normal_desc", "voip_sort_by", "voip_desc"])?;
    let order = params.text("normal_sort_by")?;
    if !ONLINE_ORDERS.contains(&order.as_str()) {
        return Err(texts::INVALID_ORDER_BY.of(&[&order]));
    }
    let descending = params.boolean("normal_desc")?;
    params.boolean("voip_desc")?;
    let filter = Conds::new(params, input.calendar)?.online()?;
    let is_in =
        |wanted: &[String], value: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == value);
    // How many there are is not known before.
    let room = room(u32::MAX).await;
    let mut online = operator.online_customers().await?;
    online.retain(|(session, user)| {
        let account = user.as_ref().map_or((0, ""), |user| (user.account.0, user.account.1.as_str()));
        (filter.accounts.is_empty() || filter.accounts.contains(&account.0))
            && is_in(&filter.account_names, account.1)
            && is_in(&filter.nases, &session.nas)
            && is_in(&filter.addresses, &session.address)
            && (filter.begins.is_empty()
                || filter.begins.iter().any(|begin| session.login.starts_with(begin.as_str())))
    });
    online.sort_by(|one, other| compare(&order, one, other));
    if descending {
        online.reverse();
    }
    let calendar = input.calendar.own();
    let users = Rows::new(online, room, move |(session, user)| {
        shapes::online_user(session, user.as_deref(), &calendar.get())
    });
    Ok(Value::List(vec![Value::Rows(users), Value::List(Vec::new())]))
}

type Online = (OnlineSession, Option<Arc<Customer>>);

fn compare(order: &str, one: &Online, other: &Online) -> std::cmp::Ordering {
    let text = |(session, user): &Online| -> String {
        let user = user.as_ref();
        match order {
            "normal_username" => session.login.to_string(),
            "ras_description" => session.nas_name.to_string(),
            "isp_name" => user.map(|user| user.account.1.to_string()).unwrap_or_default(),
            "group_name" => {
                user.and_then(|user| user.plan.as_ref()).map(|(_, name)| name.to_string()).unwrap_or_default()
            }
            "unique_id_val" => shapes::unique(&session.port, &session.session_id).1.to_owned(),
            "attrs_remote_ip" => session.address.to_string(),
            "attrs_mac" | "attrs_station_ip" | "attrs_caller_id" => session.station.to_string(),
            _ => session.nas.to_string(),
        }
    };
    let rate = |octets: u64, session: &OnlineSession| octets / session.updated.since(session.started).max(1);
    match order {
        "user_id" => one.0.subscriber.cmp(&other.0.subscriber),
        "login_time_epoch" => one.0.started.cmp(&other.0.started),
        "duration_secs" => other.0.started.cmp(&one.0.started),
        "in_bytes" => one.0.output.cmp(&other.0.output),
        "out_bytes" => one.0.input.cmp(&other.0.input),
        "in_rate" => rate(one.0.output, &one.0).cmp(&rate(other.0.output, &other.0)),
        "out_rate" => rate(one.0.input, &one.0).cmp(&rate(other.0.input, &other.0)),
        "current_credit" => {
            let credit = |online: &Online| online.1.as_ref().map(|user| user.credit);
            credit(one).cmp(&credit(other))
        }
        _ => text(one).cmp(&text(other)),
    }
}

async fn online_count(operator: &Management<'_>) -> Result<Value, Fault> {
    let online = operator.online_customers().await?;
    let many = |count: usize| Value::count(u64::try_from(count).unwrap_or(u64::MAX));
    let count = |of: &dyn Fn(&Online) -> String| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for user in &online {
            *counts.entry(of(user)).or_default() += 1;
        }
        counts
    };
    let shown = |counts: BTreeMap<String, usize>| {
        Value::Map(counts.into_iter().map(|(name, count)| (name, many(count))).collect())
    };
    let nases = count(&|(session, _)| session.nas_name.to_string());
    let counters = count(&|(session, _)| session.nas.to_string()).into_iter().map(|(nas, count)| {
        let counter = Value::map([
            ("ras_total", many(count)),
            ("ras_reonlined", Value::Int(0)),
            ("ras_failed", Value::Int(0)),
            ("ras_acct_not_started", Value::Int(0)),
            ("ras_idle", Value::Int(0)),
        ]);
        (nas, counter)
    });
    let groups = count(&|(_, user)| {
        user.as_ref()
            .and_then(|user| user.plan.as_ref())
            .map(|(_, name)| name.to_string())
            .unwrap_or_default()
    });
    let accounts =
        count(&|(_, user)| user.as_ref().map(|user| user.account.1.to_string()).unwrap_or_default());
    Ok(Value::map([
        ("internet_onlines", many(online.len())),
        ("voip_onlines", Value::Int(0)),
        ("re_onlined", Value::Int(0)),
        ("accounting_not_started", Value::Int(0)),
        ("failed_users", Value::Int(0)),
        ("idle_users", Value::Int(0)),
        ("ras_acct_not_started", Value::Map(Vec::new())),
        ("ras_description", shown(nases)),
        ("ras_counters", Value::Map(counters.collect())),
        ("group_name", shown(groups)),
        ("isp_name", shown(accounts)),
    ]))
}

/// Types of RASes as this dialect calls them.
fn ras_type(nas_type: &str) -> &'static str {
    match nas_type {
        "mikrotik" => "Mikrotik",
        "cisco" => "CiscoVPDN",
        "huawei" => "Huawei",
        "ruckus" => "Ruckus",
        "zte" => "ZTE",
        _ => "Generic",
    }
}

async fn ras(operator: &Management<'_>, name: &str, input: Input<'_>) -> Result<Value, Fault> {
    let params = input.params;
    if let "deActiveRas" | "reActiveRas" = name {
        let address = params.text("ras_ip")?;
        let active = name == "reActiveRas";
        let entries = operator.nas_entries().await?;
        let known = entries.iter().find(|entry| entry.address == address);
        return match known {
            None if active => Err(texts::NO_SUCH_INACTIVE_RAS.of(&[&address])),
            None => Err(texts::INVALID_RAS_IP.of(&[&address])),
            Some(entry) if active && !entry.disabled => Err(texts::NO_SUCH_INACTIVE_RAS.of(&[&address])),
            Some(entry) => {
                operator.enable_nas(&entry.address, active).await?;
                Ok(Value::nothing())
            }
        };
    }
    let entries = operator.nas_entries().await?;
    if name == "getRasInfo" {
        let address = params.text("ras_ip")?;
        let entry = entries.iter().find(|entry| entry.address == address);
        let entry = entry.ok_or_else(|| texts::INVALID_RAS_IP.of(&[&address]))?;
        let mut members = vec![
            ("ras_ip", Value::from(entry.address.as_str())),
            ("ras_id", Value::Int(entry.id)),
            ("ras_description", entry.name.as_str().into()),
            ("comment", "".into()),
            ("ras_type", ras_type(&entry.nas_type).into()),
        ];
        if let Some(port) = entry.coa_port {
            members.push(("attrs", Value::map([("coa_port", port.to_string().into())])));
        } else {
            members.push(("attrs", Value::Map(Vec::new())));
        }
        return Ok(Value::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()));
    }
    let wanted = params.maybe_text("type_filter")?;
    let of_type = |nas_type: &str| {
        wanted
            .as_ref()
            .is_none_or(|wanted| wanted.is_empty() || ras_type(nas_type).eq_ignore_ascii_case(wanted))
    };
    let inactive = name == "getInActiveRases";
    let addresses = entries.iter().filter(|entry| entry.disabled == inactive && of_type(&entry.nas_type));
    Ok(Value::List(addresses.map(|entry| entry.address.as_str().into()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_methods_are_told_before_anything_else() {
        let told = |method: &str| known(method).unwrap_err().to_string();
        assert_eq!(told("x.y"), "Handler --x-- not found");
        assert_eq!(told("user.fly"), "Handler --user-- has not method --fly--");
        assert_eq!(told("bw.getTree"), "Handler --bw-- has not method --getTree--");
        assert_eq!(told("user"), "parseMethodName: invalid method_name --user--");
        assert_eq!(known("user.getUserInfo"), Ok("user.getUserInfo"));
    }

    /// A step of a transcript: who calls if not `system`, the method, the envelope, what comes back.
    type Step = (String, &'static str, bool, String);

    fn steps() -> Vec<Step> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/scenarios");
        let mut steps = Vec::new();
        for name in ["document", "effects", "errors", "hostile", "methods"] {
            let text = std::fs::read_to_string(folder.join(format!("ibsng_{name}.txt"))).unwrap();
            for step in text.replace("\n    ", " ").lines() {
                let Some((call, answer)) = step.split_once(" => ") else { continue };
                let is_http = call.starts_with("http ibsng ");
                if !is_http && !call.starts_with("ibsng ") && !call.starts_with("xmlrpc ") {
                    continue;
                }
                let named = |method: &&str| {
                    let quoted = [format!("\"method\": \"{method}\""), format!("\"method\":\"{method}\"")];
                    call.contains(&format!(" {method} {{"))
                        || is_http && quoted.iter().any(|name| call.contains(name))
                };
                let Some(method) = METHODS.into_iter().find(named) else { continue };
                let who = call.split_once(" as ").map_or("", |(_, rest)| rest).replace("session ", "");
                let who = who.split(' ').next().unwrap_or_default().to_owned();
                let answer = if is_http && answer.contains("\"error\":null") { "done" } else { answer };
                let answer =
                    if is_http { answer.replace("\"result\":null", "fault") } else { answer.to_owned() };
                steps.push((who, method, call.starts_with("xmlrpc "), answer));
            }
        }
        steps
    }

    #[test]
    fn every_method_is_told_in_both_envelopes_with_its_success_its_failure_and_its_refusal() {
        let steps = steps();
        let told = |fits: &dyn Fn(&Step) -> bool| {
            METHODS
                .into_iter()
                .filter(|name| !steps.iter().any(|step| step.1 == *name && fits(step)))
                .collect()
        };
        let none: Vec<&str> = Vec::new();
        let is_fault = |answer: &str| answer.contains("fault ") || answer.contains("\"fault");
        let missing: Vec<&str> = told(&|(_, _, xml, answer)| !xml && !is_fault(answer));
        assert_eq!(missing, none, "without a success");
        let refusals = ["DONT_HAVE_PERMISSION|", "ACCESS_DENIED|"];
        let missing: Vec<&str> = told(&|(_, _, xml, answer)| {
            !xml && is_fault(answer) && !refusals.iter().any(|key| answer.contains(key))
        });
        assert_eq!(missing, none, "without a failure");
        let missing: Vec<&str> = told(&|(_, _, _, answer)| answer.contains("DONT_HAVE_PERMISSION|"));
        let anybodys = ["login.login", "login.webLogin", "session.expireSession", "session.getAuthData"];
        assert_eq!(missing, anybodys, "without somebody who may not");
        let missing: Vec<&str> = told(&|(_, _, xml, answer)| *xml && !is_fault(answer));
        assert_eq!(missing, none, "not in XML-RPC");
        let missing: Vec<&str> = told(&|(who, _, _, answer)| {
            who == "user" && (!is_fault(answer) || answer.contains("ACCESS_DENIED|Access Denied"))
        });
        assert_eq!(missing, anybodys, "not as a subscriber");
    }
}
