//! The records of an event, each for itself. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::ports::{Attribute, AttributeValue};

/// How a record reached us, which decides how its failure is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A queue: a failure is reported by the message's id.
    Queue {
        /// The message's id.
        message_id: String,
        /// The queue's name.
        queue: String,
    },
    /// The notifications topic: a failure fails the invocation.
    Topic {
        /// The message's id, if it has one. It is the same when the invocation is repeated.
        message_id: Option<String>,
    },
    /// Neither.
    Unknown,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How it reached us.
    pub origin: Origin,
    /// Its text as it came.
    pub body: String,
    /// The attributes beside it.
    pub attributes: Vec<Attribute>,
    /// When it was sent (epoch milliseconds), as the queue or the topic says.
    pub sent_at: Option<u64>,
}

impl Record {
    /// The id that logs name it by.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match &self.origin {
            Origin::Queue { message_id, .. } => Some(message_id),
            Origin::Topic { message_id } => message_id.as_deref(),
            Origin::Unknown => None,
        }
    }

    /// Whether it was on the queue of this name.
    #[must_use]
    pub fn is_from(&self, name: &str) -> bool {
        matches!(&self.origin, Origin::Queue { queue, .. } if queue == name)
    }

    /// The text of the push request: the body, or the message in it when a topic feeds the queue without raw delivery.
    #[must_use]
    pub fn request(&self) -> Option<String> {
        match &self.origin {
            Origin::Queue { .. } => match serde_json::from_str::<Envelope>(&self.body) {
                Ok(envelope) if envelope.kind == "Notification" => Some(envelope.message),
                _ => Some(self.body.clone()),
            },
            Origin::Topic { .. } => Some(self.body.clone()),
            Origin::Unknown => None,
        }
    }
}

/// What SNS wraps a message in. All three members must be there: a push request has none of them.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "TopicArn")]
    _topic: String,
    #[serde(rename = "Message")]
    message: String,
}

/// The records of an event; `None` when it has no list of them.
#[must_use]
pub fn records(event: &Value) -> Option<Vec<Record>> {
    Some(event["Records"].as_array()?.iter().map(record).collect())
}

fn record(record: &Value) -> Record {
    if let (Some(id), Some(body)) = (record["messageId"].as_str(), record["body"].as_str()) {
        let attributes = attributes(&record["messageAttributes"], "dataType", "stringValue", "binaryValue");
        let arn = record["eventSourceARN"].as_str().unwrap_or_default();
        let queue = arn.rsplit(':').next().unwrap_or_default().to_owned();
        let origin = Origin::Queue { message_id: id.to_owned(), queue };
        let sent_at = record["attributes"]["SentTimestamp"].as_str().and_then(|time| time.parse().ok());
        return Record { origin, body: body.to_owned(), attributes, sent_at };
    }
    let notification = &record["Sns"];
    if let Some(body) = notification["Message"].as_str() {
        let attributes = attributes(&notification["MessageAttributes"], "Type", "Value", "Value");
        let message_id = notification["MessageId"].as_str().map(ToOwned::to_owned);
        let sent_at = notification["Timestamp"].as_str().and_then(epoch_ms);
        return Record { origin: Origin::Topic { message_id }, body: body.to_owned(), attributes, sent_at };
    }
    Record { origin: Origin::Unknown, body: record.to_string(), attributes: Vec::new(), sent_at: None }
}

/// A time as SNS writes it.
fn epoch_ms(time: &str) -> Option<u64> {
    let time: jiff::Timestamp = time.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

fn attributes(attributes: &Value, data_type: &str, text: &str, bytes: &str) -> Vec<Attribute> {
    let Some(attributes) = attributes.as_object() else { return Vec::new() };
    let attribute = |(name, attribute): (&String, &Value)| {
        let data_type = attribute[data_type].as_str()?;
        let value = if data_type.starts_with("Binary") {
            AttributeValue::Bytes(STANDARD.decode(attribute[bytes].as_str()?).ok()?)
        } else {
            AttributeValue::Text(attribute[text].as_str()?.to_owned())
        };
        // SNS has lists, SQS does not know them; their text is what matters.
        let data_type = if data_type == "String.Array" { "String" } else { data_type };
        Some(Attribute { name: name.clone(), data_type: data_type.to_owned(), value })
    };
    attributes.iter().filter_map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_of_queue_and_topic_may_be_mixed() {
        let event = json!({"Records": [
            {"messageId": "m1", "eventSource": "aws:sqs", "body": "one",
             "attributes": {"SentTimestamp": "1700000000123", "ApproximateReceiveCount": "1"},
             "messageAttributes": {"a": {"dataType": "Number", "stringValue": "7"},
                                   "b": {"dataType": "Binary", "binaryValue": "AAE="}}},
            {"EventSource": "aws:sns", "Sns": {"Message": "two", "Timestamp": "2023-11-14T22:13:20.123Z",
             "MessageAttributes": {"c": {"Type": "String", "Value": "x"}}}},
            {"something": "else"},
        ]});
        let records = records(&event).unwrap();
        assert_eq!(records[0].id(), Some("m1"));
        assert_eq!(records[0].request().as_deref(), Some("one"));
        assert!(records[0].attributes.contains(&Attribute::number("a", 7)));
        assert!(records[0].attributes.iter().any(|a| a.value == AttributeValue::Bytes(vec![0, 1])));
        assert_eq!((&records[1].origin, records[1].body.as_str()), (&Origin::Topic { message_id: None }, "two"));
        assert_eq!(records[1].attributes, [Attribute::text("c", "x")]);
        assert_eq!(records[2].request(), None);
        let sent_at: Vec<Option<u64>> = records.iter().map(|record| record.sent_at).collect();
        assert_eq!(sent_at, [Some(1_700_000_000_123), Some(1_700_000_000_123), None]);
    }

    #[test]
    fn an_envelope_in_a_queue_is_opened_once_and_only_if_it_is_one() {
        let of = |body: Value| {
            let event = json!({"Records": [{"messageId": "m", "body": body.to_string()}]});
            records(&event).unwrap()[0].request().unwrap()
        };
        let envelope = json!({"Type": "Notification", "TopicArn": "arn", "Message": "{\"Type\":\"Notification\"}"});
        assert_eq!(of(envelope), "{\"Type\":\"Notification\"}");
        for other in
            [json!({"Type": "Notification", "Message": "x"}), json!({"Type": "x", "TopicArn": "a", "Message": "m"})]
        {
            assert_eq!(of(other.clone()), other.to_string());
        }
    }

    #[test]
    fn an_event_without_records_is_none() {
        assert_eq!(records(&json!({})), None);
        assert_eq!(records(&json!(null)), None);
    }
}
