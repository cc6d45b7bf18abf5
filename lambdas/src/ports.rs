//! What the functions need from the world: one trait for each use, with exactly the calls that are made.
//!
//! A function's type parameters are therefore the list of what its role must be allowed to do.
//!
//! | port | used by | on AWS |
//! |---|---|---|
//! | [`Clock`] | all | the system's clock |
//! | [`Keys`] | authorizer | HTTP GET of an issuer's public keys |
//! | [`OpenConnections`] | routes | `PutItem`, `DeleteItem` on the connections table |
//! | [`Queue`], [`Topic`] | routes, pusher, watchdog | `SendMessage`, `Publish` |
//! | [`Audience`] | pusher | `Query`, `Scan`, `DescribeTable`, conditional `DeleteItem` on the connections table |
//! | [`Turns`] | pusher | `UpdateItem` on the connections table |
//! | [`Sockets`] | pusher | `PostToConnection` |
//! | [`LiveConnections`] | watchdog | consistent `Query` on the connections table |
//! | [`Presence`] | watchdog | consistent `GetItem`, conditional `PutItem`, `UpdateItem` on the presence table |

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sumu_contract::presence::State;

/// A call to the world failed after whatever retries the adapter makes.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct PortError {
    /// What was tried.
    pub operation: &'static str,
    /// Why it failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl PortError {
    /// An error of `operation`, with its cause.
    pub fn new(operation: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { operation, source: source.into() }
    }
}

/// Time.
pub trait Clock: Sync {
    /// Epoch milliseconds.
    fn now(&self) -> u64;

    /// Waits a random time up to `longest` ("full jitter", so that callers who failed together do not return together).
    fn pause(&self, longest: Duration) -> impl Future<Output = ()> + Send;

    /// Waits so long and not less.
    fn wait(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// An issuer's answer to a request for its public keys.
#[derive(Clone, Debug)]
pub struct KeyDocument {
    /// The body, as it came.
    pub body: Vec<u8>,
    /// The header `Cache-Control`.
    pub cache_control: Option<String>,
}

/// Issuers' public keys.
pub trait Keys: Sync {
    /// Fetches the document at `uri`, within a deadline and a size limit.
    fn fetch(&self, uri: &str) -> impl Future<Output = Result<KeyDocument, PortError>> + Send;
}

/// One open connection, as its row in the connections table says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The user.
    pub user_id: String,
    /// API Gateway's id of the connection.
    pub connection_id: String,
    /// When it was made (epoch milliseconds).
    pub connected_at: u64,
    /// When the row counts as deleted (epoch seconds), whether or not `DynamoDB` has done so.
    pub delete_at: Option<u64>,
}

impl Connection {
    /// Whether the row counts at `now` (epoch milliseconds).
    #[must_use]
    pub fn is_live(&self, now: u64) -> bool {
        self.delete_at.is_none_or(|delete_at| delete_at > now / 1000)
    }
}

/// The connections table, for those who open and close.
pub trait OpenConnections: Sync {
    /// Writes the row of a new connection. `expires_at` is the token's `exp` (epoch seconds).
    fn put(
        &self,
        connection: &Connection,
        expires_at: Option<u64>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Deletes a row; one that is not there is a success.
    fn delete(&self, user_id: &str, connection_id: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// One page of rows.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The rows, also those past their `delete_at`.
    pub connections: Vec<Connection>,
    /// Where the next page starts; the last one has none.
    pub next: Option<Cursor>,
}

/// Where a page starts: behind this row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Partition key of the last row read.
    pub user_id: String,
    /// Sort key of the last row read.
    pub connection_id: String,
}

/// One of several parts of the table, which are read side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which one, from 0.
    pub segment: u32,
    /// Of how many.
    pub segments: u32,
}

impl Part {
    /// The whole table.
    pub const WHOLE: Self = Self { segment: 0, segments: 1 };
}

/// The connections table, for those who address its users.
pub trait Audience: Sync {
    /// A page of one user's connections, strongly consistent.
    fn of_user(&self, user_id: &str, from: Option<&Cursor>) -> impl Future<Output = Result<Page, PortError>> + Send;

    /// A page of everyone's connections in one part of the table.
    fn everyone(&self, part: Part, from: Option<&Cursor>) -> impl Future<Output = Result<Page, PortError>> + Send;

    /// How many rows there are, roughly: the number may be hours old.
    fn rows(&self) -> impl Future<Output = Result<u64, PortError>> + Send;

    /// Deletes the row of a connection that is gone, unless another connection has taken its place meanwhile.
    fn forget(
        &self,
        user_id: &str,
        connection_id: &str,
        connected_at: u64,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Who may go on with a broadcast that was divided.
///
/// Queues hand out a message twice now and then, and a worker that dies may have put its next item already. Without
/// this, each of the two would go on to the end of its segment.
pub trait Turns: Sync {
    /// Notes how many segments the broadcast `job` has, and returns the number that was noted first.
    fn settle_segments(
        &self,
        job: &str,
        segments: u32,
        now: u64,
    ) -> impl Future<Output = Result<u32, PortError>> + Send;

    /// Takes a step of a segment. It fails when a later step was taken, or the same one with another ticket.
    fn take(&self, turn: &Turn<'_>, now: u64) -> impl Future<Output = Result<Written, PortError>> + Send;
}

/// One step of one segment of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn<'a> {
    /// The broadcast.
    pub job: &'a str,
    /// The segment.
    pub segment: u32,
    /// The step.
    pub step: u64,
    /// Who wants it.
    pub ticket: &'a str,
}

/// What came of one post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Posted {
    /// The gateway took it (200).
    Delivered,
    /// There is no such connection, or not yet (410).
    Gone,
    /// Too much at once, or the client does not read (429).
    Throttled,
    /// 5xx, a timeout or a broken socket.
    Unavailable,
    /// Over the gateway's limit (413).
    TooLarge,
    /// A malformed connection id or request (400 and the like).
    Invalid,
    /// We may not (403).
    Forbidden,
}

/// The open sockets behind the gateway.
pub trait Sockets: Sync {
    /// Sends one text frame, within a deadline of its own.
    fn post(&self, connection_id: &str, data: &str) -> impl Future<Output = Posted> + Send;
}

/// The value of a message attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// Of data type `String` or `Number` and their custom sub-types.
    Text(String),
    /// Of data type `Binary` and its custom sub-types.
    Bytes(Vec<u8>),
}

/// An attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// `String`, `Number`, `Binary` or a custom sub-type such as `String.json`.
    pub data_type: String,
    /// Its value.
    pub value: AttributeValue,
}

impl Attribute {
    /// An attribute of type `String`.
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), data_type: "String".into(), value: AttributeValue::Text(value.into()) }
    }

    /// An attribute of type `Number`.
    pub fn number(name: impl Into<String>, value: u64) -> Self {
        Self { name: name.into(), data_type: "Number".into(), value: AttributeValue::Text(value.to_string()) }
    }
}

/// A message for a queue or a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The text.
    pub body: String,
    /// The attributes beside it; at most ten.
    pub attributes: Vec<Attribute>,
}

/// One SQS queue.
pub trait Queue: Sync {
    /// Sends, to be received after `delay_seconds` at the earliest; returns the message's id.
    fn send(&self, message: &Message, delay_seconds: u32) -> impl Future<Output = Result<String, PortError>> + Send;
}

/// One SNS topic.
pub trait Topic: Sync {
    /// Publishes; returns the message's id.
    fn publish(&self, message: &Message) -> impl Future<Output = Result<String, PortError>> + Send;
}

/// The connections table, for those who ask whether somebody is there.
pub trait LiveConnections: Sync {
    /// Whether the user has a connection whose row counts at `now` (epoch milliseconds); strongly consistent.
    fn any(&self, user_id: &str, now: u64) -> impl Future<Output = Result<bool, PortError>> + Send;
}

/// One user's item in the presence table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceItem {
    /// Whether the user is there.
    pub state: State,
    /// How often that changed.
    pub version: u64,
    /// The last version that was announced, or of which nobody needs to be told.
    pub announced: u64,
    /// When it changed (epoch milliseconds).
    pub changed_at: u64,
}

/// Whether a conditional write found what it expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It did, and was made.
    Done,
    /// Somebody else was faster; nothing was written.
    Conflict,
}

/// The presence table.
pub trait Presence: Sync {
    /// The user's item, strongly consistent.
    fn read(&self, user_id: &str) -> impl Future<Output = Result<Option<PresenceItem>, PortError>> + Send;

    /// Replaces the user's item on condition that its version is still `item.version - 1` (0: there is none).
    fn change(&self, user_id: &str, item: &PresenceItem) -> impl Future<Output = Result<Written, PortError>> + Send;

    /// Notes that `version` was announced, on condition that it is still the item's.
    fn mark_announced(&self, user_id: &str, version: u64) -> impl Future<Output = Result<Written, PortError>> + Send;
}
