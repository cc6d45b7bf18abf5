//! What no rule and no fault touches passes byte for byte, there and back.

use std::net::Ipv4Addr;

use sumu_tests::gateway::{Gateway, Settings};
use sumu_tests::{Context, Result, ensure, ensure_eq};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Larger than the largest package that Lambda takes, as base64.
const LARGE: usize = 70 << 20;

/// One message: its head, and a body as long as the head says.
async fn message(connection: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    connection.read_exact(&mut body).await?;
    Ok((head, body))
}

/// A gateway before an upstream of our own.
async fn before() -> Result<(Gateway, TcpListener)> {
    let upstream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    Ok((Gateway::start(listen, upstream.local_addr()?, Settings::default()).await?, upstream))
}

#[tokio::test]
async fn a_request_and_its_answer_pass_as_they_are() -> Result<()> {
    let (gateway, upstream) = before().await?;
    let mut caller = TcpStream::connect(gateway.address()).await?;
    let body = b"\x00\xff any \r\n bytes";
    let head = "PUT /a%2Fb/%E2%82%AC?x=1&x=%20&empty HTTP/1.1\r\nHost: queue.example:1234\r\nX-Mixed-CASE: One\r\n\
                X-Mixed-CASE: two\r\nContent-Length: 15\r\n\r\n";
    caller.write_all(head.as_bytes()).await?;
    caller.write_all(body).await?;

    let (mut asked, _) = upstream.accept().await?;
    let (found, sent) = message(&mut asked).await?;
    ensure_eq!(sent, body, "the body");
    let sorted = |head: &str| {
        let mut lines: Vec<String> = head.trim().lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    };
    ensure_eq!(sorted(&found), sorted(head), "the head");

    let answer = "HTTP/1.1 418 I'm a teapot\r\nX-Amzn-RequestId: 1\r\ndate: now\r\nContent-Length: 15\r\n\r\n";
    asked.write_all(answer.as_bytes()).await?;
    asked.write_all(body).await?;
    let (found, sent) = message(&mut caller).await?;
    ensure_eq!(sent, body, "the answer's body");
    let without_words = |head: &str| sorted(head.split_once("\r\n").unwrap_or_default().1);
    ensure_eq!(without_words(&found), without_words(answer), "the answer's headers");
    ensure!(found.starts_with("HTTP/1.1 418"), "the status of {found}");
    Ok(())
}

#[tokio::test]
async fn a_package_of_the_largest_size_passes() -> Result<()> {
    let (gateway, upstream) = before().await?;
    let body = vec![b'x'; LARGE];
    let url = format!("http://{}/large", gateway.address());
    let asked = tokio::spawn(reqwest::Client::new().put(url).body(body).send());
    let (mut connection, _) = upstream.accept().await?;
    let (_, sent) = message(&mut connection).await?;
    ensure_eq!(sent.len(), LARGE, "the length of the body");
    connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
    ensure_eq!(asked.await??.status().as_u16(), 204, "the status");
    Ok(())
}

#[tokio::test]
async fn a_request_is_carried_out_although_its_caller_has_gone() -> Result<()> {
    let (gateway, upstream) = before().await?;
    let mut caller = TcpStream::connect(gateway.address()).await?;
    caller.write_all(b"POST /done HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await?;
    let (mut connection, _) = upstream.accept().await?;
    drop(caller);
    let (head, _) = message(&mut connection).await?;
    ensure!(head.starts_with("POST /done"), "asked: {head}");
    connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
    Ok(())
}

#[tokio::test]
async fn a_rule_that_is_not_there_cannot_be_switched_off() -> Result<()> {
    let settings = Settings { off: vec!["typo".to_owned()], ..Settings::default() };
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let error = Gateway::start(listen, listen, settings).await.err().context("it started")?;
    ensure!(error.to_string().contains("typo"), "said: {error}");
    Ok(())
}
