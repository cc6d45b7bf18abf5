//! The role with which API Gateway writes logs: a setting of the whole account, in API Gateway's first API.

use std::net::SocketAddr;

use serde_json::json;

use super::{ACCOUNT, KEY, REGION};
use crate::{Result, ensure};

/// Sets it, as `aws apigateway update-account` does.
pub(super) async fn give(emulator: SocketAddr) -> Result<()> {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/api-gateway-logs");
    let patch = json!({"op": "replace", "path": "/cloudwatchRoleArn", "value": role});
    // The emulator reads the scope, and no signature.
    let scope = format!("AWS4-HMAC-SHA256 Credential={KEY}/20260101/{REGION}/apigateway/aws4_request");
    let request = reqwest::Client::new()
        .patch(format!("http://{emulator}/account"))
        .header("authorization", scope)
        .header("content-type", "application/json")
        .body(json!({"patchOperations": [patch]}).to_string());
    let answer = request.send().await?;
    ensure!(answer.status().is_success(), "the emulator answers {}", answer.status());
    Ok(())
}
