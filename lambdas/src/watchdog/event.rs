//! What a batch says: whose presence may have changed. Pure.
//!
//! | from | names a user by | identifies a record by |
//! |---|---|---|
//! | the connections table's stream | the key of the row | its sequence number |
//! | the departures queue | a [`Departure`] | its message id |

use std::collections::HashMap;

use serde_json::Value;
use sumu_contract::connection::USER_ID;

use super::departure::Departure;

/// Where a batch comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feed {
    /// The connections table's stream: records are in order, and come again from a failed one on.
    #[default]
    Stream,
    /// The departures queue: messages are in no order, and each comes again alone.
    Departures,
}

impl Feed {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Departures => "departures",
        }
    }
}

/// A user named in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The user.
    pub user_id: String,
    /// The place in the batch of the first record that names it.
    pub place: usize,
    /// The newest version whose grace period is over. Of several only the newest can still be the item's.
    pub departed: Option<u64>,
    /// What Lambda calls the records that name it; nothing where a record has no identifier.
    pub identifiers: Vec<Option<String>>,
}

/// The users named in a batch, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Where it comes from.
    pub feed: Feed,
    /// In the order of the batch.
    pub users: Vec<Named>,
    /// How many records there are.
    pub records: usize,
    /// What Lambda calls the records that name nobody. They are none of ours, and no repetition would change that.
    pub unreadable: Vec<Option<String>>,
}

impl Batch {
    /// Reads an event; `None` when it has no list of records.
    ///
    /// Whether a stream's record tells of an opening or of a closing does not matter: what is true is asked of the
    /// table, so that records may come twice, late or not at all.
    #[must_use]
    pub fn parse(event: &Value) -> Option<Self> {
        let records = event["Records"].as_array()?;
        // Lambda never mixes sources in one batch.
        let is_queue = records.first().is_some_and(|record| record["eventSource"] == "aws:sqs");
        let feed = if is_queue { Feed::Departures } else { Feed::Stream };
        let mut batch = Self { feed, records: records.len(), ..Self::default() };
        let mut places: HashMap<String, usize> = HashMap::new();
        for (place, record) in records.iter().enumerate() {
            let (identifier, named) = read(feed, record);
            let Some((user_id, departed)) = named else {
                batch.unreadable.push(identifier);
                continue;
            };
            let index = *places.entry(user_id.clone()).or_insert(batch.users.len());
            match batch.users.get_mut(index) {
                Some(known) => {
                    known.departed = known.departed.max(departed);
                    known.identifiers.push(identifier);
                }
                None => batch.users.push(Named { user_id, place, departed, identifiers: vec![identifier] }),
            }
        }
        Some(batch)
    }

    /// What Lambda calls the records that must come again; `None` when one of them cannot be named.
    #[must_use]
    pub fn to_repeat(&self, failed: &[&Named]) -> Option<Vec<String>> {
        match self.feed {
            // A batch is in the order of its shard, so the first place has the lowest sequence number.
            Feed::Stream => {
                let first = failed.iter().min_by_key(|named| named.place);
                first.map(|named| named.identifiers.first().cloned().flatten()).into_iter().collect()
            }
            // What is unreadable goes the way of what fails for ever: to the dead-letter queue.
            Feed::Departures => {
                failed.iter().flat_map(|named| &named.identifiers).chain(&self.unreadable).cloned().collect()
            }
        }
    }
}

/// A record's identifier, and whom it names, with the version whose grace period is over.
fn read(feed: Feed, record: &Value) -> (Option<String>, Option<(String, Option<u64>)>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match feed {
        Feed::Stream => {
            let change = &record["dynamodb"];
            (text(&change["SequenceNumber"]), text(&change["Keys"][USER_ID]["S"]).map(|user_id| (user_id, None)))
        }
        Feed::Departures => {
            let departure = record["body"].as_str().and_then(Departure::parse);
            (text(&record["messageId"]), departure.map(|departure| (departure.user_id, Some(departure.version))))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(user: &str, place: usize, departed: Option<u64>, identifiers: &[&str]) -> Named {
        let identifiers = identifiers.iter().map(|identifier| Some((*identifier).to_owned())).collect();
        Named { user_id: user.into(), place, departed, identifiers }
    }

    #[test]
    fn each_user_is_named_once_at_its_first_place() {
        let record = |user: &str, number: &str| json!({"eventName": "INSERT", "dynamodb": {"Keys": {"user_id": {"S": user}}, "SequenceNumber": number}});
        let event = json!({"Records": [record("a", "9"), {"dynamodb": {}}, record("b", "10"), record("a", "11")]});
        let batch = Batch::parse(&event).unwrap();
        assert_eq!(batch.users, [named("a", 0, None, &["9", "11"]), named("b", 2, None, &["10"])]);
        assert_eq!((batch.feed, batch.records, batch.unreadable.len()), (Feed::Stream, 4, 1));
        let all: Vec<&Named> = batch.users.iter().rev().collect();
        assert_eq!(batch.to_repeat(&all), Some(vec!["9".to_owned()]), "the lowest, not the least as a text");
        assert_eq!(batch.to_repeat(&[]), Some(Vec::new()));
        assert_eq!(Batch::parse(&json!({})), None);
    }

    #[test]
    fn of_several_departures_of_a_user_the_newest_counts_and_all_come_again() {
        let message = |id: &str, body: &str| json!({"eventSource": "aws:sqs", "messageId": id, "body": body});
        let event = json!({"Records": [
            message("m1", r#"{"user_id":"a:1","version":7}"#),
            message("m2", "nonsense"),
            message("m3", r#"{"user_id":"a:1","version":5}"#),
            message("m4", r#"{"user_id":"b","version":2}"#),
        ]});
        let batch = Batch::parse(&event).unwrap();
        assert_eq!(batch.feed, Feed::Departures);
        assert_eq!(batch.users, [named("a:1", 0, Some(7), &["m1", "m3"]), named("b", 3, Some(2), &["m4"])]);
        let again = batch.to_repeat(&[&batch.users[0]]).unwrap();
        assert_eq!(again, ["m1", "m3", "m2"], "what cannot be read must not be taken for done");
    }

    #[test]
    fn a_failed_record_without_an_identifier_cannot_be_named() {
        for record in [
            json!({"dynamodb": {"Keys": {"user_id": {"S": "a"}}}}),
            json!({"eventSource": "aws:sqs", "body": r#"{"user_id":"a","version":1}"#}),
        ] {
            let batch = Batch::parse(&json!({"Records": [record]})).unwrap();
            assert_eq!(batch.to_repeat(&[&batch.users[0]]), None);
        }
    }
}
