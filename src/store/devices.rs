//! Devices that let a subscriber in: whose a device is, and what logins leave behind.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::db::{execute, fetch_in};
use super::{Store, StoreError};
use crate::domain::SubscriberId;
use crate::domain::text::{mac_digits, mac_spellings, mac_text};
use crate::domain::validity::{AUTOLOGIN_DEVICE, LOGIN_DEVICE};
use crate::time::UnixTime;

impl Store {
    /// Who has rows that let these devices in, over or not, with the login; of one device the newest row
    /// first. A row is found whose address is written in one of the usual ways.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn device_logins(&self, macs: &[[u8; 12]]) -> Result<Vec<([u8; 12], SmolStr)>, StoreError> {
        let wanted: BTreeSet<[u8; 12]> = macs.iter().copied().collect();
        let spelt: Vec<String> = wanted.iter().flat_map(mac_spellings).collect();
        let spelt: Vec<&str> = spelt.iter().map(String::as_str).collect();
        let sql = format!(
            "SELECT d.id, d.mac, s.username FROM tk_device d JOIN tk_subscriber s ON s.id = d.subscriber_id
             WHERE s.username IS NOT NULL AND d.source IN ('{AUTOLOGIN_DEVICE}', '{LOGIN_DEVICE}')
               AND d.mac IN ({{}}) ORDER BY d.id DESC"
        );
        let found = fetch_in!(self.db(), "tk_device", &sql, &spelt, [], |row| {
            Ok((row.number(0)?, row.word(1)?, row.word(2)?))
        })?;
        let mut found: Vec<_> = found
            .into_iter()
            .filter_map(|(id, mac, login)| Some((id, mac_digits(mac.as_bytes())?, login)))
            .collect();
        // A list that is long is asked for in parts.
        found.sort_by_key(|(id, ..)| std::cmp::Reverse(*id));
        Ok(found.into_iter().map(|(_, mac, login)| (mac, login)).collect())
    }

    /// Remembers a device that has logged in with the password: of the subscriber alone, and at most `most`
    /// of them, those that came last. What is remembered already stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn remember_device(
        &self,
        subscriber: SubscriberId,
        mac: &[u8; 12],
        most: u32,
    ) -> Result<(), StoreError> {
        let text = mac_text(mac);
        let spelt = mac_spellings(mac);
        let [a, b, c, d, e, f, g, h] = spelt.each_ref().map(String::as_str);
        let taken = format!(
            "DELETE FROM tk_device WHERE source = '{AUTOLOGIN_DEVICE}' AND subscriber_id <> ?
               AND mac IN (?, ?, ?, ?, ?, ?, ?, ?)"
        );
        execute!(self.db(), write, "tk_device", &taken, [subscriber.0, a, b, c, d, e, f, g, h])?;
        let nothing = self.db().pick("", "", "FROM DUAL");
        let add = format!(
            "INSERT INTO tk_device (subscriber_id, mac, source) SELECT ?, ?, '{AUTOLOGIN_DEVICE}' {nothing}
             WHERE NOT EXISTS (SELECT 1 FROM (SELECT id FROM tk_device WHERE source = '{AUTOLOGIN_DEVICE}'
               AND subscriber_id = ? AND mac IN (?, ?, ?, ?, ?, ?, ?, ?)) known)"
        );
        let binds = (subscriber.0, text.as_str());
        execute!(self.db(), write, "tk_device", &add, [binds.0, binds.1, binds.0, a, b, c, d, e, f, g, h])?;
        let spare = format!(
            "DELETE FROM tk_device WHERE source = '{AUTOLOGIN_DEVICE}' AND subscriber_id = ? AND id < (
               SELECT MIN(id) FROM (SELECT id FROM tk_device WHERE source = '{AUTOLOGIN_DEVICE}'
                 AND subscriber_id = ? ORDER BY id DESC LIMIT ?) newest)"
        );
        execute!(self.db(), write, "tk_device", &spare, [subscriber.0, subscriber.0, i64::from(most)])?;
        Ok(())
    }

    /// Notes that a login has the terms of a row of `tk_override`, so that no other login gets them.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn take_login(&self, id: i64, at: UnixTime) -> Result<(), StoreError> {
        let sql = "UPDATE tk_override SET taken_at = ? WHERE id = ? AND taken_at IS NULL";
        execute!(self.db(), write, "tk_override", sql, [at.0, id]).map(drop)
    }
}
