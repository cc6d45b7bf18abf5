//! Brings one notification to its audience.
//!
//! A broadcast to one page of connections is made at once; a larger one is divided, see `broadcast`. Whom the
//! invocation has no time left for goes back to the queue.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use sumu_contract::message::REASON;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::outcome::{Next, next};
use super::pace::Pace;
use super::request::{BadRequest, Notification, Recipient, Target};
use super::retry::{Fate, Unreached, fate, rest};
use super::tally::{Counts, Tally};
use super::{Ports, Rules};
use crate::ports::{
    Attribute, Audience, Clock, Connection, Cursor, Message, Page, Part, PortError, Posted, Queue, Sockets, Turns,
};
use crate::telemetry::Chain;

/// How many posts are under way at once in the whole process.
pub const POSTS_AT_ONCE: usize = 64;

/// How many users' connections are read at once for one notification.
const USERS_AT_ONCE: usize = 16;

/// The longest pause before a post is tried again in place; the second is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// The reason in the dead-letter queue of what was tried often enough.
const EXHAUSTED: &str = "undelivered after the last attempt";

/// Why a notification must be delivered again as a whole.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The table could not be read, or an item not be put.
    #[error("the notification could not be worked off")]
    Port(#[from] PortError),
    /// An item could not be written.
    #[error("an item cannot be written as JSON")]
    Item(#[from] serde_json::Error),
    /// It can never be delivered.
    #[error("{0}")]
    Refused(BadRequest),
}

/// What a delivery needs.
pub struct Delivery<'a, A, S, Q, C> {
    /// The world.
    pub ports: &'a Ports<A, S, Q, C>,
    /// The settings.
    pub rules: &'a Rules,
    /// Bounds the posts of all deliveries together.
    pub permits: &'a Semaphore,
    /// How fast all deliveries together may post.
    pub pace: &'a Mutex<Pace>,
    /// Where each post is noted.
    pub tally: &'a Tally,
    /// When no post may begin any more (epoch milliseconds).
    pub until: u64,
}

/// What came of posting to a list of recipients.
#[derive(Default)]
pub(super) struct PostedAll {
    pub(super) counts: Counts,
    /// Whom to try later.
    pub(super) later: Vec<Recipient>,
    /// How many there was no time for: the last ones of the list.
    pub(super) left: usize,
}

/// What came of one user.
#[derive(Default)]
struct OneUser {
    counts: Counts,
    later: Vec<Recipient>,
    /// Connections that there was no time for.
    left: Vec<Recipient>,
    /// The user itself, when its connections could not be read.
    unread: Option<String>,
}

impl<A: Audience + Turns, S: Sockets, Q: Queue, C: Clock> Delivery<'_, A, S, Q, C> {
    /// Delivers, and puts whom it did not reach back. `job` names the request in work items.
    pub async fn run(&self, notification: &Notification, job: &str) -> Result<Counts, DeliveryError> {
        if notification.is_expired(self.ports.clock.now()) {
            return Ok(Counts { expired: 1, ..Counts::default() });
        }
        match &notification.target {
            Target::Users(users) => self.to_users(notification, users).await,
            Target::Connections(connections) => self.to_connections(notification, connections).await,
            Target::Everyone => {
                let page = self.ports.audience.everyone(Part::WHOLE, None).await?;
                if page.next.is_some() {
                    return self.divide(notification, job).await;
                }
                let mut counts = Counts::of_page(&page);
                counts += self.to_connections(notification, &self.live(page)).await?;
                Ok(counts)
            }
        }
    }

    async fn to_users(&self, notification: &Notification, users: &[String]) -> Result<Counts, DeliveryError> {
        let users = users.iter().filter(|user| !notification.exclude_users.contains(*user));
        let mut results =
            stream::iter(users).map(|user| self.to_user(notification, user)).buffer_unordered(USERS_AT_ONCE);
        let mut counts = Counts::default();
        let (mut later, mut left, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(user) = results.next().await {
            counts += user.counts;
            later.extend(user.later);
            left.extend(user.left);
            unread.extend(user.unread);
        }
        counts += self.put_back(notification, Unreached::Connections(later)).await?;
        counts += self.put_back(notification, Unreached::Users(unread)).await?;
        counts += self.put_rest(notification, left).await?;
        Ok(counts)
    }

    /// Once the time is up, the rest of a user's connections are read all the same: naming the user again would reach
    /// those twice who were reached.
    async fn to_user(&self, notification: &Notification, user_id: &str) -> OneUser {
        let mut user = OneUser::default();
        let mut from: Option<Cursor> = None;
        loop {
            let page = match self.ports.audience.of_user(user_id, from.as_ref()).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(user_id, error = %Chain(&error), "connections not read");
                    return OneUser { unread: Some(user_id.to_owned()), ..user };
                }
            };
            from.clone_from(&page.next);
            let mut recipients = self.live(page);
            recipients.retain(|recipient| notification.reaches(recipient));
            let PostedAll { counts, later, left } = self.post_all(notification, &recipients).await;
            user.counts += counts;
            user.later.extend(later);
            user.left.extend(recipients.drain(recipients.len() - left..));
            if from.is_none() {
                return user;
            }
        }
    }

    async fn to_connections(
        &self,
        notification: &Notification,
        connections: &[Recipient],
    ) -> Result<Counts, DeliveryError> {
        let mut recipients = connections.to_vec();
        recipients.retain(|recipient| notification.reaches(recipient));
        let PostedAll { mut counts, later, left } = self.post_all(notification, &recipients).await;
        counts += self.put_back(notification, Unreached::Connections(later)).await?;
        counts += self.put_rest(notification, recipients.split_off(recipients.len() - left)).await?;
        Ok(counts)
    }

    /// The connections of a page that count. `DynamoDB` may delete rows days after their time.
    pub(super) fn live(&self, page: Page) -> Vec<Recipient> {
        let now = self.ports.clock.now();
        let row = |Connection { user_id, connection_id, connected_at, .. }| Recipient::Row {
            user_id,
            connection_id,
            connected_at,
        };
        page.connections.into_iter().filter(|connection| connection.is_live(now)).map(row).collect()
    }

    /// Posts to all, in their order, until the time is up.
    pub(super) async fn post_all(&self, notification: &Notification, recipients: &[Recipient]) -> PostedAll {
        // Turns are given one after the other, so that those who get none are the last of the list.
        let turns = stream::iter(recipients.iter().cloned()).then(|recipient| self.with_turn(recipient));
        let posts = turns.map(|(recipient, turn)| self.post(notification, recipient, turn));
        let mut posts = std::pin::pin!(posts.buffer_unordered(POSTS_AT_ONCE));
        let mut all = PostedAll::default();
        while let Some((recipient, outcome)) = posts.next().await {
            match outcome {
                None => all.left += 1,
                Some((Next::Delivered, _)) => all.counts.delivered += 1,
                Some((Next::Gone | Next::Forget, _)) => all.counts.gone += 1,
                Some((Next::TryAgain | Next::TryLater, _)) => all.later.push(recipient),
                Some((Next::GiveUp, Posted::Forbidden)) => all.counts.forbidden += 1,
                Some((Next::GiveUp, _)) => all.counts.invalid += 1,
            }
        }
        all
    }

    async fn with_turn(&self, recipient: Recipient) -> (Recipient, Option<Turn<'_>>) {
        let turn = self.turn().await;
        (recipient, turn)
    }

    /// Leave to post, once there is room and it is time; none when the invocation's time is up before.
    async fn turn(&self) -> Option<Turn<'_>> {
        // Only a closed semaphore gives no permit, and nobody closes this one.
        let permit = self.permits.acquire().await.ok();
        let wait = self.pace(|pace, now| pace.place(now, self.until))?;
        if !wait.is_zero() {
            self.ports.clock.wait(wait).await;
        }
        Some(Turn { _permit: permit })
    }

    fn pace<T>(&self, change: impl FnOnce(&mut Pace, u64) -> T) -> T {
        let now = self.ports.clock.now();
        // Numbers that a panic elsewhere cannot leave half written.
        change(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Posts to one recipient that has a turn.
    async fn post(
        &self,
        notification: &Notification,
        recipient: Recipient,
        turn: Option<Turn<'_>>,
    ) -> (Recipient, Option<(Next, Posted)>) {
        let Some(turn) = turn else { return (recipient, None) };
        let mut turn = Some(turn);
        let mut tries = 0;
        loop {
            let began = self.ports.clock.now();
            let posted = self.ports.sockets.post(recipient.connection_id(), notification.data.get()).await;
            self.tally.posted(posted, self.ports.clock.now().saturating_sub(began));
            // Others may post while this one pauses.
            drop(turn.take());
            tries += 1;
            if posted == Posted::Throttled {
                self.pace(Pace::throttled);
            }
            let mut next = next(posted, &recipient, tries, self.ports.clock.now());
            if next == Next::TryAgain {
                self.ports.clock.pause(PAUSE * tries).await;
                turn = self.turn().await;
                if turn.is_some() {
                    continue;
                }
                next = Next::TryLater;
            }
            if next == Next::Forget {
                self.forget(&recipient).await;
            }
            return (recipient, Some((next, posted)));
        }
    }

    async fn forget(&self, recipient: &Recipient) {
        let Recipient::Row { user_id, connection_id, connected_at } = recipient else { return };
        if let Err(error) = self.ports.audience.forget(user_id, connection_id, *connected_at).await {
            // The next notification meets the same 410 and tries again.
            tracing::warn!(connection_id, error = %Chain(&error), "row of a gone connection not deleted");
        }
    }

    /// Puts those whom the notification did not reach back, or aside.
    pub(super) async fn put_back(
        &self,
        notification: &Notification,
        unreached: Unreached,
    ) -> Result<Counts, DeliveryError> {
        let count = match &unreached {
            Unreached::Users(users) => users.len(),
            Unreached::Connections(connections) => connections.len(),
        };
        let mut counts = Counts::default();
        if count == 0 {
            return Ok(counts);
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match fate(notification, &unreached, self.rules.max_attempts, self.ports.clock.now())? {
            Fate::Later { items, delay_seconds } => {
                for body in items {
                    self.ports.pushes.send(&Message { body, attributes: Vec::new() }, delay_seconds).await?;
                }
                counts.retried = count;
            }
            Fate::Exhausted { items } => {
                counts.dead_letters = u64::try_from(items.len()).unwrap_or(u64::MAX);
                for body in items {
                    let attributes = vec![Attribute::text(REASON, EXHAUSTED)];
                    self.ports.dead_letters.send(&Message { body, attributes }, 0).await?;
                }
                counts.exhausted = count;
            }
            Fate::Expired => counts.expired = count,
        }
        Ok(counts)
    }

    /// Puts those back whose turn did not come.
    async fn put_rest(&self, notification: &Notification, left: Vec<Recipient>) -> Result<Counts, DeliveryError> {
        let mut counts = Counts::default();
        if !left.is_empty() {
            counts.put_back = u64::try_from(left.len()).unwrap_or(u64::MAX);
            for body in rest(notification, &Unreached::Connections(left))? {
                self.ports.pushes.send(&Message { body, attributes: Vec::new() }, 0).await?;
            }
        }
        Ok(counts)
    }
}

/// Leave to make one post.
struct Turn<'a> {
    _permit: Option<SemaphorePermit<'a>>,
}
