//! Every target survives its corpus, and that corpus mangled at random.
//!
//! The same runs every time; `FUZZ_RUNS` makes them more and `SEED` makes them others. A find becomes a file in the
//! corpus: `engine/fuzz/corpus/<target>/<what it was>`.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use countersign_fuzzed::{TARGETS, Target};

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound.max(1)
    }
}

/// Flips, overwrites, repeats, cuts and splices, as a fuzzer without instruments does.
fn mangle(random: &mut Random, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].1.clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(7) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 if at < bytes.len() => bytes[at] = [0, 1, 0x7F, 0x80, 0xFE, 0xFF][random.below(6)],
            3 => bytes.insert(at, random.next() as u8),
            4 => {
                let end = (at + 1 + random.below(8)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => {
                let other = &corpus[random.below(corpus.len())].1;
                let from = random.below(other.len() + 1);
                let to = (from + random.below(64)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => bytes.extend((0..random.below(24)).map(|_| random.next() as u8)),
        }
    }
    bytes.truncate(4_096);
    bytes
}

fn run((name, target): Target, share: u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (runs, seed) = (number("FUZZ_RUNS").unwrap_or(4_000) / share, number("SEED").unwrap_or(1));
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has a corpus");
    for (path, bytes) in &corpus {
        assert!(catch_unwind(|| target(bytes)).is_ok(), "{} breaks a promise", path.display());
    }
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for _ in 0..runs {
        let bytes = mangle(&mut random, &corpus);
        if catch_unwind(|| target(&bytes)).is_err() {
            let kept = std::env::temp_dir().join(format!("{name}-{seed}"));
            fs::write(&kept, &bytes).unwrap();
            panic!("{name}: seed {seed} breaks a promise; the bytes are in {}", kept.display());
        }
    }
}

macro_rules! targets {
    ($($name:ident / $share:literal),+) => {
        $(#[test]
        fn $name() {
            let found = TARGETS.into_iter().find(|(name, _)| *name == stringify!($name));
            run(found.unwrap(), $share);
        })+

        #[test]
        fn each_target_is_mangled_and_can_be_fuzzed() {
            let mangled = [$(stringify!($name)),+];
            assert_eq!(TARGETS.map(|(name, _)| name), mangled);
            for name in mangled {
                let file = format!("../fuzz/fuzz_targets/{name}.rs");
                assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists());
            }
        }
    };
}

// Those that write files, and those that replay what they did, run less often.
targets!(
    command / 1,
    event / 1,
    snapshot / 1,
    venue / 4,
    orders / 4,
    book / 1,
    journal_records / 8,
    damaged_journal / 16
);
