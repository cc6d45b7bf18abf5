//! Subscriptions to the messages topic: a note of each first, and what they need before they are there.
//!
//! | thing | whose it is | when it is made | when it goes |
//! |---|---|---|---|
//! | note on the topic | the topic's | before anything else | when what it notes is gone |
//! | dead-letter queue | its owner's by its tag | once the topic has notes | after the last subscription |
//! | permission of a function | the stack's by its statement id | when the function is noted | after the subscription |
//! | subscription | ours when the topic notes it | when its queue and its permission are there | when it is not wanted |
//!
//! What SNS waits to be confirmed has no name yet, so nobody can change it or take it away: it is left alone, and when
//! it is confirmed after all it becomes as it should be, or goes. No step waits for it. One that is wanted and is
//! somebody else's stays as it is and is told.

pub(super) mod attributes;
mod clear;

use super::step::SubscriptionStep;
use super::{Part, Plan, WaitReason};
use crate::desired::Desired;
use crate::desired::functions::Permission;
use crate::observed::subscriptions::{Leave, ListedState};
use crate::observed::{Observed, ResourceId};
use crate::stack::name::{QueueId, Tags, TopicId};
use crate::stack::subscription::notes::{self, Note, Notes};
use crate::stack::subscription::{FunctionName, Subscription, SubscriptionId};

const PART: Part = Part::Subscriptions;
const TOPIC: TopicId = TopicId::Messages;
const QUEUE: QueueId = QueueId::SubscriptionsDeadLetters;

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let is_wanted = !desired.subscriptions.is_empty();
    let Some(topic) = observed.topics.get(&TOPIC) else {
        if is_wanted {
            plan.wait_for(PART, "subscriptions", ResourceId::Topic(TOPIC));
        }
        return;
    };
    let notes = Notes::of(&topic.tags);
    let mut work = Work { desired, observed, topic_arn: &topic.arn, next: notes.clone(), notes: &notes, plan };
    if notes.is_open() {
        clear::plan(&mut work);
        for want in &desired.subscriptions {
            work.keep(want);
        }
        if !is_wanted && !observed.queues.contains_key(&QUEUE) {
            work.next.close();
        }
    } else if is_wanted {
        work.next.open();
        work.plan.wait_for(PART, "subscriptions", "the topic's note that there are some");
    }
    work.write_notes();
}

/// The tag that a topic has from its creation on.
pub(super) fn note(desired: &Desired, id: TopicId) -> Option<(String, String)> {
    (id == TOPIC && !desired.subscriptions.is_empty()).then(notes::opening)
}

/// Whether the dead-letter queue would be found again: it is looked for only with notes, or without a topic.
pub(super) fn is_noted(observed: &Observed) -> bool {
    observed.topics.get(&TOPIC).is_none_or(|topic| Notes::of(&topic.tags).is_open())
}

/// What stands in the way of the topic's deletion: with it would go all that tells of permissions.
pub(super) fn holds(observed: &Observed) -> Option<String> {
    let notes = Notes::of(&observed.topics.get(&TOPIC)?.tags);
    let subscription = confirmed(observed, &notes).next().map(|found| format!("subscription {}", found.shown()));
    let is_there = |name: &&FunctionName| observed.subscriptions.functions.get(*name) != Some(&Leave::Absent);
    let permission = || notes.functions().find(is_there).map(|name| format!("its permission of function {name}"));
    subscription.or_else(permission)
}

/// Whether the dead-letter queue may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Nobody uses it.
    None,
    /// Subscriptions do that are about to go.
    Leaving,
    /// A subscription does that only SNS can take away.
    Unconfirmed,
}

pub(super) fn use_of_queue(desired: &Desired, observed: &Observed) -> Use {
    let Some(topic) = observed.topics.get(&TOPIC) else { return Use::None };
    let notes = Notes::of(&topic.tags);
    if confirmed(observed, &notes).next().is_some() {
        return Use::Leaving;
    }
    // With the topic everything goes that SNS waits for.
    let stays = desired.topics.contains(&TOPIC) && ours(observed, &notes).next().is_some();
    if stays { Use::Unconfirmed } else { Use::None }
}

fn ours<'a>(observed: &'a Observed, notes: &Notes) -> impl Iterator<Item = &'a ListedState> {
    observed.subscriptions.listed.iter().filter(move |found| notes.has_subscription(found.id()))
}

fn confirmed<'a>(observed: &'a Observed, notes: &Notes) -> impl Iterator<Item = &'a ListedState> {
    ours(observed, notes).filter(|found| found.arn.is_some())
}

/// What is worked with, and the notes as they should be after it.
struct Work<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    topic_arn: &'a str,
    notes: &'a Notes,
    next: Notes,
    plan: &'a mut Plan,
}

impl Work<'_> {
    fn keep(&mut self, want: &Subscription) {
        let function = want.function(self.desired.names.account());
        let found = self.observed.subscriptions.find(want.id());
        match found {
            None => self.make(want, function),
            Some(_) if !self.notes.has_subscription(want.id()) => {
                let sentence = format!(
                    "a subscription {want} is there already and the topic does not note it as this stack's: delete it and \
                     the stack makes its own, or take it out of spec.messages.subscriptions"
                );
                self.plan.wait(PART, WaitReason::Conflict(sentence));
            }
            Some(found) => {
                // From now on the subscription names the function.
                if let Some(name) = function.filter(|name| self.permit(name)) {
                    self.next.remove(&Note::Function(name));
                }
                self.set_attributes(want, found);
            }
        }
    }

    fn make(&mut self, want: &Subscription, function: Option<FunctionName>) {
        let what = subscription(want);
        let notes =
            || [Some(Note::Subscription(want.id())), function.clone().map(Note::Function)].into_iter().flatten();
        if !notes().all(|note| self.notes.has(&note)) {
            let needs = if self.next.add(notes()) { "the topic's note of it" } else { "room among the topic's notes" };
            return self.plan.wait_for(PART, what, needs);
        }
        if !self.observed.queues.contains_key(&QUEUE) {
            return self.plan.wait_for(PART, what, ResourceId::Queue(QUEUE));
        }
        if let Some(name) = function.filter(|name| !self.permit(name)) {
            return self.plan.wait_for(PART, what, format!("the permission of function {name}"));
        }
        self.plan.step(SubscriptionStep::Subscribe {
            topic_arn: self.topic_arn.to_owned(),
            protocol: want.protocol,
            endpoint: want.endpoint.clone(),
            attributes: attributes::of_new(want, &self.dead_letters_arn()),
        });
    }

    fn set_attributes(&mut self, want: &Subscription, found: &ListedState) {
        // Without attributes it is unconfirmed, or has just gone.
        let (Some(subscription_arn), Some(have)) = (&found.arn, &found.attributes) else { return };
        for (attribute, value) in attributes::to_set(want, have, &self.dead_letters_arn()) {
            let (id, shown, subscription_arn) = (want.id(), want.to_string(), subscription_arn.clone());
            self.plan.step(SubscriptionStep::Set { id, shown, subscription_arn, attribute, value });
        }
    }

    /// Sees to it that SNS may invoke a function. Whether it may already.
    fn permit(&mut self, name: &FunctionName) -> bool {
        let want = self.permission();
        let function = name.clone();
        match self.observed.subscriptions.functions.get(name) {
            Some(Leave::Given(have)) if *have == want => return true,
            // A statement cannot be changed, and its id cannot be used twice.
            Some(Leave::Given(have)) => {
                let sid = have.sid.clone();
                self.plan.step(SubscriptionStep::Forbid { function: function.clone(), sid });
                self.plan.step(SubscriptionStep::Permit { function, permission: want });
            }
            Some(Leave::Absent) => self.plan.step(SubscriptionStep::Permit { function, permission: want }),
            Some(Leave::Denied(error)) => self.plan.wait(PART, WaitReason::Denied(error.clone())),
            // It was noted only just now.
            None => {}
        }
        false
    }

    fn permission(&self) -> Permission {
        Permission {
            sid: self.desired.names.statement_id(TOPIC),
            principal: "sns.amazonaws.com".into(),
            source_arn: self.topic_arn.to_owned(),
        }
    }

    fn dead_letters_arn(&self) -> String {
        self.desired.names.queue_arn(QUEUE)
    }

    fn write_notes(self) {
        let (tags, keys): (Tags, Vec<String>) = self.next.in_place_of(self.notes);
        let topic_arn = self.topic_arn.to_owned();
        if !tags.is_empty() {
            self.plan.step(SubscriptionStep::Note { topic_arn: topic_arn.clone(), tags });
        }
        if !keys.is_empty() {
            self.plan.step(SubscriptionStep::Forget { topic_arn, keys });
        }
    }
}

fn subscription(what: impl std::fmt::Display) -> String {
    format!("subscription {what}")
}

fn is_wanted(desired: &Desired, id: SubscriptionId) -> bool {
    desired.subscriptions.iter().any(|want| want.id() == id)
}
