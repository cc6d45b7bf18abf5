//! What one post costs, and how many there can be in a second.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sumu_contract::settings::{EmptyUsers, PusherSettings, Settings};

use super::function::{Function, environment};
use super::process::CpuTime;
use super::stand_in::{StandIn, connection_id};
use super::subject::{self, Told};
use super::{subjects, table};

type Failure = Box<dyn Error + Send + Sync>;

/// How many posts are measured.
const POSTS: usize = 20_000;

/// How many connections one request names: as many as fit into a message.
const CONNECTIONS_PER_REQUEST: usize = 2_000;

/// One subject's numbers.
struct Row {
    name: &'static str,
    cpu: Duration,
    took: Duration,
    round_ms: (f64, f64),
}

/// Prints a table for each service time.
pub async fn run() -> Result<(), Failure> {
    for service_time in [Duration::ZERO, Duration::from_millis(15)] {
        let rows = [
            compared("a bare keep-alive client", "bare", service_time).await?,
            compared("a loop over the SDK's client", "sdk", service_time).await?,
            compared("the pusher's client", "client", service_time).await?,
            targeted(service_time).await?,
            paged(service_time).await?,
        ];
        let floor = micros(rows[0].cpu);
        let lines = rows.map(|row| {
            let cpu = micros(row.cpu);
            let rate = format!("{:.0}", per_second(row.took));
            let (median, late) = row.round_ms;
            let rounds = (format!("{median:.2}"), format!("{late:.2}"));
            [row.name.to_owned(), format!("{cpu:.1}"), table::ratio(cpu, floor), rate, rounds.0, rounds.1]
        });
        let title = format!("{POSTS} posts of 250 bytes, 64 at once, {} ms service time", service_time.as_millis());
        let columns = ["", "CPU a post (us)", "of the floor", "posts/s", "round p50 (ms)", "p99 (ms)"];
        table::print(&title, columns, &lines);
    }
    Ok(())
}

async fn compared(label: &'static str, name: &str, service_time: Duration) -> Result<Row, Failure> {
    let Told { cpu, took, round_ms, .. } = subject::run(name, POSTS, service_time).await?;
    Ok(Row { name: label, cpu, took, round_ms })
}

/// The pusher itself, told whom to reach.
async fn targeted(service_time: Duration) -> Result<Row, Failure> {
    let stand_in = StandIn::start(POSTS, service_time, Duration::ZERO).await?;
    let mut pusher = pusher(&stand_in).await?;
    let requests: Vec<Value> = (0..POSTS / CONNECTIONS_PER_REQUEST)
        .map(|request| {
            let first = request * CONNECTIONS_PER_REQUEST;
            let connections: Vec<String> = (first..first + CONNECTIONS_PER_REQUEST).map(connection_id).collect();
            json!({"target": {"connections": connections}, "data": data()})
        })
        .collect();
    pusher.invoke(event("notifications", [requests[0].to_string()])).await?;
    stand_in.forget();
    let (cpu, started) = (CpuTime::of(pusher.id())?, Instant::now());
    let answer = pusher.invoke(event("notifications", requests.iter().map(Value::to_string))).await?;
    finish("the pusher, to connections", &stand_in, cpu.used()?, started.elapsed(), &answer)
}

/// The pusher itself, at a broadcast's pages: it reads the table as well.
async fn paged(service_time: Duration) -> Result<Row, Failure> {
    let stand_in = StandIn::start(POSTS, service_time, Duration::ZERO).await?;
    let mut pusher = pusher(&stand_in).await?;
    let request = json!({"target": {"broadcast": true}, "data": data()}).to_string();
    pusher.invoke(event("notifications", [request])).await?;
    let (cpu, started) = (CpuTime::of(pusher.id())?, Instant::now());
    let mut answer = Value::Null;
    while let Some(item) = stand_in.receive("pushes") {
        answer = pusher.invoke(event("pushes", [item.body])).await?;
    }
    finish("the pusher, a broadcast's pages", &stand_in, cpu.used()?, started.elapsed(), &answer)
}

fn finish(
    name: &'static str,
    stand_in: &StandIn,
    cpu: Duration,
    took: Duration,
    answer: &Value,
) -> Result<Row, Failure> {
    if stand_in.total() != POSTS as u64 || answer["batchItemFailures"] != json!([]) {
        return Err(format!("{name}: {} posts of {POSTS}, answer {answer}", stand_in.total()).into());
    }
    Ok(Row { name, cpu, took, round_ms: stand_in.seen().round_ms })
}

/// A pusher that nothing holds back.
pub async fn pusher(stand_in: &StandIn) -> Result<Function, Failure> {
    Ok(Function::start(env!("CARGO_BIN_EXE_pusher"), &[], &pusher_environment(stand_in, u32::MAX, 1)).await?)
}

/// A pusher's environment.
pub fn pusher_environment(stand_in: &StandIn, max_rate: u32, max_concurrency: u32) -> BTreeMap<String, String> {
    let settings = PusherSettings {
        connections_table: "connections".into(),
        management_endpoint: stand_in.management_endpoint(),
        pushes_queue_url: stand_in.queue_url("pushes"),
        pushes_dead_letter_queue_url: stand_in.queue_url("pushes-dead-letters"),
        dead_letter_queue_url: stand_in.queue_url("dead-letters"),
        empty_users: EmptyUsers::Reject,
        max_attempts: 5,
        max_rate,
        max_concurrency,
    };
    let mut environment = environment(stand_in);
    environment.extend(settings.environment());
    environment
}

/// An event of an SQS queue.
pub fn event(queue: &str, bodies: impl IntoIterator<Item = String>) -> Value {
    let record = |(place, body): (usize, String)| {
        json!({"messageId": format!("{queue}-{place}"), "body": body, "eventSource": "aws:sqs",
               "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"), "messageAttributes": {}})
    };
    json!({"Records": bodies.into_iter().enumerate().map(record).collect::<Vec<Value>>()})
}

/// The payload as JSON.
pub fn data() -> Value {
    serde_json::from_str(&subjects::payload()).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "for the eye")]
fn micros(cpu: Duration) -> f64 {
    cpu.as_secs_f64() * 1e6 / POSTS as f64
}

#[expect(clippy::cast_precision_loss, reason = "for the eye")]
fn per_second(took: Duration) -> f64 {
    POSTS as f64 / took.as_secs_f64()
}
