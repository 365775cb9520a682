//! The fuzzers without libFuzzer (docs/fuzzing.md): the corpus, and what comes of it by changes.

use std::panic::catch_unwind;
use std::path::Path;

use tollkeeper::entropy::SeededEntropy;

use crate::mutations::{below, change};

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own, too")]
pub(crate) mod targets;

/// Changed inputs of each target, unless `TOLLKEEPER_FUZZ` says how many.
const CHANGED: usize = 1_000;

/// The inputs that a target keeps, findings among them.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut inputs: Vec<_> =
        files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    inputs.sort();
    inputs
}

#[test]
fn the_corpus_finds_nothing() {
    for (name, _) in targets::TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() > 3, "{name} has {} inputs", corpus.len());
        for (file, input) in corpus {
            assert!(catch_unwind(|| targets::run(name, &input)).is_ok(), "{file}");
        }
    }
}

/// Inputs of the corpus, each joined to another or not, with some octets changed.
#[test]
fn what_is_near_the_corpus_finds_nothing() {
    let changed =
        std::env::var("TOLLKEEPER_FUZZ").map_or(CHANGED, |n| n.parse().expect("TOLLKEEPER_FUZZ is a number"));
    for (name, _) in targets::TARGETS {
        let corpus = corpus(name);
        let mut entropy = SeededEntropy::new(7);
        for _ in 0..changed {
            let mut input = corpus[below(&mut entropy, corpus.len())].1.clone();
            if below(&mut entropy, 4) == 0 {
                let other = &corpus[below(&mut entropy, corpus.len())].1;
                input.truncate(below(&mut entropy, input.len()));
                input.extend(&other[below(&mut entropy, other.len())..]);
            }
            change(&mut input, &mut entropy);
            assert!(catch_unwind(|| targets::run(name, &input)).is_ok(), "{name}: {}", hex::encode(&input));
        }
    }
}
