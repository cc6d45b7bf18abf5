//! What carries another owner's tag, or none, is never touched, and a plan that it stands in the way of says so.

use std::collections::BTreeSet;

use sumu_contract::Function;
use sumu_operator::observed::{ApiState, Observed, ResourceId, SourceState};
use sumu_operator::stack::name::{LogGroupId, OWNER_TAG, QueueId, TableId, TopicId};

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, stack};
use crate::laws::{assert_whole, settled};
use crate::passes::{empty, look_at, pass, settle};

/// What makes a stack have everything that it can have.
const EVERYTHING: &str = "{presence: {gracePeriodSeconds: 30}, gateway: {accessLogs: {}}, messages: {subscriptions: [
    {protocol: sqs, endpoint: 'arn:aws:sqs:eu-west-3:210987654321:orders'}]}}";

/// Everything that has a name of ours.
fn named() -> Vec<ResourceId> {
    let tables = TableId::ALL.iter().copied().map(ResourceId::Table);
    let queues = QueueId::ALL.iter().copied().map(ResourceId::Queue);
    let topics = TopicId::ALL.iter().copied().map(ResourceId::Topic);
    let log_groups = LogGroupId::all().map(ResourceId::LogGroup);
    let functions =
        Function::ALL.into_iter().flat_map(|function| [ResourceId::Role(function), ResourceId::Function(function)]);
    tables.chain(queues).chain(topics).chain(log_groups).chain(functions).collect()
}

/// The thing as it is in `from`, and nothing else.
fn only(id: ResourceId, from: &Observed) -> Observed {
    fn one<K: Ord + Copy, V: Clone>(
        key: K,
        all: &std::collections::BTreeMap<K, V>,
    ) -> std::collections::BTreeMap<K, V> {
        all.get(&key).map(|value| (key, value.clone())).into_iter().collect()
    }
    let mut only = Observed::default();
    match id {
        ResourceId::Table(id) => only.tables = one(id, &from.tables),
        ResourceId::Queue(id) => only.queues = one(id, &from.queues),
        ResourceId::Topic(id) => only.topics = one(id, &from.topics),
        ResourceId::LogGroup(id) => only.log_groups = one(id, &from.log_groups),
        ResourceId::Role(id) => only.roles = one(id, &from.roles),
        ResourceId::Function(id) => only.functions = one(id, &from.functions),
    }
    only
}

/// Gives a thing to somebody else.
fn give_away(id: ResourceId, held: &mut Observed) {
    let tags = match id {
        ResourceId::Table(id) => &mut held.tables.get_mut(&id).unwrap().tags,
        ResourceId::Queue(id) => &mut held.queues.get_mut(&id).unwrap().tags,
        ResourceId::Topic(id) => &mut held.topics.get_mut(&id).unwrap().tags,
        ResourceId::LogGroup(id) => &mut held.log_groups.get_mut(&id).unwrap().tags,
        ResourceId::Role(id) => &mut held.roles.get_mut(&id).unwrap().tags,
        ResourceId::Function(id) => &mut held.functions.get_mut(&id).unwrap().tags,
    };
    tags.insert(OWNER_TAG.into(), "the UID of another stack".into());
}

/// A cloud with nothing in it but somebody else's thing under a name of ours.
fn with_foreign(id: ResourceId, fixture: &Fixture) -> MemoryCloud {
    let mut held = only(id, &settled(fixture, Pace::INSTANT).held());
    give_away(id, &mut held);
    let cloud = MemoryCloud::new(fixture, Pace::INSTANT);
    cloud.change(|world| world.held = held);
    cloud
}

#[test]
fn a_foreign_resource_under_a_name_of_ours_is_named_and_never_touched() {
    let fixture = stack(EVERYTHING);
    for id in named() {
        let cloud = with_foreign(id, &fixture);
        let before = only(id, &cloud.held());
        for _ in 0..12 {
            pass(&cloud, &fixture.desired);
        }
        assert_eq!(only(id, &cloud.held()), before, "{id}");
        let plan = look_at(&cloud, &fixture.desired).plan;
        assert!(plan.steps.is_empty(), "all that does not need it is made: {plan}");
        let complaint = format!("… {id} (");
        assert!(plan.to_string().contains(&complaint), "the plan does not name {id}:\n{plan}");
        assert!(plan.waits.iter().any(|wait| !wait.reason.ends_by_itself()), "{plan}");
    }
}

#[test]
fn a_stack_goes_on_by_itself_once_the_foreign_resource_is_gone() {
    let fixture = stack(EVERYTHING);
    for id in named() {
        let cloud = with_foreign(id, &fixture);
        for _ in 0..12 {
            pass(&cloud, &fixture.desired);
        }
        cloud.change(|world| match id {
            ResourceId::Table(id) => drop(world.held.tables.remove(&id)),
            ResourceId::Queue(id) => drop(world.held.queues.remove(&id)),
            ResourceId::Topic(id) => drop(world.held.topics.remove(&id)),
            ResourceId::LogGroup(id) => drop(world.held.log_groups.remove(&id)),
            ResourceId::Role(id) => drop(world.held.roles.remove(&id)),
            ResourceId::Function(id) => drop(world.held.functions.remove(&id)),
        });
        settle(&cloud, &fixture.desired);
        assert_whole(&cloud, &fixture);
    }
}

#[test]
fn deleting_a_stack_leaves_what_was_never_its_own() {
    let fixture = stack(EVERYTHING);
    for id in named() {
        let cloud = with_foreign(id, &fixture);
        for _ in 0..12 {
            pass(&cloud, &fixture.desired);
        }
        let before = only(id, &cloud.held());
        empty(&cloud, &fixture.nothing);
        assert_eq!(cloud.held(), before, "{id}");
    }
}

#[test]
fn a_resource_that_lost_its_tag_is_no_longer_ours() {
    let fixture = stack(EVERYTHING);
    for id in named() {
        let cloud = settled(&fixture, Pace::INSTANT);
        cloud.change(|world| give_away(id, &mut world.held));
        let before = only(id, &cloud.held());
        for _ in 0..12 {
            pass(&cloud, &fixture.desired);
        }
        assert_eq!(only(id, &cloud.held()), before, "{id}");
        assert!(look_at(&cloud, &fixture.desired).plan.to_string().contains(&format!("… {id} (")));
    }
}

#[test]
fn an_api_of_our_name_without_our_tag_is_somebody_elses() {
    let fixture = stack(EVERYTHING);
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    let theirs = ApiState { id: "theirs".into(), name: fixture.desired.names.prefix().into(), ..ApiState::default() };
    cloud.change(|world| world.held.apis.push(theirs.clone()));
    settle(&cloud, &fixture.desired);
    assert_eq!(cloud.held().apis.len(), 2);
    empty(&cloud, &fixture.nothing);
    assert_eq!(cloud.held().apis, [theirs]);
}

/// Something of somebody else's that feeds our pusher.
fn feed(cloud: &MemoryCloud) {
    cloud.change(|world| {
        let theirs = SourceState {
            uuid: "theirs".into(),
            function: Function::Pusher,
            source_arn: "arn:of-another-queue".into(),
            state: "Enabled".into(),
            batch_size: 1,
            concurrency_max: None,
            bisects: false,
            giving_up: None,
            reports_item_failures: false,
        };
        world.held.sources.push(theirs);
    });
}

#[test]
fn what_somebody_else_feeds_to_a_function_is_left_alone_and_stops_its_deletion() {
    let fixture = stack(EVERYTHING);
    for gone in 0..3 {
        let cloud = settled(&fixture, Pace::INSTANT);
        feed(&cloud);
        let calls = cloud.calls();
        settle(&cloud, &fixture.desired);
        assert_eq!(cloud.calls(), calls);

        if gone > 0 {
            cloud.change(|world| world.held.functions.remove(&Function::Pusher));
        }
        if gone > 1 {
            cloud.change(|world| world.held.roles.remove(&Function::Pusher));
        }
        for _ in 0..12 {
            pass(&cloud, &fixture.nothing);
        }
        let plan = look_at(&cloud, &fixture.nothing).plan;
        let complaint = plan.waits.iter().find(|wait| !wait.reason.ends_by_itself()).expect("somebody must help");
        assert!(complaint.reason.to_string().contains("event source arn:of-another-queue of"), "{plan}");
        cloud.change(|world| world.held.sources.retain(|source| source.uuid != "theirs"));
        empty(&cloud, &fixture.nothing);
    }
}

#[test]
fn what_users_let_others_do_with_a_queue_stays() {
    let fixture = stack(EVERYTHING);
    let cloud = settled(&fixture, Pace::INSTANT);
    let theirs = r#"{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"arn:x"},"Action":"sqs:ReceiveMessage"}"#;
    cloud.change(|world| {
        for queue in world.held.queues.values_mut() {
            let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{theirs}]}}"#);
            queue.attributes.insert("Policy".into(), policy);
        }
    });
    let calls = cloud.calls();
    settle(&cloud, &fixture.desired);
    // The queues with a statement of ours: they have both now.
    let ours = [QueueId::NotificationsDeadLetters, QueueId::SubscriptionsDeadLetters];
    assert_eq!(cloud.lines_since(calls), ours.map(|id| format!("~ queue {id} attributes Policy")));
    for (id, queue) in cloud.held().queues {
        let policy = &queue.attributes["Policy"];
        assert!(policy.contains("Theirs"), "{id}: {policy}");
        assert_eq!(policy.contains("SnsRedrive"), ours.contains(&id), "{id}: {policy}");
    }
}

#[test]
fn every_named_resource_was_tried() {
    // The list above must grow with the kinds of resources.
    let held = settled(&stack(EVERYTHING), Pace::INSTANT).held();
    let counts = [held.tables.len(), held.queues.len(), held.topics.len(), held.log_groups.len(), held.roles.len()];
    let count = counts.iter().sum::<usize>() + held.functions.len();
    assert_eq!(named().into_iter().collect::<BTreeSet<_>>().len(), count);
}

#[test]
fn a_policy_that_names_somebody_who_is_gone_is_told_and_not_written() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    let id = QueueId::NotificationsDeadLetters;
    let ours = cloud.held().queues[&id].attributes["Policy"].clone();
    let gone = r#"{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"AROAEXAMPLEID12345678"},"Action":"sqs:*"}"#;
    let policy = |statements: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    cloud.change(|world| {
        let queue = world.held.queues.get_mut(&id).unwrap();
        queue.attributes.insert("Policy".into(), policy(gone));
        queue.attributes.insert("VisibilityTimeout".into(), "7".into());
    });
    pass(&cloud, &fixture.desired);
    let told = pass(&cloud, &fixture.desired);
    assert!(told.plan.steps.is_empty() && told.failures.is_empty(), "{}", told.plan);
    assert!(told.plan.to_string().contains("names AROAEXAMPLEID12345678"), "{}", told.plan);
    assert_eq!(cloud.held().queues[&id].attributes["VisibilityTimeout"], "30", "the rest is put right");

    // One that is there beside ours is nobody's business.
    let statement = &ours[ours.find('[').unwrap() + 1..ours.rfind(']').unwrap()];
    cloud.change(|world| {
        let queue = world.held.queues.get_mut(&id).unwrap();
        queue.attributes.insert("Policy".into(), policy(&format!("{statement},{gone}")));
    });
    assert_eq!(look_at(&cloud, &fixture.desired).plan.to_string(), "nothing to do\n");
    cloud.change(|world| drop(world.held.queues.get_mut(&id).unwrap().attributes.remove("Policy")));
    settle(&cloud, &fixture.desired);
    assert_whole(&cloud, &fixture);
}
