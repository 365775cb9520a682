//! Tables that grow at one end: `radacct` and `radpostauth`. Lists have their newest rows first, by number;
//! a number grows with time, but nobody promises it: a record comes late, a database was filled by hand.

use super::clause::{Clause, Value};
use crate::domain::Paging;
use crate::domain::report::Span;
use crate::store::StoreError;
use crate::store::admin::tx::Tx;
use crate::store::db::Db;

/// Rows at the end of a table that are looked through for what no index finds.
const WINDOW: i64 = 20_000;
/// A span with so many rows, or fewer, is read through its index whatever else is asked.
const FEW: i64 = 5_000;
/// Rows of a span's end that tell where its highest numbers are.
const SAMPLE: i64 = 1_000;
/// Rows above a number that are rather looked through than found by time.
const NEAR: i64 = 60_000;

/// A table, its number and its time.
pub(super) struct Log {
    pub(super) table: &'static str,
    pub(super) id: &'static str,
    pub(super) time: &'static str,
    /// Some times are texts, which no index compares with numbers.
    pub(super) mixed: bool,
    /// Makes a value of `time` of a placeholder of seconds.
    pub(super) value: &'static str,
    /// What conditions may name.
    pub(super) columns: &'static str,
}

/// Which rows.
pub(super) struct Wanted {
    /// An index finds these, highest number first.
    pub(super) indexed: Option<Clause>,
    /// What else has to hold.
    pub(super) rest: Clause,
    /// When.
    pub(super) span: Span,
    /// Lowest number first.
    pub(super) ascending: bool,
}

impl Log {
    /// The numbers of a page's rows and of the one after it.
    pub(super) async fn page(
        &self,
        tx: &mut Tx<'_>,
        db: &Db,
        wanted: Wanted,
        paging: Paging,
    ) -> Result<Vec<i64>, StoreError> {
        let Wanted { indexed, rest, span, ascending } = wanted;
        let page = Cut { limit: paging.limit(), offset: paging.offset(), ascending };
        let timed = !span.is_everything();
        if let Some(indexed) = indexed {
            if timed && self.is_few(tx, span).await? {
                return self.of_span(tx, db, span, indexed.and(rest), page).await;
            }
            let mut filter = indexed.and(rest).and(self.unindexed(db, span));
            if timed && matches!(db, Db::Postgres(_)) {
                let top = self.top_of_span(tx, span).await?;
                let below = Clause::new(format!("a.{} + 0 <= ?", self.id), [Value::Int(top)]);
                filter = filter.and(below);
            }
            return self.by_index(tx, db, filter, page).await;
        }
        if ascending {
            return self.by_number(tx, rest.and(self.within("a.", span)), page).await;
        }
        if timed && rest.is_always() {
            return self.newest_of_span(tx, db, span, page).await;
        }
        if !rest.is_always() {
            let top = self.top(tx).await?;
            let newest = Clause::new(format!("a.{} > ?", self.id), [Value::Int(top.saturating_sub(WINDOW))]);
            let newest = newest.and(rest.clone()).and(self.unindexed(db, span));
            let found = self.by_number(tx, newest, page).await?;
            let full = i64::try_from(found.len()).unwrap_or(i64::MAX) >= page.limit;
            if full || top <= WINDOW {
                return Ok(found);
            }
            if timed {
                return self.of_span(tx, db, span, rest, page).await;
            }
        }
        self.by_number(tx, rest, page).await
    }

    /// Of the open rows of `radacct`.
    pub(super) async fn open(
        &self,
        tx: &mut Tx<'_>,
        db: &Db,
        wanted: Wanted,
        paging: Paging,
    ) -> Result<Vec<i64>, StoreError> {
        let Wanted { indexed, rest, span, ascending } = wanted;
        let page = Cut { limit: paging.limit(), offset: paging.offset(), ascending };
        let open = Clause::new("acctstoptime IS NULL", []);
        let filter = indexed.unwrap_or_default().and(rest).and(self.unindexed(db, span));
        page.of(self.among(db, open, filter)).numbers(tx, self.table).await
    }

    /// The highest number there is.
    async fn top(&self, tx: &mut Tx<'_>) -> Result<i64, StoreError> {
        let top = Clause::new(format!("SELECT MAX({}) FROM {}", self.id, self.table), []);
        Ok(top.number(tx, self.table).await?.unwrap_or(0))
    }

    /// The rows of a span.
    pub(super) fn within(&self, alias: &str, span: Span) -> Clause {
        Clause::within(&self.moment(alias), self.value, span)
    }

    /// The time of a row.
    fn moment(&self, alias: &str) -> String {
        let column = format!("{alias}{}", self.time);
        if self.mixed {
            let column = column.trim_start_matches('+');
            format!(
                "CASE WHEN typeof({column}) = 'text' THEN CAST(strftime('%s', {column}) AS INTEGER) ELSE {column} END"
            )
        } else {
            column
        }
    }

    /// The same, of rows that another condition finds: SQLite without figures of its tables would take the
    /// index of times.
    fn unindexed(&self, db: &Db, span: Span) -> Clause {
        self.within(db.pick("+a.", "a.", "a."), span)
    }

    /// Numbers of the rows for which `filter` holds, by number.
    async fn by_number(&self, tx: &mut Tx<'_>, filter: Clause, page: Cut) -> Result<Vec<i64>, StoreError> {
        page.of(self.all(filter)).numbers(tx, self.table).await
    }

    /// Numbers of the rows for which `filter` holds, an index finding them.
    async fn by_index(
        &self,
        tx: &mut Tx<'_>,
        db: &Db,
        filter: Clause,
        page: Cut,
    ) -> Result<Vec<i64>, StoreError> {
        if !matches!(db, Db::Postgres(_)) {
            return self.by_number(tx, filter, page).await;
        }
        // Only our indexes have the number so; else the planner walks down the primary key for rows that it
        // takes to be near.
        let Self { table, id, .. } = self;
        let all = |filter: Clause| {
            let clause = Clause::new(format!("SELECT a.{id} + 0 AS number FROM {table} a"), []);
            Numbers { id: "number", clause: clause.followed_by(filter.filter()) }
        };
        if self.table != "radacct" {
            return page.by(&format!("a.{id} + 0"), all(filter)).numbers(tx, self.table).await;
        }
        // Our indexes there hold closed sessions only, so that a Start need not write them; of the open
        // ones there are few.
        let part = Cut { limit: page.limit.saturating_add(page.offset), offset: 0, ..page };
        let closed = all(Clause::new("a.acctstoptime IS NOT NULL", []).and(filter.clone()));
        let closed = part.by(&format!("a.{id} + 0"), closed);
        let open = part.of(self.among(db, Clause::new("acctstoptime IS NULL", []), filter));
        let both = Clause::new("SELECT a.number FROM ((", [])
            .followed_by(closed)
            .then(") UNION ALL (")
            .followed_by(open)
            .then(")) a");
        page.of(Numbers { id: "number", clause: both }).numbers(tx, self.table).await
    }

    /// Is the span one that holds few rows?
    async fn is_few(&self, tx: &mut Tx<'_>, span: Span) -> Result<bool, StoreError> {
        let within = Clause::new(format!("SELECT COUNT(*) FROM (SELECT 1 FROM {}", self.table), [])
            .followed_by(self.within("", span).filter())
            .then(&format!(" LIMIT {}) few", FEW + 1));
        Ok(within.number(tx, self.table).await?.unwrap_or(0) <= FEW)
    }

    /// Numbers of the rows of a span for which `filter` holds, found by time.
    async fn of_span(
        &self,
        tx: &mut Tx<'_>,
        db: &Db,
        span: Span,
        filter: Clause,
        page: Cut,
    ) -> Result<Vec<i64>, StoreError> {
        page.of(self.among(db, self.within("", span), filter)).numbers(tx, self.table).await
    }

    /// The highest numbers of a span, which may hold a million rows below a million newer ones. Among its
    /// last rows by time are as many as are asked for; so whatever is asked for lies at or above the lowest
    /// of their highest numbers, and of all rows that do few are in the span.
    async fn newest_of_span(
        &self,
        tx: &mut Tx<'_>,
        db: &Db,
        span: Span,
        page: Cut,
    ) -> Result<Vec<i64>, StoreError> {
        let Self { table, id, .. } = self;
        let time = self.moment("");
        let wanted = page.limit.saturating_add(page.offset);
        let sample = SAMPLE.max(wanted.saturating_mul(2));
        let last = Clause::new(format!("SELECT {id} FROM {table}"), [])
            .followed_by(self.within("", span).filter())
            .then(&format!(" ORDER BY {time} DESC LIMIT {sample}"));
        let mut last = last.numbers(tx, table).await?;
        last.sort_unstable_by(|a, b| b.cmp(a));
        let reach = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
        if last.len() < reach(sample) {
            // These are all.
            return Ok(last.into_iter().skip(reach(page.offset)).take(reach(page.limit)).collect());
        }
        let Some(floor) = last.get(reach(wanted).saturating_sub(1)).copied() else { return Ok(Vec::new()) };
        let near = self.top(tx).await?.saturating_sub(floor) <= NEAR;
        let at_least = |number: String| Clause::new(format!("{number} >= ?"), [Value::Int(floor)]);
        let numbers = if near {
            self.all(at_least(format!("a.{id}")).and(self.unindexed(db, span)))
        } else {
            // An expression that no primary key knows: PostgreSQL has an index over ranges of pages of it
            // and the time, the others go through that of the time alone.
            let number =
                db.pick(format!("+{id}").as_str(), &format!("{id} + 0"), &format!("{id} + 0")).to_owned();
            self.fenced(db, self.id, at_least(number).and(self.within("", span)), Clause::always())
        };
        page.of(numbers).numbers(tx, table).await
    }

    /// The highest number of a span, on PostgreSQL: what its last rows by time have, unless the index over
    /// ranges of pages finds a higher one.
    async fn top_of_span(&self, tx: &mut Tx<'_>, span: Span) -> Result<i64, StoreError> {
        let Self { table, id, time, .. } = self;
        let within = || self.within("", span);
        let last = Clause::new(format!("SELECT COALESCE(MAX(s.{id}), 0) FROM (SELECT {id} FROM {table}"), [])
            .followed_by(within().filter())
            .then(&format!(" ORDER BY {time} DESC LIMIT {SAMPLE}) s"));
        let last = last.number(tx, table).await?.unwrap_or(0);
        let higher = within().and(Clause::new(format!("{id} + 0 > ?"), [Value::Int(last)]));
        let higher = Clause::new(format!("SELECT MAX(s.{id}) FROM (SELECT {id} FROM {table}"), [])
            .followed_by(higher.filter())
            .then(" OFFSET 0) s");
        Ok(higher.number(tx, table).await?.unwrap_or(last))
    }

    /// All rows for which `filter` holds.
    fn all(&self, filter: Clause) -> Numbers {
        let clause = Clause::new(format!("SELECT a.{} FROM {} a", self.id, self.table), []);
        Numbers { id: self.id, clause: clause.followed_by(filter.filter()) }
    }

    /// The rows for which `found` holds, which is what finds them, and then `filter`.
    fn among(&self, db: &Db, found: Clause, filter: Clause) -> Numbers {
        self.fenced(db, self.columns, found, filter)
    }

    fn fenced(&self, db: &Db, columns: &str, found: Clause, filter: Clause) -> Numbers {
        // Where a limit stands, no condition from outside gets in.
        let fence = db.pick(" LIMIT -1) a", " OFFSET 0) a", " LIMIT 9223372036854775807) a");
        let Self { table, id, .. } = self;
        let clause = Clause::new(format!("SELECT a.{id} FROM (SELECT {columns} FROM {table}"), [])
            .followed_by(found.filter())
            .then(fence)
            .followed_by(filter.filter());
        Numbers { id, clause }
    }
}

/// A text that gives numbers, in no order yet.
struct Numbers {
    id: &'static str,
    clause: Clause,
}

/// What of a list is wanted.
#[derive(Clone, Copy)]
struct Cut {
    limit: i64,
    offset: i64,
    ascending: bool,
}

impl Cut {
    fn of(self, numbers: Numbers) -> Clause {
        let order = format!("a.{}", numbers.id);
        self.by(&order, numbers)
    }

    /// The same, by an expression.
    fn by(self, expression: &str, numbers: Numbers) -> Clause {
        let order = if self.ascending { "ASC" } else { "DESC" };
        numbers
            .clause
            .then(&format!(" ORDER BY {expression} {order} LIMIT ? OFFSET ?"))
            .followed_by(Clause::new("", [Value::Int(self.limit), Value::Int(self.offset)]))
    }
}
