//! Streams that feed functions: one batch after the other, in order, until each is done or given up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Tools;
use super::answer::{Said, read};
use super::batch::{Batch, Next, Rules, Went, sequence_number};
use super::invoke::Invoked;
use super::note::{self, Condition, Last};
use super::source::Source;
use crate::poll::pass;
use crate::{Context, Result};

/// Lambda asks a shard four times a second.
const ASKED_EVERY: Duration = Duration::from_millis(250);
/// The longest pause before a retry; each is twice the one before. AWS's are seconds and minutes.
const RETRIED_AFTER_MAX: Duration = Duration::from_secs(2);
const RETRIED_AFTER: Duration = Duration::from_millis(100);

/// Where in the stream a source is.
#[derive(Debug, Default)]
struct Reader {
    shard: String,
    iterator: Option<String>,
    /// The last record that was read.
    last: Option<String>,
}

/// Works until the source is gone.
pub(super) async fn work(tools: Tools, uuid: String) {
    let mut reader = Reader::default();
    while let Some(source) = tools.held.at_work(&uuid).await {
        match reader.batch(&tools, &source).await {
            Ok(records) if records.is_empty() => pass(ASKED_EVERY).await,
            Ok(records) => deliver(&tools, &uuid, &reader.shard, records).await,
            // The table is gone or on its way, or the iterator is too old.
            Err(_) => {
                reader.iterator = None;
                pass(ASKED_EVERY).await;
            }
        }
    }
}

impl Reader {
    /// The next batch: full, or as much as came within the window.
    async fn batch(&mut self, tools: &Tools, source: &Source) -> Result<Vec<Value>> {
        let mut records = self.page(tools, source, source.batch_size()).await?;
        let until = Instant::now() + source.window();
        while !records.is_empty() && records.len() < source.batch_size() && Instant::now() < until {
            pass(ASKED_EVERY.min(until.saturating_duration_since(Instant::now()))).await;
            let left = source.batch_size() - records.len();
            // What was read before is not lost over an error now.
            records.extend(self.page(tools, source, left).await.unwrap_or_default());
        }
        Ok(records)
    }

    async fn page(&mut self, tools: &Tools, source: &Source, limit: usize) -> Result<Vec<Value>> {
        let iterator = match self.iterator.take() {
            Some(iterator) => iterator,
            None => self.begin(tools, source).await?,
        };
        let asked = json!({"ShardIterator": iterator, "Limit": limit.min(1000)});
        let mut answer = tools.wire.streams("GetRecords", &asked).await?;
        self.iterator = answer["NextShardIterator"].as_str().map(ToOwned::to_owned);
        let Value::Array(mut records) = answer["Records"].take() else { return Ok(Vec::new()) };
        for record in &mut records {
            record["eventSourceARN"] = source.arn().into();
            tools.removals.sign(source.arn(), record);
        }
        if let Some(record) = records.last() {
            self.last = Some(sequence_number(record).to_owned());
        }
        Ok(records)
    }

    async fn begin(&mut self, tools: &Tools, source: &Source) -> Result<String> {
        let described = tools.wire.streams("DescribeStream", &json!({"StreamArn": source.arn()})).await?;
        let shard =
            described["StreamDescription"]["Shards"][0]["ShardId"].as_str().context("a stream without a shard")?;
        shard.clone_into(&mut self.shard);
        let mut asked = json!({"StreamArn": source.arn(), "ShardId": shard});
        match &self.last {
            Some(last) => {
                asked["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER".into();
                asked["SequenceNumber"] = last.as_str().into();
            }
            None => asked["ShardIteratorType"] = source.settings["StartingPosition"].clone(),
        }
        let answer = tools.wire.streams("GetShardIterator", &asked).await?;
        Ok(answer["ShardIterator"].as_str().context("no iterator")?.to_owned())
    }
}

/// Invokes the function until all records are done or given up, as long as the source is there and enabled.
async fn deliver(tools: &Tools, uuid: &str, shard: &str, records: Vec<Value>) {
    let mut batches = VecDeque::from([Batch::new(records)]);
    let mut pause = RETRIED_AFTER;
    let mut last = Last::default();
    while let Some(batch) = batches.pop_front() {
        let Some(source) = tools.held.at_work(uuid).await else { return };
        let (old, batch) = match source.age() {
            Some(age) => batch.split_old(seconds_ago(age)),
            None => (Vec::new(), batch),
        };
        tell(tools, &source, shard, &old, Condition::RecordAgeExpired, &last).await;
        if batch.records.is_empty() {
            continue;
        }
        let went = invoke(tools, &source, &batch, &mut last).await;
        let rules = Rules { retries: source.retries(), bisects: source.bisects() };
        match batch.after(&went, rules) {
            Next::Try(next) if next.is_empty() => (pause, last) = (RETRIED_AFTER, Last::default()),
            Next::Try(next) => {
                next.into_iter().rev().for_each(|batch| batches.push_front(batch));
                pass(pause).await;
                pause = (pause * 2).min(RETRIED_AFTER_MAX);
            }
            Next::GiveUp(batch) => {
                tell(tools, &source, shard, &batch.records, Condition::RetryAttemptsExhausted, &last).await;
                (pause, last) = (RETRIED_AFTER, Last::default());
            }
        }
    }
}

async fn invoke(tools: &Tools, source: &Source, batch: &Batch, last: &mut Last) -> Went {
    match tools.invoker.invoke(source.function(), &json!({"Records": batch.records})).await {
        Invoked::Answered(answer) => {
            (last.invocations, last.function_error) = (last.invocations + 1, None);
            let said = if source.reports() { read(&answer, &batch.identifiers()) } else { Said::Done };
            Went::Well(said)
        }
        Invoked::Failed { request_id, kind, .. } => {
            *last = Last { request_id, invocations: last.invocations + 1, function_error: Some(kind) };
            Went::Badly
        }
        Invoked::Refused { .. } => Went::Nowhere,
    }
}

/// Notes which records were given up, where the source says.
async fn tell(tools: &Tools, source: &Source, shard: &str, records: &[Value], why: Condition, last: &Last) {
    if let Some(destination) = source.on_failure().filter(|_| !records.is_empty()) {
        let note = note::of(source, shard, records, why, last, Timestamp::now());
        tools.tell(source.function(), destination, &note, &json!({})).await;
    }
}

fn seconds_ago(age: Duration) -> f64 {
    Timestamp::now().as_duration().as_secs_f64() - age.as_secs_f64()
}
