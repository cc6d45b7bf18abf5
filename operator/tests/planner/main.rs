//! The planner against AWS in memory: laws that hold for every state, stories of single stacks, and what is reported.
//!
//! | module | |
//! |---|---|
//! | [`fixtures`] | stacks as users write them, taken through the real pipeline |
//! | [`cloud`] | AWS in memory: as strict as AWS is documented to be, as slow as wanted, failing where told |
//! | [`passes`] | what the controller does with them: pass after pass |
//! | [`laws`] | what must hold whatever happens |
//! | [`stories`] | plans as people read them |
//! | [`reports`] | conditions and status |
//! | [`previews`] | what `sumu-operator plan` and `iam --stack` tell |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test, and whatever helps one, ends at what it did not expect"
)]

mod cloud;
mod fixtures;
mod laws;
mod passes;
mod previews;
mod reports;
mod stories;
