//! What a session is in SQL: which field goes where, how a row is merged into the one that is there,
//! and how the session is read back. Used by `commit` and by `sessions`.

use std::hash::{Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr};

use smallvec::SmallVec;
use smol_str::{SmolStr, ToSmolStr as _, format_smolstr};

use super::charges;
use super::db::{Columns, Db, unreadable};
use super::schema::{self, Schema, fitted};
use crate::domain::session::SessionDetails;
use crate::domain::{
    ClassToken, CloseGuess, Closed, Counter, NasIdentity, Session, SessionFlags, SessionKey, SubscriberId,
    UniqueId, Usage,
};
use crate::time::UnixTime;

/// One value on its way to a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Text(SmolStr),
}

impl Cell {
    fn int(value: Option<u64>) -> Self {
        value.map_or(Self::Null, |value| Self::Int(clamped(value)))
    }

    fn text(value: Option<SmolStr>) -> Self {
        value.map_or(Self::Null, Self::Text)
    }
}

/// Counters beyond a BIGINT say its greatest value.
pub(super) fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A text field of a session: its column in `radacct`, or its name in `tk_session.extra` where the
/// column is missing or too narrow.
struct Field {
    name: &'static str,
    address: bool,
    text: fn(&Session) -> SmolStr,
    set: fn(&mut Session, SmolStr),
}

macro_rules! field {
    ($name:literal, $($path:ident).+) => {
        Field {
            name: $name,
            address: false,
            text: |session| session.$($path).+.clone(),
            set: |session, text| session.$($path).+ = text,
        }
    };
}

const FIELDS: [Field; 17] = [
    field!("acctsessionid", acct_session_id),
    field!("username", user_name),
    field!("nasportid", nas_port_id),
    field!("nasporttype", details.nas_port_type),
    field!("acctauthentic", details.authentic),
    field!("connectinfo_start", details.connect_info_start),
    field!("connectinfo_stop", details.connect_info_stop),
    field!("calledstationid", called_station_id),
    field!("callingstationid", calling_station_id),
    field!("servicetype", details.service_type),
    field!("framedprotocol", details.framed_protocol),
    Field {
        name: "framedipaddress",
        address: true,
        text: |session| session.framed_ip.map(|ip| ip.to_smolstr()).unwrap_or_default(),
        set: |session, text| session.framed_ip = text.parse().ok(),
    },
    Field {
        name: "framedipv6address",
        address: true,
        text: |session| session.details.framed_ipv6_address.map(|ip| ip.to_smolstr()).unwrap_or_default(),
        set: |session, text| session.details.framed_ipv6_address = text.parse().ok(),
    },
    Field {
        name: "framedipv6prefix",
        address: true,
        text: |session| session.details.framed_ipv6_prefix.clone(),
        set: |session, text| session.details.framed_ipv6_prefix = text,
    },
    field!("framedinterfaceid", details.framed_interface_id),
    Field {
        name: "delegatedipv6prefix",
        address: true,
        text: |session| session.details.delegated_ipv6_prefix.clone(),
        set: |session, text| session.details.delegated_ipv6_prefix = text,
    },
    field!("class", details.class),
];

/// Text fields that FreeRADIUS has no column for.
const EXTRA: [Field; 6] = [
    field!("multi_session_id", details.multi_session_id),
    field!("chargeable_user_identity", details.chargeable_user_identity),
    field!("earlier_addresses", details.earlier_addresses),
    field!("other_attributes", details.other_attributes),
    field!("nas_user_name", details.nas_user_name),
    field!("granted", details.granted),
];

/// How a new value meets the old one in a row that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merge {
    /// Identifies the row.
    Key,
    /// The lower of the two.
    Least,
    /// The higher of the two.
    Greatest,
    /// That of the newer record, unless it says nothing.
    Newer,
    /// That of the newer record, nothing included.
    Last,
    /// The end of a session: see [`Layout::closing`].
    Stop,
    /// Its cause.
    Cause,
    /// `tk_session.stop_seen`: 1 with the first Stop, 2 for every write after it.
    StopSeen,
}

/// How a value is written into its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Time,
    Inet,
}

/// One column of a table as this database has it.
struct Column {
    name: &'static str,
    form: Form,
    integer: bool,
    merge: Merge,
    limit: schema::Column,
    source: Source,
}

/// Where a column's value comes from.
#[derive(Clone, Copy)]
enum Source {
    Field(&'static Field),
    UniqueId,
    Group,
    NasAddress,
    Started,
    Updated,
    Stopped,
    Cause,
    Interval,
    SessionTime,
    Input,
    Output,
}

/// The columns of `radacct` that exist here.
pub(super) struct Layout {
    columns: Vec<Column>,
    dialect: Dialect,
    /// Is there a column for the time of the newest record?
    pub(super) has_update_time: bool,
    has_interval: bool,
}

/// Which SQL is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

/// Columns of `tk_session`, in the order of [`Layout::side_cells`]; `true` for integers.
const SIDE: [(&str, bool, Merge); 20] = [
    ("unique_id", false, Merge::Key),
    ("session_key", false, Merge::Last),
    ("epoch", true, Merge::Last),
    ("nas_source", false, Merge::Last),
    ("nas_address", false, Merge::Last),
    ("nas_identifier", false, Merge::Last),
    ("subscriber_id", true, Merge::Newer),
    ("groupname", false, Merge::Last),
    ("token", false, Merge::Newer),
    ("started", true, Merge::Least),
    ("stop_seen", true, Merge::StopSeen),
    ("base_seconds", true, Merge::Greatest),
    ("base_input", true, Merge::Greatest),
    ("base_output", true, Merge::Greatest),
    ("unreported", true, Merge::Last),
    ("counted_seconds", true, Merge::Last),
    ("counted_input", true, Merge::Last),
    ("counted_output", true, Merge::Last),
    ("flags", false, Merge::Last),
    ("extra", false, Merge::Last),
];

/// Characters of the widest text columns of `tk_session`: 253 octets, each written as `\xHH`.
const SIDE_TEXT: schema::Kind = schema::Kind::Text(Some(1012), schema::Charset::Unicode);

impl Layout {
    pub(super) fn new(db: &Db, schema: &Schema) -> Self {
        let dialect = db.pick(Dialect::Sqlite, Dialect::Postgres, Dialect::MySql);
        let mut wanted: Vec<(&'static str, Merge, Source)> = vec![
            ("acctuniqueid", Merge::Key, Source::UniqueId),
            ("groupname", Merge::Newer, Source::Group),
            ("nasipaddress", Merge::Newer, Source::NasAddress),
        ];
        wanted.extend(FIELDS.iter().map(|field| (field.name, Merge::Newer, Source::Field(field))));
        wanted.extend([
            ("acctstarttime", Merge::Least, Source::Started),
            // The order of what follows matters on MySQL, which assigns one after the other and lets each
            // expression see what was assigned before it.
            ("acctstoptime", Merge::Stop, Source::Stopped),
            ("acctterminatecause", Merge::Cause, Source::Cause),
            ("acctsessiontime", Merge::Greatest, Source::SessionTime),
            ("acctinputoctets", Merge::Greatest, Source::Input),
            ("acctoutputoctets", Merge::Greatest, Source::Output),
            ("acctinterval", Merge::Newer, Source::Interval),
            ("acctupdatetime", Merge::Greatest, Source::Updated),
        ]);
        let columns = wanted
            .into_iter()
            .filter_map(|(name, merge, source)| {
                let limit = schema.column("radacct", name)?;
                let time = matches!(source, Source::Started | Source::Updated | Source::Stopped);
                let integer = time
                    || matches!(
                        source,
                        Source::Interval | Source::SessionTime | Source::Input | Source::Output
                    );
                let form = match limit.kind {
                    _ if time => Form::Time,
                    schema::Kind::Inet => Form::Inet,
                    _ => Form::Plain,
                };
                Some(Column { name, form, integer, merge, limit, source })
            })
            .collect();
        Self {
            columns,
            dialect,
            has_update_time: schema.has("radacct", "acctupdatetime"),
            has_interval: schema.has("radacct", "acctinterval"),
        }
    }

    /// The values of `radacct`, in the order of [`Layout::columns`].
    pub(super) fn cells(&self, session: &Session) -> Vec<Cell> {
        self.columns.iter().map(|column| column.cell(session)).collect()
    }

    /// Names, `true` for integers.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.columns.iter().map(|column| (column.name, column.integer))
    }

    /// What an Interim-Update that changes nothing else is about, in the order of
    /// [`Layout::brief_cells`].
    pub(super) fn brief_columns(&self) -> Vec<&'static str> {
        let mut names = vec!["acctuniqueid", "acctsessiontime", "acctinputoctets", "acctoutputoctets"];
        if self.has_interval {
            names.push("acctinterval");
        }
        if self.has_update_time {
            names.push("acctupdatetime");
        }
        names
    }

    /// `CREATE`-order names of `tk_session`, `true` for integers.
    pub(super) fn side_columns() -> impl Iterator<Item = (&'static str, bool)> {
        SIDE.iter().map(|(name, integer, _)| (*name, *integer)).chain([("updated", true)])
    }

    /// The values of `tk_session`.
    pub(super) fn side_cells(&self, session: &Session) -> Vec<Cell> {
        let whole = |text: &SmolStr| Cell::Text(fitted(text, SIDE_TEXT).unwrap_or_else(|| text.clone()));
        let (counted, total) = (session.counted, session.total());
        let counted_cell =
            |counted: u64| if session.counted == total { Cell::Null } else { Cell::int(Some(counted)) };
        vec![
            Cell::Text(session.unique_id.to_text()),
            Cell::Text(hex::encode(session.key.0).into()),
            Cell::Int(i64::from(session.epoch)),
            Cell::Text(session.nas.source.to_smolstr()),
            Cell::text(session.nas.address.map(|address| address.to_smolstr())),
            whole(&session.nas.identifier),
            session.subscriber.map_or(Cell::Null, |subscriber| Cell::Int(subscriber.0)),
            whole(&session.group),
            Cell::text(session.token.map(|token| hex::encode(token.0).into())),
            Cell::Int(session.started.0),
            Cell::Int(i64::from(stopped(session))),
            Cell::Int(clamped(session.session_time.base)),
            Cell::Int(clamped(session.input.base)),
            Cell::Int(clamped(session.output.base)),
            Cell::Int(unreported(session)),
            counted_cell(counted.seconds),
            counted_cell(counted.input),
            counted_cell(counted.output),
            Cell::Text(session.flags.to_text().into()),
            Cell::text(self.extra(session)),
            Cell::Int(session.updated.0),
        ]
    }

    /// JSON of what `radacct` has no column for, or none wide enough.
    fn extra(&self, session: &Session) -> Option<SmolStr> {
        let mut extra = serde_json::Map::new();
        let mut keep = |name: &str, text: &str| {
            extra.insert(name.to_owned(), serde_json::Value::from(text));
        };
        for field in &FIELDS {
            let text = (field.text)(session);
            if text.is_empty() {
                continue;
            }
            let column = self.columns.iter().find(|column| column.name == field.name);
            let held = column.is_some_and(
                |column| matches!(column.text(&text, field.address), Cell::Text(written) if written == text),
            );
            if !held {
                keep(field.name, &text);
            }
        }
        for field in &EXTRA {
            let text = (field.text)(session);
            if !text.is_empty() {
                keep(field.name, &text);
            }
        }
        if let Some(closed) = &session.closed
            && let Some(column) = self.columns.iter().find(|column| column.name == "acctterminatecause")
            && fitted(&closed.cause, column.limit.kind).is_some()
        {
            keep("acctterminatecause", &closed.cause);
        }
        if !self.has_interval && session.interval > 0 {
            keep("acctinterval", &session.interval.to_smolstr());
        }
        if extra.is_empty() { None } else { Some(serde_json::Value::Object(extra).to_smolstr()) }
    }

    /// What a Stop of a session that is known to be open brings beside [`Layout::brief_columns`].
    pub(super) fn closing_columns(&self) -> Vec<&'static str> {
        let mut names = self.brief_columns();
        let ends = ["acctstoptime", "acctterminatecause", "connectinfo_stop"];
        names.extend(ends.into_iter().filter(|name| self.columns.iter().any(|column| column.name == *name)));
        names
    }

    /// The values of these columns.
    pub(super) fn cells_of(&self, names: &[&str], session: &Session) -> Vec<Cell> {
        names
            .iter()
            .filter_map(|name| self.columns.iter().find(|column| column.name == *name))
            .map(|column| column.cell(session))
            .collect()
    }

    /// `true` for those of these columns that are integers.
    pub(super) fn types_of(&self, names: &[&str]) -> Vec<bool> {
        names
            .iter()
            .map(|name| self.columns.iter().any(|column| column.name == *name && column.integer))
            .collect()
    }

    /// `column = …` for [`Layout::closing_columns`] but the key: an end that is there stays. `old` and
    /// `new` say how a column of the two rows is written. The cause comes before the end, since MySQL lets an
    /// expression see what was assigned before it.
    pub(super) fn closing_assignments(
        &self,
        old: impl Fn(&str) -> String,
        new: impl Fn(&str) -> String,
    ) -> Vec<String> {
        let mut assigned = Vec::new();
        for name in self.closing_columns() {
            let (held, proposed) = (old(name), new(name));
            let value = match name {
                "acctstoptime" | "acctuniqueid" | "acctinterval" => continue,
                "acctterminatecause" => {
                    format!("CASE WHEN {} IS NULL THEN {proposed} ELSE {held} END", old("acctstoptime"))
                }
                "connectinfo_stop" => format!("COALESCE(NULLIF({proposed}, ''), {held})"),
                _ => self.dialect.greatest(&held, &proposed),
            };
            assigned.push(format!("{name} = {value}"));
        }
        let (held, proposed) = (old("acctstoptime"), new("acctstoptime"));
        assigned.push(format!("acctstoptime = COALESCE({held}, {proposed})"));
        assigned
    }

    /// May the end of this session be written by [`Layout::closing_assignments`], if it was open when it
    /// was last committed? A real Stop whose cause cannot be taken for one of our guesses may.
    pub(super) fn ends_plainly(session: &Session) -> bool {
        session
            .closed
            .as_ref()
            .is_some_and(|closed| closed.guess.is_none() && CloseGuess::parse(&closed.cause).is_none())
    }

    /// Digest of all that a brief or closing write leaves out. Two records with the same digest differ
    /// in counters, times and the end alone. That the NAS has 64-bit counters is not worth a write: the
    /// next packet says so again, and so does a count beyond 32 bits.
    pub(super) fn digest(&self, session: &Session) -> u64 {
        use std::hash::BuildHasher as _;
        let mut digest = foldhash::quality::FixedState::default().build_hasher();
        (session.key, session.epoch, &session.nas, session.subscriber, &session.user_name, &session.group)
            .hash(&mut digest);
        (&session.acct_session_id, session.token, session.started, unreported(session)).hash(&mut digest);
        (session.session_time.base, session.input.base, session.output.base, session.framed_ip)
            .hash(&mut digest);
        (&session.calling_station_id, &session.called_station_id, &session.nas_port_id).hash(&mut digest);
        SessionFlags { gigawords: false, ..session.flags }.to_text().hash(&mut digest);
        if session.counted != session.total() {
            (session.counted.seconds, session.counted.input, session.counted.output).hash(&mut digest);
        }
        for field in FIELDS.iter().chain(&EXTRA).filter(|field| field.name != "connectinfo_stop") {
            (field.text)(session).hash(&mut digest);
        }
        if !self.has_update_time {
            session.updated.hash(&mut digest);
        }
        if !self.has_interval {
            session.interval.hash(&mut digest);
        }
        digest.finish()
    }

    /// `column = …` for every column of `radacct` but its key, in an upsert after that of `tk_session`.
    pub(super) fn merges(&self) -> String {
        let names = Names::new(self.dialect, "radacct");
        self.assignments(&names, |column| column.merge != Merge::Key)
    }

    /// The same in an update from rows `n` (`a_…` and `s_…`) and the old rows `t` of `tk_session`.
    pub(super) fn update_merges(&self) -> String {
        let names = Names { update: true, ..Names::new(self.dialect, "radacct") };
        self.assignments(&names, |column| column.merge != Merge::Key)
    }

    /// The same for the columns of a brief write.
    pub(super) fn brief_merges(&self) -> String {
        let brief = self.brief_columns();
        let names = Names::new(self.dialect, "radacct");
        self.assignments(&names, |column| column.merge != Merge::Key && brief.contains(&column.name))
    }

    fn assignments(&self, names: &Names, wanted: impl Fn(&Column) -> bool) -> String {
        let assigned: Vec<String> = self
            .columns
            .iter()
            .filter(|column| wanted(column))
            .map(|column| format!("{} = {}", column.name, self.merged(names, column)))
            .collect();
        assigned.join(",\n    ")
    }

    /// The value of a column once a row meets the one that is there.
    fn merged(&self, names: &Names, column: &Column) -> String {
        let (old, new) = (names.old(column.name), names.proposed(column.name));
        let newer = if self.has_update_time { names.newer("acctupdatetime") } else { "1 = 1".to_owned() };
        match column.merge {
            Merge::Key => new,
            Merge::Least => self.dialect.least(&old, &new),
            Merge::Greatest => self.dialect.greatest(&old, &new),
            Merge::Newer if column.integer || column.form == Form::Inet => {
                format!("CASE WHEN {newer} THEN COALESCE({new}, {old}) ELSE COALESCE({old}, {new}) END")
            }
            Merge::Newer | Merge::Last | Merge::StopSeen => format!(
                "CASE WHEN {newer} THEN COALESCE(NULLIF({new}, ''), {old}) ELSE COALESCE(NULLIF({old}, ''), {new}) END"
            ),
            Merge::Stop => {
                format!("CASE WHEN {} THEN {new} ELSE {old} END", self.closing(names, &newer, false))
            }
            Merge::Cause => {
                format!("CASE WHEN {} THEN {new} ELSE {old} END", self.closing(names, &newer, true))
            }
        }
    }

    /// Does the end that the new row states (or denies) replace the old row's? What is known of Stops is
    /// in `tk_session`: 1, this very write brings the first one; 2, one was there before, and of two the
    /// one with the longer session time holds, of equal ones the earlier; 3, never a Stop, and a later
    /// record re-opened the session; 0, only guesses. A close that we did not guess ourselves (another
    /// server's, an operator's) is undone by nothing but a Stop.
    fn closing(&self, names: &Names, newer: &str, cause: bool) -> String {
        let guesses = guess_words();
        let (old_stop, new_stop) = (names.old("acctstoptime"), names.proposed("acctstoptime"));
        let (old_cause, new_cause) = (names.old("acctterminatecause"), names.proposed("acctterminatecause"));
        let (old_ran, new_ran) = (names.old("acctsessiontime"), names.proposed("acctsessiontime"));
        let (known, is_stop) = if names.update {
            (
                "CASE WHEN COALESCE(t.stop_seen, 0) > 0 THEN 2 WHEN n.s_stop_seen > 0 THEN 1
                    WHEN n.s_flags LIKE '%reopened%' OR t.flags LIKE '%reopened%' THEN 3 ELSE 0 END"
                    .to_owned(),
                "n.s_stop_seen > 0".to_owned(),
            )
        } else {
            let id = match self.dialect {
                // An index on octets is of no use to a comparison in radacct's collation.
                Dialect::MySql => {
                    "CAST(radacct.acctuniqueid AS CHAR CHARACTER SET ascii) COLLATE ascii_bin".to_owned()
                }
                Dialect::Sqlite | Dialect::Postgres => names.old("acctuniqueid"),
            };
            // tk_session is written first; what is left to be told of the new row is in its cause.
            (
                format!(
                    "COALESCE((SELECT CASE WHEN t.stop_seen > 0 THEN t.stop_seen
                        WHEN t.flags LIKE '%reopened%' THEN 3 ELSE 0 END
                        FROM tk_session t WHERE t.unique_id = {id}), 0)"
                ),
                format!("{new_stop} IS NOT NULL AND COALESCE({new_cause}, '') NOT IN ({guesses})"),
            )
        };
        // acctstoptime holds the outcome already on MySQL: what it took, its cause takes too.
        let decided = cause && self.dialect == Dialect::MySql;
        let taken = format!("{old_stop} <=> {new_stop}");
        let replaceable = if decided {
            format!("(COALESCE({old_cause}, '') IN ({guesses}, '') AND {taken})")
        } else {
            format!("(({old_stop} IS NULL OR {old_cause} IN ({guesses})) AND {newer})")
        };
        let better = if decided {
            taken
        } else {
            format!(
                "({old_stop} IS NULL OR COALESCE({new_ran}, -1) > COALESCE({old_ran}, -1)
                  OR COALESCE({new_ran}, -1) = COALESCE({old_ran}, -1) AND {new_stop} < {old_stop})"
            )
        };
        // A Stop that was written as a small update left no mark but its own cause.
        let first = if decided {
            better.clone()
        } else {
            format!("({old_stop} IS NULL OR {old_cause} IN ({guesses}) OR {better})")
        };
        format!(
            "CASE {known}
                WHEN 1 THEN {first}
                WHEN 2 THEN {is_stop} AND {better}
                WHEN 3 THEN {replaceable}
                ELSE {new_stop} IS NOT NULL AND {replaceable} END"
        )
    }

    /// `column = …` for every column of `tk_session` but its key.
    pub(super) fn side_merges(dialect: Dialect) -> String {
        let names = Names::new(dialect, "tk_session");
        let newer = names.newer("updated");
        let mut assigned: Vec<String> = SIDE
            .iter()
            .filter(|(_, _, merge)| *merge != Merge::Key)
            .map(|(name, _, merge)| {
                let (old, new) = (names.old(name), names.proposed(name));
                let value = match merge {
                    Merge::Least => dialect.least(&old, &new),
                    Merge::Greatest => dialect.greatest(&old, &new),
                    Merge::StopSeen => format!("CASE WHEN {old} > 0 THEN 2 ELSE {new} END"),
                    Merge::Newer => {
                        format!(
                            "CASE WHEN {newer} THEN COALESCE({new}, {old}) ELSE COALESCE({old}, {new}) END"
                        )
                    }
                    Merge::Key | Merge::Last | Merge::Stop | Merge::Cause => {
                        format!("CASE WHEN {newer} THEN {new} ELSE {old} END")
                    }
                };
                format!("{name} = {value}")
            })
            .collect();
        assigned.push(format!(
            "updated = {}",
            dialect.greatest(&names.old("updated"), &names.proposed("updated"))
        ));
        assigned.join(",\n    ")
    }

    /// Placeholder of a column in a list of values.
    pub(super) fn placeholder(&self, name: &str) -> &'static str {
        let form =
            self.columns.iter().find(|column| column.name == name).map_or(Form::Plain, |column| column.form);
        match (form, self.dialect) {
            (Form::Time, Dialect::MySql) => "FROM_UNIXTIME(?)",
            _ => "?",
        }
    }

    /// A column of an array of PostgreSQL as the column of the table takes it.
    pub(super) fn array_value(&self, name: &str, array: &str) -> String {
        let form =
            self.columns.iter().find(|column| column.name == name).map_or(Form::Plain, |column| column.form);
        match form {
            Form::Plain => array.to_owned(),
            Form::Time => format!("to_timestamp({array})"),
            Form::Inet => format!("{array}::inet"),
        }
    }
}

impl Column {
    fn cell(&self, session: &Session) -> Cell {
        match self.source {
            Source::Field(field) => self.text(&(field.text)(session), field.address),
            Source::UniqueId => Cell::Text(session.unique_id.to_text()),
            Source::Group => self.text(&session.group, false),
            Source::NasAddress => self.text(&session.nas.ip().to_smolstr(), true),
            Source::Started => time(session.started),
            Source::Updated => time(session.updated),
            Source::Stopped => session.closed.as_ref().map_or(Cell::Null, |closed| time(closed.at)),
            Source::Cause => {
                let cause = session.closed.as_ref().map(|closed| closed.cause.clone()).unwrap_or_default();
                self.text(&cause, false)
            }
            Source::Interval => self.int((session.interval > 0).then(|| u64::from(session.interval))),
            Source::SessionTime => self.int(session.session_time.total()),
            Source::Input => self.int(session.input.total()),
            Source::Output => self.int(session.output.total()),
        }
    }

    fn int(&self, value: Option<u64>) -> Cell {
        let most = match self.limit.kind {
            schema::Kind::Int(most) => most,
            schema::Kind::Text(..) | schema::Kind::Inet | schema::Kind::Other => i64::MAX,
        };
        value.map_or(Cell::Null, |value| Cell::Int(clamped(value).min(most)))
    }

    /// Text as the column takes it. An address is there whole or not at all.
    fn text(&self, text: &SmolStr, address: bool) -> Cell {
        let nothing = || if self.limit.nullable { Cell::Null } else { Cell::Text(SmolStr::default()) };
        if text.is_empty() {
            return nothing();
        }
        if self.limit.kind == schema::Kind::Inet {
            let is_address = text.parse::<IpAddr>().is_ok() || text.parse::<ipnet::IpNet>().is_ok();
            return if is_address { Cell::Text(text.clone()) } else { Cell::Null };
        }
        match fitted(text, self.limit.kind) {
            None => Cell::Text(text.clone()),
            Some(_) if address => nothing(),
            Some(fitting) => Cell::Text(fitting),
        }
    }
}

/// A time as every database takes it: years 1970 to 9999.
fn time(at: UnixTime) -> Cell {
    Cell::Int(at.0.clamp(0, 253_402_300_799))
}

fn stopped(session: &Session) -> bool {
    session.closed.as_ref().is_some_and(|closed| closed.guess.is_none())
}

/// Which counters have a base but no report since: 1 seconds, 2 input, 4 output.
fn unreported(session: &Session) -> i64 {
    let bit =
        |counter: Counter, bit: i64| if counter.reported.is_none() && counter.base > 0 { bit } else { 0 };
    bit(session.session_time, 1) | bit(session.input, 2) | bit(session.output, 4)
}

/// The causes that are ours, as a list of SQL.
fn guess_words() -> String {
    let words: Vec<String> = CloseGuess::ALL.iter().map(|(_, word)| format!("'{word}'")).collect();
    words.join(", ")
}

/// How the two rows that meet are called.
struct Names {
    dialect: Dialect,
    table: &'static str,
    /// An update from rows called `n` instead of an upsert.
    update: bool,
}

impl Names {
    const fn new(dialect: Dialect, table: &'static str) -> Self {
        Self { dialect, table, update: false }
    }

    fn old(&self, column: &str) -> String {
        format!("{}.{column}", self.table)
    }

    fn proposed(&self, column: &str) -> String {
        match self.dialect {
            Dialect::Sqlite | Dialect::Postgres if self.update => format!("n.a_{column}"),
            Dialect::Sqlite | Dialect::Postgres => format!("excluded.{column}"),
            Dialect::MySql => format!("VALUES({column})"),
        }
    }

    /// Is the new row at least as new as the old one?
    fn newer(&self, column: &str) -> String {
        format!("COALESCE({} >= {}, 1 = 1)", self.proposed(column), self.old(column))
    }
}

impl Dialect {
    pub(super) fn greatest(self, old: &str, new: &str) -> String {
        match self {
            Self::Postgres => format!("GREATEST({old}, {new})"),
            Self::MySql => format!("COALESCE(GREATEST({old}, {new}), {old}, {new})"),
            Self::Sqlite => format!("COALESCE(max({old}, {new}), {old}, {new})"),
        }
    }

    fn least(self, old: &str, new: &str) -> String {
        match self {
            Self::Postgres => format!("LEAST({old}, {new})"),
            Self::MySql => format!("COALESCE(LEAST({old}, {new}), {old}, {new})"),
            Self::Sqlite => format!("COALESCE(min({old}, {new}), {old}, {new})"),
        }
    }
}

/// A row of sessions as it was read.
pub(super) struct Read {
    /// `radacct.radacctid`.
    pub(super) row: i64,
    /// `radacct.acctuniqueid`.
    pub(super) id: SmolStr,
    /// `None` where the unique id is not one that we or FreeRADIUS made.
    pub(super) session: Option<Session>,
    /// `tk_session` has it: else another server wrote the row.
    pub(super) ours: bool,
}

/// A row that came as one text, its columns parted by NUL, which no text of a database contains. Null is
/// empty.
struct Joined<'a>(SmallVec<[&'a str; 48]>);

impl Columns for Joined<'_> {
    fn text(&self, column: usize) -> Result<Option<SmolStr>, sqlx::Error> {
        let text = self
            .0
            .get(column)
            .ok_or(sqlx::Error::ColumnIndexOutOfBounds { index: column, len: self.0.len() })?;
        Ok((!text.is_empty()).then(|| SmolStr::new(text)))
    }

    fn int(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        let text = self.0.get(column).copied().unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| unreadable(column, "not an integer"))
    }
}

/// What is selected to read a session: `a` is `radacct`, `t` is `tk_session`, `c` is `tk_cdr`.
pub(super) fn selection(db: &Db, schema: &Schema) -> String {
    let mut columns = vec![
        "a.radacctid".to_owned(),
        "a.acctuniqueid".to_owned(),
        if matches!(db, Db::Postgres(_)) && schema.column("radacct", "nasipaddress").is_some_and(is_inet) {
            "host(a.nasipaddress)".to_owned()
        } else {
            "a.nasipaddress".to_owned()
        },
        db.seconds_of("a.acctstarttime"),
        if schema.has("radacct", "acctupdatetime") {
            db.seconds_of("a.acctupdatetime")
        } else {
            "t.updated".to_owned()
        },
        db.seconds_of("a.acctstoptime"),
        "a.acctterminatecause".to_owned(),
        if schema.has("radacct", "acctinterval") { "a.acctinterval" } else { "NULL" }.to_owned(),
        "a.acctsessiontime".to_owned(),
        "a.acctinputoctets".to_owned(),
        "a.acctoutputoctets".to_owned(),
    ];
    for name in [
        "t.session_key",
        "t.epoch",
        "t.nas_source",
        "t.nas_address",
        "t.nas_identifier",
        "t.subscriber_id",
        "t.groupname",
        "t.token",
        "t.started",
        "t.stop_seen",
        "t.base_seconds",
        "t.base_input",
        "t.base_output",
        "t.unreported",
        "t.counted_seconds",
        "t.counted_input",
        "t.counted_output",
        "t.flags",
        "t.extra",
    ] {
        columns.push(name.to_owned());
    }
    for field in &FIELDS {
        columns.push(match schema.column("radacct", field.name) {
            None => "NULL".to_owned(),
            Some(column) if is_inet(column) && field.name.ends_with("prefix") => {
                format!("CAST(a.{} AS text)", field.name)
            }
            Some(column) if is_inet(column) => format!("host(a.{})", field.name),
            Some(_) => format!("a.{}", field.name),
        });
    }
    columns.push("c.charges".to_owned());
    match db {
        // Each column of each row is an allocation and its release in the driver; of one text they are
        // two in all. With fifty columns that is most of the time of a restart.
        Db::Sqlite(_) => {
            let columns: Vec<String> =
                columns.into_iter().map(|column| format!("COALESCE({column}, '')")).collect();
            columns.join(" || char(0) || ")
        }
        Db::Postgres(_) | Db::MySql(_) => columns.join(", "),
    }
}

const fn is_inet(column: schema::Column) -> bool {
    matches!(column.kind, schema::Kind::Inet)
}

/// The tables of [`selection`], joined.
pub(super) fn tables(db: &Db) -> &'static str {
    db.pick(
        "radacct a LEFT JOIN tk_session t ON t.unique_id = a.acctuniqueid
            LEFT JOIN tk_cdr c ON c.unique_id = t.unique_id",
        "radacct a LEFT JOIN tk_session t ON t.unique_id = a.acctuniqueid
            LEFT JOIN tk_cdr c ON c.unique_id = t.unique_id",
        "radacct a LEFT JOIN tk_session t
            ON t.unique_id = CAST(a.acctuniqueid AS CHAR CHARACTER SET ascii) COLLATE ascii_bin
            LEFT JOIN tk_cdr c ON c.unique_id = t.unique_id",
    )
}

/// What reads a row of [`selection`].
pub(super) fn reader(db: &Db) -> fn(&dyn Columns) -> Result<Read, sqlx::Error> {
    match db {
        Db::Sqlite(_) => |row| {
            let joined = row.word(0)?;
            read(&Joined(joined.split('\0').collect()))
        },
        Db::Postgres(_) | Db::MySql(_) => |row| read(row),
    }
}

fn read(row: &dyn Columns) -> Result<Read, sqlx::Error> {
    let (number, id) = (row.number(0)?, row.word(1)?);
    let Some(unique_id) = UniqueId::parse(&id) else {
        return Ok(Read { row: number, id, session: None, ours: false });
    };
    let key = row.text(11)?.and_then(|key| sixteen(&key)).map(SessionKey);
    let address = row.address(2)?;
    let started = row.time(19)?.or(row.time(3)?);
    let updated = row.time(4)?.or(started).unwrap_or_default();
    let cause = row.word(6)?;
    let stop_seen = row.count(20)? > 0;
    let closed = row.time(5)?.map(|at| {
        let guess = if stop_seen { None } else { CloseGuess::parse(&cause) };
        Closed { at, cause, guess }
    });
    let unreported = row.count(24)?;
    let counter = |total: usize, base: usize, bit: u64| -> Result<Counter, sqlx::Error> {
        let base = row.count(base)?;
        let total = row.int(total)?.and_then(|total| u64::try_from(total).ok());
        let reported =
            if unreported & bit == 0 { total.map(|total| total.saturating_sub(base)) } else { None };
        Ok(Counter { base, reported })
    };
    let source = row.address(13)?.or(address).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let nas = NasIdentity {
        source,
        address: if key.is_some() { row.address(14)? } else { address },
        identifier: row.word(15)?,
    };
    let mut session = Session {
        key: key.unwrap_or(SessionKey(unique_id.0)),
        epoch: u32::try_from(row.count(12)?).unwrap_or(u32::MAX),
        unique_id,
        nas,
        subscriber: row.int(16)?.map(SubscriberId),
        user_name: SmolStr::default(),
        group: row.word(17)?,
        acct_session_id: SmolStr::default(),
        token: row.text(18)?.and_then(|token| sixteen(&token)).map(ClassToken),
        started: started.unwrap_or(updated),
        updated,
        closed,
        interval: row.int(7)?.and_then(|interval| u32::try_from(interval).ok()).unwrap_or(0),
        session_time: counter(8, 21, 1)?,
        input: counter(9, 22, 2)?,
        output: counter(10, 23, 4)?,
        counted: Usage::default(),
        charge: None,
        flags: SessionFlags::parse(&row.word(28)?),
        framed_ip: None,
        calling_station_id: SmolStr::default(),
        called_station_id: SmolStr::default(),
        nas_port_id: SmolStr::default(),
        details: Box::<SessionDetails>::default(),
    };
    let beyond_32_bits = |counter: Counter| {
        counter.base == 0 && counter.reported.is_some_and(|count| count > u64::from(u32::MAX))
    };
    session.flags.gigawords |= beyond_32_bits(session.input) || beyond_32_bits(session.output);
    if key.is_some() {
        session.counted = match row.int(25)? {
            None => session.total(),
            Some(_) => Usage { seconds: row.count(25)?, input: row.count(26)?, output: row.count(27)? },
        };
    }
    for (place, field) in (30..).zip(&FIELDS) {
        if let Some(text) = row.text(place)?
            && !text.is_empty()
        {
            (field.set)(&mut session, text);
        }
    }
    let charges = row.text(30 + FIELDS.len())?;
    session.charge = charges.and_then(|charges| charges::from_json(&charges)).map(Box::new);
    if let Some(extra) = row.text(29)?
        && let Ok(serde_json::Value::Object(extra)) = serde_json::from_str(&extra)
    {
        overlay(&mut session, &extra);
    }
    Ok(Read { row: number, id, session: Some(session), ours: key.is_some() })
}

/// Puts what did not fit into `radacct` back in its place.
fn overlay(session: &mut Session, extra: &serde_json::Map<String, serde_json::Value>) {
    for (name, text) in extra {
        let Some(text) = text.as_str() else { continue };
        if let Some(field) = FIELDS.iter().chain(&EXTRA).find(|field| field.name == name) {
            (field.set)(session, SmolStr::new(text));
        } else if name == "acctterminatecause" {
            if let Some(closed) = &mut session.closed {
                closed.cause = SmolStr::new(text);
            }
        } else if name == "acctinterval" {
            session.interval = text.parse().unwrap_or(0);
        }
    }
}

/// Sixteen octets from their hexadecimal digits.
fn sixteen(text: &str) -> Option<[u8; 16]> {
    UniqueId::parse(text).map(|octets| octets.0)
}

/// The text under which an identity is kept in `tk_session` and `tk_nas_reload`.
pub(super) fn address_text(address: Option<IpAddr>) -> SmolStr {
    address.map_or_else(SmolStr::default, |address| format_smolstr!("{address}"))
}
