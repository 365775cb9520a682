//! The only SQL: three databases behind one interface; rows never leave this folder.
//!
//! Owns the tables: FreeRADIUS's as they are found, ours beside them, the change feed, and the rules by
//! which a row is merged into what is there. Refuses to know packets, policy and the online table.
//! One file per aggregate; read [`CommitWrites`] in `commit` next, then `sessions`.

mod admin;
mod attempts;
mod audit;
mod changes;
mod charges;
mod columns;
mod commit;
mod db;
mod devices;
mod durability;
mod error;
mod fence;
mod groups;
mod migrate;
mod nas;
mod orders;
mod quotas;
mod ready;
mod reports;
mod schema;
mod sessions;
mod settings;
mod signing;
mod snapshot;
mod spool;
mod subscribers;

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Database, Executor as _, MySql, Postgres, Sqlite, TransactionManager as _};

pub use admin::{
    AccountEdit, AccountObstacle, AccountRecord, AccountRow, Adopted, ApiSession, AttributeChange,
    AttributeEdit, AttributePut, Author, ChargeUsage, CollectionObstacle, CredentialEdit, CreditChange,
    CreditObstacle, CreditRecord, CustomerChange, DueChange, Figure, FupObstacle, KeySecret, LedgerEntry,
    LimitEdit, LocationEdit, MoneyEdit, NasChange, NasEntry, NewAttribute, NewBatch, NewCustomers, NewDevice,
    NewDeviceLogin, NewExpiry, NewKey, NewNas, NewOperator, NewQuota, NewSubscriber, NewTopUp,
    OperatorSecret, OwnEdit, Place, PlaceEdit, PlaceObstacle, PlanDraft, PlanHead, PlanMove, PlanValues,
    PutOff, PutRow, QuotaEdit, QuotaOwner, Recode, Recoded, Refresh, RuleObstacle, RuleOwner, Sale,
    SigningKey, SigningKeys, Sketch, SubscriberEdit, SubscriberObstacle, SubscriberRecord, Survey,
    WalletChange, WalletOrder, Whose,
};
pub use attempts::Attempt;
pub use audit::{Audit, HeldFile, SessionAccount};
pub use changes::{Change, ChangeCursor, Changes};
pub use commit::CommitWrites;
pub use error::StoreError;
pub use nas::{NasRows, UnusableNas};
pub use orders::OrderRow;
pub use sessions::{OpenCursor, OpenPage};
pub use snapshot::{Kept, Snapshot, SnapshotSettings};
pub use spool::{Poisoned, Spool, SpoolMeasure, SpoolPage, SpoolSettings, SpooledRecord};

use commit::Statements;
use db::{Db, Keys, Pools};
use ready::Ready;
use schema::Schema;
use subscribers::FIRST_SIGHT;

use crate::domain::UniqueId;
use crate::vault::Vault;

/// Where the database is and how many connections may go there.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:PATH`, `postgres://…` or `mysql://…`.
    pub url: String,
    /// Connections that read and do what is not in a hurry.
    pub connections: u32,
    /// Connections for the group commit; SQLite has one.
    pub commit_connections: u32,
    /// How long a caller waits for a connection before the database counts as unavailable.
    pub patience: Duration,
    /// Run although the database may lose what it has acknowledged.
    pub allow_unsafe_durability: bool,
    /// What hides passwords; by default nothing does.
    pub vault: Arc<Vault>,
    /// The number of a server, the same at each of its starts: see [`Store::fence`].
    pub server: Option<u64>,
}

impl Settings {
    /// The usual ones for a database.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            connections: 4,
            commit_connections: 3,
            patience: Duration::from_secs(5),
            allow_unsafe_durability: false,
            vault: Arc::default(),
            server: None,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.debug_struct("Settings")
            .field("connections", &self.connections)
            .field("commit_connections", &self.commit_connections)
            .field("allow_unsafe_durability", &self.allow_unsafe_durability)
            .finish_non_exhaustive()
    }
}

/// A database, connected. Clones share everything.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    db: Db,
    allow_unsafe_durability: bool,
    server: Option<u64>,
    /// What the tables are like, and the texts that follow from it; none before they exist.
    learned: ArcSwapOption<Learned>,
    /// Digest of what was last committed of each open session beside counters and times: a record
    /// that changes nothing of it is a small update.
    committed: Mutex<HashMap<UniqueId, u64, foldhash::fast::RandomState>>,
    /// Last entry of the change feed, and how many of the last ones there were, when new logins were last looked
    /// for.
    sighted: Mutex<Option<(i64, i64)>>,
    /// Hears the notifications of PostgreSQL.
    listener: tokio::sync::Mutex<Option<sqlx::postgres::PgListener>>,
}

/// What is known of the tables once they exist.
struct Learned {
    schema: Schema,
    statements: Statements,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.database()).finish()
    }
}

/// How long connections may take to close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// Texts that one connection keeps prepared. Enough for all of ours.
const PREPARED: usize = 256;

/// Connections to PostgreSQL for what packets wait for; the service asks one question after the other.
const LOOK_UPS: u32 = 2;

/// How long SQLite waits for another process's transaction.
const SQLITE_BUSY: Duration = Duration::from_secs(5);

impl Store {
    /// Connects, and checks what [`Store::check`] does. Tables are not touched: see [`Store::migrate`].
    ///
    /// # Errors
    /// As [`Store::lazy`] and [`Store::check`].
    pub async fn connect(settings: &Settings) -> Result<Self, StoreError> {
        let store = Self::lazy(settings)?;
        store.check().await?;
        Ok(store)
    }

    /// The same without asking anybody: it connects when it is used, and until it was checked the tables are
    /// taken to be missing.
    ///
    /// # Errors
    /// [`StoreError::Address`] for a URL that cannot be one.
    pub fn lazy(settings: &Settings) -> Result<Self, StoreError> {
        let scheme = settings.url.split(':').next().unwrap_or_default();
        let keys = Arc::new(ArcSwap::new(Arc::clone(&settings.vault)));
        let db = match scheme {
            "sqlite" => Db::Sqlite(sqlite(settings, keys)?),
            "postgres" | "postgresql" => Db::Postgres(postgres(settings, keys)?),
            "mysql" | "mariadb" => Db::MySql(mysql(settings, keys)?),
            _ => {
                return Err(StoreError::Address {
                    reason: "it must begin with sqlite:, postgres:// or mysql://".to_owned(),
                });
            }
        };
        Ok(Self(Arc::new(Inner {
            db,
            allow_unsafe_durability: settings.allow_unsafe_durability,
            server: settings.server,
            learned: ArcSwapOption::empty(),
            committed: Mutex::default(),
            sighted: Mutex::default(),
            listener: tokio::sync::Mutex::default(),
        })))
    }

    /// Looks whether the database is there and keeps what it acknowledges (see [`Store::durability`]), and at
    /// the tables. A SQLite file is created where there is none; other databases must exist.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where nobody answers, [`StoreError::Unsafe`] unless the settings allow it.
    pub async fn check(&self) -> Result<(), StoreError> {
        if let Db::Sqlite(pools) = self.db()
            && let Some(folder) = pools.write.connect_options().get_filename().parent()
            && folder != Path::new("")
        {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::Unavailable {
                reason: format!("{}: {error}", folder.display()),
            })?;
        }
        // On SQLite the one that may write makes the file.
        db::on_pool!(self.db(), write, |pool| pool.acquire().await.map(drop).map_err(unreachable)?);
        db::on_pool!(self.db(), read, |pool| pool.acquire().await.map(drop).map_err(unreachable)?);
        self.durability().await?;
        match self.learn_schema().await {
            Err(error) if !matches!(error, StoreError::Schema { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// `SQLite`, `PostgreSQL` or `MySQL`.
    #[must_use]
    pub fn database(&self) -> &'static str {
        self.db().pick("SQLite", "PostgreSQL", "MySQL")
    }

    /// Closes every connection; what is under way ends first, within a few seconds: a database that
    /// does not answer must not keep a server from stopping.
    pub async fn close(&self) {
        let closed = async {
            // The listener holds a connection of a pool, which would be waited for.
            drop(self.0.listener.lock().await.take());
            db::on_pool!(self.db(), read, |pool| pool.close().await);
            db::on_pool!(self.db(), write, |pool| pool.close().await);
            db::on_pool!(self.db(), commit, |pool| pool.close().await);
            db::on_pool!(self.db(), look_up, |pool| pool.close().await);
        };
        if tokio::time::timeout(CLOSE_PATIENCE, closed).await.is_err() {
            tracing::debug!("connections to the database were cut off");
        }
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    /// What the tables are like.
    fn learned(&self) -> Result<Arc<Learned>, StoreError> {
        self.0.learned.load_full().ok_or_else(|| StoreError::Schema {
            reason: "the tables do not exist or are not complete: run migrate".to_owned(),
        })
    }

    /// Looks at the tables again.
    async fn learn_schema(&self) -> Result<(), StoreError> {
        let schema = Schema::probe(self.db()).await?;
        schema.complete()?;
        let statements = Statements::new(self.db(), &schema);
        self.0.learned.store(Some(Arc::new(Learned { schema, statements })));
        Ok(())
    }
}

fn unreachable(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Configuration(error) => StoreError::Address { reason: error.to_string() },
        error => match StoreError::from_sql(&error, "") {
            error @ (StoreError::Address { .. } | StoreError::Unavailable { .. }) => error,
            other => StoreError::Unavailable { reason: other.to_string() },
        },
    }
}

fn sqlite(settings: &Settings, vault: Keys) -> Result<Pools<Sqlite>, StoreError> {
    let options = SqliteConnectOptions::from_str(&settings.url)
        .map_err(unreachable)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(SQLITE_BUSY)
        .foreign_keys(true)
        .statement_cache_capacity(PREPARED);
    let pool = |connections: u32| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(settings.patience)
            .test_before_acquire(false)
            // A full disk or an error of the disk ends a transaction inside SQLite. The connection still
            // counts one that cannot be rolled back any more, and could never begin another.
            .before_acquire(|connection, _| {
                let depth = <<Sqlite as Database>::TransactionManager>::get_transaction_depth(connection);
                Box::pin(async move { Ok(depth == 0) })
            })
            .idle_timeout(None)
            .max_lifetime(None)
    };
    let write = pool(1).connect_lazy_with(options.clone());
    let in_memory = settings.url.contains(":memory:") || settings.url.contains("mode=memory");
    let read = if in_memory {
        // Every connection to such an address is a database of its own.
        write.clone()
    } else {
        pool(settings.connections.max(1)).connect_lazy_with(options.pragma("query_only", "1"))
    };
    Ok(Pools { commit: Ready::new(write.clone()), write, look_up: Ready::new(read.clone()), read, vault })
}

fn postgres(settings: &Settings, vault: Keys) -> Result<Pools<Postgres>, StoreError> {
    let options = PgConnectOptions::from_str(&settings.url)
        .map_err(unreachable)?
        .application_name("tollkeeper")
        .statement_cache_capacity(PREPARED);
    let pool = |connections: u32, settled: &str| {
        let settled: Arc<str> = settled.into();
        PgPoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(settings.patience)
            .after_connect(move |connection, _| {
                let settled = Arc::clone(&settled);
                Box::pin(async move { connection.execute(&*settled).await.map(drop) })
            })
    };
    // What is read is read by key, and a plan made while a table was empty is kept.
    let shared = pool(settings.connections, "SET enable_seqscan = off; SET jit = off");
    let shared = shared.connect_lazy_with(options.clone());
    // Rows are always found by key. A plan made while a table was empty must not become a scan of all of
    // it an hour later, and planning each batch anew costs more than it brings.
    let by_key = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off;
        SET plan_cache_mode = force_generic_plan; SET jit = off";
    let fenced = settings.server.map_or_else(
        || by_key.to_owned(),
        |server| format!("{by_key}; {}", fence::shared_on_postgres(server)),
    );
    let commit = pool(settings.commit_connections, &fenced).test_before_acquire(false);
    let look_up = pool(LOOK_UPS, by_key);
    Ok(Pools {
        commit: Ready::new(commit.connect_lazy_with(options.clone())),
        look_up: Ready::new(look_up.connect_lazy_with(options)),
        write: shared.clone(),
        read: shared,
        vault,
    })
}

fn mysql(settings: &Settings, vault: Keys) -> Result<Pools<MySql>, StoreError> {
    let url = settings.url.replacen("mariadb:", "mysql:", 1);
    // The server's own time zone: FreeRADIUS writes its DATETIME columns with FROM_UNIXTIME in it.
    let options = MySqlConnectOptions::from_str(&url)
        .map_err(unreachable)?
        .timezone(None)
        .statement_cache_capacity(PREPARED);
    let pool = |connections: u32| {
        MySqlPoolOptions::new().max_connections(connections.max(1)).acquire_timeout(settings.patience)
    };
    let shared = pool(settings.connections).connect_lazy_with(options.clone());
    let mut commit = pool(settings.commit_connections).test_before_acquire(false);
    if let Some(server) = settings.server {
        let taken: Arc<str> = fence::taken_on_mysql(server).into();
        commit = commit.after_connect(move |connection, _| {
            let taken = Arc::clone(&taken);
            Box::pin(async move { fence::is_taken(&connection.fetch_one(&*taken).await?) })
        });
    }
    let commit = commit.connect_lazy_with(options);
    Ok(Pools {
        commit: Ready::new(commit),
        look_up: Ready::new(shared.clone()),
        write: shared.clone(),
        read: shared,
        vault,
    })
}
