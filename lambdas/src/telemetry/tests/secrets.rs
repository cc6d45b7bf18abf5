//! Nothing that a client or a backend sends reaches a log, whatever fails. The failures are those that no emulator
//! makes on demand; the paths that it can walk are walked in `tests/tests/live/secrets.rs`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::fakes::functions::{JWKS_URI, authorizer, pusher, routes, watchdog};
use crate::fakes::{Cloud, run};
use crate::ports::{KeyDocument, Posted};
use crate::telemetry::testing::written;

const NOW: u64 = 1_700_000_000_000;
const DEADLINE: u64 = NOW + 120_000;

/// Every call that the cloud knows.
const CALLS: [&str; 18] = [
    "put",
    "delete",
    "query",
    "scan",
    "rows",
    "forget",
    "settle",
    "take",
    "any",
    "read",
    "change",
    "mark",
    "fetch",
    "queue",
    "topic",
    "pushes",
    "dead letters",
    "pushes dead letters",
];

/// All that is written while `act` runs with every call failing so often, and looks that it has no secret.
fn told(times: u32, cloud: &Cloud, act: impl Fn(&Cloud)) -> String {
    let written = written(|| {
        for call in CALLS {
            cloud.fail(call, times);
        }
        act(cloud);
    });
    let found = written.lines().find(|line| line.to_ascii_lowercase().contains("secret"));
    assert_eq!(found, None, "a line tells a secret");
    assert!(!written.contains("KeysPassword"), "{written}");
    written
}

/// A token whose every part has a secret, also when it is decoded.
fn token() -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = part(r#"{"alg":"ES256","kid":"KidSecret","typ":"TypSecret"}"#);
    let claims =
        part(r#"{"sub":"SubSecret","iss":"https://issuer.test/IssSecret","exp":9999999999,"own":"ClaimSecret"}"#);
    format!("{header}.{claims}.SecretSignatures")
}

fn connect(token: &str, place: usize) -> Value {
    let mut event = json!({
        "methodArn": "arn:m",
        "headers": {"User-Agent": "AgentSecret", "Cookie": "CookieSecret", "X-Own": "HeaderSecret"},
        "queryStringParameters": {"other": "QuerySecret"},
        "requestContext": {"connectionId": "c1", "identity": {"userAgent": "AgentSecret"}},
    });
    match place {
        0 => event["queryStringParameters"]["authorization"] = json!(token),
        1 => event["headers"]["Authorization"] = json!(format!("Bearer {token}")),
        _ => event["headers"]["Sec-WebSocket-Protocol"] = json!(format!("sumu, {token}")),
    }
    event
}

#[test]
fn the_authorizer_tells_nothing_of_tokens_headers_queries_and_keys() {
    let documents =
        ["\"DocumentSecret\"", "DocumentSecret", r#"{"keys":[{"kty":"DocumentSecret"}]}"#, r#"{"a":"DocumentSecret"}"#];
    for (document, times) in documents.into_iter().map(Some).chain([None]).zip([0, 0, 0, 0, 1]) {
        for place in 0..3 {
            let cloud = Cloud::at(NOW);
            if let Some(document) = document {
                let document = KeyDocument { body: document.into(), cache_control: Some("CacheSecret".into()) };
                cloud.state().documents.insert(JWKS_URI.into(), document);
            }
            let written = told(times, &cloud, |cloud| {
                let authorizer = authorizer(cloud);
                for token in [token(), token().replace('.', "!"), "SecretToken".repeat(2_000)] {
                    let _ = run(authorizer.handle(connect(&token, place)));
                }
                assert!(run(authorizer.handle(json!({"authorizationToken": token()}))).is_err());
            });
            let token = token();
            let part = token.split('.').find(|part| written.contains(*part));
            assert_eq!(part, None, "{written}");
            assert_eq!(written.lines().filter(|line| line.contains("_aws")).count(), 4, "{written}");
            assert!(
                written.contains("\"keys\":\"issuer.test/jwks\""),
                "whoever looks for it finds whose keys: {written}"
            );
        }
    }
}

fn frame(event_type: &str, route_key: &str, body: &str) -> Value {
    json!({
        "requestContext": {
            "routeKey": route_key, "eventType": event_type, "connectionId": "c1=", "requestId": "r1",
            "authorizer": {"principalId": "alice", "own": "ContextSecret"}, "identity": {"userAgent": "AgentSecret"},
        },
        "headers": {"User-Agent": "AgentSecret", "Sec-WebSocket-Protocol": "sumu, SecretToken"},
        "queryStringParameters": {"authorization": "SecretToken", "other": "QuerySecret"},
        "body": body,
    })
}

#[test]
fn the_routes_tell_nothing_of_frames_and_queries() {
    let frames = [
        r#"{"action":"send","message":{"a":"MessageSecret"},"id":"IdSecret"}"#,
        r#"{"action":"ActionSecret","message":"MessageSecret","id":{"n":"IdSecret"}}"#,
        r#"{"action":{"a":"ActionSecret"},"NameSecret":1}"#,
        r#"{"action":"send","message":"MessageSecret","message":"MessageSecret"}"#,
        r#"{"action":"send","message":"MessageSecret"#,
        "FrameSecret",
        "\"FrameSecret\"",
    ];
    for times in 0..3 {
        for route_key in ["send", "publish", "ping", "$default"] {
            let written = told(times, &Cloud::at(NOW), |cloud| {
                let routes = routes(cloud);
                for body in frames {
                    run(routes.handle(frame("MESSAGE", route_key, body))).unwrap();
                }
                for kind in ["CONNECT", "DISCONNECT"] {
                    run(routes.handle(frame(kind, "$connect", ""))).unwrap();
                }
                assert!(run(routes.handle(json!({"body": "FrameSecret", "requestContext": {"routeKey": 1}}))).is_err());
            });
            assert_eq!(written.lines().filter(|line| line.contains("_aws")).count(), 10, "{written}");
            assert_eq!(written.contains("told to fail"), times > 0, "{written}");
        }
    }
}

#[test]
fn the_pusher_tells_nothing_of_data_exclusions_and_attributes() {
    let item = r#"{"job":"j","segment":0,"segments":4,"step":0,"ticket":"t","cursor":null,"notification":N}"#;
    let requests = [
        r#"{"users":["alice"],"exclude_users":["ExcludedSecret"],"data":{"a":"DataSecret"}}"#,
        r#"{"target":{"broadcast":true},"exclude":{"users":["ExcludedSecret"]},"data":"DataSecret"}"#,
        r#"{"target":{"connections":["gone","slow"]},"data":"DataSecret"}"#,
        r#"{"users":["alice"],"data":"DataSecret","attempt":"AttemptSecret"}"#,
        r#"{"users":"UsersSecret","data":"DataSecret"}"#,
        r#"{"users":["alice"],"data":"DataSecret","id":{"a":"IdSecret"}}"#,
        r#"{"target":{"SecretTarget":1},"data":"DataSecret"}"#,
        r#"{"data":"DataSecret""#,
        "RequestSecret",
        "\"RequestSecret\"",
    ];
    let items: Vec<String> = requests[..3].iter().map(|request| item.replace('N', request)).collect();
    for times in 0..5 {
        let cloud = Cloud::at(NOW);
        for n in 0..3 {
            cloud.open("alice", &format!("a{n}"), 0, None);
        }
        cloud.state().answers.insert("slow".into(), [Posted::Throttled, Posted::Unavailable, Posted::Forbidden].into());
        let written = told(times, &cloud, |cloud| {
            let pusher = pusher(cloud);
            let attributes = json!({"NameSecret": {"dataType": "String", "stringValue": "ValueSecret"}});
            for (queue, bodies) in [("notifications", requests.map(str::to_owned).to_vec()), ("pushes", items.clone())]
            {
                for body in bodies {
                    let record = json!({"messageId": "m1", "body": body, "messageAttributes": attributes,
                        "eventSourceARN": format!("arn:aws:sqs:r:a:{queue}")});
                    let _ = run(pusher.handle(json!({"Records": [record]}), DEADLINE));
                    let record = json!({"Sns": {"Message": body, "Subject": "SubjectSecret", "MessageAttributes":
                        {"NameSecret": {"Type": "String", "Value": "ValueSecret"}}}});
                    let _ = run(pusher.handle(json!({"Records": [record, {"else": "RecordSecret"}]}), DEADLINE));
                }
            }
        });
        assert!(written.contains("bad request"), "{written}");
        assert_eq!(written.contains("told to fail"), times > 0, "{written}");
    }
}

#[test]
fn the_watchdog_tells_nothing_of_rows_but_the_user() {
    for times in 0..6 {
        let cloud = Cloud::at(NOW);
        cloud.open("alice", "1", NOW, None);
        let written = told(times, &cloud, |cloud| {
            let image = json!({"user_id": {"S": "alice"}, "own": {"S": "ImageSecret"}});
            let record =
                json!({"dynamodb": {"Keys": {"user_id": {"S": "alice"}}, "NewImage": image, "SequenceNumber": "1"}});
            let strange = json!({"dynamodb": {"Keys": {"other": {"S": "KeySecret"}}}, "own": "RecordSecret"});
            let _ = run(watchdog(cloud).handle(json!({"Records": [record, strange]})));
        });
        assert_eq!(written.contains("told to fail"), times > 0, "{written}");
    }
}
