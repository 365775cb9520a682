//! NASes: rows of `nas` with what `tk_nas` adds.

use std::net::IpAddr;

use ipnet::IpNet;
use smol_str::SmolStr;

use super::db::{Columns, fetch};
use super::{Store, StoreError};
use crate::domain::{Nas, NasSource, PackId, TriState};
use crate::radius::Secret;

/// The `nas` table.
#[derive(Clone, Debug, Default)]
pub struct NasRows {
    /// What can be used, by id.
    pub usable: Vec<Nas>,
    /// What cannot, and why; to be shown, not fatal.
    pub unusable: Vec<UnusableNas>,
}

/// A row of `nas` that names no NAS of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableNas {
    /// `nas.id`.
    pub id: i64,
    /// `nas.nasname`.
    pub name: SmolStr,
    /// What is wrong with it.
    pub reason: SmolStr,
}

impl Store {
    /// All rows of `nas`, those that are disabled left out.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn nas_rows(&self) -> Result<NasRows, StoreError> {
        let learned = self.learned()?;
        let column = |name: &'static str| {
            if learned.schema.has("nas", name) { format!("n.{name}") } else { "NULL".to_owned() }
        };
        let sql = format!(
            "SELECT n.id, n.nasname, n.shortname, n.type, n.secret,
                 COALESCE(t.require_ma, {}), COALESCE(t.limit_proxy_state, {}),
                 t.identifier, t.coa_port, t.coa_secret, t.secret_next, t.swap_octets
             FROM nas n LEFT JOIN tk_nas t ON t.nas_id = n.id
             WHERE COALESCE(t.disabled, 0) = 0 ORDER BY n.id",
            column("require_ma"),
            column("limit_proxy_state")
        );
        let mut rows = NasRows::default();
        for row in fetch!(self.db(), read, "nas", &sql, [], read)? {
            match row {
                Ok(nas) => rows.usable.push(nas),
                Err(unusable) => rows.unusable.push(unusable),
            }
        }
        Ok(rows)
    }
}

fn read(row: &dyn Columns) -> Result<Result<Nas, UnusableNas>, sqlx::Error> {
    let (id, address, short) = (row.number(0)?, row.word(1)?, row.word(2)?);
    let unusable = |reason: &'static str| {
        Ok(Err(UnusableNas { id, name: address.clone(), reason: SmolStr::new_static(reason) }))
    };
    let Some(network) = network(&address) else {
        return unusable("nasname is neither an address nor a network; names of hosts are not looked up");
    };
    let Some(secret) = Secret::new(row.word(4)?.as_bytes()) else {
        return unusable("the secret is empty");
    };
    let Some(require_message_authenticator) = TriState::parse(&row.word(5)?) else {
        return unusable("require_ma is none of no, auto, yes");
    };
    let Some(limit_proxy_state) = TriState::parse(&row.word(6)?) else {
        return unusable("limit_proxy_state is none of no, auto, yes");
    };
    let secret_of =
        |column: usize| Ok::<_, sqlx::Error>(row.text(column)?.and_then(|text| Secret::new(text.as_bytes())));
    let nas_type = row.word(3)?;
    Ok(Ok(Nas {
        name: if short.is_empty() { address.clone() } else { short },
        network,
        nas_type: if nas_type.is_empty() { SmolStr::new_static("other") } else { nas_type },
        secret,
        secret_next: secret_of(10)?,
        identifier: row.text(7)?.filter(|identifier| !identifier.is_empty()),
        pack: PackId::OTHER,
        coa_port: row.int(8)?.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0),
        coa_secret: secret_of(9)?,
        swap_octets: row.count(11)? > 0,
        require_message_authenticator,
        limit_proxy_state,
        source: NasSource::Table(id),
    }))
}

/// An address, or a network with its host bits cleared.
fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>()
        .map(|network| network.trunc())
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nasname_is_an_address_or_a_network() {
        assert_eq!(network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert_eq!(network(" 10.1.2.3/8 ").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        assert_eq!(network("bras.example.net"), None);
    }
}
