//! Asks a running operator's `/readyz` ([`crate::serve`]) from outside: the chart's test.
//!
//! One request without a body to a server of ours needs no client library.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// More than the answer has.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;
const HEADERS_MAX: usize = 16;

/// Nobody has said in time that the operator is ready.
#[derive(Debug, thiserror::Error)]
#[error("{address} was not ready within {within:?}: {last}")]
pub struct Error {
    address: String,
    within: Duration,
    last: String,
}

/// Asks until the operator at this host and port is ready.
///
/// # Errors
/// When it is not within that time, with what was heard last.
pub async fn ask(address: &str, within: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + within;
    let mut last = "no answer in time".to_owned();
    loop {
        match timeout_at(deadline, answer(address)).await {
            Ok(Ok(answer)) => match verdict(&answer) {
                Ok(()) => return Ok(()),
                Err(other) => last = other,
            },
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => {}
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(Error { address: address.to_owned(), within, last });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn answer(address: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Whether the answer is a yes; if not, what it is.
fn verdict(answer: &[u8]) -> Result<(), String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(answer) {
        Ok(parsed) if parsed.is_complete() => match response.code {
            Some(200) => Ok(()),
            code => Err(format!("it answered {}", code.unwrap_or_default())),
        },
        _ => Err("what answers there speaks no HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_200_is_ready() {
        assert_eq!(verdict(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), Ok(()));
        let not_yet = verdict(b"HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready");
        assert_eq!(not_yet, Err("it answered 503".to_owned()));
        for other in [&b""[..], b"SSH-2.0-OpenSSH", b"HTTP/1.1 200"] {
            assert_eq!(verdict(other), Err("what answers there speaks no HTTP".to_owned()), "{other:?}");
        }
    }

    #[tokio::test]
    async fn who_is_never_there_is_named_with_the_last_word() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        // So that it is asked once.
        let error = ask(&address, PAUSE).await.unwrap_err().to_string();
        assert!(error.contains(&address) && error.contains("refused"), "{error}");
    }
}
