//! Time to live: items past their time are deleted, and their removals carry AWS's signature in the stream.
//!
//! Sources: `DynamoDB`'s developer guide, "Using time to live" and "`DynamoDB` Streams and Time to Live".

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Tools;
use crate::Result;
use crate::poll::pass;

/// How often all tables are looked through. AWS promises days.
const SWEPT_EVERY: Duration = Duration::from_mins(1);
/// What is older was never meant as a time: five years.
const OLD_SECONDS: i64 = 5 * 365 * 24 * 60 * 60;

/// What was removed and is to be signed in the stream.
#[derive(Debug, Default)]
pub struct Removals(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    all: Vec<Removal>,
    made: u64,
}

#[derive(Debug)]
struct Removal {
    id: u64,
    table: String,
    keys: Value,
    at: i64,
    /// Its place in the stream, as soon as it was met there.
    number: Option<String>,
}

impl Removals {
    /// A removal that is about to be made: its record may be read before the call is answered.
    fn expect(&self, table: &str, keys: &Value) -> u64 {
        let mut removals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        removals.made += 1;
        let at = Timestamp::now().as_second();
        let removal = Removal { id: removals.made, table: table.to_owned(), keys: keys.clone(), at, number: None };
        let id = removal.id;
        removals.all.push(removal);
        id
    }

    /// It was not made.
    fn forget(&self, id: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all.retain(|removal| removal.id != id);
    }

    /// Signs a stream's record if it is of such a removal. Several may read a stream, and each meets the same records.
    pub(super) fn sign(&self, stream: &str, record: &mut Value) {
        if record["eventName"] != "REMOVE" {
            return;
        }
        let table = stream.split('/').nth(1).unwrap_or_default();
        let change = &record["dynamodb"];
        let number = change["SequenceNumber"].as_str().unwrap_or_default().to_owned();
        let made = change["ApproximateCreationDateTime"].as_f64().unwrap_or_default();
        let mut removals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = removals.all.iter_mut().find(|removal| match &removal.number {
            Some(known) => removal.table == table && *known == number,
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
            None => removal.table == table && removal.keys == change["Keys"] && made >= removal.at as f64 - 1.0,
        });
        if let Some(removal) = found {
            removal.number = Some(number);
            record["userIdentity"] = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
        }
    }
}

/// Looks through all tables, again and again.
pub(super) async fn sweep(tools: Tools) {
    loop {
        pass(SWEPT_EVERY).await;
        let tables: Vec<String> = tools.held.changes().borrow().tables.keys().cloned().collect();
        for table in tables {
            // A table that is gone by now has nothing to remove.
            let _ = expire(&tools, &table).await;
        }
    }
}

/// Removes the items of a table that are past their time.
pub(super) async fn expire(tools: &Tools, table: &str) -> Result<usize> {
    let Some(attribute) = tools.held.changes().borrow().tables.get(table).cloned() else { return Ok(0) };
    let described = tools.wire.dynamodb("DescribeTable", &json!({"TableName": table})).await?;
    let keys: Vec<&str> = described["Table"]["KeySchema"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|key| key["AttributeName"].as_str())
        .collect();
    let now = Timestamp::now().as_second();
    let names = json!({"#at": attribute});
    let values = json!({
        ":now": {"N": now.to_string()}, ":old": {"N": (now - OLD_SECONDS).to_string()}, ":number": {"S": "N"},
    });
    // A text is no time, whatever it says.
    let is_past = "attribute_type(#at, :number) AND #at <= :now AND #at > :old";
    let mut asked = json!({
        "TableName": table, "FilterExpression": is_past, "ConsistentRead": true,
        "ExpressionAttributeNames": names, "ExpressionAttributeValues": values,
    });
    let mut removed = 0;
    loop {
        let page = tools.wire.dynamodb("Scan", &asked).await?;
        for item in page["Items"].as_array().into_iter().flatten() {
            let key: Value = keys.iter().map(|name| ((*name).to_owned(), item[*name].clone())).collect();
            let delete = json!({
                "TableName": table, "Key": key, "ConditionExpression": is_past,
                "ExpressionAttributeNames": names, "ExpressionAttributeValues": values,
            });
            let id = tools.removals.expect(table, &key);
            match tools.wire.dynamodb("DeleteItem", &delete).await {
                Ok(_) => removed += 1,
                // It was changed or deleted since it was read.
                Err(_) => tools.removals.forget(id),
            }
        }
        match page.get("LastEvaluatedKey") {
            Some(key) if !key.is_null() => asked["ExclusiveStartKey"] = key.clone(),
            _ => return Ok(removed),
        }
    }
}
