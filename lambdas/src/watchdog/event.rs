//! What a batch of the connections table's stream says: whose presence may have changed. Pure.

use std::collections::HashMap;

use serde_json::Value;
use sumu_contract::connection::USER_ID;

/// A user named in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The user.
    pub user_id: String,
    /// The place in the batch of the first record that names it.
    pub place: usize,
    /// That record's sequence number.
    pub sequence_number: Option<String>,
}

/// The users named in a batch, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order of the stream.
    pub users: Vec<Named>,
    /// How many records there are.
    pub records: usize,
    /// How many of them name nobody. Their table is not ours, and no repetition would change that.
    pub unreadable: usize,
}

impl Batch {
    /// Reads a stream's event; `None` when it has no list of records.
    ///
    /// Only the key is looked at. Whether a record tells of an opening or of a closing does not matter: what is true
    /// is asked of the table, so that records may come twice, late or not at all.
    #[must_use]
    pub fn parse(event: &Value) -> Option<Self> {
        let records = event["Records"].as_array()?;
        let mut batch = Self { records: records.len(), ..Self::default() };
        let mut seen = HashMap::new();
        for (place, record) in records.iter().enumerate() {
            let change = &record["dynamodb"];
            let Some(user_id) = change["Keys"][USER_ID]["S"].as_str() else {
                batch.unreadable += 1;
                continue;
            };
            if seen.insert(user_id, place).is_none() {
                let sequence_number = change["SequenceNumber"].as_str().map(str::to_owned);
                batch.users.push(Named { user_id: user_id.to_owned(), place, sequence_number });
            }
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_user_is_named_once_at_its_first_place() {
        let record = |user: &str, number: &str| json!({"eventName": "INSERT", "dynamodb": {"Keys": {"user_id": {"S": user}}, "SequenceNumber": number}});
        let event = json!({"Records": [record("a", "9"), {"dynamodb": {}}, record("b", "10"), record("a", "11")]});
        let batch = Batch::parse(&event).unwrap();
        let named = |user: &str, place, number: &str| Named {
            user_id: user.into(),
            place,
            sequence_number: Some(number.into()),
        };
        assert_eq!(batch.users, [named("a", 0, "9"), named("b", 2, "10")]);
        assert_eq!((batch.records, batch.unreadable), (4, 1));
        assert_eq!(Batch::parse(&json!({})), None);
    }
}
