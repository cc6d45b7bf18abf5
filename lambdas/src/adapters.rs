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
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

pub use clock::SystemClock;

use crate::ports::PortError;

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

/// What AWS complained about, without its own words.
#[derive(Debug, thiserror::Error)]
#[error("{code}, request {request_id}")]
struct Complaint {
    code: String,
    request_id: String,
}

/// Parts of codes that tell of the set-up or of the load. What AWS says about these names roles, tables and queues;
/// about anything else it may quote what it was sent.
const TELLING: [&str; 8] =
    ["AccessDenied", "NotFound", "NonExist", "NotExist", "Throttl", "Throughput", "Credential", "ExpiredToken"];

/// The failure of a call, with as much of its cause as may be logged.
fn failed<E, R>(operation: &'static str, error: SdkError<E, R>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let Some(answer) = error.as_service_error() else { return PortError::new(operation, error) };
    let code = answer.code().unwrap_or("an error without a code");
    let words = answer.message().filter(|_| TELLING.iter().any(|telling| code.contains(telling)));
    let code = words.map_or_else(|| code.to_owned(), |words| format!("{code} ({words})"));
    let request_id = answer.meta().extra("aws_request_id").unwrap_or("without an id").to_owned();
    PortError::new(operation, Complaint { code, request_id })
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::error::ErrorMetadata;
    use aws_sdk_sqs::operation::send_message::SendMessageError;
    use aws_sdk_sqs::types::error::InvalidMessageContents;

    use super::*;
    use crate::telemetry::Chain;

    fn told(error: SendMessageError) -> String {
        Chain(&failed("SendMessage", SdkError::service_error(error, ()))).to_string()
    }

    fn generic(code: &str, message: &str) -> SendMessageError {
        let error = ErrorMetadata::builder().code(code).message(message).custom("aws_request_id", "r-1");
        SendMessageError::generic(error.build())
    }

    #[test]
    fn what_aws_says_about_the_set_up_is_told() {
        let error = generic("AccessDeniedException", "role x may not send to y");
        let expected = "SendMessage failed: AccessDeniedException (role x may not send to y), request r-1";
        assert_eq!(told(error), expected);
    }

    #[test]
    fn what_aws_says_about_what_it_was_sent_is_not() {
        let error = generic("InvalidParameterValue", "The attribute s3cret is wrong");
        assert_eq!(told(error), "SendMessage failed: InvalidParameterValue, request r-1");
        let meta = ErrorMetadata::builder().code("InvalidMessageContents").message("s3cret").build();
        let error = InvalidMessageContents::builder().message("s3cret").meta(meta).build();
        let error = told(SendMessageError::InvalidMessageContents(error));
        assert_eq!(error, "SendMessage failed: InvalidMessageContents, request without an id");
        assert!(
            !told(SendMessageError::generic(ErrorMetadata::builder().message("s3cret").build())).contains("s3cret")
        );
    }
}
