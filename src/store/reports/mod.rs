//! Lists and reports: what the management APIs read of sessions, login attempts and purchases.
//!
//! A list is read in two steps: the numbers of a page's rows by an index, then those rows. With a million
//! rows the first step decides, and a planner that guesses how many rows a condition leaves guesses wrong
//! sooner or later: so each kind of condition has one way, and the text leaves no other. `clause` builds
//! texts, `log` knows tables whose number grows with time, one file per report has the rest.

mod attempts;
mod clause;
mod log;
mod purchases;
mod sessions;
mod totals;

use clause::{Clause, Value};

use super::StoreError;
use super::admin::tx::Tx;
use super::db::Db;
use crate::domain::report::Pattern;

/// The logins of these accounts.
fn of_accounts(login: &str, accounts: &[i64]) -> Clause {
    let marks = vec!["?"; accounts.len()].join(", ");
    let text = format!(
        "EXISTS (SELECT 1 FROM tk_subscriber w WHERE w.username = {login} AND w.account_id IN ({marks}))"
    );
    Clause::new(text, accounts.iter().map(|account| Value::Int(*account)))
}

/// How a User-Name that shall be like `pattern` is written in a table, where that is more than one index
/// can tell. SQLite compares names octet by octet, and its indexes are FreeRADIUS's: the spellings are
/// found by walking down the index letter by letter, in both cases.
async fn spellings(tx: &mut Tx<'_>, table: &'static str, login: &str) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "WITH RECURSIVE walk(spelt, place) AS (
             SELECT '', 1
             UNION ALL
             SELECT walk.spelt || letter.value, walk.place + 1
             FROM walk, json_each(json_array(lower(substr(?, walk.place, 1)), upper(substr(?, walk.place, 1)))) letter
             WHERE walk.place <= length(?)
               AND (letter.key = 0 OR lower(substr(?, walk.place, 1)) <> upper(substr(?, walk.place, 1)))
               AND EXISTS (SELECT 1 FROM {table} WHERE username >= walk.spelt || letter.value
                           AND username < walk.spelt || letter.value || char(1114111))
             LIMIT 20000
         )
         SELECT spelt FROM walk WHERE place = length(?) + 1"
    );
    let login = Value::Text(login.to_owned());
    let clause = Clause::new(sql, vec![login; 6]);
    clause.fetch(tx, table, |row| row.word(0).map(String::from)).await
}

/// The condition that the login of `table`, called `a`, is like the pattern; the second says whether an index
/// finds it.
async fn login_like(
    tx: &mut Tx<'_>,
    db: &Db,
    table: &'static str,
    login: &Pattern,
) -> Result<(Clause, bool), StoreError> {
    let Pattern::Exact(name) = login else {
        return Ok((like(db, "a.username", login), false));
    };
    Ok(match db {
        Db::Sqlite(_) => {
            let found = spellings(tx, table, name).await?;
            (Clause::one_of("a.username", &found), true)
        }
        Db::Postgres(_) => (Clause::new("lower(a.username) = lower(?)", [Value::Text(name.clone())]), true),
        // The usual collations of FreeRADIUS's tables do not tell cases apart.
        Db::MySql(_) => (Clause::new("a.username = ?", [Value::Text(name.clone())]), true),
    })
}

/// The condition that a text is like the pattern, whatever the case of letters.
fn like(db: &Db, text: &str, pattern: &Pattern) -> Clause {
    let escaped = |text: &str| {
        let mut escaped = String::with_capacity(text.len());
        for character in text.chars() {
            if matches!(character, '!' | '%' | '_') {
                escaped.push('!');
            }
            escaped.push(character);
        }
        escaped
    };
    let wanted = match pattern {
        Pattern::Exact(text) => escaped(text),
        Pattern::Prefix(text) => format!("{}%", escaped(text)),
        Pattern::Suffix(text) => format!("%{}", escaped(text)),
        Pattern::Within(text) => format!("%{}%", escaped(text)),
    };
    let sql = match db {
        Db::Sqlite(_) => format!("{text} LIKE ? ESCAPE '!'"),
        Db::Postgres(_) | Db::MySql(_) => format!("lower({text}) LIKE lower(?) ESCAPE '!'"),
    };
    Clause::new(sql, [Value::Text(wanted)])
}
