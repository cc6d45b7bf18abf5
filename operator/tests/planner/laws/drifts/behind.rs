//! The functions with their roles, and the API before them.

use sumu_contract::Function::{self, Authorizer, Pusher, Routes, Watchdog};
use sumu_operator::desired::policy::Document;
use sumu_operator::observed::{
    ApiState, AuthorizerState, FailedUpdate, FunctionState, IntegrationState, LogGroupState, RoleState, RouteState,
    SourceState, StageState,
};
use sumu_operator::stack::name::LogGroupId;
use sumu_operator::sumu_stack::Architecture;

use super::{Drift, retag};
use crate::cloud::World;

fn role(world: &mut World, id: Function, change: impl FnOnce(&mut RoleState)) {
    world.held.roles.get_mut(&id).map(change);
}

fn log_group(world: &mut World, id: Function, change: impl FnOnce(&mut LogGroupState)) {
    world.held.log_groups.get_mut(&LogGroupId::Function(id)).map(change);
}

fn function(world: &mut World, id: Function, change: impl FnOnce(&mut FunctionState)) {
    world.held.functions.get_mut(&id).map(change);
}

fn source(world: &mut World, id: Function, change: impl FnOnce(&mut SourceState)) {
    world.held.sources.iter_mut().find(|source| source.function == id).map(change);
}

fn api(world: &mut World, change: impl FnOnce(&mut ApiState)) {
    world.held.apis.first_mut().map(change);
}

fn route(world: &mut World, key: &str, change: impl FnOnce(&mut RouteState)) {
    api(world, |api| {
        api.routes.iter_mut().find(|route| route.key == key).map(change);
    });
}

fn wide_open() -> Document {
    Document::parse(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#)
}

fn second_authorizer(world: &mut World, id: &str, name: &str) {
    let (id, name) = (id.to_owned(), name.to_owned());
    let uri = world.held.functions.get(&Authorizer).map(|found| found.arn.clone()).unwrap_or_default();
    api(world, |api| {
        api.authorizers.retain(|found| found.id != id);
        // Another URI than ours would be repaired too.
        let uri = api.authorizers.first().map_or(uri, |found| found.uri.clone());
        let identity_sources = api.authorizers.first().map(|found| found.identity_sources.clone()).unwrap_or_default();
        api.authorizers.push(AuthorizerState { id, name, uri, identity_sources });
    });
}

pub(super) const ROLES: &[Drift] = &[
    Drift {
        name: "a role is gone",
        change: |world| drop(world.held.roles.remove(&Pusher)),
        repair: &["+ role pusher (P-pusher)", "~ role pusher policy"],
    },
    Drift {
        name: "others may assume a role",
        change: |world| role(world, Routes, |role| role.trust = wide_open()),
        repair: &["~ role routes trust"],
    },
    Drift {
        name: "a role may do everything",
        change: |world| role(world, Watchdog, |role| role.policy = Some(wide_open())),
        repair: &["~ role watchdog policy"],
    },
    Drift {
        name: "a role may do nothing",
        change: |world| role(world, Authorizer, |role| role.policy = None),
        repair: &["~ role authorizer policy"],
    },
    Drift {
        name: "a role's tag",
        change: |world| role(world, Watchdog, |role| retag(&mut role.tags)),
        repair: &["~ role watchdog tags cost"],
    },
    Drift {
        name: "a log group is gone",
        change: |world| drop(world.held.log_groups.remove(&LogGroupId::Function(Routes))),
        repair: &["+ log group routes (/aws/lambda/P-routes)", "~ log group routes retention 14 days"],
    },
    Drift {
        name: "a log is kept for ever",
        change: |world| log_group(world, Watchdog, |group| group.retention_days = None),
        repair: &["~ log group watchdog retention 14 days"],
    },
    Drift {
        name: "a log group's tag",
        change: |world| log_group(world, Pusher, |group| retag(&mut group.tags)),
        repair: &["~ log group pusher tags cost"],
    },
];

pub(super) const FUNCTIONS: &[Drift] = &[
    Drift {
        name: "the pusher is gone",
        change: |world| drop(world.held.functions.remove(&Pusher)),
        repair: &["+ function pusher (P-pusher)", "+ permission of function pusher for sns.amazonaws.com"],
    },
    Drift {
        name: "the watchdog is gone",
        change: |world| drop(world.held.functions.remove(&Watchdog)),
        repair: &["+ function watchdog (P-watchdog)"],
    },
    Drift {
        name: "a function has other code",
        change: |world| function(world, Routes, |found| found.code_sha256 = "theirs".into()),
        repair: &["~ function routes code"],
    },
    Drift {
        name: "a function runs on another processor",
        change: |world| function(world, Pusher, |found| found.architecture = Some(Architecture::Arm64)),
        repair: &["~ function pusher code"],
    },
    Drift {
        name: "a function runs on a processor that we do not know",
        change: |world| function(world, Watchdog, |found| found.architecture = None),
        repair: &["~ function watchdog code"],
    },
    Drift {
        name: "a function has other code and less memory",
        change: |world| {
            function(world, Authorizer, |found| (found.code_sha256, found.memory_mib) = ("theirs".into(), 128));
        },
        repair: &["~ function authorizer code", "~ function authorizer configuration"],
    },
    Drift {
        name: "a function's timeout",
        change: |world| function(world, Routes, |found| found.timeout_seconds = 3),
        repair: &["~ function routes configuration"],
    },
    Drift {
        name: "a function's role",
        change: |world| function(world, Watchdog, |found| found.role_arn = "arn:admin".into()),
        repair: &["~ function watchdog configuration"],
    },
    Drift {
        name: "a variable is added to a function's environment",
        change: |world| {
            function(world, Authorizer, |found| drop(found.environment.insert("RUST_LOG".into(), "trace".into())));
        },
        repair: &["~ function authorizer configuration"],
    },
    Drift {
        name: "a function's last update has failed",
        change: |world| {
            function(world, Watchdog, |found| {
                found.failed_update = Some(FailedUpdate { reason: "no reason given".into(), is_young: false });
            });
        },
        repair: &["~ function watchdog configuration"],
    },
    Drift {
        name: "what a function could not do is lost",
        change: |world| function(world, Pusher, |found| found.dead_letters_arn = None),
        repair: &["~ function pusher configuration"],
    },
    Drift {
        name: "the API may not invoke a function",
        change: |world| function(world, Routes, |found| found.permissions.clear()),
        repair: &["+ permission of function routes for apigateway.amazonaws.com"],
    },
    Drift {
        name: "another topic may invoke the pusher in ours' stead, and ours is not subscribed",
        change: |world| {
            function(world, Pusher, |found| {
                found.permissions.iter_mut().for_each(|permission| permission.source_arn = "arn:theirs".into());
            });
            world.held.topics.values_mut().for_each(|topic| topic.subscriptions.clear());
        },
        repair: &[
            "- permission sumu-notifications of function pusher",
            "+ permission of function pusher for sns.amazonaws.com",
            "+ subscription of the pusher to topic notifications",
        ],
    },
    Drift {
        name: "a function's tag",
        change: |world| function(world, Pusher, |found| retag(&mut found.tags)),
        repair: &[
            "~ event source of pusher tags cost",
            "~ event source of pusher tags cost",
            "~ function pusher tags cost",
        ],
    },
];

pub(super) const SOURCES: &[Drift] = &[
    Drift {
        name: "nothing feeds the pusher",
        change: |world| world.held.sources.retain(|source| source.function != Pusher),
        repair: &["+ event source notifications queue to pusher", "+ event source pushes queue to pusher"],
    },
    Drift {
        name: "an event source is switched off",
        change: |world| source(world, Watchdog, |source| source.state = "Disabled".into()),
        repair: &["~ event source connections stream to watchdog"],
    },
    Drift {
        name: "an event source takes one record at a time",
        change: |world| source(world, Pusher, |source| source.batch_size = 1),
        repair: &["~ event source notifications queue to pusher"],
    },
    Drift {
        name: "an event source without a limit",
        change: |world| source(world, Pusher, |source| source.concurrency_max = None),
        repair: &["~ event source notifications queue to pusher"],
    },
    Drift {
        name: "one bad record stops a stream",
        change: |world| source(world, Watchdog, |source| source.bisects = false),
        repair: &["~ event source connections stream to watchdog"],
    },
    Drift {
        name: "one bad record stops a stream for a day",
        change: |world| source(world, Watchdog, |source| source.giving_up = None),
        repair: &["~ event source connections stream to watchdog"],
    },
    Drift {
        name: "one bad record fails its batch",
        change: |world| source(world, Pusher, |source| source.reports_item_failures = false),
        repair: &["~ event source notifications queue to pusher"],
    },
];

pub(super) const API: &[Drift] = &[
    Drift {
        name: "the API is gone",
        change: |world| drop(world.held.apis.pop()),
        repair: &[
            "+ api (P)",
            "+ authorizer",
            "+ deployment",
            "+ integration",
            "+ permission of function authorizer for apigateway.amazonaws.com",
            "+ permission of function routes for apigateway.amazonaws.com",
            "+ response of route $default",
            "+ response of route ping",
            "+ response of route publish",
            "+ response of route send",
            "+ route $connect",
            "+ route $default",
            "+ route $disconnect",
            "+ route ping",
            "+ route publish",
            "+ route send",
            "+ stage prod",
            "- permission sumu-gateway of function authorizer",
            "- permission sumu-gateway of function routes",
            "~ function pusher configuration",
            "~ role pusher policy",
        ],
    },
    Drift { name: "the API's name", change: |world| api(world, |api| api.name = "x".into()), repair: &["~ api"] },
    Drift {
        name: "the API chooses routes by another field",
        change: |world| api(world, |api| api.route_selection = "$request.body.type".into()),
        repair: &["~ api"],
    },
    Drift {
        name: "the API's tag",
        change: |world| api(world, |api| retag(&mut api.tags)),
        repair: &["~ stage prod tags cost", "~ api tags cost"],
    },
    Drift {
        name: "the authorizer is gone",
        change: |world| api(world, |api| api.authorizers.clear()),
        repair: &["+ authorizer", "~ route $connect", "+ deployment", "~ stage prod", "- deployment"],
    },
    Drift {
        name: "another function authorizes",
        change: |world| {
            api(world, |api| api.authorizers.iter_mut().for_each(|authorizer| authorizer.uri = "arn:theirs".into()));
        },
        repair: &["~ authorizer"],
    },
    Drift {
        name: "the authorizer wants another header",
        change: |world| {
            api(world, |api| api.authorizers.iter_mut().for_each(|authorizer| authorizer.identity_sources.clear()));
        },
        repair: &["~ authorizer"],
    },
    Drift {
        name: "a second authorizer of another name",
        change: |world| second_authorizer(world, "00000000", "theirs"),
        repair: &["- authorizer"],
    },
    Drift {
        name: "a second authorizer that is listed last",
        change: |world| second_authorizer(world, "zzzzzzzz", "authorizer"),
        repair: &["- authorizer"],
    },
    Drift {
        name: "a second authorizer that is listed first",
        change: |world| second_authorizer(world, "00000001", "authorizer"),
        repair: &["- authorizer"],
    },
    Drift {
        name: "the integration is gone",
        change: |world| api(world, |api| api.integrations.clear()),
        repair: &[
            "+ integration",
            "~ route $connect",
            "~ route $default",
            "~ route $disconnect",
            "~ route ping",
            "~ route publish",
            "~ route send",
            "+ deployment",
            "~ stage prod",
            "- deployment",
        ],
    },
    Drift {
        name: "the API does not wait for the function",
        change: |world| api(world, |api| api.integrations.iter_mut().for_each(|found| found.timeout_ms = 50)),
        repair: &["~ integration"],
    },
    Drift {
        name: "a second integration",
        change: |world| {
            let id = world.next_id();
            let theirs = IntegrationState { id, description: "theirs".into(), uri: "arn:x".into(), timeout_ms: 50 };
            api(world, |api| api.integrations.push(theirs));
        },
        repair: &["- integration"],
    },
    Drift {
        name: "a second integration that is listed first",
        change: |world| {
            api(world, |api| {
                let twins: Vec<_> = api.integrations.first().cloned().into_iter().collect();
                let twins = twins.into_iter().map(|twin| IntegrationState { id: "00000001".into(), ..twin });
                api.integrations.splice(0..0, twins);
            });
        },
        repair: &["- integration"],
    },
];

pub(super) const STAGE: &[Drift] = &[
    Drift {
        name: "a route is gone",
        change: |world| api(world, |api| api.routes.retain(|route| route.key != "ping")),
        repair: &["+ route ping", "+ response of route ping"],
    },
    Drift {
        name: "a route leads nowhere",
        change: |world| route(world, "send", |route| route.target = None),
        repair: &["~ route send"],
    },
    Drift {
        name: "anybody may connect",
        change: |world| route(world, "$connect", |route| route.authorizer_id = None),
        repair: &["~ route $connect"],
    },
    Drift {
        name: "a route no longer answers",
        change: |world| route(world, "$default", |route| route.response_selection = None),
        repair: &["~ route $default"],
    },
    Drift {
        name: "a route's response is gone",
        change: |world| route(world, "publish", |route| route.responses.clear()),
        repair: &["+ response of route publish"],
    },
    Drift {
        name: "a route too many",
        change: |world| {
            let id = world.next_id();
            let mut theirs = world.held.apis.first().and_then(|api| api.routes.first()).cloned();
            if let Some(route) = &mut theirs {
                (route.id, route.key) = (id.clone(), "shout".into());
            }
            api(world, |api| {
                api.routes.retain(|route| route.key != "shout");
                api.routes.extend(theirs);
            });
        },
        repair: &["- route shout"],
    },
    Drift {
        name: "the stage is gone",
        change: |world| api(world, |api| api.stages.clear()),
        repair: &["+ stage prod"],
    },
    Drift {
        name: "the stage has no limits",
        change: |world| {
            let no_limits = |stage: &mut StageState| (stage.rate_limit, stage.burst_limit) = (None, None);
            api(world, |api| api.stages.iter_mut().for_each(no_limits));
        },
        repair: &["~ stage prod"],
    },
    Drift {
        name: "the stage serves something else",
        change: |world| api(world, |api| api.stages.iter_mut().for_each(|stage| stage.deployment_id = None)),
        repair: &["~ stage prod"],
    },
    Drift {
        name: "a stage too many",
        change: |world| {
            let theirs = StageState {
                name: "test".into(),
                deployment_id: None,
                rate_limit: None,
                burst_limit: None,
                deploys_itself: false,
                access_logs: None,
            };
            api(world, |api| {
                api.stages.retain(|stage| stage.name != "test");
                api.stages.push(theirs);
            });
        },
        repair: &["- stage test"],
    },
    Drift {
        name: "the stage logs to a log group of ours that nobody wants",
        change: |world| world.log_unasked(),
        repair: &["~ stage prod access logs off", "- log group access-logs"],
    },
    Drift {
        name: "a second deployment of the same",
        change: |world| world.deploy_twice("00000001"),
        repair: &["- deployment"],
    },
    Drift {
        name: "the deployment is gone",
        change: |world| api(world, |api| api.deployments.clear()),
        repair: &["+ deployment", "~ stage prod"],
    },
    Drift {
        name: "the stage serves every change at once",
        change: |world| {
            let takes_over = |stage: &mut StageState| (stage.deploys_itself, stage.deployment_id) = (true, None);
            api(world, |api| api.stages.iter_mut().for_each(takes_over));
        },
        repair: &["~ stage prod automatic deployment off", "~ stage prod"],
    },
];
