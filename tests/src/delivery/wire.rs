//! Calls of the emulator itself, past the gateway: what happens inside AWS, no test is to see or to disturb.
//!
//! JSON as it is on the wire, because that is nearly the form in which functions get it; the SDK would have it taken
//! apart and put together again.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::aws::{KEY, REGION};
use crate::{Context, Result, ensure};

/// The emulator.
#[derive(Clone, Debug)]
pub struct Wire {
    client: reqwest::Client,
    url: String,
}

impl Wire {
    /// One at an address.
    #[must_use]
    pub fn to(emulator: SocketAddr) -> Self {
        Self { client: reqwest::Client::new(), url: format!("http://{emulator}/") }
    }

    /// `DynamoDB`.
    pub async fn dynamodb(&self, operation: &str, input: &Value) -> Result<Value> {
        self.call("dynamodb", &format!("DynamoDB_20120810.{operation}"), input).await
    }

    /// `DynamoDB`'s streams.
    pub async fn streams(&self, operation: &str, input: &Value) -> Result<Value> {
        self.call("dynamodb", &format!("DynamoDBStreams_20120810.{operation}"), input).await
    }

    /// SQS.
    pub async fn sqs(&self, operation: &str, input: &Value) -> Result<Value> {
        self.call("sqs", &format!("AmazonSQS.{operation}"), input).await
    }

    /// The URL of the queue with an ARN.
    pub async fn queue_url(&self, arn: &str) -> Result<String> {
        let name = arn.rsplit(':').next().unwrap_or_default();
        let answer = self.sqs("GetQueueUrl", &json!({"QueueName": name})).await?;
        Ok(answer["QueueUrl"].as_str().context("a queue without a URL")?.to_owned())
    }

    /// Sends to the queue with an ARN.
    pub async fn send(&self, arn: &str, body: &str, attributes: &Value) -> Result<()> {
        let url = self.queue_url(arn).await?;
        self.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": body, "MessageAttributes": attributes}))
            .await?;
        Ok(())
    }

    async fn call(&self, service: &str, target: &str, input: &Value) -> Result<Value> {
        let scope = format!("AWS4-HMAC-SHA256 Credential={KEY}/20260101/{REGION}/{service}/aws4_request");
        let call = self.client.post(&self.url).header("x-amz-target", target).header("authorization", scope);
        let answer = call.header("content-type", "application/x-amz-json-1.0").body(input.to_string()).send().await?;
        let is_good = answer.status().is_success();
        let body: Value = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        ensure!(is_good, "{target}: {}", body["__type"].as_str().unwrap_or_default());
        Ok(body)
    }
}
