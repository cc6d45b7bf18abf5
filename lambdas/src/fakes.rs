//! A small cloud in memory that fills every port, and fails on demand.
//!
//! What it promises is what the functions rely on: conditional writes are conditional, pages have an end, queues keep
//! what they were sent in order. Time stands still unless a test moves it; pauses take none.

pub mod functions;
mod tables;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ports::{
    Clock, Connection, KeyDocument, Keys, Message, PortError, Posted, PresenceItem, Queue, Sockets, Topic,
};

/// Runs a future to its end.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The cloud. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Cloud(Arc<Mutex<State>>);

/// All that the cloud holds.
#[derive(Debug, Default)]
pub struct State {
    pub now: u64,
    pub pauses: Vec<Duration>,
    /// How long was waited, in microseconds: time goes on by that.
    pub waited_us: u64,
    pub rows: BTreeMap<(String, String), Connection>,
    pub expires_at: HashMap<String, u64>,
    /// Rows in a page; 0 means 2.
    pub page_rows: usize,
    /// Rows that the table says it has.
    pub rows_told: u64,
    /// The segments of each broadcast, and the last step with its ticket of each segment.
    pub segments: HashMap<String, u32>,
    pub turns: HashMap<(String, u32), (u64, String)>,
    pub presence: BTreeMap<String, PresenceItem>,
    /// What the sockets answer, in turn; then they deliver.
    pub answers: HashMap<String, VecDeque<Posted>>,
    /// Every post, delivered or not.
    pub posts: Vec<(String, String, Posted)>,
    /// When each began (epoch microseconds).
    pub post_times: Vec<u64>,
    /// What queues and topics were sent, with the delay.
    pub sent: Vec<(&'static str, Message, u32)>,
    pub documents: HashMap<String, KeyDocument>,
    pub fetches: u32,
    /// Every call, by its operation.
    pub calls: Vec<&'static str>,
    /// How often each operation still fails.
    pub failures: HashMap<&'static str, u32>,
    pub crash: Option<Crash>,
}

/// The process dies at one of its calls; every later one fails too.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    /// How many calls still succeed.
    pub calls_left: u32,
    /// Whether the fatal call has its effect before its answer is lost.
    pub takes_effect: bool,
}

impl Cloud {
    pub fn at(now: u64) -> Self {
        let cloud = Self::default();
        cloud.state().now = now;
        cloud
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn fail(&self, operation: &'static str, times: u32) {
        self.state().failures.insert(operation, times);
    }

    /// Puts an open connection into the table.
    pub fn open(&self, user_id: &str, connection_id: &str, connected_at: u64, delete_at: Option<u64>) {
        let connection =
            Connection { user_id: user_id.into(), connection_id: connection_id.into(), connected_at, delete_at };
        self.state().rows.insert((user_id.into(), connection_id.into()), connection);
    }

    pub fn close(&self, user_id: &str, connection_id: &str) {
        self.state().rows.remove(&(user_id.into(), connection_id.into()));
    }

    /// The time of a row runs out.
    pub fn expire(&self, user_id: &str, connection_id: &str) {
        if let Some(row) = self.state().rows.get_mut(&(user_id.into(), connection_id.into())) {
            row.delete_at = Some(1);
        }
    }

    pub fn has_row(&self, user_id: &str, connection_id: &str) -> bool {
        self.state().rows.contains_key(&(user_id.into(), connection_id.into()))
    }

    /// The connections that got something, sorted.
    pub fn reached(&self) -> Vec<String> {
        let state = self.state();
        let mut reached: Vec<String> = state
            .posts
            .iter()
            .filter(|(.., posted)| *posted == Posted::Delivered)
            .map(|(connection_id, ..)| connection_id.clone())
            .collect();
        reached.sort();
        reached
    }

    /// What a queue or topic was sent.
    pub fn sent_to(&self, name: &str) -> Vec<(Message, u32)> {
        let sent = &self.state().sent;
        sent.iter().filter(|(to, ..)| *to == name).map(|(_, message, delay)| (message.clone(), *delay)).collect()
    }

    pub fn named(&self, name: &'static str) -> Channel {
        Channel { cloud: self.clone(), name }
    }

    /// One call: it gives others a turn, then fails or has its effect.
    pub async fn call<T>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, PortError> {
        tokio::task::yield_now().await;
        let mut state = self.state();
        state.calls.push(operation);
        if let Some(failures) = state.failures.get_mut(operation).filter(|failures| **failures > 0) {
            *failures -= 1;
            return Err(PortError::new(operation, "told to fail"));
        }
        let Some(crash) = state.crash.as_mut() else { return Ok(effect(&mut state)) };
        if crash.calls_left > 0 {
            crash.calls_left -= 1;
            return Ok(effect(&mut state));
        }
        if crash.takes_effect {
            crash.takes_effect = false;
            effect(&mut state);
        }
        Err(PortError::new(operation, "the process is dead"))
    }
}

impl Clock for Cloud {
    fn now(&self) -> u64 {
        let state = self.state();
        state.now + state.waited_us / 1000
    }

    async fn pause(&self, longest: Duration) {
        self.state().pauses.push(longest);
        tokio::task::yield_now().await;
    }

    async fn wait(&self, time: Duration) {
        // Whatever else is ready comes first: no time passes for those who need none.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        self.state().waited_us += u64::try_from(time.as_micros()).unwrap();
    }
}

impl Keys for Cloud {
    async fn fetch(&self, uri: &str) -> Result<KeyDocument, PortError> {
        let fetched = self.call("fetch", |state| {
            state.fetches += 1;
            state.documents.get(uri).cloned()
        });
        fetched.await?.ok_or_else(|| PortError::new("fetch", "404"))
    }
}

impl Sockets for Cloud {
    async fn post(&self, connection_id: &str, data: &str) -> Posted {
        {
            let mut state = self.state();
            let at = state.now * 1000 + state.waited_us;
            state.post_times.push(at);
        }
        let posted = self.call("post", |state| {
            let next = state.answers.get_mut(connection_id).and_then(VecDeque::pop_front);
            let posted = next.unwrap_or(Posted::Delivered);
            state.posts.push((connection_id.into(), data.into(), posted));
            posted
        });
        posted.await.unwrap_or(Posted::Unavailable)
    }
}

/// A queue or topic of the cloud.
#[derive(Clone, Debug)]
pub struct Channel {
    cloud: Cloud,
    name: &'static str,
}

impl Channel {
    async fn take(&self, message: &Message, delay_seconds: u32) -> Result<String, PortError> {
        assert!(message.attributes.len() <= 10, "SQS takes ten attributes");
        let taken = self.cloud.call(self.name, |state| {
            state.sent.push((self.name, message.clone(), delay_seconds));
            format!("{}-{}", self.name, state.sent.len())
        });
        taken.await
    }
}

impl Queue for Channel {
    async fn send(&self, message: &Message, delay_seconds: u32) -> Result<String, PortError> {
        assert!(delay_seconds <= 900, "SQS delays by 15 minutes at most");
        self.take(message, delay_seconds).await
    }
}

impl Topic for Channel {
    async fn publish(&self, message: &Message) -> Result<String, PortError> {
        self.take(message, 0).await
    }
}
