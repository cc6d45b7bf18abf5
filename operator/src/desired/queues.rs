//! The queues in and out and the pusher's own, each with its dead-letter queue.

use std::collections::BTreeMap;

use sumu_contract::Function;

use super::policy::{Document, Statement};
use crate::stack::StackSpec;
use crate::stack::name::{Names, QueueId, TopicId};

/// An SQS queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// How long a message that was received stays hidden.
    pub visibility_timeout_seconds: i32,
    /// How long a message is kept.
    pub retention_seconds: i32,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
    /// Who may send, beside whom IAM allows.
    pub policy: Option<Document>,
}

/// Where messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The dead-letter queue.
    pub dead_letters: QueueId,
    /// How often is too often.
    pub receives_max: i32,
}

/// SQS's longest long poll: fewer empty receives to pay for.
pub const RECEIVE_WAIT_SECONDS: i32 = 20;

const DAY: i32 = 24 * 60 * 60;
const RECEIVES_MAX: i32 = 5;
/// AWS advises six times the function's timeout, so that a throttled function's batch is not received twice.
const VISIBILITY_PER_TIMEOUT: i32 = 6;
/// The queues of a stack.
pub(super) fn of(names: &Names, spec: &StackSpec) -> BTreeMap<QueueId, Queue> {
    let hiding = |visibility_timeout_seconds, dead_letters| Queue {
        visibility_timeout_seconds,
        retention_seconds: 4 * DAY,
        redrive: Some(Redrive { dead_letters, receives_max: RECEIVES_MAX }),
        policy: None,
    };
    let source = |timeout: i32, dead_letters| hiding(VISIBILITY_PER_TIMEOUT * timeout, dead_letters);
    // The CRD allows at most 43,200.
    let of_messages = i32::try_from(spec.messages_visibility_seconds).unwrap_or(i32::MAX);
    let dead_letters =
        |policy| Queue { visibility_timeout_seconds: 30, retention_seconds: 14 * DAY, redrive: None, policy };
    let mut queues = BTreeMap::from([
        (QueueId::Notifications, source(Function::Pusher.timeout_seconds(), QueueId::NotificationsDeadLetters)),
        (
            QueueId::NotificationsDeadLetters,
            dead_letters(Some(accept_undelivered(names, QueueId::NotificationsDeadLetters, TopicId::Notifications))),
        ),
        (QueueId::Messages, hiding(of_messages, QueueId::MessagesDeadLetters)),
        (QueueId::MessagesDeadLetters, dead_letters(None)),
        (QueueId::Pushes, source(Function::Pusher.timeout_seconds(), QueueId::PushesDeadLetters)),
        (QueueId::PushesDeadLetters, dead_letters(None)),
        (QueueId::PresenceDeadLetters, dead_letters(None)),
    ]);
    if spec.grace_period_seconds > 0 {
        let departures = source(Function::Watchdog.timeout_seconds(), QueueId::PresenceDeadLetters);
        queues.insert(QueueId::Departures, departures);
    }
    if !spec.subscriptions.is_empty() {
        let policy = accept_undelivered(names, QueueId::SubscriptionsDeadLetters, TopicId::Messages);
        queues.insert(QueueId::SubscriptionsDeadLetters, dead_letters(Some(policy)));
    }
    queues
}

/// SNS puts what it cannot deliver to the pusher into the dead-letter queue of the notifications, and what it cannot
/// deliver to the users' subscriptions into one that is for nothing else.
fn accept_undelivered(names: &Names, queue: QueueId, topic: TopicId) -> Document {
    Document::of([Statement::allow("SnsRedrive", ["sqs:SendMessage"], [names.queue_arn(queue)])
        .by_service("sns.amazonaws.com")
        .when("ArnEquals", "aws:SourceArn", names.topic_arn(topic))])
}
