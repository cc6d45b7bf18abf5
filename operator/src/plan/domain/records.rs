//! Alias records in Route 53, which carry no tags: a record is ours when it is a plain alias to where our domain name
//! leads, or led when our API noted it.

use super::{PART, domain_name};
use crate::desired::Desired;
use crate::desired::domain::Domain;
use crate::observed::Observed;
use crate::observed::domain::{Alias, DomainState, RecordState, ZoneState};
use crate::plan::step::{DomainStep, Record};
use crate::plan::{Plan, WaitReason};
use crate::stack::name::Tags;
use crate::stack::note::{self, Notes};

/// IPv4 and IPv6.
const KINDS: [&str; 2] = ["A", "AAAA"];

/// Brings the records of a domain name of ours towards what they should be.
pub(super) fn keep(
    want: &Domain,
    zone: &str,
    found: &DomainState,
    desired: &Desired,
    observed: &Observed,
    notes: &Notes,
    plan: &mut Plan,
) {
    let what = name(&want.name, zone);
    let before = notes.target(&want.name, zone);
    let note = |plan: &mut Plan| {
        let Some(api_id) = observed.api_id() else { return };
        let tags = Tags::from([note::alias(&want.name, zone, &found.target)]);
        plan.step(DomainStep::Note { api_arn: desired.names.api_arn(api_id), tags });
    };
    let (Some(before), Some(state)) = (before, state(&want.name, zone, observed)) else {
        note(plan);
        return plan.wait_for(PART, what, "the api's note of them");
    };
    let records = match state {
        ZoneState::Denied(error) => return plan.wait(PART, WaitReason::Denied(error.clone())),
        ZoneState::Absent => return plan.wait(PART, absent(zone)),
        ZoneState::Records(records) => records,
    };
    if let Some(theirs) = records.iter().find(|record| !is_ours(record, Some(found), Some(before))) {
        return plan.wait(PART, WaitReason::Conflict(format!(
            "record {} of {} in hosted zone {zone} is no plain alias to this stack's domain name: delete it, or leave \
             spec.gateway.customDomain.hostedZoneId out and look after the records yourself",
            theirs.kind, want.name
        )));
    }
    let alias = Alias { target: found.target.clone(), zone_id: found.target_zone_id.clone() };
    let is_right = |record: &&RecordState| record.alias.as_ref() == Some(&alias);
    let right: Vec<&RecordState> = records.iter().filter(is_right).collect();
    let remove = records.iter().filter(|record| !is_right(record)).filter_map(record).collect::<Vec<_>>();
    let missing = KINDS.into_iter().filter(|kind| right.iter().all(|record| record.kind != *kind));
    let add = missing.map(|kind| Record { kind: kind.into(), alias: alias.clone() }).collect::<Vec<_>>();
    if !remove.is_empty() || !add.is_empty() {
        return plan.step(DomainStep::ChangeRecords { name: want.name.clone(), zone_id: zone.to_owned(), remove, add });
    }
    // Only now: until the records point there, the old note is what tells that they are ours.
    if before != found.target {
        note(plan);
    }
}

/// Takes away the records of ours. Says whether none is left.
pub(super) fn clear(domain: &str, zone: &str, observed: &Observed, notes: &Notes, plan: &mut Plan) -> bool {
    match state(domain, zone, observed) {
        None | Some(ZoneState::Absent) => true,
        Some(ZoneState::Denied(error)) => {
            plan.wait(PART, WaitReason::Denied(error.clone()));
            false
        }
        Some(ZoneState::Records(records)) => {
            let remove: Vec<Record> = ours(domain, zone, records, observed, notes).filter_map(record).collect();
            let is_clear = remove.is_empty();
            if !is_clear {
                let (name, zone_id) = (domain.to_owned(), zone.to_owned());
                plan.step(DomainStep::ChangeRecords { name, zone_id, remove, add: vec![] });
            }
            is_clear
        }
    }
}

/// Whether records of ours are there, or may be.
pub(super) fn remain(domain: &str, zone: &str, observed: &Observed, notes: &Notes) -> bool {
    match state(domain, zone, observed) {
        None | Some(ZoneState::Absent) => false,
        Some(ZoneState::Denied(_)) => true,
        Some(ZoneState::Records(records)) => ours(domain, zone, records, observed, notes).next().is_some(),
    }
}

/// The records as people call them.
pub(super) fn name(domain: &str, zone: &str) -> String {
    format!("records of {} in hosted zone {zone}", domain_name(domain))
}

fn state<'a>(domain: &str, zone: &str, observed: &'a Observed) -> Option<&'a ZoneState> {
    observed.domains.zones.get(&(domain.to_owned(), zone.to_owned()))
}

fn ours<'a>(
    domain: &str,
    zone: &str,
    records: &'a [RecordState],
    observed: &'a Observed,
    notes: &'a Notes,
) -> impl Iterator<Item = &'a RecordState> {
    let found = observed.domains.names.get(domain).filter(|found| found.is_ours);
    let before = notes.target(domain, zone).map(ToOwned::to_owned);
    records.iter().filter(move |record| is_ours(record, found, before.as_deref()))
}

fn is_ours(record: &RecordState, found: Option<&DomainState>, before: Option<&str>) -> bool {
    let Some(alias) = &record.alias else { return false };
    let leads_there = found.is_some_and(|found| found.target == alias.target && found.target_zone_id == alias.zone_id);
    KINDS.contains(&record.kind.as_str()) && (leads_there || before == Some(alias.target.as_str()))
}

fn record(state: &RecordState) -> Option<Record> {
    Some(Record { kind: state.kind.clone(), alias: state.alias.clone()? })
}

fn absent(zone: &str) -> WaitReason {
    WaitReason::Absent {
        what: format!("hosted zone {zone}"),
        remedy: "name one of the stack's account in spec.gateway.customDomain.hostedZoneId, or leave that out and \
                 make the records yourself",
    }
}
