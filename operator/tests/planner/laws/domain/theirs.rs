//! What is not ours is never touched, and the plan says what stands in the way; what may not be looked at is not gone.

use sumu_operator::desired::Desired;
use sumu_operator::observed::domain::{MappingState, RecordState};
use sumu_operator::plan::WaitReason;
use sumu_operator::stack::name::{OWNER_TAG, STACK_TAG};

use super::{NAME, assert_gone, assert_leads, domain, own, shared, shared_cloud, theirs};
use crate::cloud::domain::alias;
use crate::cloud::{MemoryCloud, Pace, World};
use crate::fixtures::stack;
use crate::laws::{assert_whole, settled};
use crate::passes::{empty, look_at, pass, settle};

/// Makes passes until nothing moves, and returns the one thing that a person must do something about.
fn stuck(cloud: &MemoryCloud, desired: &Desired) -> WaitReason {
    for _ in 0..30 {
        pass(cloud, desired);
    }
    let plan = look_at(cloud, desired).plan;
    assert!(plan.steps.is_empty(), "it goes on and on:\n{plan}");
    let mut stuck: Vec<WaitReason> =
        plan.waits.iter().map(|wait| wait.reason.clone()).filter(|reason| !reason.ends_by_itself()).collect();
    assert_eq!(stuck.len(), 1, "{plan}");
    stuck.remove(0)
}

#[test]
fn a_domain_name_of_somebody_else_is_told_and_everything_else_is_made() {
    let fixture = own();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(theirs);
    let before = cloud.held().domains;
    let reason = stuck(&cloud, &fixture.desired);
    assert!(matches!(reason, WaitReason::Conflict(_)), "{reason}");
    assert!(reason.to_string().starts_with("domain name live.example.com is there already"), "{reason}");
    let says = |reason: &WaitReason, words: &str| assert!(reason.to_string().contains(words), "{reason}");
    says(&reason, "or delete it, if nobody uses it");
    assert_eq!(cloud.held().domains, before);
    assert_eq!(cloud.held().apis[0].stages.len(), 1, "the API is there without it");

    // Who did what was told first would take another stack's clients their address.
    cloud.change(|world| drop(domain(world).tags.insert(STACK_TAG.into(), "apps/one".into())));
    let of_stack = stuck(&cloud, &fixture.desired);
    says(&of_stack, "another object's, SumuStack apps/one: name another");
    assert!(!of_stack.to_string().contains("delete"), "{of_stack}");

    cloud.change(|world| world.held.domains.names.clear());
    settle(&cloud, &fixture.desired);
    assert_leads(&cloud, &fixture);
}

#[test]
fn a_domain_name_that_lost_its_tag_is_no_longer_ours() {
    let fixture = own();
    let cloud = settled(&fixture, Pace::INSTANT);
    cloud.change(|world| drop(domain(world).tags.insert(OWNER_TAG.into(), "another".into())));
    let before = cloud.held().domains.names[NAME].clone();
    let reason = stuck(&cloud, &fixture.desired);
    assert!(matches!(reason, WaitReason::Conflict(_)), "{reason}");
    assert_eq!(cloud.held().domains.names[NAME], before);
    // The mapping is ours as long as it leads to our API, and the records as long as our API notes them.
    empty(&cloud, &fixture.nothing);
    assert!(cloud.held().domains.names[NAME].mappings.is_empty());
    assert!(cloud.held().domains.zones.is_empty());
}

#[test]
fn a_mapping_of_somebody_else_under_our_key_is_told_and_never_touched() {
    let fixture = shared();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        theirs(world);
        domain(world).mappings[0].key = "push".into();
    });
    let before = cloud.held().domains;
    let reason = stuck(&cloud, &fixture.desired);
    assert!(
        reason.to_string().starts_with("api mapping live.example.com/push leads to another api, theirs"),
        "{reason}"
    );
    assert_eq!(cloud.held().domains, before);
    empty(&cloud, &fixture.nothing);
    assert_eq!(cloud.held().domains, before);
}

#[test]
fn a_domain_name_that_is_not_there_is_asked_for_when_it_is_not_ours_to_make() {
    let fixture = shared();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    let reason = stuck(&cloud, &fixture.desired);
    assert!(reason.to_string().starts_with("domain name live.example.com does not exist: "), "{reason}");
    cloud.change(theirs);
    settle(&cloud, &fixture.desired);
    assert_whole(&cloud, &fixture);
}

/// What somebody else may do.
type Change = fn(&mut World);

/// Records that somebody else may have under our name.
const RECORDS: &[(&str, Change)] = &[
    ("a plain record", |world| put(world, RecordState { kind: "A".into(), alias: None })),
    ("an alias to something else", |world| put(world, alias("AAAA", "d-else.execute-api.eu-west-3.amazonaws.com"))),
    ("another name's name", |world| put(world, RecordState { kind: "CNAME".into(), alias: None })),
];

fn put(world: &mut World, record: RecordState) {
    let mut records = world.records(NAME, "ZONE1").to_vec();
    records.retain(|found| found.kind != record.kind);
    records.push(record);
    world.set_records(NAME, "ZONE1", records);
}

#[test]
fn a_record_that_leads_elsewhere_is_told_and_never_overwritten_nor_deleted() {
    let fixture = own();
    for (name, change) in RECORDS {
        let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
        cloud.change(change);
        let before = cloud.held().domains.zones;
        let reason = stuck(&cloud, &fixture.desired);
        assert!(
            matches!(reason, WaitReason::Conflict(_)) && reason.to_string().starts_with("record "),
            "{name}: {reason}"
        );
        assert_eq!(cloud.held().domains.zones, before, "{name}");
        let later = cloud.copy();
        empty(&cloud, &fixture.nothing);
        assert_eq!(cloud.held().domains.zones, before, "{name}");

        later.change(|world| world.set_records(NAME, "ZONE1", vec![]));
        settle(&later, &fixture.desired);
        assert_leads(&later, &fixture);
    }
}

#[test]
fn a_record_that_somebody_has_replaced_stays_when_the_others_go() {
    let fixture = own();
    for (name, change) in RECORDS {
        let cloud = settled(&fixture, Pace::SLOW);
        cloud.change(change);
        let theirs = cloud.change(|world| world.records(NAME, "ZONE1").last().cloned());
        stuck(&cloud, &fixture.desired);
        empty(&cloud, &fixture.nothing);
        let left = cloud.change(|world| world.records(NAME, "ZONE1").to_vec());
        assert_eq!(left, theirs.into_iter().collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_domain_name_of_ours_with_mappings_of_others_stays_until_they_are_gone() {
    let fixture = own();
    let cloud = settled(&fixture, Pace::SLOW);
    cloud.change(|world| {
        let theirs =
            MappingState { id: "theirs".into(), key: "theirs".into(), api_id: "theirs".into(), ..Default::default() };
        domain(world).mappings.push(theirs);
    });
    settle(&cloud, &fixture.desired);
    for desired in [&stack("").desired, &fixture.nothing] {
        let reason = stuck(&cloud, desired);
        assert!(matches!(reason, WaitReason::Shared { .. }), "{reason}");
        assert!(reason.to_string().contains("delete api mapping live.example.com/theirs to api theirs"), "{reason}");
        assert_eq!(cloud.held().domains.names[NAME].mappings.len(), 1);
    }
    assert!(cloud.held().apis.is_empty(), "nothing but the domain name is left: {:?}", cloud.held());
    cloud.change(|world| domain(world).mappings.clear());
    empty(&cloud, &fixture.nothing);
    assert_gone(&cloud);
}

#[test]
fn a_hosted_zone_that_is_not_there_is_told_and_the_rest_is_made() {
    let fixture = own();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| world.zones.clear());
    let reason = stuck(&cloud, &fixture.desired);
    assert!(reason.to_string().starts_with("hosted zone ZONE1 does not exist: "), "{reason}");
    assert_eq!(cloud.held().domains.names[NAME].mappings.len(), 1);
    empty(&cloud, &fixture.nothing);
    assert_gone(&cloud);
}

#[test]
fn a_hosted_zone_that_may_not_be_looked_at_is_not_taken_for_an_empty_one() {
    let fixture = own();
    let cloud = settled(&fixture, Pace::INSTANT);
    cloud.change(|world| world.denied_zones = Some("ListResourceRecordSets: AccessDenied".into()));
    for desired in [&fixture.desired, &stack("").desired, &fixture.nothing] {
        let reason = stuck(&cloud, desired);
        assert_eq!(reason, WaitReason::Denied("ListResourceRecordSets: AccessDenied".into()));
        let held = cloud.held();
        assert_eq!((held.apis.len(), held.domains.names.len(), held.domains.zones.len()), (1, 1, 1));
    }
    cloud.change(|world| world.denied_zones = None);
    empty(&cloud, &fixture.nothing);
    assert_gone(&cloud);
}

#[test]
fn domain_names_that_may_not_be_looked_at_are_not_taken_for_none() {
    let (with, without) = (own(), stack(""));
    let cloud = settled(&with, Pace::INSTANT);
    let deny = |world: &mut World| world.denied_domains = Some("GetDomainNames: AccessDenied".into());
    cloud.change(deny);
    for desired in [&with.desired, &without.desired, &with.nothing] {
        assert_eq!(stuck(&cloud, desired), WaitReason::Denied("GetDomainNames: AccessDenied".into()));
        assert_eq!((cloud.held().apis.len(), cloud.held().domains.names.len()), (1, 1));
    }
    cloud.change(|world| world.denied_domains = None);
    empty(&cloud, &with.nothing);
    assert_gone(&cloud);

    // Who has no custom domain need not let us look for one, but is not let go unseen.
    let plain = MemoryCloud::new(&without, Pace::INSTANT);
    plain.change(deny);
    settle(&plain, &without.desired);
    assert_whole(&plain, &without);
    assert_eq!(stuck(&plain, &without.nothing), WaitReason::Denied("GetDomainNames: AccessDenied".into()));
}

#[test]
fn a_domain_name_that_waits_for_a_person_says_for_what() {
    let fixture = own();
    for (status, remedy) in [
        ("PENDING_CERTIFICATE_REIMPORT", "import the certificate again"),
        ("PENDING_OWNERSHIP_VERIFICATION", "ownership verification certificate"),
    ] {
        let cloud = settled(&fixture, Pace::INSTANT);
        cloud.change(|world| domain(world).status = status.into());
        let reason = stuck(&cloud, &fixture.desired);
        assert!(reason.to_string().contains(status) && reason.to_string().contains(remedy), "{reason}");
        cloud.change(|world| domain(world).status = "UPDATING".into());
        let plan = look_at(&cloud, &fixture.desired).plan;
        assert_eq!(plan.to_string(), "… domain name live.example.com is UPDATING\n");
    }
}

#[test]
fn two_stacks_share_a_domain_name_under_different_paths() {
    let fixture = shared();
    let cloud = shared_cloud(&fixture, Pace::INSTANT);
    let root = stack("gateway: {customDomain: {domainName: live.example.com}}");
    settle(&cloud, &root.desired);
    let held = cloud.held();
    let keys: Vec<&str> = held.domains.names[NAME].mappings.iter().map(|mapping| mapping.key.as_str()).collect();
    assert_eq!(keys, ["theirs", ""], "the root is a path of its own");
}
