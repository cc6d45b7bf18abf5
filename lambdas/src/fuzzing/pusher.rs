//! Push requests, the records that bring them, and the items that they become.

use std::collections::HashSet;

use serde_json::Value;
use sumu_contract::limits::{POST_BYTES_MAX, USER_ID_BYTES_MAX};
use sumu_contract::settings::EmptyUsers;

use crate::pusher::item::WorkItem;
use crate::pusher::json::compact;
use crate::pusher::record::{Origin, records};
use crate::pusher::request::{BadRequest, Notification, Target};
use crate::pusher::retry::{self, Unreached};

/// A request: what it says survives its way through the pusher's own queue.
pub fn push_request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let strict = Notification::parse(text, EmptyUsers::Reject);
    let notification = match Notification::parse(text, EmptyUsers::Broadcast) {
        Ok(notification) => notification,
        Err(reason) => {
            assert_ne!(reason, BadRequest::UsersEmpty);
            assert!(strict.is_err(), "the stricter rule takes more");
            return;
        }
    };
    match &strict {
        Ok(strict) => assert_same(strict, &notification),
        Err(reason) => {
            assert_eq!((*reason, &notification.target), (BadRequest::UsersEmpty, &Target::Everyone));
        }
    }
    let data = notification.data.get();
    assert!(data.len() <= POST_BYTES_MAX && compact(data) == data, "{data}");
    let unreached = match &notification.target {
        Target::Everyone => return,
        Target::Users(users) => {
            assert!(users.iter().all(|user| (1..=USER_ID_BYTES_MAX).contains(&user.len())));
            assert_eq!(users.iter().collect::<HashSet<_>>().len(), users.len(), "each once");
            Unreached::Users(users.clone())
        }
        Target::Connections(connections) => Unreached::Connections(connections.clone()),
    };
    let items = retry::rest(&notification, &unreached).ok();
    assert!(items.as_ref().is_some_and(|items| !items.is_empty()));
    let mut found = Vec::new();
    for item in items.iter().flatten() {
        let back = Notification::parse(item, EmptyUsers::Reject).ok();
        assert!(back.is_some(), "an item that cannot be read: {item}");
        let Some(back) = back else { return };
        assert_eq!((back.data.get(), &back.id, back.attempt), (data, &notification.id, notification.attempt));
        assert_eq!(back.expires_at, notification.expires_at);
        found.push(back.target);
    }
    let all = found.into_iter().reduce(|one, other| match (one, other) {
        (Target::Users(one), Target::Users(other)) => Target::Users([one, other].concat()),
        (Target::Connections(one), Target::Connections(other)) => Target::Connections([one, other].concat()),
        _ => Target::Everyone,
    });
    assert_eq!(all.as_ref(), Some(&notification.target), "somebody was lost between the items");
}

fn assert_same(one: &Notification, other: &Notification) {
    assert_eq!(one.target, other.target);
    assert_eq!(one.exclude_users, other.exclude_users);
    assert_eq!(one.exclude_connections, other.exclude_connections);
    assert_eq!(one.data.get(), other.data.get());
    assert_eq!((&one.id, one.expires_at, one.attempt), (&other.id, other.expires_at, other.attempt));
}

/// An event of SQS or SNS: each record is one, readable or not, and says where it is from.
pub fn pusher_event(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    let Some(records) = records(&event) else { return assert!(!event["Records"].is_array()) };
    assert_eq!(Some(records.len()), event["Records"].as_array().map(Vec::len), "a record was lost");
    for record in &records {
        let request = record.request();
        match &record.origin {
            Origin::Unknown => assert!(request.is_none() && record.id().is_none()),
            Origin::Queue { message_id, queue } => {
                assert_eq!(record.id(), Some(message_id.as_str()));
                assert!(record.is_from(queue) && !queue.contains(':'));
            }
            Origin::Topic { .. } => assert_eq!(request.as_ref(), Some(&record.body), "SNS does not wrap twice"),
        }
        if let Some(request) = request {
            push_request(request.as_bytes());
            work_item(request.as_bytes());
        }
    }
}

/// A work item: it reads back as it was written.
pub fn work_item(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(Ok(item)) = WorkItem::parse(text) else { return };
    let printed = item.text().unwrap_or_default();
    assert!(item.fits().is_ok_and(|fits| fits == (printed.len() <= 248 * 1024)));
    let back = WorkItem::parse(&printed);
    assert!(matches!(back, Some(Ok(_))), "an item that cannot be read: {printed}");
    let Some(Ok(back)) = back else { return };
    assert_eq!((&back.job, back.part, back.step, &back.ticket), (&item.job, item.part, item.step, &item.ticket));
    assert_eq!((back.attempt, &back.cursor), (item.attempt, &item.cursor));
    // Whatever it said, what is divided is a broadcast, and begins anew.
    let expected = Notification { target: Target::Everyone, attempt: 0, ..item.notification.clone() };
    assert_same(&back.notification, &expected);
    let next = item.followed(None, 0, "t".into());
    assert!(next.step > back.step || back.step == u64::MAX);
}
