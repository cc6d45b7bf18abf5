//! What all connections of a front share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::Fault;
use super::event::Peer;
use super::socket::Socket;
use super::throttle::Bucket;
use super::upstream::{Api, Integration, Invoked, Stage, Upstream};
use crate::Result;

/// What a connection may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it may be without a message.
    pub idle: Duration,
    /// How long it may be open.
    pub lifetime: Duration,
    /// How many bytes are kept for a client that does not read. AWS publishes no number.
    pub buffer_bytes: usize,
}

/// API Gateway's, which cannot be raised.
impl Default for Limits {
    fn default() -> Self {
        Self { idle: Duration::from_mins(10), lifetime: Duration::from_hours(2), buffer_bytes: 1024 * 1024 }
    }
}

impl Limits {
    /// Time limits that pass so many times faster.
    #[must_use]
    pub fn faster(self, times: u32) -> Self {
        Self { idle: self.idle / times, lifetime: self.lifetime / times, ..self }
    }
}

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    /// AWS.
    pub upstream: Arc<dyn Upstream>,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug, Default)]
pub struct State {
    /// What a test wants to become of posts.
    pub faults: HashMap<String, Fault>,
    /// How many posts were made to whom.
    pub posts: HashMap<String, usize>,
    /// Over how many connections of their own.
    pub callers: usize,
    /// For connections that open from now on.
    pub limits: Limits,
    /// Whose `$disconnect` is lost.
    pub silent: HashSet<String>,
    sockets: HashMap<String, Arc<Socket>>,
    deployments: HashMap<(String, String), Arc<Api>>,
    buckets: HashMap<(String, String), Bucket>,
}

impl Shared {
    /// Before an AWS.
    pub fn new(upstream: Arc<dyn Upstream>) -> Self {
        Self { upstream, state: Mutex::default() }
    }

    /// Everything that can change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stage, and the API as it was when its deployment was seen first; nothing when the stage serves none.
    pub async fn served(&self, api: &str, stage: &str) -> Result<Option<(Stage, Arc<Api>)>> {
        let Some(stage) = self.upstream.stage(api, stage).await? else { return Ok(None) };
        let Some(deployment) = &stage.deployment else { return Ok(None) };
        let key = (api.to_owned(), deployment.clone());
        let known = self.state().deployments.get(&key).cloned();
        if let Some(known) = known {
            return Ok(Some((stage, known)));
        }
        let now = Arc::new(self.upstream.api(api).await?);
        let first = Arc::clone(self.state().deployments.entry(key).or_insert(now));
        Ok(Some((stage, first)))
    }

    /// Whether a connect or a frame is within the stage's limit.
    pub fn lets_through(&self, peer: &Peer, stage: &Stage) -> bool {
        let Some(throttle) = stage.throttle else { return true };
        let now = Timestamp::now();
        let key = (peer.api.clone(), peer.stage.clone());
        self.state().buckets.entry(key).or_insert_with(|| Bucket::full(throttle, now)).take(throttle, now)
    }

    /// Invokes an integration's function; nothing when it takes too long.
    pub async fn invoke(&self, integration: &Integration, event: &Value) -> Option<Invoked> {
        let limit = Duration::from_millis(integration.timeout_ms);
        tokio::time::timeout(limit, self.upstream.invoke(&integration.function, event)).await.ok()
    }

    /// Makes a connection known to posts.
    pub fn register(&self, socket: Arc<Socket>) {
        self.state().sockets.insert(socket.peer.connection_id.clone(), socket);
    }

    /// Makes a connection unknown.
    pub fn forget(&self, connection_id: &str) {
        self.state().sockets.remove(connection_id);
    }

    /// A connection that is open.
    pub fn socket(&self, connection_id: &str) -> Option<Arc<Socket>> {
        self.state().sockets.get(connection_id).cloned()
    }

    /// Whether nobody is to hear of a connection's end.
    pub fn loses_disconnect(&self, connection_id: &str) -> bool {
        self.state().silent.contains(connection_id)
    }
}
