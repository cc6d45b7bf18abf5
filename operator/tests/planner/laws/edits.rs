//! Every field of the spec leads to the calls that it takes, and to a settled stack.

use sumu_operator::stack::name::Tags;
use sumu_operator::stack::tags::noted;

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, stack, with_new_code};
use crate::laws::{assert_whole, settled};
use crate::passes::settle;

/// Edits of the spec, each with its calls.
pub(super) const EDITS: &[(&str, &[&str])] = &[
    (
        "authorizer: {issuers: [{jwksUri: 'https://other.example/keys', issuer: them, audiences: [us]}]}",
        &["~ function authorizer configuration"],
    ),
    ("authorizer: {verifyExpiration: false}", &["~ function authorizer configuration"]),
    ("authorizer: {leewaySeconds: 0}", &["~ function authorizer configuration"]),
    ("authorizer: {principalClaim: email}", &["~ function authorizer configuration"]),
    (
        "authorizer: {tokenSources: [Header]}",
        &["~ function authorizer configuration", "~ authorizer", "+ deployment", "~ stage prod", "- deployment"],
    ),
    ("connections: {ttlSeconds: 9000}", &["~ function routes configuration"]),
    ("connections: {deletionProtection: true}", &["~ table connections deletion protection on"]),
    ("connections: {deletionProtection: false, pointInTimeRecovery: false}", &[]),
    ("connections: {pointInTimeRecovery: true}", &["~ table connections point-in-time recovery on"]),
    ("gateway: {throttling: {rateLimit: 11}}", &["~ stage prod"]),
    ("gateway: {throttling: {burstLimit: 12}}", &["~ stage prod"]),
    ("messages: {visibilityTimeoutSeconds: 240}", &["~ queue messages attributes VisibilityTimeout"]),
    ("presence: {source: Both}", &["~ function watchdog configuration"]),
    ("pusher: {emptyUsers: Reject}", &["~ function pusher configuration"]),
    (
        "pusher: {maxConcurrency: 99}",
        &[
            "~ function pusher configuration",
            "~ event source notifications queue to pusher",
            "~ event source pushes queue to pusher",
        ],
    ),
    ("pusher: {maxAttempts: 9}", &["~ function pusher configuration"]),
    (
        "functions: {package: {s3: {bucket: code, prefix: v2/, codeSha256: {authorizer: a, routes: r, pusher: p, watchdog: w}}}}",
        &["~ function authorizer code", "~ function routes code", "~ function pusher code", "~ function watchdog code"],
    ),
    (
        "functions: {architecture: arm64}",
        &["~ function authorizer code", "~ function routes code", "~ function pusher code", "~ function watchdog code"],
    ),
    (
        "functions: {memoryMiB: 512}",
        &[
            "~ function authorizer configuration",
            "~ function routes configuration",
            "~ function pusher configuration",
            "~ function watchdog configuration",
        ],
    ),
    (
        "functions: {logRetentionDays: 30}",
        &[
            "~ log group authorizer retention 30 days",
            "~ log group routes retention 30 days",
            "~ log group pusher retention 30 days",
            "~ log group watchdog retention 30 days",
        ],
    ),
    ("pusher: {maxRate: 10}", &["~ function pusher configuration"]),
    ("export: {configMapName: addresses}", &[]),
    ("suspend: true", &[]),
    ("deletionPolicy: Retain", &[]),
];

#[test]
fn an_edit_makes_exactly_its_calls_and_so_does_taking_it_back() {
    let before = stack("");
    let whole = settled(&before, Pace::INSTANT);
    for (edit, expected) in EDITS {
        let after = stack(edit);
        let cloud = whole.copy();
        let calls = cloud.calls();
        settle(&cloud, &after.desired);
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(cloud.lines_since(calls), expected, "{edit}");
        assert_whole(&cloud, &after);

        let calls = cloud.calls();
        settle(&cloud, &before.desired);
        let there: Vec<String> = expected.iter().filter_map(|line| back(line)).collect();
        assert_eq!(cloud.lines_since(calls), there, "taking back {edit}");
        assert_whole(&cloud, &before);
    }
}

/// The call that takes a call back. What the spec says nothing of stays as it is.
fn back(line: &str) -> Option<String> {
    let stays = line.ends_with("protection on") || line.ends_with("recovery on");
    (!stays).then(|| line.replace("30 days", "14 days"))
}

#[test]
fn an_edit_in_the_middle_of_the_creation_settles_too() {
    let before = stack("");
    for (edit, _) in EDITS {
        for passes in [1, 4, 8] {
            let cloud = MemoryCloud::new(&before, Pace::SLOW);
            for _ in 0..passes {
                crate::passes::pass(&cloud, &before.desired);
            }
            let after = stack(edit);
            settle(&cloud, &after.desired);
            assert_whole(&cloud, &after);
        }
    }
}

#[test]
fn new_code_of_the_operator_reaches_every_function_and_nothing_else() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::SLOW);
    let calls = cloud.calls();
    settle(&cloud, &with_new_code(&fixture.stack));
    assert_eq!(
        cloud.lines_since(calls),
        ["~ function authorizer code", "~ function pusher code", "~ function routes code", "~ function watchdog code"]
    );
}

/// The tags of everything that shows its tags.
fn tags(cloud: &MemoryCloud) -> Vec<(&'static str, Tags)> {
    let held = cloud.held();
    let tables = held.tables.into_values().map(|found| ("table", found.tags));
    let queues = held.queues.into_values().map(|found| ("queue", found.tags));
    let topics = held.topics.into_values().map(|found| ("topic", found.tags));
    let groups = held.log_groups.into_values().map(|found| ("log group", found.tags));
    let roles = held.roles.into_values().map(|found| ("role", found.tags));
    let functions = held.functions.into_values().map(|found| ("function", found.tags));
    let apis = held.apis.into_iter().map(|found| ("api", found.tags));
    tables.chain(queues).chain(topics).chain(groups).chain(roles).chain(functions).chain(apis).collect()
}

/// Somebody else tags everything.
fn tag_by_others(cloud: &MemoryCloud) {
    cloud.change(|world| {
        let theirs = |tags: &mut Tags| drop(tags.insert("theirs".into(), "1".into()));
        world.held.tables.values_mut().for_each(|found| theirs(&mut found.tags));
        world.held.queues.values_mut().for_each(|found| theirs(&mut found.tags));
        world.held.topics.values_mut().for_each(|found| theirs(&mut found.tags));
        world.held.log_groups.values_mut().for_each(|found| theirs(&mut found.tags));
        world.held.roles.values_mut().for_each(|found| theirs(&mut found.tags));
        world.held.functions.values_mut().for_each(|found| theirs(&mut found.tags));
        world.held.apis.iter_mut().for_each(|found| theirs(&mut found.tags));
    });
}

#[test]
fn tags_reach_everything_and_others_tags_are_left_alone() {
    let before = stack("");
    let cloud = settled(&before, Pace::SLOW);
    tag_by_others(&cloud);
    assert_whole(&cloud, &before);

    let after = stack("tags: {cost: c-43, owner: chat}");
    settle(&cloud, &after.desired);
    assert_whole(&cloud, &after);
    assert_tagged(&cloud, &after, &[("cost", "c-43"), ("owner", "chat")]);
}

#[test]
fn a_tag_that_leaves_the_spec_leaves_everything_and_others_tags_stay() {
    let before = stack("tags: {owner: chat, cost: c-42}");
    let cloud = settled(&before, Pace::SLOW);
    tag_by_others(&cloud);
    for (after, expected) in [("", &[("cost", "c-42")][..]), ("tags: {cost: null}", &[])] {
        let after = stack(after);
        settle(&cloud, &after.desired);
        assert_whole(&cloud, &after);
        assert_tagged(&cloud, &after, expected);
    }
}

/// Asserts that everything has these tags of the spec, ours, and somebody else's.
fn assert_tagged(cloud: &MemoryCloud, fixture: &Fixture, of_spec: &[(&str, &str)]) {
    let of_spec: Tags = of_spec.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut expected = fixture.owner.tags();
    expected.extend(noted(&of_spec));
    expected.extend(of_spec);
    for (what, tags) in cloud.change(|world| world.child_tags.clone()) {
        assert_eq!(tags, expected, "{what}");
    }
    expected.insert("theirs".into(), "1".into());
    for (what, tags) in tags(cloud) {
        assert_eq!(tags, expected, "{what}");
    }
}
