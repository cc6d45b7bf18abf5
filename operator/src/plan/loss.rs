//! What a call destroys that nobody can bring back. Pure.
//!
//! Deleting a function, a role or an API loses nothing that the operator could not make again; these hold what others have
//! put there.

use super::Step;
use super::step::{LogGroupStep, QueueStep, TableStep};
use crate::observed::Observed;

/// What `step` destroys of what `observed` shows, in the words of people; nothing for most steps.
///
/// How many rows a table has is not looked at, and SQS counts messages only nearly: a queue that seems to be empty is
/// not named.
#[must_use]
pub fn loss(step: &Step, observed: &Observed) -> Option<String> {
    match step {
        Step::Table(_, TableStep::Delete { .. }) => Some("its rows".into()),
        Step::Table(_, TableStep::SetRecovery { on: false, .. }) => Some("its backups of the last days".into()),
        Step::Queue(id, QueueStep::Delete { .. }) => match observed.queues.get(id)?.messages() {
            0 => None,
            1 => Some("1 message".into()),
            count => Some(format!("{count} messages")),
        },
        Step::LogGroup(_, LogGroupStep::Delete { .. }) => Some("its log".into()),
        Step::LogGroup(function, LogGroupStep::SetRetention { days, .. }) => {
            let found = observed.log_groups.get(function)?;
            let is_shorter = found.retention_days.is_none_or(|before| before > *days);
            is_shorter.then(|| format!("what was logged more than {days} days ago"))
        }
        Step::Table(..)
        | Step::Queue(..)
        | Step::Topic(..)
        | Step::Role(..)
        | Step::LogGroup(..)
        | Step::Function(..)
        | Step::Source(..)
        | Step::Gateway(_)
        | Step::Domain(_)
        | Step::AccessLogs(_)
        | Step::Subscription(_)
        | Step::Consumer(_)
        | Step::Tag(..)
        | Step::Untag(..) => None,
    }
}
