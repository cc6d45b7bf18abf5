//! How much memory a broadcast takes, by the size of its audience.

use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::posts::{data, event, pusher};
use super::stand_in::StandIn;
use super::{process, subject, table};

type Failure = Box<dyn Error + Send + Sync>;

const AUDIENCES: [usize; 3] = [1_000, 100_000, 1_000_000];

/// Prints the table.
pub async fn run() -> Result<(), Failure> {
    let mut lines = Vec::new();
    for audience in AUDIENCES {
        let (ours, took) = broadcast(audience).await?;
        let loops = subject::run("list", audience, Duration::ZERO).await?.peak_mib;
        let seconds = format!("{:.1}", took.as_secs_f64());
        lines.push([audience.to_string(), format!("{ours:.1}"), seconds, format!("{loops:.1}")]);
    }
    let columns = ["connections", "the pusher (MiB)", "took (s)", "a loop that lists everyone first (MiB)"];
    table::print("Peak memory of a broadcast", columns, &lines);
    Ok(())
}

/// One pusher does all of a broadcast, an item after another; every connection gets it once.
async fn broadcast(audience: usize) -> Result<(f64, Duration), Failure> {
    let stand_in = StandIn::start(audience, Duration::ZERO, Duration::ZERO).await?;
    let mut pusher = pusher(&stand_in).await?;
    let started = Instant::now();
    let request = json!({"target": {"broadcast": true}, "data": data()}).to_string();
    let mut answer = pusher.invoke(event("notifications", [request])).await?;
    while let Some(item) = stand_in.receive("pushes") {
        answer = pusher.invoke(event("pushes", [item.body])).await?;
    }
    let took = started.elapsed();
    let seen = stand_in.seen();
    if seen.missed > 0 || seen.repeated > 0 || answer != json!({"batchItemFailures": Vec::<Value>::new()}) {
        return Err(format!("{audience} connections: {seen:?}, the last answer {answer}").into());
    }
    Ok((process::peak_memory_mib(pusher.id())?, took))
}
