//! A `DynamoDB` that gives the answers it is told, and keeps what it was asked.

use std::future::Future;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// What comes of some work when `DynamoDB` answers so, and what it was asked: each call with its request.
pub fn ask<T, F: Future<Output = T>>(
    answers: &[(u16, Value)],
    work: impl FnOnce(SdkConfig) -> F,
) -> (T, Vec<(String, Value)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-3"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
            .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
            .build();
        tokio::join!(work(aws), serve(listener, answers))
    })
}

/// Gives each answer once, over one connection after the other.
async fn serve(listener: TcpListener, answers: &[(u16, Value)]) -> Vec<(String, Value)> {
    let mut asked = Vec::new();
    for (status, answer) in answers {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(socket.read_line(&mut head).await.unwrap(), 0, "no whole request: {head}");
        }
        let header = |name: &str| {
            let headers = head.lines().filter_map(|line| line.split_once(": "));
            headers.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
        socket.read_exact(&mut body).await.unwrap();
        let call = header("x-amz-target").unwrap().split('.').next_back().unwrap().to_owned();
        asked.push((call, serde_json::from_slice(&body).unwrap()));
        let answer = answer.to_string();
        let length = answer.len();
        let head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        socket.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
    }
    asked
}
