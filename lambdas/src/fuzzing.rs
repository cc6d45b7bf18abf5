//! What may be said of every input: each fuzz target of `lambdas/fuzz` as a plain function of bytes.
//!
//! A target returns, or it panics because a property does not hold. The targets are here and not in `lambdas/fuzz`, so
//! that the ordinary tests can run them over the corpus and over mutations of it on a stable compiler. Nothing of this
//! is compiled into a function.

mod authorizer;
mod pusher;
mod routes;
mod watchdog;

#[cfg(test)]
mod tests;

pub use self::authorizer::{authorizer_event, key_document, token};
pub use self::pusher::{push_request, pusher_event, work_item};
pub use self::routes::{routes_event, routes_frame};
pub use self::watchdog::watchdog_event;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also of its corpus.
    pub name: &'static str,
    /// What it checks.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target { name: "token", check: token },
    Target { name: "key_document", check: key_document },
    Target { name: "authorizer_event", check: authorizer_event },
    Target { name: "routes_event", check: routes_event },
    Target { name: "routes_frame", check: routes_frame },
    Target { name: "push_request", check: push_request },
    Target { name: "pusher_event", check: pusher_event },
    Target { name: "watchdog_event", check: watchdog_event },
    Target { name: "work_item", check: work_item },
];

/// Whether `part` is a piece of `whole` itself and no copy of one.
fn is_within(part: &str, whole: &str) -> bool {
    let (part_begins, whole_begins) = (part.as_ptr().addr(), whole.as_ptr().addr());
    whole_begins <= part_begins && part_begins + part.len() <= whole_begins + whole.len()
}
