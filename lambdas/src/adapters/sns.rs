//! One SNS topic.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::primitives::Blob;
use aws_sdk_sns::types::MessageAttributeValue;

use crate::adapters::failed;
use crate::ports::{Attribute, AttributeValue, Message, PortError, Topic};

/// One SNS topic.
#[derive(Clone, Debug)]
pub struct SnsTopic {
    client: Client,
    arn: String,
}

impl SnsTopic {
    /// The topic `arn`.
    #[must_use]
    pub fn new(aws: &SdkConfig, arn: String) -> Self {
        Self { client: Client::new(aws), arn }
    }

    /// The topic `arn`, for a caller who decides about retries alone: one call is one attempt.
    #[must_use]
    pub fn without_retries(aws: &SdkConfig, arn: String) -> Self {
        let config = aws_sdk_sns::config::Builder::from(aws).retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), arn }
    }
}

impl Topic for SnsTopic {
    async fn publish(&self, message: &Message) -> Result<String, PortError> {
        let mut call = self.client.publish().topic_arn(&self.arn).message(&message.body);
        for attribute in &message.attributes {
            call = call.message_attributes(
                &attribute.name,
                value(attribute).map_err(|error| PortError::new("Publish", error))?,
            );
        }
        let published = call.send().await.map_err(|error| failed("Publish", error))?;
        Ok(published.message_id.unwrap_or_default())
    }
}

fn value(attribute: &Attribute) -> Result<MessageAttributeValue, aws_sdk_sns::error::BuildError> {
    let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
    match &attribute.value {
        AttributeValue::Text(text) => value.string_value(text),
        AttributeValue::Bytes(bytes) => value.binary_value(Blob::new(bytes.clone())),
    }
    .build()
}
