//! What is looked at only when a stack ends. Data only.

use std::collections::BTreeMap;
use std::fmt;

use super::Observed;
use crate::stack::name::{Owner, Tags};

/// What a closer look has shown; empty without one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Closely {
    /// The tags of event sources, by their ids.
    pub sources: BTreeMap<String, Tags>,
    /// The tags of the stages of the API that is kept, by their names.
    pub stages: BTreeMap<String, Tags>,
    /// How many connections are live.
    pub connections: Count,
}

/// How many there are, as far as they were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Exactly(u64),
    /// At least so many: nobody needs to know how many more.
    AtLeast(u64),
}

impl Default for Count {
    fn default() -> Self {
        Self::Exactly(0)
    }
}

impl Count {
    /// Whether there are none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        matches!(self, Self::Exactly(0) | Self::AtLeast(0))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "{count}"),
            Self::AtLeast(count) => write!(f, "at least {count}"),
        }
    }
}

impl Observed {
    /// Leaves out the event sources that do not carry the owner's tag any more: with it gone they are nobody's, also when
    /// their function is gone and could tell it no more.
    pub fn leave_out_untagged_sources(&mut self, owner: &Owner) {
        let tags = &self.closely.sources;
        self.sources.retain(|source| tags.get(&source.uuid).is_some_and(|tags| owner.owns(tags)));
    }
}
