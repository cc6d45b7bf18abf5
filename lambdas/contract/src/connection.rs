//! The connections table: one row for each open WebSocket connection.

/// Partition key (S): the principal that the authorizer named.
pub const USER_ID: &str = "user_id";
/// Sort key (S): API Gateway's id of the connection.
pub const CONNECTION_ID: &str = "connection_id";
/// When the connection was made (N, epoch milliseconds).
pub const CONNECTED_AT: &str = "connected_at";
/// When `DynamoDB` may delete the row (N, epoch seconds). `DynamoDB`'s TTL ignores any type but Number, and
/// its deletion may be late by days, so every reader must also compare it with the clock.
pub const DELETE_AT: &str = "delete_at";
/// When the token that opened the connection expires (N, epoch seconds); absent when it has no `exp`.
pub const EXPIRES_AT: &str = "expires_at";
