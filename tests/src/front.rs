//! API Gateway's WebSockets as they are documented, before the emulator, whose own sockets nobody uses.
//!
//! The front ends the clients' WebSockets itself. It reads from the emulator's control plane what a stage serves, and has
//! from the gateway what its deployment captured; it invokes the functions through the emulator's Lambda with API
//! Gateway's events, keeps the open connections, and answers the management API. Tests can make it treat the posts to
//! chosen connections badly ([`Fault`]).
//!
//! | module | what it is |
//! |---|---|
//! | [`upstream`], [`emulator`] | what is needed of AWS, and the emulator as that |
//! | [`handshake`], [`authorizer`] | who gets in, and what anybody else is told |
//! | [`socket`], [`routing`], [`outbox`] | frames and their replies, limits, and what waits for a client that does not read |
//! | [`management`] | `@connections` |
//! | [`event`] | what the functions get |
//! | [`throttle`] | a stage's limit |
//! | [`http`], [`shared`] | requests and answers; what connections share |
//!
//! # Addresses
//! Local hosts have no subdomains, so an API is named by the path: `/_aws/execute-api/{apiId}/{stage}`. With a `Host`
//! of `{apiId}.execute-api.…` it is `/{stage}`, as on AWS; any other host is taken for a custom domain, whose first
//! segment of the path is the mapping's key.
//!
//! # What it cannot show
//! - Deployments are those that the gateway saw passing: a stage that serves another one serves nothing.
//! - AWS publishes neither the size of a client's buffer (here [`Limits::buffer_bytes`]) nor whether pings of the
//!   protocol count as activity (here they do not), nor what becomes of a socket whose stage is gone (here `Forbidden`),
//!   nor what a client hears of `$connect`'s own body (here nothing), nor whether a frame may name `$connect` as its
//!   action (here that is `$default`).
//! - Functions must let API Gateway in, but what their policies say is believed for a second. Signatures are not checked:
//!   a caller of the management API must be signed, and is believed to be who it says; a function is held to its role.
//!   TLS, the account's limits, those of URLs and of headers, throttling by route, IAM authorization of routes and
//!   integrations that are no functions are not there.

pub mod authorizer;
pub mod emulator;
pub mod event;
pub mod handshake;
pub mod http;
pub mod management;
pub mod outbox;
pub mod routing;
pub mod shared;
pub mod socket;
pub mod throttle;
pub mod upstream;

use std::sync::Arc;

use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use self::emulator::Emulator;
use self::http::{Answer, Request, decoded};
use self::shared::Shared;
use self::upstream::Upstream;
use crate::Result;
use crate::aws::Aws;

pub use self::shared::Limits;

/// The largest frame, which cannot be raised.
pub const FRAME_BYTES_MAX: usize = 32 * 1024;
/// The largest message, in both directions, which cannot be raised.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// What the system keeps for a client beside the front's own buffer; Linux doubles it.
const SEND_BUFFER_BYTES: u32 = 64 * 1024;
const BACKLOG: u32 = 1024;

/// What becomes of the posts to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No answer, for as long as the caller waits.
    Hang,
    /// 429, as for a client that does not read or an account that posts too much.
    Throttle,
    /// 500.
    Fail,
    /// 410, though the connection is open.
    Gone,
    /// The caller's connection breaks.
    HangUp,
    /// The post is made, and its answer lost.
    LoseAnswer,
}

/// The API and the stage that a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The API's id.
    pub api: String,
    /// The stage's name.
    pub stage: String,
}

/// A running front.
#[derive(Debug)]
pub struct Front {
    authority: String,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl Front {
    /// Starts a front before an emulator on a free port, in the runtime that calls.
    pub async fn start(aws: &Aws) -> Result<Self> {
        Self::before(Arc::new(Emulator::of(aws).await))
    }

    /// Starts a front before something that is AWS for it, in the runtime that calls.
    pub fn before(upstream: Arc<dyn Upstream>) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        let authority = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared::new(upstream));
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { authority, shared, server })
    }

    /// Where WebSocket clients connect, with `{apiId}` and `{stage}` to fill in.
    #[must_use]
    pub fn websocket_template(&self) -> String {
        format!("ws://{}/_aws/execute-api/{{apiId}}/{{stage}}", self.authority)
    }

    /// Where the pusher posts to connections, with `{apiId}` and `{stage}` to fill in.
    #[must_use]
    pub fn management_template(&self) -> String {
        format!("http://{}/_aws/execute-api/{{apiId}}/{{stage}}", self.authority)
    }

    /// Where clients of one stage connect.
    #[must_use]
    pub fn websocket_url(&self, api_id: &str, stage: &str) -> String {
        self.websocket_template().replace("{apiId}", api_id).replace("{stage}", stage)
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Gives connections that open from now on other limits.
    pub fn limit(&self, limits: Limits) {
        self.shared.state().limits = limits;
    }

    /// Tells nobody of a connection's end.
    pub fn lose_disconnect(&self, connection_id: &str) {
        self.shared.state().silent.insert(connection_id.to_owned());
    }

    /// Treats the posts to a connection so from now on.
    pub fn set(&self, connection_id: &str, fault: Fault) {
        self.shared.state().faults.insert(connection_id.to_owned(), fault);
    }

    /// Treats all posts well from now on.
    pub fn mend(&self) {
        self.shared.state().faults.clear();
    }

    /// How often was posted to a connection.
    #[must_use]
    pub fn posts_to(&self, connection_id: &str) -> usize {
        self.shared.state().posts.get(connection_id).copied().unwrap_or(0)
    }

    /// How often was posted.
    #[must_use]
    pub fn posts(&self) -> usize {
        self.shared.state().posts.values().sum()
    }

    /// Over how many connections of their own the posts came.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.shared.state().callers
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Answers until it is dropped. What goes wrong with a caller is the caller's to tell.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((caller, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = caller.set_nodelay(true);
            let _ = answer(BufReader::new(caller), shared).await;
        });
    }
}

/// Answers one request after the other, or serves the WebSocket that one asks for.
async fn answer(mut caller: BufReader<TcpStream>, shared: Arc<Shared>) -> Result<()> {
    let mut is_known = false;
    while let Some(request) = Request::read(&mut caller).await? {
        let (address, rest) = address(&shared, &request).await?;
        if handshake::is_asked_for(&request) {
            let address = address.filter(|_| rest.is_empty());
            return handshake::answer(shared, &request, address, caller).await;
        }
        let body = request.body(&mut caller).await?;
        let Some(connection_id) = rest.strip_prefix("@connections/") else {
            Answer::ok(403, r#"{"message":"Forbidden"}"#).write(&mut caller).await?;
            continue;
        };
        if !std::mem::replace(&mut is_known, true) {
            shared.state().callers += 1;
        }
        let made = management::answer(&shared, &request, address.as_ref(), connection_id, &body);
        let answer = match fault(&shared, &request, connection_id) {
            None => made.await?,
            Some(Fault::Throttle) => management::throttled(),
            Some(Fault::Fail) => Answer::ok(500, "{}"),
            Some(Fault::Gone) => management::gone(),
            Some(Fault::HangUp) => return Ok(()),
            Some(Fault::LoseAnswer) => return made.await.map(drop),
            // Until the caller has had enough and closes, or sends what is no business of ours.
            Some(Fault::Hang) => return caller.read_u8().await.map(drop).map_err(Into::into),
        };
        answer.write(&mut caller).await?;
    }
    Ok(())
}

/// Counts a post and says what is to become of it.
fn fault(shared: &Shared, request: &Request, connection_id: &str) -> Option<Fault> {
    if request.method != "POST" {
        return None;
    }
    let mut state = shared.state();
    *state.posts.entry(connection_id.to_owned()).or_default() += 1;
    state.faults.get(connection_id).copied()
}

/// What a request is for, and the rest of its path; no address when nothing answers to it.
async fn address(shared: &Shared, request: &Request) -> Result<(Option<Address>, String)> {
    let path = decoded(&request.path);
    let host = request.header("host").and_then(|host| host.split(':').next()).unwrap_or_default();
    let next = |path: &str| {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        (first.to_owned(), rest.to_owned())
    };
    if let Some(path) = path.strip_prefix("/_aws/execute-api/") {
        let (api, rest) = next(path);
        let (stage, rest) = next(&rest);
        return Ok((Some(Address { api, stage }), rest));
    }
    let (first, rest) = next(path.trim_start_matches('/'));
    if let Some((api, _)) = host.split_once(".execute-api.") {
        return Ok((Some(Address { api: api.to_owned(), stage: first }), rest));
    }
    let mapped = shared.upstream.mapping(host, &first).await?;
    Ok((mapped.map(|(api, stage)| Address { api, stage }), rest))
}
