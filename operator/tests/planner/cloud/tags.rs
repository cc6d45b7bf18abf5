//! Tags, and what is looked at only when a stack ends.

use sumu_operator::cloud::Kind;
use sumu_operator::desired::end::Closer;
use sumu_operator::observed::{Closely, Observed};
use sumu_operator::plan::tagged::Tagged;
use sumu_operator::stack::consumers::NOTE;
use sumu_operator::stack::name::{Names, OWNER_TAG, QueueId, Tags};

use super::{Answer, World, refuse};

impl World {
    pub(super) fn closely(&self, closer: Closer, names: &Names, observed: &Observed) -> Closely {
        let of = |key: &str| self.child_tags.get(key).cloned().unwrap_or_default();
        match closer {
            Closer::Connections => Closely { connections: self.connections, ..Closely::default() },
            Closer::Tags => {
                let sources = observed.sources.iter().map(|source| (source.uuid.clone(), of(&source.uuid)));
                let stages = observed.api().into_iter().flat_map(|api| {
                    let arn = |name: &str| names.stage_arn(&api.id, name);
                    api.stages.iter().map(move |stage| (stage.name.clone(), of(&arn(&stage.name))))
                });
                Closely { sources: sources.collect(), stages: stages.collect(), ..Closely::default() }
            }
        }
    }

    pub(super) fn tag_call(&mut self, tagged: &Tagged, tags: &Tags) -> Answer {
        let uid = self.owner.uid.clone();
        let Some(found) = self.tags_of(tagged) else {
            return refuse("TagResource", tagged, Kind::NotFound, "it does not exist");
        };
        assert!(found.get(OWNER_TAG).is_none_or(|owner| *owner == uid), "{tagged} is somebody else's");
        found.extend(tags.clone());
        Ok(())
    }

    pub(super) fn untag_call(&mut self, tagged: &Tagged, keys: &[String]) -> Answer {
        let uid = self.owner.uid.clone();
        let Some(tags) = self.tags_of(tagged) else {
            return refuse("UntagResource", tagged, Kind::NotFound, "it does not exist");
        };
        // Taking tags off twice is no mistake; taking another's off is.
        assert!(tags.get(OWNER_TAG).is_none_or(|owner| *owner == uid), "{tagged}, but they are somebody else's");
        tags.retain(|key, _| !keys.contains(key));
        let is_for_consumers = |key: &String| key == NOTE || key == OWNER_TAG;
        if matches!(tagged, Tagged::Queue { id: QueueId::Messages, .. }) && keys.iter().any(is_for_consumers) {
            let consumer = self.our_consumer();
            assert!(consumer.is_none(), "{consumer:?} has our tag, and cannot be found any more");
        }
        if !keys.iter().any(|key| key == OWNER_TAG) {
            return Ok(());
        }
        if let Tagged::Api { arn } = tagged {
            let api = self.held.apis.iter().find(|api| self.names.api_arn(&api.id) == *arn);
            let stages =
                api.into_iter().flat_map(|api| &api.stages).map(|stage| format!("{arn}/stages/{}", stage.name));
            let tagged = stages.filter_map(|arn| self.child_tags.get(&arn)).any(|tags| is_ours(tags, &uid));
            assert!(!tagged, "the api cannot be found any more, and its stage has our tag");
        }
        if let Tagged::Function { function, .. } = tagged {
            let sources = self.held.sources.iter().filter(|source| source.function == *function);
            let tagged = sources.filter_map(|source| self.child_tags.get(&source.uuid)).any(|tags| is_ours(tags, &uid));
            assert!(!tagged, "{function} is foreign now, and what feeds it has our tag");
        }
        Ok(())
    }

    fn tags_of(&mut self, tagged: &Tagged) -> Option<&mut Tags> {
        let names = self.names.clone();
        match tagged {
            Tagged::Table { id, arn } => {
                let table = self.held.tables.get_mut(id).filter(|table| table.is_active())?;
                assert_eq!(table.arn, *arn);
                Some(&mut table.tags)
            }
            Tagged::Queue { id, url } => {
                let queue = self.held.queues.get_mut(id)?;
                assert_eq!(queue.url, *url);
                Some(&mut queue.tags)
            }
            Tagged::Topic { id, arn } => {
                let topic = self.held.topics.get_mut(id)?;
                assert_eq!(topic.arn, *arn);
                Some(&mut topic.tags)
            }
            Tagged::Role { function, name } => {
                assert_eq!(*name, names.function(*function));
                Some(&mut self.held.roles.get_mut(function)?.tags)
            }
            Tagged::LogGroup { id, arn } => {
                assert_eq!(*arn, names.log_group_arn(*id));
                Some(&mut self.held.log_groups.get_mut(id)?.tags)
            }
            Tagged::Function { function, arn } => {
                assert_eq!(*arn, names.function_arn(*function));
                Some(&mut self.held.functions.get_mut(function)?.tags)
            }
            Tagged::Source { function, arn } => {
                let is_meant = |uuid: &str| names.source_arn(uuid) == *arn;
                let found = self.held.sources.iter().find(|source| is_meant(&source.uuid))?;
                assert_eq!(found.function, *function);
                self.child_tags.get_mut(&found.uuid)
            }
            Tagged::Consumer { function_arn, arn } => {
                let found = self.held.consumers.iter_mut().find(|found| names.source_arn(&found.uuid) == *arn)?;
                assert_eq!(found.function_arn, *function_arn);
                Some(&mut found.tags)
            }
            Tagged::Api { arn } => {
                let found = self.held.apis.iter_mut().find(|api| names.api_arn(&api.id) == *arn)?;
                Some(&mut found.tags)
            }
            Tagged::Stage { name: _, arn } => self.child_tags.get_mut(arn),
            Tagged::Domain { name, arn } => {
                assert_eq!(*arn, names.domain_arn(name));
                Some(&mut self.held.domains.names.get_mut(name)?.tags)
            }
        }
    }

    /// What of everything still carries the owner's tag, in words.
    pub fn tagged(&self) -> Vec<String> {
        let uid = &self.owner.uid;
        let held = &self.held;
        let mut all: Vec<(String, &Tags)> = Vec::new();
        all.extend(held.tables.iter().map(|(id, it)| (format!("table {id}"), &it.tags)));
        all.extend(held.queues.iter().map(|(id, it)| (format!("queue {id}"), &it.tags)));
        all.extend(held.topics.iter().map(|(id, it)| (format!("topic {id}"), &it.tags)));
        all.extend(held.roles.iter().map(|(id, it)| (format!("role {id}"), &it.tags)));
        all.extend(held.log_groups.iter().map(|(id, it)| (format!("log group {id}"), &it.tags)));
        all.extend(held.functions.iter().map(|(id, it)| (format!("function {id}"), &it.tags)));
        all.extend(held.apis.iter().map(|it| (format!("api {}", it.id), &it.tags)));
        all.extend(held.domains.names.iter().map(|(name, it)| (format!("domain name {name}"), &it.tags)));
        all.extend(held.consumers.iter().map(|it| (format!("consumer {}", it.function_arn), &it.tags)));
        let exists = |key: &str| {
            held.sources.iter().any(|source| source.uuid == key)
                || held
                    .apis
                    .iter()
                    .any(|api| api.stages.iter().any(|stage| self.names.stage_arn(&api.id, &stage.name) == key))
        };
        all.extend(self.child_tags.iter().filter(|(key, _)| exists(key)).map(|(key, tags)| (key.clone(), tags)));
        all.into_iter().filter(|(_, tags)| is_ours(tags, uid)).map(|(what, _)| what).collect()
    }
}

fn is_ours(tags: &Tags, uid: &str) -> bool {
    tags.get(OWNER_TAG).is_some_and(|owner| owner == uid)
}
