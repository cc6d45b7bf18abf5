//! What is told of a custom domain.

use sumu_operator::observed::domain::MappingState;
use sumu_operator::plan::Part;
use sumu_operator::sumu_stack::ConditionStatus::{False, True};
use sumu_operator::sumu_stack::CustomDomainStatus;

use super::{NOON, SETTLED, condition, ready, report_pass};
use crate::cloud::{MemoryCloud, Pace, World};
use crate::fixtures::{manifest, pipeline, stack};
use crate::laws::domain::{NAME, own};
use crate::passes::{pass, settle};

#[test]
fn a_custom_domain_has_a_condition_and_its_address_is_told_when_clients_can_come_by_it() {
    let mut fixture = own();
    let desired = fixture.desired.clone();
    let cloud = MemoryCloud::new(&fixture, Pace::SLOW);
    let mut told = Vec::new();
    for _ in 0..60 {
        let pass = pass(&cloud, &desired);
        let status = report_pass(&mut fixture, &pass, NOON);
        let state = condition(&status, Part::CustomDomain.as_str()).status;
        let is_open = status.endpoint.as_deref() == Some("wss://live.example.com/push");
        assert_eq!(state == True, is_open, "{:?} at {:?}", status.conditions, status.endpoint);
        told.extend(status.endpoint.clone());
        if pass.plan.is_settled() {
            assert_eq!(ready(&status), (True, "Settled", "Everything is in place"));
            assert_eq!(status.conditions.len(), 2 + Part::ALL.len());
            let target = cloud.held().domains.names[NAME].target.clone();
            let expected = CustomDomainStatus { domain_name: NAME.into(), target, hosted_zone_id: "ZREGION".into() };
            assert_eq!(status.custom_domain, Some(expected));
            assert!(status.management_endpoint.is_some_and(|own| !own.contains(NAME)));
            told.dedup();
            assert_eq!(told.len(), 2, "first its own address, then the new one: {told:?}");
            return;
        }
    }
    panic!("not settled: {told:?}");
}

#[test]
fn the_root_of_a_domain_name_has_no_path() {
    let fixture = stack("gateway: {customDomain: {domainName: live.example.com}}");
    assert_eq!(fixture.desired.domain.unwrap().url(), "wss://live.example.com");
}

/// What somebody may do.
type Change = fn(&mut World);

/// What may stand in the way, with the reason that is told.
const TROUBLES: &[(Change, &str)] = &[
    (|world| domain(world).tags.clear(), "OwnershipConflict"),
    (|world| world.zones.clear(), "Missing"),
    (|world| domain(world).status = "PENDING_CERTIFICATE_REIMPORT".into(), "ActionRequired"),
    (|world| domain(world).status = "UPDATING".into(), "Waiting"),
    (|world| world.denied_domains = Some("GetDomainNames: not allowed".into()), "AccessDenied"),
    (|world| world.denied_zones = Some("ListResourceRecordSets: not allowed".into()), "AccessDenied"),
    (|world| domain(world).mappings.clear(), "Progressing"),
];

fn domain(world: &mut World) -> &mut sumu_operator::observed::domain::DomainState {
    world.held.domains.names.get_mut(NAME).unwrap()
}

#[test]
fn what_stands_in_the_way_of_a_custom_domain_is_told_by_its_condition_and_no_other() {
    for (change, reason) in TROUBLES {
        let mut fixture = own();
        let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
        settle(&cloud, &fixture.desired);
        cloud.change(change);
        let desired = fixture.desired.clone();
        let status = report_pass(&mut fixture, &pass(&cloud, &desired), NOON);
        let told = condition(&status, "CustomDomain");
        assert_eq!((told.status, told.reason.as_str()), (False, *reason), "{}", told.message);
        for part in Part::ALL {
            assert_eq!(condition(&status, part.as_str()).status, True, "{reason}: {}", part.as_str());
        }
        let (state, of_ready, message) = ready(&status);
        assert_eq!((state, of_ready), (False, *reason));
        assert!(message.starts_with("CustomDomain: "), "{message}");
    }
}

#[test]
fn a_domain_name_that_others_use_is_named_while_its_stack_is_deleted() {
    let mut fixture = own();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    settle(&cloud, &fixture.desired);
    cloud.change(|world| {
        let theirs =
            MappingState { id: "t".into(), key: "t".into(), api_id: "theirs".into(), ..MappingState::default() };
        domain(world).mappings.push(theirs);
    });
    let nothing = fixture.nothing.clone();
    (0..2 * SETTLED).for_each(|_| drop(pass(&cloud, &nothing)));
    let last = pass(&cloud, &nothing);
    let status = super::report(&mut fixture, sumu_operator::status::Progress::Deleting(&last), NOON);
    let (_, reason, message) = ready(&status);
    assert_eq!(reason, "InUseByOthers");
    assert!(
        message.starts_with("Deleting: domain name live.example.com stays while somebody else uses it"),
        "{message}"
    );
}

#[test]
fn a_certificate_of_another_region_or_account_is_refused_with_the_remedy() {
    for (arn, sentence) in [
        ("arn:aws:acm:us-east-1:210987654321:certificate/one", "is in us-east-1 and the stack in eu-west-3"),
        (
            "arn:aws:acm:eu-west-3:999999999999:certificate/one",
            "is in account 999999999999 and the stack in 210987654321",
        ),
    ] {
        let stack =
            manifest(&format!("gateway: {{customDomain: {{domainName: live.example.com, certificateArn: '{arn}'}}}}"));
        let refused = pipeline(&stack).err().map(|invalid| invalid.to_string()).unwrap_or_default();
        assert!(refused.starts_with("spec.gateway.customDomain.certificateArn"), "{refused}");
        assert!(refused.contains(sentence) && refused.contains("request or import one in"), "{refused}");
    }
}
