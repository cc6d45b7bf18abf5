//! One user's presence, and its laws under crashes, races and repeats.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;
use sumu_contract::presence::State;
use sumu_contract::settings::PresenceSource;

use super::{Changes, ReconcileError, Reconciler};
use crate::fakes::{Channel, Cloud, Crash, run};
use crate::ports::{Attribute, AttributeValue, Message, PresenceItem};

const NOW: u64 = 1_700_000_000_000;

fn reconciler(cloud: &Cloud, source: PresenceSource) -> Reconciler<Cloud, Cloud, Channel, Channel, Cloud> {
    Reconciler {
        changes: Changes::default(),
        connections: cloud.clone(),
        presence: cloud.clone(),
        source,
        queue: cloud.named("queue"),
        topic: cloud.named("topic"),
        clock: cloud.clone(),
    }
}

fn reconcile(cloud: &Cloud, user: &str) -> Result<u64, ReconcileError> {
    run(reconciler(cloud, PresenceSource::Queue).reconcile(user))
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
        run(reconciler(&cloud, source).reconcile("a")).unwrap();
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
    let all = run(futures::future::join_all((0..4).map(|_| reconciler.reconcile("a"))));
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

#[derive(Clone, Debug)]
enum Step {
    Open(usize, usize),
    Close(usize, usize),
    /// The row's time runs out.
    Expire(usize, usize),
    /// A record of this user arrives: in order, late, again, it is all the same.
    Record(usize),
    /// The same, but the run dies at one of its calls.
    DyingRecord(usize, u32, bool),
    /// Two runs for one user at once, of which both may be late.
    TwoAtOnce(usize),
    Time(u64),
}

const USERS: [&str; 2] = ["a", "b"];
const CONNECTIONS: [&str; 3] = ["1", "2", "3"];

fn step() -> impl Strategy<Value = Step> {
    let user = 0..USERS.len();
    let connection = 0..CONNECTIONS.len();
    prop_oneof![
        3 => (user.clone(), connection.clone()).prop_map(|(u, c)| Step::Open(u, c)),
        3 => (user.clone(), connection.clone()).prop_map(|(u, c)| Step::Close(u, c)),
        1 => (user.clone(), connection).prop_map(|(u, c)| Step::Expire(u, c)),
        4 => user.clone().prop_map(Step::Record),
        4 => (user.clone(), 0_u32..8, any::<bool>()).prop_map(|(u, n, e)| Step::DyingRecord(u, n, e)),
        2 => user.prop_map(Step::TwoAtOnce),
        1 => (0_u64..5_000).prop_map(Step::Time),
    ]
}

fn perform(cloud: &Cloud, step: &Step) {
    match *step {
        Step::Open(u, c) => cloud.open(USERS[u], CONNECTIONS[c], NOW, None),
        Step::Close(u, c) => cloud.close(USERS[u], CONNECTIONS[c]),
        Step::Expire(u, c) => {
            let mut state = cloud.state();
            if let Some(row) = state.rows.get_mut(&(USERS[u].into(), CONNECTIONS[c].into())) {
                row.delete_at = Some(1);
            }
        }
        Step::Record(u) => {
            reconcile(cloud, USERS[u]).unwrap();
        }
        Step::DyingRecord(u, calls_left, takes_effect) => {
            cloud.state().crash = Some(Crash { calls_left, takes_effect });
            // Whether it got to its end before it died does not matter.
            let _ = reconcile(cloud, USERS[u]);
            cloud.state().crash = None;
        }
        Step::TwoAtOnce(u) => {
            let reconciler = reconciler(cloud, PresenceSource::Queue);
            run(async {
                let runs = [reconciler.reconcile(USERS[u]), reconciler.reconcile(USERS[u])];
                futures::future::join_all(runs).await
            });
        }
        Step::Time(milliseconds) => cloud.state().now += milliseconds,
    }
}

proptest! {
    #[test]
    fn events_alternate_and_end_with_the_truth(steps in prop::collection::vec(step(), 0..60)) {
        let cloud = Cloud::at(NOW);
        for step in &steps {
            perform(&cloud, step);
            for user in USERS {
                let statuses = transitions(&cloud, user);
                let alternating = ["ONLINE", "OFFLINE"].iter().cycle().take(statuses.len());
                prop_assert!(statuses.iter().eq(alternating), "{user}: {statuses:?}");
            }
        }
        for user in USERS {
            reconcile(&cloud, user).unwrap();
            let now = cloud.state().now;
            let online = cloud.state().rows.values().any(|row| row.user_id == user && row.is_live(now));
            let statuses = transitions(&cloud, user);
            let last = statuses.last().map_or("OFFLINE", String::as_str);
            prop_assert_eq!(last, if online { "ONLINE" } else { "OFFLINE" });
            if let Some(item) = cloud.state().presence.get(user) {
                prop_assert_eq!(item.announced, item.version);
                prop_assert_eq!(item.version, statuses.len() as u64);
            }
        }
    }
}
