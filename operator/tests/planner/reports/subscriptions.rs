//! What is told of subscriptions.

use sumu_operator::observed::subscriptions::Leave;
use sumu_operator::plan::Part;
use sumu_operator::status::SUBSCRIPTIONS_CONFIRMED;
use sumu_operator::sumu_stack::ConditionStatus::{False, True};
use sumu_operator::sumu_stack::SumuStackStatus;

use super::{NOON, condition, ready, report_pass};
use crate::cloud::{MemoryCloud, Pace, World};
use crate::fixtures::{Fixture, manifest, pipeline, stack};
use crate::laws::subscriptions::{cloud, settled_with, with};
use crate::passes::pass;

const QUEUE: &str = "{protocol: sqs, endpoint: 'arn:aws:sqs:eu-west-3:210987654321:orders'}";
const FUNCTION: &str = "{protocol: lambda, endpoint: 'arn:aws:lambda:eu-west-3:210987654321:function:mailer'}";
const SERVER: &str = "{protocol: https, endpoint: 'https://hooks.example.com/in?key=secret'}";
const MAIL: &str = "{protocol: email, endpoint: 'berta@example.com'}";

fn after_a_pass(fixture: &mut Fixture, cloud: &MemoryCloud) -> SumuStackStatus {
    let desired = fixture.desired.clone();
    report_pass(fixture, &pass(cloud, &desired), NOON)
}

#[test]
fn subscriptions_have_a_condition_and_their_dead_letter_queue_is_told() {
    let mut fixture = with(&[QUEUE, FUNCTION]);
    let cloud = settled_with(&fixture, Pace::INSTANT);
    let status = after_a_pass(&mut fixture, &cloud);
    assert_eq!(ready(&status), (True, "Settled", "Everything is in place"));
    assert_eq!(condition(&status, Part::Subscriptions.as_str()).status, True);
    assert_eq!(status.conditions.len(), 2 + Part::ALL.len(), "nobody is asked for a confirmation");
    let url = status.messages.unwrap().subscriptions_dead_letter_queue_url.unwrap();
    assert!(url.ends_with("-subscriptions-dead-letters"), "{url}");
    assert_eq!(status.notifications.unwrap().subscriptions_dead_letter_queue_url, None);

    let mut plain = stack("");
    let cloud = settled_with(&plain, Pace::INSTANT);
    let status = after_a_pass(&mut plain, &cloud);
    assert_eq!(status.conditions.len(), 1 + Part::ALL.len());
    assert_eq!(status.messages.unwrap().subscriptions_dead_letter_queue_url, None);
}

#[test]
fn what_waits_for_a_confirmation_is_named_and_the_stack_is_ready_all_the_same() {
    let mut fixture = with(&[QUEUE, SERVER, MAIL]);
    let cloud = settled_with(&fixture, Pace::INSTANT);
    let status = after_a_pass(&mut fixture, &cloud);
    assert_eq!(ready(&status), (True, "Settled", "Everything is in place"));
    let told = condition(&status, SUBSCRIPTIONS_CONFIRMED);
    let message = "SNS delivers nothing yet to https hooks.example.com (the server must answer the SubscriptionConfirmation \
                   that SNS has posted there); email b…@example.com (somebody must follow the link in the message that SNS \
                   has sent there)";
    assert_eq!((told.status, told.reason.as_str(), told.message.as_str()), (False, "ActionRequired", message));

    cloud.change(World::confirm_all);
    let status = after_a_pass(&mut fixture, &cloud);
    let told = condition(&status, SUBSCRIPTIONS_CONFIRMED);
    assert_eq!((told.status, told.reason.as_str()), (True, "Settled"));
}

/// What somebody may do.
type Change = fn(&mut World);

/// What may stand in the way, with the reason that is told.
const TROUBLES: &[(Change, &str)] = &[
    (|world| world.held.subscriptions.functions.clear(), "Rejected"),
    (|world| world.denied_functions = Some("GetPolicy mailer: not allowed".into()), "AccessDenied"),
    (|world| world.held.subscriptions.functions.values_mut().for_each(|leave| *leave = Leave::Absent), "Progressing"),
    (|world| world.held.subscriptions.listed.clear(), "Progressing"),
];

#[test]
fn what_stands_in_the_way_of_a_subscription_is_told_by_its_condition_and_no_other() {
    for (change, reason) in TROUBLES {
        let mut fixture = with(&[QUEUE, FUNCTION]);
        let cloud = settled_with(&fixture, Pace::INSTANT);
        cloud.change(change);
        let status = after_a_pass(&mut fixture, &cloud);
        let told = condition(&status, "Subscriptions");
        assert_eq!((told.status, told.reason.as_str()), (False, *reason), "{}", told.message);
        for part in Part::ALL {
            assert_eq!(condition(&status, part.as_str()).status, True, "{reason}: {}", part.as_str());
        }
        let (state, of_ready, message) = ready(&status);
        assert_eq!((state, of_ready), (False, *reason));
        assert!(message.starts_with("Subscriptions: "), "{message}");
    }
}

#[test]
fn neither_secrets_in_urls_nor_addresses_of_people_get_into_a_status_or_a_plan() {
    let mut fixture = with(&[SERVER, MAIL, "{protocol: sms, endpoint: '+4915112345678'}"]);
    let cloud = cloud(&fixture, Pace::INSTANT);
    for _ in 0..16 {
        let desired = fixture.desired.clone();
        let pass = pass(&cloud, &desired);
        let told = format!("{:?}{}", report_pass(&mut fixture, &pass, NOON), pass.plan);
        for secret in ["secret", "berta", "4915112345"] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
    }
}

#[test]
fn a_subscription_that_sns_is_certain_to_refuse_is_refused_with_the_remedy() {
    let twice = manifest(&format!("messages: {{subscriptions: [{QUEUE}, {MAIL}, {QUEUE}]}}"));
    let refused = pipeline(&twice).err().map(|invalid| invalid.to_string()).unwrap_or_default();
    assert!(
        refused.starts_with("spec.messages.subscriptions[2] has the protocol and the endpoint of one"),
        "{refused}"
    );
}
