//! What the calls to all places have in common: the operator's own credentials, its connections, its limits.
//!
//! It is loaded once a process. Each chain of credentials would otherwise ask for its own, place by place.

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};

use super::{BEHAVIOR, credentials, pace, paced};
use crate::stack::Location;

/// Settings of the SDK but for the place.
#[derive(Clone, Debug)]
pub struct Base(SdkConfig);

impl Base {
    /// Loads them. The region is where the operator asks for its own credentials, when these are STS's to give.
    pub async fn load(region: &str, endpoint_url: Option<&str>) -> Self {
        // The SDK's default has no limit for an answer: one dead socket would hold a stack for ever.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(4))
            .read_timeout(Duration::from_secs(30))
            .operation_attempt_timeout(Duration::from_mins(1) + pace::WAIT_MAX)
            .build();
        let mut loader = aws_config::defaults(BEHAVIOR())
            .region(Region::new(region.to_owned()))
            .timeout_config(timeouts)
            // A request that waits for its turn is no stalled upload, and one that stalls is given up by the limit for an answer.
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().upload_enabled(false).build())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            // The SDK's own ten seconds leave no time for a second try.
            .identity_cache(IdentityCache::lazy().buffer_time(credentials::EARLY).build());
        if let Some(url) = endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(client) = paced::http_client() {
            loader = loader.http_client(client);
        }
        let config = loader.load().await;
        let Some(chain) = config.credentials_provider() else { return Self(config) };
        Self(config.into_builder().credentials_provider(credentials::own(chain)).build())
    }

    /// The settings for a place: its region, and the credentials of its role if it has one.
    pub(super) fn at(&self, location: &Location) -> SdkConfig {
        let here = self.0.to_builder().region(Region::new(location.region.clone())).build();
        let Some(role) = &location.role else { return here };
        let credentials = credentials::of(role, location, &here);
        here.into_builder().credentials_provider(credentials).build()
    }
}
