//! Issuers on this machine that answer well, badly, slowly or not at all.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::telemetry::Chain;

/// What an issuer does once it was asked.
enum Then {
    HangUp,
    FallSilent,
    /// Goes on, a byte every few milliseconds.
    Drip,
}

/// What came of a fetch: the document or the text of the error, and how many requests the issuer saw.
type Fetched = (Result<KeyDocument, String>, u32);

/// Fetches from an issuer that sends `answer` and then does as it is told.
fn fetch_within(deadline: Duration, answer: &[u8], then: &Then) -> Fetched {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let uri = format!("http://{place}/jwks?secret=s3cret");
        let answer = String::from_utf8_lossy(answer).replace("ISSUER", &place);
        let mut requests = 0;
        let keys = HttpKeys::with_deadline(deadline).unwrap();
        let fetched = tokio::select! {
            fetched = keys.fetch(&uri) => fetched,
            () = serve(&listener, answer.as_bytes(), then, &mut requests) => unreachable!("an issuer serves for ever"),
        };
        (fetched.map_err(|error| Chain(&error).to_string()), requests)
    })
}

fn fetch(answer: &[u8]) -> Fetched {
    fetch_within(DEADLINE, answer, &Then::HangUp)
}

async fn serve(listener: &TcpListener, answer: &[u8], then: &Then, requests: &mut u32) {
    // A socket that is dropped is closed.
    let mut held: Vec<TcpStream> = Vec::new();
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        *requests += 1;
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        // A client that has read enough hangs up first.
        let mut sent = socket.write_all(answer).await;
        match then {
            Then::HangUp => drop(socket),
            Then::FallSilent => held.push(socket),
            Then::Drip => {
                let mut ticks = tokio::time::interval(Duration::from_millis(5));
                while sent.is_ok() {
                    ticks.tick().await;
                    sent = socket.write_all(b" ").await;
                }
            }
        }
    }
}

fn answer(head: &str, body_bytes: usize) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").into_bytes();
    answer.resize(answer.len() + body_bytes, b' ');
    answer
}

#[test]
fn a_document_comes_with_its_cache_control() {
    let (fetched, requests) = fetch(&answer("200 OK\r\nCache-Control: max-age=7", 5));
    let document = fetched.unwrap();
    assert_eq!((document.body.len(), document.cache_control.as_deref(), requests), (5, Some("max-age=7"), 1));
    let (chunked, _) = fetch(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n \r\n0\r\n\r\n");
    let document = chunked.unwrap();
    assert_eq!((document.body.as_slice(), document.cache_control), (&b"{} "[..], None));
}

#[test]
fn a_document_of_more_than_a_mebibyte_is_refused_whatever_it_says_of_its_length() {
    assert_eq!(fetch(&answer("200 OK", BODY_BYTES_MAX)).0.unwrap().body.len(), BODY_BYTES_MAX);
    assert!(fetch(&answer("200 OK", BODY_BYTES_MAX + 1)).0.unwrap_err().contains("more than 1048576 bytes"));
    let length = format!("200 OK\r\ncontent-length: {}", 64 * BODY_BYTES_MAX);
    assert!(fetch(&answer(&length, 2 * BODY_BYTES_MAX)).0.unwrap_err().contains("more than"));
    let chunk = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", 64 * BODY_BYTES_MAX);
    let chunk = [chunk.as_bytes(), &vec![b' '; 2 * BODY_BYTES_MAX]].concat();
    assert!(fetch(&chunk).0.unwrap_err().contains("more than"));
}

#[test]
fn an_answer_that_is_no_success_is_refused() {
    for status in [
        "201 Created",
        "204 No Content",
        "206 Partial Content",
        "304 Not Modified",
        "404 Not Found",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "503 Service Unavailable",
    ] {
        let (fetched, requests) = fetch(&answer(status, 0));
        assert!(fetched.unwrap_err().contains(status), "{status}");
        assert_eq!(requests, 1, "{status}");
    }
}

#[test]
fn nobody_moves_an_issuers_keys_to_another_place() {
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        for location in [
            "http://ISSUER/other",
            "/other",
            "//ISSUER/",
            "http://evil.invalid/",
            "https://evil.invalid/",
            "file:///etc/hostname",
        ] {
            let (fetched, requests) = fetch(&answer(&format!("{status}\r\nlocation: {location}"), 0));
            assert!(fetched.unwrap_err().contains(status), "{status} {location}");
            assert_eq!(requests, 1, "{location} was asked");
        }
    }
}

#[test]
fn a_document_that_is_cut_off_is_none() {
    let cut: [&[u8]; 6] = [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"keys\":[]}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nc\r\n{\"keys\":[]}\r\n",
        b"nonsense",
    ];
    for answer in cut {
        assert!(fetch(answer).0.is_err(), "{}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn an_issuer_that_is_slow_at_any_point_is_given_up_at_the_deadline() {
    let deadline = Duration::from_millis(200);
    let begun: [(&[u8], Then); 5] = [
        (b"", Then::FallSilent),
        (b"HTTP/1.1 200 OK\r\n", Then::FallSilent),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", Then::FallSilent),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{", Then::Drip),
        (b"HTTP/1.1 200 OK\r\nx-header: ", Then::Drip),
    ];
    for (answer, then) in begun {
        let started = Instant::now();
        let error = fetch_within(deadline, answer, &then).0.unwrap_err();
        let (text, took) = (String::from_utf8_lossy(answer), started.elapsed());
        assert!(error.contains("timed out"), "{text}: {error}");
        // Far from both: this machine may be busy.
        assert!(took >= deadline && took < Duration::from_secs(30), "{text}: {took:?}");
    }
}

#[test]
fn an_error_does_not_tell_what_follows_the_question_mark() {
    let errors = [
        fetch(b"nonsense").0,
        fetch(&answer("503 Service Unavailable", 0)).0,
        fetch(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").0,
        fetch_within(Duration::from_millis(50), b"", &Then::FallSilent).0,
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert!(!error.contains("s3cret") && error.contains("fetching an issuer's keys failed"), "{error}");
    }
}
