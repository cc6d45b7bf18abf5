//! Answers, and the form that each service gives to an error.

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::Extensions;
use rand::RngExt;
use serde_json::{Value, json};

use super::call::Service;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, without those that are about the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How the names of the headers were written.
    pub(super) extensions: Extensions,
}

/// An error as AWS words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code in the service's model.
    pub code: String,
    /// The message.
    pub message: String,
}

impl Refusal {
    /// An error.
    #[must_use]
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// The answer in which a service tells it.
    #[must_use]
    pub fn answer(&self, service: Service) -> Answer {
        match service {
            Service::ApiGateway => {
                self.json("application/json", &json!({"message": self.message})).with("x-amzn-errortype", &self.code)
            }
            Service::Lambda => {
                // Lambda's model has both spellings, depending on the error.
                let capital = ["ResourceNotFoundException", "ResourceInUseException", "ServiceException"];
                let member = if capital.contains(&self.code.as_str()) { "Message" } else { "message" };
                let body = json!({"Type": self.side("User", "Service"), member: self.message});
                self.json("application/json", &body).with("x-amzn-errortype", &self.code)
            }
            Service::DynamoDb => self.typed("application/x-amz-json-1.0", dynamodb_namespace(&self.code)),
            Service::Logs => self.typed("application/x-amz-json-1.1", ""),
            Service::Sqs => {
                let error = format!("{};{}", sqs_query_code(&self.code), self.side("Sender", "Receiver"));
                self.typed("application/x-amz-json-1.0", "com.amazonaws.sqs#").with("x-amzn-query-error", &error)
            }
            Service::Iam => self.xml("https://iam.amazonaws.com/doc/2010-05-08/"),
            Service::Sns => self.xml("http://sns.amazonaws.com/doc/2010-03-31/"),
            Service::Sts => self.xml("https://sts.amazonaws.com/doc/2011-06-15/"),
            Service::Route53 => self.xml("https://route53.amazonaws.com/doc/2013-04-01/"),
        }
    }

    fn side(&self, caller: &'static str, aws: &'static str) -> &'static str {
        if self.status < 500 { caller } else { aws }
    }

    fn json(&self, kind: &'static str, body: &Value) -> Answer {
        Answer::new(self.status, kind, body.to_string()).with("x-amzn-requestid", &request_id())
    }

    fn typed(&self, kind: &'static str, namespace: &str) -> Answer {
        self.json(kind, &json!({"__type": format!("{namespace}{}", self.code), "message": self.message}))
    }

    fn xml(&self, namespace: &str) -> Answer {
        let (side, code, id) = (self.side("Sender", "Receiver"), escaped(&self.code), request_id());
        let message = escaped(&self.message);
        let body = format!(
            "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{side}</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
        );
        Answer::new(self.status, "text/xml", body).with("x-amzn-requestid", &id)
    }
}

impl Answer {
    /// An answer with a body of a kind.
    #[must_use]
    pub fn new(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        Self { status, headers, body: body.into(), extensions: Extensions::new() }
    }

    /// What a load balancer says when nobody answered it.
    #[must_use]
    pub fn gateway_timeout() -> Self {
        Self::new(504, "text/html", "<html><body>Gateway Time-out</body></html>")
    }

    /// The same with one more header. What is no header value is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Whether AWS did what it was asked.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.status < 300
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The same with another body.
    #[must_use]
    pub fn with_json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into();
        self.unsummed()
    }

    /// The same with another text as body.
    #[must_use]
    pub fn with_text(mut self, body: String) -> Self {
        self.body = body.into();
        self.unsummed()
    }

    fn unsummed(mut self) -> Self {
        // A checksum of the old body, which an SDK would hold the new one to.
        self.headers.remove("x-amz-crc32");
        self
    }
}

/// DynamoDB tells in which layer an error arose.
fn dynamodb_namespace(code: &str) -> &'static str {
    match code {
        "ValidationException" => "com.amazon.coral.validate#",
        "ThrottlingException" => "com.amazon.coral.availability#",
        _ => "com.amazonaws.dynamodb.v20120810#",
    }
}

/// The code from when SQS had forms, which SDKs still show.
fn sqs_query_code(code: &str) -> String {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "QueueDeletedRecently" => format!("AWS.SimpleQueueService.{code}"),
        other => other.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn request_id() -> String {
    let id = format!("{:032x}", rand::rng().random::<u128>());
    format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
}
