//! One user's presence, and its laws under crashes, races and repeats.

mod grace;
mod laws;

use std::collections::BTreeSet;

use serde_json::Value;
use sumu_contract::presence::State;
use sumu_contract::settings::PresenceSource;

use super::{Departures, ReconcileError, Reconciler};
use crate::fakes::{Channel, Cloud, run};
use crate::ports::{Attribute, AttributeValue, Message, PresenceItem};

const NOW: u64 = 1_700_000_000_000;

fn reconciler(cloud: &Cloud, source: PresenceSource) -> Reconciler<Cloud, Cloud, Channel, Channel, Cloud> {
    Reconciler {
        connections: cloud.clone(),
        presence: cloud.clone(),
        source,
        queue: cloud.named("queue"),
        topic: cloud.named("topic"),
        departures: None,
        clock: cloud.clone(),
    }
}

fn with_grace(cloud: &Cloud, grace: Option<u32>) -> Reconciler<Cloud, Cloud, Channel, Channel, Cloud> {
    let departures =
        grace.map(|grace_period_seconds| Departures { queue: cloud.named("departures"), grace_period_seconds });
    Reconciler { departures, ..reconciler(cloud, PresenceSource::Queue) }
}

fn reconcile(cloud: &Cloud, user: &str) -> Result<u64, ReconcileError> {
    run(reconciler(cloud, PresenceSource::Queue).reconcile(user, None))
}

fn bodies(cloud: &Cloud) -> Vec<String> {
    cloud.sent_to("queue").into_iter().map(|(message, _)| message.body).collect()
}

#[test]
fn the_event_says_who_what_and_when() {
    let cloud = Cloud::at(NOW);
    cloud.open("سومو", "1", NOW, None);
    assert_eq!(reconcile(&cloud, "سومو").unwrap(), 1);
    let expected = Message {
        body: format!(r#"{{"type":"presence","message":{{"user_id":"سومو","status":"ONLINE","timestamp":{NOW}}}}}"#),
        attributes: vec![
            Attribute::text("source", "lambda.presence.watchdog"),
            Attribute::text("user_id", "سومو"),
            Attribute::number("timestamp", NOW),
            Attribute::text("id", "سومو:1"),
        ],
    };
    assert_eq!(cloud.sent_to("queue"), [(expected, 0)]);
}

#[test]
fn only_the_first_connection_and_the_last_are_announced() {
    let cloud = Cloud::at(NOW);
    let mut seen = Vec::new();
    let steps: [(&str, bool); 4] = [("1", true), ("2", true), ("1", false), ("2", false)];
    for (connection, opens) in steps {
        if opens {
            cloud.open("a", connection, NOW, None);
        } else {
            cloud.close("a", connection);
        }
        seen.push(reconcile(&cloud, "a").unwrap());
    }
    assert_eq!(seen, [1, 0, 0, 1]);
    assert!(
        bodies(&cloud)[1].contains(&format!(r#""status":"OFFLINE","timestamp":{}"#, NOW + 1)),
        "times never stand still"
    );
}

#[test]
fn who_came_and_went_unseen_is_not_announced() {
    let cloud = Cloud::at(NOW);
    assert_eq!(reconcile(&cloud, "a").unwrap(), 0);
    assert!(cloud.state().presence.is_empty());
}

#[test]
fn a_row_past_its_time_is_no_connection() {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, Some(NOW / 1000 + 10));
    reconcile(&cloud, "a").unwrap();
    cloud.state().now += 10_000;
    assert_eq!(reconcile(&cloud, "a").unwrap(), 1);
    assert_eq!(cloud.state().presence["a"].state, State::Offline);
}

#[test]
fn events_go_where_the_stack_says() {
    let cases = [
        (PresenceSource::Queue, (1, 0)),
        (PresenceSource::Topic, (0, 1)),
        (PresenceSource::Both, (1, 1)),
        (PresenceSource::Stream, (0, 0)),
    ];
    for (source, (queue, topic)) in cases {
        let cloud = Cloud::at(NOW);
        cloud.open("a", "1", NOW, None);
        run(reconciler(&cloud, source).reconcile("a", None)).unwrap();
        assert_eq!((cloud.sent_to("queue").len(), cloud.sent_to("topic").len()), (queue, topic));
        assert_eq!(cloud.state().presence["a"].announced, 1, "{source:?}");
    }
}

#[test]
fn a_change_that_was_not_announced_is_before_the_next_one() {
    let cloud = Cloud::at(NOW);
    let item = PresenceItem { state: State::Online, version: 7, announced: 6, changed_at: 5 };
    cloud.state().presence.insert("a".into(), item);
    assert_eq!(reconcile(&cloud, "a").unwrap(), 2);
    let bodies = bodies(&cloud);
    assert!(bodies[0].contains(r#""ONLINE","timestamp":5"#) && bodies[1].contains("OFFLINE"));
}

#[test]
fn two_runs_at_once_announce_alternating_versions() {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, None);
    let reconciler = reconciler(&cloud, PresenceSource::Queue);
    let all = run(futures::future::join_all((0..4).map(|_| reconciler.reconcile("a", None))));
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(transitions(&cloud, "a"), ["ONLINE"]);
}

/// What a backend makes of the events of a user: repeats, which carry the same id, go.
fn transitions(cloud: &Cloud, user: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut statuses = Vec::new();
    for (message, _) in cloud.sent_to("queue") {
        let text = |name: &str| {
            message.attributes.iter().find(|attribute| attribute.name == name).and_then(|attribute| {
                match &attribute.value {
                    AttributeValue::Text(text) => Some(text.clone()),
                    AttributeValue::Bytes(_) => None,
                }
            })
        };
        if text("user_id").as_deref() == Some(user) && seen.insert(text("id").unwrap()) {
            let body: Value = serde_json::from_str(&message.body).unwrap();
            statuses.push(body["message"]["status"].as_str().unwrap().to_owned());
        }
    }
    statuses
}
