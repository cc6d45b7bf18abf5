//! Whole batches against the cloud in memory.

mod feeds;

use serde_json::{Value, json};
use sumu_contract::settings::PresenceSource;

use super::Watchdog;
use super::testing::{NOW, reconciler};
use crate::fakes::{Channel, Cloud, run};

fn watchdog(cloud: &Cloud) -> Watchdog<Cloud, Cloud, Channel, Channel, Cloud> {
    Watchdog::new(reconciler(cloud, PresenceSource::Queue, Some(30)))
}

fn batch(users: &[&str]) -> Value {
    let record = |(n, user): (usize, &&str)| {
        json!({"eventName": "INSERT", "dynamodb": {
            "Keys": {"user_id": {"S": user}, "connection_id": {"S": "c"}}, "SequenceNumber": format!("{}", n + 8)}})
    };
    json!({"Records": users.iter().enumerate().map(record).collect::<Vec<_>>()})
}

fn handle(cloud: &Cloud, users: &[&str]) -> Value {
    run(watchdog(cloud).handle(batch(users))).unwrap()
}

#[test]
fn a_batch_is_worked_off_user_by_user() {
    let cloud = Cloud::at(NOW);
    for user in ["a", "b"] {
        cloud.open(user, "1", NOW, None);
        cloud.open(user, "2", NOW, None);
    }
    assert_eq!(handle(&cloud, &["a", "b", "a", "b"]), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 2);
    assert_eq!(handle(&cloud, &["a", "b"]), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 2, "a replay has no effect");
}

#[test]
fn passing_failures_are_sat_out_inside_one_invocation() {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, None);
    cloud.fail("queue", 3);
    assert_eq!(handle(&cloud, &["a"]), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 1);
    let pauses: Vec<u128> = cloud.state().pauses.iter().map(std::time::Duration::as_millis).collect();
    assert_eq!(pauses, [200, 400, 800]);
}

#[test]
fn the_first_record_of_a_failed_user_is_reported_and_the_others_are_done() {
    let cloud = Cloud::at(NOW);
    for user in ["a", "b", "c"] {
        cloud.open(user, "1", NOW, None);
    }
    run(watchdog(&cloud).handle(batch(&["a"]))).unwrap();
    // Every announcement fails: `a` needs none.
    cloud.fail("queue", 100);
    let failed = handle(&cloud, &["a", "a", "b", "c"]);
    assert_eq!(failed, json!({"batchItemFailures": [{"itemIdentifier": "10"}]}), "in order, not as texts");
    cloud.fail("queue", 0);
    assert_eq!(handle(&cloud, &["b", "c"]), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 3);
}

#[test]
fn a_failure_that_cannot_be_named_fails_the_batch() {
    let cloud = Cloud::at(NOW);
    cloud.fail("read", 100);
    let event = json!({"Records": [{"dynamodb": {"Keys": {"user_id": {"S": "a"}}}}]});
    assert!(run(watchdog(&cloud).handle(event)).is_err());
    assert!(run(watchdog(&cloud).handle(json!({}))).is_err());
}

#[test]
fn a_record_that_names_nobody_holds_nobody_up() {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, None);
    let mut event = batch(&["a"]);
    event["Records"].as_array_mut().unwrap().insert(0, json!({"dynamodb": {"Keys": {"id": {"N": "1"}}}}));
    assert_eq!(run(watchdog(&cloud).handle(event)).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 1);
}

/// The event with which the queue gives departures back, in the order of the given places.
fn departures(cloud: &Cloud, places: &[usize]) -> Value {
    let sent = cloud.sent_to("departures");
    let record = |place: &usize| json!({"eventSource": "aws:sqs", "messageId": format!("m{place}"), "body": sent[*place].0.body});
    json!({"Records": places.iter().map(record).collect::<Vec<_>>()})
}

#[test]
fn departures_come_back_and_each_that_fails_comes_again_alone() {
    let cloud = Cloud::at(NOW);
    for user in ["a", "b", "c"] {
        cloud.open(user, "1", NOW, None);
    }
    handle(&cloud, &["a", "b", "c"]);
    for user in ["a", "b", "c"] {
        cloud.close(user, "1");
    }
    handle(&cloud, &["a", "b", "c"]);
    assert_eq!(cloud.sent_to("queue").len(), 3, "nobody is told yet");
    assert!(cloud.sent_to("departures").iter().all(|(_, delay)| *delay == 30));
    cloud.state().now += 30_000;
    cloud.open("b", "2", NOW, None);
    // `b` is back and needs no announcement.
    cloud.fail("queue", 100);
    let failed = run(watchdog(&cloud).handle(departures(&cloud, &[2, 1, 0, 0]))).unwrap();
    let mut failed: Vec<&str> = failed["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["itemIdentifier"].as_str().unwrap())
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, ["m0", "m0", "m2"]);
    cloud.fail("queue", 0);
    let done = run(watchdog(&cloud).handle(departures(&cloud, &[0, 2]))).unwrap();
    assert_eq!(done, json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 5);
}

#[test]
fn a_message_that_is_no_departure_ends_in_the_dead_letter_queue_alone() {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, None);
    handle(&cloud, &["a"]);
    cloud.close("a", "1");
    handle(&cloud, &["a"]);
    let mut event = departures(&cloud, &[0]);
    event["Records"].as_array_mut().unwrap().push(json!({"eventSource": "aws:sqs", "messageId": "x", "body": "{}"}));
    let answer = run(watchdog(&cloud).handle(event)).unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "x"}]}));
    assert_eq!(cloud.sent_to("queue").len(), 2);
}
