//! Events alternate and end with the truth, whatever happens in between and wherever they go.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use sumu_contract::settings::PresenceSource;

use crate::fakes::{Cloud, Crash, run};
use crate::watchdog::departure::Departure;
use crate::watchdog::reconcile::ReconcileError;
use crate::watchdog::testing::{
    NOW, alternates, any_source, departures, places, reconciler, tells_the_truth, transitions,
};

#[derive(Clone, Debug)]
enum Step {
    Open(usize, usize),
    Close(usize, usize),
    /// The row's time runs out.
    Expire(usize, usize),
    /// A record of this user arrives: in order, late, again, it is all the same.
    Record(usize),
    /// The same, but the run dies at one of its calls.
    DyingRecord(usize, u32, bool),
    /// Two runs for one user at once, of which both may be late.
    TwoAtOnce(usize),
    /// One of all departures that were ever sent arrives: early, late, again or out of order.
    Departure(usize),
    /// The same, but the run dies at one of its calls.
    DyingDeparture(usize, u32, bool),
    /// A departure and a record of its user at once.
    Both(usize),
    /// The stack gets another grace period, or loses it.
    Grace(Option<u32>),
    Time(u64),
}

const USERS: [&str; 2] = ["a", "b"];
const CONNECTIONS: [&str; 3] = ["1", "2", "3"];
/// A run makes at most so many calls: read, send, publish and mark what was left over, then read, any and change, all
/// that once more, then read and any.
const CALLS_MAX: u32 = 13;

fn step() -> impl Strategy<Value = Step> {
    let user = 0..USERS.len();
    let connection = 0..CONNECTIONS.len();
    prop_oneof![
        3 => (user.clone(), connection.clone()).prop_map(|(u, c)| Step::Open(u, c)),
        3 => (user.clone(), connection.clone()).prop_map(|(u, c)| Step::Close(u, c)),
        1 => (user.clone(), connection).prop_map(|(u, c)| Step::Expire(u, c)),
        4 => user.clone().prop_map(Step::Record),
        4 => (user.clone(), 0..CALLS_MAX, any::<bool>()).prop_map(|(u, n, e)| Step::DyingRecord(u, n, e)),
        2 => user.prop_map(Step::TwoAtOnce),
        1 => (0_u64..5_000).prop_map(Step::Time),
    ]
}

fn step_with_grace() -> impl Strategy<Value = Step> {
    prop_oneof![
        18 => step(),
        3 => any::<usize>().prop_map(Step::Departure),
        3 => (any::<usize>(), 0..CALLS_MAX, any::<bool>()).prop_map(|(n, c, e)| Step::DyingDeparture(n, c, e)),
        2 => any::<usize>().prop_map(Step::Both),
        1 => prop_oneof![Just(None), Just(Some(3)), Just(Some(900))].prop_map(Step::Grace),
    ]
}

/// The cloud and the stack's settings.
struct Model {
    cloud: Cloud,
    source: PresenceSource,
    grace: Option<u32>,
}

impl Model {
    fn new(source: PresenceSource, grace: Option<u32>) -> Self {
        Self { cloud: Cloud::at(NOW), source, grace }
    }

    fn reconcile(&self, user: &str, departed: Option<u64>) -> Result<u64, ReconcileError> {
        run(reconciler(&self.cloud, self.source, self.grace).reconcile(user, departed))
    }

    /// One of all departures that were ever sent.
    fn any_departure(&self, n: usize) -> Option<Departure> {
        let mut departures = departures(&self.cloud);
        (!departures.is_empty()).then(|| departures.swap_remove(n % departures.len()))
    }

    /// Whether it ran to its end does not matter to what must hold.
    fn departure(&self, n: usize) {
        if let Some(departure) = self.any_departure(n) {
            let _ = self.reconcile(&departure.user_id, Some(departure.version));
        }
    }

    fn at_once(&self, user: &str, departed: [Option<u64>; 2]) {
        let reconciler = reconciler(&self.cloud, self.source, self.grace);
        run(futures::future::join_all(departed.map(|departed| reconciler.reconcile(user, departed))));
    }

    fn dying(&self, calls_left: u32, takes_effect: bool, run: impl FnOnce(&Self)) {
        self.cloud.state().crash = Some(Crash { calls_left, takes_effect });
        run(self);
        self.cloud.state().crash = None;
    }

    fn alternates(&self) -> Result<(), TestCaseError> {
        USERS.iter().try_for_each(|user| alternates(&self.cloud, self.source, user))
    }

    fn tells_the_truth(&self) -> Result<(), TestCaseError> {
        USERS.iter().try_for_each(|user| tells_the_truth(&self.cloud, self.source, user))
    }
}

fn perform(model: &mut Model, step: &Step) {
    let cloud = &model.cloud;
    match *step {
        Step::Open(u, c) => cloud.open(USERS[u], CONNECTIONS[c], NOW, None),
        Step::Close(u, c) => cloud.close(USERS[u], CONNECTIONS[c]),
        Step::Expire(u, c) => cloud.expire(USERS[u], CONNECTIONS[c]),
        Step::Record(u) => {
            model.reconcile(USERS[u], None).unwrap();
        }
        Step::DyingRecord(u, calls_left, takes_effect) => {
            // Whether it got to its end before it died does not matter.
            model.dying(calls_left, takes_effect, |model| drop(model.reconcile(USERS[u], None)));
        }
        Step::TwoAtOnce(u) => model.at_once(USERS[u], [None, None]),
        Step::Departure(n) => model.departure(n),
        Step::DyingDeparture(n, calls_left, takes_effect) => {
            model.dying(calls_left, takes_effect, |model| model.departure(n));
        }
        Step::Both(n) => {
            if let Some(departure) = model.any_departure(n) {
                model.at_once(&departure.user_id, [Some(departure.version), None]);
            }
        }
        Step::Grace(grace) => model.grace = grace,
        Step::Time(milliseconds) => cloud.state().now += milliseconds,
    }
}

proptest! {
    #[test]
    fn events_alternate_and_end_with_the_truth(
        source in any_source(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut model = Model::new(source, None);
        for step in &steps {
            perform(&mut model, step);
            model.alternates()?;
        }
        for user in USERS {
            model.reconcile(user, None).unwrap();
        }
        model.tells_the_truth()?;
        for user in USERS {
            let version = model.cloud.state().presence.get(user).map_or(0, |item| item.version);
            for place in places(source) {
                prop_assert_eq!(transitions(&model.cloud, place, user).len() as u64, version, "each change is told");
            }
        }
    }

    #[test]
    fn with_a_grace_period_events_still_alternate_and_end_with_the_truth(
        source in any_source(),
        steps in prop::collection::vec(step_with_grace(), 0..80),
    ) {
        let mut model = Model::new(source, Some(30));
        for step in &steps {
            perform(&mut model, step);
            model.alternates()?;
        }
        // The stream repeats a record until it was worked off once, and the queue every departure.
        for user in USERS {
            model.reconcile(user, None).unwrap();
        }
        for departure in departures(&model.cloud).into_iter().rev() {
            model.reconcile(&departure.user_id, Some(departure.version)).unwrap();
            model.alternates()?;
        }
        model.tells_the_truth()?;
    }
}
