//! The watchdog's process: settings and clients once, then one event after another.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use sumu_contract::settings::{Settings, WatchdogSettings};
use sumu_lambdas::adapters::dynamodb::{ConnectionsTable, PresenceTable};
use sumu_lambdas::adapters::{self, SystemClock, sns::SnsTopic, sqs::SqsQueue};
use sumu_lambdas::telemetry;
use sumu_lambdas::watchdog::Watchdog;
use sumu_lambdas::watchdog::changes::Changes;
use sumu_lambdas::watchdog::reconcile::{Departures, Reconciler};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let settings = WatchdogSettings::from_environment(std::env::vars())?;
    let aws = adapters::aws().await;
    let watchdog = Watchdog::new(Reconciler {
        changes: Changes::default(),
        connections: ConnectionsTable::new(&aws, settings.connections_table),
        presence: PresenceTable::new(&aws, settings.presence_table),
        source: settings.presence_source,
        queue: SqsQueue::new(&aws, settings.messages_queue_url),
        topic: SnsTopic::new(&aws, settings.messages_topic_arn),
        departures: settings.departures.map(|departures| Departures {
            queue: SqsQueue::new(&aws, departures.queue_url),
            grace_period_seconds: departures.grace_period_seconds,
        }),
        clock: SystemClock,
    });
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| watchdog.handle(event.payload))).await
}
