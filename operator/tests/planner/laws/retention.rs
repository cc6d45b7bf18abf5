//! `deletionPolicy: Retain`: our tags go, all else stays, and nothing that is not the stack's is touched.

use proptest::prelude::*;
use sumu_operator::desired::Desired;
use sumu_operator::desired::end::End;
use sumu_operator::observed::Observed;
use sumu_operator::plan::WaitReason;
use sumu_operator::plan::tagged::our_tags;
use sumu_operator::stack::name::{OWNER_TAG, STACK_TAG, Tags};
use sumu_operator::stack::tags::NOTED_TAG;
use sumu_operator::sumu_stack::DeletionPolicy;

use crate::cloud::{Fault, MemoryCloud, Pace};
use crate::fixtures::{Fixture, names, stack};
use crate::laws::drifts::DRIFTS;
use crate::laws::{drifted, settled};
use crate::passes::{empty, look_at, pass};

/// What the object asks for once it is deleted with this policy.
fn retained(fixture: &Fixture) -> Desired {
    let mut object = fixture.stack.clone();
    object.spec.deletion_policy = DeletionPolicy::Retain;
    let desired = Desired::of_deleted(&object, fixture.owner.clone(), names(&fixture.owner));
    assert_eq!(desired.end, End::Retained);
    desired
}

/// The same without our tags.
fn untagged(mut held: Observed) -> Observed {
    let untag = |tags: &mut Tags| tags.retain(|key, _| !our_tags().contains(key));
    held.tables.values_mut().for_each(|it| untag(&mut it.tags));
    held.queues.values_mut().for_each(|it| untag(&mut it.tags));
    held.topics.values_mut().for_each(|it| untag(&mut it.tags));
    held.roles.values_mut().for_each(|it| untag(&mut it.tags));
    held.log_groups.values_mut().for_each(|it| untag(&mut it.tags));
    held.functions.values_mut().for_each(|it| untag(&mut it.tags));
    held.apis.iter_mut().for_each(|it| untag(&mut it.tags));
    held
}

fn assert_nobodys(cloud: &MemoryCloud) {
    let left = cloud.change(|world| world.tagged());
    assert!(left.is_empty(), "still tagged: {left:?}");
}

#[test]
fn the_tags_that_are_taken_off_are_those_that_say_whose_a_thing_is() {
    assert!(stack("").owner.tags().keys().map(String::as_str).eq([OWNER_TAG, STACK_TAG]));
    assert_eq!(our_tags(), [OWNER_TAG, STACK_TAG, NOTED_TAG]);
}

#[test]
fn a_retained_stack_loses_our_tags_and_nothing_else() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = stack("{presence: {gracePeriodSeconds: 30}, gateway: {accessLogs: {}}}");
        let cloud = settled(&fixture, pace);
        let (before, made) = (cloud.held(), cloud.calls());
        empty(&cloud, &retained(&fixture));
        assert_nobodys(&cloud);
        assert_eq!(cloud.held(), untagged(before));
        assert!(cloud.held().queues.values().all(|queue| queue.tags["cost"] == "c-42"), "the user's tags stay");
        for line in cloud.lines_since(made) {
            assert!(line.starts_with("~ ") && line.ends_with(" our tags off"), "{line}");
        }
    }
}

#[test]
fn a_retained_custom_domain_stays_as_it_is_and_nothing_notes_it() {
    let fixture = stack(
        "gateway: {customDomain: {domainName: live.example.com, path: push, hostedZoneId: ZONE1, \
         certificateArn: 'arn:aws:acm:eu-west-3:210987654321:certificate/1'}}",
    );
    let whole = settled(&fixture, Pace::INSTANT);
    let before = whole.held().domains;
    let clean = whole.copy();
    empty(&clean, &retained(&fixture));
    for at in 0..=clean.calls() - whole.calls() {
        let cloud = whole.copy();
        cloud.change(|world| world.fault = Some((whole.calls() + at, Fault::AnswerLost)));
        empty(&cloud, &retained(&fixture));
        assert_nobodys(&cloud);
        let mut left = cloud.held();
        assert!(left.apis.iter().all(|api| !api.tags.keys().any(|key| key.starts_with("sumu.live/"))), "{left:?}");
        for (name, found) in &mut left.domains.names {
            found.tags.clone_from(&before.names[name].tags);
        }
        assert_eq!(left.domains, before);
    }
}

#[test]
fn a_retained_stack_loses_our_tags_whichever_call_fails() {
    let fixture = stack("");
    let retained = retained(&fixture);
    let whole = settled(&fixture, Pace::INSTANT);
    let clean = whole.copy();
    empty(&clean, &retained);
    for at in 1..=clean.calls() - whole.calls() {
        for fault in [Fault::Throttled, Fault::AnswerLost, Fault::NotDone] {
            let cloud = whole.copy();
            cloud.change(|world| world.fault = Some((whole.calls() + at, fault)));
            empty(&cloud, &retained);
            assert_nobodys(&cloud);
            assert_eq!(cloud.held(), clean.held());
        }
    }
}

#[test]
fn reads_that_lag_behind_lose_no_tag() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    cloud.change(|world| world.lags = true);
    let retained = retained(&fixture);
    for _ in 0..8 {
        pass(&cloud, &retained);
    }
    assert_nobodys(&cloud);
}

#[test]
fn what_was_retained_is_somebody_elses_to_whoever_comes_later() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    empty(&cloud, &retained(&fixture));
    let before = cloud.held();
    let look = look_at(&cloud, &fixture.desired);
    let foreign = look.plan.waits.iter().filter(|wait| matches!(wait.reason, WaitReason::Foreign(_))).count();
    // Tables, queues, topics, and a role, a log group and a function each.
    assert_eq!(foreign, 2 + 7 + 2 + 3 * 4, "{}", look.plan);
    // A deletion finds nothing that is its own.
    empty(&cloud, &fixture.nothing);
    assert_eq!(cloud.held(), before);
}

#[test]
fn a_stack_that_is_deleted_for_good_half_way_leaves_alone_what_was_let_go() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    pass(&cloud, &retained(&fixture));
    let tagged = cloud.change(|world| world.tagged());
    assert!(!tagged.is_empty(), "the api and the functions come later");
    empty(&cloud, &fixture.nothing);
    assert_nobodys(&cloud);
    assert_eq!(cloud.held().tables.len(), 2, "they were let go in the first pass");
}

#[test]
fn a_stack_is_retained_after_any_single_drift() {
    let fixture = stack("");
    let whole = settled(&fixture, Pace::INSTANT);
    for drift in DRIFTS.iter().copied().flatten() {
        let cloud = whole.copy();
        cloud.change(drift.change);
        empty(&cloud, &retained(&fixture));
        assert_nobodys(&cloud);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stack_is_retained_from_any_state(
        drifts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        passes in 0usize..6,
    ) {
        let (fixture, cloud) = drifted(&drifts, passes);
        empty(&cloud, &retained(fixture));
        assert_nobodys(&cloud);
    }
}
