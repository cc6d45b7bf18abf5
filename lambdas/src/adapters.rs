//! The ports on AWS and HTTP.
//!
//! Clients are made once a process. Deadlines and retries are set here, because what is above the ports must be
//! able to rely on an answer within a known time.

pub mod clock;
pub mod dynamodb;
pub mod gateway;
pub mod jwks;
pub mod sns;
pub mod sqs;

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

pub use clock::SystemClock;

/// Longest wait for a connection to an AWS endpoint. Inside a region it takes milliseconds; a longer wait only eats
/// the time that a second attempt would need.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest wait for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait for a call with its retries. Two of them fit into the routes function's time limit.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);

/// The configuration that all clients share: region, credentials and endpoint from the environment.
pub async fn aws() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts).load().await
}
