//! SQS and SNS.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sumu_contract::Function;
use sumu_operator::cloud::{CloudError, Kind};
use sumu_operator::observed::{QueueState, SubscriptionState, TopicState};
use sumu_operator::plan::step::{QueueStep, TopicStep};
use sumu_operator::stack::name::{QueueId, TopicId};

use super::{Answer, Work, World, refusal, refuse};

const REDRIVE: &str = "RedrivePolicy";

impl World {
    pub(super) fn queue_call(&mut self, id: QueueId, step: &QueueStep) -> Answer {
        match step {
            QueueStep::Create { name, attributes, tags } => {
                const OPERATION: &str = "CreateQueue";
                assert_eq!(*name, self.names.queue(id));
                if let Some(found) = self.held.queues.get(&id) {
                    self.must_own(name, &found.tags);
                    return refuse(OPERATION, name, Kind::AlreadyExists, "A queue already exists with the same name");
                }
                if self.is_at_work(&Work::QueueName(id)) {
                    return refuse(OPERATION, name, Kind::Busy, "You must wait 60 seconds after deleting a queue");
                }
                self.dead_letters_must_exist(OPERATION, name, attributes)?;
                // The account is part of a URL, and the URL is not the name.
                let url = format!("https://sqs.example/{}/{name}", self.names.account().id);
                let mut queue = QueueState { tags: tags.clone(), url, attributes: BTreeMap::new() };
                write_attributes(&mut queue, attributes);
                self.held.queues.insert(id, queue);
                Ok(())
            }
            QueueStep::Set { url, attributes } => {
                if attributes.get("Policy").is_some_and(|policy| policy.contains("\"AROA")) {
                    return refuse(
                        "SetQueueAttributes",
                        url,
                        Kind::Rejected,
                        "Invalid value for the parameter Policy.",
                    );
                }
                self.dead_letters_must_exist("SetQueueAttributes", url, attributes)?;
                write_attributes(self.queue("SetQueueAttributes", id, url)?, attributes);
                Ok(())
            }
            QueueStep::Delete { url } => {
                if !self.held.queues.contains_key(&id) {
                    return Ok(());
                }
                self.queue("DeleteQueue", id, url)?;
                self.nobody_uses_queue(id, url);
                self.held.queues.remove(&id);
                self.begin(Work::QueueName(id), self.pace.queue_name);
                Ok(())
            }
        }
    }

    fn queue(&mut self, operation: &'static str, id: QueueId, url: &str) -> Result<&mut QueueState, CloudError> {
        let Some(found) = self.held.queues.get(&id) else {
            return Err(refusal(operation, url, Kind::NotFound, "The specified queue does not exist."));
        };
        assert_eq!(found.url, url, "the URL of another queue");
        self.must_own(url, &found.tags);
        Ok(self.held.queues.get_mut(&id).unwrap())
    }

    fn dead_letters_must_exist(
        &self,
        operation: &'static str,
        queue: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Answer {
        let Some(arn) = attributes.get(REDRIVE).and_then(|text| dead_letters_arn(text)) else { return Ok(()) };
        if self.held.queues.keys().any(|id| self.names.queue_arn(*id) == arn) {
            return Ok(());
        }
        refuse(operation, queue, Kind::Rejected, "Dead-letter target does not exist")
    }

    /// What a queue that goes too early takes with it: messages that have nowhere to go.
    fn nobody_uses_queue(&self, id: QueueId, url: &str) {
        let arn = self.names.queue_arn(id);
        let reader = self.held.sources.iter().find(|source| source.source_arn == arn);
        assert!(reader.is_none(), "queue {id} was deleted while an event source reads it");
        let consumer = self.our_consumer().filter(|_| id == QueueId::Messages);
        assert!(consumer.is_none(), "queue {id} was deleted while it feeds {consumer:?}");
        let redrive = |queue: &&QueueState| {
            let target = queue.attributes.get(REDRIVE).and_then(|text| dead_letters_arn(text));
            self.owner.owns(&queue.tags) && target.as_ref() == Some(&arn)
        };
        let source = self.held.queues.values().find(redrive);
        let source = source.map(|queue| &queue.url);
        assert!(source.is_none(), "queue {id} was deleted while {source:?} puts its dead letters there");
        assert!(!self.redrives_to(&arn), "queue {id} was deleted while a subscription puts its dead letters there");
        self.nobody_is_told_of(url);
    }

    /// No function of ours knows this name from its environment.
    pub(super) fn nobody_is_told_of(&self, what: &str) {
        for (function, state) in &self.held.functions {
            let is_told = state.environment.values().any(|value| value.as_str() == what);
            let is_ours = self.owner.owns(&state.tags);
            assert!(!(is_ours && is_told), "{what} was deleted while function {function} works with it");
        }
    }

    pub(super) fn topic_call(&mut self, id: TopicId, step: &TopicStep) -> Answer {
        match step {
            TopicStep::Create { name, tags } => {
                assert_eq!(*name, self.names.topic(id));
                if let Some(found) = self.held.topics.get(&id) {
                    self.must_own(name, &found.tags);
                    let message = "Invalid parameter: Tags Reason: Topic already exists with different tags";
                    let is_same = found.tags == *tags;
                    return if is_same { Ok(()) } else { refuse("CreateTopic", name, Kind::Rejected, message) };
                }
                let arn = self.names.topic_arn(id);
                self.held.topics.insert(id, TopicState { tags: tags.clone(), arn, subscriptions: vec![] });
                Ok(())
            }
            TopicStep::Subscribe { topic_arn, function_arn, dead_letters_arn } => {
                self.subscribe(id, topic_arn, function_arn, dead_letters_arn)
            }
            TopicStep::SetDeadLetters { subscription_arn, dead_letters_arn } => {
                let topic_arn = self.names.topic_arn(id);
                let topic = self.topic("SetSubscriptionAttributes", id, &topic_arn)?;
                let found = topic.subscriptions.iter_mut().find(|found| found.arn == *subscription_arn);
                let missing = || refusal("SetSubscriptionAttributes", subscription_arn, Kind::NotFound, "no such");
                found.ok_or_else(missing)?.dead_letters_arn = Some(dead_letters_arn.clone());
                Ok(())
            }
            TopicStep::Unsubscribe { subscription_arn } => {
                if subscription_arn == "PendingConfirmation" {
                    let message = "Invalid parameter: SubscriptionArn";
                    return refuse("Unsubscribe", subscription_arn, Kind::Rejected, message);
                }
                let topic_arn = self.names.topic_arn(id);
                let topic = self.topic("Unsubscribe", id, &topic_arn)?;
                topic.subscriptions.retain(|found| found.arn != *subscription_arn);
                Ok(())
            }
            TopicStep::Delete { arn } => {
                if !self.held.topics.contains_key(&id) {
                    return Ok(());
                }
                self.topic("DeleteTopic", id, arn)?;
                self.nobody_is_told_of(arn);
                // With all its subscriptions.
                if id == TopicId::Messages {
                    self.subscriptions_go();
                }
                self.held.topics.remove(&id);
                Ok(())
            }
        }
    }

    pub(super) fn topic(
        &mut self,
        operation: &'static str,
        id: TopicId,
        arn: &str,
    ) -> Result<&mut TopicState, CloudError> {
        assert_eq!(arn, self.names.topic_arn(id));
        let Some(found) = self.held.topics.get(&id) else {
            return Err(refusal(operation, arn, Kind::NotFound, "Topic does not exist"));
        };
        self.must_own(arn, &found.tags);
        Ok(self.held.topics.get_mut(&id).unwrap())
    }

    fn subscribe(&mut self, id: TopicId, topic_arn: &str, function_arn: &str, dead_letters_arn: &str) -> Answer {
        const OPERATION: &str = "Subscribe";
        assert_eq!(function_arn, self.names.function_arn(Function::Pusher));
        let may_invoke = self.held.functions.get(&Function::Pusher).is_some_and(|pusher| {
            let permissions = pusher.permissions.iter();
            permissions.into_iter().any(|found| found.principal == "sns.amazonaws.com" && found.source_arn == topic_arn)
        });
        assert!(may_invoke, "subscribed before SNS may invoke the pusher: what is published meanwhile is lost");
        if !self.held.queues.keys().any(|queue| self.names.queue_arn(*queue) == dead_letters_arn) {
            return refuse(OPERATION, topic_arn, Kind::Rejected, "the dead-letter queue does not exist");
        }
        let arn = format!("{topic_arn}:{}", self.next_id());
        let topic = self.topic(OPERATION, id, topic_arn)?;
        if let Some(found) = topic.subscriptions.iter().find(|found| found.endpoint == function_arn) {
            let is_same = found.dead_letters_arn.as_deref() == Some(dead_letters_arn);
            let message = "Subscription already exists with different attributes";
            return if is_same { Ok(()) } else { refuse(OPERATION, topic_arn, Kind::Rejected, message) };
        }
        topic.subscriptions.push(SubscriptionState {
            arn,
            protocol: "lambda".into(),
            endpoint: function_arn.to_owned(),
            dead_letters_arn: Some(dead_letters_arn.to_owned()),
        });
        Ok(())
    }
}

fn dead_letters_arn(redrive: &str) -> Option<String> {
    let redrive: Value = serde_json::from_str(redrive).ok()?;
    redrive["deadLetterTargetArn"].as_str().map(ToOwned::to_owned)
}

/// Keeps attributes as SQS does: an empty text clears one, and a redrive policy comes back in another form.
fn write_attributes(queue: &mut QueueState, attributes: &BTreeMap<String, String>) {
    for (key, value) in attributes {
        if value.is_empty() {
            queue.attributes.remove(key);
        } else if key == REDRIVE {
            let given: Value = serde_json::from_str(value).unwrap();
            let count = given["maxReceiveCount"].to_string();
            let kept = json!({ "maxReceiveCount": count, "deadLetterTargetArn": given["deadLetterTargetArn"] });
            queue.attributes.insert(key.clone(), kept.to_string());
        } else {
            queue.attributes.insert(key.clone(), value.clone());
        }
    }
}
