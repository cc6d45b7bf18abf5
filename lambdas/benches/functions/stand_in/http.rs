//! Just enough of an HTTP/1.1 server: keep-alive, bodies with a length. A real one would take the processor time that
//! the programs under measurement need.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The largest head of a request.
const HEADERS_MAX: usize = 48;

/// A request.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// Path and query, as they came.
    pub path: String,
    /// The header `X-Amz-Target`: the operation in AWS's JSON protocols.
    pub target: String,
    /// The body.
    pub body: Vec<u8>,
    /// How long ago the one before it came on the same socket, in microseconds.
    pub since_last: Option<u64>,
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Headers beside the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without headers of its own.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }
}

/// Who answers.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// Answers whoever connects, for ever.
pub async fn serve(listener: TcpListener, handler: Arc<impl Handler>) {
    while let Ok((socket, _)) = listener.accept().await {
        let handler = Arc::clone(&handler);
        tokio::spawn(async move {
            // Whoever is killed leaves a broken socket behind; that is its own affair.
            let _ = converse(socket, &*handler).await;
        });
    }
}

async fn converse(mut socket: TcpStream, handler: &impl Handler) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    let mut last: Option<Instant> = None;
    loop {
        let (mut request, length) = loop {
            if let Some(found) = parse(&buffer)? {
                break found;
            }
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let now = Instant::now();
        request.since_last = last.replace(now).map(|last| u64::try_from((now - last).as_micros()).unwrap_or(u64::MAX));
        buffer.drain(..length);
        let Response { status, headers, body } = handler.answer(request).await;
        let mut answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len()).into_bytes();
        for (name, value) in headers {
            answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        answer.extend_from_slice(b"\r\n");
        answer.extend_from_slice(&body);
        socket.write_all(&answer).await?;
    }
}

/// The request at the beginning of `bytes` and its length, once it is whole.
fn parse(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let broken = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(bytes).map_err(|error| broken(error.to_string()))? else {
        return Ok(None);
    };
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    if header("transfer-encoding").is_some() {
        return Err(broken("a body without a length".into()));
    }
    let length: usize = header("content-length").unwrap_or("0").parse().map_err(|_| broken("no length".into()))?;
    let end = start + length;
    let Some(body) = bytes.get(start..end) else { return Ok(None) };
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: head.path.unwrap_or_default().to_owned(),
        target: header("x-amz-target").unwrap_or_default().to_owned(),
        body: body.to_vec(),
        since_last: None,
    };
    Ok(Some((request, end)))
}
