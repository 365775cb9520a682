//! Groups: their rows and their members.

use std::collections::{BTreeMap, HashSet};

use smol_str::SmolStr;

use super::db::{fetch, fetch_in};
use super::subscribers::attribute_row;
use super::{Store, StoreError};
use crate::domain::GroupRows;

impl Store {
    /// All rows of these groups, in the order asked for; a group without rows is there and empty.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn groups(&self, names: &[SmolStr]) -> Result<Vec<GroupRows>, StoreError> {
        let mut groups: BTreeMap<SmolStr, GroupRows> = names
            .iter()
            .map(|name| (name.clone(), GroupRows { name: name.clone(), ..GroupRows::default() }))
            .collect();
        let wanted: Vec<&str> = names.iter().map(SmolStr::as_str).collect();
        let check = "SELECT groupname, id, attribute, op, value FROM radgroupcheck WHERE groupname IN ({}) ORDER BY id";
        let reply = "SELECT groupname, id, attribute, op, value FROM radgroupreply WHERE groupname IN ({}) ORDER BY id";
        for (name, row) in fetch_in!(self.db(), "radgroupcheck", check, wanted, [], attribute_row)? {
            if let Some(group) = groups.get_mut(&name) {
                group.check.push(row);
            }
        }
        for (name, row) in fetch_in!(self.db(), "radgroupreply", reply, wanted, [], attribute_row)? {
            if let Some(group) = groups.get_mut(&name) {
                group.reply.push(row);
            }
        }
        Ok(names.iter().filter_map(|name| groups.remove(name)).collect())
    }

    /// The logins of a group, in the order of their octets, from after `after` on, `most` at a time.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn group_members(
        &self,
        name: &str,
        after: Option<&str>,
        most: u32,
    ) -> Result<Vec<SmolStr>, StoreError> {
        let login = self.db().pick("username", "username COLLATE \"C\"", "CAST(username AS BINARY)");
        let group = self.db().pick("groupname", "groupname", "CAST(groupname AS BINARY)");
        let sql = format!(
            "SELECT DISTINCT {login} AS login FROM radusergroup WHERE groupname = ? AND {group} = ? AND {login} > ?
             ORDER BY login LIMIT ?"
        );
        let after = after.unwrap_or_default();
        fetch!(self.db(), read, "radusergroup", &sql, [name, name, after, i64::from(most)], |row| row.word(0))
    }

    /// Every name that a row of radgroupcheck, radgroupreply or radusergroup calls a group.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn group_names(&self) -> Result<Vec<SmolStr>, StoreError> {
        let name = self.db().pick("groupname", "groupname", "CAST(groupname AS BINARY)");
        let sql = format!(
            "SELECT {name} AS g FROM radgroupcheck UNION SELECT {name} AS g FROM radgroupreply
             UNION SELECT {name} AS g FROM radusergroup"
        );
        let found = fetch!(self.db(), read, "radgroupcheck", &sql, [], |row| row.word(0))?;
        let names: HashSet<SmolStr> = found.into_iter().filter(|name| !name.is_empty()).collect();
        let mut names: Vec<SmolStr> = names.into_iter().collect();
        names.sort_unstable();
        Ok(names)
    }
}
