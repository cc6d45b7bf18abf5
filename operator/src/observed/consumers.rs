//! What the messages queue feeds, beside the stack's own functions. Data only.

use crate::stack::name::Tags;

/// An event source mapping from the messages queue to a function of the users'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerState {
    /// Its id.
    pub uuid: String,
    /// Its tags.
    pub tags: Tags,
    /// Whether they are its owner's.
    pub is_ours: bool,
    /// The ARN of the function, with its version or alias.
    pub function_arn: String,
    /// `Enabled`, or what it is going through.
    pub state: String,
    /// The most messages in one invocation.
    pub batch_size: i32,
    /// How long messages are gathered.
    pub window_seconds: i32,
    /// The most copies of the function at once.
    pub concurrency_max: Option<i32>,
    /// Whether the function may name the messages that failed.
    pub reports_item_failures: bool,
}

impl ConsumerState {
    /// Whether it takes changes.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        matches!(self.state.as_str(), "Enabled" | "Disabled")
    }
}
