//! What feeds the users' own functions from the messages queue. Everything that it feeds is found by asking for it, so
//! what is watched here is that it is asked for, and whose it is.

use sumu_operator::cloud::{CloudError, Kind};
use sumu_operator::desired::consumers::Consumer;
use sumu_operator::observed::ConsumerState;
use sumu_operator::plan::step::ConsumerStep;
use sumu_operator::stack::consumers::is_noted;
use sumu_operator::stack::name::{QueueId, Tags};

use super::{Answer, Work, World, refusal, refuse};

impl World {
    pub(super) fn consumer_call(&mut self, step: &ConsumerStep) -> Answer {
        match step {
            ConsumerStep::Create { function_arn, queue_arn, consumer, tags } => {
                assert_eq!(*queue_arn, self.names.queue_arn(QueueId::Messages));
                self.create_consumer(function_arn, consumer, tags)
            }
            ConsumerStep::Update { function_arn, uuid, consumer, .. } => {
                self.users_function("UpdateEventSourceMapping", function_arn)?;
                let found = self.resting_consumer("UpdateEventSourceMapping", uuid, function_arn)?;
                found.state = "Updating".into();
                set(found, consumer);
                self.begin(Work::Source(uuid.clone()), self.pace.source);
                Ok(())
            }
            ConsumerStep::Delete { function_arn, uuid } => {
                if self.held.consumers.iter().all(|found| found.uuid != *uuid) {
                    return Ok(());
                }
                self.resting_consumer("DeleteEventSourceMapping", uuid, function_arn)?.state = "Deleting".into();
                self.begin(Work::Source(uuid.clone()), self.pace.source);
                Ok(())
            }
        }
    }

    fn create_consumer(&mut self, function_arn: &str, consumer: &Consumer, tags: &Tags) -> Answer {
        const OPERATION: &str = "CreateEventSourceMapping";
        assert!(self.owner.owns(tags), "a consumer without the owner's tags");
        self.users_function(OPERATION, function_arn)?;
        let Some(queue) = self.held.queues.get(&QueueId::Messages) else {
            return refuse(OPERATION, function_arn, Kind::Propagating, "NonExistentQueue");
        };
        assert!(is_noted(&queue.tags), "nothing notes that there are consumers, so this one cannot be found again");
        if self.held.consumers.iter().any(|found| found.function_arn == function_arn) {
            let message = "An event source mapping already exists. Please update or delete the existing mapping";
            return refuse(OPERATION, function_arn, Kind::AlreadyExists, message);
        }
        let uuid = self.next_id();
        let mut state = ConsumerState {
            uuid: uuid.clone(),
            tags: tags.clone(),
            function_arn: function_arn.to_owned(),
            state: "Creating".into(),
            ..ConsumerState::default()
        };
        set(&mut state, consumer);
        self.held.consumers.push(state);
        self.begin(Work::Source(uuid), self.pace.source);
        Ok(())
    }

    fn users_function(&self, operation: &'static str, function_arn: &str) -> Answer {
        match self.refused.get(function_arn) {
            Some((kind, message)) => refuse(operation, function_arn, *kind, message),
            None => Ok(()),
        }
    }

    fn own_consumer(
        &mut self,
        operation: &'static str,
        uuid: &str,
        function_arn: &str,
    ) -> Result<&mut ConsumerState, CloudError> {
        let missing = || refusal(operation, uuid, Kind::NotFound, "The resource you requested does not exist.");
        let found = self.held.consumers.iter().position(|found| found.uuid == uuid).ok_or_else(missing)?;
        self.must_own(format!("the event source of {function_arn}"), &self.held.consumers[found].tags);
        let found = &mut self.held.consumers[found];
        assert_eq!(found.function_arn, function_arn, "the event source of another function");
        Ok(found)
    }

    fn resting_consumer(
        &mut self,
        operation: &'static str,
        uuid: &str,
        function_arn: &str,
    ) -> Result<&mut ConsumerState, CloudError> {
        let found = self.own_consumer(operation, uuid, function_arn)?;
        if found.is_resting() {
            return Ok(found);
        }
        Err(refusal(operation, uuid, Kind::Busy, "Cannot change the event source mapping because it is in use."))
    }

    /// A function that something of the owner's feeds, if there is one.
    pub(super) fn our_consumer(&self) -> Option<String> {
        let found = self.held.consumers.iter().find(|found| self.owner.owns(&found.tags));
        found.map(|found| found.function_arn.clone())
    }

    /// What a look shows, as the adapter looks: only while there may be something of the owner's.
    pub(super) fn visible_consumers(&self) -> Vec<ConsumerState> {
        let queue = self.held.queues.get(&QueueId::Messages).filter(|queue| self.owner.owns(&queue.tags));
        if queue.is_some_and(|queue| !is_noted(&queue.tags)) {
            return Vec::new();
        }
        let all = self.held.consumers.iter().cloned();
        let mut seen: Vec<ConsumerState> =
            all.map(|found| ConsumerState { is_ours: self.owner.owns(&found.tags), ..found }).collect();
        seen.sort_by(|a, b| a.uuid.cmp(&b.uuid));
        seen
    }
}

/// Without `..`: a new setting must not be lost here.
fn set(state: &mut ConsumerState, consumer: &Consumer) {
    let Consumer { batch_size, window_seconds, concurrency_max } = consumer;
    (state.batch_size, state.window_seconds) = (*batch_size, *window_seconds);
    state.concurrency_max = *concurrency_max;
    state.reports_item_failures = true;
}
