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

/// On whose behalf a function is invoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller<'a> {
    /// A route, by its key.
    Route(&'a str),
    /// An authorizer, by its id.
    Authorizer(&'a str),
}

impl Caller<'_> {
    /// As functions' policies name it. Partition, region and account are those of the function; nothing when that has
    /// none.
    #[must_use]
    pub fn arn(self, function: &str, peer: &Peer) -> Option<String> {
        let mut parts = function.split(':').skip(1);
        let (partition, _, region, account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let what = match self {
            Self::Route(key) => format!("{}/{key}", peer.stage),
            Self::Authorizer(id) => format!("authorizers/{id}"),
        };
        Some(format!("arn:{partition}:execute-api:{region}:{account}:{}/{what}", peer.api))
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

    /// A stage, and the API as its deployment has captured it; nothing when the stage serves none.
    pub async fn served(&self, api: &str, stage: &str) -> Result<Option<(Stage, Arc<Api>)>> {
        let Some(stage) = self.upstream.stage(api, stage).await? else { return Ok(None) };
        if stage.deploys_itself {
            return Ok(Some((stage, Arc::new(self.upstream.current(api).await?))));
        }
        let Some(deployment) = &stage.deployment else { return Ok(None) };
        let captured = self.upstream.deployed(api, deployment).await?;
        Ok(captured.map(|captured| (stage, captured)))
    }

    /// Whether a connect or a frame is within the stage's limit.
    pub fn lets_through(&self, peer: &Peer, stage: &Stage) -> bool {
        let Some(throttle) = stage.throttle else { return true };
        let now = Timestamp::now();
        let key = (peer.api.clone(), peer.stage.clone());
        self.state().buckets.entry(key).or_insert_with(|| Bucket::full(throttle, now)).take(throttle, now)
    }

    /// Invokes an integration's function; nothing when it takes too long.
    pub async fn invoke(
        &self,
        peer: &Peer,
        caller: Caller<'_>,
        integration: &Integration,
        event: &Value,
    ) -> Option<Invoked> {
        let limit = Duration::from_millis(integration.timeout_ms);
        let Some(source_arn) = caller.arn(&integration.function, peer) else { return Some(Invoked::Unreachable) };
        tokio::time::timeout(limit, self.upstream.invoke(&integration.function, &source_arn, event)).await.ok()
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
