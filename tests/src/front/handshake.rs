//! The handshake: stage, throttle, authorizer, `$connect`, and only then a WebSocket.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::authorizer::{Verdict, has_identity, verdict};
use super::event::{Occasion, Peer, new_id};
use super::http::{Answer, Request};
use super::outbox::Outbox;
use super::shared::{Caller, Shared};
use super::socket::{Socket, serve};
use super::upstream::{Api, Authorizer, Integration, Stage};
use super::{Address, FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, routing};
use crate::Result;

/// What API Gateway waits for an authorizer.
const AUTHORIZER_MS: u64 = 29_000;

/// Why there is no connection.
struct Refusal(u16, &'static str);

const FORBIDDEN: Refusal = Refusal(403, "Forbidden");
const FAILED: Refusal = Refusal(500, "Internal server error");

/// Who may come in, and with what.
struct Admitted {
    authorizer: Option<Map<String, Value>>,
    subprotocol: Option<String>,
}

/// Whether a request asks for a WebSocket.
#[must_use]
pub fn is_asked_for(request: &Request) -> bool {
    request.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Answers a handshake and serves the connection that follows from it. Without an address nothing is served there.
pub async fn answer(
    shared: Arc<Shared>,
    request: &Request,
    address: Option<Address>,
    mut caller: BufReader<TcpStream>,
) -> Result<()> {
    let (connection_id, request_id) = (new_id(), new_id());
    let refusal = |Refusal(status, message)| Answer::refusal(status, message, &connection_id, &request_id);
    let Some(key) = request.header("sec-websocket-key") else {
        return Answer::ok(400, r#"{"message":"Bad Request"}"#).write(&mut caller).await;
    };
    let Some(address) = address else { return refusal(FORBIDDEN).write(&mut caller).await };
    let host = request.header("host").unwrap_or_default();
    let peer = Peer {
        connection_id: connection_id.clone(),
        api: address.api,
        stage: address.stage,
        domain: host.split(':').next().unwrap_or_default().to_owned(),
        connected_at: Timestamp::now(),
        source_ip: caller.get_ref().peer_addr()?.ip().to_string(),
        user_agent: request.header("user-agent").map(ToOwned::to_owned),
    };
    let admitted = match admit(&shared, &peer, request, &request_id).await {
        Ok(admitted) => admitted,
        Err(refused) => return refusal(refused).write(&mut caller).await,
    };

    let limits = shared.state().limits;
    let (outbox, drain) = Outbox::new(limits.buffer_bytes);
    let socket = Arc::new(Socket::new(peer, admitted.authorizer, outbox));
    // Whoever has read the answer may rely on being reached.
    shared.register(Arc::clone(&socket));
    let chosen = admitted.subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{chosen}\r\n",
        derive_accept_key(key.as_bytes())
    );
    // A client that has gone meanwhile is found gone by the first read.
    let _ = caller.write_all(head.as_bytes()).await;
    let came_early = caller.buffer().to_vec();
    let config = WebSocketConfig::default()
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .write_buffer_size(0);
    let stream = caller.into_inner();
    let open = WebSocketStream::from_partially_read(stream, came_early, Role::Server, Some(config)).await;
    serve(shared, socket, open, drain, limits).await;
    Ok(())
}

async fn admit(shared: &Shared, peer: &Peer, request: &Request, request_id: &str) -> Result<Admitted, Refusal> {
    let served = shared.served(&peer.api, &peer.stage).await.map_err(|_| FAILED)?;
    let (stage, api) = served.ok_or(FORBIDDEN)?;
    if !shared.lets_through(peer, &stage) {
        return Err(Refusal(429, "Too Many Requests"));
    }
    let mut occasion = Occasion { peer, request_id, now: Timestamp::now(), authorizer: None };
    let authorizer = match &api.authorizer {
        Some(authorizer) => Some(authorize(shared, authorizer, occasion, request, &stage).await?),
        None => None,
    };
    occasion.authorizer = authorizer.as_ref();
    let subprotocol = connect(shared, peer, &api, &occasion.connect(request, &stage)).await?;
    Ok(Admitted { authorizer, subprotocol })
}

async fn authorize(
    shared: &Shared,
    authorizer: &Authorizer,
    occasion: Occasion<'_>,
    request: &Request,
    stage: &Stage,
) -> Result<Map<String, Value>, Refusal> {
    if !has_identity(&authorizer.identity_sources, request, &stage.variables) {
        return Err(Refusal(401, "Unauthorized"));
    }
    let method_arn = Caller::Route("$connect").arn(&authorizer.function, occasion.peer).ok_or(FAILED)?;
    let event = occasion.for_authorizer(request, stage, &method_arn);
    let integration = Integration { function: authorizer.function.clone(), timeout_ms: AUTHORIZER_MS };
    let caller = Caller::Authorizer(&authorizer.id);
    let invoked = shared.invoke(occasion.peer, caller, &integration, &event).await.ok_or(FAILED)?;
    match verdict(&invoked, &method_arn) {
        Verdict::Allow(context) => Ok(context),
        Verdict::Unauthorized => Err(Refusal(401, "Unauthorized")),
        Verdict::Forbidden => Err(FORBIDDEN),
        Verdict::Fault => Err(FAILED),
    }
}

/// Asks `$connect`, if there is such a route.
async fn connect(shared: &Shared, peer: &Peer, api: &Api, event: &Value) -> Result<Option<String>, Refusal> {
    let Some(integration) = api.routes.get("$connect").and_then(|route| route.integration.as_ref()) else {
        return Ok(None);
    };
    let invoked = shared.invoke(peer, Caller::Route("$connect"), integration, event).await;
    let invoked = invoked.ok_or(Refusal(504, "Endpoint request timed out"))?;
    routing::connected(&invoked).map_err(|status| {
        if status >= 500 {
            return Refusal(status, FAILED.1);
        }
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        Refusal(status, reason.unwrap_or("Bad Request"))
    })
}
