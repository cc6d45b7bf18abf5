//! What a stack's status says, for everything that can become of a pass.

mod access_logs;
mod conditions;
mod consumers;
mod described;
mod domain;
mod drift;
mod events;
mod export;
mod kstatus;
mod subscriptions;

use std::fmt::Write as _;

use sumu_operator::cloud::{CloudError, Kind};
use sumu_operator::converge::Pass;
use sumu_operator::status::{Context, Progress, READY, status};
use sumu_operator::sumu_stack::{Condition, ConditionStatus, SumuStackStatus};

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, endpoints};
use crate::passes::pass;

/// Two moments.
const NOON: &str = "2026-05-01T12:00:00Z";
const LATER: &str = "2026-05-01T12:34:56Z";

/// A report at a moment, which becomes the object's status as if it were written.
fn report(fixture: &mut Fixture, progress: Progress<'_>, now: &str) -> SumuStackStatus {
    let endpoints = endpoints();
    let words = Context { endpoints: &endpoints, now, was_settled: false };
    let status = status(&fixture.stack, progress, &words);
    fixture.stack.status = Some(status.clone());
    status
}

/// A report about a pass.
fn report_pass(fixture: &mut Fixture, pass: &Pass, now: &str) -> SumuStackStatus {
    let desired = fixture.desired.clone();
    report(fixture, Progress::Passed(pass, &desired), now)
}

/// A cloud after this many passes, with the last of them.
fn after_passes(fixture: &Fixture, pace: Pace, passes: usize) -> (MemoryCloud, Pass) {
    let cloud = MemoryCloud::new(fixture, pace);
    let last = (0..passes).map(|_| pass(&cloud, &fixture.desired)).last().unwrap();
    (cloud, last)
}

/// More passes than an instant cloud takes.
const SETTLED: usize = 12;

fn condition<'a>(status: &'a SumuStackStatus, type_: &str) -> &'a Condition {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_);
    found.unwrap_or_else(|| panic!("no condition {type_} in {:?}", status.conditions))
}

/// `Ready` with its reason and sentence.
fn ready(status: &SumuStackStatus) -> (ConditionStatus, &str, &str) {
    let ready = condition(status, READY);
    (ready.status, &ready.reason, &ready.message)
}

/// One line a condition.
fn lines(status: &SumuStackStatus) -> String {
    let mut text = String::new();
    for condition in &status.conditions {
        let Condition { type_, status, reason, message, last_transition_time: _, observed_generation: _ } = condition;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{type_} {status:?} {reason}: {message}");
    }
    text
}

fn error(kind: Kind) -> CloudError {
    let (resource, code) = ("t".into(), "SomeCode".into());
    CloudError { operation: "DescribeTable", resource, kind, code, message: "some message".into() }
}
