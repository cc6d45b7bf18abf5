//! What a client or the gateway is answered. Pure.
//!
//! The gateway passes the `body` of an `AWS_PROXY` answer to the client as it is, as a frame, if the route has a
//! route response. The `statusCode` beside it never reaches the client: for a frame's route it is always 200, and the
//! status that the client sees is in the body. Anything else would count a client's mistake as an integration error
//! in the gateway's metrics, on which alarms of real errors stand.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sumu_contract::message::SUBPROTOCOL;

use super::Channel;
use super::event::Event;
use super::frame::Fault;

/// A frame to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// To a ping.
    Pong,
    /// The queue or the topic has the message.
    Accepted {
        /// Which of the two.
        channel: Channel,
        /// Its id of the message.
        message_id: &'a str,
    },
    /// The client's mistake.
    Refused(Fault),
    /// The queue or the topic did not take the message; the client may try again.
    Unavailable,
    /// The stack is set up wrongly: there is no principal.
    NoPrincipal,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: &'static str,
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    connection_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
}

impl Reply<'_> {
    /// The reply's word in the log: what became of the frame.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Pong => "Pong",
            Self::Accepted { .. } => "Accepted",
            Self::Refused(fault) => error(fault).1,
            Self::Unavailable => "Unavailable",
            Self::NoPrincipal => "InternalError",
        }
    }

    /// Whether the client did not get what it asked for.
    #[must_use]
    pub const fn is_error(self) -> bool {
        match self {
            Self::Pong | Self::Accepted { .. } => false,
            Self::Refused(_) | Self::Unavailable | Self::NoPrincipal => true,
        }
    }

    /// The answer to the gateway that carries this frame. `id` is the client's, as it stood in its frame.
    pub fn to_answer(self, event: &Event<'_>, id: Option<&RawValue>) -> Result<Value, serde_json::Error> {
        let mut body = Body {
            r#type: "error",
            status_code: 200,
            code: None,
            message: None,
            action: None,
            message_id: None,
            connection_id: event.connection_id,
            request_id: Some(event.request_id),
            retryable: None,
            id,
        };
        let mut fail = |(status, code, message)| {
            body.status_code = status;
            body.code = Some(code);
            body.message = Some(message);
        };
        match self {
            Self::Refused(fault) => fail(error(fault)),
            Self::Unavailable => {
                fail((503, "Unavailable", "the message could not be passed on; try again"));
                body.retryable = Some(true);
            }
            Self::NoPrincipal => fail((500, "InternalError", "the connection has no principal")),
            Self::Pong => {
                body.r#type = "pong";
                body.request_id = None;
            }
            Self::Accepted { channel, message_id } => {
                body.r#type = "accepted";
                body.status_code = 202;
                body.action = Some(channel.action());
                body.message_id = Some(message_id);
            }
        }
        Ok(json!({"statusCode": 200, "body": serde_json::to_string(&body)?}))
    }
}

const fn error(fault: Fault) -> (u16, &'static str, &'static str) {
    match fault {
        Fault::InvalidJson => (400, "InvalidJson", "the frame is not JSON text"),
        Fault::NotAnObject => (400, "BadRequest", "the frame is not a JSON object"),
        Fault::Ambiguous => (400, "BadRequest", "a member of the frame occurs twice"),
        Fault::ActionMissing => (400, "BadRequest", "the frame has no action, or one that is not a text"),
        Fault::IdTooLong => (400, "BadRequest", "the id has more than 1024 bytes"),
        Fault::UnknownAction => (400, "UnknownAction", "the action is none of ping, send, publish"),
        Fault::MessageMissing => (400, "MessageMissing", "the frame has no message"),
        Fault::MessageRefused => (400, "BadRequest", "the message has a character that cannot be passed on"),
        Fault::TooLarge => (413, "MessageTooLarge", "the frame has more than 131072 bytes"),
    }
}

/// Lets the connection open. A browser drops a socket whose server does not choose one of the subprotocols that it
/// offered.
#[must_use]
pub fn connected(chooses_subprotocol: bool) -> Value {
    if chooses_subprotocol {
        json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": SUBPROTOCOL}})
    } else {
        json!({"statusCode": 200})
    }
}

/// A `$connect` or `$disconnect` that failed. Here the status is the answer: no 2xx, no connection.
#[must_use]
pub fn failed() -> Value {
    json!({"statusCode": 500})
}
