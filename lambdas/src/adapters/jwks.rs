//! Issuers' public keys over HTTP.

use std::time::Duration;

use reqwest::header::CACHE_CONTROL;
use reqwest::{Client, StatusCode};

use crate::ports::{KeyDocument, Keys, PortError};

/// How long an issuer may take. A client waits for its connection meanwhile.
const DEADLINE: Duration = Duration::from_secs(3);

/// The largest document that is read. Real ones have a few kilobytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Fetches key documents.
#[derive(Clone, Debug)]
pub struct HttpKeys {
    client: Client,
}

/// An issuer's answer cannot be used.
#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error("the issuer answered {0}")]
    Status(StatusCode),
    #[error("the issuer's document has more than {BODY_BYTES_MAX} bytes")]
    TooLarge,
}

impl HttpKeys {
    /// A fetcher with one connection pool.
    pub fn new() -> Result<Self, PortError> {
        let client = Client::builder()
            .timeout(DEADLINE)
            .connect_timeout(DEADLINE)
            // Whoever configures an issuer names the place of its keys; nobody may move it to another.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| PortError::new("making an HTTP client", error))?;
        Ok(Self { client })
    }
}

impl Keys for HttpKeys {
    async fn fetch(&self, uri: &str) -> Result<KeyDocument, PortError> {
        let failed = |source| PortError { operation: "fetching an issuer's keys", source };
        // What follows `?` in an address may be a secret, and errors are logged.
        let broken = |error: reqwest::Error| failed(error.without_url().into());
        let mut response = self.client.get(uri).send().await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            return Err(failed(AnswerError::Status(response.status()).into()));
        }
        let cache_control =
            response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(failed(AnswerError::TooLarge.into()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(KeyDocument { body, cache_control })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::telemetry::Chain;

    /// What is fetched from an issuer that sends `answer` and hangs up.
    #[expect(clippy::unwrap_in_result, reason = "what the test sets up itself must work")]
    fn fetch(answer: &[u8]) -> Result<KeyDocument, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
            let issuer = async {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await.unwrap();
                // A client that has read enough hangs up first.
                let _ = socket.write_all(answer).await;
            };
            let keys = HttpKeys::new().unwrap();
            let (fetched, ()) = tokio::join!(keys.fetch(&uri), issuer);
            fetched.map_err(|error| Chain(&error).to_string())
        })
    }

    fn answer(head: &str, body_bytes: usize) -> Vec<u8> {
        let mut answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").into_bytes();
        answer.resize(answer.len() + body_bytes, b' ');
        answer
    }

    #[test]
    fn a_document_comes_with_its_cache_control() {
        let fetched = fetch(&answer("200 OK\r\nCache-Control: max-age=7", 5)).unwrap();
        assert_eq!((fetched.body.len(), fetched.cache_control.as_deref()), (5, Some("max-age=7")));
        assert_eq!(fetch(&answer("200 OK", BODY_BYTES_MAX)).unwrap().body.len(), BODY_BYTES_MAX);
    }

    #[test]
    fn what_is_too_large_or_no_success_is_refused() {
        assert!(fetch(&answer("200 OK", BODY_BYTES_MAX + 1)).unwrap_err().contains("more than"));
        assert!(fetch(&answer("503 Service Unavailable", 5)).unwrap_err().contains("503"));
        let elsewhere = "302 Found\r\nlocation: http://127.0.0.1:9/";
        assert!(fetch(&answer(elsewhere, 0)).unwrap_err().contains("302"), "nobody moves the keys");
        assert!(fetch(b"nonsense").is_err());
    }
}
