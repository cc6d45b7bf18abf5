//! Consumers: made from anywhere, mended, changed in place and taken away whole, and what is not ours is left alone.

use sumu_operator::cloud::Kind;
use sumu_operator::desired::Desired;
use sumu_operator::observed::ConsumerState;
use sumu_operator::plan::WaitReason;
use sumu_operator::stack::consumers::NOTE;
use sumu_operator::stack::name::{OWNER_TAG, QueueId};
use sumu_operator::sumu_stack::DeletionPolicy;

use crate::cloud::{Fault, MemoryCloud, Pace, World};
use crate::fixtures::{Fixture, manifest, names, pipeline, stack};
use crate::laws::{assert_whole, settled};
use crate::passes::{empty, look_at, pass, settle};

pub const CHAT: &str = "arn:aws:lambda:eu-west-3:210987654321:function:chat";
pub const AUDIT: &str = "arn:aws:lambda:eu-west-3:210987654321:function:audit:live";

/// Two functions, and of one an alias.
const BOTH: &str = "messages: {consumers: [\
    {functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:chat', batchSize: 25, \
     maximumBatchingWindowSeconds: 2, maximumConcurrency: 7}, \
    {functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:audit:live'}]}";
const ONE: &str = "messages: {consumers: [{functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:chat', \
     batchSize: 25, maximumBatchingWindowSeconds: 2, maximumConcurrency: 7}]}";

pub fn both() -> Fixture {
    stack(BOTH)
}

/// A consumer as AWS holds it.
pub fn consumer<'a>(world: &'a mut World, function: &str) -> &'a mut ConsumerState {
    world.held.consumers.iter_mut().find(|found| found.function_arn == function).unwrap()
}

/// Something of somebody else's that the messages queue feeds to a function.
pub fn theirs(world: &mut World, function: &str) {
    let (uuid, function_arn) = ("theirs".to_owned(), function.to_owned());
    let state = ConsumerState { uuid, function_arn, state: "Enabled".into(), batch_size: 1, ..Default::default() };
    world.held.consumers.push(state);
}

fn is_noted(cloud: &MemoryCloud) -> bool {
    cloud.held().queues.get(&QueueId::Messages).is_some_and(|queue| queue.tags.contains_key(NOTE))
}

/// Asserts that the functions that the spec names are fed as it says, each once, and no other.
fn assert_fed(cloud: &MemoryCloud, fixture: &Fixture) {
    assert_whole(cloud, fixture);
    let mut held = cloud.held().consumers;
    held.sort_by(|a, b| a.function_arn.cmp(&b.function_arn));
    assert!(held.iter().map(|found| &found.function_arn).eq(fixture.desired.consumers.keys()), "{held:?}");
    for (found, want) in held.iter().zip(fixture.desired.consumers.values()) {
        let has = (found.batch_size, found.window_seconds, found.concurrency_max);
        assert_eq!(has, (want.batch_size, want.window_seconds, want.concurrency_max));
        assert_eq!((found.state.as_str(), found.reports_item_failures), ("Enabled", true));
        assert!(fixture.owner.owns(&found.tags) && found.tags["cost"] == "c-42", "{found:?}");
    }
    assert_eq!(is_noted(cloud), !held.is_empty());
}

fn assert_gone(cloud: &MemoryCloud) {
    assert!(cloud.held().consumers.is_empty() && !is_noted(cloud), "left: {:?}", cloud.held().consumers);
}

#[test]
fn consumers_are_made_and_taken_away_with_their_stack() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = both();
        let cloud = settled(&fixture, pace);
        assert_fed(&cloud, &fixture);
        let calls = cloud.calls();
        for _ in 0..3 {
            assert_eq!(pass(&cloud, &fixture.desired).plan.to_string(), "nothing to do\n");
        }
        assert_eq!(cloud.calls(), calls);
        empty(&cloud, &fixture.nothing);
        assert_gone(&cloud);
        assert!(cloud.held().is_nothing());
    }
}

#[test]
fn a_stack_without_consumers_notes_none_and_looks_for_none() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    cloud.change(|world| theirs(world, CHAT));
    assert!(!is_noted(&cloud));
    assert!(look_at(&cloud, &fixture.desired).observed.consumers.is_empty(), "a look costs a read");
}

#[test]
fn no_call_fails_while_consumers_are_made_and_taken_away() {
    let fixture = both();
    let cloud = MemoryCloud::new(&fixture, Pace { role: 0, ..Pace::SLOW });
    settle(&cloud, &fixture.desired);
    empty(&cloud, &fixture.nothing);
    let failed: Vec<String> = cloud.change(|world| {
        world.calls.iter().filter_map(|call| call.answer.as_ref().err().map(ToString::to_string)).collect()
    });
    assert!(failed.is_empty(), "a plan holds only calls that can succeed: {failed:#?}");
}

#[test]
fn consumers_are_made_and_taken_away_whichever_call_fails() {
    let fixture = both();
    let whole = settled(&fixture, Pace::INSTANT);
    let made = whole.calls();
    let gone = whole.copy();
    empty(&gone, &fixture.nothing);
    for fault in [Fault::Throttled, Fault::AnswerLost, Fault::NotDone] {
        for at in 1..=made {
            let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
            cloud.change(|world| world.fault = Some((at, fault)));
            settle(&cloud, &fixture.desired);
            assert_fed(&cloud, &fixture);
        }
        for at in made + 1..=gone.calls() {
            let cloud = whole.copy();
            cloud.change(|world| world.fault = Some((at, fault)));
            empty(&cloud, &fixture.nothing);
            assert_gone(&cloud);
        }
    }
}

#[test]
fn consumers_are_taken_out_of_the_spec_whichever_call_fails() {
    let (with, without) = (both(), stack(""));
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let whole = settled(&with, pace);
        let clean = whole.copy();
        settle(&clean, &without.desired);
        let expected = ["- consumer audit:live", "- consumer chat", "~ queue messages tags off: sumu.live/consumers"];
        assert_eq!(clean.lines_since(whole.calls()), expected);
        for at in 1..=clean.calls() - whole.calls() {
            for fault in [Fault::Throttled, Fault::AnswerLost, Fault::NotDone] {
                let cloud = whole.copy();
                cloud.change(|world| world.fault = Some((whole.calls() + at, fault)));
                settle(&cloud, &without.desired);
                assert_whole(&cloud, &without);
                assert_gone(&cloud);
            }
        }
    }
}

#[test]
fn consumers_are_taken_away_from_the_middle_of_their_creation() {
    let fixture = both();
    for pace in [Pace::INSTANT, Pace::SLOW] {
        for passes in 0..25 {
            let cloud = MemoryCloud::new(&fixture, pace);
            for _ in 0..passes {
                pass(&cloud, &fixture.desired);
            }
            let without = cloud.copy();
            empty(&cloud, &fixture.nothing);
            assert_gone(&cloud);
            settle(&without, &stack("").desired);
            assert_gone(&without);
        }
    }
}

#[test]
fn reads_that_lag_behind_writes_make_no_consumer_twice() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = both();
        let cloud = MemoryCloud::new(&fixture, pace);
        cloud.change(|world| world.lags = true);
        settle(&cloud, &fixture.desired);
        settle(&cloud, &fixture.desired);
        cloud.change(|world| world.lags = false);
        assert_fed(&cloud, &fixture);
    }
}

/// Edits of a stack with both consumers, each with its calls.
const EDITS: &[(&str, &[&str])] = &[
    (ONE, &["- consumer audit:live"]),
    (
        "messages: {consumers: [{functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:chat', batchSize: 3}, \
         {functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:audit:live', maximumConcurrency: 2}]}",
        &["~ consumer audit:live", "~ consumer chat"],
    ),
    // Another alias is another function to Lambda.
    (
        "messages: {consumers: [{functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:chat', batchSize: 25, \
         maximumBatchingWindowSeconds: 2, maximumConcurrency: 7}, \
         {functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:audit:next'}]}",
        &["+ consumer audit:next", "- consumer audit:live"],
    ),
];

#[test]
fn an_edit_of_consumers_makes_exactly_its_calls() {
    for (edit, expected) in EDITS {
        for pace in [Pace::INSTANT, Pace::SLOW] {
            let (cloud, after) = (settled(&both(), pace), stack(edit));
            let calls = cloud.calls();
            settle(&cloud, &after.desired);
            assert_eq!(cloud.lines_since(calls), *expected, "{edit}");
            assert_fed(&cloud, &after);
            settle(&cloud, &both().desired);
            assert_fed(&cloud, &both());
        }
    }
}

#[test]
fn a_longer_timeout_is_given_to_the_queue_before_the_consumer_is_made() {
    let cloud = settled(&stack(""), Pace::INSTANT);
    let both = stack(&format!("{}, visibilityTimeoutSeconds: 900}}", BOTH.trim_end_matches('}')));
    assert_eq!(cloud.held().queues[&QueueId::Messages].attributes["VisibilityTimeout"], "180");
    let first = pass(&cloud, &both.desired).plan;
    assert!(!first.to_string().contains("+ consumer"), "{first}");
    settle(&cloud, &both.desired);
    assert_eq!(cloud.held().queues[&QueueId::Messages].attributes["VisibilityTimeout"], "900");
    assert_fed(&cloud, &both);
}

/// What somebody could change behind the operator's back, with the calls that put it right.
type Drift = (&'static str, fn(&mut World), &'static [&'static str]);

const DRIFTS: &[Drift] = &[
    (
        "a consumer is gone",
        |world| world.held.consumers.retain(|found| found.function_arn != CHAT),
        &["+ consumer chat"],
    ),
    ("all consumers are gone", |world| world.held.consumers.clear(), &["+ consumer audit:live", "+ consumer chat"]),
    ("it is switched off", |world| consumer(world, CHAT).state = "Disabled".into(), &["~ consumer chat"]),
    ("its batches", |world| consumer(world, AUDIT).batch_size = 1, &["~ consumer audit:live"]),
    ("its window", |world| consumer(world, AUDIT).window_seconds = 100, &["~ consumer audit:live"]),
    ("its limit is gone", |world| consumer(world, CHAT).concurrency_max = None, &["~ consumer chat"]),
    (
        "a limit where there is none",
        |world| consumer(world, AUDIT).concurrency_max = Some(2),
        &["~ consumer audit:live"],
    ),
    (
        "one bad message fails its batch",
        |world| consumer(world, CHAT).reports_item_failures = false,
        &["~ consumer chat"],
    ),
    (
        "a tag",
        |world| drop(consumer(world, CHAT).tags.insert("cost".into(), "c-0".into())),
        &["~ consumer chat tags cost"],
    ),
    (
        "the note is gone",
        |world| drop(world.held.queues.get_mut(&QueueId::Messages).unwrap().tags.remove(NOTE)),
        &["~ queue messages tags sumu.live/consumers"],
    ),
    (
        "the messages queue is gone",
        |world| drop(world.held.queues.remove(&QueueId::Messages)),
        &["+ queue messages (P-messages)"],
    ),
];

#[test]
fn every_drift_of_consumers_is_repaired_by_exactly_the_calls_that_it_takes() {
    let fixture = both();
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let whole = settled(&fixture, pace);
        for (name, change, repair) in DRIFTS {
            let cloud = whole.copy();
            let (before, calls) = (cloud.held(), cloud.calls());
            cloud.change(change);
            assert_ne!(cloud.held(), before, "{name}: nothing was changed");
            settle(&cloud, &fixture.desired);
            let mut expected = repair.to_vec();
            expected.sort_unstable();
            assert_eq!(cloud.lines_since(calls), expected, "{name}");
            assert_fed(&cloud, &fixture);
        }
    }
}

#[test]
fn a_stack_with_consumers_is_deleted_after_any_single_drift() {
    let fixture = both();
    let whole = settled(&fixture, Pace::SLOW);
    for (name, change, _) in DRIFTS {
        // Nothing else tells that there are any while the queue stands.
        if name.contains("the note") {
            continue;
        }
        let cloud = whole.copy();
        cloud.change(change);
        empty(&cloud, &fixture.nothing);
        assert_gone(&cloud);
    }
}

/// The reason that needs a person, once nothing else is left to do.
fn stuck(cloud: &MemoryCloud, desired: &Desired) -> WaitReason {
    (0..40).for_each(|_| drop(pass(cloud, desired)));
    let plan = look_at(cloud, desired).plan;
    assert!(plan.steps.is_empty(), "not stuck:\n{plan}");
    let reason = plan.waits.iter().find(|wait| !wait.reason.ends_by_itself());
    reason.unwrap_or_else(|| panic!("nobody is asked:\n{plan}")).reason.clone()
}

#[test]
fn what_somebody_else_feeds_from_the_queue_stays_and_stops_nothing() {
    let fixture = both();
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let cloud = settled(&fixture, pace);
        cloud.change(|world| theirs(world, "arn:aws:lambda:eu-west-3:210987654321:function:other"));
        let calls = cloud.calls();
        settle(&cloud, &fixture.desired);
        assert_eq!(cloud.calls(), calls);
        settle(&cloud, &stack("").desired);
        assert_eq!(cloud.held().consumers.len(), 1, "only theirs is left");
        settle(&cloud, &fixture.desired);
        empty(&cloud, &fixture.nothing);
        assert_eq!(cloud.held().consumers.len(), 1, "only theirs is left");
    }
}

#[test]
fn a_function_that_somebody_else_feeds_is_told_with_the_id_and_the_others_are_fed() {
    let fixture = both();
    let cloud = MemoryCloud::new(&fixture, Pace::SLOW);
    cloud.change(|world| theirs(world, CHAT));
    let reason = stuck(&cloud, &fixture.desired);
    assert!(matches!(reason, WaitReason::Conflict(_)), "{reason}");
    let told = reason.to_string();
    assert!(told.starts_with("consumer chat has an event source") && told.contains("already, theirs, which"), "{told}");
    assert!(told.contains("delete it and the stack makes its own, or take the function out of"), "{told}");
    let held = cloud.held().consumers;
    assert_eq!(held.len(), 2, "audit is fed: {held:?}");
    assert_eq!(held.iter().find(|found| found.uuid == "theirs").unwrap().batch_size, 1, "theirs is as it was");
    cloud.change(|world| world.held.consumers.retain(|found| found.uuid != "theirs"));
    settle(&cloud, &fixture.desired);
    assert_fed(&cloud, &fixture);
}

#[test]
fn a_consumer_that_has_lost_our_tag_is_somebody_elses() {
    let fixture = both();
    let cloud = settled(&fixture, Pace::INSTANT);
    cloud.change(|world| drop(consumer(world, CHAT).tags.remove(OWNER_TAG)));
    let reason = stuck(&cloud, &fixture.desired);
    assert!(matches!(reason, WaitReason::Conflict(_)), "{reason}");
    empty(&cloud, &fixture.nothing);
    let left = cloud.held().consumers;
    assert!(left.len() == 1 && left[0].function_arn == CHAT, "{left:?}");
}

#[test]
fn a_function_that_lambda_refuses_holds_up_neither_the_others_nor_the_stack() {
    let fixture = both();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        world.refused.insert(AUDIT.into(), (Kind::Propagating, "the role does not have permissions"));
    });
    (0..20).for_each(|_| drop(pass(&cloud, &fixture.desired)));
    let held = cloud.held();
    assert!(held.consumers.len() == 1 && held.consumers[0].function_arn == CHAT, "{:?}", held.consumers);
    assert_eq!(held.apis[0].stages.len(), 1, "clients can connect");
    assert_eq!(look_at(&cloud, &fixture.desired).plan.to_string(), "+ consumer audit:live\n");
    cloud.change(|world| world.refused.clear());
    settle(&cloud, &fixture.desired);
    assert_fed(&cloud, &fixture);
}

#[test]
fn a_stack_with_a_function_that_lambda_refuses_is_deleted() {
    let fixture = both();
    let cloud = settled(&fixture, Pace::SLOW);
    cloud.change(|world| {
        for function in [CHAT, AUDIT] {
            world.refused.insert(function.into(), (Kind::Rejected, "Function does not exist"));
        }
    });
    empty(&cloud, &fixture.nothing);
    assert_gone(&cloud);
}

#[test]
fn a_function_of_another_account_or_of_the_stack_itself_is_refused_with_the_remedy() {
    let own = stack("").desired.names.function(sumu_contract::Function::Pusher);
    for (arn, sentences) in [
        (
            "arn:aws:lambda:eu-west-3:999999999999:function:chat".to_owned(),
            ["is in account 999999999999 and the stack in 210987654321", "name a function in 210987654321, or make"],
        ),
        (
            format!("arn:aws:lambda:eu-west-3:210987654321:function:{own}:live"),
            ["one of the stack's own functions", "name one of yours"],
        ),
    ] {
        let stack = manifest(&format!("messages: {{consumers: [{{functionArn: '{arn}'}}]}}"));
        let refused = pipeline(&stack).err().map(|invalid| invalid.to_string()).unwrap_or_default();
        assert!(refused.starts_with("spec.messages.consumers"), "{refused}");
        assert!(sentences.iter().all(|sentence| refused.contains(sentence)), "{refused}");
    }
}

#[test]
fn retained_consumers_go_on_without_our_tags_and_nothing_notes_them() {
    let fixture = both();
    let mut object = fixture.stack.clone();
    object.spec.deletion_policy = DeletionPolicy::Retain;
    let retained = Desired::of_deleted(&object, fixture.owner.clone(), names(&fixture.owner));
    let whole = settled(&fixture, Pace::INSTANT);
    whole.change(|world| theirs(world, "arn:aws:lambda:eu-west-3:210987654321:function:other"));
    let mut before = whole.held().consumers;
    for found in &mut before {
        found.tags.retain(|key, _| !key.starts_with("sumu.live/"));
    }
    let clean = whole.copy();
    empty(&clean, &retained);
    for at in 0..=clean.calls() - whole.calls() {
        for fault in [Fault::Throttled, Fault::AnswerLost, Fault::NotDone] {
            let cloud = whole.copy();
            cloud.change(|world| world.fault = Some((whole.calls() + at, fault)));
            empty(&cloud, &retained);
            let left = cloud.change(|world| world.tagged());
            assert!(left.is_empty() && !is_noted(&cloud), "still tagged: {left:?}");
            assert_eq!(cloud.held().consumers, before);
        }
    }
}
