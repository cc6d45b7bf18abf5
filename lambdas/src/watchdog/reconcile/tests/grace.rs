//! `OFFLINE` waits for the grace period.

use sumu_contract::presence::State;
use sumu_contract::settings::PresenceSource;

use crate::fakes::{Cloud, Crash, run};
use crate::watchdog::departure::Departure;
use crate::watchdog::reconcile::ReconcileError;
use crate::watchdog::testing::{self, NOW, transitions};

const GRACE: u32 = 30;

fn reconcile(cloud: &Cloud, grace: Option<u32>, user: &str, departed: Option<u64>) -> Result<u64, ReconcileError> {
    run(testing::reconciler(cloud, PresenceSource::Queue, grace).reconcile(user, departed))
}

/// A record of the stream names the user.
fn record(cloud: &Cloud) -> u64 {
    reconcile(cloud, Some(GRACE), "a", None).unwrap()
}

/// The departures queue gives its n-th message back.
fn departs(cloud: &Cloud, n: usize) -> u64 {
    let Departure { user_id, version } = departure(cloud, n);
    reconcile(cloud, Some(GRACE), &user_id, Some(version)).unwrap()
}

fn departure(cloud: &Cloud, n: usize) -> Departure {
    Departure::parse(&cloud.sent_to("departures")[n].0.body).unwrap()
}

fn passes(cloud: &Cloud, seconds: u64) {
    cloud.state().now += seconds * 1000;
}

/// A user who was online and has just lost the only connection.
fn leaving() -> Cloud {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, None);
    record(&cloud);
    cloud.close("a", "1");
    assert_eq!(record(&cloud), 0);
    assert_eq!(cloud.state().presence["a"].state, State::Leaving);
    cloud
}

fn returns(cloud: &Cloud, connection: &str) {
    cloud.open("a", connection, NOW, None);
    record(cloud);
}

#[test]
fn a_departure_names_user_and_version_and_comes_back_after_the_grace_period() {
    let cloud = leaving();
    assert_eq!(departure(&cloud, 0), Departure { user_id: "a".into(), version: 2 });
    assert_eq!(cloud.sent_to("departures")[0].1, GRACE);
    passes(&cloud, 30);
    assert_eq!(departs(&cloud, 0), 1);
    assert_eq!(transitions(&cloud, "queue", "a"), ["ONLINE", "OFFLINE"]);
}

#[test]
fn a_return_within_the_grace_period_is_no_event() {
    let cloud = leaving();
    passes(&cloud, 29);
    returns(&cloud, "2");
    assert_eq!(cloud.state().presence["a"].state, State::Online);
    passes(&cloud, 1);
    assert_eq!(departs(&cloud, 0), 0);
    assert_eq!(transitions(&cloud, "queue", "a"), ["ONLINE"]);
}

#[test]
fn a_return_that_no_record_has_told_yet_counts_when_the_departure_comes() {
    let cloud = leaving();
    passes(&cloud, 30);
    cloud.open("a", "2", NOW, None);
    assert_eq!(departs(&cloud, 0), 0);
    assert_eq!(cloud.state().presence["a"].state, State::Online);
    assert_eq!(transitions(&cloud, "queue", "a"), ["ONLINE"]);
}

#[test]
fn a_departure_of_the_time_before_does_not_shorten_the_next_grace_period() {
    let cloud = leaving();
    passes(&cloud, 20);
    returns(&cloud, "2");
    cloud.close("a", "2");
    record(&cloud);
    passes(&cloud, 10);
    assert_eq!(departs(&cloud, 0), 0);
    assert_eq!(cloud.state().presence["a"].state, State::Leaving);
    passes(&cloud, 20);
    assert_eq!((departs(&cloud, 1), departs(&cloud, 0), departs(&cloud, 1)), (1, 0, 0), "late and again");
    assert_eq!(transitions(&cloud, "queue", "a"), ["ONLINE", "OFFLINE"]);
}

#[test]
fn the_queue_is_believed_though_this_clock_is_behind() {
    let cloud = leaving();
    assert_eq!(departs(&cloud, 0), 1);
}

#[test]
fn a_departure_that_was_lost_is_made_up_for_when_the_user_is_named_again() {
    let cloud = leaving();
    passes(&cloud, 29);
    assert_eq!(record(&cloud), 0);
    passes(&cloud, 2);
    assert_eq!(record(&cloud), 1);
    assert_eq!(transitions(&cloud, "queue", "a"), ["ONLINE", "OFFLINE"]);
}

#[test]
fn a_departure_that_a_crash_kept_back_is_sent_by_whoever_comes_next() {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, None);
    record(&cloud);
    cloud.close("a", "1");
    // read, any, change; then sending dies.
    cloud.state().crash = Some(Crash { calls_left: 3, takes_effect: false });
    reconcile(&cloud, Some(GRACE), "a", None).unwrap_err();
    cloud.state().crash = None;
    assert!(cloud.sent_to("departures").is_empty());
    assert_eq!(cloud.state().presence["a"].state, State::Leaving);
    record(&cloud);
    assert_eq!(cloud.sent_to("departures").len(), 1);
}

#[test]
fn who_is_leaving_when_the_grace_period_is_taken_away_is_announced_at_once() {
    let cloud = leaving();
    assert_eq!(reconcile(&cloud, None, "a", None).unwrap(), 1);
    assert_eq!(transitions(&cloud, "queue", "a"), ["ONLINE", "OFFLINE"]);
}

#[test]
fn without_a_grace_period_nobody_is_leaving() {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, None);
    reconcile(&cloud, None, "a", None).unwrap();
    cloud.close("a", "1");
    assert_eq!(reconcile(&cloud, None, "a", None).unwrap(), 1);
    assert!(cloud.sent_to("departures").is_empty());
}
