//! Certificates of AWS Certificate Manager, of which tests need no more than that they are there.

use serde_json::{Value, json};

use crate::aws::{KEY, REGION};
use crate::{Context, Result};

/// Requests a certificate for a name, which the emulator issues at once, and returns its ARN.
pub async fn issue(endpoint: &str, name: &str) -> Result<String> {
    // The emulator reads the scope, and no signature.
    let scope = format!("AWS4-HMAC-SHA256 Credential={KEY}/20260101/{REGION}/acm/aws4_request");
    let request = reqwest::Client::new()
        .post(endpoint)
        .header("authorization", scope)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "CertificateManager.RequestCertificate")
        .body(json!({"DomainName": name, "ValidationMethod": "DNS"}).to_string());
    let answer = request.send().await?.text().await?;
    let told: Value = serde_json::from_str(&answer)?;
    Ok(told["CertificateArn"].as_str().with_context(|| format!("no certificate: {answer}"))?.to_owned())
}
