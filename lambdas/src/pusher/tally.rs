//! What came of an invocation, in numbers.
//!
//! [`Counts`] are returned by whoever did the work, and added up. A [`Tally`] is shared by all posts of an invocation
//! and costs each of them an addition or two.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ports::{Page, Posted};
use crate::telemetry::metric::{
    BAD_REQUESTS, BROADCAST_ITEMS, BROADCAST_ITEMS_SUPERSEDED, BROADCAST_PAGES, BROADCAST_ROWS, DEAD_LETTERS,
    POST_LATENCY, POSTS_DELIVERED, POSTS_EXHAUSTED, POSTS_EXPIRED, POSTS_FORBIDDEN, POSTS_GONE, POSTS_INVALID,
    POSTS_PUT_BACK, POSTS_RETRIED, POSTS_THROTTLED, POSTS_UNAVAILABLE,
};
use crate::telemetry::{Distribution, Line};

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
    /// Messages put into a dead-letter queue.
    pub dead_letters: u64,
    /// Put back because the invocation's time was up.
    pub put_back: u64,
    /// Pages of broadcasts read.
    pub pages: u64,
    /// Rows on them.
    pub rows: u64,
    /// Work items put.
    pub items: u64,
    /// Work items dropped because another worker was further.
    pub superseded: u64,
}

impl Counts {
    /// A page of a broadcast.
    #[must_use]
    pub fn of_page(page: &Page) -> Self {
        Self { pages: 1, rows: u64::try_from(page.connections.len()).unwrap_or(u64::MAX), ..Self::default() }
    }

    /// Adds them to the invocation's line.
    pub fn tell(&self, line: &mut Line) {
        let Self { delivered, gone, retried, exhausted, expired, invalid, forbidden, .. } = *self;
        let Self { bad_requests, dead_letters, put_back, pages, rows, items, superseded, .. } = *self;
        line.count(POSTS_DELIVERED, delivered)
            .count(POSTS_GONE, gone)
            .count(POSTS_RETRIED, retried)
            .count(POSTS_EXHAUSTED, exhausted)
            .count(POSTS_EXPIRED, expired)
            .count(POSTS_INVALID, invalid)
            .count(POSTS_FORBIDDEN, forbidden)
            .count(POSTS_PUT_BACK, put_back)
            .count(BAD_REQUESTS, bad_requests)
            .count(DEAD_LETTERS, dead_letters)
            .count(BROADCAST_PAGES, pages)
            .count(BROADCAST_ROWS, rows)
            .count(BROADCAST_ITEMS, items)
            .count(BROADCAST_ITEMS_SUPERSEDED, superseded);
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { delivered, gone, retried, exhausted, expired, invalid, forbidden, .. } = other;
        let Self { bad_requests, dead_letters, put_back, pages, rows, items, superseded, .. } = other;
        self.delivered += delivered;
        self.gone += gone;
        self.retried += retried;
        self.exhausted += exhausted;
        self.expired += expired;
        self.invalid += invalid;
        self.forbidden += forbidden;
        self.bad_requests += bad_requests;
        self.dead_letters += dead_letters;
        self.put_back += put_back;
        self.pages += pages;
        self.rows += rows;
        self.items += items;
        self.superseded += superseded;
    }
}

/// What all posts of an invocation have met.
#[derive(Debug, Default)]
pub struct Tally {
    latency: Distribution,
    throttled: AtomicU64,
    unavailable: AtomicU64,
}

impl Tally {
    /// Notes one answer of the management API, and how long it took.
    pub fn posted(&self, posted: Posted, ms: u64) {
        self.latency.record(ms);
        match posted {
            Posted::Throttled => drop(self.throttled.fetch_add(1, Ordering::Relaxed)),
            Posted::Unavailable => drop(self.unavailable.fetch_add(1, Ordering::Relaxed)),
            Posted::Delivered | Posted::Gone | Posted::TooLarge | Posted::Invalid | Posted::Forbidden => {}
        }
    }

    /// Adds it to the invocation's line.
    pub fn tell(&self, line: &mut Line) {
        line.values(POST_LATENCY, &self.latency)
            .count(POSTS_THROTTLED, self.throttled.load(Ordering::Relaxed))
            .count(POSTS_UNAVAILABLE, self.unavailable.load(Ordering::Relaxed));
    }
}
