//! The management API, `@connections`: posts, a connection's data, and its end.
//!
//! Its errors have the form of AWS's restJson1; SDKs read their codes from a header.

use serde_json::json;

use super::http::{Answer, Request};
use super::shared::Shared;
use super::{Address, MESSAGE_BYTES_MAX};
use crate::Result;

/// Answers one call about a connection.
pub async fn answer(
    shared: &Shared,
    request: &Request,
    address: Option<&Address>,
    connection_id: &str,
    body: &[u8],
) -> Result<Answer> {
    // The signature itself is not checked: the testbed has one key.
    if !request.header("authorization").is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 ")) {
        let message = Some("Missing Authentication Token");
        return Ok(Answer::error(403, "MissingAuthenticationTokenException", message));
    }
    let Some(address) = address else { return Ok(forbidden()) };
    let of_stage = |found: &_| is_of(found, address);
    let Some(socket) = shared.socket(connection_id).filter(|socket| of_stage(&socket.peer)) else {
        let is_served = shared.served(&address.api, &address.stage).await?.is_some();
        return Ok(if is_served { gone() } else { forbidden() });
    };
    Ok(match request.method.as_str() {
        "POST" if body.len() > MESSAGE_BYTES_MAX => Answer::error(413, "PayloadTooLargeException", None),
        "POST" if socket.post(body) => Answer::ok(200, ""),
        "POST" => throttled(),
        "DELETE" => {
            socket.close();
            Answer::ok(204, "")
        }
        "GET" => {
            let mut identity = json!({"sourceIp": socket.peer.source_ip});
            if let Some(user_agent) = &socket.peer.user_agent {
                identity["userAgent"] = user_agent.as_str().into();
            }
            let connection = json!({
                "connectedAt": socket.peer.connected_at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
                "identity": identity,
                "lastActiveAt": socket.last_active().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            });
            Answer::ok(200, &connection.to_string())
        }
        _ => forbidden(),
    })
}

fn is_of(peer: &super::event::Peer, address: &Address) -> bool {
    peer.api == address.api && peer.stage == address.stage
}

/// 410: there is no such connection, not yet or no more.
#[must_use]
pub fn gone() -> Answer {
    Answer::error(410, "GoneException", None)
}

/// 429: too much for the client or the account.
#[must_use]
pub fn throttled() -> Answer {
    Answer::error(429, "LimitExceededException", None)
}

fn forbidden() -> Answer {
    Answer::error(403, "ForbiddenException", Some("Forbidden"))
}
