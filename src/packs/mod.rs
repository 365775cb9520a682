//! Vendor packs: what each NAS type calls a rate, a volume, a redirect and a timeout, in which unit and
//! direction, and how it takes a change of a running session.
//!
//! A pack is data, `dictionaries/packs/NAME.toml`; the policy speaks of one neutral `Rate` and
//! `Volume`, and [`Pack`] puts them into the attributes of the NAS. There is one rendering
//! (`render`): an Access-Accept carries all of it ([`Pack::accept`]), a CoA-Request all of it or what
//! changed ([`Pack::change`]), and `explain` shows it. Knows nothing of subscribers or sessions.
//! Read `file` for what a pack may say.

mod embedded;
mod field;
mod file;
mod identify;
mod kinds;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use smol_str::SmolStr;

pub use embedded::FILES;
pub use identify::Identifies;
pub use kinds::{Kind, Kinds, is_changeable};
pub use render::{CannotChange, Past, Profile};

use self::field::{Field, Sign, Template};
use crate::domain::PackId;
use crate::radius::attribute::Attribute;
use crate::radius::dictionary::Dictionary;
use crate::radius::value::Octets;

/// How one NAS type says things. See the module for what it renders.
#[derive(Clone, Debug)]
pub struct Pack {
    name: SmolStr,
    /// What limits a rate, in the order in which it is sent.
    rates: Vec<RateField>,
    /// The rate attributes are the type's own: WISPr rows are replaced by them.
    own_rate: bool,
    /// The rows that say a rate for any NAS type: WISPr's.
    neutral: Vec<(Direction, Sign)>,
    volumes: Vec<VolumeField>,
    redirects: Vec<RedirectField>,
    /// By which a kind is known on the wire.
    signs: Vec<(Kind, Sign)>,
    interim_interval_min: u32,
    coa_port: u16,
    replaces: bool,
    coa_kinds: Kinds,
    identify: Vec<Identifies>,
    coa_timeout: Option<Field>,
    coa_timeout_since: Since,
}

/// RFC 5176 §3.
const COA_PORT: u16 = 3799;

/// RFC 2869 §5.16: at least 60 s.
const INTERIM_SECONDS_MIN: u32 = 60;

/// What every NAS that keeps to RFC 5176 can be told. It wants a NAK unless *all* that is sent match one
/// session, so more is not better: a pack names what its NAS is known to look at and to accept.
const IDENTIFY: [Identifies; 5] = [
    Identifies::NasAddress,
    Identifies::NasIdentifier,
    Identifies::UserName,
    Identifies::ChargeableUserIdentity,
    Identifies::AcctSessionId,
];

#[derive(Clone, Debug)]
struct RateField {
    field: Field,
    direction: Direction,
    value: RateValue,
    /// Bit/s to whose multiple it is rounded down.
    step: u64,
    /// What stands for a rate that is not limited.
    unlimited: Option<SmolStr>,
}

#[derive(Clone, Debug)]
enum RateValue {
    Number {
        unit: Unit,
    },
    Text {
        unit: Unit,
        template: Template,
    },
    /// Sent wherever the direction is limited.
    Constant(Octets),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
    Both,
}

/// The unit of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Bits,
    Kilobits,
    Octets,
}

impl Unit {
    /// Bit/s of one.
    const fn bits(self) -> u64 {
        match self {
            Self::Bits => 1,
            Self::Kilobits => 1_000,
            Self::Octets => 8,
        }
    }
}

#[derive(Clone, Debug)]
struct VolumeField {
    field: Field,
    /// Holds the number of 2^32 units.
    gigawords: Option<Field>,
    counts: Counts,
    unit: VolumeUnit,
    template: Option<Template>,
    since: Since,
    unlimited: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Total,
    Down,
    Up,
}

/// The unit of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VolumeUnit {
    Octets,
    Kilobytes,
    Megabytes,
}

impl VolumeUnit {
    const fn octets(self) -> u64 {
        match self {
            Self::Octets => 1,
            Self::Kilobytes => 1 << 10,
            Self::Megabytes => 1 << 20,
        }
    }
}

/// From when on the NAS counts what it is told while the session runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Since {
    /// From the beginning of the session.
    #[default]
    Start,
    /// From the moment it is told.
    Now,
}

#[derive(Clone, Debug)]
struct RedirectField {
    field: Field,
    template: Template,
    lift: Option<SmolStr>,
}

impl Pack {
    fn plain(name: &str) -> Self {
        Self {
            name: name.into(),
            rates: Vec::new(),
            own_rate: false,
            neutral: Vec::new(),
            volumes: Vec::new(),
            redirects: Vec::new(),
            signs: Vec::new(),
            interim_interval_min: INTERIM_SECONDS_MIN,
            coa_port: COA_PORT,
            replaces: false,
            coa_kinds: Kinds::ALL,
            identify: IDENTIFY.to_vec(),
            coa_timeout: None,
            coa_timeout_since: Since::Start,
        }
    }

    /// The NAS type.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// UDP port of dynamic authorization where the NAS entry names none.
    #[must_use]
    pub const fn coa_port(&self) -> u16 {
        self.coa_port
    }

    /// Must a CoA-Request say everything, because the NAS forgets what it does not say?
    #[must_use]
    pub const fn replaces(&self) -> bool {
        self.replaces
    }

    /// What a CoA-Request may change; nothing where the NAS can only disconnect.
    #[must_use]
    pub const fn changes(&self) -> Kinds {
        self.coa_kinds
    }

    /// What tells the NAS which session is meant, in the order in which it is sent.
    #[must_use]
    pub fn identify(&self) -> &[Identifies] {
        &self.identify
    }

    /// Can the NAS be told to hold the session to this itself?
    #[must_use]
    pub const fn can_say(&self, kind: Kind) -> bool {
        match kind {
            Kind::Volume => !self.volumes.is_empty(),
            Kind::Redirect => !self.redirects.is_empty(),
            Kind::Rate | Kind::SessionTimeout | Kind::IdleTimeout | Kind::InterimInterval | Kind::Other => {
                true
            }
        }
    }

    /// Names of the attributes that it sends, for tests and `explain`.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        let volumes =
            self.volumes.iter().flat_map(|volume| std::iter::once(&volume.field).chain(&volume.gigawords));
        let rates = self.rates.iter().map(|rate| &rate.field);
        let redirects = self.redirects.iter().map(|redirect| &redirect.field);
        rates.chain(volumes).chain(redirects).chain(&self.coa_timeout).map(|field| field.name().as_str())
    }

    fn has_sign(&self, kind: Kind, attribute: Attribute<'_>) -> bool {
        self.signs.iter().any(|(known, sign)| *known == kind && sign.is(attribute))
    }
}

/// The packs of all NAS types.
#[derive(Clone, Debug)]
pub struct Packs {
    packs: Vec<Pack>,
    remarks: Vec<String>,
}

impl Packs {
    /// The packs that ship with the server.
    ///
    /// # Panics
    /// Never: a test reads every shipped file.
    #[must_use]
    pub fn embedded() -> Arc<Self> {
        static EMBEDDED: OnceLock<Arc<Packs>> = OnceLock::new();
        let built = EMBEDDED.get_or_init(|| {
            Arc::new(Self::shipped(&Dictionary::embedded()).expect("the shipped packs are read by a test"))
        });
        Arc::clone(built)
    }

    /// The shipped packs with a site's over them: `NAME.toml` files, or folders of such. One that has the
    /// name of a shipped pack takes its place.
    ///
    /// # Errors
    /// A file that cannot be read, or is no pack.
    pub fn with_files(paths: &[PathBuf], dictionary: &Dictionary) -> Result<Self, PackError> {
        let mut packs = Self::shipped(dictionary)?;
        for path in paths {
            for file in files(path)? {
                let text = std::fs::read_to_string(&file).map_err(|error| PackError::io(&file, &error))?;
                let name = file.file_stem().map(|name| name.to_string_lossy().into_owned());
                packs
                    .add(&name.unwrap_or_default(), &text, dictionary)
                    .map_err(|reason| PackError { file: file.display().to_string(), reason })?;
            }
        }
        Ok(packs)
    }

    fn shipped(dictionary: &Dictionary) -> Result<Self, PackError> {
        let mut packs = Self { packs: Vec::new(), remarks: Vec::new() };
        for (name, text) in FILES {
            packs
                .add(name, text, dictionary)
                .map_err(|reason| PackError { file: format!("{name}.toml"), reason })?;
        }
        Ok(packs)
    }

    fn add(&mut self, name: &str, text: &str, dictionary: &Dictionary) -> Result<(), String> {
        let pack = file::read(name, text, dictionary, &mut self.remarks)?;
        match self.packs.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = pack,
            None => self.packs.push(pack),
        }
        Ok(())
    }

    /// The pack of a NAS type, to be looked up once when the entry is read. `None`: no pack has that
    /// name, and [`PackId::OTHER`] serves it.
    #[must_use]
    pub fn find(&self, nas_type: &str) -> Option<PackId> {
        let at = self.packs.iter().position(|pack| pack.name == nas_type)?;
        u16::try_from(at).ok().map(PackId)
    }

    /// The pack with that number.
    ///
    /// # Panics
    /// Never: `other` ships, and is the first.
    #[must_use]
    pub fn get(&self, id: PackId) -> &Pack {
        self.packs.get(usize::from(id.0)).or_else(|| self.packs.first()).expect("`other` ships")
    }

    /// The pack for NASes that nothing is known of: WISPr rates, and RFC 5176 to the letter.
    #[must_use]
    pub fn other(&self) -> &Pack {
        self.get(PackId::OTHER)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Pack> {
        self.packs.iter()
    }

    /// What in the files could not be understood and was left out, for `check` and the log.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}

/// The packs at a path: itself, or what a folder holds, by name.
fn files(path: &Path) -> Result<BTreeSet<PathBuf>, PackError> {
    if !path.is_dir() {
        return Ok(BTreeSet::from([path.to_owned()]));
    }
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(path).map_err(|error| PackError::io(path, &error))? {
        let file = entry.map_err(|error| PackError::io(path, &error))?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            found.insert(file);
        }
    }
    Ok(found)
}

/// Why the packs cannot be used. The operator's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackError {
    /// Which file.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

impl PackError {
    fn io(path: &Path, error: &io::Error) -> Self {
        Self { file: path.display().to_string(), reason: error.to_string() }
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.reason)
    }
}

impl std::error::Error for PackError {}
