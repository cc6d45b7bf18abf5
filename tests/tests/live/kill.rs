//! The operator is killed between a write and its answer: at every write of a stack's life, one run each.
//!
//! How many writes there are is found out: moment 1 is the first write of a chapter, and the last is the one before the
//! first that no run comes to. A kill there is the worst of all: what was asked for is done, and nobody knows it.

#[path = "kill/life.rs"]
mod life;
#[path = "kill/sweep.rs"]
mod sweep;

use sumu_tests::{Result, ensure};

use crate::scene::complete_total;
use crate::seed::seed;
use life::{Chapter, Side};
use sweep::{Found, Sweep};

/// How many of the moments of AWS `make test` takes: each ninth.
const SAMPLED: u64 = 9;
/// How many of the writes to Kubernetes it takes.
const SAMPLED_IN_KUBERNETES: u64 = 6;

/// What is deleted by a call of its own, at the least: what is in an API goes with it, a permission with its function.
const DELETIONS_MIN: usize = 30;
/// Four functions' and the stage's settings, and the tags of everything.
const UPDATES_MIN: usize = 10;

/// Tells how many moments there were, and fails when there were fewer than there must be.
fn ensure_found(found: &Found, minima: [usize; 3]) -> Result<()> {
    for (chapter, least) in Chapter::ALL.into_iter().zip(minima) {
        let moments = found.killed_at(chapter);
        println!("{chapter:?}: killed at {} moments: {moments:?}", moments.len());
        ensure!(moments.len() >= least, "{} moments of the {chapter:?} are too few: {moments:?}", moments.len());
    }
    found.ensure_few_writes()
}

#[test]
#[ignore = "slow: make test-faults"]
fn an_operator_killed_at_any_call_that_changes_aws_ends_with_one_of_everything_or_nothing() -> Result<()> {
    let mut found = Sweep { side: Side::Aws, first: 1, step: 1, workers: 5 }.run()?;
    found.visit_what_was_missed()?;
    ensure_found(&found, [complete_total(), UPDATES_MIN, DELETIONS_MIN])
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_call_that_outlives_its_operator_makes_nothing_twice_that_stays() -> Result<()> {
    let found = Sweep { side: Side::AwsLate, first: 1, step: 1, workers: 4 }.run()?;
    ensure_found(&found, [complete_total(), 0, 0])
}

#[test]
#[ignore = "slow: make test-faults"]
fn an_operator_killed_at_any_write_to_kubernetes_ends_with_one_of_everything_or_nothing() -> Result<()> {
    let mut found = Sweep { side: Side::Kubernetes, first: 1, step: 1, workers: 4 }.run()?;
    found.visit_the_finalizers()?;
    // The begin, the finalizer and the end, with passes in between; the change and its end; the passes and the finalizer.
    ensure_found(&found, [4, 2, 2])
}

#[test]
fn an_operator_killed_at_some_calls_that_change_aws_ends_with_one_of_everything_or_nothing() -> Result<()> {
    let first = 1 + seed() % SAMPLED;
    let found = Sweep { side: Side::Aws, first, step: SAMPLED, workers: 4 }.run()?;
    ensure_found(&found, [4, 1, 2])
}

#[test]
fn an_operator_killed_at_some_writes_to_kubernetes_ends_with_one_of_everything_or_nothing() -> Result<()> {
    let first = 1 + seed() % 2;
    let found = Sweep { side: Side::Kubernetes, first, step: SAMPLED_IN_KUBERNETES, workers: 2 }.run()?;
    ensure_found(&found, [1, 1, 1])
}
