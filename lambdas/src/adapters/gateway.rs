//! API Gateway's management API: posts to open sockets.
//!
//! One call is made here, and a million times: so it is made on a keep-alive client directly, signed by AWS's own
//! signer, and not through the SDK's layers of configuration, retries and serialisation, which cost as much again
//! (`make bench`, "posts"). What an answer means is what the SDK takes it for; a test compares the two.

mod answer;
mod signer;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use self::signer::Signer;
pub use self::signer::SignerError;
use crate::adapters::CONNECT_TIMEOUT;
use crate::ports::{Posted, Sockets};

/// How long one post may take. A client that does not read must not hold up the others.
const POST_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a socket to the gateway is kept without use.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The most of an answer that is read: an error's code is in its first bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What stays as it is in a path (RFC 3986, 2.3).
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The management API of one stage.
#[derive(Clone, Debug)]
pub struct ManagementApi {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// The address before a connection's id.
    base: String,
    signer: Signer,
}

/// A post that could not be made, or not to its end.
#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    #[error("the request cannot be signed")]
    Signature(#[from] SignerError),
    #[error("no answer")]
    Client(#[from] hyper_util::client::legacy::Error),
    #[error("a part of an answer")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ManagementApi {
    /// The API at `endpoint`, without `/@connections`.
    ///
    /// # Errors
    /// When the environment names no region or no credentials, or the system has no certificate authorities.
    pub fn new(aws: &SdkConfig, endpoint: &str) -> Result<Self, SignerError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(endpoint)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        let base = format!("{}/@connections/", endpoint.trim_end_matches('/'));
        Ok(Self { client, base, signer: Signer::new(aws)? })
    }

    async fn try_post(&self, connection_id: &str, data: &str) -> Result<Posted, PostError> {
        let uri = format!("{}{}", self.base, utf8_percent_encode(connection_id, &UNRESERVED));
        let mut request = Request::post(uri.as_str())
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Full::new(Bytes::copy_from_slice(data.as_bytes())))?;
        self.signer.sign(&uri, &mut request, data.as_bytes(), SystemTime::now()).await?;
        let (head, body) = self.client.request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(PostError::Answer)?;
        Ok(answer::meaning(&Response::from_parts(head, body.to_bytes())))
    }
}

/// Whom to trust: the system's authorities, which take milliseconds to read and are needed for `https` only.
fn tls(endpoint: &str) -> Result<ClientConfig, SignerError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(SignerError::Tls)?;
    if endpoint.starts_with("https:") {
        return Ok(builder.with_native_roots().map_err(SignerError::Authorities)?.with_no_client_auth());
    }
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

impl Sockets for ManagementApi {
    async fn post(&self, connection_id: &str, data: &str) -> Posted {
        match tokio::time::timeout(POST_TIMEOUT, self.try_post(connection_id, data)).await {
            Ok(Ok(posted)) => posted,
            Ok(Err(PostError::Request(_))) => Posted::Invalid,
            Ok(Err(_)) | Err(_) => Posted::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests;
