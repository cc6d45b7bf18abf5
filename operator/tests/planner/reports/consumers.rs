//! What is told of consumers.

use sumu_operator::cloud::Kind;
use sumu_operator::desired::consumers::{ACTIONS, role_policy};
use sumu_operator::plan::Part;
use sumu_operator::stack::name::QueueId;
use sumu_operator::sumu_stack::ConditionStatus::{False, True};

use super::{NOON, condition, ready, report_pass};
use crate::cloud::{MemoryCloud, Pace, World};
use crate::fixtures::stack;
use crate::laws::consumers::{CHAT, both, consumer, theirs};
use crate::passes::{pass, settle};

#[test]
fn consumers_have_a_condition_and_the_policy_that_their_roles_need_is_told() {
    let mut fixture = both();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    settle(&cloud, &fixture.desired);
    let desired = fixture.desired.clone();
    let status = report_pass(&mut fixture, &pass(&cloud, &desired), NOON);
    assert_eq!(ready(&status), (True, "Settled", "Everything is in place"));
    assert_eq!(condition(&status, Part::Consumers.as_str()).status, True);
    let policy = status.messages.unwrap().consumer_policy.unwrap();
    assert_eq!(policy, role_policy(&desired.names).text());
    assert!(ACTIONS.iter().all(|action| policy.contains(action)), "{policy}");
    assert!(policy.contains(&desired.names.queue_arn(QueueId::Messages)), "{policy}");
    assert_eq!(status.notifications.unwrap().consumer_policy, None);
}

#[test]
fn a_stack_without_consumers_tells_nothing_of_them() {
    let mut fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    settle(&cloud, &fixture.desired);
    let desired = fixture.desired.clone();
    let status = report_pass(&mut fixture, &pass(&cloud, &desired), NOON);
    assert!(status.conditions.iter().all(|condition| condition.type_ != "Consumers"));
    assert_eq!(status.messages.unwrap().consumer_policy, None);
}

/// What somebody may do.
type Change = fn(&mut World);

/// What may stand in the way, with the reason that is told and a part of its sentence.
const TROUBLES: &[(Change, &str, &str)] = &[
    (
        |world| {
            world.held.consumers.retain(|found| found.function_arn != CHAT);
            theirs(world, CHAT);
        },
        "OwnershipConflict",
        "lacks this stack's tag",
    ),
    (|world| refuse(world, Kind::Propagating), "Propagating", "in Lambda's words"),
    (|world| refuse(world, Kind::Rejected), "Rejected", "in Lambda's words"),
    (|world| consumer(world, CHAT).state = "Updating".into(), "Waiting", "consumer chat is Updating"),
    (|world| consumer(world, CHAT).batch_size = 1, "Progressing", "changing consumer chat"),
];

/// Lambda takes what feeds a function away, and feeds it no more.
fn refuse(world: &mut World, kind: Kind) {
    world.held.consumers.retain(|found| found.function_arn != CHAT);
    world.refused.insert(CHAT.into(), (kind, "in Lambda's words"));
}

#[test]
fn what_stands_in_the_way_of_a_consumer_is_told_by_its_condition_and_no_other() {
    for (change, reason, sentence) in TROUBLES {
        let mut fixture = both();
        let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
        settle(&cloud, &fixture.desired);
        cloud.change(change);
        let desired = fixture.desired.clone();
        let status = report_pass(&mut fixture, &pass(&cloud, &desired), NOON);
        let told = condition(&status, "Consumers");
        assert_eq!((told.status, told.reason.as_str()), (False, *reason), "{}", told.message);
        assert!(told.message.contains(sentence), "{}", told.message);
        for part in Part::ALL {
            assert_eq!(condition(&status, part.as_str()).status, True, "{reason}: {}", part.as_str());
        }
        let (state, of_ready, message) = ready(&status);
        assert_eq!((state, of_ready), (False, *reason));
        assert!(message.starts_with("Consumers: "), "{message}");
    }
}
