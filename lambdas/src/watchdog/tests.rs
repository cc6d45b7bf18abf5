//! Whole batches against the cloud in memory.

mod feeds;

use serde_json::{Value, json};
use sumu_contract::connection::BROADCAST_PREFIX;
use sumu_contract::presence::State;
use sumu_contract::settings::PresenceSource;

use super::Watchdog;
use super::testing::{NOW, reconciler, text, transitions};
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
fn the_lowest_record_that_failed_is_reported_and_all_others_are_done() {
    let cloud = Cloud::at(NOW);
    // Who comes back within the grace period needs no announcement.
    for user in ["back", "again"] {
        cloud.open(user, "1", NOW, None);
        handle(&cloud, &[user]);
        cloud.close(user, "1");
        handle(&cloud, &[user]);
    }
    let batch = ["back", "b", "c", "again"];
    for user in batch {
        cloud.open(user, "2", NOW, None);
    }
    cloud.fail("queue", 100);
    let failed = handle(&cloud, &batch);
    assert_eq!(failed, json!({"batchItemFailures": [{"itemIdentifier": "9"}]}), "9 and 10 failed: not as texts");
    for user in ["back", "again"] {
        assert_eq!(cloud.state().presence[user].state, State::Online, "{user} was done, whatever became of others");
    }
    cloud.fail("queue", 0);
    assert_eq!(handle(&cloud, &batch[1..]), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 4);
}

#[test]
fn two_closes_at_once_are_one_offline() {
    let cloud = Cloud::at(NOW);
    for connection in ["1", "2"] {
        cloud.open("a", connection, NOW, None);
    }
    let watchdog = Watchdog::new(reconciler(&cloud, PresenceSource::Queue, None));
    run(watchdog.handle(batch(&["a", "a"]))).unwrap();
    for connection in ["1", "2"] {
        cloud.close("a", connection);
    }
    // In one batch, and in two that run side by side.
    let both = run(futures::future::join(watchdog.handle(batch(&["a", "a"])), watchdog.handle(batch(&["a"]))));
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_eq!(transitions(&cloud, "queue", "a"), ["ONLINE", "OFFLINE"]);
}

#[test]
fn an_event_has_the_millisecond_of_the_change_and_not_the_streams_second() {
    let cloud = Cloud::at(NOW + 987);
    cloud.open("a", "1", NOW, None);
    let mut event = batch(&["a"]);
    event["Records"][0]["dynamodb"]["ApproximateCreationDateTime"] = json!(NOW / 1000);
    run(watchdog(&cloud).handle(event)).unwrap();
    let (sent, _) = &cloud.sent_to("queue")[0];
    assert_eq!(text(sent, "timestamp"), Some((NOW + 987).to_string()));
    let body: Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(body["message"]["timestamp"], json!(NOW + 987));
}

#[test]
fn a_broadcasts_own_rows_are_nobodys_presence() {
    let cloud = Cloud::at(NOW);
    let user = format!("{BROADCAST_PREFIX}job");
    for (segment, grace) in [("0", None), ("1", Some(30))] {
        // As the pusher writes them: past their time from the start.
        cloud.open(&user, segment, 0, Some(NOW / 1000 - 24 * 60 * 60));
        let watchdog = Watchdog::new(reconciler(&cloud, PresenceSource::Both, grace));
        run(watchdog.handle(batch(&[&user, &user]))).unwrap();
        cloud.close(&user, segment);
        run(watchdog.handle(batch(&[&user]))).unwrap();
    }
    assert!(cloud.state().presence.is_empty() && cloud.state().sent.is_empty());
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
