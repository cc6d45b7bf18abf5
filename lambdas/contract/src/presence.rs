//! The presence table, one item for each user, and the event that tells of a change.

/// Partition key (S) of the presence table.
pub const USER_ID: &str = "user_id";
/// `ONLINE`, `LEAVING` or `OFFLINE` (S). Who is leaving still counts as online.
pub const STATE: &str = "state";
/// How often the state has changed (N); the optimistic lock of the item.
pub const VERSION: &str = "version";
/// The last version of which whoever must know was told (N).
pub const ANNOUNCED: &str = "announced";
/// When the state changed (N, epoch milliseconds).
pub const CHANGED_AT: &str = "changed_at";
/// The value of the message attribute `source` of a presence event. A client's message never carries it.
pub const SOURCE: &str = "lambda.presence.watchdog";

/// Whether a user is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// At least one live connection.
    Online,
    /// The last connection is gone, but not for as long as the grace period: still online for everyone else.
    Leaving,
    /// No live connection.
    Offline,
}

impl State {
    /// The word in the table and in the event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "ONLINE",
            Self::Leaving => "LEAVING",
            Self::Offline => "OFFLINE",
        }
    }

    /// Reads the word of the table.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "ONLINE" => Some(Self::Online),
            "LEAVING" => Some(Self::Leaving),
            "OFFLINE" => Some(Self::Offline),
            _ => None,
        }
    }
}
