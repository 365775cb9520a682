//! Overrides with a limit (`tk_fup`): what each writes into other tables, and what becomes of that.
//!
//! `written` names the rows that were made for an override: `radcheck=1 radreply=2 tk_quota=3
//! tk_override=4`. They and no others go with it, so that what the subscriber had before is back.

use smol_str::SmolStr;

use super::tx::{Bind, Tx};
use super::{Author, Event, NewAttribute, RADCHECK, RADREPLY, audit};
use crate::domain::{BandwidthTemplate, FupAttribute, FupKind, FupLimit, NewFup, SubscriberId, WatchedFup};
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

/// Why an override was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FupObstacle {
    /// There is no such template.
    NoTemplate,
}

/// Between two attributes, and between the parts of one, in `below` and `above`.
const ITEM: char = '\n';
const PART: char = '\t';

impl Store {
    /// The templates by number; each plan with rates has one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bandwidth_templates(&self) -> Result<Vec<BandwidthTemplate>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = format!("SELECT p.id FROM tk_plan p WHERE {WITHOUT_TEMPLATE} LIMIT 1");
        if tx.fetch("tk_plan", &sql, &[], |row| row.number(0)).await?.is_empty() {
            return templates(&mut tx).await;
        }
        drop(tx);
        let mut tx = Tx::begin(self.db()).await?;
        keep_templates(&mut tx).await?;
        let found = templates(&mut tx).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// Makes an override in the place of one of its kind.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where a column cannot hold a value.
    pub async fn put_fup(
        &self,
        subscriber: SubscriberId,
        login: &str,
        new: &NewFup,
        author: &Author,
    ) -> Result<Result<(), FupObstacle>, StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let id = subscriber.0;
        let (kind, limit) = match new {
            NewFup::Bandwidth { above, .. } => (FupKind::Bandwidth, above.as_ref().map(|(limit, _)| *limit)),
            NewFup::Attributes { above, .. } => {
                (FupKind::Attributes, above.as_ref().map(|(limit, _)| *limit))
            }
        };
        clear(&mut tx, id, login, Some(kind)).await?;
        let mut written = Vec::new();
        let (mut below, mut above, mut numbers) = (String::new(), String::new(), (None, None));
        match new {
            NewFup::Bandwidth { below, above } => {
                keep_templates(&mut tx).await?;
                let known = templates(&mut tx).await?;
                let find = |number: i64| known.iter().find(|template| template.id == number);
                let Some(first) = find(*below) else { return Ok(Err(FupObstacle::NoTemplate)) };
                let sql = "INSERT INTO tk_override (subscriber_id, kind, rate_down, rate_up, created_at)
                    VALUES (?, 'bandwidth', ?, ?, ?)";
                let binds = [Bind::Int(id), whole(first.down), whole(first.up), Bind::Int(author.at.0)];
                written.push(("tk_override", tx.insert("tk_override", sql, &binds).await?));
                if let Some((limit, second)) = above {
                    let Some(second) = find(*second) else { return Ok(Err(FupObstacle::NoTemplate)) };
                    let rates = (second.down, second.up);
                    written.push(("tk_quota", add_limit(&mut tx, id, limit, rates, author).await?));
                }
                numbers = (Some(*below), above.as_ref().map(|(_, second)| *second));
            }
            NewFup::Attributes { below: first, above: second } => {
                written.extend(write_items(&mut tx, login, first).await?);
                if let Some((limit, second)) = second {
                    // It slows nobody down: it counts.
                    written.push(("tk_quota", add_limit(&mut tx, id, limit, (None, None), author).await?));
                    above = text_of(second);
                }
                below = text_of(first);
            }
        }
        let written = names_of(&written);
        let sql = "INSERT INTO tk_fup (subscriber_id, kind, mode, limit_octets, every, day, template_below,
                template_above, exclude_upload, carry_over, stage, written, below, above, created_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)";
        let binds = [
            Bind::Int(id),
            Bind::Text(kind.as_str()),
            Bind::Text(limit.map_or("always", |limit| limit.metric.as_str())),
            Bind::MaybeInt(limit.map(|limit| limit.octets)),
            Bind::Text(limit.map_or("", |limit| limit.period.as_str())),
            Bind::MaybeInt(limit.and_then(|limit| limit.begins).map(i64::from)),
            Bind::MaybeInt(numbers.0),
            Bind::MaybeInt(numbers.1),
            Bind::Int(limit.is_some_and(|limit| limit.carry_over).into()),
            Bind::Text(BELOW),
            Bind::Text(&written),
            Bind::Text(&below),
            Bind::Text(&above),
            Bind::Int(author.at.0),
        ];
        tx.insert("tk_fup", sql, &binds).await?;
        let text = Some(format!("{login} {} {written}", kind.as_str()));
        let event = Event { object: "subscriber", id: Some(id), verb: "override", old: None, new: text };
        audit(&mut tx, author, event).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Takes an override away; that there was none is no mistake.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn clear_fup(
        &self,
        subscriber: SubscriberId,
        login: &str,
        kind: FupKind,
        author: &Author,
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        clear(&mut tx, subscriber.0, login, Some(kind)).await?;
        let new = Some(format!("{login} {} none", kind.as_str()));
        let event = Event { object: "subscriber", id: Some(subscriber.0), verb: "override", old: None, new };
        audit(&mut tx, author, event).await?;
        tx.commit().await
    }

    /// The overrides of attributes that have a limit.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn watched_fups(&self) -> Result<Vec<WatchedFup>, StoreError> {
        let mut tx = Tx::read(self.db()).await?;
        let sql = "SELECT f.id, s.username, f.written, f.stage, f.created_at FROM tk_fup f
            JOIN tk_subscriber s ON s.id = f.subscriber_id
            WHERE f.kind = ? AND f.limit_octets IS NOT NULL AND s.username IS NOT NULL ORDER BY f.id";
        let kind = [Bind::Text(FupKind::Attributes.as_str())];
        tx.fetch("tk_fup", sql, &kind, |row| {
            let written = row.word(2)?;
            let quota = rows_of(&written).find(|(table, _)| *table == "tk_quota").map_or(0, |(_, id)| id);
            Ok(WatchedFup {
                id: row.number(0)?,
                login: row.word(1)?,
                quota,
                above: row.word(3)? == ABOVE,
                created: row.time(4)?.unwrap_or_default(),
            })
        })
        .await
    }

    /// Puts the attributes of the other side of the limit in force.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn turn_fup(&self, fup: &WatchedFup, above: bool, at: UnixTime) -> Result<(), StoreError> {
        let mut tx = Tx::begin(self.db()).await?;
        let (from, to) = if above { (BELOW, ABOVE) } else { (ABOVE, BELOW) };
        let sql = "UPDATE tk_fup SET stage = ? WHERE id = ? AND stage = ?";
        let binds = [Bind::Text(to), Bind::Int(fup.id), Bind::Text(from)];
        if tx.run("tk_fup", sql, &binds).await? == 0 {
            return Ok(());
        }
        let sql = "SELECT written, below, above FROM tk_fup WHERE id = ?";
        let own = [Bind::Int(fup.id)];
        let found = tx.fetch("tk_fup", sql, &own, |row| Ok((row.word(0)?, row.word(1)?, row.word(2)?)));
        let Some((written, below, over)) = found.await?.into_iter().next() else { return Ok(()) };
        let mut kept = Vec::new();
        for (table, id) in rows_of(&written) {
            if table.starts_with("rad") {
                remove(&mut tx, table, id, &fup.login).await?;
            } else {
                kept.push((table, id));
            }
        }
        let items = items_of(if above { &over } else { &below });
        kept.extend(write_items(&mut tx, &fup.login, &items).await?);
        let sql = "UPDATE tk_fup SET written = ? WHERE id = ?";
        tx.run("tk_fup", sql, &[Bind::Text(&names_of(&kept)), Bind::Int(fup.id)]).await?;
        tracing::debug!(login = %fup.login, stage = to, at = at.0, "an override was turned");
        tx.commit().await
    }
}

const BELOW: &str = "below";
const ABOVE: &str = "above";

fn whole(rate: Option<u64>) -> Bind<'static> {
    Bind::MaybeInt(rate.and_then(|rate| i64::try_from(rate).ok()))
}

/// Removes overrides, those of one kind if that is said, with all that they wrote.
pub(super) async fn clear(
    tx: &mut Tx<'_>,
    subscriber: i64,
    login: &str,
    kind: Option<FupKind>,
) -> Result<(), StoreError> {
    let sql = "SELECT id, kind, written FROM tk_fup WHERE subscriber_id = ?";
    let own = [Bind::Int(subscriber)];
    let found = tx.fetch("tk_fup", sql, &own, |row| Ok((row.number(0)?, row.word(1)?, row.word(2)?)));
    for (id, word, written) in found.await? {
        if kind.is_some_and(|kind| word != kind.as_str()) {
            continue;
        }
        for (table, row) in rows_of(&written) {
            remove(tx, table, row, login).await?;
        }
        tx.run("tk_fup", "DELETE FROM tk_fup WHERE id = ?", &[Bind::Int(id)]).await?;
    }
    Ok(())
}

/// A row that was written for an override; a number that another row has by now is left alone.
async fn remove(tx: &mut Tx<'_>, table: &'static str, id: i64, login: &str) -> Result<(), StoreError> {
    let sql = match table {
        "radcheck" | "radreply" => format!("DELETE FROM {table} WHERE id = ? AND username = ?"),
        _ => {
            let sql = format!("DELETE FROM {table} WHERE id = ?");
            return tx.run(table, &sql, &[Bind::Int(id)]).await.map(drop);
        }
    };
    tx.run(table, &sql, &[Bind::Int(id), Bind::Text(login)]).await.map(drop)
}

async fn write_items(
    tx: &mut Tx<'_>,
    login: &str,
    items: &[FupAttribute],
) -> Result<Vec<(&'static str, i64)>, StoreError> {
    let mut written = Vec::new();
    for item in items {
        let (name, table) = if item.is_check { ("radcheck", RADCHECK) } else { ("radreply", RADREPLY) };
        let new = NewAttribute::new(&item.attribute, &item.op, item.value.as_str());
        written.push((name, table.add(tx, login, &new).await?));
    }
    Ok(written)
}

async fn add_limit(
    tx: &mut Tx<'_>,
    subscriber: i64,
    limit: &FupLimit,
    (down, up): (Option<u64>, Option<u64>),
    author: &Author,
) -> Result<i64, StoreError> {
    // What slows down is in the place of what the plan has of the same kind and period.
    let origin = if down.is_some() || up.is_some() { "override" } else { "user" };
    let sql =
        "INSERT INTO tk_quota (subscriber_id, metric, period, origin, quota_limit, carry_over, on_exhaust,
            rate_down, rate_up, reset_anchor, priority, starts_at)
        VALUES (?, ?, ?, ?, ?, ?, 'throttle', ?, ?, ?, ?, ?)";
    let binds = [
        Bind::Int(subscriber),
        Bind::Text(limit.metric.as_str()),
        Bind::Text(limit.period.as_str()),
        Bind::Text(origin),
        Bind::Int(limit.octets),
        Bind::Int(limit.carry_over.into()),
        whole(down),
        whole(up),
        Bind::MaybeInt(limit.begins.map(i64::from)),
        Bind::Int(0),
        Bind::Int(author.at.0),
    ];
    tx.insert("tk_quota", sql, &binds).await
}

/// Each plan with rates has a template.
async fn keep_templates(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO tk_bw_template (name, plan_id) SELECT p.name, p.id FROM tk_plan p
         WHERE {WITHOUT_TEMPLATE} ORDER BY p.id"
    );
    tx.run("tk_bw_template", &sql, &[]).await.map(drop)
}

/// A plan with rates and without a template.
const WITHOUT_TEMPLATE: &str = "(p.rate_down IS NOT NULL OR p.rate_up IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM tk_bw_template t WHERE t.plan_id = p.id)";

async fn templates(tx: &mut Tx<'_>) -> Result<Vec<BandwidthTemplate>, StoreError> {
    let sql = "SELECT t.id, COALESCE(p.name, t.name), CASE WHEN t.plan_id IS NULL THEN t.rate_down ELSE p.rate_down END,
            CASE WHEN t.plan_id IS NULL THEN t.rate_up ELSE p.rate_up END, t.plan_id
        FROM tk_bw_template t LEFT JOIN tk_plan p ON p.id = t.plan_id
        WHERE t.plan_id IS NULL OR p.id IS NOT NULL ORDER BY t.id";
    tx.fetch("tk_bw_template", sql, &[], |row| {
        let rate = |column| {
            Ok::<_, sqlx::Error>(
                row.int(column)?.and_then(|rate| u64::try_from(rate).ok()).filter(|rate| *rate > 0),
            )
        };
        Ok(BandwidthTemplate {
            id: row.number(0)?,
            name: row.word(1)?,
            down: rate(2)?,
            up: rate(3)?,
            plan: row.int(4)?,
        })
    })
    .await
}

fn names_of(written: &[(&'static str, i64)]) -> String {
    let words: Vec<String> = written.iter().map(|(table, id)| format!("{table}={id}")).collect();
    words.join(" ")
}

fn rows_of(written: &str) -> impl Iterator<Item = (&'static str, i64)> + '_ {
    const TABLES: [&str; 4] = ["radcheck", "radreply", "tk_quota", "tk_override"];
    written.split(' ').filter_map(|word| {
        let (name, id) = word.split_once('=')?;
        Some((*TABLES.iter().find(|table| **table == name)?, id.parse().ok()?))
    })
}

fn text_of(items: &[FupAttribute]) -> String {
    let line = |item: &FupAttribute| {
        let table = if item.is_check { "check" } else { "reply" };
        [table, &item.attribute, &item.op, &item.value].join(&PART.to_string())
    };
    items.iter().map(line).collect::<Vec<_>>().join(&ITEM.to_string())
}

fn items_of(text: &SmolStr) -> Vec<FupAttribute> {
    let item = |line: &str| {
        let mut parts = line.splitn(4, PART);
        Some(FupAttribute {
            is_check: parts.next()? == "check",
            attribute: parts.next()?.to_owned(),
            op: parts.next()?.to_owned(),
            value: parts.next()?.to_owned(),
        })
    };
    text.split(ITEM).filter_map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let written = [("radcheck", 7), ("tk_quota", 9)];
        assert_eq!(rows_of(&names_of(&written)).collect::<Vec<_>>(), written);
        assert_eq!(rows_of("tk_admin=1 radreply=x ").count(), 0);
        let items = vec![FupAttribute {
            is_check: true,
            attribute: "Filter-Id".to_owned(),
            op: ":=".to_owned(),
            value: "a b".to_owned(),
        }];
        assert_eq!(items_of(&text_of(&items).into()), items);
        assert!(items_of(&SmolStr::default()).is_empty());
    }
}
