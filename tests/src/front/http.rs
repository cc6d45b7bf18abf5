//! HTTP/1.1 on one connection: a request's head as it was sent, its body, and an answer.
//!
//! By hand, because what a function sees of a handshake are the header names as the client wrote them, and because a
//! front that hangs up or loses an answer needs the connection itself.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::{Context, Result, ensure};

/// More than API Gateway takes; a client that sends more is no client of ours.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its path, still encoded.
    pub path: String,
    /// The parameters of its query, decoded.
    pub query: Vec<(String, String)>,
    /// Its headers, named as they were sent.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The next request's head; nothing when the caller has closed.
    pub async fn read(caller: &mut BufReader<TcpStream>) -> Result<Option<Self>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if caller.read_until(b'\n', &mut head).await? == 0 {
                return Ok(None);
            }
            ensure!(head.len() <= HEAD_BYTES_MAX, "a head of more than {HEAD_BYTES_MAX} bytes");
        }
        Self::parse(&String::from_utf8_lossy(&head)).map(Some)
    }

    /// Reads a head.
    pub fn parse(head: &str) -> Result<Self> {
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split_ascii_whitespace();
        let method = words.next().context("no method")?.to_owned();
        let (path, query) = split(words.next().context("no path")?);
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
        Ok(Self { method, path, query, headers })
    }

    /// The body that belongs to this head.
    pub async fn body(&self, caller: &mut BufReader<TcpStream>) -> Result<Vec<u8>> {
        ensure!(self.header("transfer-encoding").is_none(), "a body in chunks is not understood here");
        let mut body = vec![0; self.header("content-length").map_or(Ok(0), str::parse)?];
        caller.read_exact(&mut body).await?;
        Ok(body)
    }

    /// A header, whose name HTTP compares without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn split(target: &str) -> (String, Vec<(String, String)>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let query = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
    });
    (path.to_owned(), query.collect())
}

/// A part of a URL without its percent-encoding.
#[must_use]
pub fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// AWS's code of the error, if it is one that AWS models.
    pub kind: Option<&'static str>,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// A success.
    #[must_use]
    pub fn ok(status: u16, body: &str) -> Self {
        Self { status, kind: None, body: body.to_owned() }
    }

    /// An error of the management API, in the form of AWS's restJson1: the code in a header.
    #[must_use]
    pub fn error(status: u16, kind: &'static str, message: Option<&str>) -> Self {
        let body = message.map_or_else(|| json!({}), |message| json!({ "message": message }));
        Self { status, kind: Some(kind), body: body.to_string() }
    }

    /// A refused handshake, which tells what API Gateway tells.
    #[must_use]
    pub fn refusal(status: u16, message: &str, connection_id: &str, request_id: &str) -> Self {
        Self::ok(status, &failure(message, connection_id, request_id).to_string())
    }

    /// Writes it.
    pub async fn write(&self, caller: &mut BufReader<TcpStream>) -> Result<()> {
        let kind = self.kind.map(|kind| format!("x-amzn-ErrorType: {kind}\r\n")).unwrap_or_default();
        let retry = if self.status == 429 { "Retry-After: 1\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {} Said\r\nContent-Type: application/json\r\n{kind}{retry}Content-Length: {}\r\n\r\n",
            self.status,
            self.body.len()
        );
        caller.write_all(head.as_bytes()).await?;
        Ok(caller.write_all(self.body.as_bytes()).await?)
    }
}

/// What API Gateway itself says to a client, in an answer or in a frame.
#[must_use]
pub fn failure(message: &str, connection_id: &str, request_id: &str) -> Value {
    json!({"message": message, "connectionId": connection_id, "requestId": request_id})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_keeps_the_case_of_its_names_and_decodes_its_query() {
        let head = "GET /live?a=1%3D&b=x+y&c HTTP/1.1\r\nX-Some-Name: v: w\r\nhost: h\r\n\r\n";
        let request = Request::parse(head).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(request.path, "/live");
        assert_eq!(request.query, [pair("a", "1="), pair("b", "x y"), pair("c", "")]);
        assert_eq!(request.headers, [pair("X-Some-Name", "v: w"), pair("host", "h")]);
        assert_eq!(request.header("HOST"), Some("h"));
    }
}
