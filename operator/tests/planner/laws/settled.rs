//! A stack that is as it should be is left alone, and gets there soon.

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::stack;
use crate::laws::{assert_whole, settled};
use crate::passes::{look_at, pass, settle};

/// A stack is made in about seven layers.
const PASSES_MAX: usize = 15;

#[test]
fn a_settled_stack_is_looked_at_and_not_touched() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = stack("");
        let cloud = settled(&fixture, pace);
        assert_whole(&cloud, &fixture);
        let calls = cloud.calls();
        for _ in 0..3 {
            let pass = pass(&cloud, &fixture.desired);
            assert_eq!(pass.plan.to_string(), "nothing to do\n");
            assert_eq!(pass.applied, 0);
        }
        assert_eq!(cloud.calls(), calls);
    }
}

#[test]
fn a_new_stack_is_settled_within_a_few_passes() {
    let fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    let passes = settle(&cloud, &fixture.desired);
    assert!(passes <= PASSES_MAX, "{passes} passes");
}

#[test]
fn no_call_fails_while_a_new_stack_is_made_unless_a_role_has_not_spread() {
    let fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace { role: 0, ..Pace::SLOW });
    settle(&cloud, &fixture.desired);
    let failed: Vec<String> = cloud.change(|world| {
        world.calls.iter().filter_map(|call| call.answer.as_ref().err().map(ToString::to_string)).collect()
    });
    assert!(failed.is_empty(), "a plan holds only calls that can succeed: {failed:#?}");
}

#[test]
fn a_role_that_has_not_spread_only_costs_time() {
    let fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace { role: 30, ..Pace::INSTANT });
    settle(&cloud, &fixture.desired);
    assert_whole(&cloud, &fixture);
}

#[test]
fn reads_that_lag_behind_writes_make_nothing_twice() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = stack("");
        let cloud = MemoryCloud::new(&fixture, pace);
        cloud.change(|world| world.lags = true);
        settle(&cloud, &fixture.desired);
        // What the last look showed was the state before it.
        settle(&cloud, &fixture.desired);
        cloud.change(|world| world.lags = false);
        assert_whole(&cloud, &fixture);
    }
}

#[test]
fn a_look_makes_no_call() {
    let fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    let pass = look_at(&cloud, &fixture.desired);
    assert!(!pass.plan.steps.is_empty());
    assert_eq!(cloud.calls(), 0);
}
