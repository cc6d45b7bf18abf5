//! Brings one user's item in the presence table in line with the truth, and announces every change of it.
//!
//! Flow, repeated until nothing is left to do:
//! 1. read the item; if its version was not announced, announce it and note that;
//! 2. ask the connections table for the truth; if the item says otherwise, write it with the next version, on
//!    condition that the version is still the one read.
//!
//! Guarantees:
//! - a change is announced before the next one is written, so events of one user strictly alternate;
//! - a crash between any two steps loses nothing: whoever comes next finds the unannounced version; at worst an event
//!   is repeated, with the same id;
//! - the item is read before the truth. The other way round, a truth that has grown old while another run wrote the
//!   item could be written over it.

use serde::Serialize;
use sumu_contract::message::{ID, SOURCE as SOURCE_ATTRIBUTE, TIMESTAMP, USER_ID};
use sumu_contract::presence::{SOURCE, State};
use sumu_contract::settings::PresenceSource;

use super::changes::Changes;
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
    /// The event could not be written.
    #[error("a presence event cannot be written as JSON")]
    Event(#[from] serde_json::Error),
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
    /// The time.
    pub clock: C,
}

impl<L: LiveConnections, P: Presence, Q: Queue, T: Topic, C: Clock> Reconciler<L, P, Q, T, C> {
    /// Reconciles one user; returns how many changes were announced.
    pub async fn reconcile(&self, user_id: &str) -> Result<u64, ReconcileError> {
        let mut announced = 0;
        let mut conflicts = 0;
        loop {
            let item = self.presence.read(user_id).await?.unwrap_or(NEVER_SEEN);
            let written = if item.announced < item.version {
                self.announce(user_id, &item).await?;
                announced += 1;
                self.presence.mark_announced(user_id, item.version).await?
            } else {
                let now = self.clock.now();
                let there = self.connections.any(user_id, now).await?;
                let truth = if there { State::Online } else { State::Offline };
                if truth == item.state {
                    return Ok(announced);
                }
                let written = self.presence.change(user_id, &changed(&item, truth, now)).await?;
                if written == Written::Done {
                    self.changes.changed(truth);
                }
                written
            };
            if written == Written::Conflict {
                conflicts += 1;
                if conflicts == CONFLICTS_MAX {
                    return Err(ReconcileError::Contended);
                }
            }
        }
    }

    async fn announce(&self, user_id: &str, item: &PresenceItem) -> Result<(), ReconcileError> {
        let (to_queue, to_topic) = match self.source {
            PresenceSource::Queue => (true, false),
            PresenceSource::Topic => (false, true),
            PresenceSource::Both => (true, true),
            PresenceSource::Stream => return Ok(()),
        };
        let event = event(user_id, item)?;
        if to_queue {
            self.queue.send(&event, 0).await?;
        }
        if to_topic {
            self.topic.publish(&event).await?;
        }
        Ok(())
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

fn event(user_id: &str, item: &PresenceItem) -> Result<Message, serde_json::Error> {
    let message = Change { user_id, status: item.state.as_str(), timestamp: item.changed_at };
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
