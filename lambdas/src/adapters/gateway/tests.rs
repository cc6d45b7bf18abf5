//! Posts to a gateway that is told what to do, beside those of the SDK.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_apigatewaymanagement::Client as SdkClient;
use aws_sdk_apigatewaymanagement::error::SdkError;
use aws_sdk_apigatewaymanagement::operation::post_to_connection::PostToConnectionError;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use sha2::{Digest, Sha256};

use super::*;

/// What a gateway does with one request.
enum Act {
    /// Sends this and keeps the socket.
    Answer(String),
    /// Sends this and closes the socket.
    AnswerAndClose(String),
    /// Closes the socket without a word.
    Close,
    /// Says nothing until the other side gives up.
    Hang,
}

/// A gateway that acts as it is told, request by request; the requests come out at the other end.
fn gateway(acts: impl IntoIterator<Item = Act> + Send + 'static) -> (String, mpsc::Receiver<String>)
where
    <Vec<Act> as IntoIterator>::IntoIter: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/live", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::channel();
    let mut acts = acts.into_iter().collect::<Vec<_>>().into_iter();
    thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            while let Some(request) = read_request(&mut socket) {
                let Some(act) = acts.next() else { return };
                sender.send(request).unwrap();
                match act {
                    Act::Answer(answer) => socket.write_all(answer.as_bytes()).unwrap(),
                    Act::AnswerAndClose(answer) => {
                        socket.write_all(answer.as_bytes()).unwrap();
                        break;
                    }
                    Act::Close => break,
                    Act::Hang => while socket.read(&mut [0; 64]).is_ok_and(|read| read > 0) {},
                }
            }
        }
    });
    (endpoint, requests)
}

fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && header(&text, "content-length").is_some_and(|length| length.parse::<usize>().unwrap() <= body.len())
            && !head.is_empty()
        {
            return Some(text);
        }
        match socket.read(&mut buffer) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = request.split_once("\r\n\r\n")?;
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn aws() -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("session/+=".into()), None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

async fn post(endpoint: &str) -> Posted {
    ManagementApi::new(&aws(), endpoint).unwrap().post("L0SM9cOFvHcCIhw=", "{}").await
}

/// The SDK's client with the classification of its errors that ours replaces.
async fn post_by_sdk(endpoint: &str) -> Posted {
    let config = aws_sdk_apigatewaymanagement::config::Builder::from(&aws())
        .endpoint_url(endpoint)
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .build();
    let call = SdkClient::from_conf(config).post_to_connection().connection_id("L0SM9cOFvHcCIhw=");
    let error: SdkError<PostToConnectionError> = match call.data(Blob::new("{}")).send().await {
        Ok(_) => return Posted::Delivered,
        Err(error) => error,
    };
    match error.as_service_error() {
        Some(PostToConnectionError::GoneException(_)) => Posted::Gone,
        Some(PostToConnectionError::ForbiddenException(_)) => Posted::Forbidden,
        Some(PostToConnectionError::LimitExceededException(_)) => Posted::Throttled,
        Some(PostToConnectionError::PayloadTooLargeException(_)) => Posted::TooLarge,
        _ => match error.raw_response().map(|response| response.status().as_u16()) {
            Some(410) => Posted::Gone,
            Some(429) => Posted::Throttled,
            Some(413) => Posted::TooLarge,
            Some(401 | 403) => Posted::Forbidden,
            Some(408) | None => Posted::Unavailable,
            Some(400..=499) => Posted::Invalid,
            Some(_) => Posted::Unavailable,
        },
    }
}

#[tokio::test]
async fn an_answer_means_what_the_sdk_takes_it_for() {
    let codes = [
        "GoneException",
        "ForbiddenException",
        "LimitExceededException",
        "PayloadTooLargeException",
        "com.amazonaws.apigateway#GoneException:http://internal/",
        "SomethingNewException",
    ];
    let mut answers = Vec::new();
    for status in [200, 400, 403, 408, 410, 413, 429, 500, 503, 504] {
        for body in ["", "{}", r#"{"message":"x"}"#, "<html>", "[1]", r#"{"code":7}"#] {
            answers.push(answer(status, "", body));
        }
        for code in codes {
            answers.push(answer(status, &format!("x-amzn-ErrorType: {code}\r\n"), r#"{"message":"x"}"#));
            answers.push(answer(status, "", &format!(r#"{{"__type":"{code}"}}"#)));
            answers.push(answer(status, "", &format!(r#"{{"code":"{code}","message":"x"}}"#)));
            answers.push(answer(status, "x-amzn-errortype: GoneException\r\n", &format!(r#"{{"code":"{code}"}}"#)));
            answers.push(answer(status, "", &format!(r#"{{"code":"{code}","__type":"GoneException"}}"#)));
            answers.push(answer(status, "", &format!(r#"{{"__type":"{code}","code":"GoneException"}}"#)));
        }
    }
    let acts = answers
        .clone()
        .into_iter()
        .flat_map(|answer| [Act::AnswerAndClose(answer.clone()), Act::AnswerAndClose(answer)]);
    let (endpoint, _requests) = gateway(acts);
    let mut meanings = std::collections::HashSet::new();
    for answer in answers {
        let (ours, sdks) = (post(&endpoint).await, post_by_sdk(&endpoint).await);
        assert_eq!(ours, sdks, "{answer}");
        meanings.insert(ours);
    }
    assert_eq!(meanings.len(), 7, "every outcome was among them");
}

/// The signature that `request` must have, from its own headers, by the steps that AWS documents.
fn expected_signature(request: &str) -> String {
    let authorization = header(request, "authorization").unwrap();
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(&format!("{name}=")).unwrap();
        rest.split(',').next().unwrap().to_owned()
    };
    let (path, body) = (request.split(' ').nth(1).unwrap(), request.split_once("\r\n\r\n").unwrap().1);
    let signed = part("SignedHeaders");
    let headers =
        signed.split(';').fold(String::new(), |text, name| text + name + ":" + header(request, name).unwrap() + "\n");
    // Services other than S3 escape the path once more.
    let path = path.replace('%', "%25").replace('@', "%40");
    let canonical = format!("POST\n{path}\n\n{headers}\n{signed}\n{}", sha256(body));
    let date = header(request, "x-amz-date").unwrap();
    let (_, scope) = authorization.split_once("Credential=AKIDEXAMPLE/").unwrap();
    let scope = scope.split(',').next().unwrap();
    assert_eq!(scope, format!("{}/eu-central-1/execute-api/aws4_request", &date[..8]));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(&canonical));
    let key = generate_signing_key("secret", SystemTime::now(), "eu-central-1", "execute-api");
    calculate_signature(key, text.as_bytes())
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test]
async fn a_request_is_signed_as_the_sdk_signs_it() {
    let (endpoint, requests) =
        gateway([Act::AnswerAndClose(answer(200, "", "")), Act::AnswerAndClose(answer(200, "", ""))]);
    assert_eq!(post_by_sdk(&endpoint).await, Posted::Delivered);
    assert_eq!(post(&endpoint).await, Posted::Delivered);
    let (sdks, ours) = (requests.recv().unwrap(), requests.recv().unwrap());
    for request in [&sdks, &ours] {
        let signature = format!("Signature={}", expected_signature(request));
        assert!(header(request, "authorization").unwrap().ends_with(&signature), "{request}");
        assert!(request.starts_with("POST /live/@connections/L0SM9cOFvHcCIhw%3D HTTP/1.1"), "{request}");
        assert_eq!(header(request, "x-amz-security-token"), Some("session/+="));
        assert!(header(request, "authorization").unwrap().contains("host;"), "the host is signed");
    }
    assert_eq!(header(&ours, "content-type"), header(&sdks, "content-type"));
}

#[tokio::test]
async fn sockets_are_kept_and_a_dropped_one_is_replaced() {
    let ok = || answer(200, "", "");
    let (endpoint, requests) = gateway([Act::Answer(ok()), Act::AnswerAndClose(ok()), Act::Answer(ok())]);
    let api = ManagementApi::new(&aws(), &endpoint).unwrap();
    for _ in 0..2 {
        assert_eq!(api.post("c", "{}").await, Posted::Delivered);
    }
    // A post on the very moment of the closing is lost with the socket, which is what the next attempt is for.
    let mut third = api.post("c", "{}").await;
    if third == Posted::Unavailable {
        third = api.post("c", "{}").await;
    }
    assert_eq!(third, Posted::Delivered);
    assert_eq!(requests.try_iter().count(), 3, "none was made twice");
}

#[tokio::test]
async fn a_broken_answer_and_no_answer_are_passing_failures() {
    let cut = "HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nhalf".to_owned();
    let (endpoint, _requests) =
        gateway([Act::Close, Act::AnswerAndClose(cut), Act::AnswerAndClose("nonsense\r\n\r\n".into())]);
    for _ in 0..3 {
        assert_eq!(post(&endpoint).await, Posted::Unavailable);
    }
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(post(&format!("http://{unused}/live")).await, Posted::Unavailable);
}

#[tokio::test]
async fn a_post_has_a_deadline_of_its_own() {
    let (endpoint, _requests) = gateway([Act::Hang]);
    let began = Instant::now();
    assert_eq!(post(&endpoint).await, Posted::Unavailable);
    let took = began.elapsed();
    assert!(took >= POST_TIMEOUT && took < POST_TIMEOUT * 3, "{took:?}");
}

#[tokio::test]
async fn an_id_that_needs_escapes_cannot_leave_its_place_in_the_path() {
    let (endpoint, requests) = gateway([Act::Answer(answer(400, "", ""))]);
    let api = ManagementApi::new(&aws(), &endpoint).unwrap();
    assert_eq!(api.post("../../x?y=1 \u{e9}", "{}").await, Posted::Invalid);
    let request = requests.recv().unwrap();
    assert!(request.starts_with("POST /live/@connections/..%2F..%2Fx%3Fy%3D1%20%C3%A9 HTTP/1.1"), "{request}");
}

#[test]
fn without_a_region_or_credentials_there_is_no_client() {
    let nothing = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
    assert!(matches!(ManagementApi::new(&nothing, "http://x").unwrap_err(), SignerError::NoRegion));
    let region = nothing.into_builder().region(Region::new("eu-central-1")).build();
    assert!(matches!(ManagementApi::new(&region, "http://x").unwrap_err(), SignerError::NoCredentials));
}
