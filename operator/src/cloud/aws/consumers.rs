//! Consumers: event source mappings of AWS Lambda from the messages queue to the users' own functions.
//!
//! They are listed only while the messages queue notes that there may be some, or when there is no such queue that could
//! say so. Lambda looks at the function, its role and the queue when one is made, so what it refuses is mostly the user's
//! to mend: its words are told with the remedy.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionResponseType, ScalingConfig};
use futures::future::try_join_all;

use super::calls::remembered;
use super::lambda::Functions;
use super::recent::{KNOWN_FOR, Recent};
use super::{absent, deleted, failed, unexpected};
use crate::cloud::{CloudError, Kind};
use crate::desired::consumers::{ACTIONS, Consumer};
use crate::observed::{ConsumerState, QueueState};
use crate::plan::step::ConsumerStep;
use crate::stack::consumers::{is_noted, name, normal};
use crate::stack::name::{Names, Owner, QueueId, Tags};

/// What is known of them between two looks.
pub(super) struct Consumers {
    /// Tags by id, for glances.
    tags: Recent<Tags>,
    /// Those that we made lately and that lists may not show yet, by queue and id. A note that goes too early loses them.
    made: Recent<ConsumerState>,
}

impl Default for Consumers {
    fn default() -> Self {
        Self { tags: Recent::lasting(KNOWN_FOR), made: Recent::default() }
    }
}

impl Consumers {
    fn forget(&self, uuid: &str) {
        self.tags.forget(uuid);
        self.made.forget_where(|made| made.uuid == uuid);
    }
}

impl Functions {
    /// All that the messages queue feeds, whoever's it is, while there may be something of the owner's.
    pub(super) async fn read_consumers(
        &self,
        queues: &BTreeMap<QueueId, QueueState>,
        names: &Names,
        owner: &Owner,
    ) -> Result<Vec<ConsumerState>, CloudError> {
        let queue = queues.get(&QueueId::Messages).filter(|queue| owner.owns(&queue.tags));
        if queue.is_some_and(|queue| !is_noted(&queue.tags)) {
            return Ok(Vec::new());
        }
        let queue_arn = names.queue_arn(QueueId::Messages);
        let listed = self.list_sources(None, Some(queue_arn.clone())).await?.unwrap_or_default();
        let found = listed.into_iter().map(|found| self.with_tags(state(found), names, owner));
        let mut found: Vec<ConsumerState> = try_join_all(found).await?.into_iter().flatten().collect();
        for (uuid, made) in self.consumers.made.of(&made(&queue_arn, "")) {
            if found.iter().all(|found| found.uuid != uuid) {
                found.push(ConsumerState { is_ours: owner.owns(&made.tags), ..made });
            }
        }
        found.sort_by(|a, b| a.uuid.cmp(&b.uuid));
        Ok(found)
    }

    /// Nothing when it is gone meanwhile.
    async fn with_tags(
        &self,
        found: ConsumerState,
        names: &Names,
        owner: &Owner,
    ) -> Result<Option<ConsumerState>, CloudError> {
        let read = async {
            let answer = self.client.list_tags().resource(names.source_arn(&found.uuid)).send().await;
            let answer = answer.map_err(failed("ListTags", &found.uuid))?;
            Ok(answer.tags.unwrap_or_default().into_iter().collect::<Tags>())
        };
        let tags = absent(remembered(&self.consumers.tags, &found.uuid, Box::pin(read)).await)?;
        Ok(match tags {
            Some(tags) => Some(ConsumerState { is_ours: owner.owns(&tags), tags, ..found }),
            // Nothing is ever done to what goes, whoever's it was. But it is waited for: Lambda may still read the queue.
            None if found.state == "Deleting" => Some(ConsumerState { is_ours: true, ..found }),
            None => None,
        })
    }

    pub(super) async fn tag_consumer(&self, arn: &str, tags: &Tags) -> Result<(), CloudError> {
        self.consumers.forget(arn.rsplit(':').next().unwrap_or(arn));
        self.tag(arn, tags).await
    }

    pub(super) async fn untag_consumer(&self, arn: &str, keys: &[String]) -> Result<(), CloudError> {
        self.consumers.forget(arn.rsplit(':').next().unwrap_or(arn));
        self.untag(arn, keys).await
    }

    pub(super) async fn apply_consumer(&self, step: &ConsumerStep) -> Result<(), CloudError> {
        match step {
            ConsumerStep::Create { function_arn, queue_arn, consumer, tags } => {
                self.create_consumer(function_arn, queue_arn, consumer, tags).await
            }
            ConsumerStep::Update { function_arn, queue_arn, uuid, consumer } => {
                let call = self
                    .client
                    .update_event_source_mapping()
                    .uuid(uuid)
                    .enabled(true)
                    .batch_size(consumer.batch_size)
                    .maximum_batching_window_in_seconds(consumer.window_seconds)
                    .function_response_types(FunctionResponseType::ReportBatchItemFailures)
                    // An empty one takes the limit away; without one it would stay.
                    .scaling_config(scaling(consumer));
                let answer = call.send().await.map(drop);
                let answer = answer.map_err(failed("UpdateEventSourceMapping", name(function_arn)));
                answer.map_err(|error| advised(error, queue_arn))
            }
            ConsumerStep::Delete { function_arn, uuid } => {
                let answer = self.client.delete_event_source_mapping().uuid(uuid).send().await;
                deleted(answer.map_err(failed("DeleteEventSourceMapping", name(function_arn))))?;
                self.consumers.forget(uuid);
                Ok(())
            }
        }
    }

    async fn create_consumer(
        &self,
        function_arn: &str,
        queue_arn: &str,
        consumer: &Consumer,
        tags: &Tags,
    ) -> Result<(), CloudError> {
        const OPERATION: &str = "CreateEventSourceMapping";
        let call = self
            .client
            .create_event_source_mapping()
            .function_name(function_arn)
            .event_source_arn(queue_arn)
            .batch_size(consumer.batch_size)
            .maximum_batching_window_in_seconds(consumer.window_seconds)
            .function_response_types(FunctionResponseType::ReportBatchItemFailures)
            .set_scaling_config(consumer.concurrency_max.map(|_| scaling(consumer)))
            .set_tags(Some(tags.clone().into_iter().collect()));
        let answer = call.send().await.map_err(failed(OPERATION, name(function_arn)));
        let answer = answer.map_err(|error| advised(error, queue_arn))?;
        let uuid = answer.uuid.ok_or_else(|| unexpected(OPERATION, name(function_arn), "the answer has no id"))?;
        let state = ConsumerState {
            uuid: uuid.clone(),
            tags: tags.clone(),
            is_ours: true,
            function_arn: function_arn.to_owned(),
            state: answer.state.unwrap_or_else(|| "Creating".to_owned()),
            batch_size: consumer.batch_size,
            window_seconds: consumer.window_seconds,
            concurrency_max: consumer.concurrency_max,
            reports_item_failures: true,
        };
        self.consumers.made.put(&made(queue_arn, &uuid), state);
        Ok(())
    }
}

/// Under which name it is remembered that one was made.
fn made(queue_arn: &str, uuid: &str) -> String {
    format!("{queue_arn} {uuid}")
}

fn scaling(consumer: &Consumer) -> ScalingConfig {
    ScalingConfig::builder().set_maximum_concurrency(consumer.concurrency_max).build()
}

fn state(found: EventSourceMappingConfiguration) -> ConsumerState {
    let function_arn = normal(found.function_arn.as_deref().unwrap_or_default()).to_owned();
    ConsumerState {
        function_arn,
        reports_item_failures: found.function_response_types().contains(&FunctionResponseType::ReportBatchItemFailures),
        concurrency_max: found.scaling_config.and_then(|scaling| scaling.maximum_concurrency),
        uuid: found.uuid.unwrap_or_default(),
        state: found.state.unwrap_or_default(),
        batch_size: found.batch_size.unwrap_or_default(),
        window_seconds: found.maximum_batching_window_in_seconds.unwrap_or_default(),
        tags: Tags::new(),
        is_ours: false,
    }
}

/// Lambda's words with what a person can do. A right that is missing may also be one that has not spread yet.
fn advised(mut error: CloudError, queue_arn: &str) -> CloudError {
    let says = |words: &str| error.message.contains(words);
    let remedy = if says("does not have permissions") {
        let [first, second, third] = ACTIONS;
        format!(
            "allow the function's role {first}, {second} and {third} on {queue_arn}: status.messages.consumerPolicy is the \
             policy"
        )
    } else if error.kind == Kind::Denied {
        "the operator needs this right on functions of yours: docs/consumers.md has the statement".to_owned()
    } else if says("unction does not exist") || (error.kind == Kind::NotFound && error.operation.starts_with("Create"))
    {
        // The operator makes no function, so nothing is on its way. One that is made meanwhile is found soon.
        error.kind = Kind::Rejected;
        "make the function, or its version or alias, or name another in spec.messages.consumers".to_owned()
    } else if says("isibility timeout") {
        "raise spec.messages.visibilityTimeoutSeconds to at least the function's timeout, six times it is AWS's advice, or \
         lower the function's timeout"
            .to_owned()
    } else if error.kind == Kind::Rejected && (says("oncurrency") || says("oncurrent")) {
        "give the function more reserved concurrency, or its consumer a lower maximumConcurrency".to_owned()
    } else {
        return error;
    };
    error.message = format!("{}: {remedy}", error.message.trim_end_matches('.'));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:sumu-messages";

    fn refused(kind: Kind, message: &str) -> CloudError {
        let (resource, code) = ("chat".to_owned(), "InvalidParameterValueException".to_owned());
        advised(
            CloudError { operation: "CreateEventSourceMapping", resource, kind, code, message: message.to_owned() },
            QUEUE,
        )
    }

    #[test]
    fn what_lambda_refuses_is_told_in_its_words_and_with_the_remedy() {
        let cases = [
            (
                Kind::Propagating,
                "The function execution role does not have permissions to call ReceiveMessage on SQS",
                Kind::Propagating,
                "status.messages.consumerPolicy",
            ),
            (Kind::Propagating, "Function does not exist", Kind::Rejected, "make the function"),
            (Kind::NotFound, "Cannot find alias arn: a", Kind::Rejected, "make the function"),
            (
                Kind::Rejected,
                "Queue visibility timeout: 180 seconds is less than Function timeout: 900 seconds",
                Kind::Rejected,
                "raise spec.messages.visibilityTimeoutSeconds",
            ),
            (
                Kind::Rejected,
                "MaximumConcurrency is greater than the reserved concurrency.",
                Kind::Rejected,
                "a lower maximumConcurrency",
            ),
            (
                Kind::Denied,
                "not authorized to perform: lambda:CreateEventSourceMapping",
                Kind::Denied,
                "docs/consumers.md",
            ),
        ];
        for (kind, message, expected, remedy) in cases {
            let told = refused(kind, message);
            assert_eq!(told.kind, expected, "{message}");
            assert!(told.message.starts_with(message.trim_end_matches('.')), "{}", told.message);
            assert!(told.message.contains(remedy), "{}", told.message);
        }
        let rights = refused(Kind::Propagating, "does not have permissions").message;
        assert!(ACTIONS.iter().all(|action| rights.contains(action)) && rights.contains(QUEUE), "{rights}");
        assert_eq!(refused(Kind::Throttled, "Rate exceeded").message, "Rate exceeded");
    }

    #[test]
    fn a_mapping_reads_as_what_it_was_asked_to_be() {
        let found = EventSourceMappingConfiguration::builder()
            .uuid("1")
            .function_arn("arn:aws:lambda:eu-west-1:123456789012:function:chat:$LATEST")
            .state("Enabled")
            .batch_size(25)
            .maximum_batching_window_in_seconds(3)
            .scaling_config(ScalingConfig::builder().maximum_concurrency(7).build())
            .function_response_types(FunctionResponseType::ReportBatchItemFailures);
        let state = state(found.build());
        assert_eq!(state.function_arn, "arn:aws:lambda:eu-west-1:123456789012:function:chat");
        assert_eq!((state.batch_size, state.window_seconds, state.concurrency_max), (25, 3, Some(7)));
        assert!(state.is_resting() && state.reports_item_failures && !state.is_ours);
    }
}
