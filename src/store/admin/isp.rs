//! Small things that the Jaze API asks of the tables: sessions of a subscriber, what binds it, accounts and
//! operators, the end of a subscriber.

use smol_str::SmolStr;

use super::renewals::{self, NewRenewal};
use super::subscribers::column;
use super::tx::{Bind, Tx};
use super::{Author, Event, NewAttribute, RADCHECK, RADREPLY, SESSIONS_OF, audit, dues, fups, within};
use crate::domain::operator::Scope;
use crate::domain::{Amount, AttributeRow, IspSession, LedgerAction, RenewalKind, SubscriberId, UniqueId};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// An account as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: SmolStr,
    /// Its name for people.
    pub title: SmolStr,
    /// Name of the account above it.
    pub parent: Option<SmolStr>,
    /// Its zone; empty is the server's.
    pub zone: SmolStr,
    /// Its currency.
    pub currency: SmolStr,
    /// It is switched on.
    pub enabled: bool,
}

impl Store {
    /// The accounts of a scope, by number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn accounts(&self, scope: &Scope) -> Result<Vec<AccountRecord>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = format!(
            "SELECT a.id, a.name, a.title, p.name, a.time_zone, a.currency, a.enabled FROM tk_account a
             LEFT JOIN tk_account p ON p.id = a.parent_id WHERE 1 = 1{} ORDER BY a.id",
            within(scope, "a.id")
        );
        tx.fetch("tk_account", &sql, &[], |row| {
            Ok(AccountRecord {
                id: row.number(0)?,
                name: row.word(1)?,
                title: row.word(2)?,
                parent: row.text(3)?,
                zone: row.word(4)?,
                currency: row.word(5)?,
                enabled: row.number(6)? != 0,
            })
        })
        .await
    }

    /// The check rows of a login.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn check_rows(&self, login: &str) -> Result<Vec<AttributeRow>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        RADCHECK.rows(&mut tx, login).await
    }

    /// Says who asked a NAS for something about a session.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit_session(
        &self,
        session: UniqueId,
        verb: &str,
        author: &Author,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let new = Some(session.to_text().to_string());
        audit(&mut tx, author, Event { object: "session", id: None, verb, old: None, new }).await?;
        tx.commit().await
    }

    /// Sessions, the latest first: of a subscriber and its login, begun in a time, open ones only, as is said.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn isp_sessions(
        &self,
        whose: Option<(SubscriberId, &str)>,
        from: Option<UnixTime>,
        to: Option<UnixTime>,
        open: bool,
        limit: u32,
        scope: &Scope,
    ) -> Result<Vec<IspSession>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let start = self.db().seconds_of("r.acctstarttime");
        let stop = self.db().seconds_of("r.acctstoptime");
        let time = self.db().time_from();
        let mut conditions = vec!["1 = 1".to_owned()];
        let mut binds = Vec::new();
        if let Some((subscriber, login)) = whose {
            conditions.push(SESSIONS_OF.to_owned());
            binds.extend([Bind::Text(login), Bind::Int(subscriber.0)]);
        }
        for (sign, at) in [(">=", from), ("<", to)] {
            if let Some(at) = at {
                conditions.push(format!("r.acctstarttime {sign} {time}"));
                binds.push(Bind::Int(at.0));
            }
        }
        if open {
            conditions.push("r.acctstoptime IS NULL".to_owned());
        }
        binds.push(Bind::Int(limit.into()));
        let (join, scoped) = match scope {
            Scope::Everything => ("", String::new()),
            Scope::Accounts(_) => {
                ("JOIN tk_subscriber s ON s.username = r.username", within(scope, "s.account_id"))
            }
        };
        let text = tx.pick("TEXT", "text", "CHAR");
        let sql = format!(
            "SELECT r.acctsessionid, r.username, {start}, {stop}, CAST(r.framedipaddress AS {text}), r.callingstationid,
                 r.acctsessiontime, r.acctinputoctets, r.acctoutputoctets,
                 CAST(r.nasipaddress AS {text}), r.calledstationid, r.acctterminatecause, r.nasporttype
             FROM radacct r {join} WHERE {}{scoped} ORDER BY r.radacctid DESC LIMIT ?",
            conditions.join(" AND ")
        );
        let found = tx.fetch("radacct", &sql, &binds, |row| {
            let address = |text: SmolStr| text.split('/').next().map(SmolStr::new).unwrap_or_default();
            Ok(IspSession {
                acct_session_id: row.word(0)?,
                login: row.word(1)?,
                started: row.time(2)?,
                stopped: row.time(3)?,
                framed: address(row.word(4)?),
                device: row.word(5)?,
                seconds: row.count(6)?,
                input: row.count(7)?,
                output: row.count(8)?,
                nas: address(row.word(9)?),
                called: row.word(10)?,
                cause: row.word(11)?,
                port_type: row.word(12)?,
            })
        });
        let found = found.await?;
        Ok(found.into_iter().filter(|row| whose.is_none_or(|(_, login)| row.login == login)).collect())
    }

    /// Takes away what a subscriber is bound to: a device, or its rows of radreply and radcheck.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn release_binding(
        &self,
        subscriber: SubscriberId,
        login: &str,
        device: Option<i64>,
        ip: bool,
        mac: bool,
        author: &Author,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        match device {
            Some(device) => {
                let id = [Bind::Int(device), Bind::Int(subscriber.0)];
                for (column, _) in [("ip", ip), ("mac", mac)].iter().filter(|(_, goes)| *goes) {
                    let sql =
                        format!("UPDATE tk_device SET {column} = '' WHERE id = ? AND subscriber_id = ?");
                    tx.run("tk_device", &sql, &id).await?;
                }
                let sql = "DELETE FROM tk_device WHERE id = ? AND subscriber_id = ? AND ip = '' AND mac = ''";
                tx.run("tk_device", sql, &id).await?;
            }
            None => {
                if ip {
                    RADREPLY.remove(&mut tx, login, &["Framed-IP-Address"]).await?;
                }
                if mac {
                    RADCHECK.remove(&mut tx, login, &["Calling-Station-Id"]).await?;
                }
            }
        }
        let what = [(ip, "ip"), (mac, "mac")];
        let what: Vec<&str> = what.into_iter().filter(|(goes, _)| *goes).map(|(_, word)| word).collect();
        let old = Some(format!("{login} {}", what.join(" ")));
        let event = Event { object: "subscriber", id: Some(subscriber.0), verb: "release", old, new: None };
        audit(&mut tx, author, event).await?;
        tx.commit().await
    }

    /// Says in the report that a subscriber was made, or that its plan began anew. Then the price of that is
    /// due, the subscription ends when it says (`end`, where it has such a date, with its row of radcheck), and there is no grace.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn note_renewal(
        &self,
        subscriber: SubscriberId,
        (until, end): (Option<UnixTime>, Option<(UnixTime, NewAttribute)>),
        notes: &str,
        kind: RenewalKind,
        author: &Author,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let text = tx.pick("TEXT", "text", "CHAR");
        let sql = format!(
            "SELECT CAST(p.price AS {text}) FROM tk_subscriber s JOIN tk_plan p ON p.id = s.plan_id WHERE s.id = ?"
        );
        let price = tx.fetch("tk_plan", &sql, &[Bind::Int(subscriber.0)], |row| row.text(0)).await?;
        let price = price.into_iter().flatten().next().and_then(|text| Amount::parse(&text));
        let days = until.map(|until| until.since(author.at).div_ceil(86_400).to_string());
        let row = NewRenewal {
            kind,
            days: days.as_deref().unwrap_or(""),
            amount: price,
            previous: None,
            since: Some(author.at),
            until,
            notes,
        };
        renewals::add(&mut tx, subscriber.0, &row, author).await?;
        if kind == RenewalKind::Renewal {
            if let Some((end, row)) = end {
                column(&mut tx, "expires_at", subscriber.0, Bind::Int(end.0)).await?;
                let sql = "SELECT username FROM tk_subscriber WHERE id = ? AND username IS NOT NULL";
                for login in
                    tx.fetch("tk_subscriber", sql, &[Bind::Int(subscriber.0)], |row| row.word(0)).await?
                {
                    RADCHECK.replace(&mut tx, &login, std::slice::from_ref(&row)).await?;
                }
            }
            if let Some(price) = price.filter(|price| !price.is_zero()) {
                dues::book(&mut tx, subscriber.0, price, LedgerAction::Invoice, notes, author).await?;
            }
        }
        tx.commit().await
    }
}

/// What of the Jaze API goes with a subscriber who goes. With `void` it owes nothing any more.
pub(super) async fn forget(
    tx: &mut Tx<'_>,
    subscriber: i64,
    login: &str,
    void: bool,
    author: &Author,
) -> Result<(), StoreError> {
    fups::clear(tx, subscriber, login, None).await?;
    renewals::supersede(tx, subscriber, author).await?;
    let sql = "DELETE FROM tk_collection_assign WHERE subscriber_id = ?";
    tx.run("tk_collection_assign", sql, &[Bind::Int(subscriber)]).await?;
    if void {
        dues::void(tx, subscriber, author).await?;
    }
    Ok(())
}
