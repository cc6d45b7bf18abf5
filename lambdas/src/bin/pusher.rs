//! The pusher's process: settings and clients once, then one event after another.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use sumu_contract::settings::{PusherSettings, Settings};
use sumu_lambdas::adapters::dynamodb::ConnectionsTable;
use sumu_lambdas::adapters::{self, SystemClock, gateway::ManagementApi, sqs::SqsQueue};
use sumu_lambdas::pusher::{Ports, Pusher, Rules};
use sumu_lambdas::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let settings = PusherSettings::from_environment(std::env::vars())?;
    let aws = adapters::aws().await;
    let queue_of = |url: String| SqsQueue::new(&aws, url);
    let rules = Rules {
        // A queue's name is the end of its URL as it is the end of the ARN in an event.
        pushes_queue: settings.pushes_queue_url.rsplit('/').next().unwrap_or_default().to_owned(),
        empty_users: settings.empty_users,
        max_attempts: settings.max_attempts,
        max_rate: settings.max_rate,
        max_concurrency: settings.max_concurrency,
    };
    let ports = Ports {
        audience: ConnectionsTable::new(&aws, settings.connections_table),
        sockets: ManagementApi::new(&aws, &settings.management_endpoint)?,
        pushes: queue_of(settings.pushes_queue_url),
        dead_letters: queue_of(settings.dead_letter_queue_url),
        pushes_dead_letters: queue_of(settings.pushes_dead_letter_queue_url),
        clock: SystemClock,
    };
    let pusher = Pusher::new(ports, rules);
    let handle = async |event: LambdaEvent<Value>| pusher.handle(event.payload, event.context.deadline).await;
    lambda_runtime::run(service_fn(handle)).await
}
