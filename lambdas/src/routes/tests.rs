//! Every route, every reply, and messages byte for byte.

use serde_json::{Value, json};

use super::Routes;
use crate::fakes::{Channel, Cloud, run};
use crate::ports::{Attribute, Connection};

const AT: u64 = 1_700_000_000_123;

fn routes(cloud: &Cloud) -> Routes<Cloud, Channel, Channel, Cloud> {
    Routes {
        connections: cloud.clone(),
        connection_ttl_seconds: 7200,
        queue: cloud.named("queue"),
        topic: cloud.named("topic"),
        clock: cloud.clone(),
    }
}

fn event(event_type: &str, route_key: &str, body: Option<&str>) -> Value {
    json!({
        "requestContext": {
            "routeKey": route_key, "eventType": event_type, "connectionId": "c1=", "requestId": "r1",
            "requestTimeEpoch": AT, "authorizer": {"principalId": "user", "exp": "1800000000", "integrationLatency": 5},
        },
        "body": body, "isBase64Encoded": false,
    })
}

fn answer(cloud: &Cloud, event: Value) -> Value {
    run(routes(cloud).handle(event)).unwrap()
}

/// The frame that the client gets.
fn reply(cloud: &Cloud, route_key: &str, body: &str) -> String {
    let answer = answer(cloud, event("MESSAGE", route_key, Some(body)));
    assert_eq!(answer["statusCode"], 200);
    answer["body"].as_str().unwrap().to_owned()
}

#[test]
fn a_connection_is_written_with_its_times() {
    let cloud = Cloud::default();
    assert_eq!(answer(&cloud, event("CONNECT", "$connect", None)), json!({"statusCode": 200}));
    let expected = Connection {
        user_id: "user".into(),
        connection_id: "c1=".into(),
        connected_at: AT,
        delete_at: Some(1_700_007_200),
    };
    assert_eq!(cloud.state().rows.values().collect::<Vec<_>>(), [&expected]);
    assert_eq!(cloud.state().expires_at["c1="], 1_800_000_000);
}

#[test]
fn an_expiry_may_be_a_number_or_missing() {
    for (exp, expected) in [(json!(7), Some(&7)), (json!(null), None), (json!("soon"), None)] {
        let cloud = Cloud::default();
        let mut event = event("CONNECT", "$connect", None);
        event["requestContext"]["authorizer"]["exp"] = exp;
        answer(&cloud, event);
        assert_eq!(cloud.state().expires_at.get("c1="), expected);
    }
}

#[test]
fn our_subprotocol_is_chosen_when_it_is_offered() {
    let chosen = json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "sumu"}});
    for (offered, expected) in
        [("sumu, token", &chosen), ("x,sumu,token", &chosen), ("other", &json!({"statusCode": 200}))]
    {
        let mut event = event("CONNECT", "$connect", None);
        event["headers"] = json!({"sec-websocket-protocol": offered});
        assert_eq!(&answer(&Cloud::default(), event), expected);
    }
}

#[test]
fn a_connection_that_cannot_be_written_does_not_open() {
    let cloud = Cloud::default();
    cloud.fail("put", 9);
    assert_eq!(answer(&cloud, event("CONNECT", "$connect", None)), json!({"statusCode": 500}));
    let mut nobody = event("CONNECT", "$connect", None);
    nobody["requestContext"]["authorizer"] = json!({"principalId": ""});
    assert_eq!(answer(&Cloud::default(), nobody), json!({"statusCode": 500}));
}

#[test]
fn a_disconnect_may_come_twice() {
    let cloud = Cloud::default();
    cloud.open("user", "c1=", AT, None);
    cloud.open("user", "c2=", AT, None);
    for _ in 0..2 {
        assert_eq!(answer(&cloud, event("DISCONNECT", "$disconnect", None)), json!({"statusCode": 200}));
    }
    assert!(!cloud.has_row("user", "c1=") && cloud.has_row("user", "c2="));
}

#[test]
fn a_ping_is_answered_with_a_pong() {
    let cloud = Cloud::default();
    let pong = r#"{"type":"pong","statusCode":200,"connectionId":"c1="}"#;
    assert_eq!(reply(&cloud, "ping", r#"{"action":"ping"}"#), pong);
    let pong = r#"{"type":"pong","statusCode":200,"connectionId":"c1=","id":{"n": 1.0}}"#;
    assert_eq!(reply(&cloud, "ping", r#"{"action":"ping","id": {"n": 1.0} }"#), pong);
    assert!(cloud.state().calls.is_empty());
}

#[test]
fn a_message_is_accepted_with_attributes_of_the_gateway_alone() {
    for (action, to, source) in [("send", "queue", "apigw.route.send"), ("publish", "topic", "apigw.route.publish")] {
        let cloud = Cloud::default();
        let frame = format!(
            r#"{{"action":"{action}","message":{{"user_id":"forged"}},"user_id":"forged","source":"x","id":7}}"#
        );
        let accepted = format!(
            r#"{{"type":"accepted","statusCode":202,"action":"{action}","messageId":"{to}-1","connectionId":"c1=","requestId":"r1","id":7}}"#
        );
        assert_eq!(reply(&cloud, action, &frame), accepted);
        let (message, delay) = cloud.sent_to(to).remove(0);
        assert_eq!((message.body.as_str(), delay), (r#"{"user_id":"forged"}"#, 0));
        assert_eq!(
            message.attributes,
            [
                Attribute::text("user_id", "user"),
                Attribute::number("timestamp", AT),
                Attribute::text("source", source),
                Attribute::text("connection_id", "c1="),
                Attribute::text("request_id", "r1"),
            ]
        );
    }
}

#[test]
fn a_message_is_passed_on_byte_for_byte() {
    let messages = [
        r#""text""#,
        "null",
        "true",
        "1.50e+2",
        "12345678901234567890.10",
        "[ 1 , 2 ]",
        r#"{"b":1,"a":2,"b":3}"#,
        r#"{"emoji":"😀","arabic":"سومو","escape":"\u0633\ud83d\ude00\n","slash":"\/"}"#,
        r#"{"lone":"\ud800"}"#,
        "{ \"two\" :\r\n\t[ ] }",
    ];
    for message in messages {
        let cloud = Cloud::default();
        reply(&cloud, "send", &format!("{{\"action\":\"send\", \"message\" : {message} }}"));
        assert_eq!(cloud.sent_to("queue")[0].0.body, message);
    }
}

#[test]
fn a_deep_message_does_not_exhaust_the_stack() {
    let cloud = Cloud::default();
    let message = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    reply(&cloud, "send", &format!(r#"{{"action":"send","message":{message}}}"#));
    assert_eq!(cloud.sent_to("queue")[0].0.body, message);
}

/// Status, code and the echoed id of a typed error.
fn error(route_key: &str, body: &str) -> (u64, String, Value) {
    let cloud = Cloud::default();
    let reply: Value = serde_json::from_str(&reply(&cloud, route_key, body)).unwrap();
    assert_eq!(
        (&reply["type"], &reply["connectionId"], &reply["requestId"]),
        (&json!("error"), &json!("c1="), &json!("r1"))
    );
    assert!(reply["message"].is_string() && reply.get("retryable").is_none());
    assert!(cloud.state().calls.is_empty(), "an error has no effect");
    (reply["statusCode"].as_u64().unwrap(), reply["code"].as_str().unwrap().to_owned(), reply["id"].clone())
}

#[test]
fn every_mistake_of_a_client_is_a_typed_error() {
    let twice = r#"{"action":"send","message":1,"message":2}"#;
    let nonchar = "{\"action\":\"send\",\"message\":\"\u{ffff}\"}";
    let long_id = format!(r#"{{"action":"ping","id":"{}"}}"#, "i".repeat(1023));
    let cases = [
        ("$default", "hello", 400, "InvalidJson"),
        ("$default", "", 400, "InvalidJson"),
        ("$default", "{\"action\":", 400, "InvalidJson"),
        ("$default", "{} {}", 400, "InvalidJson"),
        ("$default", "[1]", 400, "BadRequest"),
        ("$default", "\"send\"", 400, "BadRequest"),
        ("$default", "{}", 400, "BadRequest"),
        ("$default", r#"{"action":5}"#, 400, "BadRequest"),
        ("$default", r#"{"action":"dance"}"#, 400, "UnknownAction"),
        ("$connect", r#"{"action":"$connect"}"#, 400, "UnknownAction"),
        ("$disconnect", r#"{"action":"$disconnect"}"#, 400, "UnknownAction"),
        ("send", r#"{"action":"send"}"#, 400, "MessageMissing"),
        ("publish", r#"{"action":"publish","data":1}"#, 400, "MessageMissing"),
        ("send", twice, 400, "BadRequest"),
        ("send", nonchar, 400, "BadRequest"),
        ("ping", &long_id, 400, "BadRequest"),
    ];
    for (route_key, body, status, code) in cases {
        assert_eq!(error(route_key, body), (status, code.to_owned(), Value::Null), "{body}");
    }
    assert_eq!(error("$default", r#"{"action":"x","id":"i"}"#).2, "i");
    assert_eq!(error("send", r#"{"id":[1],"action":"send"}"#).2, json!([1]));
}

#[test]
fn a_frame_may_have_as_many_bytes_as_the_gateway_lets_through() {
    let frame = |bytes: usize| {
        let empty = r#"{"action":"send","message":""}"#;
        empty.replace(r#""""#, &format!("\"{}\"", "x".repeat(bytes - empty.len())))
    };
    let cloud = Cloud::default();
    assert!(reply(&cloud, "send", &frame(128 * 1024)).contains("accepted"));
    assert_eq!(error("send", &frame(128 * 1024 + 1)), (413, "MessageTooLarge".into(), Value::Null));
}

#[test]
fn a_binary_or_missing_frame_is_not_json() {
    for (body, binary) in [(Some("e30="), true), (None, false)] {
        let mut event = event("MESSAGE", "$default", body);
        event["isBase64Encoded"] = json!(binary);
        assert!(answer(&Cloud::default(), event)["body"].as_str().unwrap().contains("InvalidJson"));
    }
}

#[test]
fn one_failure_is_hidden_and_a_second_is_a_retryable_error() {
    for (action, to) in [("send", "queue"), ("publish", "topic")] {
        let frame = format!(r#"{{"action":"{action}","message":1,"id":2}}"#);
        let cloud = Cloud::default();
        cloud.fail(to, 1);
        assert!(reply(&cloud, action, &frame).contains("accepted"));
        cloud.fail(to, 2);
        let unavailable = r#"{"type":"error","statusCode":503,"code":"Unavailable","message":"the message could not be passed on; try again","connectionId":"c1=","requestId":"r1","retryable":true,"id":2}"#;
        assert_eq!(reply(&cloud, action, &frame), unavailable);
        assert_eq!(cloud.sent_to(to).len(), 1);
    }
}

#[test]
fn a_message_of_nobody_is_not_passed_on() {
    let cloud = Cloud::default();
    let mut event = event("MESSAGE", "send", Some(r#"{"action":"send","message":1}"#));
    event["requestContext"]["authorizer"] = json!(null);
    assert!(answer(&cloud, event)["body"].as_str().unwrap().contains("InternalError"));
    assert!(cloud.state().calls.is_empty());
}

#[test]
fn an_event_of_something_else_is_an_error() {
    for event in [json!(null), json!({}), json!({"requestContext": {"routeKey": "send"}})] {
        assert!(run(routes(&Cloud::default()).handle(event)).is_err());
    }
}
