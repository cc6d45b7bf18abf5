//! What a client's frame says. Pure.

use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use sumu_contract::limits::POST_BYTES_MAX;

/// The largest frame text. API Gateway limits single frames to 32 KB, but a client may send a message in several
/// frames: what arrives here is the whole of it, to which the limit of payloads applies.
const TEXT_BYTES_MAX: usize = POST_BYTES_MAX;

/// The longest `id`. It comes back in the reply, which must fit into one payload.
const ID_BYTES_MAX: usize = 1024;

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not text, or not JSON.
    InvalidJson,
    /// JSON, but not an object.
    NotAnObject,
    /// A name that has a meaning occurs twice.
    Ambiguous,
    /// `action` is missing or not a text.
    ActionMissing,
    /// `action` names none of ours.
    UnknownAction,
    /// `message` is missing.
    MessageMissing,
    /// `message` has characters that no queue takes.
    MessageRefused,
    /// Over the size limit.
    TooLarge,
    /// `id` is over its size limit.
    IdTooLong,
}

/// A frame that can be read. `message` and `id` are as they stood in it, byte for byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame<'a> {
    /// What the client wants.
    pub action: Option<&'a RawValue>,
    /// What it wants to send.
    pub message: Option<&'a RawValue>,
    /// What it knows the reply by.
    pub id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    action: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    message: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

/// `null` is a value like any other; only a missing member is none.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Frame<'a> {
    /// Reads a frame's text.
    pub fn parse(text: Option<&'a str>) -> Result<Self, Fault> {
        let text = text.ok_or(Fault::InvalidJson)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        if !text.trim_start().starts_with('{') {
            let json: Result<&RawValue, _> = serde_json::from_str(text);
            return Err(if json.is_ok() { Fault::NotAnObject } else { Fault::InvalidJson });
        }
        let members: Members<'a> = serde_json::from_str(text).map_err(|error| match error.classify() {
            Category::Data => Fault::Ambiguous,
            Category::Io | Category::Syntax | Category::Eof => Fault::InvalidJson,
        })?;
        if members.id.is_some_and(|id| id.get().len() > ID_BYTES_MAX) {
            return Err(Fault::IdTooLong);
        }
        let Members { action, message, id } = members;
        Ok(Self { action, message, id })
    }

    /// The message to pass on.
    pub fn message(&self) -> Result<&'a str, Fault> {
        let message = self.message.ok_or(Fault::MessageMissing)?.get();
        // The only two characters of JSON text that SQS refuses.
        if message.contains(['\u{fffe}', '\u{ffff}']) { Err(Fault::MessageRefused) } else { Ok(message) }
    }

    /// What is wrong with a frame that fits no route.
    #[must_use]
    pub fn why_no_route(&self) -> Fault {
        match self.action {
            Some(action) if action.get().starts_with('"') => Fault::UnknownAction,
            _ => Fault::ActionMissing,
        }
    }
}
