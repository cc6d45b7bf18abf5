//! Functions whose code is in a bucket of the user's.

use std::path::Path;

use serde_json::{Value, json};
use sumu_contract::Function;
use sumu_operator::packages::Packages;
use sumu_operator::permissions::Needs;
use sumu_operator::sumu_stack::Architecture;
use sumu_tests::stack::condition;
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::faults::common::says;
use crate::permissions::limit_with;
use crate::scene::{Scene, scene};

const ARCHITECTURE: Architecture = Architecture::X86_64;

/// A bucket of the scene's own.
struct Bucket {
    name: String,
    url: String,
    client: reqwest::Client,
}

impl Bucket {
    async fn make(scene: &Scene) -> Result<Self> {
        let name = format!("code-{}", scene.namespace);
        let url = format!("http://{}/{name}", scene.testbed.aws().emulator());
        let bucket = Self { name, url, client: reqwest::Client::new() };
        bucket.client.put(&bucket.url).send().await?.error_for_status()?;
        Ok(bucket)
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        self.client.put(format!("{}/{key}", self.url)).body(bytes).send().await?.error_for_status()?;
        Ok(())
    }
}

/// The hash of each function's package, as the spec takes them.
fn hashes(folder: &Path) -> Result<Value> {
    let packages = Packages::load(folder)?;
    let hash = |function| packages.find(ARCHITECTURE, function).map(|package| package.code_sha256);
    Ok(json!({
        "authorizer": hash(Function::Authorizer)?,
        "routes": hash(Function::Routes)?,
        "pusher": hash(Function::Pusher)?,
        "watchdog": hash(Function::Watchdog)?,
    }))
}

/// The hash of the code that a function has.
pub async fn code_of(scene: &Scene, function: Function) -> Result<Option<String>> {
    let client = aws_sdk_lambda::Client::new(&scene.sdk().await);
    let arn = scene.text(&format!("/functions/{function}/arn"))?;
    Ok(client.get_function_configuration().function_name(arn).send().await?.code_sha256)
}

fn zip(scene: &Scene, function: Function) -> Result<Vec<u8>> {
    Ok(std::fs::read(scene.testbed.functions()?.join(ARCHITECTURE.as_str()).join(format!("{function}.zip")))?)
}

/// Puts the packages into a bucket, lets an operator begin that brings none, and names the bucket's in the spec.
async fn prepared(scene: &mut Scene) -> Result<(Bucket, Value)> {
    let (hashes, bucket) = (hashes(&scene.testbed.functions()?)?, Bucket::make(scene).await?);
    for function in Function::ALL {
        bucket.put(&format!("v1/{function}.zip"), zip(scene, function)?).await?;
    }
    scene.stop_operator()?;
    scene.start_operator_with(&["--functions-dir", "/nowhere"])?;
    let package = json!({"s3": {"bucket": bucket.name, "prefix": "v1/", "codeSha256": hashes}});
    scene.change(&json!({"functions": {"package": package}}));
    Ok((bucket, hashes))
}

#[test]
fn the_rights_that_are_printed_for_a_bucket_suffice_and_without_them_lambda_reads_nothing() -> Result<()> {
    scene("readable").play_from_the_start(async |scene| {
        let (bucket, hashes) = prepared(scene).await?;
        let packages = |folder: &str| Needs { packages: vec![format!("{}/{folder}", bucket.name)], ..Needs::default() };
        limit_with(scene, &packages("other/"))?;
        scene.apply().await?;
        let words = [&*format!("permission to GetObject for {}/v1/", bucket.name), "S3 Error Code: AccessDenied"];
        says(scene, "Functions", "AccessDenied", &words).await?;
        limit_with(scene, &packages("v1/"))?;
        scene.ready().await?;
        let hash = hashes["pusher"].as_str().map(ToOwned::to_owned);
        ensure_eq!(code_of(scene, Function::Pusher).await?, hash, "the pusher's code");
        scene.delete().await
    })
}

#[test]
fn functions_run_the_code_in_a_bucket_and_no_other_than_the_spec_says() -> Result<()> {
    scene("bucket").play_from_the_start(async |scene| {
        let (bucket, hashes) = prepared(scene).await?;
        scene.apply().await?;
        scene.ready().await?;
        for function in Function::ALL {
            let hash = hashes[function.as_str()].as_str().map(ToOwned::to_owned);
            ensure_eq!(code_of(scene, function).await?, hash, "the code of {function}");
        }
        scene.connect("alice").await?.ping().await?;

        // Somebody has put another package there than the spec will name.
        bucket.put("v2/routes.zip", zip(scene, Function::Watchdog)?).await?;
        let other = format!("{}=", "A".repeat(43));
        let routes = json!({"prefix": "v2/", "codeSha256": {"routes": other}});
        scene.stack.patch(&json!({"spec": {"functions": {"package": {"s3": routes}}}})).await?;
        let is = hashes["watchdog"].as_str().context("no hash")?;
        let object = format!("s3://{}/v2/routes.zip", bucket.name);
        scene
            .until("the other package to be told", |found| {
                let ready = condition(found, "Ready").context("no condition")?;
                let message = ready["message"].as_str().unwrap_or_default();
                let says = [is, &object, &other].iter().all(|words| message.contains(*words));
                ensure!(ready["status"] == "False" && says, "it says {ready}");
                Ok(())
            })
            .await?;
        ensure_eq!(code_of(scene, Function::Routes).await?.as_deref(), hashes["routes"].as_str(), "the code meanwhile");
        scene.connect("alice").await?.ping().await?;

        scene.edit(json!({"functions": {"package": {"s3": {"prefix": "v1/", "codeSha256": hashes}}}})).await?;
        Ok(())
    })
}
