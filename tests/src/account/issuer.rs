//! Publishes an issuer's keys where functions in AWS reach them: behind the URL of a small function.
//!
//! Nothing else that is public by itself needs neither a domain nor a bucket, and the keys are public anyway.

use std::io::{Cursor, Write};

use aws_config::SdkConfig;
use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode, FunctionUrlAuthType, Runtime};
use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::poll::{PATIENCE, eventually};
use crate::{Context, Error, Result, ensure};

/// Answers each request with the keys, whatever its path.
const PROGRAM: &str = "exports.handler = async () => \
    ({statusCode: 200, headers: {'content-type': 'application/json'}, body: process.env.KEYS});\n";

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// What keys may be together: the limit of a function's environment, and what else is in it.
const KEYS_BYTES_MAX: usize = 3_500;

/// Publishes a key set and returns the URL, without a slash at its end.
pub async fn publish(sdk: &SdkConfig, prefix: &str, keys: &Value) -> Result<String> {
    let keys = keys.to_string();
    ensure!(keys.len() <= KEYS_BYTES_MAX, "the keys have {} bytes, which no function's environment takes", keys.len());
    let name = format!("{prefix}issuer");
    let iam = aws_sdk_iam::Client::new(sdk);
    let made = iam.create_role().role_name(&name).assume_role_policy_document(TRUST).send().await?;
    let role = made.role().context("IAM made no role")?.arn().to_owned();

    let lambda = aws_sdk_lambda::Client::new(sdk);
    let package = package()?;
    eventually(PATIENCE, "Lambda to trust the new role", async || {
        let code = FunctionCode::builder().zip_file(Blob::new(package.clone())).build();
        let environment = Environment::builder().variables("KEYS", &keys).build();
        let create = lambda.create_function().function_name(&name).role(&role).code(code).environment(environment);
        match create.runtime(Runtime::Nodejs22x).handler("index.handler").send().await {
            Err(error) if error.code() != Some("ResourceConflictException") => Err(Error::from(error)),
            Ok(_) | Err(_) => Ok(()),
        }
    })
    .await?;
    open(&lambda, &name).await?;
    let public = FunctionUrlAuthType::None;
    let made = lambda.create_function_url_config().function_name(&name).auth_type(public).send().await?;
    Ok(made.function_url().trim_end_matches('/').to_owned())
}

/// Waits until a URL answers with a key set, which a new function's does after seconds.
pub async fn until_public(client: &reqwest::Client, url: &str, keys: &Value) -> Result<()> {
    let keys = keys.to_string();
    eventually(PATIENCE, "the keys to be public", async || {
        let answer = client.get(format!("{url}/.well-known/jwks.json")).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success() && text == keys, "{url} answers {status} {text}");
        Ok(())
    })
    .await
}

/// Lets everybody call a function by its URL, which takes two permissions since October 2025.
async fn open(lambda: &aws_sdk_lambda::Client, name: &str) -> Result<()> {
    let everybody = |id: &str| lambda.add_permission().function_name(name).principal("*").statement_id(id);
    let by_url = everybody("url").action("lambda:InvokeFunctionUrl");
    by_url.function_url_auth_type(FunctionUrlAuthType::None).send().await?;
    everybody("invoke").action("lambda:InvokeFunction").invoked_via_function_url(true).send().await?;
    Ok(())
}

fn package() -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("index.js", SimpleFileOptions::default().unix_permissions(0o644))?;
    zip.write_all(PROGRAM.as_bytes())?;
    Ok(zip.finish()?.into_inner())
}
