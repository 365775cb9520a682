//! Devices that are let in without a password, as an operator orders it: `tk_device`, and the terms of their
//! next login in `tk_override`.

use super::subscribers::{column, seen};
use super::tx::{Bind, Tx};
use super::{Author, Event, audit};
use crate::domain::text::{mac_spellings, mac_text};
use crate::domain::validity::{AUTOLOGIN_DEVICE, LOGIN_DEVICE};
use crate::domain::{LoginOverride, Rate};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// A device that is to be let in as a subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetIn {
    /// The digits of its MAC address.
    pub mac: [u8; 12],
    /// It is let in until then; `None` is for ever.
    pub until: Option<UnixTime>,
    /// What its next login has, and its session; number and address say nothing here.
    pub terms: LoginOverride,
}

impl Store {
    /// Lets a device in as a subscriber, in the place of an earlier order for it. `Ok(false)`: nobody has the
    /// login.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn let_in(&self, login: &str, order: &LetIn, author: &Author) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = seen(&mut tx, login, author).await? else { return Ok(false) };
        let_in(&mut tx, id, order, author.at).await?;
        let new = Some(format!("{login} {}", mac_text(&order.mac)));
        audit(&mut tx, author, Event { object: "subscriber", id: Some(id), verb: "let in", old: None, new })
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Says whether devices that have logged in with the password are let in without it later; those that are
    /// remembered are forgotten where not. `Ok(false)`: nobody has the login.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn set_autologin(&self, login: &str, on: bool, author: &Author) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let Some(id) = seen(&mut tx, login, author).await? else { return Ok(false) };
        put_autologin(&mut tx, id, on).await?;
        let new = Some(format!("{login} {on}"));
        audit(
            &mut tx,
            author,
            Event { object: "subscriber", id: Some(id), verb: "autologin", old: None, new },
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// [`Store::let_in`] as part of a transaction of whoever calls.
pub(super) async fn let_in(tx: &mut Tx<'_>, id: i64, order: &LetIn, at: UnixTime) -> Result<(), StoreError> {
    let text = mac_text(&order.mac);
    let spelt = mac_spellings(&order.mac);
    let earlier: Vec<Bind<'_>> =
        std::iter::once(Bind::Int(id)).chain(spelt.iter().map(|mac| Bind::Text(mac))).collect();
    for (table, which) in
        [("tk_device", format!("source = '{LOGIN_DEVICE}'")), ("tk_override", "kind = 'login'".to_owned())]
    {
        let sql = format!(
            "DELETE FROM {table} WHERE {which} AND subscriber_id = ? AND mac IN (?, ?, ?, ?, ?, ?, ?, ?)"
        );
        tx.run(table, &sql, &earlier).await?;
    }
    let sql = "INSERT INTO tk_device (subscriber_id, mac, source, valid_until) VALUES (?, ?, ?, ?)";
    let binds = [
        Bind::Int(id),
        Bind::Text(&text),
        Bind::Text(LOGIN_DEVICE),
        Bind::MaybeInt(order.until.map(|until| until.0)),
    ];
    tx.run("tk_device", sql, &binds).await?;
    let LoginOverride { seconds, expires, octets, rate: Rate { down, up }, idle_timeout, .. } = &order.terms;
    let nothing = seconds.is_none() && expires.is_none() && octets.is_none() && idle_timeout.is_none();
    if nothing && order.terms.rate.is_unlimited() {
        return Ok(());
    }
    let whole =
        |number: &Option<u64>| Bind::MaybeInt(number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)));
    let sql = "INSERT INTO tk_override (subscriber_id, kind, mac, seconds, octets, rate_down, rate_up, idle_timeout,
             expires_at, created_at)
         VALUES (?, 'login', ?, ?, ?, ?, ?, ?, ?, ?)";
    let binds = [
        Bind::Int(id),
        Bind::Text(&text),
        whole(seconds),
        whole(octets),
        whole(down),
        whole(up),
        Bind::MaybeInt(idle_timeout.map(i64::from)),
        Bind::MaybeInt(expires.map(|at| at.0)),
        Bind::Int(at.0),
    ];
    tx.run("tk_override", sql, &binds).await.map(drop)
}

/// [`Store::set_autologin`] as part of a transaction of whoever calls.
pub(super) async fn put_autologin(tx: &mut Tx<'_>, id: i64, on: bool) -> Result<(), StoreError> {
    column(tx, "autologin", id, Bind::Int(on.into())).await?;
    if on {
        return Ok(());
    }
    let sql = format!("DELETE FROM tk_device WHERE subscriber_id = ? AND source = '{AUTOLOGIN_DEVICE}'");
    tx.run("tk_device", &sql, &[Bind::Int(id)]).await.map(drop)
}
