//! What Lambda tells of records of a stream that it has given up. Pure.
//!
//! Source: Lambda's developer guide, "Retain discarded records for a DynamoDB event source".

use jiff::Timestamp;
use serde_json::{Value, json};

use super::batch::sequence_number;
use super::source::Source;

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All retries are used up.
    RetryAttemptsExhausted,
    /// They are too old.
    RecordAgeExpired,
}

/// The last invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Its id.
    pub request_id: String,
    /// How many there were.
    pub invocations: u32,
    /// Lambda's word for the error, if the function has failed.
    pub function_error: Option<String>,
}

/// The note, for the destination.
#[must_use]
pub fn of(source: &Source, shard: &str, records: &[Value], condition: Condition, last: &Last, now: Timestamp) -> Value {
    let first_and_last = (records.first().unwrap_or(&Value::Null), records.last().unwrap_or(&Value::Null));
    let condition = match condition {
        Condition::RetryAttemptsExhausted => "RetryAttemptsExhausted",
        Condition::RecordAgeExpired => "RecordAgeExpired",
    };
    json!({
        "requestContext": {
            "requestId": last.request_id,
            "functionArn": source.function(),
            "condition": condition,
            "approximateInvokeCount": last.invocations,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": last.function_error,
        },
        "version": "1.0",
        "timestamp": format!("{now:.3}"),
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": sequence_number(first_and_last.0),
            "endSequenceNumber": sequence_number(first_and_last.1),
            "approximateArrivalOfFirstRecord": arrival(first_and_last.0),
            "approximateArrivalOfLastRecord": arrival(first_and_last.1),
            "batchSize": records.len(),
            "streamArn": source.arn(),
        },
    })
}

#[expect(clippy::cast_possible_truncation, reason = "casts of f64 saturate")]
fn arrival(record: &Value) -> Option<String> {
    let seconds = record["dynamodb"]["ApproximateCreationDateTime"].as_f64()?;
    Timestamp::from_second(seconds as i64).ok().map(|at| at.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_note_has_the_members_of_the_developer_guide() {
        let record =
            |number: &str, at: u32| json!({"dynamodb": {"SequenceNumber": number, "ApproximateCreationDateTime": at}});
        let settings = json!({"EventSourceArn": "arn:stream", "FunctionArn": "arn:function"});
        let source = Source { settings, is_enabled: true, from: Instant::now() };
        let last = Last { request_id: "id".to_owned(), invocations: 3, function_error: Some("Unhandled".to_owned()) };
        let records = [record("8", 1_573_690_399), record("9", 1_573_690_400)];
        let now = Timestamp::from_millisecond(1_573_690_457_717).unwrap();
        let note = of(&source, "shard", &records, Condition::RetryAttemptsExhausted, &last, now);
        let expected = json!({
            "requestContext": {
                "requestId": "id", "functionArn": "arn:function", "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 3,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": "2019-11-14T00:14:17.717Z",
            "DDBStreamBatchInfo": {
                "shardId": "shard", "startSequenceNumber": "8", "endSequenceNumber": "9",
                "approximateArrivalOfFirstRecord": "2019-11-14T00:13:19Z",
                "approximateArrivalOfLastRecord": "2019-11-14T00:13:20Z",
                "batchSize": 2, "streamArn": "arn:stream",
            },
        });
        assert_eq!(note, expected);
    }
}
