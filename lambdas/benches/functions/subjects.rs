//! What the functions are compared with: programs that do the same in the simplest way. The bench runs itself for each,
//! so that every one has a process of its own.

use std::error::Error;
use std::time::Instant;

use aws_sdk_apigatewaymanagement::primitives::Blob;
use futures::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};
use sumu_lambdas::adapters::{self, gateway::ManagementApi};
use sumu_lambdas::ports::{Posted, Sockets};
use sumu_lambdas::pusher::delivery::POSTS_AT_ONCE;

use super::process::{self, CpuTime};
use super::stand_in::connection_id;

type Failure = Box<dyn Error + Send + Sync>;

/// What comes with each post: 250 bytes, a usual notification.
pub fn payload() -> String {
    let text = json!({"type": "note", "message": "x".repeat(250 - 28)}).to_string();
    assert_eq!(text.len(), 250);
    text
}

/// Runs one of them: its name and its arguments.
pub async fn run(arguments: &[String]) -> Result<(), Failure> {
    match arguments {
        [name] if name == "echo" => {
            lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| Ok::<Value, Failure>(event.payload))).await
        }
        [name, endpoint, count] => {
            let count: usize = count.parse()?;
            // The first posts open the sockets.
            post_all(name, endpoint, POSTS_AT_ONCE).await?;
            let (cpu, started) = (CpuTime::own()?, Instant::now());
            post_all(name, endpoint, count).await?;
            let took = started.elapsed();
            let cpu = cpu.used()?;
            let peak = process::peak_memory_mib(std::process::id())?;
            println!("{}", json!({"cpu_us": cpu.as_micros(), "took_us": took.as_micros(), "peak_mib": peak}));
            Ok(())
        }
        _ => Err("no such subject".into()),
    }
}

async fn post_all(name: &str, endpoint: &str, count: usize) -> Result<(), Failure> {
    match name {
        "bare" => bare(endpoint, count).await,
        "sdk" => sdk(endpoint, count).await,
        "client" => client(endpoint, count).await,
        "list" => list(endpoint, count).await,
        _ => Err("no such subject".into()),
    }
}

thread_local! {
    static BARE: Client<hyper_util::client::legacy::connect::HttpConnector, Full<hyper::body::Bytes>> = {
        let mut connector = hyper_util::client::legacy::connect::HttpConnector::new();
        connector.set_nodelay(true);
        Client::builder(TokioExecutor::new()).build(connector)
    };
}

/// A keep-alive HTTP client and nothing else: no signature, no errors. Nobody can be much cheaper.
async fn bare(endpoint: &str, count: usize) -> Result<(), Failure> {
    let client = BARE.with(Clone::clone);
    let data = hyper::body::Bytes::from(payload());
    let posts = futures::stream::iter(0..count).map(|index| {
        let request =
            hyper::Request::post(format!("{endpoint}/@connections/{}", escaped(index))).body(Full::new(data.clone()));
        let client = client.clone();
        async move {
            let answer = client.request(request?).await?;
            let status = answer.status();
            answer.into_body().collect().await?;
            if status.is_success() { Ok(()) } else { Err(Failure::from("not delivered")) }
        }
    });
    all(posts.buffer_unordered(POSTS_AT_ONCE)).await
}

/// The loop that everybody writes first: the SDK's client, a call a connection.
async fn sdk(endpoint: &str, count: usize) -> Result<(), Failure> {
    let aws = adapters::aws().await;
    let config = aws_sdk_apigatewaymanagement::config::Builder::from(&aws).endpoint_url(endpoint).build();
    let client = aws_sdk_apigatewaymanagement::Client::from_conf(config);
    let data = payload();
    let posts = futures::stream::iter(0..count).map(|index| {
        let call = client.post_to_connection().connection_id(connection_id(index)).data(Blob::new(data.as_str()));
        async move { call.send().await.map(|_| ()).map_err(Failure::from) }
    });
    all(posts.buffer_unordered(POSTS_AT_ONCE)).await
}

/// The pusher's own client, without the pusher.
async fn client(endpoint: &str, count: usize) -> Result<(), Failure> {
    let api = ManagementApi::new(&adapters::aws().await, endpoint)?;
    let data = payload();
    let posts = futures::stream::iter(0..count).map(|index| {
        let (api, data) = (&api, &data);
        async move {
            match api.post(&connection_id(index), data).await {
                Posted::Delivered => Ok(()),
                other => Err(Failure::from(format!("{other:?}"))),
            }
        }
    });
    all(posts.buffer_unordered(POSTS_AT_ONCE)).await
}

/// As `sdk`, but the connections are read from the table first, all of them.
async fn list(endpoint: &str, count: usize) -> Result<(), Failure> {
    let aws = adapters::aws().await;
    let table = aws_sdk_dynamodb::Client::new(&aws);
    let pages = table.scan().table_name("connections").into_paginator().items().send();
    let rows: Vec<_> = pages.collect::<Result<_, _>>().await?;
    let ids = rows.iter().filter_map(|row| row.get("connection_id")?.as_s().ok()).take(count);
    let config = aws_sdk_apigatewaymanagement::config::Builder::from(&aws).endpoint_url(endpoint).build();
    let client = aws_sdk_apigatewaymanagement::Client::from_conf(config);
    let data = payload();
    let posts = futures::stream::iter(ids).map(|id| {
        let call = client.post_to_connection().connection_id(id).data(Blob::new(data.as_str()));
        async move { call.send().await.map(|_| ()).map_err(Failure::from) }
    });
    all(posts.buffer_unordered(POSTS_AT_ONCE)).await
}

async fn all(mut posts: impl futures::Stream<Item = Result<(), Failure>> + Unpin) -> Result<(), Failure> {
    while let Some(post) = posts.next().await {
        post?;
    }
    Ok(())
}

fn escaped(index: usize) -> String {
    connection_id(index).replace('=', "%3D")
}
