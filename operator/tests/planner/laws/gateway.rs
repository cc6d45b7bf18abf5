//! The API: the oldest stays, and a deployment is made exactly when what it captures changes.

use sumu_contract::Function;
use sumu_operator::desired::Desired;
use sumu_operator::observed::{ApiState, DeploymentState};
use sumu_operator::stack::name::{QueueId, TableId, TopicId};

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{stack, with_new_code};
use crate::laws::{assert_whole, settled};
use crate::passes::{empty, pass, settle};

fn deployments(cloud: &MemoryCloud, calls: usize) -> usize {
    cloud.lines_since(calls).iter().filter(|line| *line == "+ deployment").count()
}

/// How many deployments a stack makes when it becomes another one.
fn deployments_for(cloud: &MemoryCloud, desired: &Desired) -> usize {
    let calls = cloud.calls();
    settle(cloud, desired);
    cloud.change(|world| world.assert_served());
    deployments(cloud, calls)
}

#[test]
fn of_two_apis_with_our_tag_the_oldest_stays() {
    let fixture = stack("");
    for when in 0..10 {
        let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
        let oldest = (0..=when).map(|_| pass(&cloud, &fixture.desired)).last().unwrap().observed;
        cloud.change(|world| {
            for id in ["00000000", "zzzzzzzz"] {
                let twin = world.held.apis[0].clone();
                world.held.apis.push(ApiState {
                    id: id.into(),
                    tags: twin.tags,
                    name: twin.name,
                    ..ApiState::default()
                });
            }
        });
        settle(&cloud, &fixture.desired);
        assert_whole(&cloud, &fixture);
        if let Some(api) = oldest.api() {
            assert_eq!(cloud.held().apis[0].id, api.id);
        }
    }
}

#[test]
fn all_apis_with_our_tag_go_with_the_stack() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        let twin = ApiState { id: "twin".into(), tags: world.held.apis[0].tags.clone(), ..ApiState::default() };
        world.held.apis.push(twin);
    });
    empty(&cloud, &fixture.nothing);
}

#[test]
fn a_new_stack_makes_one_deployment() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let cloud = settled(&stack(""), pace);
        assert_eq!(deployments(&cloud, 0), 1);
    }
}

#[test]
fn what_a_deployment_does_not_capture_makes_none() {
    let edits = [
        "gateway: {throttling: {rateLimit: 7, burstLimit: 9}}",
        "functions: {memoryMiB: 1024}",
        "functions: {architecture: arm64}",
        "tags: {cost: c-43}",
        "authorizer: {leewaySeconds: 5}",
        "pusher: {maxConcurrency: 20}",
        "connections: {ttlSeconds: 9000}",
    ];
    let before = stack("");
    for edit in edits {
        let cloud = settled(&before, Pace::INSTANT);
        assert_eq!(deployments_for(&cloud, &stack(edit).desired), 0, "{edit}");
    }
    let cloud = settled(&before, Pace::INSTANT);
    assert_eq!(deployments_for(&cloud, &with_new_code(&before.stack)), 0);
}

#[test]
fn a_change_of_where_tokens_are_looked_for_makes_one() {
    let before = stack("");
    let cloud = settled(&before, Pace::SLOW);
    let after = stack("authorizer: {tokenSources: [Header]}");
    assert_eq!(deployments_for(&cloud, &after.desired), 1);
    // The one of before is gone: what was made once is not trusted to be what it says.
    assert_eq!(deployments_for(&cloud, &before.desired), 1);
    assert_whole(&cloud, &before);
}

#[test]
fn a_deployment_that_was_made_twice_is_there_once() {
    let fixture = stack("");
    for when in ["before the stage", "behind the stage"] {
        let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
        loop {
            let is_made = !pass(&cloud, &fixture.desired).observed.api().is_none_or(|api| api.deployments.is_empty());
            if is_made && (when == "before the stage" || cloud.held().apis[0].stages.len() == 1) {
                break;
            }
        }
        let first = cloud.held().apis[0].deployments[0].id.clone();
        cloud.change(|world| ["zzzzzzzz", "00000001"].into_iter().for_each(|id| world.deploy_twice(id)));
        settle(&cloud, &fixture.desired);
        assert_whole(&cloud, &fixture);
        if when == "behind the stage" {
            assert_eq!(cloud.held().apis[0].deployments[0].id, first, "clients were moved to a twin");
        }
    }
}

/// A call that outlives the operator that made it captures what is there when it comes.
#[test]
fn a_deployment_that_came_late_is_not_served_when_what_it_says_is_wanted_again() {
    let before = stack("");
    let cloud = settled(&before, Pace::INSTANT);
    let late = cloud.held().apis[0].deployments[0].clone();
    let after = stack("authorizer: {tokenSources: [Header]}");
    settle(&cloud, &after.desired);
    cloud.change(|world| {
        let as_it_is = world.held.apis[0].clone();
        world.capture("late", as_it_is);
        world.held.apis[0].deployments.push(DeploymentState { id: "late".into(), ..late });
    });
    settle(&cloud, &after.desired);
    settle(&cloud, &before.desired);
    assert_whole(&cloud, &before);
}

#[test]
fn an_authorizer_that_was_made_again_makes_one() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::SLOW);
    cloud.change(|world| world.held.apis[0].authorizers.clear());
    assert_eq!(deployments_for(&cloud, &fixture.desired), 1);
}

#[test]
fn a_route_that_was_changed_and_put_right_makes_none() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::SLOW);
    // Whoever changed it has not deployed it: the stage goes on to serve the route as it should be.
    cloud.change(|world| world.held.apis[0].routes.iter_mut().for_each(|route| route.authorizer_id = None));
    assert_eq!(deployments_for(&cloud, &fixture.desired), 0);
}

#[test]
fn a_drift_that_somebody_has_deployed_is_served_no_longer() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        world.held.apis[0].routes.iter_mut().for_each(|route| route.authorizer_id = None);
        world.deploy_as_somebody_else();
    });
    settle(&cloud, &fixture.desired);
    assert_whole(&cloud, &fixture);
}

#[test]
fn a_deployment_that_failed_is_told_and_after_a_while_made_again() {
    let fixture = stack("");
    for is_served in [true, false] {
        let cloud = settled(&fixture, Pace::INSTANT);
        let id = cloud.change(|world| {
            if !is_served {
                world.held.apis[0].stages.clear();
            }
            let failed = &mut world.held.apis[0].deployments[0];
            (failed.status, failed.status_message) = ("FAILED".into(), Some("too many routes".into()));
            failed.failed_lately = true;
            failed.id.clone()
        });
        let calls = cloud.calls();
        let last = (0..3).map(|_| pass(&cloud, &fixture.desired)).last().unwrap();
        assert_eq!(last.plan.to_string(), format!("… AWS has given up on deployment {id}: too many routes\n"));
        assert_eq!(cloud.calls(), calls);

        cloud.change(|world| world.held.apis[0].deployments[0].failed_lately = false);
        settle(&cloud, &fixture.desired);
        assert_eq!(deployments(&cloud, calls), 1);
        assert_whole(&cloud, &fixture);
        assert!(cloud.held().apis[0].deployments.iter().all(|found| found.id != id), "the failed one is there still");
    }
}

#[test]
fn of_two_deployments_the_one_that_is_served_stays() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    for serves_the_second in [false, true] {
        cloud.change(|world| {
            world.deploy_twice("second");
            if serves_the_second {
                world.held.apis[0].stages[0].deployment_id = Some("second".into());
            }
        });
        settle(&cloud, &fixture.desired);
        assert_whole(&cloud, &fixture);
        assert_eq!(cloud.held().apis[0].deployments[0].id == "second", serves_the_second);
    }
}

#[test]
fn a_stage_opens_only_when_everything_behind_it_answers() {
    let late_table = Pace { table: 20, ..Pace::INSTANT };
    let late_role = Pace { role: 20, ..Pace::INSTANT };
    for pace in [Pace::INSTANT, Pace::SLOW, late_table, late_role] {
        let fixture = stack("");
        let cloud = MemoryCloud::new(&fixture, pace);
        let opening = loop {
            let pass = pass(&cloud, &fixture.desired);
            if pass.plan.to_string().contains("+ stage") {
                break pass.observed;
            }
        };
        assert!(opening.tables[&TableId::Connections].is_active());
        assert!(opening.topics.contains_key(&TopicId::Messages) && opening.queues.contains_key(&QueueId::Messages));
        for function in [Function::Authorizer, Function::Routes] {
            assert_eq!(opening.functions[&function].permissions.len(), 1, "{function}");
        }
    }
}
