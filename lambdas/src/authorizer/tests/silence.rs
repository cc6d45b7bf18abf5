//! What the authorizer tells its log and the client: no token, no claim, no key.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::super::signature::Algorithm;
use super::super::testing::{other_rsa, rsa};
use super::{authorizer, claims, event, settings, signed, usual, with};
use crate::fakes::{Cloud, run};

/// A log in memory.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Answers events one after another; returns everything that was logged, at every level, and what was answered.
fn spoken(cloud: &Cloud, events: Vec<Value>) -> (String, String) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().with_max_level(Level::TRACE).with_writer(log.clone()).finish();
    let authorizer = authorizer(cloud, settings());
    let answers = tracing::subscriber::with_default(subscriber, || {
        let answer = |event| match run(authorizer.handle(event)) {
            Ok(policy) => policy.to_string(),
            Err(error) => {
                let shown = format!("{error:?}");
                format!("{shown} {}", lambda_runtime::Diagnostic::from(error).error_message)
            }
        };
        events.into_iter().map(answer).collect::<Vec<String>>().join("\n")
    });
    let log = log.0.lock().unwrap().clone();
    (String::from_utf8(log).unwrap(), answers)
}

/// A good, a forged and a broken token, each in every place, with a claim that nobody else may learn.
fn events() -> Vec<Value> {
    let claims = with(claims(), &json!({"email": "private@mail.test"}));
    let header = json!({"alg": "RS256", "kid": "secret-kid"});
    let tokens = [
        signed(&claims),
        other_rsa().sign(Algorithm::Rs256, &json!({"alg": "RS256", "kid": "rsa"}), &claims),
        rsa().sign(Algorithm::Rs256, &header, &claims),
        signed(&claims).replace('.', "!"),
    ];
    let places = |token: &String| {
        let [header, subprotocol] = [format!("Bearer {token}"), format!("sumu, {token}")];
        let base = json!({"methodArn": "arn:m", "requestContext": {"connectionId": "c="}});
        [
            event(token),
            with(base.clone(), &json!({"headers": {"Authorization": header}})),
            with(base, &json!({"headers": {"Sec-WebSocket-Protocol": subprotocol}})),
        ]
    };
    tokens.iter().flat_map(places).collect()
}

fn secrets() -> Vec<String> {
    let of = |event: Value| event["queryStringParameters"]["authorization"].as_str().map(str::to_owned);
    let tokens: Vec<String> = events().into_iter().filter_map(of).collect();
    assert_eq!(tokens.len(), 4);
    let parts = tokens.iter().flat_map(|token| token.split(['.', '!']).map(str::to_owned));
    let claims = ["private@mail.test", "secret-kid"].map(str::to_owned);
    parts.chain(claims).chain([rsa().jwk["n"].as_str().unwrap().to_owned()]).collect()
}

#[test]
fn neither_the_log_nor_an_answer_holds_any_part_of_a_token_or_a_key() {
    for cloud in [usual(), Cloud::at(usual().state().now)] {
        let (log, answers) = spoken(&cloud, events());
        assert!(log.lines().count() >= events().len(), "an invocation has a line: {log}");
        for secret in secrets() {
            assert!(!log.contains(&secret), "{secret} in {log}");
            assert!(!answers.contains(&secret), "{secret} in {answers}");
        }
    }
}
