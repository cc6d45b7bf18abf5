//! A failure at any call, on any way: the stack still gets there, and nothing is made twice.

use sumu_operator::stack::name::TableId;

use crate::cloud::{Fault, MemoryCloud, Pace};
use crate::fixtures::{Fixture, stack};
use crate::laws::{assert_whole, settled};
use crate::passes::{empty, settle};

const FAULTS: [Fault; 3] = [Fault::Throttled, Fault::AnswerLost, Fault::NotDone];

/// How many calls a stack takes from nothing, or to nothing.
fn calls(fixture: &Fixture, pace: Pace, deletes: bool) -> usize {
    let cloud = settled(fixture, pace);
    let made = cloud.calls();
    if deletes {
        empty(&cloud, &fixture.nothing);
    }
    cloud.calls() - if deletes { made } else { 0 }
}

#[test]
fn a_stack_is_made_whichever_call_fails() {
    let fixture = stack("");
    for pace in [Pace::INSTANT, Pace::SLOW] {
        for at in 1..=calls(&fixture, pace, false) {
            for fault in FAULTS {
                let cloud = MemoryCloud::new(&fixture, pace);
                cloud.change(|world| world.fault = Some((at, fault)));
                settle(&cloud, &fixture.desired);
                assert_whole(&cloud, &fixture);
            }
        }
    }
}

#[test]
fn a_stack_is_deleted_whichever_call_fails() {
    let fixture = stack("");
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let whole = settled(&fixture, pace);
        for at in 1..=calls(&fixture, pace, true) {
            for fault in FAULTS {
                let cloud = whole.copy();
                let made = cloud.calls();
                cloud.change(|world| world.fault = Some((made + at, fault)));
                empty(&cloud, &fixture.nothing);
            }
        }
    }
}

#[test]
fn a_call_that_failed_is_made_again_and_no_other_call_is() {
    let fixture = stack("");
    let clean = settled(&fixture, Pace::INSTANT).lines_since(0);
    for at in 1..=clean.len() {
        let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
        cloud.change(|world| world.fault = Some((at, Fault::Throttled)));
        settle(&cloud, &fixture.desired);
        assert_eq!(cloud.lines_since(0), clean, "after a failure of call {at}");
        assert_eq!(cloud.calls(), clean.len() + 1);
    }
}

#[test]
fn a_lost_answer_repeats_no_call_that_has_taken_effect() {
    let fixture = stack("");
    let clean = settled(&fixture, Pace::INSTANT).lines_since(0);
    for at in 1..=clean.len() {
        let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
        cloud.change(|world| world.fault = Some((at, Fault::AnswerLost)));
        settle(&cloud, &fixture.desired);
        assert_eq!(cloud.calls(), clean.len(), "after a lost answer to call {at}");
    }
}

#[test]
fn one_part_that_is_denied_holds_up_no_independent_part() {
    let fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| world.denied = Some("+ table presence"));
    for _ in 0..15 {
        crate::passes::pass(&cloud, &fixture.desired);
    }
    let held = cloud.held();
    assert_eq!(held.tables.len(), 1);
    assert_eq!([held.queues.len(), held.topics.len(), held.functions.len(), held.apis[0].stages.len()], [7, 2, 4, 1]);
    cloud.change(|world| world.denied = None);
    settle(&cloud, &fixture.desired);
    assert_whole(&cloud, &fixture);
}

#[test]
fn a_time_to_live_that_may_not_be_changed_yet_holds_up_nothing_else() {
    let (fixture, tagged) = (stack(""), stack("{tags: {cost: c-43}, connections: {pointInTimeRecovery: true}}"));
    let cloud = settled(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        world.held.tables.get_mut(&TableId::Connections).unwrap().ttl_attribute = None;
        world.denied = Some("~ table connections time to live");
    });
    for _ in 0..5 {
        crate::passes::pass(&cloud, &tagged.desired);
    }
    let table = &cloud.held().tables[&TableId::Connections];
    assert_eq!((table.tags["cost"].as_str(), table.has_recovery), ("c-43", Some(true)));
    cloud.change(|world| world.denied = None);
    settle(&cloud, &tagged.desired);
    assert_whole(&cloud, &tagged);
}

#[test]
fn what_dynamodb_does_not_tell_of_a_new_table_is_waited_for_and_holds_up_nothing_else() {
    let (fixture, wanted) = (stack(""), stack("{tags: {cost: c-43}, connections: {pointInTimeRecovery: true}}"));
    let cloud = settled(&fixture, Pace::INSTANT);
    let recovery = |known| {
        cloud.change(|world| world.held.tables.get_mut(&TableId::Connections).unwrap().has_recovery = known);
    };
    recovery(None);
    for _ in 0..4 {
        crate::passes::pass(&cloud, &wanted.desired);
    }
    let plan = crate::passes::look_at(&cloud, &wanted.desired).plan.to_string();
    assert_eq!(plan, "… point-in-time recovery of table connections is not known yet\n");
    recovery(Some(false));
    settle(&cloud, &wanted.desired);
    assert_eq!(cloud.held().tables[&TableId::Connections].has_recovery, Some(true));
    assert_whole(&cloud, &wanted);
}
