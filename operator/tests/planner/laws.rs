//! What must hold for every stack, whatever has happened to it.

pub mod access_logs;
mod adoption;
pub mod consumers;
mod deletion;
pub mod domain;
mod drift;
mod drifts;
mod edits;
mod failures;
mod foreign;
mod gateway;
mod grace;
mod in_use;
mod nets;
mod partial;
mod presence;
mod rehearsal;
mod retention;
mod settled;
pub mod subscriptions;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::sample::Index;
use sumu_contract::Function;
use sumu_contract::message::ROUTE_KEYS;
use sumu_operator::stack::name::{TableId, TopicId};

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, stack};
use crate::passes::{look_at, pass, settle};
use drifts::DRIFTS;

/// A cloud in which the stack is settled.
fn settled(fixture: &Fixture, pace: Pace) -> MemoryCloud {
    let cloud = MemoryCloud::new(fixture, pace);
    settle(&cloud, &fixture.desired);
    cloud
}

/// The smallest stack, settled in a slow cloud: made once for all the cases of a property.
fn slow() -> &'static (Fixture, MemoryCloud) {
    static SLOW: LazyLock<(Fixture, MemoryCloud)> = LazyLock::new(|| {
        let fixture = stack("");
        let cloud = settled(&fixture, Pace::SLOW);
        (fixture, cloud)
    });
    &SLOW
}

/// That stack after some drifts, whose repairs have begun in so many passes and are partly at work.
fn drifted(drifts: &[Index], passes: usize) -> (&'static Fixture, MemoryCloud) {
    let (fixture, whole) = slow();
    let cloud = whole.copy();
    let all: Vec<_> = DRIFTS.iter().copied().flatten().collect();
    for drift in drifts {
        cloud.change(drift.get(&all).change);
    }
    for _ in 0..passes {
        pass(&cloud, &fixture.desired);
    }
    (fixture, cloud)
}

/// Asserts that there is exactly one of everything, that clients get what is there, and that nothing is left to do.
fn assert_whole(cloud: &MemoryCloud, fixture: &Fixture) {
    let held = cloud.held();
    assert!(held.tables.keys().eq(TableId::ALL), "tables: {:?}", held.tables.keys());
    assert!(held.queues.keys().eq(fixture.desired.queues.keys()), "queues: {:?}", held.queues.keys());
    assert!(held.topics.keys().eq(TopicId::ALL), "topics: {:?}", held.topics.keys());
    assert!(held.log_groups.keys().eq(fixture.desired.log_groups.keys()), "log groups: {:?}", held.log_groups.keys());
    assert!(held.roles.keys().eq(&Function::ALL), "roles: {:?}", held.roles.keys());
    assert!(held.functions.keys().eq(&Function::ALL), "functions: {:?}", held.functions.keys());
    assert_eq!(held.topics[&TopicId::Notifications].subscriptions.len(), 1);
    let fed: BTreeSet<(Function, &str)> =
        held.sources.iter().map(|source| (source.function, source.source_arn.as_str())).collect();
    let wanted = fixture.desired.sources.len();
    assert_eq!(fed.len(), wanted, "not what feeds a function: {fed:?}");
    assert_eq!(held.sources.len(), wanted, "an event source is there twice");
    let [api] = &held.apis[..] else { panic!("there is not exactly one api but {}", held.apis.len()) };
    assert_eq!([api.authorizers.len(), api.integrations.len(), api.deployments.len(), api.stages.len()], [1, 1, 1, 1]);
    let routes: BTreeSet<&str> = api.routes.iter().map(|route| route.key.as_str()).collect();
    assert_eq!(routes, BTreeSet::from(ROUTE_KEYS));
    assert_eq!(api.routes.len(), ROUTE_KEYS.len(), "a route is there twice");
    cloud.change(|world| world.assert_served());
    assert_eq!(look_at(cloud, &fixture.desired).plan.to_string(), "nothing to do\n");
}
