//! What somebody has changed behind the operator's back is put right, by exactly the calls that it takes.

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::stack;
use crate::laws::drifts::DRIFTS;
use crate::laws::{assert_whole, settled};
use crate::passes::{look_at, settle};

#[test]
fn every_drift_is_repaired_by_exactly_the_calls_that_it_takes() {
    let fixture = stack("");
    let whole = settled(&fixture, Pace::INSTANT);
    for drift in DRIFTS.iter().copied().flatten() {
        let cloud = whole.copy();
        let (before, calls) = (cloud.held(), cloud.calls());
        cloud.change(drift.change);
        assert_ne!(cloud.held(), before, "{}: nothing was changed", drift.name);
        settle(&cloud, &fixture.desired);
        let mut expected: Vec<&str> = drift.repair.to_vec();
        expected.sort_unstable();
        assert_eq!(cloud.lines_since(calls), expected, "{}", drift.name);
        assert_whole(&cloud, &fixture);
    }
}

#[test]
fn every_drift_is_repaired_however_slow_aws_is() {
    let fixture = stack("");
    let whole = settled(&fixture, Pace::SLOW);
    for drift in DRIFTS.iter().copied().flatten() {
        let cloud = whole.copy();
        cloud.change(drift.change);
        settle(&cloud, &fixture.desired);
        assert_whole(&cloud, &fixture);
    }
}

#[test]
fn what_the_spec_says_of_protection_and_recovery_is_put_right_and_what_it_leaves_open_stays() {
    let set = |cloud: &MemoryCloud, on: bool| {
        cloud.change(|world| {
            for table in world.held.tables.values_mut() {
                (table.is_protected, table.has_recovery) = (on, Some(on));
            }
        });
    };
    let silent = stack("");
    let cloud = settled(&silent, Pace::INSTANT);
    for on in [true, false] {
        set(&cloud, on);
        assert_eq!(look_at(&cloud, &silent.desired).plan.to_string(), "nothing to do\n", "{on}");
    }
    for (says, word) in [(true, "on"), (false, "off")] {
        let spoken = stack(&format!("connections: {{deletionProtection: {says}, pointInTimeRecovery: {says}}}"));
        settle(&cloud, &spoken.desired);
        set(&cloud, !says);
        let calls = cloud.calls();
        settle(&cloud, &spoken.desired);
        let expected = [
            format!("~ table connections deletion protection {word}"),
            format!("~ table connections point-in-time recovery {word}"),
        ];
        assert_eq!(cloud.lines_since(calls), expected);
        // Whatever was asked for stays when nobody says anything any more.
        assert_eq!(look_at(&cloud, &silent.desired).plan.to_string(), "nothing to do\n", "after {word}");
    }
}
