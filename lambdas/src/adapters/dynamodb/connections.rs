//! The connections table.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use sumu_contract::connection::{CONNECTED_AT, CONNECTION_ID, DELETE_AT, EXPIRES_AT, USER_ID};

use super::{Item, number, number_of, text, text_of};
use crate::adapters::failed;
use crate::ports::{Audience, Connection, Cursor, LiveConnections, OpenConnections, Page, Part, PortError};

/// How many rows a page may have: bounds the pusher's memory, whatever a row's size.
const PAGE_ROWS_MAX: i32 = 1000;

/// How many rows are read at once when one live row is enough. More than one, because rows past their `delete_at`
/// may lie before it.
const LIVE_PAGE_ROWS_MAX: i32 = 10;

/// The connections table.
#[derive(Clone, Debug)]
pub struct ConnectionsTable {
    pub(super) client: Client,
    pub(super) name: String,
}

impl ConnectionsTable {
    /// The table `name`.
    #[must_use]
    pub fn new(aws: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(aws), name }
    }

    async fn query(&self, user_id: &str, from: Option<&Cursor>, limit: i32) -> Result<Page, PortError> {
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("#user = :user")
            .expression_attribute_names("#user", USER_ID)
            .expression_attribute_values(":user", text(user_id))
            .limit(limit)
            .set_exclusive_start_key(from.map(key_of_cursor))
            .send()
            .await
            .map_err(|error| failed("Query", error))?;
        Ok(page(answer.items(), answer.last_evaluated_key.as_ref()))
    }
}

impl OpenConnections for ConnectionsTable {
    async fn put(&self, connection: &Connection, expires_at: Option<u64>) -> Result<(), PortError> {
        let Connection { user_id, connection_id, connected_at, delete_at } = connection;
        let mut item = key(user_id, connection_id);
        item.insert(CONNECTED_AT.to_owned(), number(*connected_at));
        item.extend(delete_at.map(|at| (DELETE_AT.to_owned(), number(at))));
        item.extend(expires_at.map(|at| (EXPIRES_AT.to_owned(), number(at))));
        let call = self.client.put_item().table_name(&self.name).set_item(Some(item));
        call.send().await.map(|_| ()).map_err(|error| failed("PutItem", error))
    }

    async fn delete(&self, user_id: &str, connection_id: &str) -> Result<(), PortError> {
        let call = self.client.delete_item().table_name(&self.name).set_key(Some(key(user_id, connection_id)));
        call.send().await.map(|_| ()).map_err(|error| failed("DeleteItem", error))
    }
}

impl Audience for ConnectionsTable {
    async fn of_user(&self, user_id: &str, from: Option<&Cursor>) -> Result<Page, PortError> {
        self.query(user_id, from, PAGE_ROWS_MAX).await
    }

    async fn everyone(&self, part: Part, from: Option<&Cursor>) -> Result<Page, PortError> {
        let count = |of: u32| i32::try_from(of).unwrap_or(i32::MAX);
        let answer = self
            .client
            .scan()
            .table_name(&self.name)
            .limit(PAGE_ROWS_MAX)
            .segment(count(part.segment))
            .total_segments(count(part.segments))
            .set_exclusive_start_key(from.map(key_of_cursor))
            .send()
            .await
            .map_err(|error| failed("Scan", error))?;
        Ok(page(answer.items(), answer.last_evaluated_key.as_ref()))
    }

    async fn rows(&self) -> Result<u64, PortError> {
        let answer = self.client.describe_table().table_name(&self.name).send().await;
        let answer = answer.map_err(|error| failed("DescribeTable", error))?;
        let rows = answer.table.and_then(|table| table.item_count).unwrap_or_default();
        Ok(u64::try_from(rows).unwrap_or_default())
    }

    async fn forget(&self, user_id: &str, connection_id: &str, connected_at: u64) -> Result<(), PortError> {
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key(user_id, connection_id)))
            .condition_expression("#connected_at = :connected_at")
            .expression_attribute_names("#connected_at", CONNECTED_AT)
            .expression_attribute_values(":connected_at", number(connected_at))
            .send()
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(error.as_service_error(), Some(DeleteItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(())
            }
            Err(error) => Err(failed("DeleteItem", error)),
        }
    }
}

impl LiveConnections for ConnectionsTable {
    async fn any(&self, user_id: &str, now: u64) -> Result<bool, PortError> {
        let mut from = None;
        loop {
            let page = self.query(user_id, from.as_ref(), LIVE_PAGE_ROWS_MAX).await?;
            if page.connections.iter().any(|connection| connection.is_live(now)) {
                return Ok(true);
            }
            from = page.next;
            if from.is_none() {
                return Ok(false);
            }
        }
    }
}

pub(super) fn key(user_id: &str, connection_id: &str) -> Item {
    Item::from([(USER_ID.to_owned(), text(user_id)), (CONNECTION_ID.to_owned(), text(connection_id))])
}

fn key_of_cursor(cursor: &Cursor) -> Item {
    key(&cursor.user_id, &cursor.connection_id)
}

fn page(items: &[Item], last: Option<&Item>) -> Page {
    let cursor = |last: &Item| {
        Some(Cursor {
            user_id: text_of(last, USER_ID)?.to_owned(),
            connection_id: text_of(last, CONNECTION_ID)?.to_owned(),
        })
    };
    Page { connections: items.iter().filter_map(connection).collect(), next: last.and_then(cursor) }
}

/// The row, unless it is none of ours: a row without its keys cannot exist.
fn connection(item: &Item) -> Option<Connection> {
    Some(Connection {
        user_id: text_of(item, USER_ID)?.to_owned(),
        connection_id: text_of(item, CONNECTION_ID)?.to_owned(),
        // A row without a time is older than any race that the time guards against.
        connected_at: number_of(item, CONNECTED_AT).unwrap_or(0),
        delete_at: number_of(item, DELETE_AT),
    })
}

#[cfg(test)]
mod tests;
