//! SQL against the account.

use std::collections::BTreeMap;

use super::model::{LIFETIME, Sums};
use super::nas::Reboot;
use super::world::{Life, World, login_of};
use crate::support::eventually;
use crate::support::server::text;

/// Login, Acct-Session-Id and what was used.
type Row = (String, String, Sums);

/// What `radacct` and `tk_session` hold of a session.
struct Found {
    row: Row,
    open: bool,
    flags: String,
}

impl World<'_> {
    /// Every bucket, every session and every flag are as the account has them.
    pub(super) fn compare(&mut self) {
        let mut expected: BTreeMap<(String, i32), Sums> = BTreeMap::new();
        for (subscriber, account) in self.accounts.iter().enumerate() {
            let buckets = account.0.iter().filter(|(_, sums)| **sums != [0; 3]);
            expected.extend(buckets.map(|(day, sums)| ((login_of(subscriber), *day), *sums)));
        }
        let found = self.buckets();
        let wrong: Vec<_> = expected
            .keys()
            .chain(found.keys())
            .filter(|key| expected.get(key) != found.get(key))
            .map(|key| format!("{key:?}: {:?}, found {:?}", expected.get(key), found.get(key)))
            .collect();
        let sessions = self.sessions();
        let strange = self.strange(&sessions);
        assert!(
            wrong.is_empty() && strange.is_empty(),
            "{}, {} s from the beginning\nbuckets that differ:\n{}\nsessions that differ:\n{}",
            self.context,
            self.clock,
            wrong.join("\n"),
            strange.join("\n")
        );
        // What the sessions say and what was counted are one sum.
        let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
        for (login, _, used) in sessions.iter().map(|found| &found.row).filter(|row| row.2 != [0; 3]) {
            let sum = sums.entry(login.clone()).or_default();
            for (sum, used) in sum.iter_mut().zip(used) {
                *sum += used;
            }
        }
        let lifetimes: BTreeMap<_, _> = found
            .into_iter()
            .filter(|((_, day), _)| *day == LIFETIME)
            .map(|((login, _), sum)| (login, sum))
            .collect();
        assert_eq!(sums, lifetimes, "{}", self.context);
    }

    /// Sessions that should not be, or should be otherwise.
    fn strange(&self, sessions: &[Found]) -> Vec<String> {
        let mut rows: BTreeMap<&Row, Vec<&Found>> = BTreeMap::new();
        for found in sessions {
            rows.entry(&found.row).or_default().push(found);
        }
        let mut strange = Vec::new();
        for life in self.lives.iter().filter(|life| life.heard.is_known()) {
            let habits = &self.nases[life.nas].habits;
            let row = (login_of(life.subscriber), life.id.to_string(), life.heard.sums());
            let Some(found) = rows.get_mut(&row).and_then(Vec::pop) else {
                strange.push(format!("not there: {row:?} of the NAS that {}: {life:?}", habits.name));
                continue;
            };
            let has_turned =
                life.heard.octets.is_some_and(|octets| octets.into_iter().max() >= Some(1 << 32));
            let is_reset = life.heard.noughts && life.heard.octets.is_some_and(|octets| octets != [0, 0]);
            for (flag, is_due) in [("wrapped", has_turned && !habits.wide), ("reset", is_reset)] {
                if found.flags.split(',').any(|set| set == flag) != is_due {
                    strange.push(format!("{flag} is due: {is_due}; {row:?} has {}: {life:?}", found.flags));
                }
            }
            if life.heard.stopped && found.open {
                strange.push(format!("its Stop was acknowledged, and it is open: {row:?}: {life:?}"));
            }
        }
        for (row, found) in rows.into_iter().filter(|(_, found)| !found.is_empty()) {
            let has_its_id =
                |life: &&Life| (login_of(life.subscriber), life.id.as_str()) == (row.0.clone(), &row.1);
            let lives: Vec<_> = self.lives.iter().filter(has_its_id).collect();
            strange.push(format!("of nobody: {} x {row:?}; with its id: {lives:#?}", found.len()));
        }
        strange
    }

    /// No session is open of a NAS that has said that it started anew.
    pub(super) fn rebooted_are_closed(&mut self) {
        let over: Vec<_> = self
            .lives
            .iter()
            .filter(|life| {
                let nas = &self.nases[life.nas];
                nas.habits.reboot != Reboot::Silent && life.boot < nas.boots
            })
            .map(|life| (login_of(life.subscriber), life.id.to_string(), life.heard.sums()))
            .collect();
        let context = format!("{}: the end of what was rebooted", self.context);
        eventually(&context, || self.open_rows().iter().all(|row| !over.contains(row)).then_some(()));
    }

    pub(super) fn open_rows(&mut self) -> Vec<Row> {
        self.sessions().into_iter().filter(|found| found.open).map(|found| found.row).collect()
    }

    fn buckets(&mut self) -> BTreeMap<(String, i32), Sums> {
        let sql = format!(
            "SELECT s.username, {}, {}, {}, {} FROM tk_usage u JOIN tk_subscriber s ON s.id = u.subscriber_id",
            text("u.day"),
            text("u.seconds"),
            text("u.input"),
            text("u.output")
        );
        let rows = self.database.rows(&sql);
        let buckets =
            rows.into_iter().map(|row| ((row[0].clone(), row[1].parse().unwrap()), sums(&row[2..])));
        buckets.filter(|(_, sums)| *sums != [0; 3]).collect()
    }

    fn sessions(&mut self) -> Vec<Found> {
        let sql = format!(
            "SELECT a.username, a.acctsessionid, CASE WHEN a.acctstoptime IS NULL THEN 'open' ELSE 'closed' END,
                t.flags, {}, {}, {}
             FROM radacct a JOIN tk_session t ON t.unique_id = a.acctuniqueid",
            text("coalesce(a.acctsessiontime, 0)"),
            text("coalesce(a.acctinputoctets, 0)"),
            text("coalesce(a.acctoutputoctets, 0)")
        );
        let rows = self.database.rows(&sql);
        let found = |row: Vec<String>| Found {
            row: (row[0].clone(), row[1].clone(), sums(&row[4..])),
            open: row[2] == "open",
            flags: row[3].clone(),
        };
        rows.into_iter().map(found).collect()
    }
}

fn sums(columns: &[String]) -> Sums {
    let sums: Vec<u64> = columns.iter().map(|column| column.parse().unwrap()).collect();
    sums.try_into().unwrap()
}
