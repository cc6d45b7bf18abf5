//! What API Gateway tells about a frame or a connection. Pure.

use serde_json::Value;
use sumu_contract::message::{CONTEXT_EXPIRES_AT, SUBPROTOCOL};

use crate::authorizer::token::header;

/// The parts of a WebSocket event that are used. All but `body` come from the gateway, so a client cannot forge them.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The route that the gateway chose.
    pub route_key: &'a str,
    /// `CONNECT`, `MESSAGE` or `DISCONNECT`.
    pub event_type: &'a str,
    /// The gateway's id of the connection.
    pub connection_id: &'a str,
    /// The gateway's id of the request.
    pub request_id: &'a str,
    /// Whom the authorizer let in.
    pub user_id: Option<&'a str>,
    /// The token's `exp` (epoch seconds), as the authorizer passed it on.
    pub expires_at: Option<u64>,
    /// When the gateway received the request (epoch milliseconds).
    pub received_at: Option<u64>,
    /// Whether the client offers our subprotocol.
    pub offers_subprotocol: bool,
    /// The frame, if it is one of text.
    pub body: Option<&'a str>,
}

/// The event is none of a WebSocket API.
#[derive(Debug, thiserror::Error)]
#[error("the event's request context has no {0}")]
pub struct NotOurs(&'static str);

impl<'a> Event<'a> {
    /// Reads an event of an `AWS_PROXY` integration.
    pub fn parse(event: &'a Value) -> Result<Self, NotOurs> {
        let context = &event["requestContext"];
        let text = |name: &'static str| context[name].as_str().ok_or(NotOurs(name));
        let authorizer = &context["authorizer"];
        let offered = header(event, "sec-websocket-protocol").unwrap_or_default();
        Ok(Self {
            route_key: text("routeKey")?,
            event_type: text("eventType")?,
            connection_id: text("connectionId")?,
            request_id: context["requestId"].as_str().unwrap_or_default(),
            user_id: authorizer["principalId"].as_str().filter(|id| !id.is_empty()),
            expires_at: whole_number(&authorizer[CONTEXT_EXPIRES_AT]),
            received_at: context["requestTimeEpoch"].as_u64(),
            offers_subprotocol: offered.split(',').any(|entry| entry.trim() == SUBPROTOCOL),
            // Binary frames have no meaning here; the gateway closes their connections anyway.
            body: event["body"].as_str().filter(|_| event["isBase64Encoded"] != true),
        })
    }
}

/// The gateway passes an authorizer's numbers on as texts.
fn whole_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
