//! Where the chances of a run begin.

/// The seed of this run's chances: `SUMU_SEED`, or another one each time. It is printed, so that a failure can be
/// played again.
pub fn seed() -> u64 {
    let given = std::env::var("SUMU_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("SUMU_SEED={seed} plays this again");
    seed
}
