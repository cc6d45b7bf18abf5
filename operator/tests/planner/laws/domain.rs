//! A custom domain: made from anywhere, mended, changed and taken away whole, and what is not ours is left alone.

mod changes;
mod theirs;

use sumu_operator::observed::domain::{MappingState, RecordState};

use crate::cloud::{Fault, MemoryCloud, Pace, World};
use crate::fixtures::{Fixture, stack};
use crate::laws::{assert_whole, settled};
use crate::passes::{empty, look_at, pass, settle};

pub const NAME: &str = "live.example.com";
const CERTIFICATE: &str = "arn:aws:acm:eu-west-3:210987654321:certificate/one";

/// A stack whose domain name is its own, with records.
pub fn own() -> Fixture {
    own_but("")
}

/// The same with other members.
fn own_but(others: &str) -> Fixture {
    let usual = [("domainName", NAME), ("certificateArn", CERTIFICATE), ("path", "push"), ("hostedZoneId", "ZONE1")];
    let usual = usual.iter().filter(|(member, _)| !others.contains(member));
    let members: Vec<String> = usual.map(|(member, value)| format!("{member}: '{value}'")).collect();
    let comma = if others.is_empty() || members.is_empty() { "" } else { ", " };
    stack(&format!("gateway: {{customDomain: {{{}{comma}{others}}}}}", members.join(", ")))
}

/// A stack that is mapped under somebody else's domain name.
fn shared() -> Fixture {
    stack("gateway: {customDomain: {domainName: live.example.com, path: push}}")
}

/// Somebody else's domain name, with somebody else's API under it.
fn theirs(world: &mut World) {
    let mapping = MappingState {
        id: "theirs".into(),
        key: "theirs".into(),
        api_id: "theirs".into(),
        stage: "live".into(),
        is_ours: false,
    };
    let state = sumu_operator::observed::domain::DomainState {
        status: "AVAILABLE".into(),
        target: "d-theirs.execute-api.eu-west-3.amazonaws.com".into(),
        target_zone_id: "ZREGION".into(),
        certificate_arn: Some("arn:aws:acm:eu-west-3:210987654321:certificate/theirs".into()),
        mappings: vec![mapping],
        ..Default::default()
    };
    world.held.domains.names.insert(NAME.into(), state);
}

fn shared_cloud(fixture: &Fixture, pace: Pace) -> MemoryCloud {
    let cloud = MemoryCloud::new(fixture, pace);
    cloud.change(theirs);
    settle(&cloud, &fixture.desired);
    cloud
}

/// Asserts that a domain name of ours leads to our stage, by one mapping and two records, and nothing else does.
fn assert_leads(cloud: &MemoryCloud, fixture: &Fixture) {
    assert_whole(cloud, fixture);
    let want = fixture.desired.domain.as_ref().unwrap();
    let held = cloud.held();
    assert!(held.domains.names.keys().eq([&want.name]), "domain names: {:?}", held.domains.names);
    let found = &held.domains.names[&want.name];
    let mapped: Vec<(&str, &str)> = found.mappings.iter().map(|m| (m.key.as_str(), m.stage.as_str())).collect();
    assert_eq!(mapped, [(want.mapping_key.as_str(), "prod")]);
    assert_eq!(found.mappings[0].api_id, held.apis[0].id);
    assert_eq!(found.certificate_arn, want.certificate_arn);
    let records = cloud.change(|world| {
        let zones = world.zones.clone();
        zones.into_iter().map(|zone| (zone.clone(), world.records(&want.name, &zone).to_vec())).collect::<Vec<_>>()
    });
    for (zone, records) in records {
        let kinds: Vec<&str> = records.iter().map(|record| record.kind.as_str()).collect();
        let expected: &[&str] = if want.hosted_zone_id.as_ref() == Some(&zone) { &["A", "AAAA"] } else { &[] };
        assert_eq!(kinds, expected, "records in {zone}");
        let leads = |record: &RecordState| record.alias.as_ref().is_some_and(|alias| alias.target == found.target);
        assert!(records.iter().all(leads), "{records:?}");
    }
}

/// Asserts that nothing of a custom domain is left, not even the notes of it.
fn assert_gone(cloud: &MemoryCloud) {
    let held = cloud.held();
    assert!(held.domains.names.is_empty() && held.domains.zones.is_empty(), "left: {:?}", held.domains);
    for api in &held.apis {
        let notes: Vec<&String> =
            api.tags.keys().filter(|key| key.starts_with("sumu.live/") && key.contains('-')).collect();
        assert!(notes.is_empty(), "left: {notes:?}");
    }
}

#[test]
fn a_custom_domain_is_made_and_taken_away_with_its_stack() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = own();
        let cloud = settled(&fixture, pace);
        assert_leads(&cloud, &fixture);
        let calls = cloud.calls();
        for _ in 0..3 {
            assert_eq!(pass(&cloud, &fixture.desired).plan.to_string(), "nothing to do\n");
        }
        assert_eq!(cloud.calls(), calls);
        empty(&cloud, &fixture.nothing);
        assert_gone(&cloud);
        assert!(cloud.held().is_nothing());
    }
}

#[test]
fn no_call_fails_while_a_custom_domain_is_made_and_taken_away() {
    let fixture = own();
    let cloud = MemoryCloud::new(&fixture, Pace { role: 0, ..Pace::SLOW });
    settle(&cloud, &fixture.desired);
    empty(&cloud, &fixture.nothing);
    let failed: Vec<String> = cloud.change(|world| {
        world.calls.iter().filter_map(|call| call.answer.as_ref().err().map(ToString::to_string)).collect()
    });
    assert!(failed.is_empty(), "a plan holds only calls that can succeed: {failed:#?}");
}

#[test]
fn a_custom_domain_is_made_and_taken_away_whichever_call_fails() {
    let fixture = own();
    let whole = settled(&fixture, Pace::INSTANT);
    let made = whole.calls();
    let gone = whole.copy();
    empty(&gone, &fixture.nothing);
    for fault in [Fault::Throttled, Fault::AnswerLost, Fault::NotDone] {
        for at in 1..=made {
            let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
            cloud.change(|world| world.fault = Some((at, fault)));
            settle(&cloud, &fixture.desired);
            assert_leads(&cloud, &fixture);
        }
        for at in made + 1..=gone.calls() {
            let cloud = whole.copy();
            cloud.change(|world| world.fault = Some((at, fault)));
            empty(&cloud, &fixture.nothing);
            assert_gone(&cloud);
        }
    }
}

#[test]
fn a_custom_domain_is_taken_away_from_the_middle_of_its_creation() {
    let fixture = own();
    for pace in [Pace::INSTANT, Pace::SLOW] {
        for passes in 0..25 {
            let cloud = MemoryCloud::new(&fixture, pace);
            for _ in 0..passes {
                pass(&cloud, &fixture.desired);
            }
            let without = cloud.copy();
            empty(&cloud, &fixture.nothing);
            assert_gone(&cloud);
            settle(&without, &stack("").desired);
            assert_gone(&without);
        }
    }
}

#[test]
fn reads_that_lag_behind_writes_make_nothing_of_a_custom_domain_twice() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = own();
        let cloud = MemoryCloud::new(&fixture, pace);
        cloud.change(|world| world.lags = true);
        settle(&cloud, &fixture.desired);
        settle(&cloud, &fixture.desired);
        cloud.change(|world| world.lags = false);
        assert_leads(&cloud, &fixture);
    }
}

/// What somebody could change behind the operator's back, with the calls that put it right.
type Drift = (&'static str, fn(&mut World), &'static [&'static str]);

fn forget(world: &mut World, begin: &str) {
    world.held.apis[0].tags.retain(|key, _| !key.starts_with(begin));
}

fn domain(world: &mut World) -> &mut sumu_operator::observed::domain::DomainState {
    world.held.domains.names.get_mut(NAME).unwrap()
}

const DRIFTS: &[Drift] = &[
    (
        "the mapping is gone",
        |world| domain(world).mappings.clear(),
        &["+ api mapping live.example.com/push to stage prod"],
    ),
    (
        "the mapping leads to another stage",
        |world| domain(world).mappings[0].stage = "old".into(),
        &["~ api mapping live.example.com/push to stage prod"],
    ),
    (
        "our api is mapped once more",
        |world| {
            let twin = MappingState { id: "twin".into(), key: "twin".into(), ..domain(world).mappings[0].clone() };
            domain(world).mappings.push(twin);
        },
        &["- api mapping live.example.com/twin"],
    ),
    (
        "the certificate is another one",
        |world| domain(world).certificate_arn = Some("arn:other".into()),
        &["~ domain name live.example.com certificate"],
    ),
    (
        "a tag of the domain name",
        |world| drop(domain(world).tags.insert("cost".into(), "c-0".into())),
        &["~ domain name live.example.com tags cost"],
    ),
    (
        "a record is gone",
        |world| {
            let left = world.records(NAME, "ZONE1")[..1].to_vec();
            world.set_records(NAME, "ZONE1", left);
        },
        &["+ records AAAA of live.example.com in hosted zone ZONE1"],
    ),
    (
        "all records are gone",
        |world| world.set_records(NAME, "ZONE1", vec![]),
        &["+ records A, AAAA of live.example.com in hosted zone ZONE1"],
    ),
    (
        "the note of the domain name is gone",
        |world| forget(world, "sumu.live/domain-"),
        &["~ api note of live.example.com"],
    ),
    ("the note of the records is gone", |world| forget(world, "sumu.live/alias-"), &["~ api note of TARGET"]),
    (
        "the domain name is gone, and its records lead nowhere",
        |world| drop(world.held.domains.names.remove(NAME)),
        &[
            "+ domain name live.example.com",
            "+ api mapping live.example.com/push to stage prod",
            "~ records A, AAAA of live.example.com in hosted zone ZONE1",
            "~ api note of TARGET",
        ],
    ),
];

#[test]
fn every_drift_of_a_custom_domain_is_repaired_by_exactly_the_calls_that_it_takes() {
    let fixture = own();
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let whole = settled(&fixture, pace);
        for (name, change, repair) in DRIFTS {
            let cloud = whole.copy();
            let (before, calls) = (cloud.held(), cloud.calls());
            cloud.change(change);
            assert_ne!(cloud.held(), before, "{name}: nothing was changed");
            settle(&cloud, &fixture.desired);
            let target = cloud.held().domains.names[NAME].target.clone();
            let lines: Vec<String> =
                cloud.lines_since(calls).iter().map(|line| line.replace(&target, "TARGET")).collect();
            let mut expected = repair.to_vec();
            expected.sort_unstable();
            assert_eq!(lines, expected, "{name}");
            assert_leads(&cloud, &fixture);
        }
    }
}

#[test]
fn a_stack_with_a_custom_domain_is_deleted_after_any_single_drift() {
    let fixture = own();
    let whole = settled(&fixture, Pace::SLOW);
    for (name, change, _) in DRIFTS {
        // Nothing else tells that the records are ours.
        if name.contains("note of") || name.contains("leads nowhere") {
            continue;
        }
        let cloud = whole.copy();
        cloud.change(change);
        empty(&cloud, &fixture.nothing);
        assert_gone(&cloud);
    }
}

#[test]
fn records_whose_domain_name_somebody_has_deleted_go_with_the_stack() {
    let fixture = own();
    let cloud = settled(&fixture, Pace::SLOW);
    cloud.change(|world| drop(world.held.domains.names.remove(NAME)));
    empty(&cloud, &fixture.nothing);
    assert_gone(&cloud);
}

#[test]
fn a_domain_name_whose_api_somebody_has_deleted_goes_with_the_stack() {
    let fixture = own();
    let cloud = settled(&fixture, Pace::SLOW);
    cloud.change(|world| {
        world.set_records(NAME, "ZONE1", vec![]);
        domain(world).mappings.clear();
        world.held.apis.clear();
    });
    empty(&cloud, &fixture.nothing);
    assert_gone(&cloud);
}

#[test]
fn a_stack_is_mapped_under_a_domain_name_of_somebody_else_and_leaves_it_as_it_was() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = shared();
        let cloud = shared_cloud(&fixture, pace);
        assert_whole(&cloud, &fixture);
        let held = cloud.held();
        let keys: Vec<&str> = held.domains.names[NAME].mappings.iter().map(|mapping| mapping.key.as_str()).collect();
        assert_eq!(keys, ["theirs", "push"]);
        empty(&cloud, &fixture.nothing);
        let before = MemoryCloud::new(&fixture, pace);
        before.change(theirs);
        assert_eq!(cloud.held(), before.held());
    }
}

#[test]
fn an_api_that_is_made_twice_is_mapped_once() {
    let fixture = own();
    for when in 0..12 {
        let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
        (0..=when).for_each(|_| drop(pass(&cloud, &fixture.desired)));
        cloud.change(|world| {
            let twin = sumu_operator::observed::ApiState { id: "zzzzzzzz".into(), ..world.held.apis[0].clone() };
            world.held.apis.push(twin);
        });
        settle(&cloud, &fixture.desired);
        assert_leads(&cloud, &fixture);
    }
    assert_eq!(look_at(&settled(&fixture, Pace::INSTANT), &fixture.desired).plan.to_string(), "nothing to do\n");
}
