//! The pusher: sends notifications to connections.
//!
//! Event → [`record`]s → [`request`] → [`delivery`] → [`outcome`] of each post → [`retry`] items → answer.
//!
//! Every record is worked off alone:
//!
//! | record | then |
//! |---|---|
//! | cannot be served | it goes to the dead-letter queue with its reason, and is done |
//! | served, some connections not reached | these go back to the notifications queue, delayed, and it is done |
//! | could not be worked off | from SQS: its id is reported, and it comes again; from SNS: the invocation fails |

pub mod delivery;
pub mod json;
pub mod outcome;
pub mod record;
pub mod request;
pub mod retry;

use std::time::Instant;

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use sumu_contract::message::REASON;
use sumu_contract::settings::EmptyUsers;
use tokio::sync::Semaphore;

use self::delivery::{Counts, Delivery, DeliveryError, POSTS_AT_ONCE};
use self::record::{Origin, Record, records};
use self::request::{BadRequest, Notification};
use crate::ports::{Attribute, Audience, Clock, Message, Queue, Sockets};
use crate::telemetry::{Chain, elapsed_ms};

/// How many records are worked off at once. One whose clients are slow must not hold up the others.
const RECORDS_AT_ONCE: usize = 10;

/// SQS takes ten attributes; one is the reason.
const ATTRIBUTES_KEPT_MAX: usize = 9;

/// The pusher with its settings and ports.
#[derive(Debug)]
pub struct Pusher<A, S, Q, D, C> {
    audience: A,
    sockets: S,
    retries: Q,
    dead_letters: D,
    clock: C,
    empty_users: EmptyUsers,
    max_attempts: u32,
    permits: Semaphore,
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

impl<A: Audience, S: Sockets, Q: Queue, D: Queue, C: Clock> Pusher<A, S, Q, D, C> {
    /// A pusher that puts retry items on `retries`.
    pub fn new(
        (audience, sockets): (A, S),
        (retries, dead_letters): (Q, D),
        clock: C,
        empty_users: EmptyUsers,
        max_attempts: u32,
    ) -> Self {
        let permits = Semaphore::new(POSTS_AT_ONCE);
        Self { audience, sockets, retries, dead_letters, clock, empty_users, max_attempts, permits }
    }

    /// Works off one event; the answer names the SQS messages that must come again.
    pub async fn handle(&self, event: Value) -> Result<Value, PusherError> {
        let started = Instant::now();
        let records = records(&event).ok_or(PusherError::NoRecords)?;
        let mut results = stream::iter(&records)
            .map(|record| async move { (record, self.work_off(record).await) })
            .buffer_unordered(RECORDS_AT_ONCE);
        let mut counts = Counts::default();
        let mut failures = Vec::new();
        let mut unreportable = 0;
        while let Some((record, result)) = results.next().await {
            match (result, &record.origin) {
                (Ok(more), _) => counts += more,
                (Err(Unserved), Origin::Queue { message_id }) => failures.push(json!({"itemIdentifier": message_id})),
                (Err(Unserved), Origin::Topic | Origin::Unknown) => unreportable += 1,
            }
        }
        let Counts { delivered, gone, retried, exhausted, expired, invalid, forbidden, bad_requests } = counts;
        if forbidden > 0 {
            tracing::error!(forbidden, "the management API refuses us: its endpoint or the function's role is wrong");
        }
        tracing::info!(
            function = "pusher",
            records = records.len(),
            failed = failures.len() + unreportable,
            delivered,
            gone,
            retried,
            exhausted,
            expired,
            invalid,
            forbidden,
            bad_requests,
            ms = elapsed_ms(started)
        );
        if unreportable > 0 {
            return Err(PusherError::Failed(unreportable));
        }
        Ok(json!({"batchItemFailures": failures}))
    }

    async fn work_off(&self, record: &Record) -> Result<Counts, Unserved> {
        let request = record.request().ok_or(BadRequest::UnknownRecord);
        let notification = match request.and_then(|text| Notification::parse(&text, self.empty_users)) {
            Ok(notification) => notification,
            Err(reason) => return self.set_aside(record, reason).await,
        };
        self.deliver(&notification).await.map_err(|error| {
            tracing::error!(record = record.id(), id = notification.id, error = %Chain(&error), "record failed");
            Unserved
        })
    }

    async fn deliver(&self, notification: &Notification) -> Result<Counts, DeliveryError> {
        let delivery = Delivery {
            audience: &self.audience,
            sockets: &self.sockets,
            retries: &self.retries,
            dead_letters: &self.dead_letters,
            clock: &self.clock,
            permits: &self.permits,
            max_attempts: self.max_attempts,
            notification,
        };
        delivery.run().await
    }

    /// Puts a record that can never be served into the dead-letter queue, as it came and with the reason.
    async fn set_aside(&self, record: &Record, reason: BadRequest) -> Result<Counts, Unserved> {
        tracing::warn!(record = record.id(), reason = reason.as_str(), "bad request");
        let kept = record.attributes.iter().filter(|attribute| attribute.name != REASON).take(ATTRIBUTES_KEPT_MAX);
        let attributes = kept.cloned().chain([Attribute::text(REASON, reason.as_str())]).collect();
        let letter = Message { body: record.body.clone(), attributes };
        match self.dead_letters.send(&letter, 0).await {
            Ok(_) => Ok(Counts { bad_requests: 1, ..Counts::default() }),
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
