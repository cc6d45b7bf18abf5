//! Which change of a stack's status is an event. Pure: the status before and the status after say it all.
//!
//! An event is for a person who asks what has happened: made, changed, blocked, put right, gone. What a healthy stack
//! goes through within seconds (layer after layer in the making, roles that have not spread) is none. Notes are the
//! conditions' own messages, so what may not be in a status cannot be in an event, and a status that does not change
//! makes none.

use super::access_logs;
use crate::cloud::Kind;
use crate::plan::Part;
use crate::stack::Invalid;
use crate::stack::name::Account;
use crate::status::conditions::IN_USE;
use crate::status::{READY, SUSPENDED};
use crate::sumu_stack::{Condition, ConditionStatus, SumuStack, SumuStackStatus};

/// The API server takes 1 kB.
const NOTE_BYTES_MAX: usize = 1000;

/// Something that a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Whether somebody may have to do something.
    pub is_warning: bool,
    /// A word for programs: one of [`ALL`], or the reason of the condition that it is about.
    pub reason: String,
    /// A sentence for people.
    pub note: String,
    /// Whether another one of this reason says the same, so that one event with a count is enough for both.
    pub is_same_again: bool,
}

/// The reasons that are not a condition's.
pub const ALL: [&str; 9] =
    ["Creating", "Ready", "Updating", "DriftFound", SUSPENDED, "Resumed", "Deleting", "Deleted", "Retained"];

/// Refusals that AWS takes back by itself within seconds, and that are an event when it has not after minutes.
pub const REFUSALS: [&str; 4] =
    [Kind::Propagating.as_str(), Kind::Busy.as_str(), Kind::NotFound.as_str(), Kind::AlreadyExists.as_str()];

/// Reasons of `Ready` that pass by themselves within seconds and say nothing that the next event does not.
const PASSING: [&str; 6] = ["Progressing", "Waiting", REFUSALS[0], REFUSALS[1], REFUSALS[2], REFUSALS[3]];

/// Reasons that come and go with AWS's troubles; what exactly was hit each time is in the status and the log.
const TROUBLES: [&str; 3] = [Kind::Throttled.as_str(), Kind::Unreachable.as_str(), Kind::Internal.as_str()];

impl Occurrence {
    fn new(is_warning: bool, reason: &str, note: impl Into<String>) -> Self {
        let mut note = note.into();
        if note.len() > NOTE_BYTES_MAX {
            let end = note.floor_char_boundary(NOTE_BYTES_MAX);
            note.truncate(end);
            note.push('…');
        }
        Self { is_warning, reason: reason.to_owned(), note, is_same_again: false }
    }

    fn same_again(mut self) -> Self {
        self.is_same_again = true;
        self
    }

    /// A condition that somebody may have to do something about.
    #[must_use]
    pub fn of(condition: &Condition) -> Self {
        Self::new(true, &condition.reason, &condition.message)
    }

    /// The operator begins to make a stack.
    #[must_use]
    pub fn begun(account: &Account) -> Self {
        Self::new(false, "Creating", format!("The stack is made in account {} in {}", account.id, account.region))
    }

    /// The object was let go.
    #[must_use]
    pub fn released(is_retained: bool) -> Self {
        if is_retained {
            return Self::new(
                false,
                "Retained",
                "The AWS resources stay, without the operator's tags: they are nobody's now",
            );
        }
        Self::new(false, "Deleted", "Nothing is left in AWS")
    }

    /// The object was let go although a stack is there: it is another object's.
    #[must_use]
    pub fn not_its_own(taken: &Invalid) -> Self {
        Self::new(true, "OwnershipConflict", format!("Nothing was touched in AWS: {taken}"))
    }

    /// Something with the stack's name stays behind, because it is not the stack's.
    #[must_use]
    pub fn left_alone(resources: &str) -> Self {
        Self::new(true, "OwnershipConflict", format!("Left in AWS, because it lacks the stack's tag: {resources}"))
    }
}

/// What has happened between the status that the object has and the next one. `was_settled` says that this very
/// operator has seen the spec as it is now in place; otherwise changes may come from a newer operator as well.
#[must_use]
pub fn events(stack: &SumuStack, next: &SumuStackStatus, was_settled: bool) -> Vec<Occurrence> {
    let before = stack.status.as_ref();
    let old = |type_| before.and_then(|status| condition(status, type_));
    let new = |type_| condition(next, type_);
    let mut events = Vec::new();
    match (old(SUSPENDED), new(SUSPENDED)) {
        (None, Some(now)) => events.push(Occurrence::new(false, SUSPENDED, &now.message)),
        (Some(_), None) if stack.metadata.deletion_timestamp.is_none() => {
            events.push(Occurrence::new(false, "Resumed", "spec.suspend is false, changes are made again"));
        }
        _ => {}
    }
    let missed = |condition: &&Condition| access_logs::are_missed(&condition.type_, &condition.reason);
    let logs = Part::AccessLogs.as_str();
    if let Some(now) = new(logs).filter(missed)
        && old(logs).is_none_or(|old| (&old.reason, &old.message) != (&now.reason, &now.message))
    {
        events.push(Occurrence::of(now));
    }
    let Some(now) = new(READY) else { return events };
    events.extend(of_ready(old(READY), now, next, was_settled));
    events
}

/// What a change of the condition that sums up all the others means.
fn of_ready(old: Option<&Condition>, now: &Condition, next: &SumuStackStatus, was_settled: bool) -> Option<Occurrence> {
    let is_same = old.is_some_and(|old| old.status == now.status && old.reason == now.reason);
    let is_same_spec = old.is_some_and(|old| old.observed_generation == now.observed_generation);
    let was_ready = old.is_some_and(|old| old.status == ConditionStatus::True);
    let reason = now.reason.as_str();
    if now.status == ConditionStatus::True {
        let note = match &next.endpoint {
            Some(endpoint) => format!("Everything is in place; clients connect at {endpoint}"),
            None => now.message.clone(),
        };
        return (!is_same).then(|| Occurrence::new(false, "Ready", note).same_again());
    }
    if PASSING.contains(&reason) {
        return match (was_ready, is_same_spec) {
            (true, true) if was_settled => {
                Some(Occurrence::new(false, "DriftFound", format!("AWS is not as asked for any more: {}", now.message)))
            }
            (true, _) => Some(Occurrence::new(false, "Updating", &now.message)),
            (false, _) => None,
        };
    }
    match reason {
        // The condition `Suspended` has its own.
        SUSPENDED => None,
        // How much is in use changes all the time.
        IN_USE => (!is_same).then(|| Occurrence::of(now).same_again()),
        "Deleting" => (!is_same).then(|| Occurrence::new(false, reason, &now.message).same_again()),
        _ if TROUBLES.contains(&reason) => (!is_same).then(|| Occurrence::new(true, reason, &now.message).same_again()),
        _ => {
            let is_news = !is_same || old.is_some_and(|old| old.message != now.message);
            is_news.then(|| Occurrence::of(now))
        }
    }
}

/// The refusal that `Ready` tells of, if it is one that passes within seconds. When it has not passed after minutes, that
/// is worth an event all the same: perhaps a role's trust policy is not what it should be.
#[must_use]
pub fn passing_refusal(status: &SumuStackStatus) -> Option<&Condition> {
    condition(status, READY).filter(|ready| REFUSALS.contains(&ready.reason.as_str()))
}

fn condition<'a>(status: &'a SumuStackStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}
