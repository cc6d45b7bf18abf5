//! Tags that are set and taken off. What has lost ours is nobody's, so a look shows it no more.

use super::Supposed;
use crate::plan::tagged::{self, Tagged};
use crate::stack::name::Tags;

impl Supposed {
    pub(super) fn tag(&mut self, tagged: &Tagged, tags: &Tags) {
        if let Some(found) = self.tags_of(tagged) {
            found.extend(tags.clone());
        }
    }

    pub(super) fn untag(&mut self, tagged: &Tagged, keys: &[String]) {
        if tagged::is_ours(keys) {
            self.let_go(tagged);
        } else if let Some(found) = self.tags_of(tagged) {
            found.retain(|key, _| !keys.contains(key));
        }
    }

    /// The tags of something, as a look shows them. Those of event sources are looked at only when a stack is let go.
    fn tags_of(&mut self, tagged: &Tagged) -> Option<&mut Tags> {
        let (names, world) = (&self.desired.names, &mut self.world);
        match tagged {
            Tagged::Table { id, .. } => world.tables.get_mut(id).map(|found| &mut found.tags),
            Tagged::Queue { id, .. } => world.queues.get_mut(id).map(|found| &mut found.tags),
            Tagged::Topic { id, .. } => world.topics.get_mut(id).map(|found| &mut found.tags),
            Tagged::Role { function, .. } => world.roles.get_mut(function).map(|found| &mut found.tags),
            Tagged::LogGroup { id, .. } => world.log_groups.get_mut(id).map(|found| &mut found.tags),
            Tagged::Function { function, .. } => world.functions.get_mut(function).map(|found| &mut found.tags),
            Tagged::Source { .. } => None,
            Tagged::Consumer { arn, .. } => {
                let found = world.consumers.iter_mut().find(|found| names.source_arn(&found.uuid) == *arn);
                found.map(|found| &mut found.tags)
            }
            Tagged::Api { arn } => {
                let found = world.apis.iter_mut().find(|api| names.api_arn(&api.id) == *arn);
                found.map(|api| &mut api.tags)
            }
            Tagged::Stage { name, .. } => world.closely.stages.get_mut(name),
            Tagged::Domain { name, .. } => world.domains.names.get_mut(name).map(|found| &mut found.tags),
        }
    }

    fn let_go(&mut self, tagged: &Tagged) {
        let (names, world) = (&self.desired.names, &mut self.world);
        match tagged {
            Tagged::Table { id, .. } => drop(world.tables.remove(id)),
            Tagged::Queue { id, .. } => drop(world.queues.remove(id)),
            Tagged::Topic { id, .. } => drop(world.topics.remove(id)),
            Tagged::Role { function, .. } => drop(world.roles.remove(function)),
            Tagged::LogGroup { id, .. } => drop(world.log_groups.remove(id)),
            Tagged::Function { function, .. } => drop(world.functions.remove(function)),
            Tagged::Source { arn, .. } => world.sources.retain(|source| names.source_arn(&source.uuid) != *arn),
            Tagged::Consumer { arn, .. } => {
                for found in world.consumers.iter_mut().filter(|found| names.source_arn(&found.uuid) == *arn) {
                    found.is_ours = false;
                }
            }
            Tagged::Api { arn } => world.apis.retain(|api| names.api_arn(&api.id) != *arn),
            Tagged::Stage { name, .. } => drop(world.closely.stages.remove(name)),
            Tagged::Domain { name, .. } => {
                if let Some(found) = world.domains.names.get_mut(name) {
                    found.is_ours = false;
                }
            }
        }
    }
}
