//! What is there before the functions: tables, queues, topics.

use sumu_operator::observed::{QueueState, SubscriptionState, TableState, TopicState};
use sumu_operator::stack::name::QueueId::{
    self, Messages, MessagesDeadLetters, Notifications, NotificationsDeadLetters,
};
use sumu_operator::stack::name::TableId::{self, Connections, Presence};
use sumu_operator::stack::name::TopicId;

use super::{Drift, retag};
use crate::cloud::World;

fn table(world: &mut World, id: TableId, change: impl FnOnce(&mut TableState)) {
    world.held.tables.get_mut(&id).map(change);
}

fn queue(world: &mut World, id: QueueId, change: impl FnOnce(&mut QueueState)) {
    world.held.queues.get_mut(&id).map(change);
}

fn attribute(world: &mut World, id: QueueId, key: &str, value: &str) {
    queue(world, id, |queue| drop(queue.attributes.insert(key.into(), value.into())));
}

fn topic(world: &mut World, id: TopicId, change: impl FnOnce(&mut TopicState)) {
    world.held.topics.get_mut(&id).map(change);
}

fn subscription(world: &mut World, change: impl FnOnce(&mut SubscriptionState)) {
    topic(world, TopicId::Notifications, |topic| {
        topic.subscriptions.first_mut().map(change);
    });
}

pub(super) const TABLES: &[Drift] = &[
    Drift {
        name: "the connections table is gone",
        change: |world| drop(world.held.tables.remove(&Connections)),
        // A new table has another stream, and the source of an event source cannot change.
        repair: &[
            "+ table connections (P-connections)",
            "~ table connections time to live by delete_at on",
            "- event source of watchdog",
            "+ event source connections stream to watchdog",
        ],
    },
    Drift {
        name: "the presence table is gone",
        change: |world| drop(world.held.tables.remove(&Presence)),
        repair: &["+ table presence (P-presence)"],
    },
    Drift {
        name: "the stream is off",
        change: |world| table(world, Connections, |table| table.stream_arn = None),
        repair: &[
            "~ table connections stream on",
            "- event source of watchdog",
            "+ event source connections stream to watchdog",
        ],
    },
    Drift {
        name: "the stream lacks the old images",
        change: |world| table(world, Connections, |table| (table.stream_arn, table.has_other_stream) = (None, true)),
        repair: &[
            "~ table connections stream off",
            "~ table connections stream on",
            "- event source of watchdog",
            "+ event source connections stream to watchdog",
        ],
    },
    Drift {
        name: "a stream where there should be none",
        change: |world| table(world, Presence, |table| table.stream_arn = Some("arn:stream".into())),
        repair: &["~ table presence stream off"],
    },
    Drift {
        name: "the time to live is off",
        change: |world| table(world, Connections, |table| table.ttl_attribute = None),
        repair: &["~ table connections time to live by delete_at on"],
    },
    Drift {
        name: "the time to live goes by another attribute",
        change: |world| table(world, Connections, |table| table.ttl_attribute = Some("expires".into())),
        repair: &[
            "~ table connections time to live by expires off",
            "~ table connections time to live by delete_at on",
        ],
    },
    Drift {
        name: "a table's tag",
        change: |world| table(world, Presence, |table| retag(&mut table.tags)),
        repair: &["~ table presence tags cost"],
    },
];

pub(super) const QUEUES: &[Drift] = &[
    Drift {
        name: "the notifications queue is gone",
        change: |world| drop(world.held.queues.remove(&Notifications)),
        repair: &["+ queue notifications (P-notifications)"],
    },
    Drift {
        name: "a dead-letter queue is gone",
        change: |world| drop(world.held.queues.remove(&NotificationsDeadLetters)),
        repair: &["+ queue notifications-dead-letters (P-notifications-dead-letters)"],
    },
    Drift {
        name: "the messages queues are gone",
        change: |world| world.held.queues.retain(|id, _| !matches!(id, Messages | MessagesDeadLetters)),
        repair: &["+ queue messages (P-messages)", "+ queue messages-dead-letters (P-messages-dead-letters)"],
    },
    Drift {
        name: "a visibility timeout shorter than the function's",
        change: |world| attribute(world, Notifications, "VisibilityTimeout", "30"),
        repair: &["~ queue notifications attributes VisibilityTimeout"],
    },
    Drift {
        name: "three attributes at once",
        change: |world| {
            for key in ["MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "DelaySeconds"] {
                attribute(world, MessagesDeadLetters, key, "60");
            }
        },
        repair: &[
            "~ queue messages-dead-letters attributes DelaySeconds, MessageRetentionPeriod, ReceiveMessageWaitTimeSeconds",
        ],
    },
    Drift {
        name: "no dead-letter queue is named",
        change: |world| queue(world, Messages, |queue| drop(queue.attributes.remove("RedrivePolicy"))),
        repair: &["~ queue messages attributes RedrivePolicy"],
    },
    Drift {
        name: "another dead-letter queue is named",
        change: |world| {
            let theirs = world.held.queues.get(&Messages).and_then(|queue| queue.attributes.get("RedrivePolicy"));
            let theirs = theirs.cloned().unwrap_or_default();
            attribute(world, Notifications, "RedrivePolicy", &theirs);
        },
        repair: &["~ queue notifications attributes RedrivePolicy"],
    },
    Drift {
        name: "a dead-letter queue no longer takes from SNS",
        change: |world| queue(world, NotificationsDeadLetters, |queue| drop(queue.attributes.remove("Policy"))),
        repair: &["~ queue notifications-dead-letters attributes Policy"],
    },
    Drift {
        name: "a queue's tag",
        change: |world| queue(world, Messages, |queue| retag(&mut queue.tags)),
        repair: &["~ queue messages tags cost"],
    },
];

pub(super) const TOPICS: &[Drift] = &[
    Drift {
        name: "the messages topic is gone",
        change: |world| drop(world.held.topics.remove(&TopicId::Messages)),
        repair: &["+ topic messages (P-messages)"],
    },
    Drift {
        name: "the notifications topic is gone",
        change: |world| drop(world.held.topics.remove(&TopicId::Notifications)),
        repair: &["+ topic notifications (P-notifications)", "+ subscription of the pusher to topic notifications"],
    },
    Drift {
        name: "the pusher is not subscribed",
        change: |world| topic(world, TopicId::Notifications, |topic| topic.subscriptions.clear()),
        repair: &["+ subscription of the pusher to topic notifications"],
    },
    Drift {
        name: "what cannot be delivered is lost",
        change: |world| subscription(world, |found| found.dead_letters_arn = None),
        repair: &["~ subscription of topic notifications dead-letter queue"],
    },
    Drift {
        name: "a topic's tag",
        change: |world| topic(world, TopicId::Messages, |topic| retag(&mut topic.tags)),
        repair: &["~ topic messages tags cost"],
    },
];
