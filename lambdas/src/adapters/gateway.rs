//! API Gateway's management API: posts to open sockets.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::error::SdkError;
use aws_sdk_apigatewaymanagement::operation::post_to_connection::PostToConnectionError;
use aws_sdk_apigatewaymanagement::primitives::Blob;

use crate::ports::{Posted, Sockets};

/// How long one post may take. A client that does not read must not hold up the others.
const POST_TIMEOUT: Duration = Duration::from_secs(2);

/// The management API of one stage.
#[derive(Clone, Debug)]
pub struct ManagementApi {
    client: Client,
}

impl ManagementApi {
    /// The API at `endpoint`, without `/@connections`.
    ///
    /// The SDK makes one attempt: how often and when a post is tried again is the pusher's decision.
    #[must_use]
    pub fn new(aws: &SdkConfig, endpoint: String) -> Self {
        let config = aws_sdk_apigatewaymanagement::config::Builder::from(aws)
            .endpoint_url(endpoint)
            .retry_config(RetryConfig::disabled())
            .build();
        Self { client: Client::from_conf(config) }
    }
}

impl Sockets for ManagementApi {
    async fn post(&self, connection_id: &str, data: &str) -> Posted {
        let call = self.client.post_to_connection().connection_id(connection_id).data(Blob::new(data));
        // A deadline around the SDK's own: posts have been seen to hang below it.
        match tokio::time::timeout(POST_TIMEOUT, call.send()).await {
            Ok(Ok(_)) => Posted::Delivered,
            Ok(Err(error)) => classify(&error),
            Err(_) => Posted::Unavailable,
        }
    }
}

/// What an error means: by its modelled kind, else by its status, since proxies in between send bare statuses.
fn classify(error: &SdkError<PostToConnectionError>) -> Posted {
    match error.as_service_error() {
        Some(PostToConnectionError::GoneException(_)) => return Posted::Gone,
        Some(PostToConnectionError::ForbiddenException(_)) => return Posted::Forbidden,
        Some(PostToConnectionError::LimitExceededException(_)) => return Posted::Throttled,
        Some(PostToConnectionError::PayloadTooLargeException(_)) => return Posted::TooLarge,
        _ => {}
    }
    match error {
        SdkError::ConstructionFailure(_) => Posted::Invalid,
        _ => error.raw_response().map_or(Posted::Unavailable, |response| status(response.status().as_u16())),
    }
}

fn status(status: u16) -> Posted {
    match status {
        410 => Posted::Gone,
        429 => Posted::Throttled,
        413 => Posted::TooLarge,
        401 | 403 => Posted::Forbidden,
        // The gateway gave up waiting for our bytes.
        408 => Posted::Unavailable,
        400..=499 => Posted::Invalid,
        _ => Posted::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_meaning() {
        let meanings = [
            (400, Posted::Invalid),
            (403, Posted::Forbidden),
            (404, Posted::Invalid),
            (408, Posted::Unavailable),
            (410, Posted::Gone),
            (413, Posted::TooLarge),
            (429, Posted::Throttled),
            (500, Posted::Unavailable),
            (503, Posted::Unavailable),
        ];
        for (code, meaning) in meanings {
            assert_eq!(status(code), meaning, "{code}");
        }
    }
}
