//! What AWS does by itself with streams, queues, topics and expired items, where the emulator does less or something else.
//!
//! The gateway lets the emulator hold what it is asked for but not work on it ([`held`]): event sources are disabled
//! there, a function's subscription is one of a queue of ours, and time to live is that of an attribute which no item
//! has. Whoever asks through the gateway sees none of this. The work is done here, with the emulator's data and through
//! its Lambda.
//!
//! | module | what it is |
//! |---|---|
//! | [`held`] | what is held back, and how it looks from both sides |
//! | [`source`] | the settings of an event source |
//! | [`answer`], [`batch`] | what a function's answer means for its batch, and what is tried again; pure |
//! | [`stream`], [`queue`] | event sources at work |
//! | [`note`] | what is told of records that are given up; pure |
//! | [`topic`] | notifications for functions: asynchronous invocations, their retries and dead letters |
//! | [`ttl`] | items past their time, and their removals in the stream |
//! | [`invoke`], [`wire`] | invocations, and calls of the emulator |
//! | [`permission`] | whom a function's policy lets in; pure |
//!
//! # What it does not do
//! - `ParallelizationFactor`, tumbling windows, and destinations that are no queues: nobody here uses them. A source
//!   with filter criteria, or of another kind, is left to the emulator.
//! - The pauses before asynchronous retries are half a second and a second instead of one and two minutes, and throttled
//!   events are kept for ten seconds instead of six hours.
//! - AWS does not say whether a batch whose failed record has moved on has all its retries again (here it has), nor with
//!   which word a record is given up for its age (here `RecordAgeExpired`).

pub mod answer;
pub mod batch;
pub mod held;
pub mod invoke;
pub mod note;
pub mod permission;
pub mod queue;
pub mod source;
pub mod stream;
pub mod topic;
pub mod ttl;
pub mod wire;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use self::held::Held;
use self::invoke::Invoker;
use self::source::Kind;
use self::ttl::Removals;
use self::wire::Wire;
use crate::Result;
use crate::gateway::{Gateway, Roles};

/// What everything here needs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// What is held back.
    pub held: Arc<Held>,
    /// What Lambda may do for functions.
    pub roles: Roles,
    /// The emulator itself.
    pub wire: Wire,
    /// Functions.
    pub invoker: Invoker,
    /// What time to live has removed.
    pub removals: Arc<Removals>,
}

impl Tools {
    /// Sends what Lambda tells of a function's failure to a queue. One that is not there, or that the function's role may
    /// not send to, loses it.
    ///
    /// Sources: Lambda's developer guide, "Dead-letter queues" and "Retain discarded records for a DynamoDB event source".
    async fn tell(&self, function: &str, queue: &str, body: &Value, attributes: &Value) {
        if self.roles.let_lambda(function, "sqs:SendMessage", queue).await.unwrap_or(false) {
            let _ = self.wire.send(queue, &body.to_string(), attributes).await;
        }
    }
}

/// AWS's own work, for as long as this lives.
#[derive(Debug)]
pub struct Delivery {
    tools: Tools,
    work: tokio::task::JoinHandle<()>,
}

impl Delivery {
    /// Begins to work, in the runtime that calls.
    pub async fn start(gateway: &Gateway, emulator: SocketAddr) -> Self {
        let (wire, invoker) = (Wire::to(emulator), Invoker::through(gateway.address(), emulator).await);
        let (held, roles) = (gateway.held(), gateway.roles());
        let tools = Tools { held, roles, wire, invoker, removals: Arc::default() };
        let work = tokio::spawn(supervise(tools.clone()));
        Self { tools, work }
    }

    /// Lets time to live remove the items of a table that are past their time now, instead of within a minute.
    pub async fn expire(&self, table: &str) -> Result<usize> {
        ttl::expire(&self.tools, table).await
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Gives each event source and each function that a topic notifies somebody of its own, so that none waits for another.
async fn supervise(tools: Tools) {
    let mut changes = tools.held.changes();
    let (mut sources, mut functions) = (BTreeSet::new(), BTreeSet::new());
    let mut work = JoinSet::new();
    work.spawn(ttl::sweep(tools.clone()));
    loop {
        let (now, notified) = {
            let state = changes.borrow_and_update();
            let sources: Vec<_> = state.sources.iter().map(|(uuid, source)| (uuid.clone(), source.kind())).collect();
            (sources, state.functions.clone())
        };
        for (uuid, kind) in now {
            if sources.insert(uuid.clone()) {
                match kind {
                    Kind::Stream => drop(work.spawn(stream::work(tools.clone(), uuid))),
                    Kind::Queue => drop(work.spawn(queue::work(tools.clone(), uuid))),
                }
            }
        }
        // A function that was deleted may come again under its name.
        functions.retain(|known| notified.contains(known));
        for function in notified {
            if functions.insert(function.clone()) {
                work.spawn(topic::work(tools.clone(), function));
            }
        }
        while work.try_join_next().is_some() {}
        if changes.changed().await.is_err() {
            return;
        }
    }
}
