//! What customers did: who is online, connections, movements of credit, and searching for customers.
//!
//! A report is counted, then the numbers of its window are read in order, then the rows of these numbers.

use std::collections::HashMap;

use crate::domain::Amount;
use crate::domain::customer::{
    Comparison, Connection, ConnectionFilter, ConnectionOrder, ConnectionTotals, CreditMove,
    CreditMoveFilter, CreditMoveTotals, CustomerFilter, CustomerOrder, CustomersFound, OnlineSession,
    TextMatch, Window,
};
use crate::domain::operator::Scope;
use crate::domain::report::Span;
use crate::store::admin::groups;
use crate::store::admin::tx::{Bind, Tx};
use crate::store::db::{Columns, Db, amount};
use crate::store::{Store, StoreError, charges};

/// A value for a placeholder.
#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Int(i64),
    Amount(Amount),
}

/// Conditions that all have to hold, with the values of their placeholders.
#[derive(Clone, Debug, Default)]
struct Wheres {
    text: String,
    values: Vec<Value>,
}

impl Wheres {
    fn and(&mut self, text: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push_str(" AND ");
        self.text.push_str(text);
        self.values.extend(values);
    }

    /// The expression is one of these values; of none it never is.
    fn one_of(&mut self, expression: &str, values: Vec<Value>) {
        if values.is_empty() {
            return self.and("1 = 0", []);
        }
        let marks = vec!["?"; values.len()].join(", ");
        self.and(&format!("{expression} IN ({marks})"), values);
    }

    fn ids(&mut self, expression: &str, ids: &[i64]) {
        // Numbers only, so nothing is bound, and there may be many.
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        if list.is_empty() {
            self.and("1 = 0", [])
        } else {
            self.and(&format!("{expression} IN ({})", list.join(", ")), [])
        }
    }

    /// The column, in which times are kept as `value` makes them of seconds, lies in the span.
    fn within(&mut self, column: &str, value: &str, span: Span) {
        if let Some(from) = span.from {
            self.and(&format!("{column} >= {value}"), [Value::Int(from.0)]);
        }
        if let Some(until) = span.until {
            self.and(&format!("{column} < {value}"), [Value::Int(until.0)]);
        }
    }

    fn money(&mut self, db: &Db, column: &str, (comparison, sum): (Comparison, Amount)) {
        let sign = comparison.sign();
        let text = match db {
            Db::Sqlite(_) => format!("CAST({column} AS REAL) {sign} CAST(? AS REAL)"),
            Db::Postgres(_) => format!("CAST({column} AS numeric) {sign} CAST(? AS numeric)"),
            Db::MySql(_) => format!("{column} {sign} CAST(? AS DECIMAL(30, 18))"),
        };
        self.and(&text, [Value::Amount(sum)]);
    }

    fn like(&mut self, db: &Db, column: &str, how: TextMatch, text: &str) {
        let plain = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let pattern = match how {
            TextMatch::Equal => return self.and(&format!("{column} = ?"), [Value::Text(text.to_owned())]),
            TextMatch::Within | TextMatch::WithinAnyCase => format!("%{plain}%"),
            TextMatch::Prefix => format!("{plain}%"),
            TextMatch::Suffix => format!("%{plain}"),
        };
        let any_case = how == TextMatch::WithinAnyCase;
        let sql = match (any_case, db) {
            (true, Db::MySql(_)) => {
                format!("LOWER(CONVERT({column} USING utf8mb4)) LIKE LOWER(?) ESCAPE '!'")
            }
            (true, _) => format!("lower({column}) LIKE lower(?) ESCAPE '!'"),
            (false, _) => format!("{column} LIKE ? ESCAPE '!'"),
        };
        self.and(&sql, [Value::Text(pattern)]);
    }

    fn binds(&self) -> Vec<Bind<'_>> {
        self.values
            .iter()
            .map(|value| match value {
                Value::Text(text) => Bind::Text(text),
                Value::Int(number) => Bind::Int(*number),
                Value::Amount(sum) => Bind::Amount(*sum),
            })
            .collect()
    }
}

/// The sum of a column of money, as text.
fn sum_of(db: &Db, column: &str) -> String {
    match db {
        Db::Sqlite(_) => format!("printf('%.12f', COALESCE(SUM(CAST({column} AS REAL)), 0))"),
        Db::Postgres(_) => format!("CAST(COALESCE(SUM({column}), 0) AS text)"),
        Db::MySql(_) => format!("CAST(COALESCE(SUM({column}), 0) AS CHAR)"),
    }
}

/// A sum that was selected as text; one beyond what an amount holds is the greatest.
fn total(row: &dyn Columns, column: usize) -> Result<Amount, sqlx::Error> {
    let text = row.word(column)?;
    Ok(Amount::parse(&text).unwrap_or(Amount::MAX))
}

/// A sum of integers, which PostgreSQL and MySQL have as decimals.
fn sum_int(db: &Db, column: &str) -> String {
    let kind = db.pick("INTEGER", "bigint", "SIGNED");
    format!("CAST(COALESCE(SUM({column}), 0) AS {kind})")
}

fn texts(texts: &[String]) -> Vec<Value> {
    texts.iter().cloned().map(Value::Text).collect()
}

/// An address as text: a column of PostgreSQL may have a type of its own.
fn host(db: &Db, column: &str) -> String {
    match db {
        Db::Postgres(_) => format!("split_part(CAST({column} AS text), '/', 1)"),
        Db::Sqlite(_) | Db::MySql(_) => column.to_owned(),
    }
}

/// `radacct.acctuniqueid` as `tk_session` has it.
pub(super) const fn unique_id(db: &Db) -> &'static str {
    db.pick(
        "a.acctuniqueid",
        "a.acctuniqueid",
        "CAST(a.acctuniqueid AS CHAR CHARACTER SET ascii) COLLATE ascii_bin",
    )
}

/// Whose open sessions are wanted.
pub(super) enum OpenOf<'a> {
    /// Of these customers.
    Customers(&'a [Bind<'a>]),
    /// Of everybody in a scope.
    All(&'a Scope),
}

/// Open sessions, the oldest first.
pub(super) async fn online(
    tx: &mut Tx<'_>,
    db: &Db,
    of: OpenOf<'_>,
) -> Result<Vec<OnlineSession>, StoreError> {
    let (nas, address) = (host(db, "a.nasipaddress"), host(db, "a.framedipaddress"));
    let columns = format!(
        "SELECT a.acctuniqueid, COALESCE(t.subscriber_id, s.id, 0), a.username, {nas},
             COALESCE((SELECT MIN(n.shortname) FROM nas n WHERE n.nasname = {nas}), ''),
             COALESCE(a.nasportid, ''), a.acctsessionid, {}, {}, a.callingstationid, {address}, a.acctinputoctets,
             a.acctoutputoctets
         FROM radacct a LEFT JOIN tk_session t ON t.unique_id = {} LEFT JOIN tk_subscriber s ON s.username = a.username
         WHERE a.acctstoptime IS NULL",
        db.seconds_of("a.acctstarttime"),
        db.seconds_of("a.acctupdatetime"),
        unique_id(db),
    );
    let read = |row: &dyn Columns| {
        Ok(OnlineSession {
            unique_id: row.word(0)?,
            subscriber: row.int(1)?.unwrap_or(0),
            login: row.word(2)?,
            nas: row.word(3)?,
            nas_name: row.word(4)?,
            port: row.word(5)?,
            session_id: row.word(6)?,
            started: row.time(7)?.unwrap_or_default(),
            updated: row.time(8)?.unwrap_or_default(),
            station: row.word(9)?,
            address: row.word(10)?,
            input: row.count(11)?,
            output: row.count(12)?,
        })
    };
    let mut found = match of {
        OpenOf::Customers(ids) => {
            // Of logins that these have now; a session that began under another name has its number.
            let sql = "SELECT username FROM tk_subscriber WHERE username IS NOT NULL AND id IN ({})";
            let logins = tx.fetch_in("tk_subscriber", sql, ids, |row| row.word(0)).await?;
            let logins: Vec<Bind<'_>> = logins.iter().map(|login| Bind::Text(login)).collect();
            let by_login = format!("{columns} AND a.username IN ({{}})");
            let mut found = tx.fetch_in("radacct", &by_login, &logins, read).await?;
            let wanted: std::collections::HashSet<i64> =
                ids.iter().filter_map(|id| if let Bind::Int(id) = id { Some(*id) } else { None }).collect();
            found.retain(|session| wanted.contains(&session.subscriber));
            found
        }
        OpenOf::All(scope) => {
            let sql = format!("{columns}{}", groups::within(scope));
            tx.fetch("radacct", &sql, &[], read).await?
        }
    };
    found.sort_by(|one, other| (one.started, &one.unique_id).cmp(&(other.started, &other.unique_id)));
    found.dedup_by(|one, other| one.unique_id == other.unique_id);
    Ok(found)
}

impl Store {
    /// Everybody's open sessions, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn online_customers(&self, scope: &Scope) -> Result<Vec<OnlineSession>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        online(&mut tx, self.db(), OpenOf::All(scope)).await
    }

    /// Connections of a window in their order, and what all of the filter's add up to.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn connections(
        &self,
        filter: &ConnectionFilter,
        order: ConnectionOrder,
        window: Window,
        scope: &Scope,
    ) -> Result<(Vec<Connection>, ConnectionTotals), StoreError> {
        let db = self.db();
        let mut tx = Tx::read(db).await?;
        let sessions = (filter.successful != Some(false)).then(|| closed(db, filter, scope));
        let refusals =
            (filter.successful != Some(true) && may_be_refused(filter)).then(|| refused(db, filter, scope));
        let mut totals = ConnectionTotals::default();
        if let Some((from, wheres)) = &sessions {
            let sums = if filter.totals {
                format!(
                    "{}, {}, {}, {}",
                    sum_int(db, "a.acctsessiontime"),
                    sum_int(db, "a.acctinputoctets"),
                    sum_int(db, "a.acctoutputoctets"),
                    sum_of(db, "c.credit_used")
                )
            } else {
                "0, 0, 0, '0'".to_owned()
            };
            let sql =
                format!("SELECT COUNT(*), {sums} {from} WHERE a.acctstoptime IS NOT NULL{}", wheres.text);
            let binds = wheres.binds();
            let found = tx.fetch("radacct", &sql, &binds, |row| {
                Ok(ConnectionTotals {
                    rows: row.count(0)?,
                    seconds: row.count(1)?,
                    input: row.count(2)?,
                    output: row.count(3)?,
                    cost: total(row, 4)?,
                })
            });
            totals = found.await?.into_iter().next().unwrap_or_default();
        }
        if let Some((from, wheres)) = &refusals {
            let sql = format!("SELECT COUNT(*) {from} WHERE l.reason <> ''{}", wheres.text);
            let found = tx.fetch("tk_auth_log", &sql, &wheres.binds(), |row| row.count(0)).await?;
            totals.rows = totals.rows.saturating_add(found.into_iter().next().unwrap_or(0));
        }
        let direction = if window.descending { "DESC" } else { "ASC" };
        let mut parts = Vec::new();
        let mut values = Vec::new();
        if let Some((from, wheres)) = sessions {
            let key = session_key(db, order);
            parts.push(format!(
                "SELECT 1 AS kind, a.radacctid AS id, {key} AS sorting {from} WHERE a.acctstoptime IS NOT NULL{}",
                wheres.text
            ));
            values.extend(wheres.values);
        }
        if let Some((from, wheres)) = refusals {
            let key = refusal_key(db, order);
            parts.push(format!(
                "SELECT 0 AS kind, l.id AS id, {key} AS sorting {from} WHERE l.reason <> ''{}",
                wheres.text
            ));
            values.extend(wheres.values);
        }
        if parts.is_empty() || window.is_empty() {
            return Ok((Vec::new(), totals));
        }
        let sql = format!(
            "SELECT kind, id FROM ({}) w ORDER BY sorting {direction}, kind {direction}, id {direction} LIMIT ? OFFSET ?",
            parts.join(" UNION ALL ")
        );
        values.extend([Value::Int(window.len().into()), Value::Int(window.from.into())]);
        let all = Wheres { text: String::new(), values };
        let wanted =
            tx.fetch("radacct", &sql, &all.binds(), |row| Ok((row.number(0)?, row.number(1)?))).await?;
        let ids = |kind: i64| -> Vec<Bind<'_>> {
            wanted.iter().filter(|(known, _)| *known == kind).map(|(_, id)| Bind::Int(*id)).collect()
        };
        let mut rows: HashMap<(i64, i64), Connection> = HashMap::new();
        for row in tx.fetch_in("radacct", &session_rows(db), &ids(1), session_row).await? {
            rows.insert((1, row.id), row);
        }
        for row in tx.fetch_in("tk_auth_log", REFUSAL_ROWS, &ids(0), refusal_row).await? {
            rows.insert((0, row.id), row);
        }
        Ok((wanted.iter().filter_map(|key| rows.remove(key)).collect(), totals))
    }

    /// Movements of credit of a window, by time or by how much.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn credit_moves(
        &self,
        filter: &CreditMoveFilter,
        window: Window,
        scope: &Scope,
    ) -> Result<(Vec<CreditMove>, CreditMoveTotals), StoreError> {
        let db = self.db();
        let mut tx = Tx::read(db).await?;
        let mut wheres = Wheres::default();
        if let Some(ids) = &filter.customers {
            wheres.ids("m.subscriber_id", ids);
        }
        if let Some(actor) = &filter.actor {
            wheres.and("m.actor = ?", [Value::Text(actor.clone())]);
        }
        if let Some(actions) = &filter.actions {
            wheres.one_of("m.action", actions.iter().map(|word| Value::Text((*word).to_owned())).collect());
        }
        if let Some(delta) = filter.delta {
            wheres.money(db, "m.delta", delta);
        }
        wheres.within("m.at", "?", filter.at);
        if let Some(remote) = &filter.remote {
            wheres.and("m.remote_addr = ?", [Value::Text(remote.clone())]);
        }
        if let Some(comment) = &filter.comment {
            wheres.like(db, "m.comment", TextMatch::Within, comment);
        }
        let from = format!(
            "FROM tk_ledger m JOIN tk_subscriber s ON s.id = m.subscriber_id LEFT JOIN tk_account a ON a.id = s.account_id
             WHERE m.wallet = 'credit' AND m.action <> 'USAGE'{}{}",
            groups::within(scope),
            wheres.text
        );
        let sql = format!("SELECT COUNT(*), {} {from}", sum_of(db, "m.delta"));
        let binds = wheres.binds();
        let totals = tx.fetch("tk_ledger", &sql, &binds, |row| {
            Ok(CreditMoveTotals { rows: row.count(0)?, delta: total(row, 1)? })
        });
        let totals = totals.await?.into_iter().next().unwrap_or_default();
        let direction = if window.descending { "DESC" } else { "ASC" };
        let key = match (filter.by_delta, db) {
            (false, _) => "m.at",
            (true, Db::Sqlite(_)) => "CAST(m.delta AS REAL)",
            (true, Db::Postgres(_) | Db::MySql(_)) => "m.delta",
        };
        let text = db.pick("TEXT", "text", "CHAR");
        let sql = format!(
            "SELECT m.id, m.subscriber_id, m.action, CAST(m.delta AS {text}), m.actor,
                 COALESCE((SELECT o.id FROM tk_admin o WHERE o.login = m.actor), 0), m.remote_addr, m.at, m.comment,
                 s.account_id, COALESCE(a.name, '')
             {from} ORDER BY {key} {direction}, m.id {direction} LIMIT ? OFFSET ?"
        );
        wheres.values.extend([Value::Int(window.len().into()), Value::Int(window.from.into())]);
        let binds = wheres.binds();
        let rows = tx.fetch("tk_ledger", &sql, &binds, |row| {
            Ok(CreditMove {
                id: row.number(0)?,
                customer: row.number(1)?,
                action: row.word(2)?,
                delta: amount(row, 3)?,
                actor: row.word(4)?,
                actor_id: row.number(5)?,
                remote: row.word(6)?,
                at: row.time(7)?.unwrap_or_default(),
                comment: row.word(8)?,
                account: (row.number(9)?, row.word(10)?),
            })
        });
        Ok((rows.await?, totals))
    }

    /// Customers of a window, how many there are, and what their credits add up to.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn search_customers(
        &self,
        filter: &CustomerFilter,
        order: CustomerOrder,
        window: Window,
        scope: &Scope,
    ) -> Result<CustomersFound, StoreError> {
        let db = self.db();
        let mut tx = Tx::read(db).await?;
        let wheres = customers_where(db, filter);
        let from = format!(
            "FROM tk_subscriber s LEFT JOIN tk_plan p ON p.id = s.plan_id LEFT JOIN tk_account a ON a.id = s.account_id
                 LEFT JOIN tk_contact c ON c.subscriber_id = s.id
                 LEFT JOIN tk_wallet w ON w.subscriber_id = s.id AND w.kind = 'credit'
                 LEFT JOIN tk_wallet d ON d.subscriber_id = s.id AND d.kind = 'money'
             WHERE s.status <> 'deleted'{}{}",
            groups::within(scope),
            wheres.text
        );
        let sql = format!("SELECT COUNT(*), {} {from}", sum_of(db, "w.balance"));
        let binds = wheres.binds();
        let counted = tx.fetch("tk_subscriber", &sql, &binds, |row| Ok((row.count(0)?, total(row, 1)?)));
        let (rows, credit) = counted.await?.into_iter().next().unwrap_or_default();
        let money = |column: &str| match db {
            Db::Sqlite(_) => format!("CAST({column} AS REAL)"),
            Db::Postgres(_) | Db::MySql(_) => column.to_owned(),
        };
        let key = match order {
            CustomerOrder::Number => "s.id".to_owned(),
            CustomerOrder::Login => "COALESCE(s.username, '')".to_owned(),
            CustomerOrder::Plan => "COALESCE(s.plan_id, 0)".to_owned(),
            CustomerOrder::Created => "s.created_at".to_owned(),
            CustomerOrder::Account => "s.account_id".to_owned(),
            CustomerOrder::Credit => format!("COALESCE({}, 0)", money("w.balance")),
            CustomerOrder::Deposit => format!("COALESCE({}, 0)", money("d.balance")),
            CustomerOrder::FirstUse => "COALESCE(s.first_use_at, 0)".to_owned(),
        };
        let direction = if window.descending { "DESC" } else { "ASC" };
        let sql = format!("SELECT s.id {from} ORDER BY {key} {direction}, s.id {direction} LIMIT ? OFFSET ?");
        let mut values = wheres;
        values.values.extend([Value::Int(window.len().into()), Value::Int(window.from.into())]);
        let ids = tx.fetch("tk_subscriber", &sql, &values.binds(), |row| row.number(0)).await?;
        Ok(CustomersFound { rows, credit, ids })
    }
}

/// What the conditions of a search are in SQL.
fn customers_where(db: &Db, filter: &CustomerFilter) -> Wheres {
    let mut wheres = Wheres::default();
    if let Some(ids) = &filter.customers {
        wheres.ids("s.id", ids);
    }
    if let Some((TextMatch::Equal, logins)) = &filter.logins {
        wheres.one_of("s.username", texts(logins));
    } else if let Some((how, logins)) = &filter.logins {
        let mut any = Wheres::default();
        for login in logins {
            any.like(db, "s.username", *how, login);
        }
        let either = any.text.trim_start_matches(" AND ").replace(" AND ", " OR ");
        wheres.and(&format!("({either})"), any.values);
    }
    if filter.without_login {
        wheres.and("s.username IS NULL", []);
    }
    if !filter.plans.is_empty() {
        wheres.one_of("p.name", texts(&filter.plans));
    }
    if !filter.not_plans.is_empty() {
        let marks = vec!["?"; filter.not_plans.len()].join(", ");
        wheres.and(&format!("(p.name IS NULL OR p.name NOT IN ({marks}))"), texts(&filter.not_plans));
    }
    if !filter.accounts.is_empty() {
        wheres.one_of("a.name", texts(&filter.accounts));
    }
    wheres.within("s.created_at", "?", filter.created);
    wheres.within("s.expires_at", "?", filter.expires);
    wheres.within("s.first_use_at", "?", filter.first_use);
    wheres.within("s.real_first_use_at", "?", filter.real_first_use);
    if filter.never_used {
        wheres.and("s.real_first_use_at IS NULL AND s.first_use_at IS NULL", []);
    }
    match filter.locked {
        Some(true) => wheres.and("s.status <> 'active'", []),
        Some(false) => wheres.and("s.status = 'active'", []),
        None => {}
    }
    if let Some(credit) = filter.credit {
        wheres.money(db, "COALESCE(w.balance, '0')", credit);
    }
    if let Some(deposit) = filter.deposit {
        wheres.money(db, "COALESCE(d.balance, '0')", deposit);
    }
    for (field, how, text) in &filter.contact {
        wheres.like(db, &format!("c.{}", field.column()), *how, text);
    }
    if let Some((how, text)) = &filter.comments {
        wheres.like(db, "s.comments", *how, text);
    }
    if let Some(online) = filter.online {
        let not = if online { "" } else { "NOT " };
        let open =
            "EXISTS (SELECT 1 FROM radacct r WHERE r.username = s.username AND r.acctstoptime IS NULL)";
        wheres.and(&format!("{not}{open}"), []);
    }
    if let Some(serial) = &filter.serial {
        let sql =
            "s.id IN (SELECT subscriber_id FROM tk_credential WHERE kind = 'serial' AND identifier = ?)";
        wheres.and(sql, [Value::Text(serial.clone())]);
    }
    for (name, how, text) in &filter.fields {
        let mut value = Wheres::default();
        value.like(db, "f.value", *how, text);
        let sql = format!(
            "EXISTS (SELECT 1 FROM tk_custom_field f WHERE f.subscriber_id = s.id AND f.name = ?{})",
            value.text
        );
        wheres.and(&sql, std::iter::once(Value::Text(name.clone())).chain(value.values));
    }
    wheres
}

/// Tables and conditions of sessions that are over: `a` is radacct, `t` tk_session, `c` tk_cdr, `s` the customer.
fn closed(db: &Db, filter: &ConnectionFilter, scope: &Scope) -> (String, Wheres) {
    let from = format!(
        "FROM radacct a LEFT JOIN tk_session t ON t.unique_id = {id} LEFT JOIN tk_cdr c ON c.unique_id = {id}
             LEFT JOIN tk_subscriber s ON s.id = COALESCE(t.subscriber_id, (SELECT n.id FROM tk_subscriber n WHERE n.username = a.username))",
        id = unique_id(db)
    );
    let mut wheres = Wheres::default();
    wheres.text.push_str(&groups::within(scope));
    if let Some(ids) = &filter.customers {
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        let list = if list.is_empty() { "-1".to_owned() } else { list.join(", ") };
        // The login finds the rows by an index; the number tells them from those of an earlier owner.
        wheres.and(
            &format!(
                "(a.username IN (SELECT n.username FROM tk_subscriber n WHERE n.username IS NOT NULL AND n.id IN ({list}))
                  OR c.subscriber_id IN ({list}))"
            ),
            [],
        );
        wheres.ids("s.id", ids);
    }
    if let Some(login) = &filter.login {
        match db {
            Db::Postgres(_) => wheres.and(
                "lower(a.username) = lower(?) AND a.username = ?",
                [Value::Text(login.clone()), Value::Text(login.clone())],
            ),
            Db::Sqlite(_) | Db::MySql(_) => wheres.and("a.username = ?", [Value::Text(login.clone())]),
        }
    }
    let nas = host(db, "a.nasipaddress");
    let plan = "COALESCE(NULLIF(c.plan_name, ''), NULLIF(t.groupname, ''), '')";
    Attempted { login: "a.username", plan, nas: &nas, station: "a.callingstationid" }.fit(
        db,
        filter,
        &mut wheres,
    );
    wheres.within("a.acctstarttime", db.time_from(), filter.began);
    wheres.within("a.acctstoptime", db.time_from(), filter.ended);
    if let Some(port) = &filter.port {
        wheres.and("a.nasportid = ?", [Value::Text(port.clone())]);
    }
    if let Some(address) = &filter.address {
        wheres.and(&format!("{} = ?", host(db, "a.framedipaddress")), [Value::Text(address.clone())]);
    }
    if let Some(cost) = filter.cost {
        wheres.money(db, "COALESCE(c.credit_used, '0')", cost);
    }
    if let Some((comparison, seconds)) = filter.seconds {
        wheres.and(&format!("a.acctsessiontime {} ?", comparison.sign()), [Value::Int(seconds)]);
    }
    (from, wheres)
}

/// Where it stands who tried what from where: in logins that were let in and in those that were refused. `s` is
/// the customer.
struct Attempted<'a> {
    login: &'a str,
    plan: &'a str,
    nas: &'a str,
    /// Calling-Station-Id.
    station: &'a str,
}

impl Attempted<'_> {
    /// Adds the conditions of a filter on that.
    fn fit(&self, db: &Db, filter: &ConnectionFilter, wheres: &mut Wheres) {
        let Self { login, plan, nas, station } = self;
        if let Some(other) = &filter.not_login {
            wheres.and(&format!("{login} <> ?"), [Value::Text(other.clone())]);
        }
        if !filter.accounts.is_empty() {
            let marks = vec!["?"; filter.accounts.len()].join(", ");
            wheres.and(
                &format!("s.account_id IN (SELECT o.id FROM tk_account o WHERE o.name IN ({marks}))"),
                texts(&filter.accounts),
            );
        }
        if !filter.plans.is_empty() {
            wheres.one_of(plan, texts(&filter.plans));
        }
        if let Some(address) = &filter.nas {
            wheres.and(&format!("{nas} = ?"), [Value::Text(address.clone())]);
        }
        if let Some(name) = &filter.nas_name {
            let sql = format!("{nas} IN (SELECT n.nasname FROM nas n WHERE n.shortname = ?)");
            wheres.and(&sql, [Value::Text(name.clone())]);
        }
        if let Some(mac) = &filter.mac {
            let digits = format!("upper(replace(replace(replace({station}, '-', ''), ':', ''), '.', ''))");
            wheres.and(&format!("{digits} = ?"), [Value::Text(mac.clone())]);
        }
        for (how, caller) in &filter.callers {
            wheres.like(db, station, *how, caller);
        }
    }
}

/// A refusal has no use, no cost, no address and no port.
fn may_be_refused(filter: &ConnectionFilter) -> bool {
    filter.cost.is_none() && filter.seconds.is_none() && filter.address.is_none() && filter.port.is_none()
}

/// The same of logins that were refused: `l` is tk_auth_log, `s` the customer.
fn refused(db: &Db, filter: &ConnectionFilter, scope: &Scope) -> (String, Wheres) {
    let from = "FROM tk_auth_log l LEFT JOIN tk_subscriber s ON s.id = l.subscriber_id
             LEFT JOIN tk_plan p ON p.id = s.plan_id"
        .to_owned();
    let mut wheres = Wheres::default();
    wheres.text.push_str(&groups::within(scope));
    if let Some(ids) = &filter.customers {
        wheres.ids("l.subscriber_id", ids);
    }
    if let Some(login) = &filter.login {
        wheres.and("l.username = ?", [Value::Text(login.clone())]);
    }
    Attempted { login: "l.username", plan: "p.name", nas: "l.nas", station: "l.calling_station_id" }.fit(
        db,
        filter,
        &mut wheres,
    );
    wheres.within("l.at", "?", filter.began);
    wheres.within("l.at", "?", filter.ended);
    (from, wheres)
}

fn session_key(db: &Db, order: ConnectionOrder) -> String {
    match order {
        ConnectionOrder::Customer => "COALESCE(s.id, 0)".to_owned(),
        ConnectionOrder::Cost => match db {
            Db::Sqlite(_) => "CAST(COALESCE(c.credit_used, '0') AS REAL)".to_owned(),
            Db::Postgres(_) | Db::MySql(_) => "COALESCE(c.credit_used, 0)".to_owned(),
        },
        ConnectionOrder::Began => db.seconds_of("a.acctstarttime"),
        ConnectionOrder::Ended => db.seconds_of("a.acctstoptime"),
        ConnectionOrder::Success => "1".to_owned(),
        ConnectionOrder::Nas => host(db, "a.nasipaddress"),
        ConnectionOrder::Number => "a.radacctid".to_owned(),
    }
}

fn refusal_key(db: &Db, order: ConnectionOrder) -> &'static str {
    match order {
        ConnectionOrder::Customer => "COALESCE(s.id, 0)",
        ConnectionOrder::Cost => db.pick("0.0", "CAST(0 AS numeric)", "CAST(0 AS DECIMAL(30, 18))"),
        ConnectionOrder::Success => "0",
        ConnectionOrder::Began | ConnectionOrder::Ended => "l.at",
        ConnectionOrder::Nas => "l.nas",
        ConnectionOrder::Number => "l.id",
    }
}

fn session_rows(db: &Db) -> String {
    let nas = host(db, "a.nasipaddress");
    let text = db.pick("TEXT", "text", "CHAR");
    format!(
        "SELECT a.radacctid, COALESCE(s.id, 0), a.username, COALESCE(c.plan_id, p.id),
             COALESCE(NULLIF(c.plan_name, ''), p.name, NULLIF(t.groupname, '')), {}, {}, a.acctsessiontime,
             a.acctinputoctets, a.acctoutputoctets, {nas},
             COALESCE((SELECT MIN(n.shortname) FROM nas n WHERE n.nasname = {nas}), ''), COALESCE(a.nasportid, ''),
             COALESCE(a.nasporttype, ''), a.acctsessionid, a.calledstationid, a.callingstationid, {},
             a.acctterminatecause, CAST(c.before_credit AS {text}), CAST(c.credit_used AS {text}),
             c.charges, COALESCE(c.retry_count, 1)
         FROM radacct a LEFT JOIN tk_session t ON t.unique_id = {id} LEFT JOIN tk_cdr c ON c.unique_id = {id}
             LEFT JOIN tk_subscriber s ON s.id = COALESCE(t.subscriber_id, (SELECT n.id FROM tk_subscriber n WHERE n.username = a.username))
             LEFT JOIN tk_plan p ON p.groupname = t.groupname
         WHERE a.radacctid IN ({{}})",
        db.seconds_of("a.acctstarttime"),
        db.seconds_of("a.acctstoptime"),
        host(db, "a.framedipaddress"),
        id = unique_id(db)
    )
}

fn session_row(row: &dyn Columns) -> Result<Connection, sqlx::Error> {
    let sum = |column| Ok::<_, sqlx::Error>(row.text(column)?.and_then(|text| Amount::parse(&text)));
    let parts = row.text(21)?.and_then(|text| charges::from_json(&text)).map(|charge| charge.parts);
    Ok(Connection {
        id: row.number(0)?,
        customer: row.number(1)?,
        login: row.word(2)?,
        plan: row.int(3)?.zip(row.text(4)?),
        began: row.time(5)?.unwrap_or_default(),
        ended: row.time(6)?.unwrap_or_default(),
        seconds: row.count(7)?,
        input: row.count(8)?,
        output: row.count(9)?,
        nas: row.word(10)?,
        nas_name: row.word(11)?,
        port: row.word(12)?,
        port_type: row.word(13)?,
        session_id: row.word(14)?,
        called: row.word(15)?,
        station: row.word(16)?,
        address: row.word(17)?,
        cause: row.word(18)?,
        refused: false,
        before: sum(19)?.unwrap_or_default(),
        cost: sum(20)?.unwrap_or_default(),
        parts: parts.unwrap_or_default(),
        tries: row.count(22)?.max(1),
    })
}

const REFUSAL_ROWS: &str = "SELECT l.id, COALESCE(l.subscriber_id, 0), l.username, p.id, p.name, l.at, l.nas,
         COALESCE((SELECT MIN(n.shortname) FROM nas n WHERE n.nasname = l.nas), ''), l.calling_station_id,
         l.called_station_id, l.reason
     FROM tk_auth_log l LEFT JOIN tk_subscriber s ON s.id = l.subscriber_id LEFT JOIN tk_plan p ON p.id = s.plan_id
     WHERE l.id IN ({})";

fn refusal_row(row: &dyn Columns) -> Result<Connection, sqlx::Error> {
    let at = row.time(5)?.unwrap_or_default();
    Ok(Connection {
        id: row.number(0)?,
        customer: row.number(1)?,
        login: row.word(2)?,
        plan: row.int(3)?.zip(row.text(4)?),
        began: at,
        ended: at,
        nas: row.word(6)?,
        nas_name: row.word(7)?,
        station: row.word(8)?,
        called: row.word(9)?,
        cause: row.word(10)?,
        refused: true,
        tries: 1,
        ..Connection::default()
    })
}
