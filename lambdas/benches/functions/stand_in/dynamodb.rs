//! The tables: `DynamoDB`'s JSON protocol, as much of it as the functions speak.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::connection_id;
use super::http::Response;

/// What the functions have written.
#[derive(Debug, Default)]
pub struct Tables {
    /// The segments of each broadcast.
    segments: HashMap<String, Value>,
    /// The last step with its ticket of each segment.
    turns: HashMap<String, (u64, String)>,
    /// The presence table's items, by user.
    presence: HashMap<String, Value>,
}

impl Tables {
    /// Answers one call on a table with so many connections.
    pub fn answer(&mut self, operation: &str, body: &[u8], connections: usize) -> Response {
        let Ok(call) = serde_json::from_slice::<Value>(body) else { return Response::new(400, "not JSON") };
        match operation {
            "Scan" => ok(&scan(&call, connections)),
            "Query" => ok(&query(&call, connections)),
            "DescribeTable" => ok(&json!({"Table": {"ItemCount": connections}})),
            "GetItem" => match self.presence.get(&user(&call["Key"])) {
                Some(item) => ok(&json!({"Item": item})),
                None => ok(&json!({})),
            },
            "PutItem" => {
                self.presence.insert(user(&call["Item"]), call["Item"].clone());
                ok(&json!({}))
            }
            "UpdateItem" => self.update(&call),
            _ => Response::new(400, format!(r#"{{"__type":"UnknownOperation","message":"{operation}"}}"#)),
        }
    }

    /// A broadcast's updates, whose segments everybody agrees on and each step of which is taken once, and presence's.
    fn update(&mut self, call: &Value) -> Response {
        let key = call["Key"].to_string();
        let values = &call["ExpressionAttributeValues"];
        if values[":segments"].is_object() {
            let noted = self.segments.entry(key).or_insert_with(|| values[":segments"].clone());
            return ok(&json!({"Attributes": {"segments": noted}}));
        }
        if let Some(item) = self.presence.get_mut(&user(&call["Key"])) {
            item["announced"] = values[":version"].clone();
            return ok(&json!({}));
        }
        let (Some(step), Some(ticket)) = (number(&values[":step"]), values[":ticket"]["S"].as_str()) else {
            return Response::new(400, r#"{"__type":"UnknownUpdate"}"#);
        };
        let wanted = (step, ticket.to_owned());
        match self.turns.get(&key) {
            Some(taken) if taken.0 > step || (taken.0 == step && *taken != wanted) => Response::new(
                400,
                r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed"}"#,
            ),
            _ => {
                self.turns.insert(key, wanted);
                ok(&json!({}))
            }
        }
    }
}

/// A page of one segment: of `n` segments each has every `n`th row.
fn scan(call: &Value, connections: usize) -> Value {
    let part = |name: &str, default| call[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
    let (segment, segments, limit) = (part("Segment", 0), part("TotalSegments", 1), part("Limit", 1000));
    let begin =
        call["ExclusiveStartKey"]["user_id"]["S"].as_str().and_then(index).map_or(segment, |last| last + segments);
    let rows: Vec<usize> = (begin..connections).step_by(segments).take(limit).collect();
    let mut answer = json!({"Count": rows.len(), "ScannedCount": rows.len()});
    if let Some(last) = rows.last().filter(|last| **last + segments < connections) {
        answer["LastEvaluatedKey"] = key(*last);
    }
    answer["Items"] = rows.into_iter().map(row).collect();
    answer
}

/// Each user has one connection.
fn query(call: &Value, connections: usize) -> Value {
    let user = call["ExpressionAttributeValues"][":user"]["S"].as_str().and_then(index);
    let items: Vec<Value> = user.filter(|index| *index < connections).map(row).into_iter().collect();
    json!({"Count": items.len(), "ScannedCount": items.len(), "Items": items})
}

fn key(index: usize) -> Value {
    json!({"user_id": {"S": format!("u{index:012}")}, "connection_id": {"S": connection_id(index)}})
}

fn row(index: usize) -> Value {
    let mut row = key(index);
    row["connected_at"] = json!({"N": "1700000000000"});
    row["delete_at"] = json!({"N": "9999999999"});
    row["expires_at"] = json!({"N": "9999999999"});
    row
}

fn user(key: &Value) -> String {
    key["user_id"]["S"].as_str().unwrap_or_default().to_owned()
}

fn index(user_id: &str) -> Option<usize> {
    user_id.strip_prefix('u')?.parse().ok()
}

fn number(value: &Value) -> Option<u64> {
    value["N"].as_str()?.parse().ok()
}

fn ok(body: &Value) -> Response {
    Response::new(200, body.to_string())
}
