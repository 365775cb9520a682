//! NASes: rows of FreeRADIUS's `nas` with ours of `tk_nas` beside them.

use std::net::IpAddr;

use ipnet::IpNet;
use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use super::{Author, Event, audit};
use crate::domain::TriState;
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// A NAS to be made, or its new values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNas {
    /// Whose requests it answers for.
    pub network: IpNet,
    /// For people and labels.
    pub name: String,
    /// Names the vendor pack.
    pub nas_type: String,
    /// Shared secret.
    pub secret: String,
    /// Also valid while secrets are being rotated.
    pub secret_next: Option<String>,
    /// NAS-Identifier that packets must carry.
    pub identifier: Option<String>,
    /// Port of dynamic authorization.
    pub coa_port: Option<u16>,
    /// Secret of dynamic authorization.
    pub coa_secret: Option<String>,
    /// Input and output are the other way round.
    pub swap_octets: bool,
    /// Is Message-Authenticator required?
    pub require_message_authenticator: TriState,
    /// Is Proxy-State without Message-Authenticator refused?
    pub limit_proxy_state: TriState,
}

/// What shall be different about a NAS; `None` stays, `Some(None)` is taken away.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NasChange {
    /// For people and labels.
    pub name: Option<String>,
    /// Names the vendor pack.
    pub nas_type: Option<String>,
    /// Shared secret.
    pub secret: Option<String>,
    /// Also valid while secrets are being rotated.
    pub secret_next: Option<Option<String>>,
    /// NAS-Identifier that packets must carry.
    pub identifier: Option<Option<String>>,
    /// Port of dynamic authorization.
    pub coa_port: Option<Option<u16>>,
    /// Secret of dynamic authorization.
    pub coa_secret: Option<Option<String>>,
    /// Input and output are the other way round.
    pub swap_octets: Option<bool>,
    /// Is Message-Authenticator required?
    pub require_message_authenticator: Option<TriState>,
    /// Is Proxy-State without Message-Authenticator refused?
    pub limit_proxy_state: Option<TriState>,
}

/// A row as it is, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NasEntry {
    /// `nas.id`.
    pub id: i64,
    /// `nasname` as written: an address, a network, a host name.
    pub address: SmolStr,
    /// `shortname`.
    pub name: SmolStr,
    /// `type`.
    pub nas_type: SmolStr,
    /// NAS-Identifier that packets must carry; empty is any.
    pub identifier: SmolStr,
    /// Port of dynamic authorization, where it is not the usual one.
    pub coa_port: Option<i64>,
    /// Is a second secret valid?
    pub rotating: bool,
    /// Input and output are the other way round.
    pub swap_octets: bool,
    /// `no`, `auto`, `yes`.
    pub require_message_authenticator: SmolStr,
    /// `no`, `auto`, `yes`.
    pub limit_proxy_state: SmolStr,
    /// Taken out of service.
    pub disabled: bool,
    /// When it last asked something.
    pub last_seen: Option<UnixTime>,
}

impl Store {
    /// Makes a NAS; gives its number. `Ok(None)`: its network has one already.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn add_nas(&self, new: &NewNas, author: &Author) -> Result<Option<i64>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let address = written(new.network);
        if self.entries(&mut tx).await?.iter().any(|row| same(&row.address, new.network)) {
            return Ok(None);
        }
        let learned = self.learned()?;
        let mut columns = vec!["nasname", "shortname", "type", "secret"];
        let mut binds = vec![
            Bind::Text(&address),
            Bind::Text(&new.name),
            Bind::Text(&new.nas_type),
            Bind::Text(&new.secret),
        ];
        // Older databases lack these; tk_nas has them in any case.
        for (column, value) in
            [("require_ma", new.require_message_authenticator), ("limit_proxy_state", new.limit_proxy_state)]
        {
            if learned.schema.has("nas", column) {
                columns.push(column);
                binds.push(Bind::Text(value.as_str()));
            }
        }
        let marks = vec!["?"; columns.len()].join(", ");
        let sql = format!("INSERT INTO nas ({}) VALUES ({marks})", columns.join(", "));
        let id = tx.insert("nas", &sql, &binds).await?;
        tx.run(
            "tk_nas",
            "INSERT INTO tk_nas (nas_id, identifier, coa_port, coa_secret, secret_next, swap_octets, require_ma,
                 limit_proxy_state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                Bind::Int(id),
                Bind::MaybeText(new.identifier.as_deref()),
                Bind::MaybeInt(new.coa_port.map(i64::from)),
                Bind::MaybeText(new.coa_secret.as_deref()),
                Bind::MaybeText(new.secret_next.as_deref()),
                Bind::Int(i64::from(new.swap_octets)),
                Bind::Text(new.require_message_authenticator.as_str()),
                Bind::Text(new.limit_proxy_state.as_str()),
            ],
        )
        .await?;
        let text = format!("{address} ({})", new.nas_type);
        audit(
            &mut tx,
            author,
            Event { object: "nas", id: Some(id), verb: "add", old: None, new: Some(text) },
        )
        .await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// All NASes of the table, by number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn nas_entries(&self) -> Result<Vec<NasEntry>, StoreError> {
        self.entries(&mut Tx::read(self.db()).await?).await
    }

    /// The NAS of a network, or the one with that name or number. `Ok(None)`: there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn nas_entry(&self, which: &str) -> Result<Option<NasEntry>, StoreError> {
        let entries = self.entries(&mut Tx::read(self.db()).await?).await?;
        Ok(entries.into_iter().find(|row| is_named(row, which)))
    }

    /// Changes the NAS of a network, or the one with that name or number. `Ok(false)`: there is none.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn set_nas(
        &self,
        which: &str,
        change: &NasChange,
        author: &Author,
    ) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let found = self.entries(&mut tx).await?.into_iter().find(|row| is_named(row, which));
        let Some(row) = found else { return Ok(false) };
        let learned = self.learned()?;
        let require = change.require_message_authenticator.map(TriState::as_str);
        let limit = change.limit_proxy_state.map(TriState::as_str);
        let theirs = [
            ("shortname", change.name.as_deref().map(Bind::Text)),
            ("type", change.nas_type.as_deref().map(Bind::Text)),
            ("secret", change.secret.as_deref().map(Bind::Text)),
            ("require_ma", require.map(Bind::Text)),
            ("limit_proxy_state", limit.map(Bind::Text)),
        ];
        let ours = [
            ("secret_next", maybe(&change.secret_next)),
            ("identifier", maybe(&change.identifier)),
            ("coa_port", change.coa_port.map(|port| Bind::MaybeInt(port.map(i64::from)))),
            ("coa_secret", maybe(&change.coa_secret)),
            ("swap_octets", change.swap_octets.map(|swap| Bind::Int(i64::from(swap)))),
            ("require_ma", require.map(Bind::Text)),
            ("limit_proxy_state", limit.map(Bind::Text)),
        ];
        own_row(&mut tx, row.id).await?;
        // Older databases lack columns of the first; those of the second are there in any case.
        let theirs: Vec<_> = theirs.into_iter().filter(|(name, _)| learned.schema.has("nas", name)).collect();
        let mut said = Vec::new();
        for (table, key, columns) in [("nas", "id", theirs), ("tk_nas", "nas_id", ours.to_vec())] {
            let given = columns.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let (names, mut binds): (Vec<&str>, Vec<Bind<'_>>) = given.unzip();
            if names.is_empty() {
                continue;
            }
            let sql = format!("UPDATE {table} SET {} = ? WHERE {key} = ?", names.join(" = ?, "));
            binds.push(Bind::Int(row.id));
            tx.run(table, &sql, &binds).await?;
            said.extend(names);
        }
        said.sort_unstable();
        said.dedup();
        let new = Some(format!("{} {}", row.address, said.join(" ")));
        audit(&mut tx, author, Event { object: "nas", id: Some(row.id), verb: "set", old: None, new })
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Lets a NAS in again, or no longer; named by its address as it is written. `Ok(false)`: there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn enable_nas(
        &self,
        address: &str,
        enabled: bool,
        author: &Author,
    ) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let found = self.entries(&mut tx).await?.into_iter().find(|row| row.address == address);
        let Some(row) = found else { return Ok(false) };
        own_row(&mut tx, row.id).await?;
        let binds = [Bind::Int(i64::from(!enabled)), Bind::Int(row.id)];
        tx.run("tk_nas", "UPDATE tk_nas SET disabled = ? WHERE nas_id = ?", &binds).await?;
        let verb = if enabled { "enable" } else { "disable" };
        let new = Some(row.address.to_string());
        audit(&mut tx, author, Event { object: "nas", id: Some(row.id), verb, old: None, new }).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes the NAS of a network, or the one with that name or number; gives its address.
    /// `Ok(None)`: there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_nas(&self, which: &str, author: &Author) -> Result<Option<SmolStr>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let found = self.entries(&mut tx).await?.into_iter().find(|row| is_named(row, which));
        let Some(row) = found else { return Ok(None) };
        tx.run("nas", "DELETE FROM nas WHERE id = ?", &[Bind::Int(row.id)]).await?;
        tx.run("tk_nas", "DELETE FROM tk_nas WHERE nas_id = ?", &[Bind::Int(row.id)]).await?;
        let old = Some(row.address.to_string());
        audit(&mut tx, author, Event { object: "nas", id: Some(row.id), verb: "delete", old, new: None })
            .await?;
        tx.commit().await?;
        Ok(Some(row.address))
    }

    /// Forgets what a source address was seen to do; was there anything?
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn forget_signing(&self, source: IpAddr, author: &Author) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let text = source.to_string();
        let sql = "DELETE FROM tk_nas_signing WHERE source = ?";
        let gone = tx.run("tk_nas_signing", sql, &[Bind::Text(&text)]).await? > 0;
        let event = Event { object: "nas signing", id: None, verb: "delete", old: Some(text), new: None };
        if gone {
            audit(&mut tx, author, event).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }

    async fn entries(&self, tx: &mut Tx<'_>) -> Result<Vec<NasEntry>, StoreError> {
        let learned = self.learned()?;
        let column = |name: &'static str| {
            if learned.schema.has("nas", name) { format!("n.{name}") } else { "NULL".to_owned() }
        };
        let sql = format!(
            "SELECT n.id, n.nasname, COALESCE(n.shortname, ''), COALESCE(n.type, ''),
                 COALESCE(t.identifier, ''), t.coa_port, CASE WHEN t.secret_next IS NULL THEN 0 ELSE 1 END,
                 COALESCE(t.swap_octets, 0), COALESCE(t.require_ma, {}, 'auto'),
                 COALESCE(t.limit_proxy_state, {}, 'auto'), COALESCE(t.disabled, 0), t.last_seen_at
             FROM nas n LEFT JOIN tk_nas t ON t.nas_id = n.id ORDER BY n.id",
            column("require_ma"),
            column("limit_proxy_state")
        );
        tx.fetch("nas", &sql, &[], |row| {
            Ok(NasEntry {
                id: row.number(0)?,
                address: row.word(1)?,
                name: row.word(2)?,
                nas_type: row.word(3)?,
                identifier: row.word(4)?,
                coa_port: row.int(5)?,
                rotating: row.int(6)? == Some(1),
                swap_octets: row.int(7)? == Some(1),
                require_message_authenticator: row.word(8)?,
                limit_proxy_state: row.word(9)?,
                disabled: row.int(10)? == Some(1),
                last_seen: row.time(11)?,
            })
        })
        .await
    }
}

/// Sees to it that there is a row of `tk_nas` for one of `nas`.
async fn own_row(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    let (insert, conflict) =
        tx.pick(("INSERT OR IGNORE", ""), ("INSERT", " ON CONFLICT DO NOTHING"), ("INSERT IGNORE", ""));
    let sql = format!("{insert} INTO tk_nas (nas_id) VALUES (?){conflict}");
    tx.run("tk_nas", &sql, &[Bind::Int(id)]).await.map(drop)
}

/// A value that is given, or taken away.
fn maybe(new: &Option<Option<String>>) -> Option<Bind<'_>> {
    new.as_ref().map(|new| Bind::MaybeText(new.as_deref()))
}

/// Is it meant by this address, network, name or number?
fn is_named(row: &NasEntry, which: &str) -> bool {
    match which.parse::<IpNet>().ok().or_else(|| which.parse::<IpAddr>().ok().map(IpNet::from)) {
        Some(network) => same(&row.address, network),
        None => row.name == which || row.address == which || row.id.to_string() == which,
    }
}

/// An address alone where the network is one.
fn written(network: IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

fn same(written: &str, network: IpNet) -> bool {
    written.parse::<IpNet>().ok().or_else(|| written.parse::<IpAddr>().ok().map(IpNet::from)) == Some(network)
}
