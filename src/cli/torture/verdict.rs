//! Compares what SQL has with what was acknowledged.

use std::collections::HashMap;

use super::fleet::{Port, Record};
use crate::domain::{Amount, Day, Price, Usage};
use crate::store::{Audit, SessionAccount};

/// What sessions of one subscriber add up to.
#[derive(Default)]
struct Sums {
    used: Usage,
    charged: Amount,
    /// Of those that are over.
    posted: Amount,
}

/// Every acknowledged record is in `radacct`, in one row; one that is on its way may be there too. What was
/// counted and charged for each subscriber is the sum of his rows, to the octet. Says what is not so.
pub(super) fn compare(ports: &[Port], audit: &Audit, price: Price) -> Result<(), String> {
    let mut rows: HashMap<&str, Vec<&SessionAccount>> = HashMap::new();
    for row in &audit.sessions {
        rows.entry(row.session.as_str()).or_default().push(row);
    }
    let mut sums: HashMap<&str, Sums> = HashMap::new();
    for port in ports {
        let of_login = sums.entry(port.login()).or_default();
        for life in &port.lives {
            let found = rows.remove(life.id.as_str()).unwrap_or_default();
            let row = match (&found[..], life.acknowledged) {
                ([], None) => continue,
                ([row], _) => *row,
                (rows, acknowledged) => {
                    return Err(format!("{}: {acknowledged:?} is in {} rows", life.id, rows.len()));
                }
            };
            let is = |record: Record| used(record) == row.used && record.is_stop() != row.open;
            let may_be = [life.acknowledged, life.pending];
            if !may_be.into_iter().flatten().any(is) {
                return Err(format!("{row:?} should be one of {may_be:?}"));
            }
            of_login.used = plus(of_login.used, row.used);
            let cost = price.of(row.used.seconds, row.used.input + row.used.output);
            of_login.charged = of_login.charged.saturating_plus(cost);
            if !row.open {
                of_login.posted = of_login.posted.saturating_plus(cost);
            }
        }
    }
    if let Some(row) = rows.values().flatten().next() {
        return Err(format!("{row:?} is of nobody"));
    }
    for (login, sums) in &sums {
        counted(login, sums, audit)?;
    }
    Ok(())
}

fn used(record: Record) -> Usage {
    let [seconds, input, output] = record.counters.map(u64::from);
    Usage { seconds, input, output }
}

const fn plus(one: Usage, other: Usage) -> Usage {
    Usage {
        seconds: one.seconds + other.seconds,
        input: one.input + other.input,
        output: one.output + other.output,
    }
}

/// The usage and the money of one subscriber.
fn counted(login: &str, sums: &Sums, audit: &Audit) -> Result<(), String> {
    let of_login = || audit.usage.iter().filter(|(owner, ..)| owner == login);
    let sum = |lifetime: bool| {
        let rows = of_login().filter(|(_, day, _)| (*day == Day::LIFETIME) == lifetime);
        rows.fold(Usage::default(), |sum, (.., used)| plus(sum, *used))
    };
    for (what, found) in [("by day", sum(false)), ("of the lifetime", sum(true))] {
        if found != sums.used {
            return Err(format!("usage of {login} {what} is {found:?}, its sessions {:?}", sums.used));
        }
    }
    // A session that was over before all of it was heard is posted in parts.
    let postings = audit.postings.iter().filter(|(owner, _)| owner == login);
    let spent = postings.fold(Amount::ZERO, |sum, (_, delta)| sum.saturating_minus(*delta));
    if spent != sums.posted {
        return Err(format!("the ledger of {login} has {spent}, its sessions cost {}", sums.posted));
    }
    let wanted = [Amount::ZERO.saturating_minus(spent), spent, sums.charged];
    let wallet = audit.wallets.iter().find(|(owner, _)| owner == login).map(|(_, wallet)| *wallet);
    if wallet.is_some_and(|wallet| wallet == wanted) {
        Ok(())
    } else {
        Err(format!("the wallet of {login} is {wallet:?} and should be {wanted:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(used: u64, open: bool) -> SessionAccount {
        let used = Usage { seconds: used, input: used, output: used };
        SessionAccount { login: "t0".into(), session: "t0-0-00000".into(), open, used }
    }

    /// What SQL would have of one session that was used so much.
    fn audit(used: u64) -> Audit {
        let usage = row(used, true).used;
        Audit {
            sessions: vec![row(used, true)],
            usage: vec![("t0".into(), Day(1), usage), ("t0".into(), Day::LIFETIME, usage)],
            postings: Vec::new(),
            wallets: vec![("t0".into(), [Amount::ZERO; 3])],
        }
    }

    #[tokio::test]
    async fn what_is_lost_doubled_or_invented_is_found() {
        let price = Price { per_minute: Amount::ZERO, per_kib: Amount::ZERO };
        let ports = [Port::of_test("t0", 60, 120).await];
        assert_eq!(compare(&ports, &audit(60), price), Ok(()));
        assert_eq!(compare(&ports, &audit(120), price), Ok(()));
        let wrong = |change: &dyn Fn(&mut Audit), says: &str| {
            let mut audit = audit(60);
            change(&mut audit);
            let said = compare(&ports, &audit, price).unwrap_err();
            assert!(said.contains(says), "{said}");
        };
        wrong(&|audit| audit.sessions.clear(), "is in 0 rows");
        wrong(&|audit| audit.sessions.push(row(60, true)), "is in 2 rows");
        wrong(&|audit| audit.sessions[0].used.seconds = 0, "should be one of");
        wrong(&|audit| audit.sessions[0].open = false, "should be one of");
        wrong(
            &|audit| audit.sessions.push(SessionAccount { session: "x".into(), ..row(1, true) }),
            "of nobody",
        );
        wrong(&|audit| audit.usage[0].2.input += 1, "by day");
        wrong(&|audit| audit.usage[1].2.output -= 1, "of the lifetime");
        wrong(&|audit| audit.postings.push(("t0".into(), Amount::parse("-1").unwrap())), "ledger");
        wrong(&|audit| audit.wallets.clear(), "wallet");
    }
}
