//! What the topic notes and nobody wants any more: the subscription first, then the function's permission, then the
//! note.

use std::collections::BTreeSet;

use super::{PART, TOPIC, Work, is_wanted, subscription};
use crate::observed::subscriptions::{Leave, ListedState};
use crate::plan::WaitReason;
use crate::plan::step::SubscriptionStep;
use crate::stack::subscription::notes::Note;
use crate::stack::subscription::{FunctionName, SubscriptionId};
use crate::sumu_stack::Protocol;

pub(super) fn plan(work: &mut Work<'_>) {
    let functions: Vec<(SubscriptionId, FunctionName)> =
        work.notes.functions().map(|name| (id_of(name, work), name.clone())).collect();
    let with_function: BTreeSet<SubscriptionId> = functions.iter().map(|(id, _)| *id).collect();
    let unwanted = work.notes.subscriptions().filter(|id| !is_wanted(work.desired, *id)).collect::<Vec<_>>();
    for id in unwanted {
        match work.observed.subscriptions.find(id) {
            Some(found) => unsubscribe(found, work),
            None if with_function.contains(&id) => {}
            None => forget(&[Note::Subscription(id)], work),
        }
    }
    for (id, name) in functions {
        if !is_wanted(work.desired, id) && work.observed.subscriptions.find(id).is_none() {
            forbid(id, name, work);
        }
    }
}

/// The subscription that a function is noted for.
fn id_of(name: &FunctionName, work: &Work<'_>) -> SubscriptionId {
    SubscriptionId::of(Protocol::Lambda.as_str(), &name.arn(work.desired.names.account()))
}

fn unsubscribe(found: &ListedState, work: &mut Work<'_>) {
    // Only SNS can take away what was never confirmed, and it does so after two days.
    let Some(subscription_arn) = found.arn.clone() else { return };
    // When the subscription is gone, nothing else names the function whose permission must go too.
    let function = FunctionName::of(&found.protocol, &found.endpoint, work.desired.names.account());
    if let Some(note) = function.map(Note::Function).filter(|note| !work.notes.has(note)) {
        let needs =
            if work.next.add([note]) { "the topic's note of the function" } else { "room among the topic's notes" };
        return work.plan.wait_for(PART, format!("the end of {}", subscription(found.shown())), needs);
    }
    work.plan.step(SubscriptionStep::Unsubscribe { id: found.id(), shown: found.shown(), subscription_arn });
}

fn forbid(id: SubscriptionId, function: FunctionName, work: &mut Work<'_>) {
    match work.observed.subscriptions.functions.get(&function) {
        Some(Leave::Given(permission)) => {
            work.plan.step(SubscriptionStep::Forbid { function, sid: permission.sid.clone() });
        }
        Some(Leave::Absent) => forget(&[Note::Function(function), Note::Subscription(id)], work),
        Some(Leave::Denied(error)) => work.plan.wait(PART, WaitReason::Denied(error.clone())),
        // It was noted only just now.
        None => {}
    }
}

/// A topic that goes takes its notes with it.
fn forget(notes: &[Note], work: &mut Work<'_>) {
    if work.desired.topics.contains(&TOPIC) {
        for note in notes {
            work.next.remove(note);
        }
    }
}
