//! A stack that its object leaves behind: our tags are taken off everything, and nothing else is done to it.
//!
//! What is found by what it belongs to loses its tags first: the stage before its API, event sources before their
//! function, consumers before the messages queue that notes them. So the last tag to go is the one by which a thing is
//! found, and a plan that was broken off anywhere goes on where it was. What has lost its tag is foreign to every stack,
//! also to a new one of the same name.

use super::step::{DomainStep, Step, SubscriptionStep, part_of_queue};
use super::tagged::{Tagged, our_tags};
use super::{Part, Plan, consumers};
use crate::desired::Desired;
use crate::observed::{Observed, ResourceId, TopicState};
use crate::stack::consumers::{NOTE, is_noted};
use crate::stack::name::{QueueId, TopicId};
use crate::stack::note;
use crate::stack::subscription::notes;

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let names = &desired.names;
    queues(observed, plan);
    let mut untag = |tagged: Tagged| plan.steps.push(Step::Untag(tagged, our_tags()));
    for function in observed.roles.keys() {
        untag(Tagged::Role { function: *function, name: names.function(*function) });
    }
    for id in observed.log_groups.keys() {
        untag(Tagged::LogGroup { id: *id, arn: names.log_group_arn(*id) });
    }
    for found in observed.consumers.iter().filter(|found| found.is_ours) {
        let arn = names.source_arn(&found.uuid);
        untag(Tagged::Consumer { function_arn: found.function_arn.clone(), arn });
    }
    for source in &observed.sources {
        untag(Tagged::Source { function: source.function, arn: names.source_arn(&source.uuid) });
    }
    for (id, table) in &observed.tables {
        if table.is_active() {
            plan.step(Step::Untag(Tagged::Table { id: *id, arn: table.arn.clone() }, our_tags()));
        } else {
            // DynamoDB tells and takes no tags of a table that is coming or going.
            plan.wait_ready(Part::Connections, ResourceId::Table(*id), &table.status);
        }
    }
    for (id, topic) in &observed.topics {
        untag_topic(*id, topic, observed, plan);
    }
    for (function, found) in &observed.functions {
        if observed.sources.iter().any(|source| source.function == *function) {
            plan.wait_for(
                Part::Functions,
                format!("untagging {}", ResourceId::Function(*function)),
                "its event source",
            );
        } else {
            plan.step(Step::Untag(Tagged::Function { function: *function, arn: found.arn.clone() }, our_tags()));
        }
    }
    // Domain names are looked for only while the API notes them, so the notes outlive their tags.
    let ours = observed.domains.names.iter().filter(|(_, found)| found.is_ours);
    let mut has_domain = false;
    for (name, _) in ours {
        has_domain = true;
        plan.step(Step::Untag(Tagged::Domain { name: name.clone(), arn: names.domain_arn(name) }, our_tags()));
    }
    // Of a second API, which only a lost answer can leave, nothing is seen before it is the first.
    let Some(api) = observed.api() else { return };
    let stages = observed.closely.stages.iter().filter(|(_, tags)| desired.owner.owns(tags));
    let mut has_stage = false;
    for (name, _) in stages {
        has_stage = true;
        plan.step(Step::Untag(Tagged::Stage { arn: names.stage_arn(&api.id, name), name: name.clone() }, our_tags()));
    }
    let notes = note::keys(&api.tags);
    if has_stage {
        plan.wait_for(Part::Gateway, "untagging the api", "its stage");
    } else if has_domain {
        plan.wait_for(Part::Gateway, "untagging the api", "its domain name");
    } else if !notes.is_empty() {
        plan.step(DomainStep::Forget { api_arn: names.api_arn(&api.id), keys: notes });
        plan.wait_for(Part::Gateway, "untagging the api", "its notes of domain names");
    } else {
        plan.step(Step::Untag(Tagged::Api { arn: names.api_arn(&api.id) }, our_tags()));
    }
}

/// The dead-letter queue of subscriptions is looked for only while the topic notes some, so the notes outlive its tags.
fn untag_topic(id: TopicId, topic: &TopicState, observed: &Observed, plan: &mut Plan) {
    let notes = if id == TopicId::Messages { notes::keys(&topic.tags) } else { Vec::new() };
    let what = || format!("untagging {}", ResourceId::Topic(id));
    if notes.is_empty() {
        plan.step(Step::Untag(Tagged::Topic { id, arn: topic.arn.clone() }, our_tags()));
    } else if observed.queues.contains_key(&QueueId::SubscriptionsDeadLetters) {
        plan.wait_for(Part::Messages, what(), ResourceId::Queue(QueueId::SubscriptionsDeadLetters));
    } else {
        plan.step(SubscriptionStep::Forget { topic_arn: topic.arn.clone(), keys: notes });
        plan.wait_for(Part::Messages, what(), "its notes of subscriptions");
    }
}

/// Consumers are looked for only while the messages queue notes them, so the note outlives their tags.
fn queues(observed: &Observed, plan: &mut Plan) {
    for (id, queue) in &observed.queues {
        let what = format!("untagging {}", ResourceId::Queue(*id));
        let part = part_of_queue(*id);
        if consumers::read_from(*id, observed) {
            plan.wait_for(part, what, "its consumers");
        } else if is_noted(&queue.tags) {
            plan.step(Step::Untag(Tagged::Queue { id: *id, url: queue.url.clone() }, vec![NOTE.to_owned()]));
            plan.wait_for(part, what, "its note of consumers");
        } else {
            plan.step(Step::Untag(Tagged::Queue { id: *id, url: queue.url.clone() }, our_tags()));
        }
    }
}
