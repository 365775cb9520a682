//! What the server keeps for itself by name, shared by every node: `tk_setting`.

use super::db::{execute, fetch};
use super::{Store, StoreError};

impl Store {
    /// The value kept under `name`; `fresh` becomes it where there is none. Of two servers that ask at once
    /// both get the same.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn setting_or(&self, name: &str, fresh: &str) -> Result<String, StoreError> {
        let insert = self.db().pick("INSERT OR IGNORE", "INSERT", "INSERT IGNORE");
        let conflict = self.db().pick("", "ON CONFLICT DO NOTHING", "");
        let sql = format!("{insert} INTO tk_setting (name, value) VALUES (?, ?) {conflict}");
        execute!(self.db(), write, "tk_setting", &sql, [name, fresh])?;
        let sql = "SELECT value FROM tk_setting WHERE name = ?";
        let found = fetch!(self.db(), read, "tk_setting", sql, [name], |row| row.word(0))?;
        found.first().map(ToString::to_string).ok_or_else(|| StoreError::Corrupt {
            table: "tk_setting",
            reason: format!("{name} was kept and is not there"),
        })
    }

    /// Puts a value in the place of what is kept under `name`.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn put_setting(&self, name: &str, value: &str) -> Result<(), StoreError> {
        if self.setting_or(name, value).await? != value {
            let sql = "UPDATE tk_setting SET value = ? WHERE name = ?";
            execute!(self.db(), write, "tk_setting", sql, [value, name])?;
        }
        Ok(())
    }
}
