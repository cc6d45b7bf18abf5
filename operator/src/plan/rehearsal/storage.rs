//! What calls to DynamoDB, SQS, SNS and CloudWatch Logs lead to.

use super::{NEW, Supposed};
use crate::desired::Desired;
use crate::observed::{LogGroupState, QueueState, SubscriptionState, TableState, TopicState};
use crate::plan::step::{LogGroupStep, QueueStep, TableStep, TopicStep};
use crate::stack::name::{LogGroupId, QueueId, TableId, TopicId};

/// How many messages SQS counts: all of them, delayed ones, and those that are being worked off.
const COUNTS: [&str; 3] =
    ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible"];

impl Supposed {
    pub(super) fn table(&mut self, id: TableId, step: &TableStep) {
        let arn = self.desired.names.table_arn(id);
        let stream = || format!("{arn}/stream/{NEW}");
        let tables = &mut self.world.tables;
        match (step, tables.get_mut(&id)) {
            (TableStep::Create { name: _, table, tags }, _) => {
                let state = TableState {
                    tags: tags.clone(),
                    stream_arn: table.has_stream.then(stream),
                    arn,
                    status: "ACTIVE".into(),
                    has_other_stream: false,
                    ttl_attribute: None,
                    is_protected: table.is_protected == Some(true),
                    has_recovery: Some(false),
                };
                tables.insert(id, state);
            }
            (TableStep::Delete { .. }, _) => drop(tables.remove(&id)),
            (TableStep::SetStream { on, .. }, Some(table)) => {
                table.stream_arn = on.then(stream);
                table.has_other_stream = false;
            }
            (TableStep::SetTtl { attribute, on, .. }, Some(table)) => {
                table.ttl_attribute = on.then(|| attribute.clone());
            }
            (TableStep::SetProtection { on, .. }, Some(table)) => table.is_protected = *on,
            (TableStep::SetRecovery { on, .. }, Some(table)) => table.has_recovery = Some(*on),
            (_, None) => {}
        }
    }

    /// DynamoDB has done what it was at work on.
    pub(super) fn finish_tables(&mut self) {
        let Desired { tables: wanted, tags, .. } = &self.desired;
        self.world.tables.retain(|_, table| table.status != "DELETING");
        for (id, table) in &mut self.world.tables {
            let ttl_attribute = wanted.get(id).and_then(|table| table.ttl_attribute);
            match table.status.as_str() {
                "CREATING" => {}
                // Time to live comes after the creation, and is not told while a table is changed.
                "UPDATING" => table.ttl_attribute = ttl_attribute.map(ToOwned::to_owned),
                _ => continue,
            }
            let has_recovery =
                table.status == "UPDATING" && wanted.get(id).is_some_and(|table| table.has_recovery == Some(true));
            table.has_recovery.get_or_insert(has_recovery);
            // Neither are tags, which a table has from its creation on.
            table.tags.extend(tags.clone());
            table.status = "ACTIVE".into();
        }
    }

    pub(super) fn queue(&mut self, id: QueueId, step: &QueueStep) {
        let queues = &mut self.world.queues;
        match (step, queues.get_mut(&id)) {
            (QueueStep::Create { name, attributes, tags }, _) => {
                // All queues of an account differ in the last part of their URLs alone, and a queue that is made again has
                // the URL that it had.
                let begins = queues.values().find_map(|other| other.url.rsplit_once('/'));
                let url = format!("{}/{name}", begins.map_or(NEW, |(begin, _)| begin));
                queues.insert(id, QueueState { tags: tags.clone(), url, attributes: attributes.clone() });
            }
            (QueueStep::Delete { .. }, _) => drop(queues.remove(&id)),
            (QueueStep::Set { attributes, .. }, Some(queue)) => queue.attributes.extend(attributes.clone()),
            (_, None) => {}
        }
    }

    /// Somebody has worked off what is in a queue.
    pub(super) fn work_off(&mut self, id: QueueId) {
        let Some(queue) = self.world.queues.get_mut(&id) else { return };
        for count in COUNTS {
            if let Some(count) = queue.attributes.get_mut(count) {
                "0".clone_into(count);
            }
        }
    }

    pub(super) fn topic(&mut self, id: TopicId, step: &TopicStep) {
        let arn = self.desired.names.topic_arn(id);
        let topics = &mut self.world.topics;
        match (step, topics.get_mut(&id)) {
            (TopicStep::Create { name: _, tags }, _) => {
                topics.insert(id, TopicState { tags: tags.clone(), arn, subscriptions: vec![] });
            }
            (TopicStep::Delete { .. }, _) => drop(topics.remove(&id)),
            (TopicStep::Subscribe { topic_arn: _, function_arn, dead_letters_arn }, Some(topic)) => {
                topic.subscriptions.push(SubscriptionState {
                    arn: NEW.into(),
                    protocol: "lambda".into(),
                    endpoint: function_arn.clone(),
                    dead_letters_arn: Some(dead_letters_arn.clone()),
                });
            }
            (TopicStep::SetDeadLetters { subscription_arn, dead_letters_arn }, Some(topic)) => {
                for found in topic.subscriptions.iter_mut().filter(|found| found.arn == *subscription_arn) {
                    found.dead_letters_arn = Some(dead_letters_arn.clone());
                }
            }
            (TopicStep::Unsubscribe { subscription_arn }, Some(topic)) => {
                topic.subscriptions.retain(|found| found.arn != *subscription_arn);
            }
            (_, None) => {}
        }
    }

    pub(super) fn log_group(&mut self, id: LogGroupId, step: &LogGroupStep) {
        let groups = &mut self.world.log_groups;
        match (step, groups.get_mut(&id)) {
            (LogGroupStep::Create { name: _, tags }, _) => {
                groups.insert(id, LogGroupState { tags: tags.clone(), retention_days: None });
            }
            (LogGroupStep::Delete { .. }, _) => drop(groups.remove(&id)),
            (LogGroupStep::SetRetention { days, .. }, Some(group)) => group.retention_days = Some(*days),
            (_, None) => {}
        }
    }
}
