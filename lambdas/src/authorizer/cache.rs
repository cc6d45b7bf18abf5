//! One cache of issuers' keys a process.
//!
//! Rules:
//! - keys are fresh for as long as `Cache-Control: max-age` says, but at least 5 minutes and at most 24 hours;
//! - a token whose key is unknown makes fresh keys be fetched again, at most once in 30 seconds: this is how a
//!   rotation is noticed, and how forged key ids are kept from hammering the issuer;
//! - while the issuer is down, old keys serve for 24 hours more, and it is asked again every 30 seconds;
//! - those who miss at the same time share one fetch.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;

use super::keys::KeySet;
use crate::ports::{Clock, KeyDocument, Keys};
use crate::telemetry::Chain;

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

/// Bounds of how long keys are fresh.
const FRESH_MIN: u64 = 300 * SECOND;
const FRESH_MAX: u64 = 24 * HOUR;

/// How long keys that are no longer fresh serve while the issuer is down.
const STALE_MAX: u64 = 24 * HOUR;

/// The shortest time between two fetches while there are keys that serve.
const RETRY_AFTER: u64 = 30 * SECOND;

/// An issuer's keys cannot be had, and there are no old ones. The cause was logged by whoever tried.
#[derive(Debug, thiserror::Error)]
#[error("an issuer's keys are not available")]
pub struct KeysUnavailable;

/// The cache, with one slot for each configured document.
#[derive(Debug)]
pub struct KeyCache<K> {
    source: K,
    slots: HashMap<String, Slot>,
    used: Counters,
}

/// How the cache was used, for the line of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Fetches that were made.
    pub fetches: u64,
    /// Those that brought no keys.
    pub fetch_failures: u64,
    /// How old the oldest keys were that it answered with.
    pub age_seconds: Option<u64>,
}

#[derive(Debug, Default)]
struct Counters {
    fetches: AtomicU64,
    fetch_failures: AtomicU64,
    /// One more than the age, so that 0 is none.
    age: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    held: RwLock<Held>,
    /// Held by whoever fetches.
    gate: Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Held {
    keys: Option<Arc<KeySet>>,
    fetched_at: u64,
    fresh_until: u64,
    attempted_at: u64,
    /// Counts fetches, so that those who waited for one know that it has been made.
    attempts: u64,
}

impl Held {
    /// The keys that serve at `now`, fresh or not.
    fn serving(&self, now: u64) -> Option<Arc<KeySet>> {
        self.keys.clone().filter(|_| now < self.fresh_until.saturating_add(STALE_MAX))
    }

    /// The keys to answer with, if the issuer need not be asked.
    fn without_fetch(&self, now: u64, suits: impl Fn(&KeySet) -> bool) -> Option<Arc<KeySet>> {
        let keys = self.serving(now)?;
        let good = now < self.fresh_until && suits(&keys);
        let asked_lately = now.saturating_sub(self.attempted_at) < RETRY_AFTER;
        (good || asked_lately).then_some(keys)
    }
}

impl<K: Keys> KeyCache<K> {
    /// An empty cache for these documents.
    pub fn new(source: K, uris: impl IntoIterator<Item = String>) -> Self {
        let slots = uris.into_iter().map(|uri| (uri, Slot::default())).collect();
        Self { source, slots, used: Counters::default() }
    }

    /// How the cache was used since this was asked last.
    pub fn take_use(&self) -> Use {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let Counters { fetches, fetch_failures, age } = &self.used;
        Use { fetches: take(fetches), fetch_failures: take(fetch_failures), age_seconds: take(age).checked_sub(1) }
    }

    /// The keys at `uri`. Keys that do not `suit` are fetched again, if that has not been tried just now.
    pub async fn keys(
        &self,
        uri: &str,
        clock: &impl Clock,
        suits: impl Fn(&KeySet) -> bool,
    ) -> Result<Arc<KeySet>, KeysUnavailable> {
        let slot = self.slots.get(uri).ok_or(KeysUnavailable)?;
        let keys = self.keys_in(slot, uri, clock, suits).await.ok_or(KeysUnavailable)?;
        let age = clock.now().saturating_sub(slot.held().fetched_at) / SECOND;
        self.used.age.fetch_max(age + 1, Ordering::Relaxed);
        Ok(keys)
    }

    async fn keys_in(
        &self,
        slot: &Slot,
        uri: &str,
        clock: &impl Clock,
        suits: impl Fn(&KeySet) -> bool,
    ) -> Option<Arc<KeySet>> {
        let before = slot.held();
        if let Some(keys) = before.without_fetch(clock.now(), &suits) {
            return Some(keys);
        }
        let _gate = slot.gate.lock().await;
        let held = slot.held();
        if held.attempts == before.attempts {
            self.refresh(uri, slot, clock).await;
        }
        slot.held().serving(clock.now())
    }

    async fn refresh(&self, uri: &str, slot: &Slot, clock: &impl Clock) {
        let attempted_at = clock.now();
        let fetched = self.source.fetch(uri).await;
        self.used.fetches.fetch_add(1, Ordering::Relaxed);
        let mut held = slot.held.write().unwrap_or_else(PoisonError::into_inner);
        held.attempts += 1;
        held.attempted_at = attempted_at;
        let place = place(uri);
        match fetched {
            Err(error) => {
                self.used.fetch_failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(keys = place, error = %Chain(&error), "keys not fetched");
            }
            Ok(KeyDocument { body, cache_control }) => match KeySet::parse(&body) {
                Err(error) => {
                    self.used.fetch_failures.fetch_add(1, Ordering::Relaxed);
                    // Without its cause, which quotes from the document.
                    tracing::warn!(keys = place, %error, "keys not understood");
                }
                Ok(keys) => {
                    tracing::info!(keys = place, count = keys.len(), "keys fetched");
                    held.fetched_at = attempted_at;
                    held.fresh_until = attempted_at.saturating_add(freshness(cache_control.as_deref()));
                    held.keys = Some(Arc::new(keys));
                }
            },
        }
    }
}

impl Slot {
    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What of an address may be logged. Its query may be a secret, and so may be what stands before `@`.
fn place(uri: &str) -> &str {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    let host = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let authority = host.split('/').next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => host.get(at + 1..).unwrap_or_default(),
        None => uri,
    }
}

/// How long a document is fresh, in milliseconds.
fn freshness(cache_control: Option<&str>) -> u64 {
    let directives = cache_control.unwrap_or_default();
    let max_age = directives.split(',').find_map(|directive| {
        let (name, value) = directive.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim().trim_matches('"').parse::<u64>().ok())?
    });
    max_age.unwrap_or(0).saturating_mul(SECOND).clamp(FRESH_MIN, FRESH_MAX)
}

#[cfg(test)]
mod tests;
