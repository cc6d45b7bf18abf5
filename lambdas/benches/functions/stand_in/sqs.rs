//! The queues: SQS's JSON protocol, `SendMessage` only. Who receives is the bench itself, in an event source's place.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use super::StandIn;
use super::http::Response;

/// A message on a queue.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Its text.
    pub body: String,
}

/// All queues, by their names.
#[derive(Debug, Default)]
pub struct Queues {
    messages: HashMap<String, VecDeque<Queued>>,
    sent: u64,
}

impl Queues {
    /// Answers `SendMessage`. Delays are not kept: the benches give no reason for one.
    pub fn answer(&mut self, body: &[u8]) -> Response {
        let call: Value = serde_json::from_slice(body).unwrap_or_default();
        let (Some(url), Some(text)) = (call["QueueUrl"].as_str(), call["MessageBody"].as_str()) else {
            return Response::new(400, r#"{"__type":"com.amazonaws.sqs#InvalidMessageContents"}"#);
        };
        self.sent += 1;
        let id = format!("m{}", self.sent);
        let queue = url.rsplit('/').next().unwrap_or_default().to_owned();
        self.messages.entry(queue).or_default().push_back(Queued { body: text.to_owned() });
        Response::new(200, json!({"MessageId": id}).to_string())
    }
}

impl StandIn {
    /// Takes the next message of a queue.
    pub fn receive(&self, queue: &str) -> Option<Queued> {
        self.books().queues.messages.get_mut(queue)?.pop_front()
    }

    /// Puts a message back whose receiver has died.
    pub fn make_visible(&self, queue: &str, message: Queued) {
        self.books().queues.messages.entry(queue.to_owned()).or_default().push_back(message);
    }

    /// How many messages wait on a queue.
    pub fn waiting(&self, queue: &str) -> usize {
        self.books().queues.messages.get(queue).map_or(0, VecDeque::len)
    }
}
