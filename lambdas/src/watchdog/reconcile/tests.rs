//! One user's presence, and its laws under crashes, races and repeats.

mod grace;
mod laws;

use sumu_contract::presence::State;
use sumu_contract::settings::PresenceSource;

use super::ReconcileError;
use crate::fakes::{Cloud, Crash, run};
use crate::ports::{Attribute, Message, PresenceItem};
use crate::watchdog::testing::{NOW, places, reconciler, text, transitions};

fn reconcile(cloud: &Cloud, user: &str) -> Result<u64, ReconcileError> {
    run(reconciler(cloud, PresenceSource::Queue, None).reconcile(user, None))
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
        run(reconciler(&cloud, source, None).reconcile("a", None)).unwrap();
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
    let reconciler = reconciler(&cloud, PresenceSource::Queue, None);
    let all = run(futures::future::join_all((0..4).map(|_| reconciler.reconcile("a", None))));
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(transitions(&cloud, "queue", "a"), ["ONLINE"]);
}

#[test]
fn a_change_takes_no_more_calls_than_it_has_effects_and_two_reads() {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, None);
    reconcile(&cloud, "a").unwrap();
    assert_eq!(cloud.state().calls, ["read", "any", "change", "queue", "mark"]);
}

#[test]
fn an_event_that_must_be_repeated_has_the_same_id_text_and_time_at_both_places() {
    // read, any, change, send, publish, mark: the process dies at one of the last three.
    for calls_left in 3..6 {
        let cloud = Cloud::at(NOW);
        cloud.open("a", "1", NOW, None);
        let reconciler = reconciler(&cloud, PresenceSource::Both, None);
        cloud.state().crash = Some(Crash { calls_left, takes_effect: true });
        run(reconciler.reconcile("a", None)).unwrap_err();
        cloud.state().crash = None;
        cloud.state().now += 5000;
        run(reconciler.reconcile("a", None)).unwrap();
        let sent: Vec<Message> = places(PresenceSource::Both)
            .iter()
            .flat_map(|place| cloud.sent_to(place))
            .map(|(message, _)| message)
            .collect();
        assert!(sent.len() >= 2 && sent.windows(2).all(|two| two[0] == two[1]), "{calls_left}: {sent:#?}");
        assert_eq!(text(&sent[0], "id").as_deref(), Some("a:1"));
    }
}
