//! Retry items: what could not be delivered now, on its way to the pushes queue and back. Pure.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::value::RawValue;

use super::request::{Notification, Recipient};

/// The largest retry item. Queues may be set to refuse more than 256 KiB.
const ITEM_BYTES_MAX: usize = 240 * 1024;

/// The first delay; each further one doubles.
const DELAY_SECONDS: u32 = 5;

/// The longest delay that SQS knows.
const DELAY_SECONDS_MAX: u32 = 900;

/// Whom a notification did not reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// Users whose connections could not be read.
    Users(Vec<String>),
    /// Connections that could not be posted to.
    Connections(Vec<Recipient>),
}

/// What becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are tried again.
    Later {
        /// The retry items.
        items: Vec<String>,
        /// When.
        delay_seconds: u32,
    },
    /// They were tried often enough; the same items are for the dead-letter queue, from which they can be redriven.
    Exhausted {
        /// The items.
        items: Vec<String>,
    },
    /// By then the notification is worth nothing any more.
    Expired,
}

/// The explicit form of a request, with `attempt`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item<'a> {
    target: Target<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude: Option<Exclude<'a>>,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    attempt: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Target<'a> {
    Users(&'a [String]),
    Connections(&'a [Recipient]),
    Broadcast(bool),
}

#[derive(Serialize)]
struct Exclude<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    connections: Vec<&'a str>,
}

/// Decides what becomes of those whom this attempt did not reach. `now` is in epoch milliseconds.
pub fn fate(
    notification: &Notification,
    unreached: &Unreached,
    max_attempts: u32,
    now: u64,
) -> Result<Fate, serde_json::Error> {
    let made = notification.attempt.saturating_add(1);
    if made >= max_attempts {
        return Ok(Fate::Exhausted { items: items(notification, unreached, made)? });
    }
    let delay_seconds = delay_seconds(made);
    if notification.is_expired(now.saturating_add(u64::from(delay_seconds) * 1000)) {
        return Ok(Fate::Expired);
    }
    Ok(Fate::Later { items: items(notification, unreached, made)?, delay_seconds })
}

/// The items for those whose turn did not come before the invocation's time was up: that was no attempt.
pub fn rest(notification: &Notification, unreached: &Unreached) -> Result<Vec<String>, serde_json::Error> {
    items(notification, unreached, notification.attempt)
}

/// A broadcast as its work items carry it.
#[must_use]
pub fn broadcast(notification: &Notification) -> Item<'_> {
    item(notification, Target::Broadcast(true), 0)
}

/// How long after `made` attempts the next one comes.
#[must_use]
pub fn delay_seconds(made: u32) -> u32 {
    let doublings = made.saturating_sub(1).min(16);
    DELAY_SECONDS.saturating_mul(1 << doublings).min(DELAY_SECONDS_MAX)
}

fn items(notification: &Notification, unreached: &Unreached, attempt: u32) -> Result<Vec<String>, serde_json::Error> {
    let item = |target| serde_json::to_string(&item(notification, target, attempt));
    match unreached {
        Unreached::Users(users) => {
            let room = ITEM_BYTES_MAX.saturating_sub(item(Target::Users(&[]))?.len());
            chunks(users, room)?.into_iter().map(|users| item(Target::Users(users))).collect()
        }
        Unreached::Connections(connections) => {
            let room = ITEM_BYTES_MAX.saturating_sub(item(Target::Connections(&[]))?.len());
            chunks(connections, room)?.into_iter().map(|connections| item(Target::Connections(connections))).collect()
        }
    }
}

fn item<'a>(notification: &'a Notification, target: Target<'a>, attempt: u32) -> Item<'a> {
    let all = |ids: &'a HashSet<String>| ids.iter().map(String::as_str).collect();
    let exclude = match target {
        // Who is excluded was left out before.
        Target::Connections(_) => None,
        // A user's excluded connections are only found when they are read.
        Target::Users(_) => Some(Exclude { users: Vec::new(), connections: all(&notification.exclude_connections) }),
        Target::Broadcast(_) => Some(Exclude {
            users: all(&notification.exclude_users),
            connections: all(&notification.exclude_connections),
        }),
    };
    let exclude = exclude.filter(|exclude| !exclude.users.is_empty() || !exclude.connections.is_empty());
    Item {
        target,
        exclude,
        data: &notification.data,
        id: notification.id.as_deref(),
        expires_at: notification.expires_at,
        attempt,
    }
}

/// Slices whose JSON fits into `room` bytes each; one that does not fit alone stands alone.
fn chunks<T: Serialize>(all: &[T], room: usize) -> Result<Vec<&[T]>, serde_json::Error> {
    let mut chunks = Vec::new();
    let mut rest = all;
    while !rest.is_empty() {
        let mut size = 0;
        let mut count = 0;
        for entry in rest {
            size += serde_json::to_string(entry)?.len() + 1;
            if size > room && count > 0 {
                break;
            }
            count += 1;
        }
        let (chunk, others) = rest.split_at(count);
        chunks.push(chunk);
        rest = others;
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use sumu_contract::settings::EmptyUsers;

    use super::*;

    fn notification(extra: &str) -> Notification {
        let text = format!(r#"{{"target":{{"broadcast":true}},"data":{{"b":1.0,"a":"م"}},"id":"n"{extra}}}"#);
        Notification::parse(&text, EmptyUsers::Reject).unwrap()
    }

    fn rows(count: usize) -> Unreached {
        let row = |n| Recipient::Row { user_id: "u".repeat(500), connection_id: format!("c{n}="), connected_at: 7 };
        Unreached::Connections((0..count).map(row).collect())
    }

    #[test]
    fn an_item_says_what_the_request_said() {
        let unreached = Unreached::Connections(vec![
            Recipient::Bare("b".into()),
            Recipient::Row { user_id: "u".into(), connection_id: "c".into(), connected_at: 7 },
        ]);
        let fate = fate(&notification(r#","expiresAt":900"#), &unreached, 5, 0).unwrap();
        let item = r#"{"target":{"connections":["b",{"user_id":"u","connection_id":"c","connected_at":7}]},"data":{"b":1.0,"a":"م"},"id":"n","expiresAt":900,"attempt":1}"#;
        assert_eq!(fate, Fate::Later { items: vec![item.into()], delay_seconds: 5 });
    }

    #[test]
    fn an_item_reads_back_as_it_was_written() {
        let Fate::Later { items, .. } = fate(&notification(""), &rows(3), 5, 0).unwrap() else { panic!() };
        let back = Notification::parse(&items[0], EmptyUsers::Reject).unwrap();
        let Unreached::Connections(expected) = rows(3) else { panic!() };
        assert_eq!(back.target, crate::pusher::request::Target::Connections(expected));
        assert_eq!((back.attempt, back.data.get()), (1, r#"{"b":1.0,"a":"م"}"#));
    }

    #[test]
    fn items_are_split_below_the_limit_and_nobody_is_lost() {
        let Fate::Later { items, .. } = fate(&notification(""), &rows(2000), 5, 0).unwrap() else { panic!() };
        assert!(items.len() > 1);
        let mut count = 0;
        for item in &items {
            assert!(item.len() <= ITEM_BYTES_MAX);
            let back = Notification::parse(item, EmptyUsers::Reject).unwrap();
            let crate::pusher::request::Target::Connections(connections) = back.target else { panic!() };
            count += connections.len();
        }
        assert_eq!(count, 2000);
    }

    #[test]
    fn delays_grow_and_attempts_end() {
        let delays: Vec<u32> = (1..=10).map(delay_seconds).collect();
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(delay_seconds(u32::MAX), 900);
        let last = fate(&notification(r#","attempt":4"#), &rows(1), 5, 0).unwrap();
        assert!(matches!(last, Fate::Exhausted { .. }));
    }

    #[test]
    fn nothing_is_tried_after_it_has_expired() {
        let notification = notification(r#","expiresAt":104"#);
        assert!(matches!(fate(&notification, &rows(1), 5, 99_999).unwrap(), Fate::Later { .. }));
        assert_eq!(fate(&notification, &rows(1), 5, 100_000).unwrap(), Fate::Expired);
    }

    #[test]
    fn users_keep_the_connections_that_are_excluded() {
        let text = r#"{"target":{"users":["u"]},"exclude":{"connections":["c"],"users":["x"]},"data":1}"#;
        let notification = Notification::parse(text, EmptyUsers::Reject).unwrap();
        let unreached = Unreached::Users(vec!["u".into()]);
        let Fate::Later { items, .. } = fate(&notification, &unreached, 5, 0).unwrap() else { panic!() };
        assert_eq!(items, [r#"{"target":{"users":["u"]},"exclude":{"connections":["c"]},"data":1,"attempt":1}"#]);
    }
}
