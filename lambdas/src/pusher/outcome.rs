//! What follows from the outcome of one post. Pure.

use super::request::Recipient;
use crate::ports::Posted;

/// How long after its `$connect` a connection may still be opening. The row is written before the socket is open.
const HANDSHAKE_MS: u64 = 10_000;

/// How often a post is tried again in place.
const RETRIES_IN_PLACE: u32 = 2;

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is delivered.
    Delivered,
    /// Nothing: there is no such connection, and nothing known of its row.
    Gone,
    /// The row goes, as the connection has.
    Forget,
    /// Another post, after a short pause.
    TryAgain,
    /// A retry item.
    TryLater,
    /// Nothing: another post would end the same.
    GiveUp,
}

/// What follows from `posted` after `tries` posts, at `now` (epoch milliseconds).
#[must_use]
pub fn next(posted: Posted, recipient: &Recipient, tries: u32, now: u64) -> Next {
    match posted {
        Posted::Delivered => Next::Delivered,
        Posted::Gone => match recipient {
            Recipient::Bare(_) => Next::Gone,
            Recipient::Row { connected_at, .. } if now < connected_at.saturating_add(HANDSHAKE_MS) => Next::TryLater,
            Recipient::Row { .. } => Next::Forget,
        },
        Posted::Throttled | Posted::Unavailable if tries <= RETRIES_IN_PLACE => Next::TryAgain,
        Posted::Throttled | Posted::Unavailable => Next::TryLater,
        Posted::TooLarge | Posted::Invalid | Posted::Forbidden => Next::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(connected_at: u64) -> Recipient {
        Recipient::Row { user_id: "u".into(), connection_id: "c".into(), connected_at }
    }

    #[test]
    fn a_young_row_may_be_opening_still() {
        assert_eq!(next(Posted::Gone, &row(1_000), 1, 10_999), Next::TryLater);
        assert_eq!(next(Posted::Gone, &row(1_000), 1, 11_000), Next::Forget);
        assert_eq!(next(Posted::Gone, &row(20_000), 1, 1_000), Next::TryLater, "the clocks differ");
    }

    #[test]
    fn a_bare_connection_that_is_gone_is_only_counted() {
        assert_eq!(next(Posted::Gone, &Recipient::Bare("c".into()), 1, 0), Next::Gone);
    }

    #[test]
    fn what_may_pass_is_tried_twice_in_place_and_then_later() {
        for posted in [Posted::Throttled, Posted::Unavailable] {
            let nexts: Vec<Next> = (1..=3).map(|tries| next(posted, &row(0), tries, 0)).collect();
            assert_eq!(nexts, [Next::TryAgain, Next::TryAgain, Next::TryLater]);
        }
    }

    #[test]
    fn what_cannot_change_is_given_up_at_once() {
        for posted in [Posted::TooLarge, Posted::Invalid, Posted::Forbidden] {
            assert_eq!(next(posted, &row(0), 1, 0), Next::GiveUp);
        }
    }
}
