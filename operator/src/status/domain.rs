//! What is told of a custom domain.

use crate::desired::domain::Domain;
use crate::observed::Observed;
use crate::observed::domain::{DomainState, ZoneState};
use crate::sumu_stack::CustomDomainStatus;

/// What the owner of the name in DNS needs to know, once the domain name is there.
pub(super) fn described(want: &Domain, observed: &Observed) -> Option<CustomDomainStatus> {
    let found = observed.domains.names.get(&want.name)?;
    Some(CustomDomainStatus {
        domain_name: want.name.clone(),
        target: found.target.clone(),
        hosted_zone_id: found.target_zone_id.clone(),
    })
}

/// Where clients connect, once everything that is ours to make leads there.
pub(super) fn endpoint(want: &Domain, observed: &Observed) -> Option<String> {
    let found = observed.domains.names.get(&want.name).filter(|found| found.is_available())?;
    let is_mapped = found.mappings.iter().any(|mapping| {
        mapping.key == want.mapping_key
            && Some(mapping.api_id.as_str()) == observed.api_id()
            && mapping.stage == want.stage_name
    });
    (is_mapped && is_named(want, found, observed)).then(|| want.url())
}

/// Whether the records that are ours to make are there. Those of others are theirs to know.
fn is_named(want: &Domain, found: &DomainState, observed: &Observed) -> bool {
    let Some(zone) = &want.hosted_zone_id else { return true };
    let leads_there = |kind: &str| match observed.domains.zones.get(&(want.name.clone(), zone.clone())) {
        Some(ZoneState::Records(records)) => records.iter().any(|record| {
            record.kind == kind && record.alias.as_ref().is_some_and(|alias| alias.target == found.target)
        }),
        _ => false,
    };
    leads_there("A") && leads_there("AAAA")
}
