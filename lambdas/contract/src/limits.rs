//! Sizes that AWS sets and that we check before AWS does.

/// The most bytes that one post to a connection may have (API Gateway WebSocket quota "message payload size").
pub const POST_BYTES_MAX: usize = 128 * 1024;

/// The most bytes of UTF-8 of a user's id: the length limit of a `DynamoDB` sort or partition key is 2,048 and
/// 1,024 respectively, and the id is a partition key in one table and travels in attributes of messages.
pub const USER_ID_BYTES_MAX: usize = 1024;

/// The most bytes of a function's environment (Lambda quota "environment variables", 4 KB in all).
pub const ENVIRONMENT_BYTES_MAX: usize = 4096;
