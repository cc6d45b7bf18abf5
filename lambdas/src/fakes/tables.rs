//! The tables of the cloud in memory.

use super::{Cloud, State};
use crate::ports::{
    Audience, Connection, Cursor, LiveConnections, OpenConnections, Page, Part, PortError, Presence, PresenceItem,
    Turn, Turns, Written,
};

impl OpenConnections for Cloud {
    async fn put(&self, connection: &Connection, expires_at: Option<u64>) -> Result<(), PortError> {
        let put = self.call("put", |state| {
            let key = (connection.user_id.clone(), connection.connection_id.clone());
            state.rows.insert(key, connection.clone());
            state.expires_at.extend(expires_at.map(|at| (connection.connection_id.clone(), at)));
        });
        put.await
    }

    async fn delete(&self, user_id: &str, connection_id: &str) -> Result<(), PortError> {
        let key = (user_id.to_owned(), connection_id.to_owned());
        self.call("delete", |state| drop(state.rows.remove(&key))).await
    }
}

impl Audience for Cloud {
    async fn of_user(&self, user_id: &str, from: Option<&Cursor>) -> Result<Page, PortError> {
        assert!(!user_id.is_empty(), "DynamoDB refuses an empty key");
        self.call("query", |state| page(state, from, |connection| connection.user_id == user_id)).await
    }

    async fn everyone(&self, part: Part, from: Option<&Cursor>) -> Result<Page, PortError> {
        let is_in = |row: &Connection| row.user_id.bytes().map(u32::from).sum::<u32>() % part.segments == part.segment;
        self.call("scan", |state| page(state, from, is_in)).await
    }

    async fn rows(&self) -> Result<u64, PortError> {
        self.call("rows", |state| state.rows_told).await
    }

    async fn forget(&self, user_id: &str, connection_id: &str, connected_at: u64) -> Result<(), PortError> {
        let key = (user_id.to_owned(), connection_id.to_owned());
        let forgotten = self.call("forget", |state| {
            if state.rows.get(&key).is_some_and(|row| row.connected_at == connected_at) {
                state.rows.remove(&key);
            }
        });
        forgotten.await
    }
}

impl Turns for Cloud {
    async fn settle_segments(&self, job: &str, segments: u32, _now: u64) -> Result<u32, PortError> {
        self.call("settle", |state| *state.segments.entry(job.to_owned()).or_insert(segments)).await
    }

    async fn take(&self, turn: &Turn<'_>, _now: u64) -> Result<Written, PortError> {
        let taken = self.call("take", |state| {
            let wanted = (turn.step, turn.ticket.to_owned());
            let held = state.turns.entry((turn.job.to_owned(), turn.segment)).or_insert_with(|| wanted.clone());
            if held.0 > wanted.0 || (held.0 == wanted.0 && *held != wanted) {
                return Written::Conflict;
            }
            *held = wanted;
            Written::Done
        });
        taken.await
    }
}

impl LiveConnections for Cloud {
    async fn any(&self, user_id: &str, now: u64) -> Result<bool, PortError> {
        self.call("any", |state| state.rows.values().any(|row| row.user_id == user_id && row.is_live(now))).await
    }
}

impl Presence for Cloud {
    async fn read(&self, user_id: &str) -> Result<Option<PresenceItem>, PortError> {
        self.call("read", |state| state.presence.get(user_id).copied()).await
    }

    async fn change(&self, user_id: &str, item: &PresenceItem) -> Result<Written, PortError> {
        let changed = self.call("change", |state| {
            if state.presence.get(user_id).map_or(0, |held| held.version) != item.version - 1 {
                return Written::Conflict;
            }
            state.presence.insert(user_id.to_owned(), *item);
            Written::Done
        });
        changed.await
    }

    async fn mark_announced(&self, user_id: &str, version: u64) -> Result<Written, PortError> {
        let marked = self.call("mark", |state| match state.presence.get_mut(user_id) {
            Some(item) if item.version == version => {
                item.announced = version;
                Written::Done
            }
            _ => Written::Conflict,
        });
        marked.await
    }
}

/// Filters behind the page's end, as `DynamoDB` does: a page may be empty and not the last.
fn page(state: &State, from: Option<&Cursor>, wanted: impl Fn(&Connection) -> bool) -> Page {
    let size = if state.page_rows == 0 { 2 } else { state.page_rows };
    let after = |connection: &&Connection| {
        from.is_none_or(|cursor| {
            (&connection.user_id, &connection.connection_id) > (&cursor.user_id, &cursor.connection_id)
        })
    };
    let rows: Vec<&Connection> = state.rows.values().filter(|row| wanted(row)).filter(after).take(size).collect();
    let next = rows
        .last()
        .filter(|_| rows.len() == size)
        .map(|last| Cursor { user_id: last.user_id.clone(), connection_id: last.connection_id.clone() });
    Page { connections: rows.into_iter().cloned().collect(), next }
}
