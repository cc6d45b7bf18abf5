//! Domain names of API Gateway, and Route 53: neither mappings nor records carry tags, so what belongs to whom is
//! watched here by where it leads.

use std::collections::BTreeMap;

use sumu_operator::cloud::{CloudError, Kind};
use sumu_operator::observed::ApiState;
use sumu_operator::observed::domain::{Alias, DomainState, Domains, MappingState, RecordState, ZoneState};
use sumu_operator::plan::step::{DomainStep, Record};
use sumu_operator::stack::note::Notes;

use super::{Answer, Work, World, refusal, refuse};

impl World {
    pub(super) fn domain_call(&mut self, step: &DomainStep) -> Answer {
        match step {
            DomainStep::Note { api_arn, tags } => {
                self.api_of(api_arn)?.tags.extend(tags.clone());
                Ok(())
            }
            DomainStep::Forget { api_arn, keys } => {
                self.api_of(api_arn)?.tags.retain(|key, _| !keys.contains(key));
                Ok(())
            }
            DomainStep::Create { .. } | DomainStep::SetCertificate { .. } | DomainStep::Delete { .. } => {
                self.name_call(step)
            }
            DomainStep::Map { .. } | DomainStep::SetStage { .. } | DomainStep::Unmap { .. } => self.mapping_call(step),
            DomainStep::ChangeRecords { name, zone_id, remove, add } => self.change_records(name, zone_id, remove, add),
        }
    }

    fn api_of(&mut self, arn: &str) -> Result<&mut ApiState, CloudError> {
        let names = self.names.clone();
        let found = self.held.apis.iter_mut().find(|api| names.api_arn(&api.id) == *arn);
        found.ok_or_else(|| refusal("TagResource", arn, Kind::NotFound, "Invalid API identifier specified"))
    }

    fn name_call(&mut self, step: &DomainStep) -> Answer {
        match step {
            DomainStep::Create { name, certificate_arn, tags } => {
                assert!(self.owner.owns(tags), "a domain name without the owner's tags");
                if self.held.domains.names.contains_key(name) {
                    // As the adapter tells it: what is not listed is not this account's.
                    let message = "The domain name you provided already exists.";
                    return refuse("CreateDomainName", name, Kind::Rejected, message);
                }
                let id = self.next_id();
                let state = DomainState {
                    tags: tags.clone(),
                    status: "UPDATING".into(),
                    certificate_arn: Some(certificate_arn.clone()),
                    target: format!("d-{id}.execute-api.eu-west-3.amazonaws.com"),
                    target_zone_id: "ZREGION".into(),
                    ..DomainState::default()
                };
                self.held.domains.names.insert(name.clone(), state);
                self.begin(Work::Domain(name.clone()), self.pace.domain);
            }
            DomainStep::SetCertificate { name, certificate_arn } => {
                let found = self.own_domain("UpdateDomainName", name)?;
                if !found.is_available() {
                    return refuse("UpdateDomainName", name, Kind::Busy, "is being updated");
                }
                found.certificate_arn = Some(certificate_arn.clone());
                found.status = "UPDATING".into();
                self.begin(Work::Domain(name.clone()), self.pace.domain);
            }
            DomainStep::Delete { name } => {
                if self.held.domains.names.contains_key(name) {
                    let found = self.own_domain("DeleteDomainName", name)?;
                    assert!(
                        found.mappings.is_empty(),
                        "mappings would go with domain name {name}: {:?}",
                        found.mappings
                    );
                    let target = found.target.clone();
                    assert!(!self.leads(&target), "a record leads to domain name {name}, which goes");
                    self.held.domains.names.remove(name);
                }
            }
            other => unreachable!("{other}"),
        }
        Ok(())
    }

    fn own_domain(&mut self, operation: &'static str, name: &str) -> Result<&mut DomainState, CloudError> {
        let Some(found) = self.held.domains.names.get(name) else {
            return Err(refusal(operation, name, Kind::NotFound, "Invalid domain name identifier specified"));
        };
        self.must_own(format!("domain name {name}"), &found.tags);
        Ok(self.held.domains.names.get_mut(name).unwrap())
    }

    fn mapping_call(&mut self, step: &DomainStep) -> Answer {
        let id = self.next_id();
        let apis: BTreeMap<String, Vec<String>> = self
            .held
            .apis
            .iter()
            .filter(|api| self.owner.owns(&api.tags))
            .map(|api| (api.id.clone(), api.stages.iter().map(|stage| stage.name.clone()).collect()))
            .collect();
        let (DomainStep::Map { name, .. } | DomainStep::SetStage { name, .. } | DomainStep::Unmap { name, .. }) = step
        else {
            unreachable!("{step}")
        };
        let Some(domain) = self.held.domains.names.get_mut(name) else {
            return refuse("ApiMapping", name, Kind::NotFound, "Invalid domain name identifier specified");
        };
        let is_stage = |api: &String, stage| apis.get(api).is_some_and(|stages| stages.contains(stage));
        match step {
            DomainStep::Map { key, api_id, stage, .. } => {
                if domain.mappings.iter().any(|found| found.key == *key) {
                    return refuse("CreateApiMapping", name, Kind::AlreadyExists, "ApiMapping key already exists");
                }
                if !domain.is_available() || !is_stage(api_id, stage) {
                    return refuse("CreateApiMapping", name, Kind::Rejected, "Invalid stage identifier specified");
                }
                let (key, api_id, stage) = (key.clone(), api_id.clone(), stage.clone());
                domain.mappings.push(MappingState { id, key, api_id, stage, is_ours: false });
            }
            DomainStep::SetStage { id, api_id, stage, .. } => {
                if !is_stage(api_id, stage) {
                    return refuse("UpdateApiMapping", name, Kind::Rejected, "Invalid stage identifier specified");
                }
                let found = domain.mappings.iter_mut().find(|found| found.id == *id);
                let Some(found) = found else {
                    return refuse(
                        "UpdateApiMapping",
                        name,
                        Kind::NotFound,
                        "Invalid API mapping identifier specified",
                    );
                };
                assert_eq!(found.api_id, *api_id, "somebody else's mapping was changed");
                found.stage.clone_from(stage);
            }
            DomainStep::Unmap { id, .. } => {
                if let Some(found) = domain.mappings.iter().find(|found| found.id == *id) {
                    assert!(apis.contains_key(&found.api_id), "somebody else's mapping was deleted: {found:?}");
                }
                domain.mappings.retain(|found| found.id != *id);
            }
            other => unreachable!("{other}"),
        }
        Ok(())
    }

    fn change_records(&mut self, name: &str, zone: &str, remove: &[Record], add: &[Record]) -> Answer {
        if !self.zones.contains(zone) {
            return refuse("ChangeResourceRecordSets", zone, Kind::NotFound, "No hosted zone found");
        }
        let mut records = self.records(name, zone).to_vec();
        for gone in remove {
            let state = state(gone);
            let Some(at) = records.iter().position(|found| *found == state) else {
                return refuse("ChangeResourceRecordSets", name, Kind::NotFound, "it was not found");
            };
            records.remove(at);
        }
        for new in add {
            if records.iter().any(|found| found.kind == new.kind || found.kind == "CNAME") {
                return refuse("ChangeResourceRecordSets", name, Kind::AlreadyExists, "it already exists");
            }
            assert!(self.held.domains.names.values().any(|found| found.target == new.alias.target), "leads nowhere");
            records.push(state(new));
        }
        self.set_records(name, zone, records);
        Ok(())
    }

    /// The records of a name in a hosted zone.
    pub fn records(&self, name: &str, zone: &str) -> &[RecordState] {
        match self.held.domains.zones.get(&(name.to_owned(), zone.to_owned())) {
            Some(ZoneState::Records(records)) => records,
            _ => &[],
        }
    }

    /// Puts other records in their place.
    pub fn set_records(&mut self, name: &str, zone: &str, records: Vec<RecordState>) {
        let key = (name.to_owned(), zone.to_owned());
        let zones = &mut self.held.domains.zones;
        // So that what AWS holds is the same when it holds nothing.
        if records.is_empty() { drop(zones.remove(&key)) } else { drop(zones.insert(key, ZoneState::Records(records))) }
    }

    /// Whether an alias leads to a target.
    fn leads(&self, target: &str) -> bool {
        let all = self.held.domains.zones.values().filter_map(|zone| match zone {
            ZoneState::Records(records) => Some(records),
            ZoneState::Absent | ZoneState::Denied(_) => None,
        });
        all.flatten().any(|record| record.alias.as_ref().is_some_and(|alias| alias.target == target))
    }

    pub(super) fn is_mapped(&self, api_id: &str) -> bool {
        self.held.domains.names.values().flat_map(|found| &found.mappings).any(|mapping| mapping.api_id == *api_id)
    }

    /// What a look shows to the owner of these APIs.
    pub(super) fn visible_domains(&self, apis: &[ApiState]) -> Domains {
        let notes = apis.first().map(|api| Notes::of(&api.tags)).unwrap_or_default();
        if !apis.is_empty() && notes.is_empty() {
            return Domains::default();
        }
        if let Some(denied) = &self.denied_domains {
            return Domains { denied: Some(denied.clone()), ..Domains::default() };
        }
        let mut seen = Domains::default();
        for (name, found) in &self.held.domains.names {
            let mut found = found.clone();
            found.is_ours = self.owner.owns(&found.tags);
            for mapping in &mut found.mappings {
                mapping.is_ours = apis.iter().any(|api| api.id == mapping.api_id);
            }
            if found.is_ours || notes.has(name) {
                seen.names.insert(name.clone(), found);
            }
        }
        for name in notes.domains() {
            for (zone, _) in notes.zones(name) {
                let state = match &self.denied_zones {
                    Some(denied) => ZoneState::Denied(denied.clone()),
                    None if !self.zones.contains(zone) => ZoneState::Absent,
                    None => ZoneState::Records(self.records(name, zone).to_vec()),
                };
                seen.zones.insert((name.clone(), zone.clone()), state);
            }
        }
        seen
    }
}

fn state(record: &Record) -> RecordState {
    RecordState { kind: record.kind.clone(), alias: Some(record.alias.clone()) }
}

/// A plain alias.
pub fn alias(kind: &str, target: &str) -> RecordState {
    let alias = Alias { target: target.to_owned(), zone_id: "ZREGION".to_owned() };
    RecordState { kind: kind.to_owned(), alias: Some(alias) }
}
