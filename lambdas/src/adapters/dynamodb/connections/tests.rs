//! What `DynamoDB` is asked, word by word: here a word decides whether a connection is found or lost.

use serde_json::{Value, json};

use super::super::testing::ask;
use super::ConnectionsTable;
use crate::ports::{Audience, Cursor, LiveConnections, Page, Part};

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
    let (pages, asked) = ask(&answers, |aws| async move {
        let table = ConnectionsTable::new(&aws, "live-connections".into());
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
    let (page, asked) = ask(&answers, |aws| async move {
        let table = ConnectionsTable::new(&aws, "live-connections".into());
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
    let (results, asked) = ask(&answers, |aws| async move {
        let table = ConnectionsTable::new(&aws, "live-connections".into());
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
fn whether_a_user_is_there_is_asked_consistently_and_of_every_page() {
    let past = json!({"Items": [row("u", "a", 5)], "LastEvaluatedKey": key("u", "a")});
    let any = |next: Value| {
        let any = async |aws| ConnectionsTable::new(&aws, "c".into()).any("u", 5_000).await.unwrap();
        ask(&[(200, past.clone()), (200, next)], any)
    };
    let (is_there, asked) = any(json!({"Items": [row("u", "b", 6)]}));
    assert!(is_there, "a row past its time hides no live one behind it");
    assert!(asked.iter().all(|(_, query)| query["ConsistentRead"] == json!(true)), "{asked:?}");
    assert_eq!(asked[1].1["ExclusiveStartKey"], key("u", "a"));
    assert!(!any(json!({"Items": []})).0);
}
