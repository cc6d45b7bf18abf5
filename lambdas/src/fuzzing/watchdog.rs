//! Batches of the connections table's stream and of the departures queue.

use std::collections::HashSet;

use serde_json::Value;

use crate::watchdog::event::{Batch, Feed};

/// A batch: each user is named once, at the first record that names it, and no record is lost.
pub fn watchdog_event(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    let Some(batch) = Batch::parse(&event) else { return assert!(!event["Records"].is_array()) };
    let records = event["Records"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(batch.records, records.len());
    let users: HashSet<&str> = batch.users.iter().map(|named| named.user_id.as_str()).collect();
    assert_eq!(users.len(), batch.users.len(), "each once");
    assert!(batch.users.is_sorted_by(|one, other| one.place < other.place), "in the order of the batch");
    let readable: usize = batch.users.iter().map(|named| named.identifiers.len()).sum();
    assert_eq!(readable + batch.unreadable.len(), batch.records);
    let user = |record: &Value| record["dynamodb"]["Keys"]["user_id"]["S"].as_str().map(str::to_owned);
    for named in &batch.users {
        let record = &records[named.place];
        let identifier = match batch.feed {
            Feed::Stream => &record["dynamodb"]["SequenceNumber"],
            Feed::Departures => &record["messageId"],
        };
        assert_eq!(named.identifiers[0].as_deref(), identifier.as_str());
        if batch.feed == Feed::Stream {
            let first = records.iter().position(|record| user(record).as_deref() == Some(&named.user_id));
            assert_eq!(first, Some(named.place));
        }
    }
    if batch.feed == Feed::Stream {
        let of_users = records.iter().filter(|record| user(record).is_some_and(|user| users.contains(user.as_str())));
        assert_eq!(of_users.count(), readable);
    }
}
