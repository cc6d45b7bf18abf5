//! The watchdog: follows the connections table's stream and announces who comes and goes.
//!
//! [`event`] → each user named, once → [`reconcile`] → answer.
//!
//! Presence is reconciled, not counted: a record only says whose presence may have changed. Lambda gives all records of
//! one key to one invocation at a time, in order; what else may run beside it is kept apart by the item's version. With
//! a grace period the departures queue feeds the same function: a [`departure`] is one more record that names a user.
//!
//! A user that fails is tried again here first, because not every event source repeats the rest of a batch. Then the
//! first record of the stream that names such a user is reported, and Lambda repeats the batch from there; users that
//! were done are done again without any effect. Of the queue's messages each one that failed comes again alone.

pub mod changes;
pub mod departure;
pub mod event;
pub mod reconcile;

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use sumu_contract::function::Function;

use self::event::{Batch, Named};
use self::reconcile::Reconciler;
use crate::ports::{Clock, LiveConnections, Presence, Queue, Topic};
use crate::telemetry::metric::{PRESENCE_ANNOUNCED, PRESENCE_FAILURES, RECORD_FAILURES, RECORD_WAIT, RECORDS};
use crate::telemetry::{Chain, Line, elapsed_ms};

/// How many users are reconciled at once.
const USERS_AT_ONCE: usize = 32;

/// How often a user is tried in one invocation.
const ATTEMPTS: u32 = 4;

/// The longest pause before the second attempt; each further one doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// The watchdog.
#[derive(Debug)]
pub struct Watchdog<L, P, Q, T, C> {
    reconciler: Reconciler<L, P, Q, T, C>,
}

/// Why the whole batch must come again.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// The event of neither a stream nor a queue.
    #[error("the event has no list of records")]
    NoRecords,
    /// The record that failed cannot be named.
    #[error("a record without an identifier failed")]
    Unnamed,
}

impl From<WatchdogError> for lambda_runtime::Diagnostic {
    fn from(error: WatchdogError) -> Self {
        Self { error_type: "WatchdogError".into(), error_message: error.to_string() }
    }
}

impl<L: LiveConnections, P: Presence, Q: Queue, T: Topic, C: Clock> Watchdog<L, P, Q, T, C> {
    /// A watchdog.
    pub fn new(reconciler: Reconciler<L, P, Q, T, C>) -> Self {
        Self { reconciler }
    }

    /// Works off one batch; the answer names the record from which on it must come again.
    pub async fn handle(&self, event: Value) -> Result<Value, WatchdogError> {
        let started = Instant::now();
        let mut line = Line::of(Function::Watchdog);
        let answer = self.answer(&event, &mut line).await;
        if let Err(error) = &answer {
            line.note("outcome", "fault").note("reason", error.to_string());
        }
        self.reconciler.changes.tell(&mut line);
        line.note("ms", elapsed_ms(started));
        line.log(self.reconciler.clock.now());
        answer
    }

    async fn answer(&self, event: &Value, line: &mut Line) -> Result<Value, WatchdogError> {
        line.values(RECORD_WAIT, &changes::waits(event, self.reconciler.clock.now()));
        let batch = Batch::parse(event).ok_or(WatchdogError::NoRecords)?;
        if !batch.unreadable.is_empty() {
            tracing::error!(
                unreadable = batch.unreadable.len(),
                feed = batch.feed.as_str(),
                "records that are none of ours"
            );
        }
        let mut results = stream::iter(&batch.users)
            .map(|named| async move { (named, self.reconcile(named).await) })
            .buffer_unordered(USERS_AT_ONCE);
        let mut announced = 0;
        let mut failed: Vec<&Named> = Vec::new();
        while let Some((named, result)) = results.next().await {
            match result {
                Some(count) => announced += count,
                None => failed.push(named),
            }
        }
        line.note("feed", batch.feed.as_str()).note("users", batch.users.len());
        line.count(RECORDS, batch.records).count(PRESENCE_ANNOUNCED, announced);
        line.count(PRESENCE_FAILURES, failed.len()).count(RECORD_FAILURES, failed.len());
        let again = batch.to_repeat(&failed).ok_or(WatchdogError::Unnamed)?;
        let again: Vec<Value> = again.into_iter().map(|identifier| json!({"itemIdentifier": identifier})).collect();
        Ok(json!({"batchItemFailures": again}))
    }

    /// Reconciles one user; how many changes were announced, or `None` if it must come again.
    async fn reconcile(&self, Named { user_id, departed, .. }: &Named) -> Option<u64> {
        for attempt in 1..=ATTEMPTS {
            match self.reconciler.reconcile(user_id, *departed).await {
                Ok(announced) => return Some(announced),
                Err(error) => tracing::warn!(user_id, attempt, error = %Chain(&error), "not reconciled"),
            }
            if attempt < ATTEMPTS {
                self.reconciler.changes.retried();
                self.reconciler.clock.pause(PAUSE * (1 << (attempt - 1))).await;
            }
        }
        None
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
