//! The four functions of a stack.

use std::fmt;

/// One of the four Lambda functions of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// Decides who may connect.
    Authorizer,
    /// Answers every route of the WebSocket API.
    Routes,
    /// Sends notifications to connections.
    Pusher,
    /// Follows the connections table and announces who comes and goes.
    Watchdog,
}

impl Function {
    /// All functions, in the order in which a client meets them.
    pub const ALL: [Self; 4] = [Self::Authorizer, Self::Routes, Self::Pusher, Self::Watchdog];

    /// The function's word in names, files and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorizer => "authorizer",
            Self::Routes => "routes",
            Self::Pusher => "pusher",
            Self::Watchdog => "watchdog",
        }
    }

    /// The Lambda timeout in seconds.
    ///
    /// The authorizer's and the routes' are below the 29 s that API Gateway waits, with room to answer a typed
    /// error. The pusher's bounds a whole batch; the queue's visibility timeout follows it.
    #[must_use]
    pub const fn timeout_seconds(self) -> i32 {
        match self {
            Self::Authorizer => 10,
            Self::Routes => 15,
            Self::Pusher => 120,
            Self::Watchdog => 60,
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
