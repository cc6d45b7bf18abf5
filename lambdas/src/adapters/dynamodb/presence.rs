//! The presence table.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use sumu_contract::presence::{ANNOUNCED, CHANGED_AT, STATE, State, USER_ID, VERSION};

use super::{Item, number, number_of, text, text_of};
use crate::adapters::failed;
use crate::ports::{PortError, Presence, PresenceItem, Written};

/// The presence table.
#[derive(Clone, Debug)]
pub struct PresenceTable {
    client: Client,
    name: String,
}

impl PresenceTable {
    /// The table `name`.
    #[must_use]
    pub fn new(aws: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(aws), name }
    }
}

/// An item that this program did not write.
#[derive(Debug, thiserror::Error)]
#[error("an item of the presence table lacks its {0} or has one of a wrong kind")]
struct Unreadable(&'static str);

impl Presence for PresenceTable {
    async fn read(&self, user_id: &str) -> Result<Option<PresenceItem>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .consistent_read(true)
            .key(USER_ID, text(user_id))
            .send()
            .await
            .map_err(|error| failed("GetItem", error))?;
        answer.item.as_ref().map(item).transpose().map_err(|error| PortError::new("reading a presence item", error))
    }

    async fn change(&self, user_id: &str, item: &PresenceItem) -> Result<Written, PortError> {
        let PresenceItem { state, version, announced, changed_at } = *item;
        let row = Item::from([
            (USER_ID.to_owned(), text(user_id)),
            (STATE.to_owned(), text(state.as_str())),
            (VERSION.to_owned(), number(version)),
            (ANNOUNCED.to_owned(), number(announced)),
            (CHANGED_AT.to_owned(), number(changed_at)),
        ]);
        let call = self.client.put_item().table_name(&self.name).set_item(Some(row));
        let call = match version.saturating_sub(1) {
            0 => call.condition_expression("attribute_not_exists(#version)"),
            read => call.condition_expression("#version = :read").expression_attribute_values(":read", number(read)),
        };
        match call.expression_attribute_names("#version", VERSION).send().await {
            Ok(_) => Ok(Written::Done),
            Err(error)
                if matches!(error.as_service_error(), Some(PutItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(Written::Conflict)
            }
            Err(error) => Err(failed("PutItem", error)),
        }
    }

    async fn mark_announced(&self, user_id: &str, version: u64) -> Result<Written, PortError> {
        let updated = self
            .client
            .update_item()
            .table_name(&self.name)
            .key(USER_ID, text(user_id))
            .update_expression("SET #announced = :version")
            .condition_expression("#version = :version")
            .expression_attribute_names("#announced", ANNOUNCED)
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":version", number(version))
            .send()
            .await;
        match updated {
            Ok(_) => Ok(Written::Done),
            Err(error)
                if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(Written::Conflict)
            }
            Err(error) => Err(failed("UpdateItem", error)),
        }
    }
}

fn item(row: &Item) -> Result<PresenceItem, Unreadable> {
    let number = |name| number_of(row, name).ok_or(Unreadable(name));
    Ok(PresenceItem {
        state: text_of(row, STATE).and_then(State::parse).ok_or(Unreadable(STATE))?,
        version: number(VERSION)?,
        announced: number(ANNOUNCED)?,
        changed_at: number(CHANGED_AT)?,
    })
}

#[cfg(test)]
mod tests;
