//! An object that adopts has the stack of the one that is gone, as if it were that one.

use sumu_operator::observed::Observed;
use sumu_operator::stack::Invalid;
use sumu_operator::stack::name::OWNER_TAG;
use sumu_operator::status::adoption::mistaken;

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, restored, stack};
use crate::laws::{assert_whole, settled};
use crate::passes::{empty, look_at, settle};

const ADOPTS: &str = "adoption: {uid: 5e1d3c1a-0000-4000-8000-000000000001}";
const ADOPTS_BY_ITS_NAME: &str =
    "adoption: {uid: 5e1d3c1a-0000-4000-8000-000000000001, namespace: team-blue, name: chat}";
const ELSEWHERE: &str = "{namespace: team-green, name: talk}";

/// Every part that a stack can have.
const EVERYTHING: &str = "
    presence: {source: Both, gracePeriodSeconds: 30}
    gateway:
      accessLogs: {retentionDays: 7}
      customDomain:
        domainName: live.example.com
        certificateArn: arn:aws:acm:eu-west-3:210987654321:certificate/00000000-0000-0000-0000-000000000000
        hostedZoneId: ZONE1
    messages:
      subscriptions: [{protocol: sqs, endpoint: 'arn:aws:sqs:eu-west-3:210987654321:chat'}]
      consumers: [{functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:chat'}]
    connections: {pointInTimeRecovery: true}
    ";

/// The object that is gone, and objects in other clusters that adopt its stack.
fn families() -> Vec<(Fixture, Fixture)> {
    let of = |changes: &str| {
        let with = |adoption: &str| format!("{changes}\n{adoption}");
        let heir = |metadata: &str, adoption: &str| restored(metadata, &with(adoption));
        [(stack(changes), heir("{}", ADOPTS)), (stack(changes), heir(ELSEWHERE, ADOPTS_BY_ITS_NAME))]
    };
    of("stageName: prod").into_iter().chain(of(&EVERYTHING.replace("\n    ", "\n"))).collect()
}

fn refusal(heir: &Fixture, observed: &Observed) -> Option<String> {
    mistaken(&heir.owner, &heir.desired.names, observed).map(|Invalid(sentence)| sentence)
}

#[test]
fn an_object_that_adopts_finds_everything_in_place_whatever_it_is_called_now() {
    for (gone, heir) in families() {
        let cloud = settled(&gone, Pace::SLOW);
        let look = look_at(&cloud, &heir.desired);
        assert_eq!(look.plan.to_string(), "nothing to do\n");
        assert_eq!(refusal(&heir, &look.observed), None);
    }
}

#[test]
fn deleting_an_object_that_has_adopted_leaves_nothing_of_the_stack() {
    for (gone, heir) in families() {
        let cloud = settled(&gone, Pace::SLOW);
        empty(&cloud, &heir.nothing);
        assert!(cloud.held().is_nothing(), "left: {:?}", cloud.held());
    }
}

#[test]
fn what_is_missing_of_an_adopted_stack_is_made_and_an_edit_reaches_it() {
    let heir = restored("{}", &format!("{ADOPTS}\nfunctions: {{memoryMiB: 512}}"));
    let cloud = settled(&stack(""), Pace::INSTANT);
    cloud.change(|world| world.held.topics.clear());
    assert_eq!(refusal(&heir, &look_at(&cloud, &heir.desired).observed), None);
    settle(&cloud, &heir.desired);
    assert_whole(&cloud, &heir);
}

#[test]
fn an_object_that_adopts_nothing_has_other_names_than_the_one_that_is_gone() {
    assert_ne!(restored("{}", "").desired.names.prefix(), stack("").desired.names.prefix());
}

#[test]
fn an_object_of_another_name_that_does_not_say_the_old_one_is_told_which_it_is() {
    let cloud = settled(&stack(""), Pace::INSTANT);
    // What has no name of its own is found by its owner; nothing is there under the names that would be its.
    let seen = Observed { apis: cloud.held().apis, ..Observed::default() };
    let sentence = refusal(&restored(ELSEWHERE, ADOPTS), &seen).unwrap();
    assert!(sentence.starts_with("spec.adoption.uid is the UID of the stack team-blue/chat, and"), "{sentence}");
}

#[test]
fn what_is_not_there_is_not_adopted() {
    let heir = restored("{}", ADOPTS);
    let nothing = refusal(&heir, &Observed::default()).unwrap();
    assert!(nothing.contains("account 210987654321 in eu-west-3 has nothing of it"), "{nothing}");
    assert!(nothing.contains(heir.desired.names.prefix()), "{nothing}");

    let cloud = settled(&stack(""), Pace::INSTANT);
    let elsewhere = Observed { roles: cloud.held().roles, ..Observed::default() };
    assert!(refusal(&heir, &elsewhere).is_some(), "roles alone, as another region shows them");
}

#[test]
fn what_has_lost_its_tags_is_not_adopted() {
    let heir = restored("{}", ADOPTS);
    let cloud: MemoryCloud = settled(&stack(""), Pace::INSTANT);
    cloud.change(|world| {
        let held = &mut world.held;
        held.tables.values_mut().for_each(|table| drop(table.tags.remove(OWNER_TAG)));
        held.queues.values_mut().for_each(|queue| drop(queue.tags.remove(OWNER_TAG)));
        held.topics.values_mut().for_each(|topic| drop(topic.tags.remove(OWNER_TAG)));
        held.log_groups.values_mut().for_each(|group| drop(group.tags.remove(OWNER_TAG)));
        held.roles.values_mut().for_each(|role| drop(role.tags.remove(OWNER_TAG)));
        held.functions.values_mut().for_each(|function| drop(function.tags.remove(OWNER_TAG)));
        held.apis.iter_mut().for_each(|api| drop(api.tags.remove(OWNER_TAG)));
    });
    let sentence = refusal(&heir, &look_at(&cloud, &heir.desired).observed).unwrap();
    assert!(sentence.contains("has table connections under the stack's names"), "{sentence}");
    assert!(sentence.contains("deletionPolicy Retain"), "{sentence}");
}
