//! The connections and the presence table.

use std::collections::BTreeMap;

use sumu_contract::{connection, presence};

use crate::stack::StackSpec;
use crate::stack::name::TableId;

/// A DynamoDB table, on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The partition key, a string.
    pub partition_key: &'static str,
    /// The sort key, a string.
    pub sort_key: Option<&'static str>,
    /// The attribute with the time to live.
    pub ttl_attribute: Option<&'static str>,
    /// Whether changes go to a stream with the new and the old image.
    pub has_stream: bool,
    /// Whether DynamoDB refuses to delete it; when absent, whatever is there is right, and a new table has none.
    pub is_protected: Option<bool>,
    /// Whether it can be restored to a moment of the past; the same when absent.
    pub has_recovery: Option<bool>,
}

/// The tables of a stack.
pub(super) fn of(spec: &StackSpec) -> BTreeMap<TableId, Table> {
    BTreeMap::from([
        (
            TableId::Connections,
            Table {
                partition_key: connection::USER_ID,
                sort_key: Some(connection::CONNECTION_ID),
                ttl_attribute: Some(connection::DELETE_AT),
                has_stream: true,
                is_protected: spec.deletion_protection,
                has_recovery: spec.point_in_time_recovery,
            },
        ),
        (
            TableId::Presence,
            Table {
                partition_key: presence::USER_ID,
                sort_key: None,
                ttl_attribute: None,
                has_stream: false,
                is_protected: None,
                has_recovery: None,
            },
        ),
    ])
}
