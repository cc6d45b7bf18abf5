//! Events alternate and end with the truth, whatever happens in between.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{NOW, transitions, with_grace};
use crate::fakes::{Cloud, Crash, run};
use crate::watchdog::departure::Departure;
use crate::watchdog::reconcile::ReconcileError;

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
    /// The stack gets another grace period, or loses it.
    Grace(Option<u32>),
    Time(u64),
}

const USERS: [&str; 2] = ["a", "b"];
const CONNECTIONS: [&str; 3] = ["1", "2", "3"];

fn step() -> impl Strategy<Value = Step> {
    let user = 0..USERS.len();
    let connection = 0..CONNECTIONS.len();
    prop_oneof![
        3 => (user.clone(), connection.clone()).prop_map(|(u, c)| Step::Open(u, c)),
        3 => (user.clone(), connection.clone()).prop_map(|(u, c)| Step::Close(u, c)),
        1 => (user.clone(), connection).prop_map(|(u, c)| Step::Expire(u, c)),
        4 => user.clone().prop_map(Step::Record),
        4 => (user.clone(), 0_u32..8, any::<bool>()).prop_map(|(u, n, e)| Step::DyingRecord(u, n, e)),
        2 => user.prop_map(Step::TwoAtOnce),
        1 => (0_u64..5_000).prop_map(Step::Time),
    ]
}

fn step_with_grace() -> impl Strategy<Value = Step> {
    prop_oneof![
        18 => step(),
        3 => any::<usize>().prop_map(Step::Departure),
        3 => (any::<usize>(), 0_u32..8, any::<bool>()).prop_map(|(n, c, e)| Step::DyingDeparture(n, c, e)),
        1 => prop_oneof![Just(None), Just(Some(3)), Just(Some(900))].prop_map(Step::Grace),
    ]
}

/// The cloud and the stack's settings.
struct Model {
    cloud: Cloud,
    grace: Option<u32>,
}

impl Model {
    fn reconcile(&self, user: &str, departed: Option<u64>) -> Result<u64, ReconcileError> {
        run(with_grace(&self.cloud, self.grace).reconcile(user, departed))
    }

    fn departures(&self) -> Vec<Departure> {
        let sent = self.cloud.sent_to("departures");
        sent.iter().map(|(message, _)| Departure::parse(&message.body).unwrap()).collect()
    }

    /// Whether it ran to its end does not matter to what must hold.
    fn departure(&self, n: usize) {
        let departures = self.departures();
        if let Some(departure) = departures.get(n % departures.len().max(1)) {
            let _ = self.reconcile(&departure.user_id, Some(departure.version));
        }
    }

    fn dying(&self, calls_left: u32, takes_effect: bool, run: impl FnOnce(&Self)) {
        self.cloud.state().crash = Some(Crash { calls_left, takes_effect });
        run(self);
        self.cloud.state().crash = None;
    }

    fn is_there(&self, user: &str) -> bool {
        let state = self.cloud.state();
        state.rows.values().any(|row| row.user_id == user && row.is_live(state.now))
    }

    fn alternates(&self) -> Result<(), TestCaseError> {
        for user in USERS {
            let statuses = transitions(&self.cloud, user);
            let alternating = ["ONLINE", "OFFLINE"].iter().cycle().take(statuses.len());
            prop_assert!(statuses.iter().eq(alternating), "{user}: {statuses:?}");
        }
        Ok(())
    }

    fn tells_the_truth(&self, user: &str) -> Result<(), TestCaseError> {
        let statuses = transitions(&self.cloud, user);
        let last = statuses.last().map_or("OFFLINE", String::as_str);
        let truth = if self.is_there(user) { "ONLINE" } else { "OFFLINE" };
        prop_assert_eq!(last, truth);
        if let Some(item) = self.cloud.state().presence.get(user) {
            prop_assert_eq!(item.announced, item.version);
            prop_assert_eq!(item.state.as_str(), truth);
        }
        Ok(())
    }
}

fn perform(model: &mut Model, step: &Step) {
    let cloud = &model.cloud;
    match *step {
        Step::Open(u, c) => cloud.open(USERS[u], CONNECTIONS[c], NOW, None),
        Step::Close(u, c) => cloud.close(USERS[u], CONNECTIONS[c]),
        Step::Expire(u, c) => {
            let mut state = cloud.state();
            if let Some(row) = state.rows.get_mut(&(USERS[u].into(), CONNECTIONS[c].into())) {
                row.delete_at = Some(1);
            }
        }
        Step::Record(u) => {
            model.reconcile(USERS[u], None).unwrap();
        }
        Step::DyingRecord(u, calls_left, takes_effect) => {
            // Whether it got to its end before it died does not matter.
            model.dying(calls_left, takes_effect, |model| drop(model.reconcile(USERS[u], None)));
        }
        Step::TwoAtOnce(u) => {
            let reconciler = with_grace(cloud, model.grace);
            run(async {
                let runs = [reconciler.reconcile(USERS[u], None), reconciler.reconcile(USERS[u], None)];
                futures::future::join_all(runs).await
            });
        }
        Step::Departure(n) => model.departure(n),
        Step::DyingDeparture(n, calls_left, takes_effect) => {
            model.dying(calls_left, takes_effect, |model| model.departure(n));
        }
        Step::Grace(grace) => model.grace = grace,
        Step::Time(milliseconds) => cloud.state().now += milliseconds,
    }
}

proptest! {
    #[test]
    fn events_alternate_and_end_with_the_truth(steps in prop::collection::vec(step(), 0..60)) {
        let mut model = Model { cloud: Cloud::at(NOW), grace: None };
        for step in &steps {
            perform(&mut model, step);
            model.alternates()?;
        }
        for user in USERS {
            model.reconcile(user, None).unwrap();
            model.tells_the_truth(user)?;
            let events = transitions(&model.cloud, user).len() as u64;
            if let Some(item) = model.cloud.state().presence.get(user) {
                prop_assert_eq!(item.version, events);
            }
        }
    }

    #[test]
    fn with_a_grace_period_events_still_alternate_and_end_with_the_truth(
        steps in prop::collection::vec(step_with_grace(), 0..80),
    ) {
        let mut model = Model { cloud: Cloud::at(NOW), grace: Some(30) };
        for step in &steps {
            perform(&mut model, step);
            model.alternates()?;
        }
        // The stream repeats a record until it was worked off once, and the queue every departure.
        for user in USERS {
            model.reconcile(user, None).unwrap();
        }
        for departure in model.departures().into_iter().rev() {
            model.reconcile(&departure.user_id, Some(departure.version)).unwrap();
            model.alternates()?;
        }
        for user in USERS {
            model.tells_the_truth(user)?;
        }
    }
}
