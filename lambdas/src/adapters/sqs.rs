//! One SQS queue.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::MessageAttributeValue;

use crate::adapters::failed;
use crate::ports::{Attribute, AttributeValue, Message, PortError, Queue};

/// One SQS queue.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The queue at `url`.
    #[must_use]
    pub fn new(aws: &SdkConfig, url: String) -> Self {
        Self { client: Client::new(aws), url }
    }

    /// The queue at `url`, for a caller who decides about retries alone: one call is one attempt.
    #[must_use]
    pub fn without_retries(aws: &SdkConfig, url: String) -> Self {
        let config = aws_sdk_sqs::config::Builder::from(aws).retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), url }
    }
}

impl Queue for SqsQueue {
    async fn send(&self, message: &Message, delay_seconds: u32) -> Result<String, PortError> {
        let mut call = self.client.send_message().queue_url(&self.url).message_body(&message.body);
        if delay_seconds > 0 {
            call = call.delay_seconds(i32::try_from(delay_seconds).unwrap_or(i32::MAX));
        }
        for attribute in &message.attributes {
            call = call.message_attributes(
                &attribute.name,
                value(attribute).map_err(|error| PortError::new("SendMessage", error))?,
            );
        }
        let sent = call.send().await.map_err(|error| failed("SendMessage", error))?;
        Ok(sent.message_id.unwrap_or_default())
    }
}

fn value(attribute: &Attribute) -> Result<MessageAttributeValue, aws_sdk_sqs::error::BuildError> {
    let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
    match &attribute.value {
        AttributeValue::Text(text) => value.string_value(text),
        AttributeValue::Bytes(bytes) => value.binary_value(Blob::new(bytes.clone())),
    }
    .build()
}
