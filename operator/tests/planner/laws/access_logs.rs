//! Access logs: on and off, mended, refused, and somebody else's left alone.

use sumu_operator::cloud::Kind;
use sumu_operator::desired::access_logs::AccessLogs;
use sumu_operator::observed::StageState;
use sumu_operator::plan::Part;
use sumu_operator::stack::name::LogGroupId;

use crate::cloud::{Fault, MemoryCloud, Pace, World};
use crate::fixtures::{Fixture, stack};
use crate::laws::{assert_whole, settled};
use crate::passes::{empty, look_at, pass, settle};

/// More passes than an instant cloud takes.
const PASSES: usize = 15;

/// A stack with access logs.
pub fn logged() -> Fixture {
    stack("gateway: {accessLogs: {retentionDays: 7}}")
}

fn stage(world: &mut World, change: impl FnOnce(&mut StageState)) {
    change(&mut world.held.apis[0].stages[0]);
}

/// Asserts that the stage writes to a log group of ours, in our format, and that this keeps as long as it is to.
fn assert_logged(cloud: &MemoryCloud, fixture: &Fixture) {
    assert_whole(cloud, fixture);
    let held = cloud.held();
    let logs = held.apis[0].stages[0].access_logs.as_ref().unwrap();
    assert_eq!(Some(logs), fixture.desired.gateway.as_ref().unwrap().access_logs.as_ref());
    assert_eq!(logs.destination_arn, fixture.desired.names.log_group_arn(LogGroupId::AccessLogs));
    assert_eq!(held.log_groups[&LogGroupId::AccessLogs].retention_days, Some(7));
}

/// Asserts that nothing of access logs is left.
fn assert_unlogged(cloud: &MemoryCloud) {
    let held = cloud.held();
    assert!(!held.log_groups.contains_key(&LogGroupId::AccessLogs));
    assert!(held.apis.iter().flat_map(|api| &api.stages).all(|stage| stage.access_logs.is_none()));
}

#[test]
fn access_logs_are_switched_on_and_off_by_exactly_the_calls_that_it_takes_and_no_deployment() {
    for off in ["", "gateway: {accessLogs: {enabled: false}}"] {
        let (without, with) = (stack(off), logged());
        let cloud = settled(&without, Pace::INSTANT);
        assert_unlogged(&cloud);
        let calls = cloud.calls();
        settle(&cloud, &with.desired);
        let expected = [
            "+ log group access-logs (/aws/apigateway/P)",
            "~ log group access-logs retention 7 days",
            "~ stage prod access logs on",
        ];
        assert_eq!(cloud.lines_since(calls), expected);
        assert_logged(&cloud, &with);

        let calls = cloud.calls();
        settle(&cloud, &without.desired);
        assert_eq!(cloud.lines_since(calls), ["- log group access-logs", "~ stage prod access logs off"]);
        assert_unlogged(&cloud);
        assert_whole(&cloud, &without);
    }
}

#[test]
fn the_stage_is_open_before_it_logs_and_no_call_fails() {
    let fixture = logged();
    let cloud = MemoryCloud::new(&fixture, Pace { role: 0, ..Pace::SLOW });
    settle(&cloud, &fixture.desired);
    assert_logged(&cloud, &fixture);
    let calls = cloud.change(|world| world.calls.clone());
    let at = |line: &str| calls.iter().position(|call| call.line.starts_with(line)).unwrap();
    assert!(at("+ stage prod") < at("~ stage prod access logs on"));
    assert!(calls.iter().all(|call| call.answer.is_ok()), "a plan holds only calls that can succeed");
}

#[test]
fn a_change_of_the_stage_leaves_its_access_logs() {
    let fixture = logged();
    let cloud = settled(&fixture, Pace::INSTANT);
    let calls = cloud.calls();
    let slower = stack("gateway: {accessLogs: {retentionDays: 7}, throttling: {rateLimit: 11}}");
    settle(&cloud, &slower.desired);
    assert_eq!(cloud.lines_since(calls), ["~ stage prod"]);
    assert_logged(&cloud, &slower);
}

#[test]
fn access_logs_are_made_and_taken_away_whichever_call_fails() {
    let fixture = logged();
    let whole = settled(&fixture, Pace::INSTANT);
    let made = whole.calls();
    let gone = whole.copy();
    empty(&gone, &fixture.nothing);
    for fault in [Fault::Throttled, Fault::AnswerLost, Fault::NotDone] {
        for at in 1..=made {
            let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
            cloud.change(|world| world.fault = Some((at, fault)));
            settle(&cloud, &fixture.desired);
            assert_logged(&cloud, &fixture);
        }
        for at in made + 1..=gone.calls() {
            let cloud = whole.copy();
            cloud.change(|world| world.fault = Some((at, fault)));
            empty(&cloud, &fixture.nothing);
            assert!(cloud.held().is_nothing());
        }
        for at in 1..=2 {
            let cloud = whole.copy();
            cloud.change(|world| world.fault = Some((made + at, fault)));
            settle(&cloud, &stack("").desired);
            assert_unlogged(&cloud);
        }
    }
}

#[test]
fn access_logs_are_taken_away_from_the_middle_of_their_creation() {
    let fixture = logged();
    for pace in [Pace::INSTANT, Pace::SLOW] {
        for passes in 0..25 {
            let cloud = MemoryCloud::new(&fixture, pace);
            for _ in 0..passes {
                pass(&cloud, &fixture.desired);
            }
            let without = cloud.copy();
            empty(&cloud, &fixture.nothing);
            settle(&without, &stack("").desired);
            assert_unlogged(&without);
        }
    }
}

#[test]
fn reads_that_lag_behind_writes_lead_to_access_logs_too() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = logged();
        let cloud = MemoryCloud::new(&fixture, pace);
        cloud.change(|world| world.lags = true);
        settle(&cloud, &fixture.desired);
        settle(&cloud, &fixture.desired);
        cloud.change(|world| world.lags = false);
        assert_logged(&cloud, &fixture);
    }
}

/// What somebody could change behind the operator's back, with the calls that put it right.
type Drift = (&'static str, fn(&mut World), &'static [&'static str]);

const ON: &str = "~ stage prod access logs on";

const DRIFTS: &[Drift] = &[
    ("the stage logs nothing", |world| stage(world, |stage| stage.access_logs = None), &[ON]),
    ("it logs elsewhere", |world| stage(world, |stage| logs(stage).destination_arn = "arn:theirs".into()), &[ON]),
    ("it logs tokens", |world| stage(world, |stage| logs(stage).format.push_str("$context.path")), &[ON]),
    ("the stage is gone", |world| world.held.apis[0].stages.clear(), &["+ stage prod", ON]),
    (
        "the log group is gone",
        |world| drop(world.held.log_groups.remove(&LogGroupId::AccessLogs)),
        &["+ log group access-logs (/aws/apigateway/P)", "~ log group access-logs retention 7 days"],
    ),
    (
        "the log is kept for ever",
        |world| world.held.log_groups.get_mut(&LogGroupId::AccessLogs).unwrap().retention_days = None,
        &["~ log group access-logs retention 7 days"],
    ),
    (
        "the log group's tag",
        |world| {
            let group = world.held.log_groups.get_mut(&LogGroupId::AccessLogs).unwrap();
            group.tags.insert("cost".into(), "c-0".into());
        },
        &["~ log group access-logs tags cost"],
    ),
];

fn logs(stage: &mut StageState) -> &mut AccessLogs {
    stage.access_logs.as_mut().unwrap()
}

#[test]
fn every_drift_of_access_logs_is_repaired_by_exactly_the_calls_that_it_takes() {
    let fixture = logged();
    let whole = settled(&fixture, Pace::INSTANT);
    for (name, change, repair) in DRIFTS {
        let cloud = whole.copy();
        cloud.change(change);
        let gone = cloud.copy();
        let calls = cloud.calls();
        settle(&cloud, &fixture.desired);
        let mut expected = repair.to_vec();
        expected.sort_unstable();
        assert_eq!(cloud.lines_since(calls), expected, "{name}");
        assert_logged(&cloud, &fixture);
        empty(&gone, &fixture.nothing);
    }
}

#[test]
fn an_account_without_a_role_for_logs_refuses_them_and_nothing_else() {
    let fixture = logged();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| world.lacks_log_role = true);
    let last = (0..PASSES).map(|_| pass(&cloud, &fixture.desired)).last().unwrap();
    assert_eq!(last.plan.to_string(), format!("{ON}\n"), "all the rest is made");
    let [failure] = &last.failures[..] else { panic!("not one failure: {:?}", last.failures) };
    assert_eq!((failure.part, failure.error.kind), (Part::AccessLogs, Kind::Unprepared));
    assert_eq!(cloud.held().apis[0].stages.len(), 1, "the stage is open");
    cloud.change(|world| world.assert_served());

    let gone = cloud.copy();
    empty(&gone, &fixture.nothing);
    assert!(gone.held().is_nothing());
    cloud.change(|world| world.lacks_log_role = false);
    settle(&cloud, &fixture.desired);
    assert_logged(&cloud, &fixture);
}

#[test]
fn access_logs_and_a_custom_domain_hold_each_other_up_in_nothing() {
    let fixture = stack(
        "gateway: {accessLogs: {}, customDomain: {domainName: live.example.com, path: push, certificateArn: \
         'arn:aws:acm:eu-west-3:210987654321:certificate/one'}}",
    );
    let refused = MemoryCloud::new(&fixture, Pace::INSTANT);
    refused.change(|world| world.lacks_log_role = true);
    let denied = MemoryCloud::new(&fixture, Pace::INSTANT);
    denied.change(|world| world.denied = Some("+ api mapping"));
    for _ in 0..PASSES {
        pass(&refused, &fixture.desired);
        pass(&denied, &fixture.desired);
    }
    let held = refused.held();
    assert_eq!(held.domains.names["live.example.com"].mappings.len(), 1, "the domain name leads to the stage");
    assert_eq!(held.apis[0].stages[0].access_logs, None);
    let held = denied.held();
    assert!(held.domains.names["live.example.com"].mappings.is_empty());
    assert!(held.apis[0].stages[0].access_logs.is_some(), "and yet the stage logs");
}

#[test]
fn access_logs_that_somebody_has_set_up_by_hand_stay_while_the_stack_wants_none() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    let theirs = AccessLogs { destination_arn: "arn:theirs".into(), format: "$context.requestId".into() };
    cloud.change(|world| stage(world, |stage| stage.access_logs = Some(theirs.clone())));
    assert_eq!(look_at(&cloud, &fixture.desired).plan.to_string(), "nothing to do\n");
    let slower = stack("gateway: {throttling: {rateLimit: 11}}");
    settle(&cloud, &slower.desired);
    assert_eq!(cloud.held().apis[0].stages[0].access_logs, Some(theirs));
    empty(&cloud, &fixture.nothing);
}
