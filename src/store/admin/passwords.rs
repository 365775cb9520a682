//! Passwords in `radcheck` that only a key tells, see [`crate::vault`].

use std::borrow::Cow;
use std::sync::Arc;

use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use super::{Author, Event, NewAttribute, audit};
use crate::domain::AttributeRow;
use crate::entropy::SystemEntropy;
use crate::store::db::Db;
use crate::store::{Store, StoreError};
use crate::vault::{self, HIDDEN_IN, Vault};

impl Db {
    /// The row as it is written: a password is hidden where there is a key.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] of a password that is too long: it is never written as it is.
    pub(in crate::store) fn hidden<'a>(
        &self,
        item: &'a NewAttribute,
    ) -> Result<Cow<'a, NewAttribute>, StoreError> {
        let hidden = self.keys().load().hide(&item.attribute, &item.value, &mut SystemEntropy);
        let hidden = hidden.map_err(|vault::TooLong| StoreError::Conflict {
            reason: "the password is too long to be kept encrypted".to_owned(),
        })?;
        Ok(match hidden {
            Some(value) => Cow::Owned(NewAttribute::new(HIDDEN_IN, &item.op, value)),
            None => Cow::Borrowed(item),
        })
    }

    /// Puts what a hidden row stands for in its place. Where its key is not here it stays, and lets nobody in.
    pub(in crate::store) fn reveal(&self, row: &mut AttributeRow) {
        if vault::key_of(&row.value).is_some()
            && let Some((attribute, value)) = self.keys().load().reveal(&row.value)
        {
            (row.attribute, row.value) = (SmolStr::new_static(attribute), value.as_str().into());
        }
    }
}

/// What is to become of all passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recode {
    /// Hidden with the first key.
    Hide,
    /// As they are, for other tools.
    Show,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recoded {
    /// Written anew.
    pub changed: u64,
    /// Were so already.
    pub unchanged: u64,
    /// Hidden with a key that is not here: they stay.
    pub unreadable: u64,
    /// Too long to be hidden: they stay as they are.
    pub too_long: u64,
}

/// Rows of one transaction.
const PAGE: usize = 500;
/// Names of the keys that hide rows, in `tk_setting`.
const KEYS: &str = "password_keys";
/// Passwords that wait for a login name, in `tk_custom_field`.
const WAITING: &str = "radcheck ";

/// A stored password: where it is, and what is there.
struct Stored {
    id: i64,
    attribute: SmolStr,
    value: SmolStr,
}

impl Store {
    /// Puts other keys in force.
    pub fn replace_keys(&self, vault: Arc<Vault>) {
        self.db().keys().store(vault);
    }

    /// Is there a key that hides what is written?
    #[must_use]
    pub fn hides_passwords(&self) -> bool {
        self.db().keys().load().current().is_some()
    }

    /// Sees to it that every key that hides rows is here, and notes the one that is to.
    ///
    /// # Errors
    /// [`StoreError::Schema`] where one is missing: logins would be refused, and new passwords not be hidden.
    pub async fn settle_keys(&self) -> Result<(), StoreError> {
        let noted = self.setting_or(KEYS, "").await?;
        let vault = self.db().keys().load_full();
        if let Some(missing) = noted.split_whitespace().find(|name| !vault.has(name)) {
            return Err(StoreError::Schema {
                reason: format!(
                    "passwords are encrypted with the key {missing}, which is not in database.password_key_file"
                ),
            });
        }
        match vault.current() {
            Some(current) if !noted.split_whitespace().any(|name| name == current) => {
                self.put_setting(KEYS, format!("{noted} {current}").trim()).await
            }
            _ => Ok(()),
        }
    }

    /// Hides every password with the first key, or shows every one. Servers may run meanwhile; both forms are read.
    ///
    /// # Errors
    /// [`StoreError`] of the database; what was done until then stays done.
    pub async fn recode_passwords(&self, recode: Recode, author: &Author) -> Result<Recoded, StoreError> {
        let mut done = Recoded::default();
        let mut after = i64::MIN;
        loop {
            let mut tx = Tx::begin(self.db()).await?;
            let sql = format!(
                "SELECT id, attribute, value FROM radcheck
                 WHERE id > ? AND (LOWER(attribute) IN ('cleartext-password', 'user-password', 'nt-password')
                     OR attribute = '{HIDDEN_IN}')
                 ORDER BY id LIMIT {PAGE}"
            );
            let page = tx
                .fetch("radcheck", &sql, &[Bind::Int(after)], |row| {
                    Ok(Stored { id: row.number(0)?, attribute: row.word(1)?, value: row.word(2)? })
                })
                .await?;
            for stored in &page {
                if let Some(new) = self.recoded(recode, &stored.attribute, &stored.value, &mut done) {
                    // Unless somebody has changed it meanwhile.
                    let sql = "UPDATE radcheck SET attribute = ?, value = ? WHERE id = ? AND value = ?";
                    let binds = [
                        Bind::Text(&new.attribute),
                        Bind::Text(&new.value),
                        Bind::Int(stored.id),
                        Bind::Text(&stored.value),
                    ];
                    done.changed += tx.run("radcheck", sql, &binds).await?;
                }
            }
            tx.commit().await?;
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.id,
                _ => break,
            }
        }
        self.recode_waiting(recode, &mut done).await?;
        let vault = self.db().keys().load_full();
        let keys = match (recode, vault.current()) {
            // They would be refused at the next start, and are to be told rather than forgotten.
            _ if done.unreadable > 0 => self.setting_or(KEYS, "").await?,
            (Recode::Hide, Some(current)) => current.to_owned(),
            (Recode::Hide, None) | (Recode::Show, _) => String::new(),
        };
        self.put_setting(KEYS, &keys).await?;
        let verb = match recode {
            Recode::Hide => "encrypt",
            Recode::Show => "decrypt",
        };
        let Recoded { changed, unreadable, too_long, .. } = done;
        let new = Some(format!("{changed} changed, {unreadable} unreadable, {too_long} too long"));
        let mut tx = Tx::begin(self.db()).await?;
        audit(&mut tx, author, Event { object: "passwords", id: None, verb, old: None, new }).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// The row that a stored password is to become; `None` where it stays.
    fn recoded(
        &self,
        recode: Recode,
        attribute: &str,
        value: &str,
        done: &mut Recoded,
    ) -> Option<NewAttribute> {
        let vault = self.db().keys().load();
        let hidden_with = vault::key_of(value);
        if hidden_with.is_none() && attribute.eq_ignore_ascii_case(HIDDEN_IN) {
            return None;
        }
        let is_so = match recode {
            Recode::Hide => hidden_with.is_some() && hidden_with == vault.current(),
            Recode::Show => hidden_with.is_none(),
        };
        if is_so {
            done.unchanged += 1;
            return None;
        }
        let plain = match hidden_with {
            None => NewAttribute::new(attribute, "", value),
            Some(_) => {
                let Some((attribute, value)) = vault.reveal(value) else {
                    done.unreadable += 1;
                    return None;
                };
                NewAttribute::new(attribute, "", value.as_str())
            }
        };
        if recode == Recode::Show {
            return Some(plain);
        }
        match self.db().hidden(&plain) {
            Ok(hidden) => Some(hidden.into_owned()).filter(|hidden| vault::key_of(&hidden.value).is_some()),
            Err(_) => {
                done.too_long += 1;
                None
            }
        }
    }

    async fn recode_waiting(&self, recode: Recode, done: &mut Recoded) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let sql = "SELECT subscriber_id, name, value FROM tk_custom_field WHERE name LIKE 'radcheck %'";
        let waiting = tx
            .fetch("tk_custom_field", sql, &[], |row| {
                Ok(Stored { id: row.number(0)?, attribute: row.word(1)?, value: row.word(2)? })
            })
            .await?;
        for stored in waiting {
            let attribute = stored.attribute.strip_prefix(WAITING).unwrap_or_default();
            let Some((op, value)) = stored.value.split_once(' ') else { continue };
            if !Vault::is_secret(attribute) {
                continue;
            }
            if let Some(new) = self.recoded(recode, attribute, value, done) {
                let sql = "UPDATE tk_custom_field SET value = ? WHERE subscriber_id = ? AND name = ?";
                let new = format!("{op} {}", new.value);
                let binds = [Bind::Text(&new), Bind::Int(stored.id), Bind::Text(&stored.attribute)];
                done.changed += tx.run("tk_custom_field", sql, &binds).await?;
            }
        }
        tx.commit().await
    }
}
