//! A user's departure as it goes through the departures queue and back. Pure.

use serde::{Deserialize, Serialize};

use crate::ports::Message;

/// A user has lost the last connection, and the grace period runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// The user.
    pub user_id: String,
    /// The version of the user's presence item that says so. Under any other version the user came back meanwhile, or
    /// was already told to be gone.
    pub version: u64,
}

impl Departure {
    /// The message for the queue.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn message(&self) -> Result<Message, serde_json::Error> {
        Ok(Message { body: serde_json::to_string(self)?, attributes: Vec::new() })
    }

    /// Reads the text of a message; `None` when this program did not write it.
    #[must_use]
    pub fn parse(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }
}
