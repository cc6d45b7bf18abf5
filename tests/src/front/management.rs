//! The management API, `@connections`: posts, a connection's data, and its end.
//!
//! Its errors have the form of AWS's restJson1; SDKs read their codes from a header.

use serde_json::json;

use super::http::{Answer, Request};
use super::shared::Shared;
use super::{Address, MESSAGE_BYTES_MAX};
use crate::Result;
use crate::aws::ACCOUNT;
use crate::gateway::call::caller_and_region;

/// Answers one call about a connection.
pub async fn answer(
    shared: &Shared,
    request: &Request,
    address: Option<&Address>,
    connection_id: &str,
    body: &[u8],
) -> Result<Answer> {
    // Who calls is believed; the signature itself is not checked.
    let Some(signature) = request.header("authorization").filter(|value| value.starts_with("AWS4-HMAC-SHA256 ")) else {
        let message = Some("Missing Authentication Token");
        return Ok(Answer::error(403, "MissingAuthenticationTokenException", message));
    };
    let Some(address) = address else { return Ok(forbidden()) };
    if let Some(denial) = denial(shared, signature, &request.method, address).await? {
        return Ok(denial);
    }
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

/// The answer to a caller that may not do this.
///
/// Sources: API Gateway's developer guide on IAM authorization for WebSocket APIs; the form of the message, with the
/// literal `{connectionId}` and without the account, from <https://github.com/aws/aws-cdk/issues/18410>.
async fn denial(shared: &Shared, signature: &str, method: &str, address: &Address) -> Result<Option<Answer>> {
    const ACTION: &str = "execute-api:ManageConnections";
    let Address { api, stage } = address;
    let (key, region) = caller_and_region(signature).unwrap_or_default();
    let resource = |account| {
        format!("arn:aws:execute-api:{region}:{account}:{api}/{stage}/{method}/@connections/{{connectionId}}")
    };
    let Some(user) = shared.upstream.refused(key, ACTION, &resource(ACCOUNT)).await? else { return Ok(None) };
    let masked = format!("********{}", &ACCOUNT[ACCOUNT.len() - 4..]);
    let message = format!("User: {user} is not authorized to perform: {ACTION} on resource: {}", resource(&masked));
    Ok(Some(Answer::error(403, "AccessDeniedException", Some(&message))))
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
