//! Deleting is planning towards nothing, from wherever the stack stands. That each thing goes before what it uses
//! is watched by the cloud in memory itself, at every call of every test here.

use proptest::prelude::*;
use sumu_operator::stack::name::TableId;

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::stack;
use crate::laws::drifts::DRIFTS;
use crate::laws::{drifted, settled};
use crate::passes::{empty, look_at, pass, settle};

#[test]
fn a_deleted_stack_leaves_nothing() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = stack("");
        let cloud = settled(&fixture, pace);
        empty(&cloud, &fixture.nothing);
        let held = cloud.held();
        assert!(held.is_nothing(), "left: {held:?}");
    }
}

#[test]
fn a_stack_that_never_was_is_deleted_without_a_call() {
    let fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    assert_eq!(empty(&cloud, &fixture.nothing), 1);
    assert_eq!(cloud.calls(), 0);
}

#[test]
fn a_stack_is_deleted_from_the_middle_of_its_creation() {
    let fixture = stack("");
    for pace in [Pace::INSTANT, Pace::SLOW] {
        for passes in 0..25 {
            let cloud = MemoryCloud::new(&fixture, pace);
            for _ in 0..passes {
                pass(&cloud, &fixture.desired);
            }
            empty(&cloud, &fixture.nothing);
        }
    }
}

#[test]
fn a_stack_that_is_deleted_and_made_again_is_whole() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = stack("");
        let cloud = settled(&fixture, pace);
        for _ in 0..4 {
            pass(&cloud, &fixture.nothing);
        }
        settle(&cloud, &fixture.desired);
        super::assert_whole(&cloud, &fixture);
    }
}

#[test]
fn a_protected_table_stays_and_all_else_goes() {
    let fixture = stack("connections: {deletionProtection: true}");
    let cloud = settled(&fixture, Pace::INSTANT);
    for _ in 0..20 {
        pass(&cloud, &fixture.nothing);
    }
    let pass = look_at(&cloud, &fixture.nothing);
    assert!(pass.plan.steps.is_empty(), "{}", pass.plan);
    assert_eq!(pass.plan.waits.len(), 1, "{}", pass.plan);
    assert!(pass.plan.to_string().contains("set spec.connections.deletionProtection to false"), "{}", pass.plan);
    let held = cloud.held();
    assert_eq!(held.tables.len(), 1);
    assert!(held.queues.is_empty() && held.functions.is_empty() && held.roles.is_empty() && held.apis.is_empty());

    let unprotected = stack("connections: {deletionProtection: false}");
    empty(&cloud, &unprotected.nothing);
}

#[test]
fn a_table_that_somebody_else_has_protected_stays_until_the_spec_says_that_it_may_go() {
    let silent = stack("");
    for id in TableId::ALL {
        let cloud = settled(&silent, Pace::SLOW);
        cloud.change(|world| world.held.tables.get_mut(id).unwrap().is_protected = true);
        for _ in 0..40 {
            pass(&cloud, &silent.nothing);
        }
        let plan = look_at(&cloud, &silent.nothing).plan;
        assert!(plan.steps.is_empty() && plan.waits.len() == 1, "{plan}");
        assert!(plan.to_string().contains("set spec.connections.deletionProtection to false"), "{plan}");
        assert!(cloud.held().tables.keys().eq([id]), "the other table stays too");
        empty(&cloud, &stack("connections: {deletionProtection: false}").nothing);
    }
}

#[test]
fn a_stack_is_deleted_after_any_single_drift() {
    let fixture = stack("");
    let whole = settled(&fixture, Pace::INSTANT);
    for drift in DRIFTS.iter().copied().flatten() {
        let cloud = whole.copy();
        cloud.change(drift.change);
        empty(&cloud, &fixture.nothing);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stack_is_deleted_from_any_state(
        drifts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        passes in 0usize..6,
    ) {
        let (fixture, cloud) = drifted(&drifts, passes);
        empty(&cloud, &fixture.nothing);
    }
}

#[test]
fn what_users_have_subscribed_to_a_topic_goes_with_it() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        for (at, topic) in world.held.topics.values_mut().enumerate() {
            for address in ["ops", "dev"] {
                topic.subscriptions.insert(
                    0,
                    sumu_operator::observed::SubscriptionState {
                        // As SNS lists one until its owner answers the confirmation mail.
                        arn: if at == 0 { "PendingConfirmation".into() } else { format!("arn:{address}") },
                        protocol: "email".into(),
                        endpoint: format!("{address}@example.com"),
                        dead_letters_arn: None,
                    },
                );
            }
        }
    });
    let passes = empty(&cloud, &fixture.nothing);
    assert!(passes < 12, "one pass for each subscription: {passes}");
}
