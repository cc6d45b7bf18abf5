//! The routes of the WebSocket API.
//!
//! [`Event`] → [`Route::parse`] → one arm each → [`Reply`].
//!
//! | route | effect | answer |
//! |---|---|---|
//! | `$connect` | the connection's row is written | 200, or 500 and no connection |
//! | `$disconnect` | the row is deleted; again is success | read by nobody |
//! | `ping` | none | pong |
//! | `send`, `publish` | one message on the queue or topic, byte for byte as it stood in the frame | accepted, or a typed error |
//! | `$default` | none | a typed error |

pub mod event;
pub mod frame;
pub mod reply;

use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;
use sumu_contract::function::Function;
use sumu_contract::message::{CONNECTION_ID, REQUEST_ID, SOURCE, SOURCE_PUBLISH, SOURCE_SEND, TIMESTAMP, USER_ID};

use self::event::{Event, NotOurs};
use self::frame::{Fault, Frame};
use self::reply::Reply;
use crate::ports::{Attribute, Clock, Connection, Message, OpenConnections, PortError, Queue, Topic};
use crate::telemetry::metric::{
    CONNECTION_FAILURES, CONNECTS, DISCONNECTS, FORWARD_RETRIES, FRAME_ERRORS, FRAMES, Metric,
};
use crate::telemetry::{Chain, Line, elapsed_ms};

/// The longest pause before the one retry.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Where a client's message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// `send`: the messages queue.
    Send,
    /// `publish`: the messages topic.
    Publish,
}

impl Channel {
    /// The action that clients name it by.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Publish => "publish",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::Send => SOURCE_SEND,
            Self::Publish => SOURCE_PUBLISH,
        }
    }
}

/// What an event asks for.
#[derive(Clone, Copy, Debug)]
pub enum Route<'a> {
    /// A connection is about to open.
    Connect,
    /// A connection has closed.
    Disconnect,
    /// A client wants to stay connected.
    Ping {
        /// The frame's `id`.
        id: Option<&'a RawValue>,
    },
    /// A client has a message.
    Forward {
        /// Where to.
        channel: Channel,
        /// Its JSON text.
        message: &'a str,
        /// The frame's `id`.
        id: Option<&'a RawValue>,
    },
    /// A client's mistake.
    Refused {
        /// Which.
        fault: Fault,
        /// The frame's `id`, if it could be read.
        id: Option<&'a RawValue>,
    },
}

impl<'a> Route<'a> {
    /// What `event` asks for.
    #[must_use]
    pub fn parse(event: &Event<'a>) -> Self {
        match (event.event_type, event.route_key) {
            ("CONNECT", _) => return Self::Connect,
            ("DISCONNECT", _) => return Self::Disconnect,
            _ => {}
        }
        let frame = match Frame::parse(event.body) {
            Ok(frame) => frame,
            Err(fault) => return Self::Refused { fault, id: None },
        };
        let id = frame.id;
        let forward = |channel| match frame.message() {
            Ok(message) => Self::Forward { channel, message, id },
            Err(fault) => Self::Refused { fault, id },
        };
        match event.route_key {
            "ping" => Self::Ping { id },
            "send" => forward(Channel::Send),
            "publish" => forward(Channel::Publish),
            // Also `$connect` and `$disconnect`, which a client can name as an action: they are no frames' routes.
            _ => Self::Refused { fault: frame.why_no_route(), id },
        }
    }
}

/// The routes function with its settings and ports.
#[derive(Debug)]
pub struct Routes<R, Q, T, C> {
    /// The connections table.
    pub connections: R,
    /// How long a row lives when nothing deletes it before.
    pub connection_ttl_seconds: u64,
    /// Where `send` sends. One call must be one attempt.
    pub queue: Q,
    /// Where `publish` publishes. One call must be one attempt.
    pub topic: T,
    /// The time.
    pub clock: C,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RoutesError {
    /// The event is none of a WebSocket API.
    #[error("the event is none of a WebSocket API")]
    NotOurs(#[from] NotOurs),
    /// The reply could not be written.
    #[error("the reply cannot be written as JSON")]
    Reply(#[from] serde_json::Error),
}

impl From<RoutesError> for lambda_runtime::Diagnostic {
    fn from(error: RoutesError) -> Self {
        Self { error_type: "RoutesError".into(), error_message: Chain(&error).to_string() }
    }
}

impl<R: OpenConnections, Q: Queue, T: Topic, C: Clock> Routes<R, Q, T, C> {
    /// Answers one event of an `AWS_PROXY` integration.
    pub async fn handle(&self, event: Value) -> Result<Value, RoutesError> {
        let started = Instant::now();
        let mut line = Line::of(Function::Routes);
        let answer = self.answer(&event, &mut line).await;
        if let Err(error) = &answer {
            line.note("outcome", "fault").note("reason", Chain(error).to_string());
        }
        line.note("ms", elapsed_ms(started));
        line.log(self.clock.now());
        answer
    }

    async fn answer(&self, event: &Value, line: &mut Line) -> Result<Value, RoutesError> {
        let event = Event::parse(event)?;
        let Event { route_key, connection_id, request_id, .. } = event;
        line.note("route_key", route_key).note("connection_id", connection_id).note("request_id", request_id);
        let (answer, outcome) = match Route::parse(&event) {
            Route::Connect => row_answer(self.connect(&event).await, "Connected", CONNECTS, line),
            Route::Disconnect => row_answer(self.disconnect(&event).await, "Disconnected", DISCONNECTS, line),
            Route::Ping { id } => frame_answer(Reply::Pong, &event, id, line)?,
            Route::Refused { fault, id } => frame_answer(Reply::Refused(fault), &event, id, line)?,
            Route::Forward { channel, message, id } => {
                let passed_on = self.forward(&event, channel, message, line).await;
                let reply = match &passed_on {
                    Ok(message_id) => Reply::Accepted { channel, message_id },
                    Err(reply) => *reply,
                };
                frame_answer(reply, &event, id, line)?
            }
        };
        line.note("outcome", outcome);
        Ok(answer)
    }

    /// The answer to a `$connect`, or the word in the log for why there is no connection.
    async fn connect(&self, event: &Event<'_>) -> Result<Value, &'static str> {
        let user_id = event.user_id.ok_or("InternalError")?;
        let connected_at = event.received_at.unwrap_or_else(|| self.clock.now());
        let connection = Connection {
            user_id: user_id.to_owned(),
            connection_id: event.connection_id.to_owned(),
            connected_at,
            delete_at: Some((connected_at / 1000).saturating_add(self.connection_ttl_seconds)),
        };
        self.connections.put(&connection, event.expires_at).await.map_err(|error| failure(&error))?;
        Ok(reply::connected(event.offers_subprotocol))
    }

    async fn disconnect(&self, event: &Event<'_>) -> Result<Value, &'static str> {
        let user_id = event.user_id.ok_or("InternalError")?;
        self.connections.delete(user_id, event.connection_id).await.map_err(|error| failure(&error))?;
        Ok(reply::connected(false))
    }

    /// Passes a message on; the queue's or topic's id of it, or the reply to a failure.
    async fn forward(
        &self,
        event: &Event<'_>,
        channel: Channel,
        message: &str,
        line: &mut Line,
    ) -> Result<String, Reply<'static>> {
        let user_id = event.user_id.ok_or(Reply::NoPrincipal)?;
        let message = Message {
            body: message.to_owned(),
            attributes: vec![
                Attribute::text(USER_ID, user_id),
                Attribute::number(TIMESTAMP, event.received_at.unwrap_or_else(|| self.clock.now())),
                Attribute::text(SOURCE, channel.source()),
                Attribute::text(CONNECTION_ID, event.connection_id),
                Attribute::text(REQUEST_ID, event.request_id),
            ],
        };
        match self.pass_on(channel, &message).await {
            Ok(message_id) => return Ok(message_id),
            Err(error) => tracing::warn!(error = %Chain(&error), "not passed on, trying once more"),
        }
        line.count(FORWARD_RETRIES, 1_u64);
        self.clock.pause(RETRY_PAUSE).await;
        self.pass_on(channel, &message).await.map_err(|error| {
            tracing::error!(error = %Chain(&error), "not passed on");
            Reply::Unavailable
        })
    }

    async fn pass_on(&self, channel: Channel, message: &Message) -> Result<String, PortError> {
        match channel {
            Channel::Send => self.queue.send(message, 0).await,
            Channel::Publish => self.topic.publish(message).await,
        }
    }
}

fn frame_answer(
    reply: Reply<'_>,
    event: &Event<'_>,
    id: Option<&RawValue>,
    line: &mut Line,
) -> Result<(Value, &'static str), serde_json::Error> {
    let outcome = reply.outcome();
    line.count_one_by(FRAMES, event.route_key);
    if reply.is_error() {
        line.count_one_by(FRAME_ERRORS, outcome);
    }
    Ok((reply.to_answer(event, id)?, outcome))
}

fn row_answer(
    result: Result<Value, &'static str>,
    done: &'static str,
    metric: Metric,
    line: &mut Line,
) -> (Value, &'static str) {
    match result {
        Ok(answer) => {
            line.count(metric, 1_u64);
            (answer, done)
        }
        Err(outcome) => {
            line.count(CONNECTION_FAILURES, 1_u64);
            (reply::failed(), outcome)
        }
    }
}

fn failure(error: &PortError) -> &'static str {
    tracing::error!(error = %Chain(error), "the connections table did not answer");
    "Unavailable"
}

#[cfg(test)]
mod tests;
