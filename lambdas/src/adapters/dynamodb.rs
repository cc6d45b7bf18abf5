//! The tables of a stack in `DynamoDB`.
//!
//! Every attribute goes by a placeholder, since `state` and others are reserved words of the expression language.

mod connections;
mod presence;
mod turns;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

pub use connections::ConnectionsTable;
pub use presence::PresenceTable;

type Item = HashMap<String, AttributeValue>;

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn text_of<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn number_of(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

#[cfg(test)]
mod testing;
