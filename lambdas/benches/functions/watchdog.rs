//! How many records of one shard the watchdog works off in a second. Lambda gives a shard's batches to one invocation
//! after another.

use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::function::Function;
use super::process::CpuTime;
use super::stand_in::{StandIn, connection_id};
use super::start::watchdog_environment;
use super::table;

type Failure = Box<dyn Error + Send + Sync>;

/// How long each call to a table or a queue takes.
const STORE_TIME: Duration = Duration::from_millis(2);

/// Records in a batch, as the operator sets it.
const BATCH: usize = 100;

/// Prints the table: a user for each record, and each comes online.
pub async fn run() -> Result<(), Failure> {
    let serial = records_a_second(1, 300).await?;
    let batches = records_a_second(BATCH, 5_000).await?;
    let line = |name: &str, (rate, cpu): (f64, f64)| {
        [name.to_owned(), format!("{rate:.0}"), table::ratio(rate, serial.0), format!("{cpu:.0}")]
    };
    let lines = [line("one record after another", serial), line("batches of 100", batches)];
    let columns = ["", "records/s", "", "CPU a record (us)"];
    table::print("The watchdog, one shard, a store that takes 2 ms", columns, &lines);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for the eye")]
async fn records_a_second(batch: usize, records: usize) -> Result<(f64, f64), Failure> {
    let stand_in = StandIn::start(records + batch, Duration::ZERO, STORE_TIME).await?;
    let mut watchdog = Function::start(env!("CARGO_BIN_EXE_watchdog"), &[], &watchdog_environment(&stand_in)).await?;
    // The first batch opens the sockets.
    watchdog.invoke(event(records..records + batch)).await?;
    let (cpu, started) = (CpuTime::of(watchdog.id())?, Instant::now());
    for first in (0..records).step_by(batch) {
        let answer = watchdog.invoke(event(first..first + batch)).await?;
        if answer != json!({"batchItemFailures": []}) {
            return Err(format!("the watchdog answered {answer}").into());
        }
    }
    let took = started.elapsed();
    let cpu = cpu.used()?;
    let announced = stand_in.waiting("messages");
    if announced != records + batch {
        return Err(format!("{announced} events for {records} records").into());
    }
    Ok((records as f64 / took.as_secs_f64(), cpu.as_secs_f64() * 1e6 / records as f64))
}

fn event(numbers: std::ops::Range<usize>) -> Value {
    let record = |index: usize| {
        let keys = json!({"user_id": {"S": format!("u{index:012}")}, "connection_id": {"S": connection_id(index)}});
        json!({"eventID": index.to_string(), "eventName": "INSERT", "eventSource": "aws:dynamodb",
               "dynamodb": {"Keys": keys, "NewImage": keys, "SequenceNumber": format!("{index:021}"),
                            "ApproximateCreationDateTime": 1_700_000_000, "StreamViewType": "NEW_AND_OLD_IMAGES"}})
    };
    json!({"Records": numbers.map(record).collect::<Vec<Value>>()})
}
