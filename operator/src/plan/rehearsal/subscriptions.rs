//! What calls about subscriptions to the messages topic lead to.

use std::collections::BTreeMap;

use super::{NEW, Supposed};
use crate::observed::subscriptions::{AttributesState, Leave, ListedState};
use crate::plan::step::SubscriptionStep;
use crate::plan::subscriptions::attributes::write;
use crate::stack::name::TopicId;
use crate::stack::subscription::notes::Notes;
use crate::stack::subscription::{FunctionName, SubscriptionId};
use crate::sumu_stack::Protocol;

impl Supposed {
    pub(super) fn subscription(&mut self, step: &SubscriptionStep) {
        let found = &mut self.world.subscriptions;
        match step {
            SubscriptionStep::Note { tags, .. } => {
                if let Some(topic) = self.world.topics.get_mut(&TopicId::Messages) {
                    topic.tags.extend(tags.clone());
                }
            }
            SubscriptionStep::Forget { keys, .. } => {
                if let Some(topic) = self.world.topics.get_mut(&TopicId::Messages) {
                    topic.tags.retain(|key, _| !keys.contains(key));
                }
            }
            SubscriptionStep::Permit { function, permission } => {
                found.functions.insert(function.clone(), Leave::Given(permission.clone()));
            }
            SubscriptionStep::Forbid { function, .. } => drop(found.functions.insert(function.clone(), Leave::Absent)),
            SubscriptionStep::Subscribe { protocol, endpoint, attributes, .. } => {
                found.listed.push(listed(*protocol, endpoint, attributes));
            }
            SubscriptionStep::Set { id, attribute, value, .. } => {
                for found in found.listed.iter_mut().filter(|found| found.id() == *id) {
                    write(found.attributes.get_or_insert_default(), attribute, value);
                }
            }
            SubscriptionStep::Unsubscribe { id, .. } => found.listed.retain(|found| found.id() != *id),
        }
    }

    /// A look shows the functions that the topic notes, and those of subscriptions that it notes.
    pub(super) fn finish_subscriptions(&mut self) {
        let Some(topic) = self.world.topics.get(&TopicId::Messages) else {
            // With a topic its subscriptions go.
            self.world.subscriptions.listed.clear();
            return;
        };
        let notes = Notes::of(&topic.tags);
        let account = self.desired.names.account();
        let found = &mut self.world.subscriptions;
        let ours = found.listed.iter().filter(|found| notes.has_subscription(found.id()));
        let of_ours = ours.filter_map(|found| FunctionName::of(&found.protocol, &found.endpoint, account));
        let shown: Vec<FunctionName> = notes.functions().cloned().chain(of_ours).collect();
        found.functions.retain(|name, _| shown.contains(name));
        for name in shown {
            found.functions.entry(name).or_insert(Leave::Absent);
        }
    }
}

/// Whoever is asked by SNS has not confirmed.
fn listed(protocol: Protocol, endpoint: &str, attributes: &BTreeMap<&'static str, String>) -> ListedState {
    let waits = matches!(protocol, Protocol::Http | Protocol::Https | Protocol::Email);
    let mut state = AttributesState::default();
    for (name, value) in attributes {
        write(&mut state, name, value);
    }
    let id = SubscriptionId::of(protocol.as_str(), endpoint);
    ListedState {
        arn: (!waits).then(|| format!("{NEW}-{id}")),
        protocol: protocol.as_str().to_owned(),
        endpoint: endpoint.to_owned(),
        attributes: (!waits).then_some(state),
    }
}
