//! What calls about a custom domain lead to.

use super::{NEW, Supposed};
use crate::observed::domain::{DomainState, MappingState, RecordState, ZoneState};
use crate::plan::step::{DomainStep, Record};
use crate::stack::name::Tags;
use crate::stack::note::Notes;

impl Supposed {
    pub(super) fn domain(&mut self, step: &DomainStep) {
        match step {
            DomainStep::Note { api_arn, tags } => {
                let Some(api) = self.api_of(api_arn) else { return };
                api.tags.extend(tags.clone());
                let tags = api.tags.clone();
                self.noted(&tags);
            }
            DomainStep::Forget { api_arn, keys } => {
                if let Some(api) = self.api_of(api_arn) {
                    api.tags.retain(|key, _| !keys.contains(key));
                }
            }
            DomainStep::Create { name, certificate_arn, tags } => self.create(name, certificate_arn, tags),
            DomainStep::Delete { name } => drop(self.world.domains.names.remove(name)),
            DomainStep::ChangeRecords { name, zone_id, remove, add } => {
                self.change_records(name, zone_id, remove, add);
            }
            DomainStep::SetCertificate { name, .. }
            | DomainStep::Map { name, .. }
            | DomainStep::SetStage { name, .. }
            | DomainStep::Unmap { name, .. } => {
                if let Some(found) = self.world.domains.names.get_mut(name) {
                    change(found, step);
                }
            }
        }
    }

    /// What a look shows of a domain name or a hosted zone from the moment that the API notes it.
    pub(super) fn noted(&mut self, tags: &Tags) {
        let notes = Notes::of(tags);
        let domains = &mut self.world.domains;
        let theirs = self.desired.domain.iter().filter(|want| want.certificate_arn.is_none());
        for name in theirs.map(|want| &want.name).filter(|name| notes.has(name)) {
            let found = DomainState { status: "AVAILABLE".into(), ..DomainState::default() };
            domains.names.entry(name.clone()).or_insert(found);
        }
        for name in notes.domains() {
            for (zone, _) in notes.zones(name) {
                let zone = domains.zones.entry((name.clone(), zone.clone()));
                zone.or_insert_with(|| ZoneState::Records(vec![]));
            }
        }
    }

    fn create(&mut self, name: &str, certificate_arn: &str, tags: &Tags) {
        let region = &self.desired.names.account().region;
        let state = DomainState {
            tags: tags.clone(),
            is_ours: true,
            status: "AVAILABLE".into(),
            status_message: None,
            certificate_arn: Some(certificate_arn.to_owned()),
            target: format!("{NEW}.execute-api.{region}.amazonaws.com"),
            target_zone_id: NEW.into(),
            mappings: vec![],
        };
        self.world.domains.names.insert(name.to_owned(), state);
    }

    fn change_records(&mut self, name: &str, zone: &str, remove: &[Record], add: &[Record]) {
        let zone = self.world.domains.zones.get_mut(&(name.to_owned(), zone.to_owned()));
        let Some(ZoneState::Records(records)) = zone else { return };
        let state = |record: &Record| RecordState { kind: record.kind.clone(), alias: Some(record.alias.clone()) };
        records.retain(|found| !remove.iter().any(|gone| state(gone) == *found));
        records.extend(add.iter().map(state));
    }
}

fn change(found: &mut DomainState, step: &DomainStep) {
    match step {
        DomainStep::SetCertificate { certificate_arn, .. } => found.certificate_arn = Some(certificate_arn.clone()),
        DomainStep::Map { key, api_id, stage, .. } => found.mappings.push(MappingState {
            id: NEW.into(),
            key: key.clone(),
            api_id: api_id.clone(),
            is_ours: true,
            stage: stage.clone(),
        }),
        DomainStep::SetStage { id, stage, .. } => {
            for mapping in found.mappings.iter_mut().filter(|mapping| mapping.id == *id) {
                mapping.stage.clone_from(stage);
            }
        }
        DomainStep::Unmap { id, .. } => found.mappings.retain(|mapping| mapping.id != *id),
        // Not about what is in a domain name.
        _ => {}
    }
}
