//! Invocations of functions through the gateway, where a test may treat them badly, and functions' policies.

use std::net::SocketAddr;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::RequestId;
use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;

use super::permission;
use crate::Result;
use crate::aws::REGION;

/// The access key of all invocations that AWS makes by itself, by which faults can tell them from others.
pub const KEY: &str = "lambda";

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Invoked {
    /// With an answer.
    Answered(Value),
    /// With the function's error.
    Failed {
        /// Lambda's id of the invocation.
        request_id: String,
        /// Lambda's word: `Unhandled` for all that these runtimes tell.
        kind: String,
        /// What the function or Lambda has said.
        error: Value,
    },
    /// The function was not reached.
    Refused {
        /// The status, 0 when there was no answer.
        status: u16,
        /// AWS's words.
        message: String,
    },
}

/// Functions.
#[derive(Clone, Debug)]
pub struct Invoker {
    functions: aws_sdk_lambda::Client,
    inside: SdkConfig,
}

impl Invoker {
    /// For functions behind a gateway.
    pub async fn through(gateway: SocketAddr, emulator: SocketAddr) -> Self {
        let sdk = sdk(gateway).await;
        // A repeated invocation would be a second event for one batch.
        let functions = aws_sdk_lambda::config::Builder::from(&sdk).retry_config(RetryConfig::disabled()).build();
        Self { functions: aws_sdk_lambda::Client::from_conf(functions), inside: self::sdk(emulator).await }
    }

    /// Invokes a function and waits for its end.
    pub async fn invoke(&self, function: &str, event: &Value) -> Invoked {
        let call = self.functions.invoke().function_name(function).payload(Blob::new(event.to_string()));
        match call.send().await {
            Ok(answer) => {
                let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
                // No JSON is an answer that nobody can take.
                let payload = serde_json::from_slice(payload).unwrap_or_else(|_| Value::String("no JSON".to_owned()));
                match answer.function_error() {
                    None => Invoked::Answered(payload),
                    Some(kind) => Invoked::Failed {
                        request_id: answer.request_id().unwrap_or_default().to_owned(),
                        kind: kind.to_owned(),
                        error: payload,
                    },
                }
            }
            Err(SdkError::ServiceError(error)) => Invoked::Refused {
                status: error.raw().status().as_u16(),
                message: error.err().message().unwrap_or_default().to_owned(),
            },
            Err(error) => Invoked::Refused { status: 0, message: crate::Error::from(error).to_string() },
        }
    }

    /// Whether a function's policy lets a service invoke it on behalf of something. One that is gone lets nobody in.
    pub async fn is_let(&self, function: &str, service: &str, source_arn: &str) -> bool {
        let functions = aws_sdk_lambda::Client::new(&self.inside);
        is_let(&functions, function, service, source_arn).await
    }

    /// The queue for events that a function could not handle.
    pub async fn dead_letters(&self, function: &str) -> Result<Option<String>> {
        let functions = aws_sdk_lambda::Client::new(&self.inside);
        let found = functions.get_function_configuration().function_name(function).send().await?;
        Ok(found.dead_letter_config.and_then(|config| config.target_arn))
    }

    /// Topics.
    #[must_use]
    pub fn topics(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.inside)
    }
}

/// Whether a function's policy lets a service in. Without a policy, or a function, it does not.
pub async fn is_let(functions: &aws_sdk_lambda::Client, function: &str, service: &str, source_arn: &str) -> bool {
    let answer = functions.get_policy().function_name(function).send().await;
    let policy = answer.ok().and_then(|answer| answer.policy).unwrap_or_default();
    permission::lets(&serde_json::from_str(&policy).unwrap_or_default(), service, source_arn)
}

async fn sdk(address: SocketAddr) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(format!("http://{address}"))
        .region(Region::from_static(REGION))
        .credentials_provider(Credentials::new(KEY, KEY, None, None, "delivery"))
        .load()
        .await
}
