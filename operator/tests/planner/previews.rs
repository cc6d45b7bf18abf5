//! What `sumu-operator plan` and `iam --stack` tell, as people and programs read it.

use insta::assert_snapshot;
use sumu_operator::desired::Desired;
use sumu_operator::explain::preview::{About, Preview, When, all_as_text};
use sumu_operator::explain::roles::Roles;
use sumu_operator::observed::Count;
use sumu_operator::stack::name::{OWNER_TAG, QueueId, TableId};

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, names, stack};
use crate::passes::{look_at, settle};

fn preview(cloud: &MemoryCloud, fixture: &Fixture, desired: &Desired, is_new: bool) -> Preview {
    let notes = vec!["the first of its notes".to_owned()];
    Preview::of(&fixture.stack, is_new, desired, &look_at(cloud, desired), notes)
}

fn settled(fixture: &Fixture) -> MemoryCloud {
    let cloud = MemoryCloud::new(fixture, Pace::INSTANT);
    settle(&cloud, &fixture.desired);
    cloud
}

fn deleted(fixture: &Fixture) -> Desired {
    Desired::of_deleted(&fixture.stack, fixture.owner.clone(), names(&fixture.owner))
}

fn put_messages(cloud: &MemoryCloud, count: &str) {
    cloud.change(|world| {
        let queue = world.held.queues.get_mut(&QueueId::Messages).unwrap();
        queue.attributes.insert("ApproximateNumberOfMessages".into(), count.into());
    });
}

#[test]
fn of_a_new_stack_everything_is_told_with_names_that_wait_for_its_uid() {
    let fixture = stack("");
    let preview = preview(&MemoryCloud::new(&fixture, Pace::INSTANT), &fixture, &fixture.desired, true);
    assert!(!preview.is_settled && !preview.loses_data);
    assert_snapshot!(preview);
}

#[test]
fn a_settled_stack_changes_nothing() {
    let fixture = stack("");
    let preview = preview(&settled(&fixture), &fixture, &fixture.desired, false);
    assert!(preview.is_settled);
    assert_snapshot!(preview);
}

#[test]
fn an_edit_is_told_as_json_for_programs() {
    let fixture = stack("{pusher: {maxConcurrency: 99}, functions: {logRetentionDays: 3}, tags: {cost: null}}");
    let preview = preview(&settled(&stack("")), &fixture, &fixture.desired, false);
    assert_snapshot!(serde_json::to_string_pretty(&preview).unwrap());
}

#[test]
fn a_deletion_names_what_is_lost_with_it() {
    let fixture = stack("");
    let cloud = settled(&fixture);
    put_messages(&cloud, "3");
    let preview = preview(&cloud, &fixture, &deleted(&fixture), false);
    assert!(preview.loses_data && preview.about == About::Deletion);
    assert_snapshot!(preview);
}

#[test]
fn a_deletion_that_waits_tells_for_whom_and_what_comes_then() {
    let fixture = stack("deletion: {whenInUse: Wait}");
    let cloud = settled(&fixture);
    put_messages(&cloud, "1");
    cloud.change(|world| world.connections = Count::Exactly(2));
    let preview = preview(&cloud, &fixture, &deleted(&fixture), false);
    let waits: Vec<&str> = preview.waits.iter().map(|wait| wait.message.as_str()).collect();
    assert_eq!(waits, ["connections: 2 live", "queue messages: 1 message"]);
    assert!(preview.waits.iter().all(|wait| wait.needs_a_person));
    assert!(preview.steps.iter().all(|line| line.when == When::Later), "nothing comes before they are done");
    let mut losses: Vec<&str> =
        preview.steps.iter().filter(|line| line.data_loss.is_some()).map(|line| line.text.as_str()).collect();
    losses.sort_unstable();
    let logs = ["authorizer", "pusher", "routes", "watchdog"].map(|function| format!("- log group {function}"));
    assert_eq!(losses, [&logs[..], &["- table connections".into(), "- table presence".into()]].concat(), "no message");
}

#[test]
fn a_retained_stack_loses_its_tags_and_nothing_else() {
    let fixture = stack("deletionPolicy: Retain");
    let preview = preview(&settled(&fixture), &fixture, &deleted(&fixture), false);
    assert!(!preview.loses_data);
    let other = preview.steps.iter().find(|line| line.verb != "change" || !line.text.ends_with("our tags off"));
    assert_eq!(other, None);
    assert!(preview.notes[1].starts_with("deletionPolicy is Retain"), "{:?}", preview.notes);
}

#[test]
fn what_is_in_the_way_and_not_the_stacks_is_told_with_the_remedy() {
    let fixture = stack("");
    let theirs = settled(&fixture).held().tables[&TableId::Connections].clone();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        let mut theirs = theirs;
        theirs.tags.insert(OWNER_TAG.into(), "the UID of another stack".into());
        world.held.tables.insert(TableId::Connections, theirs);
    });
    let preview = preview(&cloud, &fixture, &fixture.desired, false);
    let waits: Vec<&str> =
        preview.waits.iter().filter(|wait| wait.needs_a_person).map(|wait| wait.message.as_str()).collect();
    let table = fixture.desired.names.table(TableId::Connections);
    let sentence = "exists but is not tagged as this stack's: delete or rename it, then this stack makes its own";
    assert_eq!(waits, [format!("table connections ({table}) {sentence}")]);
    assert!(preview.steps.iter().all(|line| !line.text.contains("table connections")), "it is touched");
    assert!(preview.steps.iter().any(|line| line.text.contains("+ function pusher")), "the rest is made");
}

#[test]
fn several_stacks_are_told_one_after_the_other_and_what_was_skipped_last() {
    let fixture = stack("");
    let preview = preview(&settled(&fixture), &fixture, &fixture.desired, false);
    let text = all_as_text(&[preview.clone(), preview], &["Namespace apps".into()]);
    assert_eq!(text.matches("Nothing would change.").count(), 2);
    assert!(text.ends_with("\nskipped: Namespace apps, which is no SumuStack\n"), "{text}");
}

#[test]
fn the_roles_of_a_stack_are_those_that_the_operator_writes() {
    let fixture = stack("presence: {gracePeriodSeconds: 30}");
    let cloud = settled(&fixture);
    let held = cloud.held();
    let told = Roles::of(&fixture.desired, held.api_id(), false, vec![]);
    assert_eq!(told.notes, [""; 0], "everything is known");
    assert_eq!(told.roles.len(), held.roles.len());
    for (function, found) in held.roles {
        let role = &told.roles[&function.to_string()];
        assert_eq!(role.role_name, fixture.desired.names.function(function));
        assert_eq!((&role.trust, role.policies.get("sumu")), (&found.trust, found.policy.as_ref()), "{function}");
    }
}

#[test]
fn the_roles_of_a_new_stack_have_wildcards_for_what_is_not_known() {
    let fixture = stack("");
    let told = Roles::of(&fixture.desired, None, true, vec![]);
    assert_snapshot!(serde_json::to_string_pretty(&told).unwrap());
}
