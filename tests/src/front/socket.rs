//! An open connection: its frames, each handled beside the others, its limits and its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::SplitStream;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::event::{Occasion, Peer, new_id};
use super::http::failure;
use super::outbox::{Drain, Outbox};
use super::routing;
use super::shared::{Caller, Limits, Shared};
use super::{MESSAGE_BYTES_MAX, upstream::Stage};

/// How long a client may take to read our close and to hang up.
const FAREWELL: Duration = Duration::from_secs(5);

/// One connection, from the moment at which posts reach it.
#[derive(Debug)]
pub struct Socket {
    /// Whose.
    pub peer: Peer,
    /// What the authorizer has said.
    pub authorizer: Option<Map<String, Value>>,
    /// What is on its way to the client.
    pub outbox: Outbox,
    closing: Notify,
    active: Mutex<(Instant, Timestamp)>,
}

/// How a connection ended, as `$disconnect` tells it, and who ended it.
struct End {
    code: u16,
    reason: String,
    say: Option<(u16, &'static str)>,
}

impl End {
    fn ours(code: u16, reason: &'static str) -> Self {
        Self { code, reason: reason.to_owned(), say: Some((code, reason)) }
    }

    fn theirs(code: u16, reason: &str) -> Self {
        Self { code, reason: reason.to_owned(), say: None }
    }
}

impl Socket {
    /// A connection that has just opened.
    #[must_use]
    pub fn new(peer: Peer, authorizer: Option<Map<String, Value>>, outbox: Outbox) -> Self {
        let active = Mutex::new((Instant::now(), peer.connected_at));
        Self { peer, authorizer, outbox, closing: Notify::new(), active }
    }

    /// Asks for its end, as `DeleteConnection` does.
    pub fn close(&self) {
        self.closing.notify_one();
    }

    /// When something was sent last, in either direction.
    pub fn last_active(&self) -> Timestamp {
        self.activity().1
    }

    /// Sends a message unless the client's buffer is full.
    #[must_use]
    pub fn post(&self, text: &[u8]) -> bool {
        let taken = self.outbox.post(text);
        if taken {
            self.touch();
        }
        taken
    }

    fn touch(&self) {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), Timestamp::now());
    }

    fn activity(&self) -> (Instant, Timestamp) {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn occasion<'a>(&'a self, request_id: &'a str) -> Occasion<'a> {
        Occasion { peer: &self.peer, request_id, now: Timestamp::now(), authorizer: self.authorizer.as_ref() }
    }
}

/// Serves a connection to its end, and tells `$disconnect` of it.
pub async fn serve(
    shared: Arc<Shared>,
    socket: Arc<Socket>,
    open: WebSocketStream<TcpStream>,
    drain: Drain,
    limits: Limits,
) {
    let (sink, mut stream) = open.split();
    let mut writer = tokio::spawn(drain.write_to(sink));
    let end = read(&shared, &socket, &mut stream, limits).await;
    shared.forget(&socket.peer.connection_id);
    let farewell = async {
        if let Some((code, reason)) = end.say {
            socket.outbox.close(code, reason);
            if let Ok(Ok(sink)) = tokio::time::timeout(FAREWELL, &mut writer).await
                && let Ok(open) = sink.reunite(stream)
            {
                see_off(open.into_inner()).await;
            }
        } else {
            // The library answers the client's close by itself while it is read on.
            let _ = tokio::time::timeout(FAREWELL, async { while let Some(Ok(_)) = stream.next().await {} }).await;
        }
        writer.abort();
    };
    tokio::join!(farewell, disconnected(&shared, &socket, &end));
}

/// Discards what the client still sends: a connection that is closed over unread bytes is reset, and the client would
/// never read why.
async fn see_off(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut discarded = vec![0; 16 * 1024];
    let work = async { while stream.read(&mut discarded).await.is_ok_and(|length| length > 0) {} };
    let _ = tokio::time::timeout(FAREWELL, work).await;
}

async fn read(
    shared: &Arc<Shared>,
    socket: &Arc<Socket>,
    stream: &mut SplitStream<WebSocketStream<TcpStream>>,
    limits: Limits,
) -> End {
    let ends_at = Instant::now() + limits.lifetime;
    loop {
        let idle_at = socket.activity().0 + limits.idle;
        let next = tokio::select! {
            next = stream.next() => next,
            () = sleep_until(ends_at) => return End::ours(1001, "Going away"),
            () = sleep_until(idle_at) => {
                if socket.activity().0 + limits.idle <= Instant::now() {
                    return End::ours(1001, "Going away");
                }
                continue;
            }
            () = socket.closing.notified() => return End::ours(1000, "Connection Closed Normally"),
        };
        match next {
            Some(Ok(Message::Text(text))) => {
                socket.touch();
                let (shared, socket) = (Arc::clone(shared), Arc::clone(socket));
                tokio::spawn(async move { answer(&shared, &socket, text.as_str()).await });
            }
            Some(Ok(Message::Binary(_))) => return End::ours(1003, "Unsupported data"),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(None))) => return End::theirs(1005, "Client-side close frame status not set"),
            Some(Ok(Message::Close(Some(frame)))) => return End::theirs(frame.code.into(), frame.reason.as_str()),
            Some(Err(Error::Capacity(_))) => return End::ours(1009, "Message too big"),
            Some(Err(Error::Utf8(_))) => return End::ours(1007, "Invalid UTF-8"),
            Some(Err(_)) | None => return End::theirs(1006, ""),
        }
    }
}

/// Handles one frame.
async fn answer(shared: &Shared, socket: &Socket, frame: &str) {
    let request_id = new_id();
    let reply = match reply(shared, socket, frame, &request_id).await {
        Ok(None) => return,
        Ok(Some(reply)) => reply,
        Err(message) => failure(message, &socket.peer.connection_id, &request_id).to_string(),
    };
    // A client that does not read gets no replies either.
    let _ = socket.post(reply.as_bytes());
}

/// The reply to a frame, or what the gateway says instead.
async fn reply(
    shared: &Shared,
    socket: &Socket,
    frame: &str,
    request_id: &str,
) -> Result<Option<String>, &'static str> {
    const FAILED: &str = "Internal server error";
    let peer = &socket.peer;
    let (stage, api) = shared.served(&peer.api, &peer.stage).await.map_err(|_| FAILED)?.ok_or("Forbidden")?;
    if !shared.lets_through(peer, &stage) {
        return Err("Too Many Requests");
    }
    let (key, route) = routing::route(&api, frame).ok_or("Forbidden")?;
    let integration = route.integration.as_ref().ok_or(FAILED)?;
    let event = socket.occasion(request_id).message(key, frame, &stage);
    let invoked =
        shared.invoke(peer, Caller::Route(key), integration, &event).await.ok_or("Endpoint request timed out")?;
    let body = routing::replied(&invoked).map_err(|_| FAILED)?;
    if body.as_ref().is_some_and(|body| body.len() > MESSAGE_BYTES_MAX) {
        return Err(FAILED);
    }
    Ok(body.filter(|_| route.replies))
}

/// Tells `$disconnect`, once and at best.
async fn disconnected(shared: &Shared, socket: &Socket, end: &End) {
    if shared.loses_disconnect(&socket.peer.connection_id) {
        return;
    }
    let Ok(Some((stage, api))) = shared.served(&socket.peer.api, &socket.peer.stage).await else { return };
    let integration = api.routes.get("$disconnect").and_then(|route| route.integration.as_ref());
    if let Some(integration) = integration {
        let event = disconnect_event(socket, end, &stage);
        let _ = shared.invoke(&socket.peer, Caller::Route("$disconnect"), integration, &event).await;
    }
}

fn disconnect_event(socket: &Socket, end: &End, stage: &Stage) -> Value {
    socket.occasion(&new_id()).disconnect(end.code, &end.reason, stage)
}
