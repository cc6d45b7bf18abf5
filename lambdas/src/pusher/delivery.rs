//! Brings one notification to its audience.
//!
//! A broadcast reads the table page after page and posts each page before it reads the next: memory is one page,
//! whatever the audience. It runs inside one invocation; an audience too large for that needs the work to be divided
//! among several, which this module does not do yet.

use std::ops::AddAssign;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use sumu_contract::message::REASON;
use tokio::sync::Semaphore;

use super::outcome::{Next, next};
use super::request::{Notification, Recipient, Target};
use super::retry::{Fate, Unreached, fate};
use crate::ports::{Attribute, Audience, Clock, Connection, Cursor, Message, Page, PortError, Posted, Queue, Sockets};
use crate::telemetry::Chain;

/// How many posts are under way at once in the whole process.
pub const POSTS_AT_ONCE: usize = 64;

/// How many users' connections are read at once for one notification.
const USERS_AT_ONCE: usize = 16;

/// The longest pause before a post is tried again in place; the second is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// The reason in the dead-letter queue of what was tried often enough.
const EXHAUSTED: &str = "undelivered after the last attempt";

/// What came of the posts of one notification or of a whole batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Delivered.
    pub delivered: u64,
    /// The connection was gone.
    pub gone: u64,
    /// On its way back through a retry item.
    pub retried: u64,
    /// Tried often enough: in the dead-letter queue.
    pub exhausted: u64,
    /// Worth nothing any more.
    pub expired: u64,
    /// Refused for good: malformed or too large.
    pub invalid: u64,
    /// Refused because we may not: a fault in the stack's set-up.
    pub forbidden: u64,
    /// Requests that can never be served.
    pub bad_requests: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { delivered, gone, retried, exhausted, expired, invalid, forbidden, bad_requests } = other;
        self.delivered += delivered;
        self.gone += gone;
        self.retried += retried;
        self.exhausted += exhausted;
        self.expired += expired;
        self.invalid += invalid;
        self.forbidden += forbidden;
        self.bad_requests += bad_requests;
    }
}

/// Why a notification must be delivered again as a whole.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The table could not be read, or a retry item not be put.
    #[error("the notification could not be worked off")]
    Port(#[from] PortError),
    /// A retry item could not be written.
    #[error("a retry item cannot be written as JSON")]
    Item(#[from] serde_json::Error),
}

/// What a delivery needs.
pub struct Delivery<'a, A, S, Q, D, C> {
    /// Who is connected.
    pub audience: &'a A,
    /// The sockets.
    pub sockets: &'a S,
    /// Where retry items go.
    pub retries: &'a Q,
    /// Where those go who were tried often enough.
    pub dead_letters: &'a D,
    /// The time.
    pub clock: &'a C,
    /// Bounds the posts of all deliveries together.
    pub permits: &'a Semaphore,
    /// How often one post is tried over all retry items.
    pub max_attempts: u32,
    /// What is delivered.
    pub notification: &'a Notification,
}

impl<A: Audience, S: Sockets, Q: Queue, D: Queue, C: Clock> Delivery<'_, A, S, Q, D, C> {
    /// Delivers, and puts whom it did not reach back.
    pub async fn run(&self) -> Result<Counts, DeliveryError> {
        if self.notification.is_expired(self.clock.now()) {
            return Ok(Counts { expired: 1, ..Counts::default() });
        }
        match &self.notification.target {
            Target::Users(users) => self.to_users(users).await,
            Target::Connections(connections) => self.to_connections(connections.clone()).await,
            Target::Everyone => self.to_everyone().await,
        }
    }

    async fn to_users(&self, users: &[String]) -> Result<Counts, DeliveryError> {
        let users = users.iter().filter(|user| !self.notification.exclude_users.contains(*user));
        let mut results = stream::iter(users).map(|user| self.to_user(user)).buffer_unordered(USERS_AT_ONCE);
        let mut counts = Counts::default();
        let mut unreached = Vec::new();
        let mut unread = Vec::new();
        while let Some((more, connections, failed)) = results.next().await {
            counts += more;
            unreached.extend(connections);
            unread.extend(failed);
        }
        counts += self.put_back(Unreached::Connections(unreached)).await?;
        counts += self.put_back(Unreached::Users(unread)).await?;
        Ok(counts)
    }

    /// One user: the counts, the connections that were not reached, and the user itself if they could not be read.
    async fn to_user(&self, user_id: &str) -> (Counts, Vec<Recipient>, Option<String>) {
        let mut counts = Counts::default();
        let mut unreached = Vec::new();
        let mut from: Option<Cursor> = None;
        loop {
            let page = match self.audience.of_user(user_id, from.as_ref()).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(user_id, error = %Chain(&error), "connections not read");
                    return (counts, unreached, Some(user_id.to_owned()));
                }
            };
            from.clone_from(&page.next);
            let (more, later) = self.post_all(self.live(page)).await;
            counts += more;
            unreached.extend(later);
            if from.is_none() {
                return (counts, unreached, None);
            }
        }
    }

    async fn to_connections(&self, connections: Vec<Recipient>) -> Result<Counts, DeliveryError> {
        let (mut counts, unreached) = self.post_all(connections).await;
        counts += self.put_back(Unreached::Connections(unreached)).await?;
        Ok(counts)
    }

    async fn to_everyone(&self) -> Result<Counts, DeliveryError> {
        let mut counts = Counts::default();
        let mut from: Option<Cursor> = None;
        loop {
            let page = self.audience.everyone(from.as_ref()).await?;
            from.clone_from(&page.next);
            counts += self.to_connections(self.live(page)).await?;
            if from.is_none() {
                return Ok(counts);
            }
        }
    }

    /// The connections of a page that count. `DynamoDB` may delete rows days after their time.
    fn live(&self, page: Page) -> Vec<Recipient> {
        let now = self.clock.now();
        let row = |Connection { user_id, connection_id, connected_at, .. }| Recipient::Row {
            user_id,
            connection_id,
            connected_at,
        };
        page.connections.into_iter().filter(|connection| connection.is_live(now)).map(row).collect()
    }

    /// Posts to all that are not excluded; returns those to try later.
    async fn post_all(&self, recipients: Vec<Recipient>) -> (Counts, Vec<Recipient>) {
        let recipients = recipients.into_iter().filter(|recipient| self.notification.reaches(recipient));
        let posts = stream::iter(recipients).map(|recipient| async move {
            let (next, posted) = self.post(&recipient).await;
            (next, posted, recipient)
        });
        let mut posts = std::pin::pin!(posts.buffer_unordered(POSTS_AT_ONCE));
        let mut counts = Counts::default();
        let mut later = Vec::new();
        while let Some((next, posted, recipient)) = posts.next().await {
            match next {
                Next::Delivered => counts.delivered += 1,
                Next::Gone | Next::Forget => counts.gone += 1,
                Next::TryAgain | Next::TryLater => later.push(recipient),
                Next::GiveUp if posted == Posted::Forbidden => counts.forbidden += 1,
                Next::GiveUp => counts.invalid += 1,
            }
        }
        (counts, later)
    }

    async fn post(&self, recipient: &Recipient) -> (Next, Posted) {
        let mut tries = 0;
        loop {
            let posted = {
                // Only a closed semaphore gives no permit, and nobody closes this one.
                let _permit = self.permits.acquire().await.ok();
                self.sockets.post(recipient.connection_id(), self.notification.data.get()).await
            };
            tries += 1;
            match (next(posted, recipient, tries, self.clock.now()), recipient) {
                (Next::TryAgain, _) => self.clock.pause(PAUSE * tries).await,
                (Next::Forget, Recipient::Row { user_id, connection_id, connected_at }) => {
                    if let Err(error) = self.audience.forget(user_id, connection_id, *connected_at).await {
                        // The next notification meets the same 410 and tries again.
                        tracing::warn!(connection_id, error = %Chain(&error), "row of a gone connection not deleted");
                    }
                    return (Next::Forget, posted);
                }
                (other, _) => return (other, posted),
            }
        }
    }

    /// Puts those whom the notification did not reach back, or aside.
    async fn put_back(&self, unreached: Unreached) -> Result<Counts, DeliveryError> {
        let count = match &unreached {
            Unreached::Users(users) => users.len(),
            Unreached::Connections(connections) => connections.len(),
        };
        let mut counts = Counts::default();
        if count == 0 {
            return Ok(counts);
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match fate(self.notification, &unreached, self.max_attempts, self.clock.now())? {
            Fate::Later { items, delay_seconds } => {
                for body in items {
                    self.retries.send(&Message { body, attributes: Vec::new() }, delay_seconds).await?;
                }
                counts.retried = count;
            }
            Fate::Exhausted { items } => {
                for body in items {
                    let attributes = vec![Attribute::text(REASON, EXHAUSTED)];
                    self.dead_letters.send(&Message { body, attributes }, 0).await?;
                }
                counts.exhausted = count;
            }
            Fate::Expired => counts.expired = count,
        }
        Ok(counts)
    }
}
