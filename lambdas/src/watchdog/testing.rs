//! What tests of the watchdog ask of the cloud in memory.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use super::changes::Changes;
use super::departure::Departure;
use super::reconcile::{Departures, Reconciler};
use crate::fakes::{Channel, Cloud};
use crate::ports::{AttributeValue, Message};
use sumu_contract::settings::PresenceSource;

pub const NOW: u64 = 1_700_000_000_000;

/// A reconciler of a stack with these settings.
pub fn reconciler(
    cloud: &Cloud,
    source: PresenceSource,
    grace: Option<u32>,
) -> Reconciler<Cloud, Cloud, Channel, Channel, Cloud> {
    Reconciler {
        changes: Changes::default(),
        connections: cloud.clone(),
        presence: cloud.clone(),
        source,
        queue: cloud.named("queue"),
        topic: cloud.named("topic"),
        departures: grace
            .map(|grace_period_seconds| Departures { queue: cloud.named("departures"), grace_period_seconds }),
        clock: cloud.clone(),
    }
}

/// The text of an attribute.
pub fn text(message: &Message, name: &str) -> Option<String> {
    let attribute = message.attributes.iter().find(|attribute| attribute.name == name)?;
    match &attribute.value {
        AttributeValue::Text(text) => Some(text.clone()),
        AttributeValue::Bytes(_) => None,
    }
}

/// What a backend makes of the events of a user that come to it at one place: repeats, which carry the same id, go.
pub fn transitions(cloud: &Cloud, place: &str, user: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let events = cloud.sent_to(place).into_iter().map(|(message, _)| message);
    events
        .filter(|message| text(message, "user_id").as_deref() == Some(user) && seen.insert(text(message, "id")))
        .map(|message| {
            let body: Value = serde_json::from_str(&message.body).unwrap();
            body["message"]["status"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// All departures that were ever sent.
pub fn departures(cloud: &Cloud) -> Vec<Departure> {
    cloud.sent_to("departures").iter().map(|(message, _)| Departure::parse(&message.body).unwrap()).collect()
}

/// The places where events go.
pub const fn places(source: PresenceSource) -> &'static [&'static str] {
    match source {
        PresenceSource::Queue => &["queue"],
        PresenceSource::Topic => &["topic"],
        PresenceSource::Both => &["queue", "topic"],
        PresenceSource::Stream => &[],
    }
}

/// Any of the four.
pub fn any_source() -> impl Strategy<Value = PresenceSource> {
    use PresenceSource::{Both, Queue, Stream, Topic};
    prop_oneof![Just(Queue), Just(Topic), Just(Both), Just(Stream)]
}

/// Law: at each place the events of a user strictly alternate, and nothing comes anywhere else.
pub fn alternates(cloud: &Cloud, source: PresenceSource, user: &str) -> Result<(), TestCaseError> {
    for place in ["queue", "topic"] {
        let statuses = transitions(cloud, place, user);
        let alternating = ["ONLINE", "OFFLINE"].iter().cycle().take(statuses.len());
        prop_assert!(statuses.iter().eq(alternating), "{user} on the {place}: {statuses:?}");
        prop_assert!(statuses.is_empty() || places(source).contains(&place), "nobody asked for events on the {place}");
    }
    Ok(())
}

/// Law: once everything was worked off, the table and the last event say what is true, and nothing is left to tell.
pub fn tells_the_truth(cloud: &Cloud, source: PresenceSource, user: &str) -> Result<(), TestCaseError> {
    let state = cloud.state();
    let is_there = state.rows.values().any(|row| row.user_id == user && row.is_live(state.now));
    let truth = if is_there { "ONLINE" } else { "OFFLINE" };
    let item = state.presence.get(user).copied();
    drop(state);
    prop_assert_eq!(item.map_or("OFFLINE", |item| item.state.as_str()), truth);
    prop_assert!(item.is_none_or(|item| item.announced == item.version), "{item:?}");
    for place in places(source) {
        let statuses = transitions(cloud, place, user);
        prop_assert_eq!(statuses.last().map_or("OFFLINE", String::as_str), truth);
    }
    Ok(())
}
