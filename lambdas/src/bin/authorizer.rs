//! The authorizer's process: settings and clients once, then one event after another.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use sumu_contract::settings::{AuthorizerSettings, Settings};
use sumu_lambdas::adapters::SystemClock;
use sumu_lambdas::adapters::jwks::HttpKeys;
use sumu_lambdas::authorizer::Authorizer;
use sumu_lambdas::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let settings = AuthorizerSettings::from_environment(std::env::vars())?;
    let authorizer = Authorizer::new(settings, HttpKeys::new()?, SystemClock);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| authorizer.handle(event.payload))).await
}
