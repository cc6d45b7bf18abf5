//! Consumers: what feeds the users' own functions from the messages queue.
//!
//! | thing | whose it is | when it is made | when it goes |
//! |---|---|---|---|
//! | note on the messages queue | the queue's | before anything else | when nothing of ours is left |
//! | event source | its owner's by its tag | when queue and note are there | when it is not wanted, and before the queue |
//!
//! What somebody else lets the queue feed stays as it is. Where it feeds a function that the spec names, Lambda takes no
//! second one, and that is told.

use std::collections::BTreeMap;

use super::step::ConsumerStep;
use super::tagged::Tagged;
use super::{Part, Plan, Step, WaitReason};
use crate::desired::Desired;
use crate::desired::consumers::Consumer;
use crate::observed::{ConsumerState, Observed, ResourceId};
use crate::stack::consumers::{self, name};
use crate::stack::name::{QueueId, Tags};

const PART: Part = Part::Consumers;
const QUEUE: QueueId = QueueId::Messages;

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let mut kept: BTreeMap<&String, &ConsumerState> = BTreeMap::new();
    for found in observed.consumers.iter().filter(|found| found.is_ours) {
        let function = &found.function_arn;
        if desired.consumers.contains_key(function) && !kept.contains_key(function) {
            kept.insert(function, found);
        } else {
            delete(found, plan);
        }
    }
    for (function, want) in &desired.consumers {
        match kept.get(function) {
            Some(found) => keep(want, found, desired, plan),
            None => create(function, want, desired, observed, plan),
        }
    }
    forget(desired, observed, plan);
}

/// The tags that a queue has from its creation on: the messages queue notes what it will feed.
pub(super) fn queue_tags(desired: &Desired, id: QueueId) -> Tags {
    let note = (id == QUEUE && !desired.consumers.is_empty()).then(consumers::note);
    desired.tags.clone().into_iter().chain(note).collect()
}

/// Whether something of ours reads a queue, which then cannot be deleted.
pub(super) fn read_from(id: QueueId, observed: &Observed) -> bool {
    id == QUEUE && observed.consumers.iter().any(|found| found.is_ours)
}

fn keep(want: &Consumer, found: &ConsumerState, desired: &Desired, plan: &mut Plan) {
    let Consumer { batch_size, window_seconds, concurrency_max } = want;
    let is_same = *batch_size == found.batch_size
        && *window_seconds == found.window_seconds
        && *concurrency_max == found.concurrency_max
        && found.reports_item_failures;
    let (function_arn, uuid) = (found.function_arn.clone(), found.uuid.clone());
    if found.is_resting() {
        let tagged = Tagged::Consumer { function_arn: function_arn.clone(), arn: desired.names.source_arn(&uuid) };
        plan.keep_tags(tagged, &desired.tags, &found.tags);
    }
    match found.state.as_str() {
        "Enabled" if is_same => {}
        // Somebody has switched it off: an update switches it on again.
        "Enabled" | "Disabled" => {
            let queue_arn = desired.names.queue_arn(QUEUE);
            plan.step(ConsumerStep::Update { function_arn, queue_arn, uuid, consumer: want.clone() });
        }
        state => plan.wait_ready(PART, what(&function_arn), state),
    }
}

fn create(function: &str, want: &Consumer, desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let Some(queue) = observed.queues.get(&QUEUE) else {
        return plan.wait_for(PART, what(function), ResourceId::Queue(QUEUE));
    };
    if !consumers::is_noted(&queue.tags) {
        // Set with the queue's other tags. What is there meanwhile is not seen yet.
        return plan.wait_for(PART, what(function), format!("the note of it on {}", ResourceId::Queue(QUEUE)));
    }
    if let Some(theirs) = observed.consumers.iter().find(|found| found.function_arn == function) {
        return taken(function, theirs, plan);
    }
    // Lambda looks at it, and refuses a function that may run for longer.
    let hides = desired.queues.get(&QUEUE).map(|queue| queue.visibility_timeout_seconds.to_string());
    if queue.attributes.get("VisibilityTimeout") != hides.as_ref() {
        return plan.wait_for(
            PART,
            what(function),
            format!("{} to hide messages long enough", ResourceId::Queue(QUEUE)),
        );
    }
    plan.step(ConsumerStep::Create {
        function_arn: function.to_owned(),
        queue_arn: desired.names.queue_arn(QUEUE),
        consumer: want.clone(),
        tags: desired.tags.clone(),
    });
}

/// Something without our tag feeds the function already.
fn taken(function: &str, theirs: &ConsumerState, plan: &mut Plan) {
    if theirs.state == "Deleting" {
        return plan.wait_ready(PART, what(function), "Deleting");
    }
    plan.wait(
        PART,
        WaitReason::Conflict(format!(
            "{} has an event source from the messages queue already, {}, which lacks this stack's tag, and Lambda takes no \
             second one: delete it and the stack makes its own, or take the function out of spec.messages.consumers",
            what(function),
            theirs.uuid
        )),
    );
}

fn delete(found: &ConsumerState, plan: &mut Plan) {
    let (function_arn, uuid) = (found.function_arn.clone(), found.uuid.clone());
    if found.is_resting() {
        plan.step(ConsumerStep::Delete { function_arn, uuid });
    } else {
        plan.wait_ready(PART, what(&function_arn), &found.state);
    }
}

/// Takes the note off a queue that is kept. One that goes takes its note with it.
fn forget(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let Some(queue) = observed.queues.get(&QUEUE).filter(|queue| consumers::is_noted(&queue.tags)) else { return };
    if desired.queues.contains_key(&QUEUE) && desired.consumers.is_empty() && !read_from(QUEUE, observed) {
        let tagged = Tagged::Queue { id: QUEUE, url: queue.url.clone() };
        plan.step(Step::Untag(tagged, vec![consumers::NOTE.to_owned()]));
    }
}

/// As people say it.
fn what(function: &str) -> String {
    format!("consumer {}", name(function))
}
