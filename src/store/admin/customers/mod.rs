//! Subscribers as customers: by their numbers, those among them that have no login yet.
//!
//! A customer without a login has no rows in FreeRADIUS's tables, which know logins alone. What belongs
//! there waits in `tk_custom_field` under the name of the table and the attribute, and moves with the login.

mod edit;
mod money;
mod reports;

pub use edit::CustomerChange;
pub use money::{NewCustomers, Refresh, WalletChange};

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use super::{Author, RADCHECK, RADREPLY, contacts, groups, subscribers};
use crate::domain::customer::{Customer, CustomerObstacle, NamedBy, OwnLimit, RuleUsage, ServiceState};
use crate::domain::operator::Scope;
use crate::domain::{AttributeRow, ChargePart, DeviceRow, ExpiryRow, Metric, Period, SubscriberStatus};
use crate::store::db::{Columns, Db, amount};
use crate::store::{Store, StoreError, charges};

/// Rows of FreeRADIUS's tables of a customer without a login are kept under these names.
const WAITING_CHECK: &str = "radcheck ";
const WAITING_REPLY: &str = "radreply ";

/// A customer that is there, within a transaction.
#[derive(Clone, Debug)]
struct Found {
    id: i64,
    login: Option<SmolStr>,
}

impl Store {
    /// Numbers of customers in the order in which they are named.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn customer_numbers(
        &self,
        by: NamedBy,
        names: &[String],
        scope: &Scope,
        author: &Author,
    ) -> Result<Result<Vec<i64>, CustomerObstacle>, StoreError> {
        let numbers = |found: Vec<Found>| found.into_iter().map(|found| found.id).collect();
        let mut tx = Tx::read(self.db()).await?;
        let found = resolve(&mut tx, by, names, scope, None).await?;
        drop(tx);
        if !matches!(found, Err(CustomerObstacle::Nobody(NamedBy::Login, _))) {
            return Ok(found.map(numbers));
        }
        let mut tx = Tx::begin(self.db()).await?;
        let found = resolve(&mut tx, by, names, scope, Some(author)).await?;
        tx.commit().await?;
        Ok(found.map(numbers))
    }

    /// Customers with all that is known of them, by number. Numbers that nobody has are passed over.
    /// Passwords are among their rows only if `secrets`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn customers(&self, ids: &[i64], secrets: bool) -> Result<Vec<Customer>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        load(&mut tx, self.db(), ids, secrets).await
    }

    /// The same with only what their own rows say, and their wallets.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn customer_heads(&self, ids: &[i64]) -> Result<Vec<Customer>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let binds: Vec<Bind<'_>> = ids.iter().map(|id| Bind::Int(*id)).collect();
        heads(&mut tx, &binds).await
    }
}

/// The customers that are named, in that order; each once. Logins that other tools made are given their numbers
/// if there is an author who may.
async fn resolve(
    tx: &mut Tx<'_>,
    by: NamedBy,
    names: &[String],
    scope: &Scope,
    author: Option<&Author>,
) -> Result<Result<Vec<Found>, CustomerObstacle>, StoreError> {
    let each = match resolve_each(tx, by, names, scope, author).await? {
        Ok(each) => each,
        Err(obstacle) => return Ok(Err(obstacle)),
    };
    let mut seen = HashSet::new();
    Ok(Ok(each.into_iter().flatten().filter(|found| seen.insert(found.id)).collect()))
}

/// Likewise, but those of each name: several may have a telephone number.
async fn resolve_each(
    tx: &mut Tx<'_>,
    by: NamedBy,
    names: &[String],
    scope: &Scope,
    author: Option<&Author>,
) -> Result<Result<Vec<Vec<Found>>, CustomerObstacle>, StoreError> {
    let within = groups::within(scope);
    let mut held = holders(tx, by, names, &within).await?;
    if let (NamedBy::Login, Some(author)) = (by, author) {
        let unknown: Vec<String> =
            names.iter().filter(|name| !held.contains_key(name.as_str())).cloned().collect();
        for name in &unknown {
            if subscribers::seen(tx, name, author).await?.is_none() {
                return Ok(Err(CustomerObstacle::Nobody(by, name.clone())));
            }
        }
        held.extend(holders(tx, by, &unknown, &within).await?);
    }
    let mut each = Vec::with_capacity(names.len());
    for name in names {
        match held.get(key_of(by, name).as_str()) {
            Some(found) => each.push(found.clone()),
            None => return Ok(Err(CustomerObstacle::Nobody(by, name.clone()))),
        }
    }
    Ok(Ok(each))
}

/// A name as the tables have it.
fn key_of(by: NamedBy, name: &str) -> String {
    match by {
        NamedBy::Number => name.trim().parse::<i64>().map(|id| id.to_string()).unwrap_or_default(),
        NamedBy::Address => {
            name.trim().parse::<std::net::IpAddr>().map(|address| address.to_string()).unwrap_or_default()
        }
        NamedBy::Login | NamedBy::Voip | NamedBy::Serial | NamedBy::Phone => name.to_owned(),
    }
}

/// Whom the names stand for, octet for octet, in the order of their numbers.
async fn holders(
    tx: &mut Tx<'_>,
    by: NamedBy,
    names: &[String],
    within: &str,
) -> Result<HashMap<SmolStr, Vec<Found>>, StoreError> {
    let keys: Vec<String> = names.iter().map(|name| key_of(by, name)).filter(|key| !key.is_empty()).collect();
    let address = tx.pick(
        "r.framedipaddress",
        "split_part(CAST(r.framedipaddress AS text), '/', 1)",
        "r.framedipaddress",
    );
    let credential = "JOIN tk_credential c ON c.subscriber_id = s.id AND c.kind =";
    let sources = match by {
        NamedBy::Number => vec![("s.id", String::new())],
        NamedBy::Login => vec![("s.username", String::new())],
        NamedBy::Voip => vec![("c.identifier", format!("{credential} 'voip'"))],
        NamedBy::Serial => vec![("c.identifier", format!("{credential} 'serial'"))],
        NamedBy::Phone => ["c.phone", "c.alt_phone", "c.mobile"]
            .map(|column| (column, "JOIN tk_contact c ON c.subscriber_id = s.id".to_owned()))
            .into(),
        NamedBy::Address => vec![(
            address,
            "JOIN tk_session t ON t.subscriber_id = s.id
                 JOIN radacct r ON r.acctuniqueid = t.unique_id AND r.acctstoptime IS NULL"
                .to_owned(),
        )],
    };
    let mut all: HashMap<SmolStr, Vec<Found>> = HashMap::new();
    for (key, join) in sources {
        let binds: Vec<Bind<'_>> = match by {
            NamedBy::Number => keys.iter().filter_map(|key| key.parse().ok().map(Bind::Int)).collect(),
            _ => keys.iter().map(|key| Bind::Text(key)).collect(),
        };
        let sql = format!(
            "SELECT DISTINCT s.id, s.username, {key} FROM tk_subscriber s {join}
             WHERE {key} IN ({{}}) AND s.status <> 'deleted'{within} ORDER BY s.id"
        );
        let found = tx.fetch_in("tk_subscriber", &sql, &binds, |row| {
            let id = row.number(0)?;
            let key = if by == NamedBy::Number { id.to_string().into() } else { row.word(2)? };
            Ok((key, Found { id, login: row.text(1)? }))
        });
        for (key, found) in found.await? {
            all.entry(key).or_default().push(found);
        }
    }
    Ok(all)
}

/// What customers' own rows say, and their wallets, in the order of their numbers.
async fn heads(tx: &mut Tx<'_>, binds: &[Bind<'_>]) -> Result<Vec<Customer>, StoreError> {
    let sql = format!(
        "SELECT s.id, s.username, s.account_id, COALESCE(a.name, ''), p.id, p.name, s.created_at, s.service_state, s.status,
             s.status_reason, s.expires_at, s.activation_at, s.first_use_at, s.real_first_use_at, s.last_use_at,
             s.renewed_at, s.comments, p.validity_days, s.grace_until, {}
         FROM tk_subscriber s LEFT JOIN tk_account a ON a.id = s.account_id LEFT JOIN tk_plan p ON p.id = s.plan_id
             LEFT JOIN tk_contact c ON c.subscriber_id = s.id
         WHERE s.id IN ({{}}) ORDER BY s.id",
        contacts::columns()
    );
    let mut customers = tx.fetch_in("tk_subscriber", &sql, binds, customer).await?;
    customers.sort_by_key(|customer| customer.id);
    customers.dedup_by_key(|customer| customer.id);
    let mut all = Places::of(&mut customers);
    let text = tx.pick("TEXT", "text", "CHAR");

    let sql = format!(
        "SELECT subscriber_id, kind, CAST(balance AS {text}), CAST(spent AS {text}), CAST(charged AS {text}),
             CAST(credit_limit AS {text})
         FROM tk_wallet WHERE subscriber_id IN ({{}})"
    );
    let wallets = tx.fetch_in("tk_wallet", &sql, binds, |row| {
        let sums = [amount(row, 2)?, amount(row, 3)?, amount(row, 4)?, amount(row, 5)?];
        Ok((row.number(0)?, row.word(1)?, sums))
    });
    for (id, kind, [balance, spent, charged, limit]) in wallets.await? {
        let Some(customer) = all.get(id) else { continue };
        match kind.as_str() {
            "credit" => {
                customer.credit = balance.saturating_minus(charged.saturating_minus(spent));
                customer.credit_limit = limit;
            }
            "money" => customer.deposit = balance,
            "recharge_deposit" => customer.recharge_deposit = balance,
            _ => {}
        }
    }
    Ok(customers)
}

/// All that is known of customers, in the order of their numbers.
async fn load(tx: &mut Tx<'_>, db: &Db, ids: &[i64], secrets: bool) -> Result<Vec<Customer>, StoreError> {
    let binds: Vec<Bind<'_>> = ids.iter().map(|id| Bind::Int(*id)).collect();
    let mut customers = heads(tx, &binds).await?;
    let mut all = Places::of(&mut customers);
    let text = tx.pick("TEXT", "text", "CHAR");

    let sql = format!(
        "SELECT u.subscriber_id, u.rule_id, COALESCE(r.name, ''), CAST(u.credit AS {text}), u.seconds, u.bytes
         FROM tk_charge_usage u LEFT JOIN tk_charge_rule r ON r.id = u.rule_id
         WHERE u.subscriber_id IN ({{}}) ORDER BY u.rule_id"
    );
    let usage = tx.fetch_in("tk_charge_usage", &sql, &binds, |row| {
        let usage = RuleUsage {
            rule: row.number(1)?,
            name: row.word(2)?,
            credit: amount(row, 3)?,
            seconds: row.count(4)?,
            octets: row.count(5)?,
        };
        Ok((row.number(0)?, usage))
    });
    for (id, usage) in usage.await? {
        if let Some(customer) = all.get(id) {
            customer.usage.push(usage);
        }
    }

    let sql = "SELECT s.id, e.id, e.plan_id, e.kind, e.value, e.unit FROM tk_subscriber s
         JOIN tk_expiry_rule e ON e.subscriber_id = s.id OR e.plan_id = s.plan_id WHERE s.id IN ({}) ORDER BY e.id";
    let rules = tx.fetch_in("tk_expiry_rule", sql, &binds, |row| {
        let rule = ExpiryRow {
            id: row.number(1)?,
            plan: row.int(2)?.map(|_| SmolStr::default()),
            kind: row.word(3)?,
            value: row.number(4)?,
            unit: row.word(5)?,
        };
        Ok((row.number(0)?, rule))
    });
    for (id, rule) in rules.await? {
        if let Some(customer) = all.get(id) {
            customer.rules.push(rule);
        }
    }

    let sql = "SELECT subscriber_id, id, mac, ip, source, valid_until FROM tk_device WHERE subscriber_id IN ({}) ORDER BY id";
    let devices = tx.fetch_in("tk_device", sql, &binds, |row| {
        let device = DeviceRow {
            id: row.number(1)?,
            mac: row.word(2)?,
            ip: row.word(3)?,
            source: row.word(4)?,
            valid_until: row.time(5)?,
        };
        Ok((row.number(0)?, device))
    });
    for (id, device) in devices.await? {
        if let Some(customer) = all.get(id) {
            customer.devices.push(device);
        }
    }

    let sql = "SELECT subscriber_id, metric, period, quota_limit FROM tk_quota
         WHERE subscriber_id IN ({}) AND origin = 'user' ORDER BY id";
    let limits = tx.fetch_in("tk_quota", sql, &binds, |row| {
        Ok((row.number(0)?, row.word(1)?, row.word(2)?, row.number(3)?))
    });
    for (id, metric, period, limit) in limits.await? {
        if let (Some(customer), Some(metric), Some(period)) =
            (all.get(id), Metric::parse(&metric), Period::parse(&period))
        {
            customer.limits.push(OwnLimit { metric, period, limit, used: None });
        }
    }

    let sql =
        "SELECT subscriber_id, name, value FROM tk_custom_field WHERE subscriber_id IN ({}) ORDER BY name";
    let fields = tx
        .fetch_in("tk_custom_field", sql, &binds, |row| Ok((row.number(0)?, row.word(1)?, row.word(2)?)))
        .await?;
    for (id, name, value) in fields {
        let Some(customer) = all.get(id) else { continue };
        let waiting =
            |table: &str| name.strip_prefix(table).and_then(|name| waiting_row(tx.db(), name, &value));
        if let Some(row) = waiting(WAITING_CHECK) {
            customer.check.push(row);
        } else if let Some(row) = waiting(WAITING_REPLY) {
            customer.reply.push(row);
        } else {
            customer.fields.push((name, value));
        }
    }

    let sql = "SELECT subscriber_id, kind, identifier FROM tk_credential WHERE subscriber_id IN ({})";
    let credentials = tx
        .fetch_in("tk_credential", sql, &binds, |row| Ok((row.number(0)?, row.word(1)?, row.text(2)?)))
        .await?;
    for (id, kind, identifier) in credentials {
        let Some(customer) = all.get(id) else { continue };
        match kind.as_str() {
            "serial" => customer.serial = identifier,
            "voip" => customer.voip = identifier,
            _ => {}
        }
    }

    let logins: Vec<SmolStr> = all.logins.keys().cloned().collect();
    let names: Vec<Bind<'_>> = logins.iter().map(|login| Bind::Text(login)).collect();
    for table in [RADCHECK, RADREPLY] {
        let sql = format!(
            "SELECT username, id, attribute, op, value FROM {} WHERE username IN ({{}}) ORDER BY id",
            table.name
        );
        let rows = tx.fetch_in(table.name, &sql, &names, |row| {
            let attribute = AttributeRow {
                id: row.number(1)?,
                attribute: row.word(2)?,
                op: row.word(3)?,
                value: row.word(4)?,
            };
            Ok((row.word(0)?, attribute))
        });
        for (login, mut row) in rows.await? {
            let Some(customer) = all.by_login(&login) else { continue };
            tx.db().reveal(&mut row);
            if table.name == RADCHECK.name { &mut customer.check } else { &mut customer.reply }.push(row);
        }
    }

    for session in reports::online(tx, db, reports::OpenOf::Customers(&binds)).await? {
        if let Some(customer) = all.get(session.subscriber) {
            customer.online.push(session);
        }
    }
    // What open sessions have used is posted when they end.
    let sql = "SELECT c.subscriber_id, c.charges FROM tk_cdr c JOIN radacct a ON a.acctuniqueid = c.unique_id
         WHERE c.postings = 0 AND a.acctstoptime IS NULL AND c.subscriber_id IN ({})";
    let running = tx.fetch_in("tk_cdr", sql, &binds, |row| Ok((row.number(0)?, row.word(1)?))).await?;
    for (id, charges) in running {
        let Some(customer) = all.get(id) else { continue };
        for part in charges::from_json(&charges).map(|charge| charge.parts).unwrap_or_default() {
            add_usage(&mut customer.usage, &part);
        }
    }
    if !secrets {
        for customer in &mut customers {
            customer.check.retain(|row| !is_password(&row.attribute));
        }
    }
    Ok(customers)
}

/// Adds what an open session has used under a rule.
fn add_usage(all: &mut Vec<RuleUsage>, part: &ChargePart) {
    let octets = part.used.input.saturating_add(part.used.output);
    if let Some(known) = all.iter_mut().find(|usage| usage.rule == part.rule) {
        known.credit = known.credit.saturating_plus(part.cost());
        known.seconds = known.seconds.saturating_add(part.used.seconds);
        known.octets = known.octets.saturating_add(octets);
    } else {
        let (rule, name, credit) = (part.rule, part.name.clone(), part.cost());
        all.push(RuleUsage { rule, name, credit, seconds: part.used.seconds, octets });
    }
}

/// Is a check row of this name a secret?
fn is_password(attribute: &str) -> bool {
    attribute.to_ascii_lowercase().contains("password")
}

/// A row of FreeRADIUS's tables that waits for a login: its name, and its operator and value.
fn waiting_row(db: &Db, name: &str, value: &str) -> Option<AttributeRow> {
    let (op, value) = value.split_once(' ')?;
    let mut row = AttributeRow { id: 0, attribute: name.into(), op: op.into(), value: value.into() };
    db.reveal(&mut row);
    Some(row)
}

/// Customers by number and by login.
struct Places<'a> {
    customers: &'a mut [Customer],
    ids: HashMap<i64, usize>,
    logins: HashMap<SmolStr, usize>,
}

impl<'a> Places<'a> {
    fn of(customers: &'a mut [Customer]) -> Self {
        let ids = customers.iter().enumerate().map(|(place, customer)| (customer.id, place)).collect();
        let logins = customers
            .iter()
            .enumerate()
            .filter_map(|(place, customer)| Some((customer.login.clone()?, place)))
            .collect();
        Self { customers, ids, logins }
    }

    fn get(&mut self, id: i64) -> Option<&mut Customer> {
        self.ids.get(&id).and_then(|place| self.customers.get_mut(*place))
    }

    fn by_login(&mut self, login: &str) -> Option<&mut Customer> {
        self.logins.get(login).and_then(|place| self.customers.get_mut(*place))
    }
}

/// How many columns come before those of the contact.
const CUSTOMER_COLUMNS: usize = 19;

fn customer(row: &dyn Columns) -> Result<Customer, sqlx::Error> {
    let plan = row.int(4)?.zip(row.text(5)?);
    Ok(Customer {
        id: row.number(0)?,
        login: row.text(1)?,
        account: (row.number(2)?, row.word(3)?),
        plan,
        created: row.time(6)?.unwrap_or_default(),
        state: ServiceState::parse(&row.word(7)?),
        status: SubscriberStatus::parse(&row.word(8)?).unwrap_or(SubscriberStatus::Blocked),
        status_reason: row.word(9)?,
        expires: row.time(10)?,
        activation: row.time(11)?,
        first_use: row.time(12)?,
        real_first_use: row.time(13)?,
        last_use: row.time(14)?,
        renewed: row.time(15)?,
        comments: row.word(16)?,
        validity_days: row.int(17)?.and_then(|days| u32::try_from(days).ok()),
        grace: row.time(18)?,
        contact: contacts::read(row, CUSTOMER_COLUMNS)?,
        ..Customer::default()
    })
}
