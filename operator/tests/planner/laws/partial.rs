//! Whatever part of a stack is there, the rest is made.

use proptest::prelude::*;
use sumu_contract::Function;
use sumu_operator::observed::{FailedUpdate, Observed, Readiness};
use sumu_operator::stack::name::{LogGroupId, QueueId, TableId, TopicId};

use crate::cloud::{Fault, Pace, World};
use crate::fixtures::{stack, with_new_code};
use crate::laws::{assert_whole, drifted, settled};
use crate::passes::settle;

/// Takes away, from a settled stack, each of the `2^n` subsets of what `n` changes take away, and lets it settle.
fn settles_without_each_subset(changes: &[&dyn Fn(&mut Observed)]) {
    let fixture = stack("");
    let whole = settled(&fixture, Pace::INSTANT);
    for mask in 0..1_u32 << changes.len() {
        let cloud = whole.copy();
        cloud.change(|world| {
            for (_, change) in changes.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1) {
                change(&mut world.held);
            }
        });
        settle(&cloud, &fixture.desired);
        assert_whole(&cloud, &fixture);
    }
}

#[test]
fn every_subset_of_the_tables_is_completed() {
    settles_without_each_subset(&[
        &|held| drop(held.tables.remove(&TableId::Connections)),
        &|held| drop(held.tables.remove(&TableId::Presence)),
        &|held| held.tables.values_mut().for_each(|table| table.ttl_attribute = None),
        &|held| held.tables.values_mut().for_each(|table| table.stream_arn = None),
        &|held| held.sources.retain(|source| source.function != Function::Watchdog),
    ]);
}

#[test]
fn every_subset_of_queues_and_topics_is_completed() {
    settles_without_each_subset(&[
        &|held| drop(held.queues.remove(&QueueId::Notifications)),
        &|held| drop(held.queues.remove(&QueueId::NotificationsDeadLetters)),
        &|held| drop(held.queues.remove(&QueueId::Messages)),
        &|held| drop(held.queues.remove(&QueueId::MessagesDeadLetters)),
        &|held| drop(held.queues.remove(&QueueId::Pushes)),
        &|held| drop(held.queues.remove(&QueueId::PushesDeadLetters)),
        &|held| drop(held.queues.remove(&QueueId::PresenceDeadLetters)),
        &|held| drop(held.topics.remove(&TopicId::Notifications)),
        &|held| drop(held.topics.remove(&TopicId::Messages)),
        &|held| held.topics.values_mut().for_each(|topic| topic.subscriptions.clear()),
    ]);
}

#[test]
fn every_subset_of_each_function_is_completed() {
    for function in Function::ALL {
        settles_without_each_subset(&[
            &|held| drop(held.log_groups.remove(&LogGroupId::Function(function))),
            &|held| held.roles.get_mut(&function).into_iter().for_each(|role| role.policy = None),
            &|held| drop(held.roles.remove(&function)),
            &|held| held.functions.get_mut(&function).into_iter().for_each(|found| found.permissions.clear()),
            &|held| drop(held.functions.remove(&function)),
            &|held| held.sources.retain(|source| source.function != function),
        ]);
    }
}

#[test]
fn every_subset_of_the_api_is_completed() {
    settles_without_each_subset(&[
        &|held| held.apis[0].authorizers.clear(),
        &|held| held.apis[0].integrations.clear(),
        &|held| held.apis[0].routes.retain(|route| route.key != "$connect"),
        &|held| held.apis[0].routes.retain(|route| route.key != "send"),
        &|held| held.apis[0].routes.iter_mut().for_each(|route| route.responses.clear()),
        &|held| held.apis[0].deployments.clear(),
        &|held| held.apis[0].stages.clear(),
        &|held| held.functions.values_mut().for_each(|found| found.permissions.clear()),
    ]);
}

/// Makes a thing busy with something that we did not ask for.
fn busy(world: &mut World, what: usize) {
    let tables = TableId::ALL.len();
    if what < tables {
        world.trouble_table(TableId::ALL[what]);
    } else {
        world.trouble_function(Function::ALL[(what - tables) % Function::ALL.len()]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_state_is_completed(
        drifts in prop::collection::vec(any::<prop::sample::Index>(), 0..15),
        troubled in prop::collection::vec(0_usize..6, 0..3),
        fault in prop::option::of((1_usize..30, any::<bool>())),
    ) {
        let (fixture, cloud) = drifted(&drifts, 0);
        let made = cloud.calls();
        cloud.change(|world| {
            for what in troubled {
                busy(world, what);
            }
            let kind = |is_lost| if is_lost { Fault::AnswerLost } else { Fault::Throttled };
            world.fault = fault.map(|(at, is_lost)| (made + at, kind(is_lost)));
        });
        settle(&cloud, &fixture.desired);
        assert_whole(&cloud, fixture);
    }
}

#[test]
fn a_function_that_lambda_has_given_up_on_is_told_and_comes_back_once_somebody_deletes_it() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    let reason = "the role lacks a right";
    cloud.change(|world| {
        world.held.functions.get_mut(&Function::Pusher).unwrap().readiness = Readiness::Failed(reason.into());
    });
    let pass = crate::passes::pass(&cloud, &fixture.desired);
    assert_eq!(pass.plan.to_string(), format!("… AWS has given up on function pusher: {reason}\n"));
    cloud.change(|world| world.held.functions.remove(&Function::Pusher));
    settle(&cloud, &fixture.desired);
    assert_whole(&cloud, &fixture);
}

#[test]
fn a_failed_update_of_a_function_is_told_and_after_a_while_made_again_though_all_looks_as_wanted() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    let fail = |is_young| {
        cloud.change(|world| {
            let reason = "the role lacks a right".to_owned();
            world.held.functions.get_mut(&Function::Pusher).unwrap().failed_update =
                Some(FailedUpdate { reason, is_young });
        });
    };
    let told = "… AWS has given up on the last update of function pusher: the role lacks a right\n";
    fail(true);
    let calls = cloud.calls();
    let last = (0..3).map(|_| crate::passes::pass(&cloud, &fixture.desired)).last().unwrap();
    assert_eq!((last.plan.to_string().as_str(), cloud.calls()), (told, calls));
    assert!(last.plan.waits.iter().all(|wait| !wait.reason.ends_by_itself()));

    fail(false);
    let pass = crate::passes::pass(&cloud, &fixture.desired);
    assert_eq!(pass.plan.to_string(), format!("~ function pusher configuration\n{told}"));
    settle(&cloud, &fixture.desired);
    assert_eq!(cloud.lines_since(calls), ["~ function pusher configuration"]);
    assert_whole(&cloud, &fixture);
}

#[test]
fn a_failed_update_that_left_the_old_code_holds_up_no_other_function_and_is_one_of_code_again() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::SLOW);
    let new = with_new_code(&fixture.stack);
    let failed = |is_young| Some(FailedUpdate { reason: "the role lacks a right".into(), is_young });
    cloud.change(|world| {
        world.held.functions.get_mut(&Function::Pusher).unwrap().failed_update = failed(true);
    });
    let calls = cloud.calls();
    for _ in 0..20 {
        crate::passes::pass(&cloud, &new);
    }
    assert_eq!(
        cloud.lines_since(calls),
        ["~ function authorizer code", "~ function routes code", "~ function watchdog code"]
    );
    cloud.change(|world| {
        world.held.functions.get_mut(&Function::Pusher).unwrap().failed_update = failed(false);
    });
    let calls = cloud.calls();
    settle(&cloud, &new);
    assert_eq!(cloud.lines_since(calls), ["~ function pusher code"]);
}
