//! What a custom domain has left that is not wanted: mappings and records first, then the domain name, then the note.

use std::collections::BTreeSet;

use super::{PART, domain_name, mapping_name, records};
use crate::desired::Desired;
use crate::observed::Observed;
use crate::observed::domain::DomainState;
use crate::plan::step::DomainStep;
use crate::plan::{Plan, WaitReason};
use crate::stack::note::{self, Notes};

pub(super) fn plan(desired: &Desired, observed: &Observed, notes: &Notes, plan: &mut Plan) {
    let names: BTreeSet<&String> = observed.domains.names.keys().chain(notes.domains()).collect();
    let mut forgotten = Vec::new();
    for name in names {
        let found = observed.domains.names.get(name);
        let mapping = found.and_then(|found| clear_mappings(name, found, desired, observed, plan));
        let records = clear_records(name, desired, observed, notes, plan, &mut forgotten);
        if desired.domain.as_ref().is_some_and(|want| want.name == *name) {
            continue;
        }
        if let Some(found) = found.filter(|found| found.is_ours) {
            match mapping.or(records) {
                Some(before) => plan.wait_gone(PART, domain_name(name), before),
                None => delete(name, found, plan),
            }
        } else if mapping.is_none() && records.is_none() {
            forgotten.extend(notes.has(name).then(|| note::domain(name).0));
        }
    }
    // An API that goes takes its notes with it.
    if let Some(api_id) = observed.api_id().filter(|_| desired.gateway.is_some() && !forgotten.is_empty()) {
        plan.step(DomainStep::Forget { api_arn: desired.names.api_arn(api_id), keys: forgotten });
    }
}

/// Takes away the mappings of ours that are not the wanted one. Names one that was there.
fn clear_mappings(
    name: &str,
    found: &DomainState,
    desired: &Desired,
    observed: &Observed,
    plan: &mut Plan,
) -> Option<String> {
    let wanted = desired.domain.as_ref().filter(|want| want.name == *name).map(|want| &want.mapping_key);
    let is_wanted = |key: &String, api_id: &str| wanted == Some(key) && observed.api_id() == Some(api_id);
    let mut last = None;
    for mapping in &found.mappings {
        if mapping.is_ours && !is_wanted(&mapping.key, &mapping.api_id) {
            let (id, key) = (mapping.id.clone(), mapping.key.clone());
            plan.step(DomainStep::Unmap { name: name.to_owned(), id, key });
            last = Some(mapping_name(name, mapping));
        }
    }
    last
}

/// Takes away the records of ours in zones that are not the wanted one, and then what notes them. Names those that were
/// there.
fn clear_records(
    name: &str,
    desired: &Desired,
    observed: &Observed,
    notes: &Notes,
    plan: &mut Plan,
    forgotten: &mut Vec<String>,
) -> Option<String> {
    let wanted =
        desired.domain.as_ref().filter(|want| want.name == *name).and_then(|want| want.hosted_zone_id.as_ref());
    let mut last = None;
    for (zone, target) in notes.zones(name).filter(|(zone, _)| wanted != Some(*zone)) {
        if records::clear(name, zone, observed, notes, plan) {
            forgotten.push(note::alias(name, zone, target).0);
        } else {
            last = Some(records::name(name, zone));
        }
    }
    last
}

fn delete(name: &str, found: &DomainState, plan: &mut Plan) {
    match found.mappings.first() {
        // It would take them along.
        Some(theirs) => plan.wait(
            PART,
            WaitReason::Shared {
                what: domain_name(name),
                by: format!("{} to api {}", mapping_name(name, theirs), theirs.api_id),
            },
        ),
        None => plan.step(DomainStep::Delete { name: name.to_owned() }),
    }
}
