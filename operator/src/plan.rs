//! The next calls that bring AWS towards what is desired. Pure.
//!
//! A plan is the *frontier*: it holds only steps whose inputs are already observed, and says of everything else
//! what it waits for. After the steps are applied we look again and plan again, so a crash anywhere needs no
//! journal, and deleting is nothing but planning towards [`Desired::nothing`].
//!
//! # Guarantees
//! - A plan for a stack that is as desired is empty.
//! - No step touches a resource without the owner's tag.
//! - Steps of one lane depend on each other's order only as written; different lanes are independent.

mod access_logs;
mod consumers;
mod departures;
mod domain;
mod functions;
mod gateway;
mod in_use;
pub mod loss;
mod queues;
pub mod rehearsal;
mod retain;
mod roles;
pub mod step;
mod subscriptions;
mod tables;
pub mod tagged;
mod topics;

use std::fmt;

use crate::desired::Desired;
use crate::desired::end::End;
use crate::observed::{Observed, ResourceId};
use crate::stack::name::Tags;
use crate::stack::tags;
pub use step::Step;
use tagged::Tagged;

/// What to do now, and what to wait for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Calls to make, in this order within each lane.
    pub steps: Vec<Step>,
    /// Why the plan stops short of the desired stack.
    pub waits: Vec<Wait>,
}

/// A part of the stack, as the conditions of the status show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Connections and presence tables.
    Connections,
    /// Where backends ask for a push.
    Notifications,
    /// Where backends receive.
    Messages,
    /// The functions with their roles, logs and sources.
    Functions,
    /// The WebSocket API.
    Gateway,
    /// A domain name of the user's own for it.
    CustomDomain,
    /// What it writes of each request, with the log group for that.
    AccessLogs,
    /// Subscriptions to the messages topic.
    Subscriptions,
    /// What feeds the users' own functions.
    Consumers,
}

impl Part {
    /// The parts of every stack, in the order of the conditions.
    pub const ALL: [Self; 5] = [Self::Connections, Self::Notifications, Self::Messages, Self::Functions, Self::Gateway];

    /// The condition's type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "Connections",
            Self::Notifications => "Notifications",
            Self::Messages => "Messages",
            Self::Functions => "Functions",
            Self::Gateway => "Gateway",
            Self::CustomDomain => "CustomDomain",
            Self::AccessLogs => "AccessLogs",
            Self::Subscriptions => "Subscriptions",
            Self::Consumers => "Consumers",
        }
    }
}

/// Something that must happen before the next step can be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Whose condition shows it.
    pub part: Part,
    /// What is waited for.
    pub reason: WaitReason,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// `what` is made once `needs` exists.
    Exists {
        /// What cannot be made yet.
        what: String,
        /// What it needs.
        needs: String,
    },
    /// AWS is at work on it.
    Ready {
        /// On what.
        what: String,
        /// AWS's word for it.
        state: String,
    },
    /// `what` is deleted once `before` is gone.
    Gone {
        /// What cannot be deleted yet.
        what: String,
        /// What still uses it.
        before: String,
    },
    /// Another owner's resource has our name.
    Foreign(String),
    /// The user has asked AWS to refuse the deletion.
    Protected(String),
    /// The user has asked us not to delete it while somebody uses it.
    InUse {
        /// What is used.
        what: String,
        /// How much is in it.
        holds: String,
    },
    /// It has left the spec of a stack that is kept, and with it would be lost what is in it.
    Holding {
        /// What is to go.
        what: String,
        /// How much is in it.
        holds: String,
    },
    /// Its policy names somebody who is gone. AWS takes no such policy, and whose the statement is we cannot know.
    LostPrincipal {
        /// What has the policy.
        what: String,
        /// The id that IAM shows instead of an ARN.
        principal: String,
    },
    /// AWS has given up on it.
    Failed {
        /// On what.
        what: String,
        /// AWS's reason.
        reason: String,
    },
    /// Something that carries no tag stands where ours should be, and is not ours. The sentence tells the remedy.
    Conflict(String),
    /// The spec names something that is not the stack's to make.
    Absent {
        /// What does not exist.
        what: String,
        /// What a person can do.
        remedy: &'static str,
    },
    /// It may not be looked at, for this reason. Never taken for absence.
    Denied(String),
    /// AWS waits for a person.
    Pending {
        /// On what AWS is at work.
        what: String,
        /// AWS's word for it.
        state: String,
        /// What it waits for.
        remedy: &'static str,
    },
    /// Somebody else uses it, so that it cannot be deleted.
    Shared {
        /// What cannot be deleted.
        what: String,
        /// What uses it.
        by: String,
    },
}

impl WaitReason {
    /// Whether AWS is expected to end the wait by itself.
    #[must_use]
    pub const fn ends_by_itself(&self) -> bool {
        match self {
            Self::Exists { .. } | Self::Ready { .. } | Self::Gone { .. } => true,
            Self::Conflict(_)
            | Self::Absent { .. }
            | Self::Denied(_)
            | Self::Pending { .. }
            | Self::Shared { .. }
            | Self::Foreign(_)
            | Self::Protected(_)
            | Self::InUse { .. }
            | Self::Holding { .. }
            | Self::LostPrincipal { .. }
            | Self::Failed { .. } => false,
        }
    }
}

/// The next calls that bring `observed` towards `desired`.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    if desired.end == End::Retained {
        retain::plan(desired, observed, &mut plan);
        return plan;
    }
    if in_use::blocks(desired, observed, &mut plan) {
        return plan;
    }
    tables::plan(desired, observed, &mut plan);
    queues::plan(desired, observed, &mut plan);
    topics::plan(desired, observed, &mut plan);
    subscriptions::plan(desired, observed, &mut plan);
    roles::plan(desired, observed, &mut plan);
    functions::plan(desired, observed, &mut plan);
    functions::plan_sources(desired, observed, &mut plan);
    consumers::plan(desired, observed, &mut plan);
    gateway::plan(desired, observed, &mut plan);
    domain::plan(desired, observed, &mut plan);
    access_logs::plan(desired, observed, &mut plan);
    plan
}

impl Plan {
    /// Whether AWS is as desired.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.steps.is_empty() && self.waits.is_empty()
    }

    fn step(&mut self, step: impl Into<Step>) {
        self.steps.push(step.into());
    }

    fn wait(&mut self, part: Part, reason: WaitReason) {
        self.waits.push(Wait { part, reason });
    }

    fn wait_for(&mut self, part: Part, what: impl fmt::Display, needs: impl fmt::Display) {
        self.wait(part, WaitReason::Exists { what: what.to_string(), needs: needs.to_string() });
    }

    fn wait_ready(&mut self, part: Part, what: impl fmt::Display, state: impl fmt::Display) {
        self.wait(part, WaitReason::Ready { what: what.to_string(), state: state.to_string() });
    }

    fn wait_gone(&mut self, part: Part, what: impl fmt::Display, before: impl fmt::Display) {
        self.wait(part, WaitReason::Gone { what: what.to_string(), before: before.to_string() });
    }

    /// Takes off what has left the spec, and sets what is missing or different: the note of what is the spec's goes last.
    fn keep_tags(&mut self, tagged: Tagged, desired: &Tags, found: &Tags) {
        let left = tags::left(desired, found);
        if !left.is_empty() {
            self.step(Step::Untag(tagged.clone(), left));
        }
        if let Some(missing) = tags_to_set(desired, found) {
            self.step(Step::Tag(tagged, missing));
        }
    }

    /// Whether a resource is another owner's. When it is wanted, that is worth a word.
    fn is_foreign(&mut self, part: Part, id: ResourceId, name: &str, observed: &Observed) -> bool {
        let is_foreign = observed.foreign.contains(&id);
        if is_foreign {
            self.wait(part, WaitReason::Foreign(format!("{id} ({name})")));
        }
        is_foreign
    }
}

/// The tags that a resource lacks or has with another value. Tags that others have added are left alone.
fn tags_to_set(desired: &Tags, observed: &Tags) -> Option<Tags> {
    let missing: Tags = desired
        .iter()
        .filter(|(key, value)| observed.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    (!missing.is_empty()).then_some(missing)
}

/// One line a step and a wait: what snapshots, the debug log and people read.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        for wait in &self.waits {
            writeln!(f, "… {}", wait.reason)?;
        }
        if self.is_settled() {
            writeln!(f, "nothing to do")?;
        }
        Ok(())
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists { what, needs } => write!(f, "{what} waits for {needs}"),
            Self::Ready { what, state } => write!(f, "{what} is {state}"),
            Self::Gone { what, before } => write!(f, "{what} stays until {before} is gone"),
            Self::Foreign(what) => {
                write!(
                    f,
                    "{what} exists but is not tagged as this stack's: delete or rename it, then this stack makes its own"
                )
            }
            Self::Protected(what) => {
                write!(
                    f,
                    "{what} is protected from deletion: set spec.connections.deletionProtection to false to let it go"
                )
            }
            Self::InUse { what, holds } => write!(f, "{what}: {holds}"),
            Self::Holding { what, holds } => {
                write!(f, "{what} stays while it holds {holds}: work them off, or purge it to let them go")
            }
            Self::LostPrincipal { what, principal } => {
                write!(
                    f,
                    "the policy of {what} lacks a statement of this stack and names {principal}, a user or role that is gone: take that statement out, then this stack puts its own in"
                )
            }
            Self::Failed { what, reason } => write!(f, "AWS has given up on {what}: {reason}"),
            Self::Conflict(sentence) => f.write_str(sentence),
            Self::Absent { what, remedy } => write!(f, "{what} does not exist: {remedy}"),
            Self::Denied(error) => f.write_str(error),
            Self::Pending { what, state, remedy } => write!(f, "{what} is {state}: {remedy}"),
            Self::Shared { what, by } => write!(f, "{what} stays while somebody else uses it: delete {by}"),
        }
    }
}
