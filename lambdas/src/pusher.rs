//! The pusher: sends notifications to connections.
//!
//! Event → [`record`]s → [`request`] → [`delivery`] → [`outcome`] of each post → [`retry`] items → answer. A broadcast to
//! more than one page becomes work [`item`]s first. Posts keep the worker's [`pace`].
//!
//! Every record is worked off alone:
//!
//! | record | then |
//! |---|---|
//! | cannot be served | it goes to the dead-letter queue with its reason, and is done |
//! | served, some connections not reached | these go to the pushes queue, delayed, and it is done |
//! | served, the time was up | the rest goes to the pushes queue, and it is done |
//! | could not be worked off | from SQS: its id is reported, and it comes again; from SNS: the invocation fails |

pub mod broadcast;
pub mod delivery;
pub mod item;
pub mod json;
pub mod outcome;
pub mod pace;
pub mod record;
pub mod request;
pub mod retry;
pub mod tally;

use std::sync::Mutex;
use std::time::Instant;

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use sumu_contract::function::Function;
use sumu_contract::message::REASON;
use sumu_contract::settings::EmptyUsers;
use tokio::sync::Semaphore;

use self::delivery::{Delivery, DeliveryError, POSTS_AT_ONCE};
use self::item::WorkItem;
use self::pace::Pace;
use self::record::{Origin, Record, records};
use self::request::{BadRequest, Notification};
use self::tally::{Counts, Tally};
use crate::ports::{Attribute, Audience, Clock, Message, Queue, Sockets, Turns};
use crate::telemetry::metric::{ITEM_WAIT, RECORD_FAILURES, RECORD_WAIT, RECORDS};
use crate::telemetry::{Chain, Distribution, Line, elapsed_ms};

/// How many records are worked off at once. One whose clients are slow must not hold up the others.
const RECORDS_AT_ONCE: usize = 10;

/// SQS takes ten attributes; one is the reason.
const ATTRIBUTES_KEPT_MAX: usize = 9;

/// How long before the function's deadline the last post may begin (milliseconds): it may be tried three times for two
/// seconds, and then there is an item to put within five.
const TIME_TO_END: u64 = 15_000;

/// What the pusher needs from the world.
#[derive(Debug)]
pub struct Ports<A, S, Q, C> {
    /// The connections table.
    pub audience: A,
    /// The sockets.
    pub sockets: S,
    /// The pusher's own queue: work items and retry items.
    pub pushes: Q,
    /// Where requests go that cannot be served, and what could not be delivered.
    pub dead_letters: Q,
    /// Where items of the pusher's own queue go that cannot be worked off.
    pub pushes_dead_letters: Q,
    /// The time.
    pub clock: C,
}

/// The pusher's settings.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The name of the pusher's own queue.
    pub pushes_queue: String,
    /// What an empty list of users means.
    pub empty_users: EmptyUsers,
    /// How often one post is tried over all retry items.
    pub max_attempts: u32,
    /// Posts a second over all workers.
    pub max_rate: u32,
    /// How many workers there may be.
    pub max_concurrency: u32,
}

/// The pusher with its settings and ports.
#[derive(Debug)]
pub struct Pusher<A, S, Q, C> {
    ports: Ports<A, S, Q, C>,
    rules: Rules,
    permits: Semaphore,
    pace: Mutex<Pace>,
}

/// Why the whole event must come again.
#[derive(Debug, thiserror::Error)]
pub enum PusherError {
    /// Neither SQS's nor SNS's.
    #[error("the event has no list of records")]
    NoRecords,
    /// Some records cannot be reported alone.
    #[error("{0} records failed")]
    Failed(usize),
}

impl From<PusherError> for lambda_runtime::Diagnostic {
    fn from(error: PusherError) -> Self {
        Self { error_type: "PusherError".into(), error_message: error.to_string() }
    }
}

impl<A: Audience + Turns, S: Sockets, Q: Queue, C: Clock> Pusher<A, S, Q, C> {
    /// A pusher.
    pub fn new(ports: Ports<A, S, Q, C>, rules: Rules) -> Self {
        let pace = Mutex::new(Pace::of(rules.max_rate, rules.max_concurrency));
        Self { ports, rules, permits: Semaphore::new(POSTS_AT_ONCE), pace }
    }

    /// Works off one event before the deadline (epoch milliseconds); the answer names the SQS messages that must come
    /// again.
    pub async fn handle(&self, event: Value, deadline: u64) -> Result<Value, PusherError> {
        let started = Instant::now();
        let mut line = Line::of(Function::Pusher);
        let answer = self.answer(&event, deadline.saturating_sub(TIME_TO_END), &mut line).await;
        if let Err(error) = &answer {
            line.note("outcome", "fault").note("reason", error.to_string());
        }
        line.note("ms", elapsed_ms(started));
        line.log(self.ports.clock.now());
        answer
    }

    async fn answer(&self, event: &Value, until: u64, line: &mut Line) -> Result<Value, PusherError> {
        let records = records(event).ok_or(PusherError::NoRecords)?;
        self.tell_waits(&records, line);
        let tally = Tally::default();
        let mut results = stream::iter(&records)
            .map(|record| {
                let work = self.work_off(record, until, &tally);
                async move { (record, work.await) }
            })
            .buffer_unordered(RECORDS_AT_ONCE);
        let mut counts = Counts::default();
        let mut failures = Vec::new();
        let mut unreportable = 0;
        while let Some((record, result)) = results.next().await {
            match (result, &record.origin) {
                (Ok(more), _) => counts += more,
                (Err(Unserved), Origin::Queue { message_id, .. }) => {
                    failures.push(json!({"itemIdentifier": message_id}));
                }
                (Err(Unserved), Origin::Topic { .. } | Origin::Unknown) => unreportable += 1,
            }
        }
        line.count(RECORDS, records.len()).count(RECORD_FAILURES, failures.len() + unreportable);
        counts.tell(line);
        tally.tell(line);
        if counts.forbidden > 0 {
            let forbidden = counts.forbidden;
            tracing::error!(forbidden, "the management API refuses us: its endpoint or the function's role is wrong");
        }
        if unreportable > 0 {
            return Err(PusherError::Failed(unreportable));
        }
        Ok(json!({"batchItemFailures": failures}))
    }

    /// How long records have waited: backends' requests apart from items of our own, of which some wait on purpose.
    fn tell_waits(&self, records: &[Record], line: &mut Line) {
        let now = self.ports.clock.now();
        let (requests, items) = (Distribution::default(), Distribution::default());
        for record in records {
            let waits = if record.is_from(&self.rules.pushes_queue) { &items } else { &requests };
            if let Some(sent_at) = record.sent_at {
                waits.record(now.saturating_sub(sent_at));
            }
        }
        line.values(RECORD_WAIT, &requests).values(ITEM_WAIT, &items);
    }

    async fn work_off(&self, record: &Record, until: u64, tally: &Tally) -> Result<Counts, Unserved> {
        let Self { ports, rules, permits, pace } = self;
        let delivery = Delivery { ports, rules, permits, pace, tally, until };
        match self.deliver(&delivery, record).await {
            Ok(counts) => Ok(counts),
            Err(DeliveryError::Refused(reason)) => self.set_aside(record, reason).await,
            Err(error) => {
                tracing::error!(record = record.id(), error = %Chain(&error), "record failed");
                Err(Unserved)
            }
        }
    }

    async fn deliver(&self, delivery: &Delivery<'_, A, S, Q, C>, record: &Record) -> Result<Counts, DeliveryError> {
        let request = record.request().ok_or(DeliveryError::Refused(BadRequest::UnknownRecord))?;
        if record.is_from(&self.rules.pushes_queue)
            && let Some(item) = WorkItem::parse(&request)
        {
            return delivery.work(item.map_err(DeliveryError::Refused)?).await;
        }
        let notification = Notification::parse(&request, self.rules.empty_users).map_err(DeliveryError::Refused)?;
        // A record without an id cannot be told from its repetition.
        let job = record.id().map_or_else(|| format!("{:032x}", rand::random::<u128>()), ToOwned::to_owned);
        delivery.run(&notification, &job).await
    }

    /// Puts a record that can never be served into the dead-letter queue, as it came and with the reason.
    async fn set_aside(&self, record: &Record, reason: BadRequest) -> Result<Counts, Unserved> {
        tracing::warn!(record = record.id(), reason = reason.as_str(), "bad request");
        let kept = record.attributes.iter().filter(|attribute| attribute.name != REASON).take(ATTRIBUTES_KEPT_MAX);
        let attributes = kept.cloned().chain([Attribute::text(REASON, reason.as_str())]).collect();
        let letter = Message { body: record.body.clone(), attributes };
        let is_own = record.is_from(&self.rules.pushes_queue);
        let queue = if is_own { &self.ports.pushes_dead_letters } else { &self.ports.dead_letters };
        match queue.send(&letter, 0).await {
            Ok(_) => Ok(Counts { bad_requests: 1, dead_letters: 1, ..Counts::default() }),
            Err(error) => {
                tracing::error!(record = record.id(), error = %Chain(&error), "bad request not set aside");
                Err(Unserved)
            }
        }
    }
}

/// The record must come again; the reason was logged.
#[derive(Debug)]
struct Unserved;

#[cfg(test)]
mod tests;
