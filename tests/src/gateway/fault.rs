//! Faults: what AWS does badly at times, injected where a test wants it.
//!
//! A fault says for which calls it is, which of these it hits, and what becomes of them. The first that hits a call is
//! the one that happens to it; each counts by itself the calls that it is for.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::sync::watch;

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
    /// It does not reach AWS, and nothing comes back until the caller gives up.
    Hang,
    /// It reaches AWS; then its connection breaks without an answer.
    LoseAnswer,
    /// The same for what AWS has done; what it refuses is told.
    LoseSuccess,
    /// It reaches AWS, whatever it says; this comes back instead.
    Replace(Answer),
    /// It reaches AWS; half of the answer's body comes back, then its connection breaks.
    CutAnswer,
    /// It reaches AWS; the answer's body comes back a byte at a time, with this pause between two.
    Trickle(Duration),
    /// It reaches AWS, and its answer waits until the hold is released.
    Hold(Hold),
    /// It waits until the hold is released, and only then reaches AWS, whether its caller still waits or not.
    Late(Hold),
    /// It is a read, and is answered as the last same read before the fault began, if there was one.
    Stale,
    /// It reaches AWS, and the JSON of a good answer is changed on its way back.
    Rewrite(Arc<dyn Fn(&mut Value) + Send + Sync>),
    /// It reaches AWS, and the text of a good answer is changed on its way back: for answers in XML.
    RewriteText(Arc<dyn Fn(String) -> String + Send + Sync>),
    /// It is passed on after this time.
    Delay(Duration),
    /// One of these becomes of it, by chance; the same ones for the same seed of [`When::Chance`].
    OneOf(Arc<[Act]>),
}

impl Act {
    /// A change of a good answer's JSON.
    pub fn rewrite(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Rewrite(Arc::new(change))
    }

    /// A change of a good answer's text.
    pub fn rewrite_text(change: impl Fn(String) -> String + Send + Sync + 'static) -> Self {
        Self::RewriteText(Arc::new(change))
    }

    /// One of several, by chance.
    pub fn one_of(acts: impl IntoIterator<Item = Self>) -> Self {
        Self::OneOf(acts.into_iter().collect())
    }

    /// An error in the form of the service.
    #[must_use]
    pub fn refuse(status: u16, code: &str, message: &str) -> Self {
        Self::Refuse(Refusal::new(status, code, message))
    }

    /// What a load balancer says when nobody answered it.
    #[must_use]
    pub fn gateway_timeout() -> Self {
        Self::Reply(Answer::gateway_timeout())
    }
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse(refusal) => write!(f, "refuse with {}", refusal.code),
            Self::Reply(answer) => write!(f, "reply {}", answer.status),
            Self::Drop => f.write_str("drop the call"),
            Self::Hang => f.write_str("hang"),
            Self::LoseAnswer => f.write_str("lose the answer"),
            Self::LoseSuccess => f.write_str("lose the answer of what was done"),
            Self::Replace(answer) => write!(f, "replace the answer by {}", answer.status),
            Self::CutAnswer => f.write_str("cut the answer"),
            Self::Trickle(pause) => write!(f, "a byte every {pause:?}"),
            Self::Hold(_) => f.write_str("hold the answer"),
            Self::Late(_) => f.write_str("hold the call"),
            Self::Stale => f.write_str("answer as before"),
            Self::Rewrite(_) | Self::RewriteText(_) => f.write_str("rewrite the answer"),
            Self::Delay(time) => write!(f, "wait {time:?}"),
            Self::OneOf(acts) => f.debug_list().entries(acts.iter()).finish(),
        }
    }
}

/// Holds calls or answers back, for a test that wants something to happen before a call is made, or between it and its
/// answer.
#[derive(Clone, Debug, Default)]
pub struct Hold(Arc<watch::Sender<Held>>);

#[derive(Debug, Default)]
struct Held {
    is_reached: bool,
    is_released: bool,
}

impl Hold {
    /// Waits until something is there to be held. When that is an answer, the call was made, and its caller does not know.
    pub async fn reached(&self) {
        // The sender lives as long as this, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|held| held.is_reached).await;
    }

    /// Lets everything go, what is held and what is to come.
    pub fn release(&self) {
        self.0.send_modify(|held| held.is_released = true);
    }

    /// Waits until what the caller has in its hands may go.
    pub(crate) async fn keep(&self) {
        self.0.send_modify(|held| held.is_reached = true);
        let _ = self.0.subscribe().wait_for(|held| held.is_released).await;
    }
}

/// Which calls a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// All.
    All,
    /// All that read.
    Reads,
    /// All that change something.
    Writes,
    /// All of a service.
    Of(Service),
    /// All of a service that read.
    ReadsOf(Service),
    /// All of a service that change something.
    WritesOf(Service),
    /// Those of an operation.
    Operation(Service, &'static str),
}

impl Calls {
    fn has(self, call: &Call) -> bool {
        match self {
            Self::All => true,
            Self::Reads => call.is_read(),
            Self::Writes => !call.is_read(),
            Self::Of(service) => service == call.service,
            Self::ReadsOf(service) => service == call.service && call.is_read(),
            Self::WritesOf(service) => service == call.service && !call.is_read(),
            Self::Operation(service, operation) => service == call.service && operation == call.operation,
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
    /// All within a time from the first.
    FromTheFirst(Duration),
    /// Every other one, beginning with the first.
    EveryOther,
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
    /// The calls that it is for.
    pub calls: Calls,
    /// Only calls with this text in path or body, for tests that share a gateway.
    pub about: Option<String>,
    /// Only calls that are signed with this access key, for the same reason.
    pub by: Option<String>,
    /// Only calls within a time after a call of another kind that AWS has carried out: what AWS takes that long to show.
    pub after: Option<(Calls, Duration)>,
    /// Which calls it hits.
    pub when: When,
    /// What becomes of these.
    pub act: Act,
}

impl Fault {
    /// A fault of every call of a kind.
    #[must_use]
    pub const fn of(calls: Calls, act: Act) -> Self {
        Self { calls, about: None, by: None, after: None, when: When::Always, act }
    }

    /// A fault of the first call of an operation.
    #[must_use]
    pub fn once(service: Service, operation: &'static str, act: Act) -> Self {
        Self { when: When::Calls(1, 1), ..Self::of(Calls::Operation(service, operation), act) }
    }

    /// The same for calls with this text in path or body.
    #[must_use]
    pub fn about(mut self, text: &str) -> Self {
        self.about = Some(text.to_owned());
        self
    }

    /// The same for calls that are signed with this access key.
    #[must_use]
    pub fn by(mut self, key: &str) -> Self {
        self.by = Some(key.to_owned());
        self
    }

    /// The same within a time after each call of another kind that AWS has carried out.
    #[must_use]
    pub const fn after(mut self, calls: Calls, time: Duration) -> Self {
        self.after = Some((calls, time));
        self
    }

    /// The same for these calls only.
    #[must_use]
    pub const fn when(mut self, when: When) -> Self {
        self.when = when;
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
        self.0.hit.lock().unwrap_or_else(PoisonError::into_inner).len().try_into().unwrap_or(u64::MAX)
    }

    /// The operations that it has hit, in their order.
    #[must_use]
    pub fn hit(&self) -> Vec<(Service, String)> {
        self.0.hit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls it was for.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Ends it; others go on.
    pub fn end(&self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    since: Instant,
    first: OnceLock<Instant>,
    /// When the last call was carried out after which it hits others.
    cause: Mutex<Option<Instant>>,
    is_over: AtomicBool,
    calls: AtomicU64,
    hit: Mutex<Vec<(Service, String)>>,
    chances: Mutex<StdRng>,
}

impl Armed {
    fn is_for(&self, call: &Call) -> bool {
        let Fault { calls, about, .. } = &self.fault;
        !self.is_over.load(Ordering::SeqCst)
            && calls.has(call)
            && self.is_by(call)
            && about.as_deref().is_none_or(|text| call.speaks_of(text))
            && self.fault.after.is_none_or(|(_, time)| self.cause().is_some_and(|cause| cause.elapsed() < time))
    }

    fn is_by(&self, call: &Call) -> bool {
        self.fault.by.as_deref().is_none_or(|key| key == call.caller)
    }

    fn cause(&self) -> MutexGuard<'_, Option<Instant>> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hits(&self) -> bool {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        match self.fault.when {
            When::Always => true,
            When::Calls(from, to) => (from..=to).contains(&number),
            When::For(time) => self.since.elapsed() < time,
            When::FromTheFirst(time) => self.first.get_or_init(Instant::now).elapsed() < time,
            When::EveryOther => number % 2 == 1,
            When::Chance { percent, .. } => {
                let mut chances = self.chances.lock().unwrap_or_else(PoisonError::into_inner);
                chances.random_range(0..100) < percent
            }
        }
    }

    /// What becomes of a call that is hit.
    fn act(&self, call: &Call) -> Act {
        self.hit.lock().unwrap_or_else(PoisonError::into_inner).push((call.service, call.operation.clone()));
        match &self.fault.act {
            Act::OneOf(acts) if !acts.is_empty() => {
                let mut chances = self.chances.lock().unwrap_or_else(PoisonError::into_inner);
                acts[chances.random_range(0..acts.len())].clone()
            }
            act => act.clone(),
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
            first: OnceLock::new(),
            cause: Mutex::default(),
            is_over: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            hit: Mutex::default(),
            chances: Mutex::new(StdRng::seed_from_u64(seed)),
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&armed));
        Injected(armed)
    }

    /// Notes that AWS has carried out a call.
    pub(super) fn saw(&self, call: &Call) {
        for armed in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if armed.fault.after.is_some_and(|(calls, _)| calls.has(call)) && armed.is_by(call) {
                *armed.cause() = Some(Instant::now());
            }
        }
    }

    /// Whether what a read is answered now must not become what it was answered before.
    pub(super) fn freezes(&self, call: &Call) -> bool {
        let armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        armed.iter().any(|armed| matches!(armed.fault.act, Act::Stale) && armed.is_for(call))
    }

    /// Passes everything on from now on.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What is to become of a call.
    pub(super) fn act_on(&self, call: &Call) -> Option<Act> {
        let armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        armed.iter().find(|armed| armed.is_for(call) && armed.hits()).map(|hit| hit.act(call))
    }
}
