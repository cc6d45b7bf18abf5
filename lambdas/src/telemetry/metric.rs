//! Every metric that there is: its name, unit, functions and dimensions. Pure.
//!
//! `CloudWatch` bills each pair of a metric and its dimensions' values by the month, for the hours in which it gets a
//! value. So a dimension has a fixed list of values, and a metric that is zero is left out of the line, unless it is
//! one that alarms stand on ([`Metric::is_always_there`]). `docs/metrics.md` tells what each one means; a test holds
//! it to this list.

use std::fmt;

use sumu_contract::function::Function::{self, Authorizer, Pusher, Routes, Watchdog};

/// What a metric is counted in, as `CloudWatch` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// How many.
    Count,
    /// A time.
    Milliseconds,
    /// A longer time.
    Seconds,
}

impl Unit {
    /// `CloudWatch`'s word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a metric is divided by, beside the function's name.
#[derive(Debug, PartialEq, Eq)]
pub struct Dimension {
    /// Its name.
    pub name: &'static str,
    /// All its values. Never what a client or a backend can choose: each value is paid for.
    pub values: &'static [&'static str],
}

/// What a value is called that is not on its dimension's list.
pub const OTHER: &str = "Other";

impl Dimension {
    /// The value, if it is on the list.
    #[must_use]
    pub fn bounded(&self, value: &str) -> &'static str {
        self.values.iter().find(|known| **known == value).copied().unwrap_or(OTHER)
    }
}

/// Why a client was not let in.
pub static REASON: Dimension = Dimension {
    name: "Reason",
    values: &[
        "NoToken",
        "TokenTooLong",
        "Malformed",
        "CriticalExtension",
        "AlgorithmRefused",
        "IssuerUnknown",
        "KeyUnknown",
        "SignatureInvalid",
        "ExpirationMissing",
        "Expired",
        "NotYetValid",
        "IssuedInFuture",
        "DateInvalid",
        "AudienceRefused",
        "PrincipalMissing",
        "PrincipalInvalid",
    ],
};

/// The route that the gateway chose for a frame.
pub static ROUTE: Dimension = Dimension { name: "Route", values: &["ping", "send", "publish", "$default"] };

/// The code of the error that a client got.
pub static CODE: Dimension = Dimension {
    name: "Code",
    values: &[
        "InvalidJson",
        "BadRequest",
        "UnknownAction",
        "MessageMissing",
        "MessageTooLarge",
        "Unavailable",
        "InternalError",
    ],
};

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// The functions that tell it.
    pub functions: &'static [Function],
    /// What it is divided by, beside its total.
    pub by: Option<&'static Dimension>,
    /// Whether each line of its functions has it, though it be zero.
    pub is_always_there: bool,
}

impl Metric {
    const fn of(functions: &'static [Function], name: &'static str, unit: Unit) -> Self {
        Self { name, unit, functions, by: None, is_always_there: false }
    }

    const fn count(functions: &'static [Function], name: &'static str) -> Self {
        Self::of(functions, name, Unit::Count)
    }

    const fn by(self, dimension: &'static Dimension) -> Self {
        Self { by: Some(dimension), ..self }
    }

    const fn always(self) -> Self {
        Self { is_always_there: true, ..self }
    }

    /// As how many metrics `CloudWatch` bills it at most: the total, and one for each value of its dimension and for
    /// [`OTHER`].
    #[must_use]
    pub fn billed(&self) -> usize {
        self.functions.len() * (1 + self.by.map_or(0, |dimension| dimension.values.len() + 1))
    }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident = $metric:expr;)*) => {
        $($(#[$doc])* pub const $name: Metric = $metric;)*

        /// All metrics.
        pub const ALL: &[Metric] = &[$($name),*];
    };
}

metrics! {
    /// Clients whose token let them in.
    ALLOWED = Metric::count(&[Authorizer], "Allowed");
    /// Clients that were not let in.
    REFUSALS = Metric::count(&[Authorizer], "Refusals").by(&REASON).always();
    /// Clients of whom nobody could say whether to let them in.
    VERDICT_FAILURES = Metric::count(&[Authorizer], "VerdictFailures").always();
    /// How old the keys were that a token was held against.
    JWKS_AGE = Metric::of(&[Authorizer], "JwksAge", Unit::Seconds);
    /// Fetches of issuers' keys.
    JWKS_FETCHES = Metric::count(&[Authorizer], "JwksFetches");
    /// Those of them that brought no keys.
    JWKS_FETCH_FAILURES = Metric::count(&[Authorizer], "JwksFetchFailures");

    /// Connections whose row was written.
    CONNECTS = Metric::count(&[Routes], "Connects");
    /// Connections whose row was deleted.
    DISCONNECTS = Metric::count(&[Routes], "Disconnects");
    /// Connections whose row could be neither written nor deleted.
    CONNECTION_FAILURES = Metric::count(&[Routes], "ConnectionFailures").always();
    /// Frames from clients.
    FRAMES = Metric::count(&[Routes], "Frames").by(&ROUTE);
    /// Frames that were answered with an error.
    FRAME_ERRORS = Metric::count(&[Routes], "FrameErrors").by(&CODE).always();
    /// Messages that the queue or topic did not take at first.
    FORWARD_RETRIES = Metric::count(&[Routes], "ForwardRetries");

    /// Records of queues, topics and streams.
    RECORDS = Metric::count(&[Pusher, Watchdog], "Records");
    /// Records that must come again as they are.
    RECORD_FAILURES = Metric::count(&[Pusher, Watchdog], "RecordFailures").always();
    /// How long a record waited from when it was sent or written.
    RECORD_WAIT = Metric::of(&[Pusher, Watchdog], "RecordWait", Unit::Milliseconds);
    /// How long an item of the pusher's own queue waited, with its delay.
    ITEM_WAIT = Metric::of(&[Pusher], "ItemWait", Unit::Milliseconds);

    /// Connections that were posted to.
    POSTS_DELIVERED = Metric::count(&[Pusher], "PostsDelivered");
    /// Connections that were gone.
    POSTS_GONE = Metric::count(&[Pusher], "PostsGone");
    /// Users or connections that are tried later.
    POSTS_RETRIED = Metric::count(&[Pusher], "PostsRetried");
    /// Users or connections that were tried often enough.
    POSTS_EXHAUSTED = Metric::count(&[Pusher], "PostsExhausted");
    /// Notifications, users or connections that were too late.
    POSTS_EXPIRED = Metric::count(&[Pusher], "PostsExpired");
    /// Connections whose post was refused for good.
    POSTS_INVALID = Metric::count(&[Pusher], "PostsInvalid");
    /// Connections that the function's role may not post to.
    POSTS_FORBIDDEN = Metric::count(&[Pusher], "PostsForbidden").always();
    /// Connections that an invocation had no time for.
    POSTS_PUT_BACK = Metric::count(&[Pusher], "PostsPutBack");
    /// Answers of 429.
    POSTS_THROTTLED = Metric::count(&[Pusher], "PostsThrottled");
    /// Answers of 5xx, or none.
    POSTS_UNAVAILABLE = Metric::count(&[Pusher], "PostsUnavailable");
    /// How long a post took.
    POST_LATENCY = Metric::of(&[Pusher], "PostLatency", Unit::Milliseconds);
    /// Requests that can never be served.
    BAD_REQUESTS = Metric::count(&[Pusher], "BadRequests");
    /// Messages that the pusher put into a dead-letter queue.
    DEAD_LETTERS = Metric::count(&[Pusher], "DeadLetters").always();
    /// Pages of broadcasts that were read.
    BROADCAST_PAGES = Metric::count(&[Pusher], "BroadcastPages");
    /// Rows on them.
    BROADCAST_ROWS = Metric::count(&[Pusher], "BroadcastRows");
    /// Work items that were put.
    BROADCAST_ITEMS = Metric::count(&[Pusher], "BroadcastItems");
    /// Work items that were dropped, because another worker was further.
    BROADCAST_ITEMS_SUPERSEDED = Metric::count(&[Pusher], "BroadcastItemsSuperseded");

    /// Users who came.
    PRESENCE_ONLINE = Metric::count(&[Watchdog], "PresenceOnline");
    /// Users who went.
    PRESENCE_OFFLINE = Metric::count(&[Watchdog], "PresenceOffline");
    /// Changes that were announced.
    PRESENCE_ANNOUNCED = Metric::count(&[Watchdog], "PresenceAnnounced");
    /// Users who had to be tried again.
    PRESENCE_RETRIES = Metric::count(&[Watchdog], "PresenceRetries");
    /// Users whose batch must come again.
    PRESENCE_FAILURES = Metric::count(&[Watchdog], "PresenceFailures").always();
}
