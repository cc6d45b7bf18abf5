//! Everything that somebody could change behind the operator's back, each with the calls that put it right.
//!
//! A change that finds its resource gone does nothing, so that they can be put together in any way.

mod before;
mod behind;

use sumu_operator::stack::name::Tags;

use crate::cloud::World;

/// One change of what AWS holds.
pub struct Drift {
    pub name: &'static str,
    pub change: fn(&mut World),
    /// The calls that put it right, without names and ids.
    pub repair: &'static [&'static str],
}

/// All of them, service by service.
pub const DRIFTS: [&[Drift]; 8] = [
    before::TABLES,
    before::QUEUES,
    before::TOPICS,
    behind::ROLES,
    behind::FUNCTIONS,
    behind::SOURCES,
    behind::API,
    behind::STAGE,
];

/// The user's tag with another value.
fn retag(tags: &mut Tags) {
    tags.insert("cost".into(), "c-0".into());
}
