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
/// What the partition keys of a broadcast's own rows begin with; the broadcast's id follows. They tell which step of
/// each segment (the sort key) is being worked off. Their [`DELETE_AT`] has always passed: no reader takes them for
/// connections, and `DynamoDB` deletes them in its own time.
pub const BROADCAST_PREFIX: &str = "sumu.live/broadcast/";
/// Sort key of the broadcast's row with its number of segments.
pub const BROADCAST_PLAN: &str = "plan";
/// Into how many segments a broadcast was divided (N).
pub const SEGMENTS: &str = "segments";
/// The step of a segment that was taken last (N).
pub const STEP: &str = "step";
/// The ticket with which it was taken (S).
pub const TICKET: &str = "ticket";
/// When the token that opened the connection expires (N, epoch seconds); absent when it has no `exp`.
pub const EXPIRES_AT: &str = "expires_at";
