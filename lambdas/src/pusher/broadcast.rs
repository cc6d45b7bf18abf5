//! Broadcasts to more than one page: divided into work items, each worked off a page at a time.
//!
//! A worker reads one page of its segment, posts it, puts the next item, and only then lets its own be deleted. Killed
//! anywhere it repeats at most that page: should the next item have been put already, the one put again is dropped,
//! because the other has taken its turn. Memory is one page, whatever the audience.

use futures::stream::{self, StreamExt, TryStreamExt};
use sumu_contract::message::REASON;

use super::delivery::{Delivery, DeliveryError, PostedAll};
use super::item::{WorkItem, segments};
use super::request::{BadRequest, Notification, Recipient};
use super::retry::{Unreached, delay_seconds};
use super::tally::Counts;
use crate::ports::{
    Attribute, Audience, Clock, Cursor, Message, Page, Part, PortError, Queue, Sockets, Turn, Turns, Written,
};
use crate::telemetry::Chain;

/// How many items are put at once.
const PUTS_AT_ONCE: usize = 16;

/// The reason in the dead-letter queue of a page that was tried often enough.
const UNREADABLE: &str = "a page of the broadcast could not be read after the last attempt";

/// How a work item goes on.
enum Rest {
    /// Its segment is done.
    Nothing,
    /// From here.
    From(Option<Cursor>),
}

impl<A: Audience + Turns, S: Sockets, Q: Queue, C: Clock> Delivery<'_, A, S, Q, C> {
    /// Puts one work item for each segment.
    ///
    /// Done twice, because the first invocation was killed, it puts the same items with other tickets: the number of
    /// segments is the one that was noted first, and of each step only one ticket is worked off.
    pub(super) async fn divide(&self, notification: &Notification, job: &str) -> Result<Counts, DeliveryError> {
        let first = |part| WorkItem {
            job: job.to_owned(),
            part,
            step: 0,
            ticket: ticket(),
            attempt: 0,
            cursor: None,
            notification: notification.clone(),
        };
        if !first(Part { segment: u32::MAX, segments: u32::MAX }).fits()? {
            return Err(DeliveryError::Refused(BadRequest::TooLargeToDivide));
        }
        let rows = self.ports.audience.rows().await.unwrap_or_else(|error| {
            tracing::warn!(error = %Chain(&error), "the table's size is not known: divided by the number of workers");
            0
        });
        let wanted = segments(rows, self.rules.max_concurrency);
        let segments = self.ports.audience.settle_segments(job, wanted, self.ports.clock.now()).await?;
        let puts = stream::iter(0..segments).map(|segment| {
            let item = first(Part { segment, segments });
            async move { self.put(&item, 0).await }
        });
        puts.buffer_unordered(PUTS_AT_ONCE).try_for_each(|()| async { Ok(()) }).await?;
        tracing::info!(job, id = notification.id, rows, segments, "broadcast divided");
        Ok(Counts { items: segments.into(), ..Counts::default() })
    }

    /// Works off one page of a segment.
    pub(super) async fn work(&self, item: WorkItem) -> Result<Counts, DeliveryError> {
        if item.notification.is_expired(self.ports.clock.now()) {
            return Ok(Counts { expired: 1, ..Counts::default() });
        }
        let page = match self.page(&item).await {
            Ok(Some(page)) => page,
            Ok(None) => return Ok(Counts { superseded: 1, ..Counts::default() }),
            Err(error) => return self.work_later(item, &error).await,
        };
        let next = page.next.clone();
        let seen = Counts::of_page(&page);
        let mut recipients = self.live(page);
        recipients.retain(|recipient| item.notification.reaches(recipient));
        let PostedAll { mut counts, later, left } = self.post_all(&item.notification, &recipients).await;
        counts += seen;
        counts += self.put_back(&item.notification, Unreached::Connections(later)).await?;
        counts.put_back = u64::try_from(left).unwrap_or(u64::MAX);
        if let Rest::From(cursor) = rest(&item, &recipients[..recipients.len() - left], left, next) {
            self.put(&item.followed(cursor, 0, ticket()), 0).await?;
            counts.items = 1;
        }
        Ok(counts)
    }

    /// The item's page, unless another worker has taken its turn.
    async fn page(&self, item: &WorkItem) -> Result<Option<Page>, PortError> {
        let turn = Turn { job: &item.job, segment: item.part.segment, step: item.step, ticket: &item.ticket };
        match self.ports.audience.take(&turn, self.ports.clock.now()).await? {
            Written::Conflict => Ok(None),
            Written::Done => self.ports.audience.everyone(item.part, item.cursor.as_ref()).await.map(Some),
        }
    }

    /// Puts an item whose page could not be read back, or aside.
    async fn work_later(&self, item: WorkItem, error: &PortError) -> Result<Counts, DeliveryError> {
        tracing::warn!(job = item.job, segment = item.part.segment, error = %Chain(error), "page not read");
        let made = item.attempt.saturating_add(1);
        let cursor = item.cursor.clone();
        if made >= self.rules.max_attempts {
            // Redriven it begins to count anew.
            let body = item.followed(cursor, 0, ticket()).text()?;
            let attributes = vec![Attribute::text(REASON, UNREADABLE)];
            self.ports.pushes_dead_letters.send(&Message { body, attributes }, 0).await?;
            return Ok(Counts { exhausted: 1, dead_letters: 1, ..Counts::default() });
        }
        self.put(&item.followed(cursor, made, ticket()), delay_seconds(made)).await?;
        Ok(Counts { items: 1, ..Counts::default() })
    }

    async fn put(&self, item: &WorkItem, delay_seconds: u32) -> Result<(), DeliveryError> {
        let message = Message { body: item.text()?, attributes: Vec::new() };
        self.ports.pushes.send(&message, delay_seconds).await?;
        Ok(())
    }
}

/// Where it goes on after `done` were posted to and `left` were not.
fn rest(item: &WorkItem, done: &[Recipient], left: usize, next: Option<Cursor>) -> Rest {
    match (left, done.last()) {
        (0, _) => next.map_or(Rest::Nothing, |cursor| Rest::From(Some(cursor))),
        // A page may begin behind any of its rows.
        (_, Some(Recipient::Row { user_id, connection_id, .. })) => {
            Rest::From(Some(Cursor { user_id: user_id.clone(), connection_id: connection_id.clone() }))
        }
        (_, Some(Recipient::Bare(_)) | None) => Rest::From(item.cursor.clone()),
    }
}

fn ticket() -> String {
    format!("{:016x}", rand::random::<u64>())
}

#[cfg(test)]
mod tests;
