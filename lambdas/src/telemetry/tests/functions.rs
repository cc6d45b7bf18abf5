//! What each function tells in the line of an invocation.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::fakes::functions::{authorizer, pusher, routes, watchdog};
use crate::fakes::{Cloud, run};
use crate::ports::Posted;
use crate::telemetry::testing::{line, lines, metrics};

const NOW: u64 = 1_700_000_000_000;
const OLD: u64 = NOW - 60_000;
const DEADLINE: u64 = NOW + 120_000;

/// The metrics of a line as one object.
fn told(line: &Value) -> Value {
    metrics(line).into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

#[test]
fn the_authorizer_tells_whom_it_refused_and_why() {
    let cloud = Cloud::at(NOW);
    let event = |token: Value| json!({"methodArn": "arn:m", "requestContext": {"connectionId": "c1"}, "queryStringParameters": {"authorization": token}});
    let authorizer = authorizer(&cloud);
    let ask = |token: Value| line(|| drop(run(authorizer.handle(event(token)))));
    for (token, reason) in [(json!(null), "NoToken"), (json!("no token"), "Malformed")] {
        let line = ask(token);
        assert_eq!((&line["Reason"], told(&line)), (&json!(reason), json!({"Refusals": 1})));
        assert_eq!(line["connection_id"], "c1");
    }
    // Nobody has the keys.
    let token = "eyJhbGciOiJFUzI1NiJ9.e30.AAAA";
    let line = ask(json!(token));
    assert_eq!(told(&line), json!({"VerdictFailures": 1, "JwksFetches": 1, "JwksFetchFailures": 1}));
    assert_eq!(told(&ask(json!(token))), told(&line), "each fetch is told once");
}

fn event(event_type: &str, route_key: &str, body: &str) -> Value {
    json!({
        "requestContext": {
            "routeKey": route_key, "eventType": event_type, "connectionId": "c1=", "requestId": "r1",
            "authorizer": {"principalId": "user"},
        },
        "body": body,
    })
}

#[test]
fn the_routes_tell_connections_frames_and_errors() {
    let cloud = Cloud::at(NOW);
    let routes = routes(&cloud);
    let tell = |event: Value| line(|| drop(run(routes.handle(event))));
    assert_eq!(told(&tell(event("CONNECT", "$connect", ""))), json!({"Connects": 1}));
    assert_eq!(told(&tell(event("DISCONNECT", "$disconnect", ""))), json!({"Disconnects": 1}));
    cloud.fail("put", 1);
    assert_eq!(told(&tell(event("CONNECT", "$connect", ""))), json!({"ConnectionFailures": 1}));

    let frame = |route_key: &str, body: &str| {
        let line = tell(event("MESSAGE", route_key, body));
        (line["Route"].clone(), line.get("Code").cloned(), told(&line))
    };
    assert_eq!(frame("ping", r#"{"action":"ping"}"#), (json!("ping"), None, json!({"Frames": 1})));
    let error = json!({"Frames": 1, "FrameErrors": 1});
    assert_eq!(frame("$default", "nonsense"), (json!("$default"), Some(json!("InvalidJson")), error.clone()));
    // A client can name the gateway's own routes as an action.
    assert_eq!(frame("$connect", "{}"), (json!("Other"), Some(json!("BadRequest")), error));
    let message = r#"{"action":"send","message":1}"#;
    cloud.fail("queue", 1);
    assert_eq!(frame("send", message), (json!("send"), None, json!({"Frames": 1, "ForwardRetries": 1})));
    cloud.fail("queue", 2);
    let unavailable = json!({"Frames": 1, "ForwardRetries": 1, "FrameErrors": 1});
    assert_eq!(frame("send", message), (json!("send"), Some(json!("Unavailable")), unavailable));
}

fn sqs(queue: &str, bodies: &[&str]) -> Value {
    let record = |body: &&str| {
        json!({"messageId": "m", "body": body, "eventSourceARN": format!("arn:aws:sqs:r:a:{queue}"),
               "attributes": {"SentTimestamp": (NOW - 20).to_string()}})
    };
    json!({"Records": bodies.iter().map(record).collect::<Vec<_>>()})
}

#[test]
fn the_pusher_tells_what_came_of_posts_and_how_long_they_took() {
    let cloud = Cloud::at(NOW);
    cloud.state().page_rows = 1000;
    for n in 1..=5 {
        cloud.open("a", &format!("a{n}"), OLD, None);
    }
    let answers = [
        ("a1", vec![Posted::Throttled, Posted::Delivered]),
        ("a2", vec![Posted::Unavailable; 3]),
        ("a3", vec![Posted::Gone]),
        ("a4", vec![Posted::Forbidden]),
        ("a5", vec![Posted::TooLarge]),
    ];
    cloud.state().answers = answers.map(|(id, answers)| (id.to_owned(), VecDeque::from(answers))).into();
    let event = sqs("notifications", &[r#"{"users":["a"],"data":1}"#, "nonsense"]);
    let line = line(|| drop(run(pusher(&cloud).handle(event, DEADLINE))));
    assert_eq!(
        told(&line),
        json!({
            "Records": 2, "RecordWait": [20, 20], "BadRequests": 1, "DeadLetters": 1, "PostsDelivered": 1,
            "PostsGone": 1, "PostsRetried": 1, "PostsForbidden": 1, "PostsInvalid": 1, "PostsThrottled": 1,
            "PostsUnavailable": 3, "PostLatency": [0, 0, 0, 0, 0, 0, 0, 0],
        })
    );
    let metrics = &line["_aws"]["CloudWatchMetrics"];
    assert_eq!(metrics.as_array().map(Vec::len), Some(1), "nothing of a push is a dimension: {metrics}");
}

#[test]
fn the_pusher_tells_how_a_broadcast_goes_on() {
    let cloud = Cloud::at(NOW);
    for n in 0..4 {
        cloud.open("a", &format!("a{n}"), OLD, None);
    }
    cloud.state().page_rows = 3;
    let pusher = pusher(&cloud);
    let event = sqs("notifications", &[r#"{"target":{"broadcast":true},"data":1}"#]);
    let divided = line(|| drop(run(pusher.handle(event, DEADLINE))));
    assert_eq!(told(&divided), json!({"Records": 1, "RecordWait": [20], "BroadcastItems": 10}));
    let items: Vec<String> = cloud.sent_to("pushes").into_iter().map(|(item, _)| item.body).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let lines = lines(|| {
        drop(run(pusher.handle(sqs("pushes", &items), DEADLINE)));
        // The same again, as a queue may hand it out, after others were further.
        cloud.state().turns.values_mut().for_each(|(step, _)| *step += 1);
        drop(run(pusher.handle(sqs("pushes", &items), DEADLINE)));
    });
    let sum = |line: &Value, name: &str| line[name].as_u64().unwrap_or(0);
    assert_eq!((sum(&lines[0], "BroadcastPages"), sum(&lines[0], "BroadcastRows")), (10, 3), "{}", lines[0]);
    assert_eq!(sum(&lines[0], "BroadcastItems"), 1, "one segment has a second page");
    assert_eq!((sum(&lines[0], "PostsDelivered"), lines[0]["ItemWait"].as_array().map(Vec::len)), (3, Some(10)));
    assert_eq!(sum(&lines[1], "BroadcastItemsSuperseded"), 10, "{}", lines[1]);
    assert!(lines[0].get("RecordWait").is_none(), "items of our own wait on purpose");
}

#[test]
fn the_watchdog_tells_who_came_and_went_and_what_it_cost() {
    let cloud = Cloud::at(NOW);
    let watchdog = watchdog(&cloud);
    let record = json!({"dynamodb": {"Keys": {"user_id": {"S": "a"}}, "SequenceNumber": "1",
        "ApproximateCreationDateTime": (NOW / 1000 - 7)}});
    let batch = |records: &[Value]| {
        let event = json!({ "Records": records });
        line(|| drop(run(watchdog.handle(event))))
    };
    cloud.open("a", "1", NOW, None);
    cloud.fail("read", 1);
    let line = batch(&[record.clone(), record.clone()]);
    let wait = line["RecordWait"].clone();
    assert!(wait.as_array().is_some_and(|waits| waits.len() == 2 && waits[0].as_u64().unwrap().abs_diff(7_000) < 500));
    assert_eq!(
        told(&line),
        json!({"Records": 2, "RecordWait": wait, "PresenceOnline": 1, "PresenceAnnounced": 1, "PresenceRetries": 1})
    );
    cloud.close("a", "1");
    cloud.fail("queue", 9);
    let failed = json!({"Records": 1, "PresenceOffline": 1, "PresenceRetries": 3, "PresenceFailures": 1,
        "RecordFailures": 1});
    let mut line = told(&batch(std::slice::from_ref(&record)));
    line.as_object_mut().unwrap().remove("RecordWait");
    assert_eq!(line, failed, "what was done before the failure counts too");
}

#[test]
fn an_event_that_is_none_of_ours_has_a_line_as_well() {
    let cloud = Cloud::at(NOW);
    let other = || json!({"something": "else"});
    let lines = lines(|| {
        assert!(run(authorizer(&cloud).handle(other())).is_err());
        assert!(run(routes(&cloud).handle(other())).is_err());
        assert!(run(pusher(&cloud).handle(other(), DEADLINE)).is_err());
        assert!(run(watchdog(&cloud).handle(other())).is_err());
    });
    let told: Vec<(&str, &str)> =
        lines.iter().map(|line| (line["function"].as_str().unwrap(), line["outcome"].as_str().unwrap())).collect();
    let functions = ["authorizer", "routes", "pusher", "watchdog"];
    assert_eq!(told, functions.map(|function| (function, "fault")));
    assert!(lines.iter().all(|line| line["ms"].is_u64()), "{lines:?}");
}
