//! Nothing that clients and backends send is told to anybody but those whom it is for: no log, status or event has it.
//!
//! A text that nobody has seen before is put wherever one can be put, in requests that succeed and in those that fail;
//! then everything that anybody writes is searched for all of them. That the search looks at something is checked as
//! well: each function must have written its lines, and each line must be one that `CloudWatch` takes metrics from.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use serde_json::{Value, json};
use sumu_lambdas::telemetry::emf::specification::violations;
use sumu_tests::client::{Client, Credentials};
use sumu_tests::issuer::{AUDIENCE, Issuer, Token};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::push::queue_is_done;
use crate::scene::{Scene, scene, text};

/// Everything that must not be found, by where it was put.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// A new secret of letters and digits: however a text is escaped, these stay as they are.
    fn put(&mut self, place: &str) -> String {
        let random = || RandomState::new().build_hasher().finish();
        let secret = format!("{:016x}{:016x}", random(), random());
        self.0.push((place.to_owned(), secret.clone()));
        secret
    }

    /// A token with a secret in it, of which no part must be found either.
    fn sign(&mut self, place: &str, token: Token) -> Result<String> {
        let token = token.claim("own", json!(self.put(&format!("a claim of {place}")))).sign()?;
        for (n, part) in token.split('.').enumerate().skip(1) {
            self.0.push((format!("part {n} of {place}"), part.to_owned()));
        }
        Ok(token)
    }

    /// Where in `text` there is one of them: as it was, or in base64 with anything before and behind it.
    fn found_in(&self, whose: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (place, secret) in &self.0 {
            let forms = [secret.clone(), base64(secret, 0), base64(secret, 1), base64(secret, 2)];
            let line = text.lines().find(|line| forms.iter().any(|form| line.contains(form.as_str())));
            found.extend(line.map(|line| format!("{place}, told by {whose}: {line}")));
        }
        found
    }
}

/// What is the same of a text's base64 whatever stands before and behind it, if that has `before` bytes more than a
/// multiple of three.
fn base64(text: &str, before: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = &text.as_bytes()[(3 - before) % 3..];
    let digit = |bits: u32| char::from(DIGITS[(bits & 63) as usize]);
    let group = |bytes: &[u8]| {
        let bits = bytes.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        [digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), digit(bits)]
    };
    whole.chunks_exact(3).flat_map(group).collect()
}

#[test]
fn a_secret_is_found_in_every_form() {
    let mut secrets = Secrets::default();
    let secret = secrets.put("a test");
    assert_eq!(base64("Man", 0), "TWFu");
    // "x", "xy" and "xyz" before the same text, as any encoder writes them.
    assert_eq!((base64("abcabc", 1), base64("abcabc", 2)), ("Y2Fi".to_owned(), "YmNh".to_owned()));
    for line in [format!("{{\"a\":\"{secret}\"}}"), format!("?a={secret}%20"), base64(&secret, 0), base64(&secret, 2)] {
        assert_eq!(secrets.found_in("a log", &format!("one\n{line}\n")).len(), 1, "{line}");
    }
    assert_eq!(secrets.found_in("a log", "another"), [] as [&str; 0]);
}

#[test]
fn what_clients_and_backends_send_is_in_no_log_status_or_event() -> Result<()> {
    scene("secrets").play_from_the_start(async |scene| {
        let mut secrets = Secrets::default();
        // One of its own, because it will be gone.
        let issuer = Issuer::start().await?;
        let uri = format!("{}?key={}", issuer.jwks_uri(), secrets.put("the query of the keys' address"));
        let trusted = json!([{"jwksUri": uri, "issuer": issuer.url(), "audiences": [AUDIENCE]}]);
        scene.change(&json!({"authorizer": {"issuers": trusted}}));
        // It tells more than it does by default: each plan in full.
        scene.kill_operator()?;
        scene.start_operator_with(&["--log", "sumu_operator=debug"])?;
        scene.apply().await?;
        scene.ready().await?;
        plans_are_logged(scene)?;

        let mut alice = clients_connect(scene, &issuer, &mut secrets).await?;
        let connection = text(&alice.ping().await?, "/connectionId")?.to_owned();
        frames(&mut alice, &mut secrets).await?;
        pushes(scene, &mut alice, &mut secrets).await?;
        everything_fails(scene, issuer, &mut alice, &mut secrets).await?;
        alice.close().await?;
        everybody_has_written(scene, &connection).await?;
        nothing_is_told(scene, &secrets).await
    })
}

/// The operator's log has each plan as a person reads it.
fn plans_are_logged(scene: &Scene) -> Result<()> {
    let log = scene.operator.log()?;
    let plans: Vec<&str> = log
        .iter()
        .filter(|line| line["message"] == "plan" && line["level"] == "DEBUG")
        .filter_map(|line| line["plan"].as_str())
        .collect();
    for step in ["+ table connections (", "+ function authorizer (", "… ", "+ stage live"] {
        ensure!(plans.iter().any(|plan| plan.contains(step)), "no plan says {step:?}: {plans:#?}");
    }
    let whole = log.iter().filter(|line| line["message"] == "plan").all(|line| line["stack"].is_string());
    ensure!(whole, "a plan does not say of which stack it is");
    Ok(())
}

/// Good and bad tokens from every source, with secrets beside them; returns a client that got in.
async fn clients_connect(scene: &Scene, issuer: &Issuer, secrets: &mut Secrets) -> Result<Client> {
    let url = format!("{}?own={}", scene.text("/endpoint")?, secrets.put("a query parameter"));
    let token = || issuer.token("alice");
    let unknown = token().key_id(Some(&secrets.put("a key id")));
    let bad = vec![
        secrets.sign("an expired token", token().expires_in(-3600))?,
        secrets.sign("a token of nobody", token().issuer("https://elsewhere.example/"))?,
        secrets.sign("a token of an unknown key", unknown)?,
        format!("{}.{}", secrets.put("a token that is none"), secrets.put("a token's second part")),
    ];
    for token in &bad {
        for credentials in [Credentials::Query(token), Credentials::Header(token), Credentials::Subprotocol(token)] {
            ensure_eq!(Client::refused(&url, credentials).await?, 403, "the status for a bad token");
        }
    }
    Client::refused(&url, Credentials::Nothing).await?;

    let good = secrets.sign("a token in the subprotocol", token())?;
    Client::connect(&url, Credentials::Subprotocol(&good)).await?.close().await?;
    // The value of a header ends its line, so that more headers can follow it.
    let good = secrets.sign("a token in a header", token())?;
    let agent = secrets.put("the user agent");
    let headers = format!("{good}\r\nUser-Agent: {agent}\r\nCookie: own={}", secrets.put("a cookie"));
    Client::connect(&url, Credentials::Header(&headers)).await?.close().await?;
    let good = secrets.sign("a token in the query", token())?;
    Client::connect(&url, Credentials::Query(&good)).await
}

/// Frames of every kind, each of which is answered.
async fn frames(client: &mut Client, secrets: &mut Secrets) -> Result<()> {
    let mut ask = async |place: &str, frame: &dyn Fn(String) -> String, answer: &str| -> Result<()> {
        let reply = client.ask_text(&frame(secrets.put(place))).await.with_context(|| place.to_owned())?;
        let kind = reply.get("code").unwrap_or(&reply["type"]);
        ensure_eq!(*kind, json!(answer), "the reply to {place}");
        Ok(())
    };
    for action in ["send", "publish"] {
        let message = |secret| format!(r#"{{"action":"{action}","message":{{"a":"{secret}"}}}}"#);
        ask(&format!("a message to {action}"), &message, "accepted").await?;
        let id = |secret| format!(r#"{{"action":"{action}","message":1,"id":"{secret}"}}"#);
        ask(&format!("the id of a message to {action}"), &id, "accepted").await?;
        let twice = |secret| format!(r#"{{"action":"{action}","message":"{secret}","message":1}}"#);
        ask(&format!("a message to {action} that is there twice"), &twice, "BadRequest").await?;
    }
    ask("the id of a ping", &|secret| format!(r#"{{"action":"ping","id":"{secret}"}}"#), "pong").await?;
    ask("an unknown action", &|secret| format!(r#"{{"action":"{secret}"}}"#), "UnknownAction").await?;
    ask("an action that is none", &|secret| format!(r#"{{"action":{{"a":"{secret}"}}}}"#), "BadRequest").await?;
    ask("a frame's own member", &|secret| format!(r#"{{"action":"send","{secret}":1}}"#), "MessageMissing").await?;
    ask("a broken frame", &|secret| format!(r#"{{"action":"send","message":"{secret}"#), "InvalidJson").await?;
    ask("a text", &|secret| secret, "InvalidJson").await?;
    ask("a long id", &|secret| format!(r#"{{"action":"ping","id":"{}"}}"#, secret.repeat(40)), "BadRequest").await
}

/// Requests that are served and those that cannot be, through the topic and the queues.
async fn pushes(scene: &Scene, client: &mut Client, secrets: &mut Secrets) -> Result<()> {
    // A secret takes the place of what is in capitals.
    let requests = [
        ("data for a user", r#"{"users":["alice"],"data":{"a":"SECRET"}}"#),
        ("an excluded user", r#"{"users":["alice"],"exclude_users":["SECRET"],"data":1}"#),
        ("data for everyone", r#"{"target":{"broadcast":true},"data":"SECRET"}"#),
        ("data for nobody", r#"{"target":{"connections":["nobody="]},"data":"SECRET"}"#),
        ("users that are none", r#"{"users":"SECRET","data":1}"#),
        ("a target that is none", r#"{"target":{"SECRET":1},"data":1}"#),
        ("a broken request", r#"{"data":"SECRET""#),
        ("a request that is none", "SECRET"),
    ];
    let (sqs, sns) = (aws_sdk_sqs::Client::new(&scene.sdk().await), aws_sdk_sns::Client::new(&scene.sdk().await));
    let queue = scene.text("/notifications/queueUrl")?;
    let own_queue = queue.replace("-notifications", "-pushes");
    let mut expected = Vec::new();
    for (what, request) in requests {
        for url in [queue, &own_queue] {
            let value = secrets.put(&format!("an attribute of {what}"));
            let attribute = aws_sdk_sqs::types::MessageAttributeValue::builder().data_type("String");
            let body = request.replace("SECRET", &secrets.put(&format!("{what}, from {url}")));
            let message = sqs.send_message().queue_url(url).message_body(&body);
            let name = secrets.put(&format!("an attribute's name of {what}"));
            message.message_attributes(name, attribute.string_value(value).build()?).send().await?;
            expected.push(body);
        }
        let body = request.replace("SECRET", &secrets.put(&format!("{what}, from the topic")));
        let attribute = aws_sdk_sns::types::MessageAttributeValue::builder().data_type("String");
        let attribute = attribute.string_value(secrets.put(&format!("a topic's attribute of {what}"))).build()?;
        let message = sns.publish().topic_arn(scene.text("/notifications/topicArn")?).message(&body);
        let subject = secrets.put(&format!("the subject of {what}"));
        message.subject(subject).message_attributes("own", attribute).send().await?;
        expected.push(body);
    }
    let mut expected: Vec<String> = expected.iter().filter_map(|body| frame_of(body)).collect();
    let mut got = Vec::new();
    while got.len() < expected.len() {
        got.push(client.next_text().await?);
    }
    got.sort_unstable();
    expected.sort_unstable();
    ensure_eq!(got, expected, "what came of the requests that can be served");
    queue_is_done(scene).await
}

/// What a request brings to the client, if it is one that reaches it.
fn frame_of(request: &str) -> Option<String> {
    let request: Value = serde_json::from_str(request).ok()?;
    let reaches = request["users"] == json!(["alice"]) || request["target"] == json!({"broadcast": true});
    reaches.then(|| request["data"].to_string())
}

/// The issuer cannot be reached any more, and the messages queue is gone.
async fn everything_fails(scene: &Scene, issuer: Issuer, client: &mut Client, secrets: &mut Secrets) -> Result<()> {
    issuer.rotate()?;
    let token = secrets.sign("a token that cannot be checked", issuer.token("alice"))?;
    drop(issuer);
    // Thirty seconds after the last fetch the keys are asked for again, and until then the key is unknown.
    eventually(PATIENCE * 2, "a fetch of keys that fails", async || {
        Client::refused(scene.text("/endpoint")?, Credentials::Query(&token)).await?;
        let logs = scene.testbed.aws().function_logs(&scene.prefix()).await?;
        ensure!(logs.contains("keys not fetched"), "no fetch has failed");
        Ok(())
    })
    .await?;

    let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
    sqs.delete_queue().queue_url(scene.text("/messages/queueUrl")?).send().await?;
    let message = secrets.put("a message that cannot be passed on");
    let reply = client.ask(&json!({"action": "send", "message": message})).await?;
    ensure_eq!(reply["code"], json!("Unavailable"), "the reply without a queue: {reply}");
    Ok(())
}

/// Each function has told what it did, and in lines that `CloudWatch` takes metrics from.
async fn everybody_has_written(scene: &Scene, connection: &str) -> Result<()> {
    // What each function must have told at least once, of which the last ones come late.
    let expected: [(&str, &[&str]); 4] = [
        ("authorizer", &["Allowed", "Refusals", "JwksAge", "JwksFetches", "JwksFetchFailures"]),
        ("routes", &["Connects", "Disconnects", "Frames", "FrameErrors", "ForwardRetries"]),
        ("pusher", &["Records", "RecordWait", "ItemWait", "PostsDelivered", "PostsGone", "PostLatency", "BadRequests"]),
        ("watchdog", &["Records", "RecordWait", "PresenceOnline", "PresenceOffline", "PresenceFailures"]),
    ];
    eventually(PATIENCE, "every function's lines", async || {
        let logs = scene.testbed.aws().function_logs(&scene.prefix()).await?;
        ensure!(logs.contains(connection), "what is known to be told is not found");
        let mut told: HashMap<String, HashMap<String, f64>> = HashMap::new();
        for line in logs.lines().filter(|line| line.contains("\"_aws\"")) {
            let (group, line) = line.split_once(' ').context("a line without its group")?;
            let wrong = violations(line);
            ensure!(wrong.is_empty(), "{wrong:?} in {line}");
            let line: Value = serde_json::from_str(line)?;
            ensure_eq!(group.strip_prefix("/aws/lambda/"), line["FunctionName"].as_str(), "whose line it is");
            let sums = told.entry(text(&line, "/function")?.to_owned()).or_default();
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().context("no metrics")? {
                let name = text(metric, "/Name")?;
                let one = |value: &Value| value.as_f64().unwrap_or_default() + f64::from(u8::from(value.is_array()));
                *sums.entry(name.to_owned()).or_default() += one(&line[name]);
            }
        }
        for (function, metrics) in expected {
            let sums = told.get(function).with_context(|| format!("the {function} has no line"))?;
            let is_told = |name: &str| sums.get(name).is_some_and(|sum| *sum > 0.0 || name == "JwksAge");
            let missing: Vec<_> = metrics.iter().filter(|name| !is_told(name)).collect();
            ensure!(missing.is_empty(), "the {function} has not told {missing:?}, but {sums:?}");
        }
        Ok(())
    })
    .await
}

/// Looks through everything that anybody has written.
async fn nothing_is_told(scene: &Scene, secrets: &Secrets) -> Result<()> {
    ensure!(secrets.0.len() > 80, "only {} secrets were put", secrets.0.len());
    let aws = scene.testbed.aws();
    let kubernetes = scene.testbed.kubernetes();
    let events = ["get", "events", "--namespace", &scene.namespace, "--output=json"];
    let places = [
        ("the functions", aws.function_logs(&scene.prefix()).await?),
        ("the gateway", aws.function_logs(scene.text("/apiId")?).await?),
        ("the operator", scene.operator_log()?),
        ("the status", scene.stack.object().await?["status"].to_string()),
        ("events", kubernetes.kubectl_ok(&events, "").await?),
    ];
    for (whose, written) in &places {
        // The gateway has no log of accesses yet.
        ensure!(!written.is_empty() || *whose == "the gateway", "{whose}: nothing was written");
    }
    let found: Vec<String> = places.iter().flat_map(|(whose, written)| secrets.found_in(whose, written)).collect();
    ensure!(found.is_empty(), "secrets are told:\n{}", found.join("\n"));
    Ok(())
}
