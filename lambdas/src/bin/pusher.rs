//! The pusher's process: settings and clients once, then one event after another.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use sumu_contract::settings::{PusherSettings, Settings};
use sumu_lambdas::adapters::dynamodb::ConnectionsTable;
use sumu_lambdas::adapters::{self, SystemClock, gateway::ManagementApi, sqs::SqsQueue};
use sumu_lambdas::pusher::Pusher;
use sumu_lambdas::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let settings = PusherSettings::from_environment(std::env::vars())?;
    let aws = adapters::aws().await;
    let connections = ConnectionsTable::new(&aws, settings.connections_table);
    let sockets = ManagementApi::new(&aws, settings.management_endpoint);
    let retries = SqsQueue::new(&aws, settings.notifications_queue_url);
    let dead_letters = SqsQueue::new(&aws, settings.dead_letter_queue_url);
    let queues = (retries, dead_letters);
    let pusher = Pusher::new((connections, sockets), queues, SystemClock, settings.empty_users, settings.max_attempts);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| pusher.handle(event.payload))).await
}
