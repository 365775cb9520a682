//! Which NAS entry an address belongs to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use super::nas::{Nas, NasSource};

/// All NAS entries by network; the longest prefix wins. Immutable: a change makes a new table.
#[derive(Debug, Default)]
pub struct NasTable {
    v4: PrefixMap<Ipv4Net, Arc<Nas>>,
    v6: PrefixMap<Ipv6Net, Arc<Nas>>,
}

impl NasTable {
    /// Builds the table. Of two entries for one network the `nas` table's wins over the
    /// configuration's, then the later row.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = Nas>) -> Self {
        let mut by_network: BTreeMap<IpNet, Nas> = BTreeMap::new();
        for mut nas in entries {
            nas.network = canonical(nas.network);
            let outranked = by_network.get(&nas.network).is_some_and(|held| rank(held) > rank(&nas));
            if !outranked {
                by_network.insert(nas.network, nas);
            }
        }
        let mut table = Self::default();
        for (network, nas) in by_network {
            match network {
                IpNet::V4(network) => drop(table.v4.insert(network, Arc::new(nas))),
                IpNet::V6(network) => drop(table.v6.insert(network, Arc::new(nas))),
            }
        }
        table
    }

    /// The entry for a source address. IPv4-mapped IPv6 is IPv4 (RFC 4291 §2.5.5.2).
    #[must_use]
    pub fn find(&self, source: IpAddr) -> Option<&Arc<Nas>> {
        match source.to_canonical() {
            IpAddr::V4(address) => self.v4.get_lpm(&Ipv4Net::from(address)).map(|(_, nas)| nas),
            IpAddr::V6(address) => self.v6.get_lpm(&Ipv6Net::from(address)).map(|(_, nas)| nas),
        }
    }

    /// Every entry, IPv4 first, by network.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Nas>> {
        self.v4.iter().map(|(_, nas)| nas).chain(self.v6.iter().map(|(_, nas)| nas))
    }

    /// Names the entries of these addresses for people, `NAME (ADDRESS)`: the first few, and whether there are
    /// others. `None` of none.
    #[must_use]
    pub fn told(&self, sources: &[IpAddr]) -> Option<String> {
        let named = sources.iter().take(TOLD_MAX).map(|source| match self.find(*source) {
            Some(nas) => format!("{} ({source})", nas.name),
            None => source.to_string(),
        });
        let more = if sources.len() > TOLD_MAX { " and others" } else { "" };
        let named: Vec<String> = named.collect();
        (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// No NAS is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Entries that [`NasTable::told`] names.
const TOLD_MAX: usize = 3;

const fn rank(nas: &Nas) -> i64 {
    match nas.source {
        NasSource::Config => -1,
        NasSource::Table(id) => id,
    }
}

/// The network with host bits cleared and IPv4-mapped prefixes as IPv4.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && v6.prefix_len() >= 96
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Ok(mapped) = Ipv4Net::new(v4, v6.prefix_len() - 96)
    {
        return IpNet::V4(mapped.trunc());
    }
    network.trunc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nas(network: &str, name: &str, source: NasSource) -> Nas {
        Nas { source, ..Nas::sample(name, network) }
    }

    fn found(table: &NasTable, address: &str) -> Option<String> {
        table.find(address.parse().unwrap()).map(|nas| nas.name.to_string())
    }

    #[test]
    fn the_longest_prefix_wins() {
        let table = NasTable::new([
            nas("10.0.0.0/8", "wide", NasSource::Config),
            nas("10.1.2.3/32", "one", NasSource::Config),
            nas("2001:db8::/32", "six", NasSource::Config),
        ]);
        assert_eq!(found(&table, "10.1.2.3").as_deref(), Some("one"));
        assert_eq!(found(&table, "10.1.2.4").as_deref(), Some("wide"));
        assert_eq!(found(&table, "2001:db8::7").as_deref(), Some("six"));
        assert_eq!(found(&table, "192.0.2.1"), None);
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_client() {
        let table = NasTable::new([nas("127.0.0.1/32", "four", NasSource::Config)]);
        assert_eq!(found(&table, "::ffff:127.0.0.1").as_deref(), Some("four"));
        let table = NasTable::new([nas("::ffff:127.0.0.1/128", "mapped", NasSource::Config)]);
        assert_eq!(found(&table, "127.0.0.1").as_deref(), Some("mapped"));
    }

    #[test]
    fn the_live_table_wins_over_the_configuration() {
        let entries = [
            nas("127.0.0.1/32", "row", NasSource::Table(4)),
            nas("127.0.0.1/32", "file", NasSource::Config),
            nas("127.0.0.1/32", "later row", NasSource::Table(5)),
        ];
        assert_eq!(found(&NasTable::new(entries), "127.0.0.1").as_deref(), Some("later row"));
    }
}
