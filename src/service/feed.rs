//! Follows the change feed: what other tools wrote into the tables is in force within a second
//! (DESIGN §1, promise 8).

use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::Duration;

use smol_str::SmolStr;

use super::coa::Coa;
use super::state::State;
use crate::domain::text::mac_digits;
use crate::engine::policy::Mac;
use crate::store::{Change, ChangeCursor, StoreError};
use crate::telemetry::names;
use crate::time::{Now, UnixTime};

/// What `/health` calls it.
const COMPONENT: &str = "change feed";
/// Entries read at a time.
const PAGE: u32 = 5_000;
/// The longest wait for news; then the state is looked at all the same.
const WAIT: Duration = Duration::from_secs(1);
/// Pause after the database did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// Entries are kept so long, for other nodes that may be behind.
const KEPT_SECONDS: u64 = 24 * 3_600;
/// Seconds between two prunings.
const PRUNE_EVERY: u64 = 600;

/// The reader of the feed.
pub(super) struct Feed {
    cursor: ChangeCursor,
    coa: Coa,
    pruned: UnixTime,
    failing: bool,
    /// Rows of `tk_coa` may wait that could not be taken yet.
    orders_left: bool,
}

/// What a page of changes asks for.
#[derive(Debug, Default)]
struct News {
    logins: BTreeSet<SmolStr>,
    groups: BTreeSet<SmolStr>,
    /// By their groups.
    plans: BTreeSet<SmolStr>,
    /// That let somebody in, or did.
    devices: Vec<Mac>,
    every_login: bool,
    nases: bool,
    orders: bool,
    oldest: Option<UnixTime>,
}

impl Feed {
    pub(super) fn new(cursor: ChangeCursor, coa: Coa, now: UnixTime) -> Self {
        Self { cursor, coa, pruned: now, failing: false, orders_left: true }
    }

    /// Follows until the state is gone.
    pub(super) async fn run(mut self, state: Weak<State>) {
        while let Some(state) = state.upgrade() {
            match self.step(&state).await {
                Ok(()) => {
                    if std::mem::take(&mut self.failing) {
                        state.health.ok(COMPONENT);
                    }
                }
                Err(error) => {
                    let said = format!("changes of the tables are not in force: {error}");
                    state.health.degraded(COMPONENT, &said, state.clock.now().unix);
                    self.failing = true;
                    drop(state);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn step(&mut self, state: &State) -> Result<(), StoreError> {
        if !self.orders_left {
            state.store.wait_for_change(&self.cursor, WAIT).await?;
        }
        let now = state.clock.now();
        loop {
            // The cursor moves only once the page is in force, so that a failure loses nothing.
            let mut cursor = self.cursor.clone();
            let page = state.store.changes_since(&mut cursor, PAGE, now.unix).await?;
            let news = News::of(&page.changes, page.lost);
            self.take(state, &news, now).await?;
            self.cursor = cursor;
            metrics::counter!(names::CHANGES).increment(u64::try_from(page.changes.len()).unwrap_or(0));
            let lag = news.oldest.map_or(0, |oldest| state.clock.now().unix.since(oldest));
            metrics::gauge!(names::CHANGE_FEED_LAG).set(f64::from(u32::try_from(lag).unwrap_or(u32::MAX)));
            if !page.more {
                break;
            }
        }
        if self.orders_left {
            self.orders_left = !self.coa.take_queued(&*state.store).await?;
            if self.orders_left {
                tokio::time::sleep(RETRY).await;
            }
        }
        if now.unix.since(self.pruned) >= PRUNE_EVERY {
            self.pruned = now.unix;
            state.store.prune_changes(now.unix.minus(KEPT_SECONDS)).await?;
        }
        Ok(())
    }

    async fn take(&mut self, state: &State, news: &News, now: Now) -> Result<(), StoreError> {
        if news.every_login {
            state.directory.forget_all();
            state.review_all(now);
        } else if !news.logins.is_empty() || !news.groups.is_empty() || !news.plans.is_empty() {
            let News { logins, groups, plans, .. } = news;
            for owner in state.directory.refresh(&state.store, logins, groups, plans, now).await? {
                state.look_at_moving(&owner);
            }
        }
        if !news.devices.is_empty() {
            state.directory.forget_devices(&news.devices);
        }
        if news.nases {
            state.load_nases().await?;
        }
        self.orders_left |= news.orders;
        Ok(())
    }
}

impl News {
    /// Sorts changes by what has to be done about them. `lost`: there were more, and nobody knows of what.
    fn of(changes: &[Change], lost: bool) -> Self {
        let mut news = Self { every_login: lost, nases: lost, orders: lost, ..Self::default() };
        for change in changes {
            news.oldest = Some(news.oldest.map_or(change.at, |oldest| oldest.min(change.at)));
            match change.table.as_str() {
                "radcheck" | "radreply" | "radusergroup" | "tk_subscriber" | "tk_wallet" => {
                    if change.key.is_empty() {
                        news.every_login = true;
                    } else {
                        news.logins.insert(change.key.clone());
                    }
                }
                "radgroupcheck" | "radgroupreply" => {
                    if change.key.is_empty() {
                        news.every_login = true;
                    } else {
                        news.groups.insert(change.key.clone());
                    }
                }
                "tk_plan" | "tk_charge_rule" if !change.key.is_empty() => {
                    news.plans.insert(change.key.clone());
                }
                // An account is its subscribers' zone; the others come with a key only as their owner's.
                "tk_plan" | "tk_charge_rule" | "tk_account" | "tk_quota" | "tk_term" => {
                    news.every_login = true
                }
                "tk_device" => news.devices.extend(mac_digits(change.key.as_bytes())),
                "nas" | "tk_nas" => news.nases = true,
                "tk_coa" => news.orders = true,
                _ => {}
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(table: &str, key: &str, at: i64) -> Change {
        Change { id: 1, table: table.into(), key: key.into(), at: UnixTime(at) }
    }

    #[test]
    fn changes_ask_for_what_depends_on_them() {
        let news = News::of(
            &[
                change("radcheck", "bob", 7),
                change("radgroupreply", "gold", 5),
                change("tk_nas", "3", 6),
                change("tk_coa", "9", 8),
                change("tk_device", "02:00:00:00:00:0A", 9),
                change("tk_plan", "silver", 9),
                change("tk_admin", "carol", 10),
            ],
            false,
        );
        assert_eq!(news.plans, BTreeSet::from(["silver".into()]));
        assert_eq!(news.logins, BTreeSet::from(["bob".into()]));
        assert_eq!(news.groups, BTreeSet::from(["gold".into()]));
        assert_eq!(news.devices, [*b"02000000000a"]);
        assert!(news.nases && news.orders && !news.every_login);
        assert_eq!(news.oldest, Some(UnixTime(5)));
    }

    #[test]
    fn a_gap_or_an_empty_key_asks_for_everybody() {
        assert!(News::of(&[], true).every_login);
        for table in ["radcheck", "tk_plan", "tk_quota", "tk_account"] {
            assert!(News::of(&[change(table, "", 1)], false).every_login, "{table}");
        }
    }
}
