//! One cache of issuers' keys a process.
//!
//! Rules:
//! - keys are fresh for as long as `Cache-Control: max-age` says, but at least 5 minutes and at most 24 hours;
//! - a token whose key is unknown makes fresh keys be fetched again, at most once in 30 seconds: this is how a
//!   rotation is noticed, and how forged key ids are kept from hammering the issuer;
//! - while the issuer is down, old keys serve for 24 hours more, and it is asked again every 30 seconds;
//! - those who miss at the same time share one fetch.

use std::collections::HashMap;
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
        Self { source, slots: uris.into_iter().map(|uri| (uri, Slot::default())).collect() }
    }

    /// The keys at `uri`. Keys that do not `suit` are fetched again, if that has not been tried just now.
    pub async fn keys(
        &self,
        uri: &str,
        clock: &impl Clock,
        suits: impl Fn(&KeySet) -> bool,
    ) -> Result<Arc<KeySet>, KeysUnavailable> {
        let slot = self.slots.get(uri).ok_or(KeysUnavailable)?;
        let before = slot.held();
        if let Some(keys) = before.without_fetch(clock.now(), &suits) {
            return Ok(keys);
        }
        let _gate = slot.gate.lock().await;
        let held = slot.held();
        if held.attempts == before.attempts {
            self.refresh(uri, slot, clock).await;
        }
        slot.held().serving(clock.now()).ok_or(KeysUnavailable)
    }

    async fn refresh(&self, uri: &str, slot: &Slot, clock: &impl Clock) {
        let attempted_at = clock.now();
        let fetched = self.source.fetch(uri).await;
        let mut held = slot.held.write().unwrap_or_else(PoisonError::into_inner);
        held.attempts += 1;
        held.attempted_at = attempted_at;
        // What follows `?` may be a secret.
        let place = uri.split('?').next().unwrap_or_default();
        match fetched {
            Err(error) => tracing::warn!(keys = place, error = %Chain(&error), "keys not fetched"),
            Ok(KeyDocument { body, cache_control }) => match KeySet::parse(&body) {
                Err(error) => tracing::warn!(keys = place, error = %Chain(&error), "keys not understood"),
                Ok(keys) => {
                    tracing::info!(keys = place, count = keys.len(), "keys fetched");
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
