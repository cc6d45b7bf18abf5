//! Subscriptions to the messages topic, and the users' functions that they invoke. Neither carries tags, so what belongs
//! to whom is watched here by who made it.

use std::collections::BTreeMap;

use serde_json::Value;
use sumu_operator::cloud::Kind;
use sumu_operator::desired::functions::Permission;
use sumu_operator::observed::TopicState;
use sumu_operator::observed::subscriptions::{AttributesState, Leave, ListedState, Subscriptions};
use sumu_operator::plan::step::SubscriptionStep;
use sumu_operator::stack::name::{QueueId, Tags, TopicId};
use sumu_operator::stack::subscription::notes::{Note, Notes};
use sumu_operator::stack::subscription::{FunctionName, SubscriptionId};
use sumu_operator::sumu_stack::Protocol;

use super::{Answer, World, refuse};

const TAGS_MAX: usize = 50;

impl World {
    pub(super) fn subscription_call(&mut self, step: &SubscriptionStep) -> Answer {
        let lost = self.not_noted();
        let answer = match step {
            SubscriptionStep::Note { topic_arn, tags } => self.note(topic_arn, tags),
            SubscriptionStep::Forget { topic_arn, keys } => {
                let topic = self.topic("UntagResource", TopicId::Messages, topic_arn)?;
                topic.tags.retain(|key, _| !keys.contains(key));
                Ok(())
            }
            SubscriptionStep::Permit { function, permission } => self.permit(function, permission),
            SubscriptionStep::Forbid { function, sid } => {
                self.forbid(function, sid);
                Ok(())
            }
            SubscriptionStep::Subscribe { topic_arn, protocol, endpoint, attributes } => {
                self.subscribe_endpoint(topic_arn, *protocol, endpoint, attributes)
            }
            SubscriptionStep::Set { subscription_arn, attribute, value, .. } => {
                self.set_attribute(subscription_arn, attribute, value)
            }
            SubscriptionStep::Unsubscribe { subscription_arn, .. } => {
                let listed = &mut self.held.subscriptions.listed;
                let found = listed.iter().position(|found| found.arn.as_ref() == Some(subscription_arn));
                if let Some(at) = found {
                    let gone = listed.remove(at);
                    let was_ours = self.subscribed.remove(&gone.id());
                    assert!(was_ours, "somebody else's subscription was taken away: {gone:?}");
                }
                Ok(())
            }
        };
        let now = self.not_noted();
        let is_noted = self.is_let_go || now.iter().all(|it| lost.contains(it));
        assert!(is_noted, "after {step} nothing tells any more of {now:?}");
        answer
    }

    fn note(&mut self, topic_arn: &str, tags: &Tags) -> Answer {
        let topic = self.topic("TagResource", TopicId::Messages, topic_arn)?;
        topic.tags.extend(tags.clone());
        assert!(topic.tags.len() <= TAGS_MAX, "AWS takes no more tags: {:?}", topic.tags);
        let is_taken = |value: &String| value.len() <= 256 && !value.is_empty();
        assert!(topic.tags.values().all(is_taken), "AWS takes no such value: {:?}", topic.tags);
        Ok(())
    }

    fn permit(&mut self, function: &FunctionName, permission: &Permission) -> Answer {
        match self.held.subscriptions.functions.get_mut(function) {
            // As the adapter tells it.
            None => refuse("AddPermission", function, Kind::Rejected, "Function not found. Make the function"),
            Some(Leave::Given(_)) => {
                refuse("AddPermission", function, Kind::AlreadyExists, "The statement id provided already exists.")
            }
            Some(leave) => {
                *leave = Leave::Given(permission.clone());
                Ok(())
            }
        }
    }

    /// Taking away what is not there is success.
    fn forbid(&mut self, function: &FunctionName, sid: &str) {
        let topic_arn = self.names.topic_arn(TopicId::Messages);
        let arn = function.arn(self.names.account());
        let is_used = self.held.subscriptions.listed.iter().any(|found| found.endpoint == arn);
        let Some(leave) = self.held.subscriptions.functions.get_mut(function) else { return };
        if let Leave::Given(permission) = &*leave {
            assert_eq!(permission.sid, sid, "somebody else's permission was taken away");
            let is_needed = is_used && permission.source_arn == topic_arn;
            assert!(!is_needed, "a subscription needs the permission of {function}");
            *leave = Leave::Absent;
        }
    }

    fn subscribe_endpoint(
        &mut self,
        topic_arn: &str,
        protocol: Protocol,
        endpoint: &str,
        attributes: &BTreeMap<&'static str, String>,
    ) -> Answer {
        const OPERATION: &str = "Subscribe";
        self.topic(OPERATION, TopicId::Messages, topic_arn)?;
        let mut state = AttributesState::default();
        for (name, value) in attributes {
            write(&mut state, name, value);
        }
        let dead_letters = state.dead_letters_arn.clone().expect("each has a dead-letter queue");
        if !self.held.queues.keys().any(|queue| self.names.queue_arn(*queue) == dead_letters) {
            return refuse(OPERATION, endpoint, Kind::Rejected, "the dead-letter queue does not exist");
        }
        if self.refused_endpoint.as_deref() == Some(endpoint) {
            return refuse(OPERATION, endpoint, Kind::Rejected, "Invalid parameter: Endpoint");
        }
        if let Some(function) = FunctionName::of(protocol.as_str(), endpoint, self.names.account()) {
            let is_let = match self.held.subscriptions.functions.get(&function) {
                Some(Leave::Given(permission)) => permission.source_arn == topic_arn,
                _ => false,
            };
            assert!(is_let, "subscribed before SNS may invoke {function}: what is published meanwhile is set aside");
        }
        let id = SubscriptionId::of(protocol.as_str(), endpoint);
        if let Some(found) = self.held.subscriptions.find(id) {
            assert!(self.subscribed.contains(&id), "somebody else's subscription was subscribed again: {found:?}");
            let is_same = found.attributes.as_ref() == Some(&state);
            let message = "Subscription already exists with different attributes";
            return if is_same { Ok(()) } else { refuse(OPERATION, endpoint, Kind::AlreadyExists, message) };
        }
        let waits = matches!(protocol, Protocol::Http | Protocol::Https | Protocol::Email);
        let arn = (!waits).then(|| format!("{topic_arn}:{}", self.next_id()));
        let (protocol, endpoint) = (protocol.as_str().to_owned(), endpoint.to_owned());
        self.held.subscriptions.listed.push(ListedState { arn, protocol, endpoint, attributes: Some(state) });
        self.subscribed.insert(id);
        Ok(())
    }

    fn set_attribute(&mut self, arn: &str, attribute: &str, value: &str) -> Answer {
        let mut listed = self.held.subscriptions.listed.iter_mut();
        let Some(found) = listed.find(|found| found.arn.as_deref() == Some(arn)) else {
            return refuse("SetSubscriptionAttributes", arn, Kind::NotFound, "Subscription does not exist");
        };
        assert!(self.subscribed.contains(&found.id()), "somebody else's subscription was changed: {found:?}");
        write(found.attributes.get_or_insert_default(), attribute, value);
        Ok(())
    }

    /// What the operator has made and nothing would lead to any more.
    fn not_noted(&self) -> Vec<String> {
        let Some(topic) = self.held.topics.get(&TopicId::Messages) else { return vec![] };
        let notes = Notes::of(&topic.tags);
        let Subscriptions { listed, functions } = &self.held.subscriptions;
        let is_found = |id: SubscriptionId| notes.has_subscription(id);
        let ours = listed.iter().filter(|found| self.subscribed.contains(&found.id()));
        let lost = ours.filter(|found| !is_found(found.id())).map(|found| format!("subscription {}", found.endpoint));
        let permitted = functions.iter().filter(|(name, leave)| {
            let id = SubscriptionId::of("lambda", &name.arn(self.names.account()));
            let is_listed = self.held.subscriptions.find(id).is_some() && is_found(id);
            matches!(leave, Leave::Given(_)) && !is_listed && !notes.has(&Note::Function((*name).clone()))
        });
        lost.chain(permitted.map(|(name, _)| format!("the permission of {name}"))).collect()
    }

    /// With a topic all its subscriptions go.
    pub(super) fn subscriptions_go(&mut self) {
        let ours = |found: &&ListedState| self.subscribed.contains(&found.id()) && found.arn.is_some();
        let left = self.held.subscriptions.listed.iter().find(ours);
        assert!(left.is_none(), "the topic was deleted before {left:?}");
        let is_given = |leave: &Leave| matches!(leave, Leave::Given(_));
        assert!(!self.held.subscriptions.functions.values().any(is_given), "the topic was deleted before a permission");
        self.held.subscriptions.listed.clear();
    }

    /// Whether a subscription of ours puts what it cannot deliver into a queue.
    pub(super) fn redrives_to(&self, queue_arn: &str) -> bool {
        let topic = self.held.topics.get(&TopicId::Messages).filter(|topic| self.owner.owns(&topic.tags));
        let notes = topic.map(|topic| Notes::of(&topic.tags)).unwrap_or_default();
        let redrives = |found: &ListedState| {
            let queue = found.attributes.as_ref().and_then(|it| it.dead_letters_arn.as_deref());
            queue == Some(queue_arn) && found.arn.is_some() && notes.has_subscription(found.id())
        };
        self.held.subscriptions.listed.iter().any(redrives)
    }

    /// What a look shows to the owner of this topic, and whether it looks for the dead-letter queue.
    pub(super) fn visible_subscriptions(&self, topic: Option<&TopicState>) -> (Subscriptions, bool) {
        let Some(topic) = topic else { return (Subscriptions::default(), true) };
        let notes = Notes::of(&topic.tags);
        if !notes.is_open() {
            return (Subscriptions::default(), false);
        }
        let mut seen = self.held.subscriptions.clone();
        let mut functions: Vec<FunctionName> = notes.functions().cloned().collect();
        for found in &mut seen.listed {
            let is_noted = notes.has_subscription(found.id());
            if !is_noted || found.arn.is_none() {
                found.attributes = None;
            }
            if is_noted {
                functions.extend(FunctionName::of(&found.protocol, &found.endpoint, self.names.account()));
            }
        }
        let leave = |name: &FunctionName| match &self.denied_functions {
            Some(denied) => Leave::Denied(denied.clone()),
            None => self.held.subscriptions.functions.get(name).cloned().unwrap_or(Leave::Absent),
        };
        seen.functions = functions.into_iter().map(|name| (name.clone(), leave(&name))).collect();
        (seen, true)
    }
}

/// What somebody else does.
impl World {
    /// Makes a function, as its owner does.
    pub fn make_function(&mut self, name: &str) {
        self.held.subscriptions.functions.insert(FunctionName::parse(name).unwrap(), Leave::Absent);
    }

    /// Confirms everything that waits for it.
    pub fn confirm_all(&mut self) {
        let topic_arn = self.names.topic_arn(TopicId::Messages);
        let arns: Vec<String> =
            self.held.subscriptions.listed.iter().map(|found| format!("{topic_arn}:{}", found.id())).collect();
        for (found, arn) in self.held.subscriptions.listed.iter_mut().zip(arns) {
            found.arn.get_or_insert(arn);
        }
    }

    /// Lets everything go that has waited for a confirmation for two days.
    pub fn expire_unconfirmed(&mut self) {
        self.held.subscriptions.listed.retain(|found| found.arn.is_some());
    }

    /// Subscribes somebody.
    pub fn subscribe_somebody(&mut self, protocol: &str, endpoint: &str) {
        let arn = Some(format!("arn:theirs:{endpoint}"));
        let (protocol, endpoint, attributes) =
            (protocol.to_owned(), endpoint.to_owned(), Some(AttributesState::default()));
        self.held.subscriptions.listed.push(ListedState { arn, protocol, endpoint, attributes });
    }

    /// The dead-letter queue of subscriptions, if it is there.
    pub fn has_subscriptions_queue(&self) -> bool {
        self.held.queues.contains_key(&QueueId::SubscriptionsDeadLetters)
    }
}

fn write(state: &mut AttributesState, attribute: &str, value: &str) {
    match attribute {
        "RawMessageDelivery" => state.is_raw = value == "true",
        "FilterPolicy" => {
            let policy: Value = serde_json::from_str(value).unwrap();
            state.filter_policy = Some(policy).filter(|policy| policy.as_object().is_some_and(|keys| !keys.is_empty()));
        }
        "FilterPolicyScope" => state.filters_bodies = value == "MessageBody",
        "SubscriptionRoleArn" => state.role_arn = Some(value.to_owned()),
        "RedrivePolicy" => {
            let policy: Value = serde_json::from_str(value).unwrap();
            state.dead_letters_arn = policy["deadLetterTargetArn"].as_str().map(ToOwned::to_owned);
        }
        other => panic!("SNS knows no attribute {other}"),
    }
}
