//! The routes' process: settings and clients once, then one event after another.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use sumu_contract::settings::{RoutesSettings, Settings};
use sumu_lambdas::adapters::{self, SystemClock, dynamodb::ConnectionsTable, sns::SnsTopic, sqs::SqsQueue};
use sumu_lambdas::routes::Routes;
use sumu_lambdas::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let settings = RoutesSettings::from_environment(std::env::vars())?;
    let aws = adapters::aws().await;
    let routes = Routes {
        connections: ConnectionsTable::new(&aws, settings.connections_table),
        connection_ttl_seconds: settings.connection_ttl_seconds,
        queue: SqsQueue::without_retries(&aws, settings.messages_queue_url),
        topic: SnsTopic::without_retries(&aws, settings.messages_topic_arn),
        clock: SystemClock,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| routes.handle(event.payload))).await
}
