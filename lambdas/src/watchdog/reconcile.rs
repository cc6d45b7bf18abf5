//! Brings one user's item in the presence table in line with the truth, and announces every change of it.
//!
//! Flow:
//! 1. read the item; if its version was not announced, announce it and note that;
//! 2. ask the connections table for the truth; if the item says otherwise, write it with the next version, on
//!    condition that the version is still the one read, and announce that.
//!
//! Whoever finds that another run was faster begins anew. Nobody asks for the truth once more at the end: who comes or
//! goes after it was asked for has a record of their own.
//!
//! With a grace period there is a state between `ONLINE` and `OFFLINE`, of which nobody is told but the departures
//! queue, and that queue gives the departure back when its time is over:
//!
//! ```text
//! OFFLINE ──there──▶ ONLINE ──gone──▶ LEAVING ──gone, and the time is over──▶ OFFLINE
//!    event: ONLINE     ▲    a delayed    │               event: OFFLINE
//!                      │     departure   │
//!                      └──there, no event┘
//! ```
//!
//! Guarantees:
//! - a change is announced before the next one is written, so events of one user strictly alternate;
//! - a crash between any two steps loses nothing: whoever comes next finds the unannounced version; at worst an event
//!   is repeated, with the same id;
//! - a departure that is late, comes twice or overtakes another names a version that the item no longer has, and is
//!   worth no more than a stream's record;
//! - one that is lost delays `OFFLINE` until the user is named again, and breaks nothing else;
//! - the item is read before the truth. The other way round, a truth that has grown old while another run wrote the
//!   item could be written over it.

use serde::Serialize;
use sumu_contract::message::{ID, SOURCE as SOURCE_ATTRIBUTE, TIMESTAMP, USER_ID};
use sumu_contract::presence::{SOURCE, State};
use sumu_contract::settings::PresenceSource;

use super::changes::Changes;
use super::departure::Departure;
use crate::ports::{
    Attribute, Clock, LiveConnections, Message, PortError, Presence, PresenceItem, Queue, Topic, Written,
};

/// How often another run may be faster before this one gives up.
const CONFLICTS_MAX: u32 = 5;

/// The item of a user who has never been there.
const NEVER_SEEN: PresenceItem = PresenceItem { state: State::Offline, version: 0, announced: 0, changed_at: 0 };

/// Why a user's presence is not in line.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A table, the queue or the topic did not answer.
    #[error("presence could not be reconciled")]
    Port(#[from] PortError),
    /// The event or the departure could not be written.
    #[error("a message cannot be written as JSON")]
    Message(#[from] serde_json::Error),
    /// Others were always faster.
    #[error("the presence item changed under every attempt")]
    Contended,
}

/// What reconciling needs.
#[derive(Debug)]
pub struct Reconciler<L, P, Q, T, C> {
    /// Where changes are counted.
    pub changes: Changes,
    /// The truth.
    pub connections: L,
    /// What is believed.
    pub presence: P,
    /// Where events go.
    pub source: PresenceSource,
    /// The messages queue.
    pub queue: Q,
    /// The messages topic.
    pub topic: T,
    /// How `OFFLINE` waits, if it does.
    pub departures: Option<Departures<Q>>,
    /// The time.
    pub clock: C,
}

/// How `OFFLINE` waits.
#[derive(Debug)]
pub struct Departures<Q> {
    /// Where departures wait.
    pub queue: Q,
    /// For how long.
    pub grace_period_seconds: u32,
}

impl<L: LiveConnections, P: Presence, Q: Queue, T: Topic, C: Clock> Reconciler<L, P, Q, T, C> {
    /// Reconciles one user, of whom the departures queue says that the grace period of version `departed` is over;
    /// returns how many changes were announced.
    pub async fn reconcile(&self, user_id: &str, departed: Option<u64>) -> Result<u64, ReconcileError> {
        let grace_ms = self.departures.as_ref().map(|departures| u64::from(departures.grace_period_seconds) * 1000);
        let mut announced = 0;
        let mut conflicts = 0;
        // What this run knows to be in the table, so that it need not be read again.
        let mut known: Option<PresenceItem> = None;
        let mut is_judged = false;
        loop {
            let item = match known.take() {
                Some(item) => item,
                None => self.presence.read(user_id).await?.unwrap_or(NEVER_SEEN),
            };
            let (written, next) = if item.announced < item.version {
                announced += self.announce(user_id, &item).await?;
                let told = PresenceItem { announced: item.version, ..item };
                (self.presence.mark_announced(user_id, item.version).await?, told)
            } else if is_judged {
                // Whoever comes or goes from here on has a record of their own.
                return Ok(announced);
            } else {
                let now = self.clock.now();
                let there = self.connections.any(user_id, now).await?;
                let is_over = departed == Some(item.version)
                    || grace_ms.is_none_or(|grace_ms| now >= item.changed_at.saturating_add(grace_ms));
                let Some(next) = next(&item, there, now, grace_ms.is_some(), is_over) else { return Ok(announced) };
                let written = self.presence.change(user_id, &next).await?;
                if written == Written::Done {
                    self.changes.changed(&next);
                }
                is_judged = written == Written::Done;
                (written, next)
            };
            if written == Written::Done {
                known = Some(next);
                continue;
            }
            is_judged = false;
            conflicts += 1;
            if conflicts == CONFLICTS_MAX {
                return Err(ReconcileError::Contended);
            }
        }
    }

    /// Tells whoever must know of the item's version; how many changes that announced.
    async fn announce(&self, user_id: &str, item: &PresenceItem) -> Result<u64, ReconcileError> {
        let status = match item.state {
            State::Online => "ONLINE",
            State::Offline => "OFFLINE",
            State::Leaving => {
                // The stack may have lost its grace period since: then nothing is left to wait for.
                if let Some(Departures { queue, grace_period_seconds }) = &self.departures {
                    let departure = Departure { user_id: user_id.to_owned(), version: item.version };
                    queue.send(&departure.message()?, *grace_period_seconds).await?;
                }
                return Ok(0);
            }
        };
        let (to_queue, to_topic) = match self.source {
            PresenceSource::Queue => (true, false),
            PresenceSource::Topic => (false, true),
            PresenceSource::Both => (true, true),
            PresenceSource::Stream => return Ok(1),
        };
        let event = event(user_id, status, item)?;
        if to_queue {
            self.queue.send(&event, 0).await?;
        }
        if to_topic {
            self.topic.publish(&event).await?;
        }
        Ok(1)
    }
}

/// The item as it should be next; nothing when it is as it should be.
///
/// Whether the grace period is over is the clock's word or the departures queue's. Either is enough: the clock's for
/// a departure that was lost, the queue's because clocks differ and a departure comes only once.
fn next(item: &PresenceItem, is_there: bool, now: u64, has_grace: bool, is_over: bool) -> Option<PresenceItem> {
    let change = |state| changed(item, state, now);
    match (item.state, is_there) {
        (State::Online, true) | (State::Offline, false) => None,
        (State::Offline, true) => Some(change(State::Online)),
        // Everybody else was told of the `ONLINE` before and of nothing since.
        (State::Leaving, true) => {
            let back = change(State::Online);
            Some(PresenceItem { announced: back.version, ..back })
        }
        (State::Online, false) => Some(change(if has_grace { State::Leaving } else { State::Offline })),
        (State::Leaving, false) => is_over.then(|| change(State::Offline)),
    }
}

/// The item after a change. Its time is later than the last one's, even if the clock is not, so that events can be
/// ordered by it.
fn changed(item: &PresenceItem, state: State, now: u64) -> PresenceItem {
    PresenceItem {
        state,
        version: item.version.saturating_add(1),
        announced: item.announced,
        changed_at: now.max(item.changed_at.saturating_add(1)),
    }
}

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    message: Change<'a>,
}

#[derive(Serialize)]
struct Change<'a> {
    user_id: &'a str,
    status: &'static str,
    timestamp: u64,
}

fn event(user_id: &str, status: &'static str, item: &PresenceItem) -> Result<Message, serde_json::Error> {
    let message = Change { user_id, status, timestamp: item.changed_at };
    Ok(Message {
        body: serde_json::to_string(&Event { r#type: "presence", message })?,
        attributes: vec![
            Attribute::text(SOURCE_ATTRIBUTE, SOURCE),
            Attribute::text(USER_ID, user_id),
            Attribute::number(TIMESTAMP, item.changed_at),
            Attribute::text(ID, format!("{user_id}:{}", item.version)),
        ],
    })
}

#[cfg(test)]
mod tests;
