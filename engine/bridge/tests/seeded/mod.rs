use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The same runs every time; `PROPTEST_CASES` makes them more and `SEED` makes them others.
pub fn config(cases: u32) -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: number("PROPTEST_CASES").map_or(cases, |asked| asked as u32),
        rng_seed: RngSeed::Fixed(number("SEED").unwrap_or(1)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
