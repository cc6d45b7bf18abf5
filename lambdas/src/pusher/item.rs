//! Work items: one segment of a broadcast that was divided, from a cursor on. Pure.
//!
//! An item is worked off by reading one page, posting it and putting the next item. One that is killed in between is
//! received again, and when it had put the next one already, there are two of that. So each item has a `step`, and a
//! `ticket` that differs between two of the same step: the first ticket that is shown takes the step, and the other
//! item is dropped (see [`crate::ports::Turns`]).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sumu_contract::settings::EmptyUsers;

use super::request::{BadRequest, Notification};
use super::retry;
use crate::ports::{Cursor, Part};

/// The largest item without a cursor. Queues may be set to refuse more than 256 KiB, and a cursor has a user's id of
/// 1,024 bytes, of which each may take six in JSON.
const ITEM_BYTES_MAX: usize = 256 * 1024 - 8 * 1024;

/// The fewest and the most segments of a broadcast.
const SEGMENTS: (u32, u32) = (4, 256);

/// How many rows a segment has at least, if there are more workers than that asks for.
const ROWS_PER_SEGMENT: u64 = 4_000;

/// One segment of a broadcast from a cursor on.
#[derive(Clone, Debug)]
pub struct WorkItem {
    /// The broadcast: the id of the message that asked for it.
    pub job: String,
    /// The part of the table.
    pub part: Part,
    /// How many items of the segment came before this one.
    pub step: u64,
    /// Differs between two items of the same step.
    pub ticket: String,
    /// How often the page could not be read.
    pub attempt: u32,
    /// Where the page begins; the segment's beginning when absent.
    pub cursor: Option<Cursor>,
    /// What is pushed.
    pub notification: Notification,
}

#[derive(Serialize, Deserialize)]
struct Form<N> {
    job: String,
    segment: u32,
    segments: u32,
    step: u64,
    ticket: String,
    #[serde(default)]
    attempt: u32,
    cursor: Option<Cursor>,
    notification: N,
}

impl WorkItem {
    /// Reads a body from the pusher's own queue; nothing when it is no work item but a retry item.
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, BadRequest>> {
        // Only the members that make an item are looked for: a retry item has none of them.
        let form: Form<Box<RawValue>> = serde_json::from_str(text).ok()?;
        let Form { job, segment, segments, step, ticket, attempt, cursor, notification } = form;
        Some(Notification::parse(notification.get(), EmptyUsers::Reject).map(|notification| Self {
            job,
            part: Part { segment, segments },
            step,
            ticket,
            attempt,
            cursor,
            notification,
        }))
    }

    /// The item as it travels.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let Self { job, part, step, ticket, attempt, cursor, notification } = self;
        serde_json::to_string(&Form {
            job: job.clone(),
            segment: part.segment,
            segments: part.segments,
            step: *step,
            ticket: ticket.clone(),
            attempt: *attempt,
            cursor: cursor.clone(),
            notification: retry::broadcast(notification),
        })
    }

    /// Whether it fits into a queue with every cursor that there can be.
    pub fn fits(&self) -> Result<bool, serde_json::Error> {
        Ok(self.text()?.len() <= ITEM_BYTES_MAX)
    }

    /// The item that comes after this one.
    #[must_use]
    pub fn followed(self, cursor: Option<Cursor>, attempt: u32, ticket: String) -> Self {
        Self { step: self.step.saturating_add(1), cursor, attempt, ticket, ..self }
    }
}

/// Into how many segments a table of about `rows` rows is divided for so many workers. The count of rows may be hours
/// old, so that workers count as well: a segment that nobody has time for costs one message.
#[must_use]
pub fn segments(rows: u64, workers: u32) -> u32 {
    let (least, most) = SEGMENTS;
    let by_rows = u32::try_from(rows / ROWS_PER_SEGMENT).unwrap_or(most);
    by_rows.max(workers).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(request: &str) -> WorkItem {
        let notification = Notification::parse(request, EmptyUsers::Broadcast).unwrap();
        let (job, part, ticket) = ("j".into(), Part { segment: 3, segments: 16 }, "t".into());
        let cursor = Some(Cursor { user_id: "\u{1}م".into(), connection_id: "c=".into() });
        WorkItem { job, part, step: 7, ticket, attempt: 1, cursor, notification }
    }

    #[test]
    fn an_item_reads_back_as_it_was_written() {
        let request =
            r#"{"exclude_users":["x"],"data":{"b":1.0,"a":"م"},"id":"n","expiresAt":9,"target":null,"exclude":null}"#;
        let back = WorkItem::parse(&item(request).text().unwrap()).unwrap().unwrap();
        assert_eq!(back.text().unwrap(), item(request).text().unwrap());
        assert_eq!(back.notification.data.get(), r#"{"b":1.0,"a":"م"}"#);
        assert!(back.notification.exclude_users.contains("x") && back.notification.expires_at == Some(9));
        let request = r#"{"target":{"broadcast":true},"exclude":{"connections":["c"]},"data":1}"#;
        let back = WorkItem::parse(&item(request).text().unwrap()).unwrap().unwrap();
        assert!(back.notification.exclude_connections.contains("c"));
    }

    #[test]
    fn a_retry_item_is_no_work_item_and_a_broken_one_is_a_bad_request() {
        assert!(WorkItem::parse(r#"{"target":{"connections":["a"]},"data":1,"attempt":1}"#).is_none());
        let broken = r#"{"job":"j","segment":0,"segments":4,"step":0,"ticket":"t","cursor":null,"notification":{}}"#;
        assert!(WorkItem::parse(broken).unwrap().is_err());
    }

    #[test]
    fn segments_follow_the_table_and_the_workers_within_bounds() {
        let cases =
            [(0, 2, 4), (0, 10, 10), (100_000, 10, 25), (1_000_000, 10, 250), (u64::MAX, 10, 256), (0, 999, 256)];
        for (rows, workers, expected) in cases {
            assert_eq!(segments(rows, workers), expected, "{rows} rows, {workers} workers");
        }
    }

    #[test]
    fn an_item_that_fits_does_so_with_the_longest_cursor() {
        let users: Vec<String> = (0..ITEM_BYTES_MAX / 12 - 30).map(|n| format!("user{n:05}")).collect();
        let mut item = item(&serde_json::json!({"exclude_users": users, "data": 1}).to_string());
        assert!(item.fits().unwrap());
        item.cursor = Some(Cursor { user_id: "\u{1}".repeat(1_024), connection_id: "c".repeat(128) });
        assert!(item.text().unwrap().len() <= 256 * 1024);
        item.notification.exclude_users.insert("x".repeat(10_000));
        assert!(!item.fits().unwrap());
    }
}
