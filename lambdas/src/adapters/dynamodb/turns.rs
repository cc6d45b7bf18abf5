//! A broadcast's own rows in the connections table.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use sumu_contract::connection::{BROADCAST_PLAN, BROADCAST_PREFIX, DELETE_AT, SEGMENTS, STEP, TICKET};

use super::connections::key;
use super::{ConnectionsTable, Item, number, number_of, text};
use crate::adapters::failed;
use crate::ports::{PortError, Turn, Turns, Written};

/// How long ago the rows' time has passed. More than any two clocks differ, and less than the five years after which
/// `DynamoDB` no longer deletes them.
const PASSED_SECONDS: u64 = 24 * 60 * 60;

impl Turns for ConnectionsTable {
    async fn settle_segments(&self, job: &str, segments: u32, now: u64) -> Result<u32, PortError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(row(job, BROADCAST_PLAN)))
            .update_expression("SET #segments = if_not_exists(#segments, :segments), #delete_at = :passed")
            .expression_attribute_names("#segments", SEGMENTS)
            .expression_attribute_names("#delete_at", DELETE_AT)
            .expression_attribute_values(":segments", number(segments.into()))
            .expression_attribute_values(":passed", passed(now))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|error| failed("UpdateItem", error))?;
        let noted = answer.attributes.as_ref().and_then(|item| number_of(item, SEGMENTS));
        let noted = noted.and_then(|noted| u32::try_from(noted).ok());
        noted.ok_or_else(|| PortError::new("UpdateItem", "the answer has no segments"))
    }

    async fn take(&self, turn: &Turn<'_>, now: u64) -> Result<Written, PortError> {
        let taken = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(row(turn.job, &turn.segment.to_string())))
            .update_expression("SET #step = :step, #ticket = :ticket, #delete_at = :passed")
            .condition_expression(
                "attribute_not_exists(#step) OR #step < :step OR (#step = :step AND #ticket = :ticket)",
            )
            .expression_attribute_names("#step", STEP)
            .expression_attribute_names("#ticket", TICKET)
            .expression_attribute_names("#delete_at", DELETE_AT)
            .expression_attribute_values(":step", number(turn.step))
            .expression_attribute_values(":ticket", text(turn.ticket))
            .expression_attribute_values(":passed", passed(now))
            .send()
            .await;
        match taken {
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

fn row(job: &str, sort: &str) -> Item {
    key(&format!("{BROADCAST_PREFIX}{job}"), sort)
}

fn passed(now: u64) -> aws_sdk_dynamodb::types::AttributeValue {
    number((now / 1000).saturating_sub(PASSED_SECONDS))
}
