//! What SNS waits to be confirmed: nobody can change it or take it away, and nothing waits for it.

use super::{ALL, assert_gone, assert_subscribed, cloud, settled_with, with};
use crate::cloud::{Pace, World};
use crate::fixtures::{Fixture, stack};
use crate::passes::{empty, look_at, settle};

/// One by e-mail, which somebody must confirm.
fn by_mail() -> Fixture {
    with(&ALL[6..7])
}

#[test]
fn a_stack_is_settled_while_it_waits_for_a_confirmation_and_after_it() {
    let fixture = by_mail();
    let cloud = settled_with(&fixture, Pace::INSTANT);
    assert_subscribed(&cloud, &fixture);
    assert!(cloud.held().subscriptions.listed[0].arn.is_none());
    cloud.change(World::confirm_all);
    assert_eq!(look_at(&cloud, &fixture.desired).plan.to_string(), "nothing to do\n");
}

#[test]
fn what_was_changed_before_it_was_confirmed_becomes_right_then() {
    let (before, after) =
        (by_mail(), with(&["{protocol: email, endpoint: 'berta@example.com', filterPolicy: {a: [b]}}"]));
    let cloud = settled_with(&before, Pace::INSTANT);
    let calls = cloud.calls();
    settle(&cloud, &after.desired);
    assert_eq!(cloud.calls(), calls, "SNS takes no change of it");
    cloud.change(World::confirm_all);
    settle(&cloud, &after.desired);
    assert_eq!(cloud.lines_since(calls), ["~ subscription email b…@example.com FilterPolicy"]);
    assert_subscribed(&cloud, &after);
}

#[test]
fn what_nobody_confirms_within_two_days_is_asked_for_again() {
    let fixture = by_mail();
    let cloud = settled_with(&fixture, Pace::INSTANT);
    let calls = cloud.calls();
    cloud.change(World::expire_unconfirmed);
    settle(&cloud, &fixture.desired);
    assert_eq!(cloud.lines_since(calls), ["+ subscription email b…@example.com"]);
}

#[test]
fn what_left_the_spec_unconfirmed_keeps_its_note_and_its_queue_until_sns_takes_it_away() {
    let (fixture, without) = (by_mail(), stack(""));
    let cloud = settled_with(&fixture, Pace::INSTANT);
    settle(&cloud, &without.desired);
    assert!(cloud.change(|world| world.has_subscriptions_queue()), "it may be confirmed yet");
    cloud.change(World::expire_unconfirmed);
    settle(&cloud, &without.desired);
    assert_gone(&cloud);
}

#[test]
fn what_is_confirmed_after_it_left_the_spec_goes_all_the_same() {
    let (fixture, others, without) = (by_mail(), with(&ALL[..2]), stack(""));
    for then in [&others, &without] {
        let cloud = settled_with(&fixture, Pace::INSTANT);
        settle(&cloud, &then.desired);
        cloud.change(World::confirm_all);
        settle(&cloud, &then.desired);
        if then.desired.subscriptions.is_empty() { assert_gone(&cloud) } else { assert_subscribed(&cloud, then) }
    }
}

#[test]
fn a_stack_is_deleted_while_sns_waits_for_a_confirmation() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        for passes in [3, 60] {
            let fixture = with(&ALL);
            let cloud = cloud(&fixture, pace);
            (0..passes).for_each(|_| drop(crate::passes::pass(&cloud, &fixture.desired)));
            empty(&cloud, &fixture.nothing);
            assert_gone(&cloud);
        }
    }
}
