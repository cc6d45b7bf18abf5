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
        Self::with_deadline(DEADLINE)
    }

    fn with_deadline(deadline: Duration) -> Result<Self, PortError> {
        let client = Client::builder()
            // From the first byte to the last: an issuer that sends one byte a second is no better than a silent one.
            .timeout(deadline)
            .connect_timeout(deadline)
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
mod tests;
