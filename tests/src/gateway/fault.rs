//! Faults: what AWS does badly at times, injected where a test wants it.
//!
//! A fault says for which calls it is, which of these it hits, and what becomes of them. The first that hits a call is
//! the one that happens to it; each counts by itself the calls that it is for.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::call::{Call, Service};
use super::wire::{Answer, Refusal};

/// What becomes of a call.
#[derive(Clone)]
pub enum Act {
    /// It does not reach AWS, and gets this error in the form of its service.
    Refuse(Refusal),
    /// It does not reach AWS, and gets this answer.
    Reply(Answer),
    /// It does not reach AWS, and its connection breaks.
    Drop,
    /// It reaches AWS; then its connection breaks without an answer.
    LoseAnswer,
    /// It reaches AWS; half of the answer's body comes back, then its connection breaks.
    CutAnswer,
    /// It reaches AWS, and the JSON of a good answer is changed on its way back.
    Rewrite(Arc<dyn Fn(&mut Value) + Send + Sync>),
    /// It is passed on after this time.
    Delay(Duration),
}

impl Act {
    /// A change of a good answer's JSON.
    pub fn rewrite(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Rewrite(Arc::new(change))
    }

    /// What a load balancer says when nobody answered it.
    #[must_use]
    pub fn gateway_timeout() -> Self {
        Self::Reply(Answer::new(504, "text/html", "<html><body>Gateway Time-out</body></html>"))
    }
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse(refusal) => write!(f, "refuse with {}", refusal.code),
            Self::Reply(answer) => write!(f, "reply {}", answer.status),
            Self::Drop => f.write_str("drop the call"),
            Self::LoseAnswer => f.write_str("lose the answer"),
            Self::CutAnswer => f.write_str("cut the answer"),
            Self::Rewrite(_) => f.write_str("rewrite the answer"),
            Self::Delay(time) => write!(f, "wait {time:?}"),
        }
    }
}

/// Which of the calls that a fault is for it hits.
#[derive(Clone, Debug)]
pub enum When {
    /// All.
    Always,
    /// From one to another, both counted from 1.
    Calls(u64, u64),
    /// All within a time from now.
    For(Duration),
    /// Some, by chance; the same ones for the same seed.
    Chance {
        /// How many of a hundred.
        percent: u32,
        /// What the chances begin with.
        seed: u64,
    },
}

/// A fault to inject.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The service whose calls it is for.
    pub service: Service,
    /// The operation, or nothing for all of the service's.
    pub operation: Option<&'static str>,
    /// Only calls with this text in path or body, for tests that share a gateway.
    pub about: Option<String>,
    /// Which calls it hits.
    pub when: When,
    /// What becomes of these.
    pub act: Act,
}

impl Fault {
    /// A fault of the first call of an operation.
    #[must_use]
    pub const fn once(service: Service, operation: &'static str, act: Act) -> Self {
        Self { service, operation: Some(operation), about: None, when: When::Calls(1, 1), act }
    }

    /// The same for calls with this text in path or body.
    #[must_use]
    pub fn about(mut self, text: &str) -> Self {
        self.about = Some(text.to_owned());
        self
    }
}

/// A fault that was injected.
#[derive(Clone, Debug)]
pub struct Injected(Arc<Armed>);

impl Injected {
    /// How many calls it has hit.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::SeqCst)
    }

    /// How many calls it was for.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    since: Instant,
    calls: AtomicU64,
    hits: AtomicU64,
    chances: Mutex<StdRng>,
}

impl Armed {
    fn is_for(&self, call: &Call) -> bool {
        let Fault { service, operation, about, .. } = &self.fault;
        *service == call.service
            && operation.is_none_or(|operation| operation == call.operation)
            && about.as_deref().is_none_or(|text| call.speaks_of(text))
    }

    fn hits(&self) -> bool {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        match self.fault.when {
            When::Always => true,
            When::Calls(from, to) => (from..=to).contains(&number),
            When::For(time) => self.since.elapsed() < time,
            When::Chance { percent, .. } => {
                let mut chances = self.chances.lock().unwrap_or_else(PoisonError::into_inner);
                chances.random_range(0..100) < percent
            }
        }
    }
}

/// All faults that are injected.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<Arc<Armed>>>);

impl Faults {
    pub(super) fn inject(&self, fault: Fault) -> Injected {
        let seed = if let When::Chance { seed, .. } = fault.when { seed } else { 0 };
        let armed = Arc::new(Armed {
            fault,
            since: Instant::now(),
            calls: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            chances: Mutex::new(StdRng::seed_from_u64(seed)),
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&armed));
        Injected(armed)
    }

    /// Passes everything on from now on.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What is to become of a call.
    pub(super) fn act_on(&self, call: &Call) -> Option<Act> {
        let armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = armed.iter().find(|armed| armed.is_for(call) && armed.hits())?;
        hit.hits.fetch_add(1, Ordering::SeqCst);
        Some(hit.fault.act.clone())
    }
}
