//! Lists that are true and odd, and lists that are not true for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sumu_tests::gateway::Pace;
use sumu_tests::gateway::call::Service::{ApiGateway, Lambda, Sns};
use sumu_tests::gateway::fault::{Act, Calls, Fault, When};
use sumu_tests::gateway::wire::Answer;
use sumu_tests::{Result, ensure, ensure_eq};

use super::common::{behind, is_whole, settled};
use super::whole::{becomes_whole, count, ensure_hit, inject_one, told};
use crate::scene::scene;

fn page(items: &[Value], token: &str) -> Act {
    let body = json!({"items": items, "nextToken": token}).to_string();
    Act::Reply(Answer::new(200, "application/json", body))
}

/// Somebody else's API, under the name of ours.
fn foreign(name: &str, number: usize) -> Value {
    json!({
        "apiId": format!("foreign{number}"),
        "name": name,
        "protocolType": "WEBSOCKET",
        "routeSelectionExpression": "$request.body.action",
        "createdDate": "2020-01-01T00:00:00Z",
        "tags": {"sumu.live/owner": format!("somebody-{number}")},
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn lists_that_come_an_item_at_a_time_hide_nothing() -> Result<()> {
    scene("items").play_from_the_start(async |scene| {
        let gateway = behind(scene, Pace { page: 1, ..Pace::QUICK }, &[]).await?;
        scene.apply().await?;
        scene.ready().await?;
        is_whole(scene).await?;
        scene.delete().await?;
        for rule in ["api-lists-in-pages", "source-list-in-pages", "log-group-list-in-pages"] {
            ensure!(gateway.count(rule) > 0, "{rule} was not met");
        }
        Ok(())
    })
}

#[test]
fn empty_pages_and_a_hundred_and_twenty_foreign_apis_hide_nothing() -> Result<()> {
    scene("pages").play_from_the_start(async |scene| {
        let name = scene.prefix();
        // For the gateway, the token is where the next page begins: at the first item of the true list.
        let empty = inject_one(scene, ApiGateway, "GetRoutes", When::EveryOther, page(&[], "0"));
        let hundred: Vec<Value> = (0..100).map(|number| foreign(&name, number)).collect();
        let hundred = inject_one(scene, ApiGateway, "GetApis", When::EveryOther, page(&hundred, "0"));
        let twenty = Act::rewrite(move |body| {
            let ours = body["items"].as_array().cloned().unwrap_or_default();
            let twenty = (100..120).map(|number| foreign(&name, number));
            body["items"] = twenty.chain(ours).collect();
        });
        let twenty = inject_one(scene, ApiGateway, "GetApis", When::Always, twenty);
        let mut sources = Vec::new();
        for function in ["-pusher", "-watchdog"] {
            let body = json!({"EventSourceMappings": [], "NextMarker": "0"}).to_string();
            let fault = Fault::of(
                Calls::Operation(Lambda, "ListEventSourceMappings"),
                Act::Reply(Answer::new(200, "application/json", body)),
            );
            let fault = fault.by(scene.key()).about(function).when(When::EveryOther);
            sources.push(scene.testbed.aws().gateway().inject(fault));
        }
        scene.apply().await?;
        becomes_whole(scene, 0).await?;
        ensure_eq!(count(scene, ApiGateway, "CreateApi"), 1, "calls of CreateApi");
        ensure_hit(&[("GetRoutes", &empty), ("GetApis", &hundred), ("GetApis again", &twenty)])?;
        ensure_hit(&[("sources of the pusher", &sources[0]), ("sources of the watchdog", &sources[1])])
    })
}

#[test]
fn a_list_whose_pages_come_again_is_not_followed_for_ever_nor_believed() -> Result<()> {
    scene("circle").play_from_the_start(async |scene| {
        let circle = inject_one(scene, ApiGateway, "GetApis", When::Always, page(&[], "again"));
        scene.apply().await?;
        let words = ["GetApis", "the list does not end"];
        told(scene, "Ready", "InternalError", &words).await?;
        let calls = circle.hits();
        println!("{calls} pages were asked for");
        ensure!(calls <= 2 * 8, "{calls} pages were asked for");
        ensure_eq!(count(scene, ApiGateway, "CreateApi"), 0, "calls of CreateApi");
        circle.end();
        becomes_whole(scene, 0).await
    })
}

#[test]
fn an_api_that_lists_do_not_show_yet_is_not_made_again() -> Result<()> {
    scene("unlisted").play_from_the_start(async |scene| {
        let hidden = Arc::new(AtomicU64::new(0));
        let (name, count_hidden) = (scene.prefix(), Arc::clone(&hidden));
        let act = Act::rewrite(move |body| {
            let Some(items) = body["items"].as_array_mut() else { return };
            let all = items.len();
            items.retain(|api| !api["name"].as_str().unwrap_or_default().starts_with(&name));
            count_hidden.fetch_add(u64::from(items.len() < all), Ordering::SeqCst);
        });
        inject_one(scene, ApiGateway, "GetApis", When::FromTheFirst(Duration::from_secs(8)), act);
        scene.apply().await?;
        becomes_whole(scene, 0).await?;
        ensure_eq!(count(scene, ApiGateway, "CreateApi"), 1, "calls of CreateApi");
        ensure!(hidden.load(Ordering::SeqCst) > 1, "the API was always listed");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn lists_that_still_show_what_was_deleted_do_not_keep_a_stack_alive() -> Result<()> {
    scene("ghosts").play(async |scene| {
        // The lists as they are now are those that will be shown.
        settled(scene).await?;
        let late = || When::FromTheFirst(Duration::from_secs(4));
        let apis = inject_one(scene, ApiGateway, "GetApis", late(), Act::Stale);
        let sources = inject_one(scene, Lambda, "ListEventSourceMappings", late(), Act::Stale);
        let subscriptions = inject_one(scene, Sns, "ListSubscriptionsByTopic", late(), Act::Stale);
        scene.delete().await?;
        ensure_hit(&[("GetApis", &apis), ("ListEventSourceMappings", &sources)])?;
        ensure_hit(&[("ListSubscriptionsByTopic", &subscriptions)])?;
        let deletes = count(scene, ApiGateway, "DeleteApi");
        ensure!(deletes <= 4, "{deletes} calls of DeleteApi");
        Ok(())
    })
}
