//! What has passed: each call with its answer's status, and the last answer of each read.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::call::{Call, Service};
use super::wire::Answer;

/// A call that has passed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it came.
    pub at: Instant,
    /// The service.
    pub service: Service,
    /// The operation.
    pub operation: String,
    /// Whether it changes nothing.
    pub is_read: bool,
    /// The access key of who called.
    pub caller: String,
    /// The status of what came back; 0 when the connection was broken instead.
    pub status: u16,
}

#[derive(Debug, Default)]
pub(super) struct History {
    calls: Mutex<Vec<Seen>>,
    reads: Mutex<HashMap<String, Answer>>,
}

impl History {
    pub(super) fn note(&self, call: &Call, at: Instant, status: u16) {
        let (service, operation, is_read) = (call.service, call.operation.clone(), call.is_read());
        let seen = Seen { at, service, operation, is_read, caller: call.caller.clone(), status };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    /// The calls with an access key, in the order in which they were answered.
    pub(super) fn of(&self, caller: &str) -> Vec<Seen> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().filter(|seen| seen.caller == caller).cloned().collect()
    }

    /// What a read was answered last.
    pub(super) fn last(&self, call: &Call) -> Option<Answer> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).get(&call.identity()).cloned()
    }

    pub(super) fn keep(&self, call: &Call, answer: &Answer) {
        if call.is_read() && answer.is_good() {
            self.reads.lock().unwrap_or_else(PoisonError::into_inner).insert(call.identity(), answer.clone());
        }
    }
}
