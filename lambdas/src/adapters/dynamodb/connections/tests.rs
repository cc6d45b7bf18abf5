//! What `DynamoDB` is asked, word by word: here a word decides whether a connection is found or lost.

use std::future::Future;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Region};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::ConnectionsTable;
use crate::ports::{Audience, Cursor, LiveConnections, Page, Part, PortError};

/// What comes of a use of the table when `DynamoDB` answers so, and what it was asked, in order.
fn ask<T, F: Future<Output = T>>(
    answers: &[(u16, Value)],
    work: impl FnOnce(ConnectionsTable) -> F,
) -> (T, Vec<(String, Value)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
            .region(Region::from_static("eu-west-3"))
            .allow_no_auth()
            .build();
        let table = ConnectionsTable { client: Client::from_conf(config), name: "live-connections".into() };
        tokio::join!(work(table), serve(listener, answers))
    })
}

/// Gives each answer once, over one connection after the other.
async fn serve(listener: TcpListener, answers: &[(u16, Value)]) -> Vec<(String, Value)> {
    let mut asked = Vec::new();
    for (status, answer) in answers {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(socket.read_line(&mut head).await.unwrap(), 0, "no whole request: {head}");
        }
        let header = |name: &str| {
            let headers = head.lines().filter_map(|line| line.split_once(": "));
            headers.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
        socket.read_exact(&mut body).await.unwrap();
        let call = header("x-amz-target").unwrap().split('.').next_back().unwrap().to_owned();
        asked.push((call, serde_json::from_slice(&body).unwrap()));
        let answer = answer.to_string();
        let length = answer.len();
        let head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        socket.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
    }
    asked
}

fn row(user: &str, connection: &str, delete_at: u64) -> Value {
    json!({
        "user_id": {"S": user}, "connection_id": {"S": connection},
        "connected_at": {"N": "7"}, "delete_at": {"N": delete_at.to_string()},
    })
}

fn key(user: &str, connection: &str) -> Value {
    json!({"user_id": {"S": user}, "connection_id": {"S": connection}})
}

fn ids(page: &Page) -> Vec<&str> {
    page.connections.iter().map(|connection| connection.connection_id.as_str()).collect()
}

#[test]
fn a_user_that_has_just_connected_is_found_and_so_is_the_last_of_many_connections() {
    let first = json!({"Items": [row("u", "a", 9)], "LastEvaluatedKey": key("u", "a")});
    let answers = [(200, first), (200, json!({"Items": [row("u", "b", 9)]}))];
    let (pages, asked) = ask(&answers, async |table| {
        let first = table.of_user("u", None).await.unwrap();
        let second = table.of_user("u", first.next.as_ref()).await.unwrap();
        (first, second)
    });
    assert_eq!((ids(&pages.0), ids(&pages.1), &pages.1.next), (vec!["a"], vec!["b"], &None));
    assert!(asked.iter().all(|(call, query)| call == "Query" && query["ConsistentRead"] == json!(true)), "{asked:?}");
    assert_eq!((&asked[0].1["ExclusiveStartKey"], &asked[1].1["ExclusiveStartKey"]), (&Value::Null, &key("u", "a")));
    assert_eq!(asked[0].1["Limit"], json!(1000), "memory is one page");
}

#[test]
fn a_part_of_the_table_is_read_a_page_at_a_time_and_goes_on_behind_any_row() {
    let answers = [(200, json!({"Items": [row("u", "c", 9)]}))];
    let (page, asked) = ask(&answers, async |table| {
        let from = Cursor { user_id: "u".into(), connection_id: "b".into() };
        table.everyone(Part { segment: 3, segments: 8 }, Some(&from)).await.unwrap()
    });
    assert_eq!((ids(&page), &page.next), (vec!["c"], &None));
    let (call, scan) = &asked[0];
    assert_eq!((call.as_str(), &scan["Limit"], &scan["ExclusiveStartKey"]), ("Scan", &json!(1000), &key("u", "b")));
    assert_eq!((&scan["Segment"], &scan["TotalSegments"]), (&json!(3), &json!(8)));
    assert!(scan.get("FilterExpression").is_none(), "a filter has a limit and makes no read cheaper: {scan}");
}

#[test]
fn a_row_is_forgotten_only_while_it_is_still_that_of_the_same_connection() {
    let taken = json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"});
    let denied = json!({"__type": "com.amazon.coral.service#AccessDeniedException"});
    let answers = [(200, json!({})), (400, taken), (400, denied)];
    let (results, asked) = ask(&answers, async |table| -> [Result<(), PortError>; 3] {
        [table.forget("u", "c", 7).await, table.forget("u", "c", 7).await, table.forget("u", "c", 7).await]
    });
    assert_eq!(results.map(|result| result.is_ok()), [true, true, false], "forgotten, taken by another, denied");
    let (call, delete) = &asked[0];
    assert_eq!((call.as_str(), &delete["Key"]), ("DeleteItem", &key("u", "c")));
    let name = delete["ConditionExpression"].as_str().unwrap().replace("#connected_at", "connected_at");
    assert_eq!(name, "connected_at = :connected_at");
    assert_eq!(delete["ExpressionAttributeNames"]["#connected_at"], json!("connected_at"));
    assert_eq!(delete["ExpressionAttributeValues"][":connected_at"], json!({"N": "7"}));
}

#[test]
fn rows_past_their_time_hide_no_live_connection_behind_them() {
    let past = json!({"Items": [row("u", "a", 5)], "LastEvaluatedKey": key("u", "a")});
    let answers = [(200, past.clone()), (200, json!({"Items": [row("u", "b", 6)]}))];
    let (is_there, asked) = ask(&answers, async |table| table.any("u", 5_000).await.unwrap());
    assert!(is_there);
    assert!(asked.iter().all(|(_, query)| query["ConsistentRead"] == json!(true)), "{asked:?}");
    let answers = [(200, past), (200, json!({"Items": []}))];
    assert!(!ask(&answers, async |table| table.any("u", 5_000).await.unwrap()).0);
}
