//! A fresh database for each test, on whatever servers answer.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection as _, Executor as _};
use tollkeeper::store::{Settings, Store};

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MySql,
}

/// A database of its own, empty, removed by [`TestDatabase::drop`].
pub(crate) struct TestDatabase {
    pub(crate) kind: Kind,
    pub(crate) url: String,
    folder: Option<tempfile::TempDir>,
    server: String,
    name: String,
}

/// A raw connection, to do what other tools do.
pub(crate) enum Raw {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
    MySql(sqlx::MySqlConnection),
}

impl TestDatabase {
    /// A fresh one, or `None`, with the reason printed, where the server does not answer. With
    /// `TOLLKEEPER_REQUIRE_DATABASES=1` that is a failure.
    pub(crate) async fn create(kind: Kind) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // A run that was ended leaves databases behind, and the number of its process is given again.
        let begun = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
        let name = format!("tk_test_{}_{begun:x}_{number}", std::process::id());
        let server = match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let file: PathBuf = folder.path().join("tollkeeper.db");
                let url = format!("sqlite:{}", file.display());
                return Some(Self { kind, url, folder: Some(folder), server: String::new(), name });
            }
            Kind::Postgres => std::env::var("TOLLKEEPER_TEST_POSTGRES")
                .unwrap_or_else(|_| "postgres://postgres@127.0.0.1".to_owned()),
            Kind::MySql => {
                std::env::var("TOLLKEEPER_TEST_MYSQL").unwrap_or_else(|_| "mysql://root@127.0.0.1".to_owned())
            }
        };
        let server = server.trim_end_matches('/').to_owned();
        let created = match kind {
            Kind::Postgres => match sqlx::PgConnection::connect(&format!("{server}/postgres")).await {
                Ok(mut connection) => {
                    connection.execute(format!("CREATE DATABASE {name}").as_str()).await.map(drop)
                }
                Err(error) => Err(error),
            },
            _ => match sqlx::MySqlConnection::connect(&server).await {
                Ok(mut connection) => {
                    connection.execute(format!("CREATE DATABASE {name}").as_str()).await.map(drop)
                }
                Err(error) => Err(error),
            },
        };
        match created {
            Ok(()) => {
                let url = format!("{server}/{name}");
                Some(Self { kind, url, folder: None, server, name })
            }
            Err(error) => {
                assert!(
                    std::env::var("TOLLKEEPER_REQUIRE_DATABASES").as_deref() != Ok("1"),
                    "{kind:?} is required and does not answer: {error}"
                );
                println!("skipped: {kind:?} does not answer: {error}");
                None
            }
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::new(&self.url)
    }

    /// Connected and migrated.
    pub(crate) async fn store(&self) -> Store {
        let store = Store::connect(&self.settings()).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    pub(crate) async fn raw(&self) -> Raw {
        match self.kind {
            Kind::Sqlite => {
                let options: sqlx::sqlite::SqliteConnectOptions = self.url.parse().unwrap();
                let options =
                    options.create_if_missing(true).busy_timeout(std::time::Duration::from_secs(10));
                Raw::Sqlite(sqlx::SqliteConnection::connect_with(&options).await.unwrap())
            }
            Kind::Postgres => Raw::Postgres(sqlx::PgConnection::connect(&self.url).await.unwrap()),
            Kind::MySql => Raw::MySql(sqlx::MySqlConnection::connect(&self.url).await.unwrap()),
        }
    }

    /// Removes the database; what a failing test leaves behind has the number of its process in its name.
    pub(crate) async fn drop(self) {
        match self.kind {
            Kind::Sqlite => drop(self.folder),
            Kind::Postgres => {
                let mut connection =
                    sqlx::PgConnection::connect(&format!("{}/postgres", self.server)).await.unwrap();
                let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
                connection.execute(sql.as_str()).await.unwrap();
            }
            Kind::MySql => {
                let mut connection = sqlx::MySqlConnection::connect(&self.server).await.unwrap();
                let dropped = connection.execute(format!("DROP DATABASE {}", self.name).as_str()).await;
                if let Err(error) = dropped {
                    // Now and then MariaDB leaves a file of a trigger behind (*.TRG-) and knows it no more.
                    assert!(error.to_string().contains("rmdir"), "{error}");
                    println!("{}: {error}", self.name);
                }
            }
        }
    }
}

impl Raw {
    /// Runs some statements as they are.
    pub(crate) async fn run(&mut self, sql: &str) {
        self.try_run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) async fn try_run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.execute(sql).await.map(drop),
            Self::Postgres(connection) => connection.execute(sql).await.map(drop),
            Self::MySql(connection) => connection.execute(sql).await.map(drop),
        }
    }

    /// Every row as the texts of its columns; null is `-`. Columns must be text: cast what is not.
    pub(crate) async fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        macro_rules! rows {
            ($connection:expr) => {
                sqlx::query(sql)
                    .fetch_all($connection)
                    .await
                    .unwrap_or_else(|error| panic!("{sql}: {error}"))
                    .iter()
                    .map(|row| {
                        use sqlx::Row as _;
                        (0..row.len())
                            .map(|column| {
                                let value = row.try_get_unchecked::<Option<&[u8]>, _>(column).unwrap();
                                value.map_or("-".to_owned(), |value| {
                                    String::from_utf8_lossy(value).into_owned()
                                })
                            })
                            .collect()
                    })
                    .collect()
            };
        }
        match self {
            Self::Sqlite(connection) => rows!(connection),
            Self::Postgres(connection) => rows!(connection),
            Self::MySql(connection) => rows!(connection),
        }
    }
}

/// Each truth as a test per database.
macro_rules! battery {
    ($($name:ident),* $(,)?) => {
        $crate::support::databases::battery!(@ sqlite, Kind::Sqlite, $($name),*);
        $crate::support::databases::battery!(@ postgres, Kind::Postgres, $($name),*);
        $crate::support::databases::battery!(@ mysql, Kind::MySql, $($name),*);
    };
    (@ $module:ident, $kind:expr, $($name:ident),*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    if let Some(database) = TestDatabase::create($kind).await {
                        super::$name(&database).await;
                        database.drop().await;
                    }
                }
            )*
        }
    };
}

pub(crate) use battery;
