//! What somebody has changed behind the operator's back is put right, by exactly the calls that it takes.

use crate::cloud::Pace;
use crate::fixtures::stack;
use crate::laws::drifts::DRIFTS;
use crate::laws::{assert_whole, settled};
use crate::passes::settle;

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
