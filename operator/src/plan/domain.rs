//! The custom domain: what leads to the stage first, and what is no longer wanted only when the new is in place.
//!
//! | thing | whose it is | when it is made | when it goes |
//! |---|---|---|---|
//! | note on our API | the API's | before anything else | when what it notes is gone |
//! | domain name | its owner's by its tag | with `certificateArn` | when nothing is mapped under it and no record leads to it |
//! | API mapping | the owner of the API that it leads to | when domain name and stage are there | when it is not the wanted one |
//! | alias record | ours when it points to where our domain name, or our note, says | when the domain name is available | when it is not wanted |
//!
//! Whatever stands where ours should be and is not ours stays as it is and is told.

mod clear;
mod records;

use super::step::DomainStep;
use super::tagged::Tagged;
use super::{Part, Plan, WaitReason};
use crate::desired::Desired;
use crate::desired::domain::Domain;
use crate::observed::domain::{DomainState, MappingState};
use crate::observed::{ApiState, Observed};
use crate::stack::name::{STACK_TAG, Tags};
use crate::stack::note::{self, Notes};

const PART: Part = Part::CustomDomain;

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let notes = notes(observed);
    if let Some(denied) = &observed.domains.denied {
        // Who has no custom domain need not let us look for one, until the last thing that knows of one has gone.
        if desired.domain.is_some() || desired.gateway.is_none() || !notes.is_empty() {
            plan.wait(PART, WaitReason::Denied(denied.clone()));
        }
        return;
    }
    let before = (plan.steps.len(), plan.waits.len());
    if let Some(want) = &desired.domain {
        keep(want, desired, observed, &notes, plan);
    }
    // Clients go on by the old way until the new one is open.
    if (plan.steps.len(), plan.waits.len()) == before {
        clear::plan(desired, observed, &notes, plan);
    }
}

/// The tag that an API has from its creation on.
pub(super) fn note(desired: &Desired) -> Option<(String, String)> {
    desired.domain.as_ref().map(|want| note::domain(&want.name))
}

/// What stands in the way of an API's deletion: API Gateway deletes none that is mapped, and what it notes would be lost.
pub(super) fn holds(api: &ApiState, observed: &Observed) -> Option<String> {
    let domains = &observed.domains;
    let notes = Notes::of(&api.tags);
    if domains.denied.is_some() && !notes.is_empty() {
        return Some("its custom domain".into());
    }
    for (name, found) in &domains.names {
        if let Some(mapping) = found.mappings.iter().find(|mapping| mapping.api_id == api.id) {
            return Some(mapping_name(name, mapping));
        }
    }
    // A domain name of ours is found by its tag; its records are found by the notes of the api that is kept alone.
    let is_kept = observed.api_id() == Some(api.id.as_str());
    let zones = notes.domains().flat_map(|name| notes.zones(name).map(move |(zone, _)| (name, zone)));
    zones
        .filter(|_| is_kept)
        .find(|(name, zone)| records::remain(name, zone, observed, &notes))
        .map(|(name, zone)| records::name(name, zone))
}

fn notes(observed: &Observed) -> Notes {
    observed.api().map(|api| Notes::of(&api.tags)).unwrap_or_default()
}

fn keep(want: &Domain, desired: &Desired, observed: &Observed, notes: &Notes, plan: &mut Plan) {
    let what = domain_name(&want.name);
    let Some(api) = observed.api() else { return plan.wait_for(PART, what, "api") };
    if !notes.has(&want.name) {
        plan.step(DomainStep::Note {
            api_arn: desired.names.api_arn(&api.id),
            tags: Tags::from([note::domain(&want.name)]),
        });
        return plan.wait_for(PART, what, "the api's note of it");
    }
    let Some(found) = observed.domains.names.get(&want.name) else { return make(want, desired, plan) };
    if want.certificate_arn.is_some() && !found.is_ours {
        return plan.wait(PART, taken(&what, found));
    }
    if found.is_ours {
        keep_own(want, found, desired, plan);
    }
    if !found.is_available() {
        return not_available(&what, found, plan);
    }
    map(want, found, api, plan);
    if let Some(zone) = want.hosted_zone_id.as_ref().filter(|_| found.is_ours) {
        records::keep(want, zone, found, desired, observed, notes, plan);
    }
}

/// A domain name of somebody else's, which may be in use: that is told first which harms nobody.
fn taken(what: &str, found: &DomainState) -> WaitReason {
    const SHARE: &str = "take certificateArn out of spec.gateway.customDomain and the stack is only mapped under it";
    WaitReason::Conflict(match found.tags.get(STACK_TAG) {
        Some(other) => {
            format!("{what} is there already and another object's, SumuStack {other}: name another, or {SHARE}")
        }
        None => format!(
            "{what} is there already and lacks this stack's tag: {SHARE}, or delete it, if nobody uses it, and the stack \
             makes its own"
        ),
    })
}

fn make(want: &Domain, desired: &Desired, plan: &mut Plan) {
    let (what, name) = (domain_name(&want.name), want.name.clone());
    let Some(certificate_arn) = want.certificate_arn.clone() else {
        return plan.wait(
            PART,
            WaitReason::Absent {
                what,
                remedy: "make it in API Gateway in the stack's account and region, or set \
                     spec.gateway.customDomain.certificateArn and the stack makes it",
            },
        );
    };
    plan.step(DomainStep::Create { name, certificate_arn, tags: desired.tags.clone() });
    plan.wait_for(PART, mapping_of(want), what);
}

fn keep_own(want: &Domain, found: &DomainState, desired: &Desired, plan: &mut Plan) {
    let tagged = Tagged::Domain { name: want.name.clone(), arn: desired.names.domain_arn(&want.name) };
    plan.keep_tags(tagged, &desired.tags, &found.tags);
    // Without a certificate in the spec the domain name keeps the one that it has.
    if let Some(certificate_arn) = &want.certificate_arn
        && found.certificate_arn.as_ref() != Some(certificate_arn)
        && found.is_available()
    {
        let (name, certificate_arn) = (want.name.clone(), certificate_arn.clone());
        plan.step(DomainStep::SetCertificate { name, certificate_arn });
    }
}

fn not_available(what: &str, found: &DomainState, plan: &mut Plan) {
    let remedy = match found.status.as_str() {
        "PENDING_CERTIFICATE_REIMPORT" => "import the certificate again in AWS Certificate Manager",
        "PENDING_OWNERSHIP_VERIFICATION" => "give the domain name an ownership verification certificate in API Gateway",
        _ => {
            let state = match &found.status_message {
                Some(message) => format!("{}: {message}", found.status),
                None => found.status.clone(),
            };
            return plan.wait_ready(PART, what, state);
        }
    };
    plan.wait(PART, WaitReason::Pending { what: what.to_owned(), state: found.status.clone(), remedy });
}

fn map(want: &Domain, found: &DomainState, api: &ApiState, plan: &mut Plan) {
    let Domain { name, mapping_key: key, stage_name: stage, .. } = want.clone();
    let api_id = api.id.clone();
    match found.mappings.iter().find(|mapping| mapping.key == key) {
        Some(mapping) if mapping.api_id == api_id => {
            if mapping.stage != stage {
                plan.step(DomainStep::SetStage { name, id: mapping.id.clone(), key, api_id, stage });
            }
        }
        // It leads to another API of ours, which goes.
        Some(mapping) if mapping.is_ours => plan.step(DomainStep::Unmap { name, id: mapping.id.clone(), key }),
        Some(mapping) => {
            plan.wait(PART, WaitReason::Conflict(format!(
                "{} leads to another api, {}: choose another spec.gateway.customDomain.path, or delete that mapping",
                mapping_of(want),
                mapping.api_id
            )));
        }
        None if api.stages.iter().all(|found| found.name != stage) => {
            plan.wait_for(PART, mapping_of(want), format!("stage {stage}"));
        }
        None => plan.step(DomainStep::Map { name, key, api_id, stage }),
    }
}

fn domain_name(name: &str) -> String {
    format!("domain name {name}")
}

fn mapping_of(want: &Domain) -> String {
    format!("api mapping {}/{}", want.name, want.mapping_key)
}

fn mapping_name(domain: &str, mapping: &MappingState) -> String {
    format!("api mapping {domain}/{}", mapping.key)
}
