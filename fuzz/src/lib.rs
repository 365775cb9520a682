//! What is fuzzed: pure functions that are given whatever octets. A panic, a hang or memory without bound
//! is a finding. `fuzz_targets/` runs each under libFuzzer, and `tests/it/fuzz.rs` replays the corpus through
//! the same functions (docs/fuzzing.md).

mod exchanges;
mod packet;
mod rows;
mod texts;

use std::borrow::Cow;
use std::sync::OnceLock;

use tollkeeper::config::Settings;
use tollkeeper::domain::Nas;
use tollkeeper::http::fuzzing;
use tollkeeper::time::{Clock as _, Now, SystemClock, UnixTime};

pub use packet::{agree, exercise, packet, secret, structures};

/// A function that takes any input.
pub type Target = fn(&[u8]);

/// Every target with its name.
pub const TARGETS: [(&str, Target); 11] = [
    ("antamedia", fuzzing::antamedia),
    ("coa", exchanges::coa),
    ("configuration", texts::configuration),
    ("dates", texts::dates),
    ("dictionary", texts::dictionary),
    ("ibsng", fuzzing::ibsng),
    ("jaze", fuzzing::jaze),
    ("mfusion", fuzzing::mfusion),
    ("packet", packet),
    ("password", texts::password),
    ("policy", rows::policy),
];

/// Runs the target of that name.
///
/// # Panics
/// There is none of that name, or it has a finding.
pub fn run(name: &str, input: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a name of `TARGETS`");
    target(input);
}

/// The same moment for every input.
fn now() -> Now {
    Now { unix: UnixTime(1_764_072_000), ..SystemClock.now() }
}

/// A NAS that asks.
fn nas() -> &'static Nas {
    static NAS: OnceLock<Nas> = OnceLock::new();
    NAS.get_or_init(|| {
        let text = "[[nas]]\naddress = \"192.0.2.1\"\nsecret = \"xyzzy5461\"\n";
        let mut settings = Settings::read(None, text, std::iter::empty()).expect("a configuration of ours");
        settings.nas.remove(0)
    })
}

/// A number by which an input chooses what is not done with every one.
fn sum(input: &[u8]) -> usize {
    input.iter().copied().map(usize::from).sum()
}

/// The input as text and its parts between lines of `---`; what is missing is empty.
fn parts<const N: usize>(input: &[u8]) -> [Cow<'_, str>; N] {
    let mut rest = String::from_utf8_lossy(input);
    std::array::from_fn(|_| match rest.find("\n---\n") {
        None => std::mem::take(&mut rest),
        Some(at) => {
            let part = rest.get(..at).unwrap_or_default().to_owned();
            rest = rest.get(at + 5..).unwrap_or_default().to_owned().into();
            part.into()
        }
    })
}
