//! The attributes on what clients send to the messages queue and topic.
//!
//! All of them come from API Gateway's request context, never from the frame, so a client cannot forge them.

/// The sender (String).
pub const USER_ID: &str = "user_id";
/// When the gateway received the frame (Number, epoch **milliseconds**).
pub const TIMESTAMP: &str = "timestamp";
/// Which of our programs sent the message (String).
pub const SOURCE: &str = "source";
/// The sender's connection (String).
pub const CONNECTION_ID: &str = "connection_id";
/// API Gateway's id of the request (String).
pub const REQUEST_ID: &str = "request_id";
/// The id of a presence event (String).
pub const ID: &str = "id";
/// On a message in a dead-letter queue: why it is there (String).
pub const REASON: &str = "reason";

/// `source` of a message from the `send` route.
pub const SOURCE_SEND: &str = "apigw.route.send";
/// `source` of a message from the `publish` route.
pub const SOURCE_PUBLISH: &str = "apigw.route.publish";

/// The route keys of the WebSocket API. `$default` takes what matches no other.
pub const ROUTE_KEYS: [&str; 6] = ["$connect", "$disconnect", "ping", "send", "publish", "$default"];

/// The WebSocket subprotocol that a browser offers beside its token: `sumu, <token>`.
pub const SUBPROTOCOL: &str = "sumu";

/// Key of the authorizer's context in which the token's `exp` is passed on to the `$connect` route.
pub const CONTEXT_EXPIRES_AT: &str = "exp";
/// Key of the authorizer's context in which the token's issuer is passed on.
pub const CONTEXT_ISSUER: &str = "iss";
