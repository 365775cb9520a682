//! SQLite and MySQL: rows as lists of values, in statements of a few sizes, so that they stay prepared.

use sqlx::{Connection as _, MySqlConnection, SqliteConnection};

use super::postings::{self, Within};
use super::{Rows, Statements, Texts, brief_assignments, held, proposed, usage_cells, write_few};
use crate::store::columns::{Cell, Dialect, Layout, address_text};
use crate::store::db::{Db, Pools};

/// The texts of both.
pub(super) struct Lists {
    side: Sized,
    full: Sized,
    brief: Sized,
    closing: Sized,
    usage: Sized,
    used: Sized,
}

impl Lists {
    pub(super) fn sqlite(layout: &Layout) -> Self {
        let side: Vec<&str> = Layout::side_columns().map(|(name, _)| name).collect();
        let full: Vec<&str> = layout.columns().map(|(name, _)| name).collect();
        let [side, full, brief, usage, used] = sqlite_texts(layout, &side, &full, &layout.brief_columns());
        let assigned = layout.closing_assignments(held, proposed).join(", ");
        let closing = sqlite_update(&layout.closing_columns(), &assigned);
        Self { side, full, brief, closing, usage, used }
    }

    pub(super) fn mysql(layout: &Layout) -> Self {
        let side: Vec<&str> = Layout::side_columns().map(|(name, _)| name).collect();
        let full: Vec<&str> = layout.columns().map(|(name, _)| name).collect();
        let [side, full, brief, closing, usage, used] = mysql_texts(layout, &side, &full);
        Self { side, full, brief, closing, usage, used }
    }
}

/// How many rows one statement of SQLite or MySQL takes: the sizes that texts are prepared for.
const SIZES: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

/// A text for each of [`SIZES`].
struct Sized([String; 8]);

impl Sized {
    /// `head`, so many times `row`, `tail`.
    fn new(head: &str, row: &str, tail: &str, separator: &str) -> Self {
        Self(SIZES.map(|size| format!("{head}{}{tail}", vec![row; size].join(separator))))
    }

    /// Parts rows into as few statements as the sizes allow.
    fn parts<'s, T>(&'s self, mut rows: &'s [T]) -> impl Iterator<Item = (&'s str, &'s [T])> {
        std::iter::from_fn(move || {
            let (text, size) = self.0.iter().zip(SIZES).find(|(_, size)| *size <= rows.len())?;
            let (now, later) = rows.split_at_checked(size)?;
            rows = later;
            Some((text.as_str(), now))
        })
    }
}

/// Texts of SQLite: upserts, and updates from a list of values.
fn sqlite_texts(layout: &Layout, side: &[&str], full: &[&str], brief: &[&str]) -> [Sized; 5] {
    let marks = |count: usize| format!("({})", vec!["?"; count].join(", "));
    let insert = |table: &str, names: &[&str], key: &str, merges: &str| {
        Sized::new(
            &format!("INSERT INTO {table} ({}) VALUES ", names.join(", ")),
            &marks(names.len()),
            &format!(" ON CONFLICT ({key}) DO UPDATE SET\n    {merges}"),
            ", ",
        )
    };
    [
        insert("tk_session", side, "unique_id", &Layout::side_merges(Dialect::Sqlite)),
        insert("radacct", full, "acctuniqueid", &layout.merges()),
        sqlite_update(brief, &brief_assignments(Dialect::Sqlite, brief)),
        insert(
            "tk_usage",
            &["subscriber_id", "day", "seconds", "input", "output"],
            "subscriber_id, day",
            "seconds = max(tk_usage.seconds, excluded.seconds), input = max(tk_usage.input, excluded.input),
             output = max(tk_usage.output, excluded.output)",
        ),
        Sized::new(
            "WITH n (id, first, last) AS (VALUES ",
            "(?, ?, ?)",
            ") UPDATE tk_subscriber SET first_use_at = COALESCE(first_use_at, n.first),
               real_first_use_at = COALESCE(real_first_use_at, n.first),
               last_use_at = max(COALESCE(last_use_at, n.last), n.last)
             FROM n WHERE tk_subscriber.id = n.id",
            ", ",
        ),
    ]
}

/// An update of rows of `radacct` from a list of values called `n`.
fn sqlite_update(names: &[&str], assigned: &str) -> Sized {
    Sized::new(
        &format!("WITH n ({}) AS (VALUES ", names.join(", ")),
        &format!("({})", vec!["?"; names.len()].join(", ")),
        &format!(") UPDATE radacct SET {assigned} FROM n WHERE radacct.acctuniqueid = n.acctuniqueid"),
        ", ",
    )
}

/// Texts of MySQL. The brief and the closing one write whole rows too, and merges little: an update by a list of values
/// would have to compare text of two collations.
fn mysql_texts(layout: &Layout, side: &[&str], full: &[&str]) -> [Sized; 6] {
    let insert = |table: &str, names: &[&str], row: &str, merges: &str| {
        Sized::new(
            &format!("INSERT INTO {table} ({}) VALUES ", names.join(", ")),
            row,
            &format!(" ON DUPLICATE KEY UPDATE\n    {merges}"),
            ", ",
        )
    };
    let marks = |count: usize| format!("({})", vec!["?"; count].join(", "));
    let placeholders: Vec<&str> = full.iter().map(|name| layout.placeholder(name)).collect();
    let row = format!("({})", placeholders.join(", "));
    [
        insert("tk_session", side, &marks(side.len()), &Layout::side_merges(Dialect::MySql)),
        insert("radacct", full, &row, &layout.merges()),
        insert("radacct", full, &row, &layout.brief_merges()),
        insert(
            "radacct",
            full,
            &row,
            &layout.closing_assignments(ToOwned::to_owned, |name| format!("VALUES({name})")).join(",\n    "),
        ),
        insert(
            "tk_usage",
            &["subscriber_id", "day", "seconds", "input", "output"],
            &marks(5),
            "seconds = GREATEST(seconds, VALUES(seconds)), input = GREATEST(input, VALUES(input)),
             output = GREATEST(output, VALUES(output))",
        ),
        Sized::new(
            "UPDATE tk_subscriber s JOIN (",
            "SELECT ? AS id, ? AS first, ? AS last",
            ") n ON s.id = n.id SET s.first_use_at = COALESCE(s.first_use_at, n.first),
               s.real_first_use_at = COALESCE(s.real_first_use_at, n.first),
               s.last_use_at = GREATEST(COALESCE(s.last_use_at, n.last), n.last)",
            " UNION ALL ",
        ),
    ]
}

/// Binds the values of several rows, one after the other.
macro_rules! bind_rows {
    ($query:expr, $rows:expr) => {{
        let mut query = $query;
        for cell in $rows {
            query = match cell {
                Cell::Null => query.bind(None::<i64>),
                Cell::Int(number) => query.bind(*number),
                Cell::Text(text) => query.bind(text.as_str()),
            };
        }
        query
    }};
}

/// Writes rows of cells by statements of the sizes; gives the number of rows that were touched.
macro_rules! write_sized {
    ($connection:expr, $sized:expr, $rows:expr) => {{
        let mut touched = 0;
        for (text, rows) in $sized.parts($rows) {
            let query = bind_rows!(sqlx::query(text), rows.iter().flatten());
            touched += query.execute(&mut *$connection).await?.rows_affected();
        }
        usize::try_from(touched).unwrap_or(usize::MAX)
    }};
}

/// What SQLite and MySQL share: everything but the sessions.
macro_rules! write_rest {
    ($connection:expr, $statements:expr, $lists:expr, $rows:expr) => {{
        let usage: Vec<Vec<Cell>> =
            $rows.usage.iter().map(|(key, total)| usage_cells(*key, *total)).collect();
        write_sized!($connection, $lists.usage, &usage);
        let used: Vec<[Cell; 3]> =
            $rows.used.iter().map(|(id, [first, last])| [*id, *first, *last].map(Cell::Int)).collect();
        write_sized!($connection, $lists.used, &used);
        write_few!($connection, $statements, $rows);
    }};
}

pub(super) async fn sqlite(
    db: &Db,
    pools: &Pools<sqlx::Sqlite>,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    // IMMEDIATE: a transaction that begins by reading could not become a writing one while another
    // process writes.
    let mut transaction = pools.commit.pool().begin_with("BEGIN IMMEDIATE").await?;
    write_sqlite(&mut transaction, statements, rows).await?;
    postings::post(db, &mut Within::Sqlite(&mut transaction), &rows.charged).await?;
    transaction.commit().await
}

async fn write_sqlite(
    connection: &mut SqliteConnection,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let (layout, Texts::Lists(lists)) = (&statements.layout, &statements.texts) else { return Ok(()) };
    let names = layout.brief_columns();
    let brief: Vec<Vec<Cell>> = rows.brief.iter().map(|session| layout.cells_of(&names, session)).collect();
    let touched = write_sized!(connection, lists.brief, &brief);
    let names = layout.closing_columns();
    let closing: Vec<Vec<Cell>> =
        rows.closing.iter().map(|session| layout.cells_of(&names, session)).collect();
    let closed = write_sized!(connection, lists.closing, &closing);
    let full = rows.written_whole(touched, closed);
    let side: Vec<Vec<Cell>> = full.iter().map(|session| layout.side_cells(session)).collect();
    write_sized!(connection, lists.side, &side);
    let cells: Vec<Vec<Cell>> = full.iter().map(|session| layout.cells(session)).collect();
    write_sized!(connection, lists.full, &cells);
    write_rest!(connection, statements, lists, rows);
    Ok(())
}

pub(super) async fn mysql(
    db: &Db,
    pools: &Pools<sqlx::MySql>,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let mut held = pools.commit.take().await?;
    let connection = held.connection();
    let outcome = async {
        let mut transaction = connection.begin().await?;
        write_mysql(&mut transaction, statements, rows).await?;
        postings::post(db, &mut Within::MySql(&mut transaction), &rows.charged).await?;
        transaction.commit().await
    };
    let outcome = outcome.await;
    held.give_back(outcome)
}

async fn write_mysql(
    connection: &mut MySqlConnection,
    statements: &Statements,
    rows: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    let (layout, Texts::Lists(lists)) = (&statements.layout, &statements.texts) else { return Ok(()) };
    let side: Vec<Vec<Cell>> = rows.full.iter().map(|(session, _)| layout.side_cells(session)).collect();
    write_sized!(connection, lists.side, &side);
    let cells: Vec<Vec<Cell>> = rows.full.iter().map(|(session, _)| layout.cells(session)).collect();
    write_sized!(connection, lists.full, &cells);
    let brief: Vec<Vec<Cell>> = rows.brief.iter().map(|session| layout.cells(session)).collect();
    write_sized!(connection, lists.brief, &brief);
    let closing: Vec<Vec<Cell>> = rows.closing.iter().map(|session| layout.cells(session)).collect();
    write_sized!(connection, lists.closing, &closing);
    write_rest!(connection, statements, lists, rows);
    Ok(())
}
