//! What the controller does with a stack: pass after pass, until nothing is left to do.

use std::fmt::Write as _;

use futures::FutureExt as _;
use sumu_operator::converge::{Pass, converge, look};
use sumu_operator::desired::Desired;

use crate::cloud::MemoryCloud;

/// The most passes that any stack here may need, however slow its cloud is. A plan that goes round in circles ends
/// here.
const PASSES_MAX: usize = 80;

/// One pass. The cloud in memory never makes anybody wait, so no runtime is needed.
pub fn pass(cloud: &MemoryCloud, desired: &Desired) -> Pass {
    converge(cloud, desired).now_or_never().expect("the cloud in memory answers at once").unwrap()
}

/// A look without a call.
pub fn look_at(cloud: &MemoryCloud, desired: &Desired) -> Pass {
    look(cloud, desired).now_or_never().expect("the cloud in memory answers at once").unwrap()
}

/// Makes passes until the plan is empty, and counts them, the empty one included.
pub fn settle(cloud: &MemoryCloud, desired: &Desired) -> usize {
    let mut story = String::new();
    for count in 1..=PASSES_MAX {
        let pass = pass(cloud, desired);
        if pass.plan.is_settled() {
            return count;
        }
        tell(&mut story, count, &pass);
    }
    panic!("not settled after {PASSES_MAX} passes:\n{story}")
}

/// Makes passes towards nothing until nothing is left, and counts them.
pub fn empty(cloud: &MemoryCloud, nothing: &Desired) -> usize {
    let mut story = String::new();
    for count in 1..=PASSES_MAX {
        let pass = pass(cloud, nothing);
        if pass.observed.is_nothing() {
            assert!(pass.plan.is_settled(), "nothing is left, and yet:\n{}", pass.plan);
            return count;
        }
        tell(&mut story, count, &pass);
    }
    panic!("not empty after {PASSES_MAX} passes:\n{story}")
}

/// Keeps the last passes only: where it hangs is where it ends.
fn tell(story: &mut String, count: usize, pass: &Pass) {
    if count < PASSES_MAX - 2 {
        return;
    }
    let _ = write!(story, "pass {count}\n{}", pass.plan);
    for failure in &pass.failures {
        let _ = writeln!(story, "! {}", failure.error);
    }
}
