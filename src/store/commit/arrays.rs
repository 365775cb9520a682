//! PostgreSQL: everything of a commit in one statement, an array per column. A statement is a
//! transaction of its own: one message there and one back, whatever is in the batch, which counts most
//! where the database has to be waited for.

use std::sync::OnceLock;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Connection as _, PgConnection, Postgres};

use super::postings::{self, Within};
use super::{Rows, Statements, Texts, brief_assignments, held, proposed, usage_cells, write_few};
use crate::domain::Session;
use crate::store::columns::{Cell, Dialect, Layout, address_text};
use crate::store::db::{Db, Pools};

/// The texts: each statement holds those parts that have rows.
pub(super) struct Arrays {
    /// By [`Parts::number`], made when first wanted.
    texts: [OnceLock<String>; 64],
    /// `true` for integers.
    whole: Vec<bool>,
    brief: Vec<bool>,
    closing: Vec<bool>,
}

/// Which parts a statement has, in the order in which their arrays are bound.
#[derive(Clone, Copy, Default)]
struct Parts {
    /// Sessions that changed: whole rows, merged into what is there.
    full: bool,
    /// Sessions that are new: whole rows, inserted.
    fresh: bool,
    /// Sessions of which counters and times moved.
    brief: bool,
    /// Sessions that a Stop ended.
    closing: bool,
    /// Buckets of usage.
    usage: bool,
    /// First and last use.
    used: bool,
}

impl Parts {
    fn number(self) -> usize {
        [self.full, self.fresh, self.brief, self.closing, self.usage, self.used]
            .into_iter()
            .fold(0, |number, part| number << 1 | usize::from(part))
    }
}

const USAGE: [bool; 5] = [true; 5];
const USED: [bool; 3] = [true; 3];

impl Arrays {
    pub(super) fn new(layout: &Layout) -> Self {
        let side = Layout::side_columns().map(|(_, integer)| integer);
        Self {
            texts: [const { OnceLock::new() }; 64],
            whole: side.chain(layout.columns().map(|(_, integer)| integer)).collect(),
            brief: layout.types_of(&layout.brief_columns()),
            closing: layout.types_of(&layout.closing_columns()),
        }
    }

    /// The statement of some parts. It gives how many rows were found by the brief part and by the
    /// closing part.
    fn text(&self, layout: &Layout, parts: Parts) -> &str {
        let Some(text) = self.texts.get(parts.number()) else { return "SELECT 0, 0" };
        text.get_or_init(|| self.make(layout, parts))
    }

    fn make(&self, layout: &Layout, parts: Parts) -> String {
        let mut bound = 0;
        let mut arrays = |types: &[bool]| {
            let columns: Vec<String> = types
                .iter()
                .zip(array_names(types.len()))
                .map(|(integer, name)| {
                    bound += 1;
                    format!("UNNEST(${bound}::{}[]) AS {name}", if *integer { "bigint" } else { "text" })
                })
                .collect();
            // In the list of a SELECT they go side by side; in FROM each would be stored whole first.
            format!("(SELECT {}) u", columns.join(", "))
        };
        let mut queries = Vec::new();
        if parts.full {
            queries.extend(full_queries(layout, &arrays(&self.whole)));
        }
        if parts.fresh {
            let (side, whole) = self.whole.split_at(Layout::side_columns().count());
            queries.extend(fresh_queries(layout, &arrays(side), &arrays(whole)));
        }
        if parts.brief {
            let columns = layout.brief_columns();
            let assigned = brief_assignments(Dialect::Postgres, &columns);
            queries.push(update("brief", layout, &columns, &assigned, &arrays(&self.brief)));
        }
        if parts.closing {
            let columns = layout.closing_columns();
            let assigned = layout.closing_assignments(held, proposed).join(", ");
            queries.push(update("closing", layout, &columns, &assigned, &arrays(&self.closing)));
        }
        if parts.usage {
            queries.extend(usage_queries(&arrays(&USAGE)));
        }
        if parts.used {
            queries.push(format!(
                "used AS (UPDATE tk_subscriber SET first_use_at = COALESCE(first_use_at, u.c1),
                     real_first_use_at = COALESCE(real_first_use_at, u.c1),
                     last_use_at = GREATEST(last_use_at, u.c2)
                 FROM {} WHERE tk_subscriber.id = u.c0)",
                arrays(&USED)
            ));
        }
        let touched = |name: &str, part: bool| {
            if part { format!("(SELECT COUNT(*) FROM {name})") } else { "CAST(0 AS bigint)".to_owned() }
        };
        let with = if queries.is_empty() { String::new() } else { format!("WITH {} ", queries.join(",\n")) };
        // The comment tells what it is to who looks at the activity of the database.
        format!(
            "/* group commit */ {with}SELECT {}, {}",
            touched("brief", parts.brief),
            touched("closing", parts.closing)
        )
    }
}

fn array_names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("c{number}")).collect()
}

/// A small update of rows that are expected to be there.
fn update(name: &str, layout: &Layout, columns: &[&str], assigned: &str, unnest: &str) -> String {
    let values: Vec<String> = columns
        .iter()
        .zip(array_names(columns.len()))
        .map(|(column, array)| format!("{} AS {column}", layout.array_value(column, &array)))
        .collect();
    format!(
        "{name} AS (UPDATE radacct SET {assigned} FROM (SELECT {} FROM {unnest}) n
         WHERE radacct.acctuniqueid = n.acctuniqueid RETURNING 1)",
        values.join(", ")
    )
}

/// The columns of both tables as one list of values called `s_…` and `a_…`.
fn whole_rows(layout: &Layout, unnest: &str) -> String {
    let side = Layout::side_columns().map(|(name, _)| (name, "s"));
    let whole: Vec<(&str, &str)> = side.chain(layout.columns().map(|(name, _)| (name, "a"))).collect();
    let values: Vec<String> = whole
        .iter()
        .zip(array_names(whole.len()))
        .map(|((name, table), array)| match *table {
            "s" => format!("{array} AS s_{name}"),
            _ => format!("{} AS a_{name}", layout.array_value(name, &array)),
        })
        .collect();
    format!("SELECT {} FROM {unnest}", values.join(", "))
}

/// The columns of a table for an INSERT, and the values of [`whole_rows`] for them.
fn inserted(names: &[&str], prefix: &str) -> (String, String) {
    let values: Vec<String> = names.iter().map(|name| format!("{prefix}_{name}")).collect();
    (names.join(", "), values.join(", "))
}

/// Sessions that nothing is known of, so that they are probably new. One that is there after all is a
/// key that is taken: the statement fails, and they are merged instead.
fn fresh_queries(layout: &Layout, side: &str, whole: &str) -> [String; 2] {
    let side_names: Vec<&str> = Layout::side_columns().map(|(name, _)| name).collect();
    let names: Vec<&str> = layout.columns().map(|(name, _)| name).collect();
    let arrays = array_names(names.len());
    let values: Vec<String> =
        names.iter().zip(&arrays).map(|(name, array)| layout.array_value(name, array)).collect();
    [
        format!("fresh_side AS (INSERT INTO tk_session ({}) SELECT * FROM {side})", side_names.join(", ")),
        format!(
            "fresh AS (INSERT INTO radacct ({}) SELECT {} FROM {whole})",
            names.join(", "),
            values.join(", ")
        ),
    ]
}

/// Sessions whole. Every part of the statement sees the tables as they were before it, so that an update
/// of `radacct` can tell what `tk_session` held. What was not there to be updated is inserted; only where
/// another server was quicker do the two rows meet again.
fn full_queries(layout: &Layout, unnest: &str) -> [String; 4] {
    let (side_names, side_values) =
        inserted(&Layout::side_columns().map(|(name, _)| name).collect::<Vec<_>>(), "s");
    let (names, values) = inserted(&layout.columns().map(|(name, _)| name).collect::<Vec<_>>(), "a");
    [
        format!("n AS MATERIALIZED ({})", whole_rows(layout, unnest)),
        format!(
            "changed AS (UPDATE radacct SET {} FROM n LEFT JOIN tk_session t ON t.unique_id = n.s_unique_id
             WHERE radacct.acctuniqueid = n.a_acctuniqueid RETURNING radacct.acctuniqueid AS id)",
            layout.update_merges()
        ),
        format!(
            "added AS (INSERT INTO radacct ({names}) SELECT {values} FROM n
             WHERE n.a_acctuniqueid NOT IN (SELECT id FROM changed)
             ON CONFLICT (acctuniqueid) DO UPDATE SET {})",
            layout.brief_merges()
        ),
        format!(
            "side AS (INSERT INTO tk_session ({side_names}) SELECT {side_values} FROM n
             ON CONFLICT (unique_id) DO UPDATE SET {})",
            Layout::side_merges(Dialect::Postgres)
        ),
    ]
}

/// Buckets of usage. Nearly all are there to be updated, which costs less than an insert that meets them.
fn usage_queries(unnest: &str) -> [String; 3] {
    [
        format!("buckets AS MATERIALIZED (SELECT * FROM {unnest})"),
        "counted AS (UPDATE tk_usage SET seconds = GREATEST(tk_usage.seconds, b.c2),
             input = GREATEST(tk_usage.input, b.c3), output = GREATEST(tk_usage.output, b.c4)
         FROM buckets b WHERE tk_usage.subscriber_id = b.c0 AND tk_usage.day = b.c1
         RETURNING b.c0 AS subscriber, b.c1 AS day)"
            .to_owned(),
        "uncounted AS (INSERT INTO tk_usage (subscriber_id, day, seconds, input, output)
         SELECT * FROM buckets b WHERE (b.c0, b.c1) NOT IN (SELECT subscriber, day FROM counted)
         ON CONFLICT (subscriber_id, day) DO UPDATE SET
             seconds = GREATEST(tk_usage.seconds, excluded.seconds),
             input = GREATEST(tk_usage.input, excluded.input),
             output = GREATEST(tk_usage.output, excluded.output))"
            .to_owned(),
    ]
}

pub(super) async fn postgres(
    db: &Db,
    pools: &Pools<Postgres>,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let mut held = pools.commit.take().await?;
    let connection = held.connection();
    let outcome = async {
        if !rows.need_transaction() {
            return write(connection, statements, rows).await;
        }
        let mut transaction = connection.begin().await?;
        write(&mut transaction, statements, rows).await?;
        postings::post(db, &mut Within::Postgres(&mut transaction), &rows.charged).await?;
        write_few!(transaction, statements, rows);
        transaction.commit().await
    };
    let outcome = outcome.await;
    held.give_back(outcome)
}

async fn write(
    connection: &mut PgConnection,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let as_expected = Parts {
        full: !rows.full.is_empty(),
        fresh: !rows.fresh.is_empty(),
        brief: !rows.brief.is_empty(),
        closing: !rows.closing.is_empty(),
        usage: !rows.usage.is_empty(),
        used: !rows.used.is_empty(),
    };
    let changed: Vec<&Session> = rows.full.iter().map(|(session, _)| *session).collect();
    // In a longer transaction a statement that fails would undo what came before it.
    let outcome = if as_expected.fresh && rows.need_transaction() {
        None
    } else {
        match write_parts(connection, statements, as_expected, &changed, rows).await {
            Err(error) if as_expected.fresh && is_taken(&error) => None,
            outcome => Some(outcome?),
        }
    };
    let (touched, closed) = match outcome {
        Some(found) => found,
        // What seemed new is merged.
        None => {
            let parts = Parts { full: true, fresh: false, ..as_expected };
            let whole = rows.written_whole(rows.brief.len(), rows.closing.len());
            write_parts(connection, statements, parts, &whole, rows).await?
        }
    };
    let missed = rows.missed(touched, closed);
    if !missed.is_empty() {
        let parts = Parts { full: true, ..Parts::default() };
        write_parts(connection, statements, parts, &missed, rows).await?;
    }
    Ok(())
}

/// Is the error that of a key which is there already?
fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// Gives how many rows were found by the brief part and by the closing part.
async fn write_parts(
    connection: &mut PgConnection,
    statements: &Statements,
    parts: Parts,
    full: &[&Session],
    rows: &Rows<'_>,
) -> Result<(usize, usize), sqlx::Error> {
    let (layout, Texts::Arrays(arrays)) = (&statements.layout, &statements.texts) else { return Ok((0, 0)) };
    let whole = |session: &Session| {
        let mut cells = layout.side_cells(session);
        cells.extend(layout.cells(session));
        cells
    };
    let some = |sessions: &[&Session], names: &[&str]| -> Vec<Vec<Cell>> {
        sessions.iter().map(|session| layout.cells_of(names, session)).collect()
    };
    let full: Vec<Vec<Cell>> = full.iter().map(|session| whole(session)).collect();
    let fresh: Vec<Vec<Cell>> = rows.fresh.iter().map(|(session, _)| whole(session)).collect();
    let brief = some(&rows.brief, &layout.brief_columns());
    let closing = some(&rows.closing, &layout.closing_columns());
    let usage: Vec<Vec<Cell>> = rows.usage.iter().map(|(key, total)| usage_cells(*key, *total)).collect();
    let used = rows.used.iter().map(|(id, [first, last])| [*id, *first, *last].map(Cell::Int).to_vec());
    let used: Vec<Vec<Cell>> = used.collect();
    let mut query = sqlx::query(arrays.text(layout, parts));
    for (part, rows, types) in [
        (parts.full, &full, arrays.whole.as_slice()),
        (parts.fresh, &fresh, &arrays.whole),
        (parts.brief, &brief, &arrays.brief),
        (parts.closing, &closing, &arrays.closing),
        (parts.usage, &usage, &USAGE),
        (parts.used, &used, &USED),
    ] {
        if part {
            query = bind(query, rows, types);
        }
    }
    let row = query.fetch_one(connection).await?;
    let (touched, closed): (i64, i64) = sqlx::FromRow::from_row(&row)?;
    Ok((usize::try_from(touched).unwrap_or(0), usize::try_from(closed).unwrap_or(0)))
}

/// Binds one array per column.
fn bind<'q>(
    mut query: Query<'q, Postgres, PgArguments>,
    rows: &'q [Vec<Cell>],
    types: &[bool],
) -> Query<'q, Postgres, PgArguments> {
    for (column, integer) in types.iter().enumerate() {
        let cells = rows.iter().map(|row| row.get(column).unwrap_or(&Cell::Null));
        if *integer {
            let values: Vec<Option<i64>> = cells
                .map(|cell| match cell {
                    Cell::Int(number) => Some(*number),
                    Cell::Null | Cell::Text(_) => None,
                })
                .collect();
            query = query.bind(values);
        } else {
            let values: Vec<Option<&str>> = cells
                .map(|cell| match cell {
                    Cell::Text(text) => Some(text.as_str()),
                    Cell::Null | Cell::Int(_) => None,
                })
                .collect();
            query = query.bind(values);
        }
    }
    query
}
