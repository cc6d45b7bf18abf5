//! The users' own functions that the messages queue feeds, and what their roles must be allowed to do.

use std::collections::BTreeMap;

use sumu_contract::Function;

use super::policy::{Document, Statement};
use crate::stack::consumers::name;
use crate::stack::name::{Names, QueueId};
use crate::stack::{Invalid, StackSpec};

/// What Lambda does with a queue as the function's role.
pub const ACTIONS: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// How the messages queue feeds a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The most messages in one invocation.
    pub batch_size: i32,
    /// How long messages are gathered.
    pub window_seconds: i32,
    /// The most copies of the function at once.
    pub concurrency_max: Option<i32>,
}

/// The policy with which a role can receive from the messages queue.
#[must_use]
pub fn role_policy(names: &Names) -> Document {
    Document::of([Statement::allow("SumuMessages", ACTIONS, [names.queue_arn(QueueId::Messages)])])
}

/// The consumers of a stack, by their functions' ARNs.
///
/// # Errors
/// When a function is in another account, where the operator makes nothing, or one of the stack's own.
pub(super) fn of(spec: &StackSpec, names: &Names) -> Result<BTreeMap<String, Consumer>, Invalid> {
    let account = &names.account().id;
    let mut consumers = BTreeMap::new();
    for consumer in &spec.consumers {
        let arn = &consumer.function_arn;
        if let Some(other) = arn.split(':').nth(4).filter(|other| other != account) {
            return Err(Invalid(format!(
                "spec.messages.consumers: function {arn} is in account {other} and the stack in {account}: what feeds a \
                 function is made in the function's account; name a function in {account}, or make the event source in \
                 {other} and let its role receive by a statement in the policy of the messages queue"
            )));
        }
        let function = name(arn).split(':').next().unwrap_or_default();
        if Function::ALL.into_iter().any(|own| names.function(own) == function) {
            return Err(Invalid(format!(
                "spec.messages.consumers names {function}, one of the stack's own functions: name one of yours"
            )));
        }
        // The CRD's limits are far below these.
        let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let consumer = Consumer {
            batch_size: number(consumer.batch_size),
            window_seconds: number(consumer.maximum_batching_window_seconds),
            concurrency_max: consumer.maximum_concurrency.map(number),
        };
        consumers.insert(arn.clone(), consumer);
    }
    Ok(consumers)
}
