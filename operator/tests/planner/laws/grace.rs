//! The departures queue comes with a grace period and goes with it.

use sumu_contract::Function;
use sumu_operator::observed::SourceState;
use sumu_operator::stack::name::QueueId;

use super::{assert_whole, settled};
use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, stack};
use crate::passes::{empty, look_at, pass, settle};

fn with_grace() -> Fixture {
    stack("presence: {gracePeriodSeconds: 30}")
}

fn count_messages(cloud: &MemoryCloud, kind: &str, count: &str) {
    cloud.change(|world| {
        let queue = world.held.queues.get_mut(&QueueId::Departures).unwrap();
        queue.attributes.insert(format!("ApproximateNumberOfMessages{kind}"), count.into());
    });
}

#[test]
fn a_grace_period_brings_its_queue_and_takes_it_away_again() {
    let (without, with) = (stack(""), with_grace());
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let cloud = settled(&without, pace);
        let before = cloud.held();
        let calls = cloud.calls();
        settle(&cloud, &with.desired);
        assert_whole(&cloud, &with);
        assert_eq!(
            cloud.lines_since(calls),
            [
                "+ event source departures queue to watchdog",
                "+ queue departures (P-departures)",
                "~ function watchdog configuration",
                "~ role watchdog policy",
            ]
        );

        let calls = cloud.calls();
        settle(&cloud, &without.desired);
        assert_whole(&cloud, &without);
        assert_eq!(
            cloud.lines_since(calls),
            [
                "- event source of watchdog",
                "- queue departures",
                "~ function watchdog configuration",
                "~ role watchdog policy",
            ]
        );
        assert_eq!(cloud.held().roles, before.roles, "no right is left over");
    }
}

#[test]
fn another_grace_period_is_told_to_the_watchdog_alone() {
    let cloud = settled(&with_grace(), Pace::INSTANT);
    let calls = cloud.calls();
    let longer = stack("presence: {gracePeriodSeconds: 900}");
    settle(&cloud, &longer.desired);
    assert_eq!(cloud.lines_since(calls), ["~ function watchdog configuration"]);
    assert_whole(&cloud, &longer);
}

#[test]
fn a_grace_period_may_change_in_the_middle_of_anything() {
    let (without, with) = (stack(""), with_grace());
    for passes in 0..20 {
        let cloud = MemoryCloud::new(&with, Pace::SLOW);
        for _ in 0..passes {
            pass(&cloud, &with.desired);
        }
        settle(&cloud, &without.desired);
        assert_whole(&cloud, &without);
        for _ in 0..passes {
            pass(&cloud, &with.desired);
        }
        empty(&cloud, &with.nothing);
    }
}

#[test]
fn the_queue_stays_until_the_last_departure_has_come() {
    let (without, with) = (stack(""), with_grace());
    for kind in ["", "Delayed", "NotVisible"] {
        let cloud = settled(&with, Pace::INSTANT);
        count_messages(&cloud, kind, "1");
        for _ in 0..5 {
            pass(&cloud, &without.desired);
        }
        let plan = look_at(&cloud, &without.desired).plan;
        assert_eq!(
            plan.to_string(),
            "… queue departures stays until its event source is gone\n\
             … event source departures queue to watchdog stays until the last departure is gone\n"
        );
        count_messages(&cloud, kind, "0");
        settle(&cloud, &without.desired);
        assert_whole(&cloud, &without);
    }
}

#[test]
fn the_queue_stays_while_a_watchdog_from_before_may_put_a_departure_there() {
    let (without, with) = (stack(""), with_grace());
    let cloud = settled(&with, Pace { change: 9, ..Pace::INSTANT });
    let is_told = |cloud: &MemoryCloud| {
        let want = &without.desired.functions[&Function::Watchdog];
        want.environment(&without.desired.names, &cloud.held()).unwrap()
            == cloud.held().functions[&Function::Watchdog].environment
    };
    while !is_told(&cloud) {
        pass(&cloud, &without.desired);
    }
    // Nothing is counted yet of what the last copy has just sent.
    for _ in 0..8 {
        pass(&cloud, &without.desired);
    }
    count_messages(&cloud, "Delayed", "1");
    for _ in 0..5 {
        pass(&cloud, &without.desired);
    }
    assert!(cloud.held().sources.iter().any(|source| source.source_arn.ends_with("-departures")));
    count_messages(&cloud, "Delayed", "0");
    settle(&cloud, &without.desired);
    assert_whole(&cloud, &without);
}

#[test]
fn departures_come_back_though_what_brings_them_was_switched_off_or_never_made() {
    let (without, with) = (stack(""), with_grace());
    let breaks: [fn(&mut SourceState) -> bool; 2] = [
        |source| {
            source.state = "Disabled".into();
            true
        },
        |_| false,
    ];
    for (is_kept, line) in breaks.into_iter().zip(["~", "+"]) {
        let cloud = settled(&with, Pace::SLOW);
        count_messages(&cloud, "", "2");
        cloud.change(|world| {
            world.held.sources.retain_mut(|source| !source.source_arn.ends_with("-departures") || is_kept(source));
        });
        let calls = cloud.calls();
        for _ in 0..20 {
            pass(&cloud, &without.desired);
        }
        let lines = cloud.lines_since(calls);
        assert!(lines.contains(&format!("{line} event source departures queue to watchdog")), "{lines:?}");
        assert!(cloud.held().queues.contains_key(&QueueId::Departures));
        count_messages(&cloud, "", "0");
        settle(&cloud, &without.desired);
        assert_whole(&cloud, &without);
    }
}

#[test]
fn a_stack_that_is_deleted_does_not_wait_for_departures() {
    let with = with_grace();
    let cloud = settled(&with, Pace::SLOW);
    count_messages(&cloud, "Delayed", "3");
    empty(&cloud, &with.nothing);
}
