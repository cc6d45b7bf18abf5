//! A rehearsal foretells exactly the calls that are then made.

use sumu_operator::desired::Desired;
use sumu_operator::desired::end::End;
use sumu_operator::plan::rehearsal::{NEW, rehearse};
use sumu_operator::stack::name::QueueId;

use super::drifts::DRIFTS;
use super::edits::EDITS;
use super::settled;
use crate::cloud::{MemoryCloud, Pace, plain};
use crate::fixtures::{Fixture, names, stack, with_new_code};
use crate::passes::{empty, look_at, settle};

/// The steps of the plan and of its rehearsal, as [`MemoryCloud::lines_since`] tells the calls that were made.
fn foretold(cloud: &MemoryCloud, desired: &Desired) -> Vec<String> {
    let pass = look_at(cloud, desired);
    let rehearsal = rehearse(desired, &pass.observed);
    assert_eq!(rehearsal.waits, [], "the rehearsal does not come to its end");
    let later = rehearsal.steps.into_iter().map(|foretold| foretold.step);
    let prefix = desired.names.prefix();
    let mut lines: Vec<String> =
        pass.plan.steps.into_iter().chain(later).map(|step| plain(&step.to_string(), prefix)).collect();
    lines.sort_unstable();
    lines
}

/// Converges and compares.
fn assert_foretold(cloud: &MemoryCloud, desired: &Desired, what: &str) {
    let (foretold, calls) = (foretold(cloud, desired), cloud.calls());
    if desired.end == End::Never {
        settle(cloud, desired)
    } else {
        empty(cloud, desired)
    };
    assert_eq!(foretold, cloud.lines_since(calls), "{what}");
}

fn deleted(fixture: &Fixture) -> Desired {
    Desired::of_deleted(&fixture.stack, fixture.owner.clone(), names(&fixture.owner))
}

#[test]
fn what_a_new_stack_takes_is_foretold_from_nothing() {
    for spec in ["", "presence: {gracePeriodSeconds: 30}", "connections: {deletionProtection: true}"] {
        let fixture = stack(spec);
        assert_foretold(&MemoryCloud::new(&fixture, Pace::INSTANT), &fixture.desired, spec);
    }
}

#[test]
fn what_is_left_of_a_creation_is_foretold_from_every_pass_of_it() {
    let fixture = stack("");
    for passes in 1..30 {
        let cloud = MemoryCloud::new(&fixture, Pace::SLOW);
        for _ in 0..passes {
            crate::passes::pass(&cloud, &fixture.desired);
        }
        assert_foretold(&cloud, &fixture.desired, &format!("after {passes} passes"));
    }
}

#[test]
fn every_edit_is_foretold_and_so_is_taking_it_back() {
    let before = stack("");
    let whole = settled(&before, Pace::SLOW);
    for (edit, _) in EDITS {
        let cloud = whole.copy();
        assert_foretold(&cloud, &stack(edit).desired, edit);
        assert_foretold(&cloud, &before.desired, &format!("taking back {edit}"));
    }
    assert_foretold(&whole, &with_new_code(&before.stack), "new code");
}

#[test]
fn subscriptions_that_come_change_and_go_are_foretold() {
    let with = |list: &str| stack(&format!("messages: {{subscriptions: [{list}]}}"));
    let queue = "{protocol: sqs, endpoint: 'arn:aws:sqs:eu-west-3:210987654321:orders'}";
    let raw = queue.replace("'}", "', rawMessageDelivery: true, filterPolicy: {user_id: [alice]}}");
    let function = "{protocol: lambda, endpoint: 'arn:aws:lambda:eu-west-3:210987654321:function:mailer'}";
    let server = "{protocol: https, endpoint: 'https://hooks.example/in'}";
    let before = stack("");
    let cloud = settled(&before, Pace::INSTANT);
    cloud.change(|world| world.make_function("mailer"));
    let all = with(&format!("{queue}, {function}, {server}"));
    for after in [&all, &with(&raw), &all, &before] {
        assert_foretold(&cloud, &after.desired, &format!("{:?}", after.stack.spec.messages));
    }
    settle(&cloud, &all.desired);
    assert_foretold(&cloud, &deleted(&all), "the deletion");
}

#[test]
fn consumers_that_come_change_and_go_are_foretold() {
    let with = |list: &str| stack(&format!("messages: {{consumers: [{list}]}}"));
    let chat = "{functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:chat'}";
    let slower = chat.replace("'}", "', batchSize: 5, maximumConcurrency: 7}");
    let audit = "{functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:audit:live'}";
    let before = stack("");
    let cloud = settled(&before, Pace::INSTANT);
    let both = with(&format!("{chat}, {audit}"));
    for after in [&both, &with(&slower), &both, &before] {
        assert_foretold(&cloud, &after.desired, &format!("{:?}", after.stack.spec.messages));
    }
    settle(&cloud, &both.desired);
    assert_foretold(&cloud, &deleted(&both), "the deletion");
}

#[test]
fn a_grace_period_that_goes_takes_its_queue_along_once_that_is_worked_off() {
    let before = stack("presence: {gracePeriodSeconds: 30}");
    let cloud = settled(&before, Pace::INSTANT);
    let set = |count: &str| {
        cloud.change(|world| {
            let queue = world.held.queues.get_mut(&QueueId::Departures).unwrap();
            queue.attributes.insert("ApproximateNumberOfMessagesDelayed".into(), count.into());
        });
    };
    set("2");
    let desired = stack("").desired;
    let (foretold, calls) = (foretold(&cloud, &desired), cloud.calls());
    crate::passes::pass(&cloud, &desired);
    set("0");
    settle(&cloud, &desired);
    assert_eq!(foretold, cloud.lines_since(calls));
}

#[test]
fn every_repair_is_foretold() {
    let fixture = stack("");
    let whole = settled(&fixture, Pace::SLOW);
    for drift in DRIFTS.iter().copied().flatten() {
        let cloud = whole.copy();
        cloud.change(drift.change);
        assert_foretold(&cloud, &fixture.desired, drift.name);
    }
}

#[test]
fn every_end_is_foretold_and_data_is_lost_only_where_something_is_deleted() {
    for (spec, loses) in [
        ("", true),
        ("deletion: {whenInUse: Wait}", true),
        ("deletionPolicy: Retain", false),
        ("{deletionPolicy: Retain, presence: {gracePeriodSeconds: 30}}", false),
    ] {
        let fixture = stack(spec);
        let cloud = settled(&fixture, Pace::SLOW);
        let desired = deleted(&fixture);
        let steps = rehearse(&desired, &look_at(&cloud, &desired).observed).steps;
        assert_eq!(steps.iter().any(|foretold| foretold.loss.is_some()), loses, "{spec}");
        assert_foretold(&cloud, &desired, spec);
    }
}

#[test]
fn a_custom_domain_is_foretold_but_for_what_aws_will_call_it() {
    let domain = stack(
        "gateway: {customDomain: {domainName: live.example.com, certificateArn: \
         'arn:aws:acm:eu-west-3:210987654321:certificate/1', path: push, hostedZoneId: ZONE1}}",
    );
    // The target of a new domain name is AWS's to choose.
    let without_target = |lines: Vec<String>| -> Vec<String> {
        let target = |line: String| match line.split_once(" of ") {
            Some((begin, name)) if name.contains(".execute-api.") => format!("{begin} of a target"),
            _ => line,
        };
        lines.into_iter().map(target).collect()
    };
    let cloud = settled(&stack(""), Pace::SLOW);
    let (before, calls) = (foretold(&cloud, &domain.desired), cloud.calls());
    assert!(before.iter().any(|line| line.contains(NEW)), "{before:#?}");
    settle(&cloud, &domain.desired);
    assert_eq!(without_target(before), without_target(cloud.lines_since(calls)));
    assert_foretold(&cloud, &stack("").desired, "taking it away");
    settle(&cloud, &domain.desired);
    assert_foretold(&cloud, &domain.nothing, "the deletion");
}
