//! What is to become of a stack whose object is deleted: nothing is left, or everything stays and is nobody's.

use super::Desired;
use crate::stack::name::{Names, Owner};
use crate::sumu_stack::{DeletionPolicy, SumuStack, WhenInUse};

/// How a stack ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It does not: this is a stack that is kept.
    Never,
    /// It is deleted, in use or not.
    Deleted,
    /// It is deleted once nobody uses it.
    DeletedOutOfUse,
    /// It stays as it is but for the tags that make it this object's.
    Retained,
}

/// What is looked at beside everything else, because of how a stack ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// The tags of what is found by what it belongs to: event sources and stages.
    Tags,
    /// How many connections are live.
    Connections,
}

impl Desired {
    /// What a deleted object asks for. Needed for deletion, so it depends on nothing that validation may refuse.
    #[must_use]
    pub fn of_deleted(stack: &SumuStack, owner: Owner, names: Names) -> Self {
        let end = match (stack.spec.deletion_policy, stack.spec.deletion.when_in_use) {
            (DeletionPolicy::Retain, _) => End::Retained,
            (DeletionPolicy::Delete, WhenInUse::Wait) => End::DeletedOutOfUse,
            (DeletionPolicy::Delete, WhenInUse::Delete) => End::Deleted,
        };
        Self { end, ..Self::nothing(owner, names, stack.spec.connections.deletion_protection == Some(false)) }
    }

    /// What a look at AWS has to show beside everything else.
    #[must_use]
    pub const fn closer(&self) -> Option<Closer> {
        match self.end {
            End::Retained => Some(Closer::Tags),
            End::DeletedOutOfUse => Some(Closer::Connections),
            End::Never | End::Deleted => None,
        }
    }
}
