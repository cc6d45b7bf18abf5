//! `deletion.whenInUse: Wait`: nothing is deleted while somebody uses the stack, and everything when nobody does.

use sumu_operator::desired::Desired;
use sumu_operator::observed::Count;
use sumu_operator::stack::name::QueueId;
use sumu_operator::sumu_stack::WhenInUse;

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, names, stack};
use crate::laws::settled;
use crate::passes::{empty, look_at, pass};

/// What the object asks for once it is deleted and may be in use.
fn waiting(fixture: &Fixture) -> Desired {
    let mut object = fixture.stack.clone();
    object.spec.deletion.when_in_use = WhenInUse::Wait;
    Desired::of_deleted(&object, fixture.owner.clone(), names(&fixture.owner))
}

fn put(cloud: &MemoryCloud, id: QueueId, kind: &str, count: &str) {
    cloud.change(|world| {
        let queue = world.held.queues.get_mut(&id).unwrap();
        queue.attributes.insert(format!("ApproximateNumberOfMessages{kind}"), count.into());
    });
}

#[test]
fn a_stack_that_nobody_uses_is_deleted_as_any_other() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = stack("");
        let cloud = settled(&fixture, pace);
        empty(&cloud, &waiting(&fixture));
        assert!(cloud.held().is_nothing());
    }
}

#[test]
fn connections_and_messages_of_any_kind_keep_everything_and_are_named_with_their_numbers() {
    let fixture = stack(
        "{presence: {gracePeriodSeconds: 30}, messages: {subscriptions: [
            {protocol: sqs, endpoint: 'arn:aws:sqs:eu-west-3:210987654321:orders'}]}}",
    );
    let whole = settled(&fixture, Pace::INSTANT);
    let blocked = |cloud: &MemoryCloud, line: &str| {
        let before = (cloud.held(), cloud.calls());
        let plan = pass(cloud, &waiting(&fixture)).plan;
        assert_eq!(plan.to_string(), format!("… {line}\n"));
        assert_eq!((cloud.held(), cloud.calls()), before);
        assert!(plan.waits.iter().all(|wait| !wait.reason.ends_by_itself()));
    };
    for (count, line) in [(Count::Exactly(3), "3 live"), (Count::AtLeast(1000), "at least 1000 live")] {
        let cloud = whole.copy();
        cloud.change(|world| world.connections = count);
        blocked(&cloud, &format!("connections: {line}"));
        cloud.change(|world| world.connections = Count::default());
        empty(&cloud, &waiting(&fixture));
    }
    for id in QueueId::ALL {
        for kind in ["", "Delayed", "NotVisible"] {
            let cloud = whole.copy();
            put(&cloud, *id, kind, "12");
            blocked(&cloud, &format!("queue {id}: 12 messages"));
            put(&cloud, *id, kind, "0");
            empty(&cloud, &waiting(&fixture));
        }
    }
}

#[test]
fn a_stack_in_use_is_deleted_when_nobody_has_asked_to_wait() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    cloud.change(|world| world.connections = Count::Exactly(3));
    put(&cloud, QueueId::Messages, "", "12");
    let object = Desired::of_deleted(&fixture.stack, fixture.owner.clone(), names(&fixture.owner));
    assert_eq!(object, fixture.nothing, "the default");
    empty(&cloud, &object);
}

#[test]
fn rows_of_connections_that_the_api_took_with_it_hold_up_nothing() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::SLOW);
    let waiting = waiting(&fixture);
    pass(&cloud, &waiting);
    cloud.change(|world| {
        assert!(world.held.apis.is_empty(), "it goes first");
        world.connections = Count::Exactly(2);
    });
    assert!(!look_at(&cloud, &waiting).plan.to_string().contains("live"));
    empty(&cloud, &waiting);
}
