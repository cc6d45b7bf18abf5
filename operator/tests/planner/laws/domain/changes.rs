//! Changes of the spec: the new way is open before the old one closes.

use sumu_operator::desired::Desired;

use super::{NAME, assert_gone, assert_leads, own, own_but, shared, shared_cloud, theirs};
use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::stack;
use crate::laws::{assert_whole, settled};
use crate::passes::{pass, settle};

#[test]
fn a_custom_domain_that_is_taken_out_of_the_spec_goes_and_leaves_the_stack() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let (with, without) = (own(), stack(""));
        let cloud = settled(&with, pace);
        let calls = cloud.calls();
        settle(&cloud, &without.desired);
        assert_whole(&cloud, &without);
        assert_gone(&cloud);
        assert_eq!(
            cloud.lines_since(calls),
            [
                "- api mapping live.example.com/push",
                "- domain name live.example.com",
                "- records A, AAAA of live.example.com in hosted zone ZONE1",
                "~ api notes of what is gone",
                "~ api notes of what is gone",
            ]
        );
        settle(&cloud, &with.desired);
        assert_leads(&cloud, &with);
    }
}

/// Makes passes until nothing is left to do, and looks after each that a mapping leads to the stage all the while.
fn settle_open(cloud: &MemoryCloud, desired: &Desired) {
    for _ in 0..60 {
        let is_settled = pass(cloud, desired).plan.is_settled();
        let held = cloud.held();
        let mut mappings = held.domains.names.values().flat_map(|found| &found.mappings);
        assert!(mappings.any(|mapping| mapping.api_id == held.apis[0].id), "no way is open: {:?}", held.domains);
        if is_settled {
            return;
        }
    }
    panic!("not settled:\n{}", pass(cloud, desired).plan);
}

#[test]
fn clients_have_a_way_in_all_the_while_that_a_custom_domain_changes() {
    let edits = [
        "domainName: chat.example.com",
        "path: other",
        "hostedZoneId: ZONE2",
        "certificateArn: 'arn:aws:acm:eu-west-3:210987654321:certificate/two'",
        "domainName: chat.example.com, hostedZoneId: ZONE2, path: other",
    ];
    for pace in [Pace::INSTANT, Pace::SLOW] {
        for edit in edits {
            let (before, after) = (own(), own_but(edit));
            let cloud = settled(&before, pace);
            settle_open(&cloud, &after.desired);
            assert_leads(&cloud, &after);
            settle_open(&cloud, &before.desired);
            assert_leads(&cloud, &before);
        }
    }
}

#[test]
fn an_edit_in_the_middle_of_the_making_of_a_custom_domain_settles_too() {
    let (before, after) = (own(), own_but("domainName: chat.example.com, hostedZoneId: ZONE2"));
    for passes in 0..25 {
        let cloud = MemoryCloud::new(&before, Pace::SLOW);
        for _ in 0..passes {
            pass(&cloud, &before.desired);
        }
        settle(&cloud, &after.desired);
        assert_leads(&cloud, &after);
    }
}

#[test]
fn records_that_are_no_longer_wanted_go_and_the_domain_name_stays() {
    let (with, without) = (
        own(),
        stack(&format!(
            "gateway: {{customDomain: {{domainName: {NAME}, path: push, certificateArn: 'arn:aws:acm:eu-west-3:210987654321:certificate/one'}}}}"
        )),
    );
    let cloud = settled(&with, Pace::SLOW);
    let calls = cloud.calls();
    settle(&cloud, &without.desired);
    assert_leads(&cloud, &without);
    assert_eq!(
        cloud.lines_since(calls),
        ["- records A, AAAA of live.example.com in hosted zone ZONE1", "~ api notes of what is gone"]
    );
}

#[test]
fn a_domain_name_stays_ours_when_the_certificate_is_taken_out_of_the_spec() {
    let (with, without) = (own(), shared());
    let cloud = settled(&with, Pace::INSTANT);
    settle(&cloud, &without.desired);
    let held = cloud.held();
    assert_eq!(held.domains.names[NAME].certificate_arn, with.desired.domain.as_ref().unwrap().certificate_arn);
    assert_eq!(held.domains.names[NAME].mappings.len(), 1);
    assert!(held.domains.zones.is_empty(), "the records are no longer asked for: {:?}", held.domains.zones);
}

#[test]
fn a_mapping_moves_from_a_shared_domain_name_to_one_of_ones_own() {
    let (before, after) = (shared(), own_but("domainName: chat.example.com"));
    let cloud = shared_cloud(&before, Pace::SLOW);
    settle_open(&cloud, &after.desired);
    let untouched = MemoryCloud::new(&before, Pace::SLOW);
    untouched.change(theirs);
    assert_eq!(cloud.held().domains.names[NAME], untouched.held().domains.names[NAME]);
    assert_eq!(cloud.held().domains.names["chat.example.com"].mappings.len(), 1);
}
