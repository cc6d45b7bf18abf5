//! A WebSocket client that tells what happened, and when nothing did.

use std::fmt::Debug;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, frame::coding::CloseCode};

use crate::front::{FRAME_BYTES_MAX, outbox::in_frames};
use crate::poll::{PATIENCE, within};
use crate::{Context, Error, Result, ensure, ensure_eq};

/// About the least that Linux grants.
const NARROW_BYTES: u32 = 4096;

/// How a client shows its token.
#[derive(Clone, Copy, Debug)]
pub enum Credentials<'a> {
    /// In the query: `?authorization=<token>`.
    Query(&'a str),
    /// In the header `Authorization: Bearer <token>`.
    Header(&'a str),
    /// As a browser does that keeps it out of the URL: `Sec-WebSocket-Protocol: sumu, <token>`.
    Subprotocol(&'a str),
    /// Not at all.
    Nothing,
}

/// A refused handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// A connection of TCP, or of TLS over it.
trait Stream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> Stream for S {}

type Wire = Box<dyn Stream>;

/// An open connection.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<Wire>,
    subprotocol: Option<String>,
}

impl Client {
    /// Connects, which must succeed.
    pub async fn connect(url: &str, credentials: Credentials<'_>) -> Result<Self> {
        accepted(url, Self::try_connect(url, credentials).await?)
    }

    /// Connects with so small a receive buffer that the server's writes soon stop when nobody reads here.
    pub async fn connect_narrow(url: &str, credentials: Credentials<'_>) -> Result<Self> {
        let work = handshake(url, None, credentials, Some(NARROW_BYTES));
        accepted(url, within(PATIENCE, "the WebSocket handshake", work).await?)
    }

    /// Connects to an address in the place of the one that DNS would give for the URL's host, and without TLS.
    pub async fn connect_at(authority: &str, url: &str, credentials: Credentials<'_>) -> Result<Self> {
        let work = handshake(url, Some(authority), credentials, None);
        accepted(url, within(PATIENCE, "the WebSocket handshake", work).await?)
    }

    /// The same, which must be refused, and returns the HTTP status.
    pub async fn refused_at(authority: &str, url: &str, credentials: Credentials<'_>) -> Result<u16> {
        let work = handshake(url, Some(authority), credentials, None);
        match within(PATIENCE, "the WebSocket handshake", work).await? {
            Ok(_) => Err(Error::new(format!("{url} accepted the client"))),
            Err(refusal) => Ok(refusal.status),
        }
    }

    /// Connects, which must be refused, and returns the HTTP status.
    pub async fn refused(url: &str, credentials: Credentials<'_>) -> Result<u16> {
        match Self::try_connect(url, credentials).await? {
            Ok(_) => Err(Error::new(format!("{url} accepted the client"))),
            Err(refusal) => Ok(refusal.status),
        }
    }

    /// Connects; the inner result is the server's decision.
    ///
    /// The handshake is our own, because a strict client of a library hides the body of a refusal, and a subprotocol
    /// that was not chosen.
    pub async fn try_connect(url: &str, credentials: Credentials<'_>) -> Result<Result<Self, Refusal>> {
        let work = handshake(url, None, credentials, None);
        within(PATIENCE, "the WebSocket handshake", work).await.with_context(|| format!("cannot connect to {url}"))
    }

    /// The subprotocol that the server chose.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Sends a frame of JSON.
    pub async fn send(&mut self, frame: &Value) -> Result<()> {
        self.send_text(&frame.to_string()).await
    }

    /// Sends a message of text, in as many frames as API Gateway wants it.
    pub async fn send_text(&mut self, text: &str) -> Result<()> {
        self.send_in_frames(text, FRAME_BYTES_MAX).await
    }

    /// Sends a message of text in frames of this many bytes.
    pub async fn send_in_frames(&mut self, text: &str, bytes: usize) -> Result<()> {
        for message in in_frames(text.as_bytes(), bytes) {
            self.socket.send(message).await?;
        }
        Ok(())
    }

    /// Sends a binary frame.
    pub async fn send_binary(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.socket.send(Message::binary(bytes.to_vec())).await?)
    }

    /// The next frame, as text.
    pub async fn next_text(&mut self) -> Result<String> {
        within(PATIENCE, "the next frame", async {
            loop {
                match self.socket.next().await.context("the connection ended")?? {
                    Message::Text(text) => return Ok(text.as_str().to_owned()),
                    Message::Close(frame) => return Err(Error::new(format!("the server closed: {frame:?}"))),
                    Message::Binary(bytes) => return Err(Error::new(format!("a binary frame: {bytes:?}"))),
                    // The protocol's own, answered by the library.
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                }
            }
        })
        .await
    }

    /// The next frame, as JSON.
    pub async fn next(&mut self) -> Result<Value> {
        let text = self.next_text().await?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    /// Sends a frame and returns the next one that comes.
    pub async fn ask(&mut self, frame: &Value) -> Result<Value> {
        self.send(frame).await?;
        self.next().await
    }

    /// Sends a frame of text and returns the next one that comes.
    pub async fn ask_text(&mut self, text: &str) -> Result<Value> {
        self.send_text(text).await?;
        self.next().await
    }

    /// Sends a ping, whose pong must be the next frame, and returns the pong.
    pub async fn ping(&mut self) -> Result<Value> {
        let answer = self.ask(&json!({"action": "ping"})).await?;
        ensure_eq!(answer["type"], json!("pong"), "after a ping the next frame is its pong, not {answer}");
        Ok(answer)
    }

    /// Fails when a frame has come that nobody has taken.
    ///
    /// A ping is the fence: what was sent to this connection before arrives before its pong. So call this once
    /// the message is known to have gone out, for one because its receiver has it.
    pub async fn ensure_silent(&mut self) -> Result<()> {
        self.ping().await.map(|_| ()).context("the client should have received nothing")
    }

    /// Closes the connection as a client does that is done.
    pub async fn close(self) -> Result<()> {
        self.close_with(CloseCode::Normal.into(), "").await
    }

    /// Closes the connection with a code and a reason.
    pub async fn close_with(mut self, code: u16, reason: &str) -> Result<()> {
        let goodbye = CloseFrame { code: code.into(), reason: reason.into() };
        self.socket.close(Some(goodbye)).await?;
        within(PATIENCE, "the end of the connection", async {
            while let Some(Ok(_)) = self.socket.next().await {}
            Ok(())
        })
        .await
    }

    /// Drops the connection without a word, as a phone does in a tunnel.
    pub fn abort(self) {
        drop(self);
    }

    /// Waits until the server closes the connection, and returns its close code.
    pub async fn closed(&mut self) -> Result<Option<u16>> {
        within(PATIENCE, "the server to close", async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(frame))) => return Ok(frame.map(|frame| frame.code.into())),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Ok(None),
                }
            }
        })
        .await
    }
}

fn accepted(url: &str, answer: Result<Client, Refusal>) -> Result<Client> {
    answer.map_err(|refusal| Error::new(format!("{url} refused the client: {} {}", refusal.status, refusal.body)))
}

async fn handshake(
    url: &str,
    at: Option<&str>,
    credentials: Credentials<'_>,
    receive_buffer: Option<u32>,
) -> Result<Result<Client, Refusal>> {
    let uri: Uri = url.parse()?;
    let authority = uri.authority().context("no host in the URL")?.as_str();
    let key = generate_key();
    let request = request(&uri, authority, &key, credentials);
    let mut stream = match at {
        Some(authority) => connected(&format!("ws://{authority}").parse()?, receive_buffer).await?,
        None => connected(&uri, receive_buffer).await?,
    };
    stream.write_all(request.as_bytes()).await?;
    let (head, rest) = read_head(&mut stream).await?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?.parse()?;
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
    };
    if status != 101 {
        let length = header("content-length").map(str::parse).transpose()?;
        let body = read_body(&mut stream, rest, length).await?;
        return Ok(Err(Refusal { status, body }));
    }
    ensure_eq!(
        header("sec-websocket-accept"),
        Some(derive_accept_key(key.as_bytes()).as_str()),
        "the server's proof that it speaks WebSocket"
    );
    let subprotocol = header("sec-websocket-protocol").map(ToOwned::to_owned);
    let socket = WebSocketStream::from_partially_read(stream, rest, Role::Client, None).await;
    Ok(Ok(Client { socket, subprotocol }))
}

async fn connected(uri: &Uri, receive_buffer: Option<u32>) -> Result<Wire> {
    let host = uri.host().context("no host in the URL")?;
    let default_port = match uri.scheme_str() {
        Some("ws") => 80,
        Some("wss") => 443,
        _ => return Err(Error::new(format!("{uri} is no URL of a WebSocket"))),
    };
    let port = uri.port_u16().unwrap_or(default_port);
    let address = tokio::net::lookup_host((host, port)).await?.next().context("the host has no address")?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    if default_port == 80 {
        return Ok(Box::new(stream));
    }
    let connector = TlsConnector::from(Arc::new(rustls::ClientConfig::with_platform_verifier()?));
    let name = ServerName::try_from(host.to_owned())?;
    Ok(Box::new(connector.connect(name, stream).await.context("TLS")?))
}

fn request(uri: &Uri, authority: &str, key: &str, credentials: Credentials<'_>) -> String {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let (path, header) = match credentials {
        Credentials::Query(token) => {
            let separator = if uri.query().is_some() { '&' } else { '?' };
            (format!("{path}{separator}authorization={token}"), String::new())
        }
        Credentials::Header(token) => (path.to_owned(), format!("Authorization: Bearer {token}\r\n")),
        Credentials::Subprotocol(token) => {
            (path.to_owned(), format!("Sec-WebSocket-Protocol: {}, {token}\r\n", sumu_contract::message::SUBPROTOCOL))
        }
        Credentials::Nothing => (path.to_owned(), String::new()),
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{header}\r\n"
    )
}

/// Reads to the end of the HTTP head; returns it and what came with it.
async fn read_head(stream: &mut Wire) -> Result<(String, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await?;
        ensure!(length > 0, "the server hung up: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..length]);
        if let Some(end) = read.windows(END.len()).position(|window| window == END) {
            let rest = read.split_off(end + END.len());
            return Ok((String::from_utf8_lossy(&read).into_owned(), rest));
        }
    }
}

/// Reads a body of this length, or one in chunks, of which the beginning has come.
async fn read_body(stream: &mut Wire, mut read: Vec<u8>, length: Option<usize>) -> Result<String> {
    const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
    let is_whole = |read: &[u8]| length.map_or_else(|| read.ends_with(LAST_CHUNK), |length| read.len() >= length);
    while !is_whole(&read) && stream.read_buf(&mut read).await? > 0 {}
    let text = String::from_utf8(read)?;
    if length.is_some() {
        return Ok(text);
    }
    let (mut body, mut rest) = (String::new(), text.as_str());
    while let Some((size, chunk)) = rest.split_once("\r\n").filter(|(size, _)| *size != "0") {
        let (chunk, others) = chunk.split_at(usize::from_str_radix(size, 16)?);
        body.push_str(chunk);
        rest = others.trim_start();
    }
    Ok(body)
}
