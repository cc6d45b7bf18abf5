//! What `DynamoDB` is asked about who is there.

use serde_json::json;
use sumu_contract::presence::State;

use super::super::testing::ask;
use super::PresenceTable;
use crate::ports::{Presence, PresenceItem};

#[test]
fn what_is_believed_of_a_user_is_read_consistently() {
    let stored = json!({"Item": {
        "user_id": {"S": "a"}, "state": {"S": "LEAVING"}, "version": {"N": "7"}, "announced": {"N": "6"},
        "changed_at": {"N": "1700000000123"},
    }});
    let read = async |aws| PresenceTable::new(&aws, "p".into()).read("a").await.unwrap();
    let (item, asked) = ask(&[(200, stored)], read);
    let expected = PresenceItem { state: State::Leaving, version: 7, announced: 6, changed_at: 1_700_000_000_123 };
    assert_eq!(item, Some(expected));
    assert_eq!(asked[0].1["ConsistentRead"], json!(true));
}
