//! What is asked of DynamoDB, on the wire.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use serde_json::{Value, json};
use sumu_contract::presence::State;

use super::{ConnectionsTable, PresenceTable};
use crate::ports::{LiveConnections, Presence, PresenceItem};

const NOW: u64 = 1_700_000_000_000;

/// A table that gives these answers, one after another, and notes what it was asked before it answers.
fn table(answers: Vec<Value>) -> (SdkConfig, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (asked, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let mut stream = listener.accept().unwrap().0;
            asked.send(request(&stream)).unwrap();
            let (answer, head) = (answer.to_string(), "HTTP/1.1 200 OK\r\nConnection: close");
            let kind = "Content-Type: application/x-amz-json-1.0";
            write!(stream, "{head}\r\n{kind}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
        }
    });
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-3"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
        .endpoint_url(endpoint)
        .build();
    (config, requests)
}

fn request(stream: &TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn row(connection_id: &str, delete_at: u64) -> Value {
    json!({
        "user_id": {"S": "a"}, "connection_id": {"S": connection_id}, "connected_at": {"N": "1"},
        "delete_at": {"N": delete_at.to_string()},
    })
}

#[test]
fn whether_a_user_is_there_is_asked_consistently_and_of_every_page() {
    let behind = json!({"user_id": {"S": "a"}, "connection_id": {"S": "1"}});
    let (aws, requests) = table(vec![
        json!({"Items": [row("1", NOW / 1000 - 1)], "LastEvaluatedKey": behind}),
        json!({"Items": [row("2", NOW / 1000 + 1)]}),
    ]);
    assert!(run(ConnectionsTable::new(&aws, "c".into()).any("a", NOW)).unwrap());
    let requests: Vec<Value> = requests.try_iter().collect();
    assert_eq!(requests.len(), 2, "whose time is over is not there");
    assert!(requests.iter().all(|request| request["ConsistentRead"] == json!(true)), "{requests:?}");
    assert_eq!(requests[1]["ExclusiveStartKey"], behind);
}

#[test]
fn what_is_believed_of_a_user_is_read_consistently() {
    let (aws, requests) = table(vec![json!({"Item": {
        "user_id": {"S": "a"}, "state": {"S": "LEAVING"}, "version": {"N": "7"}, "announced": {"N": "6"},
        "changed_at": {"N": "1700000000123"},
    }})]);
    let item = run(PresenceTable::new(&aws, "p".into()).read("a")).unwrap();
    let expected = PresenceItem { state: State::Leaving, version: 7, announced: 6, changed_at: 1_700_000_000_123 };
    assert_eq!(item, Some(expected));
    assert_eq!(requests.try_recv().unwrap()["ConsistentRead"], json!(true));
}
