//! What a request asks of AWS: service, operation and input, whatever protocol it came in.

use std::sync::OnceLock;

use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A service, as far as the gateway tells it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon API Gateway v2.
    ApiGateway,
    /// AWS Lambda.
    Lambda,
    /// Amazon DynamoDB.
    DynamoDb,
    /// Amazon SQS.
    Sqs,
    /// Amazon CloudWatch Logs.
    Logs,
    /// AWS IAM.
    Iam,
    /// Amazon SNS.
    Sns,
    /// AWS STS.
    Sts,
    /// Amazon Route 53.
    Route53,
}

/// One call of an AWS API.
#[derive(Debug)]
pub struct Call {
    /// The service.
    pub service: Service,
    /// The operation in AWS's words, for example `CreateQueue`.
    pub operation: String,
    /// The members of the path, decoded, in their order.
    pub ids: Vec<String>,
    /// The access key of who calls; empty for a call that is not signed.
    pub caller: String,
    /// The region for which it is signed.
    pub region: String,
    /// The HTTP method.
    pub method: Method,
    /// The path, decoded.
    pub path: String,
    pub(super) query: String,
    pub(super) body: Bytes,
    is_form: bool,
    input: OnceLock<Value>,
}

/// Operations of the services that tell theirs by method and path; `*` stands for one member.
const PATHS: [(Service, &str, &str, &str); 69] = [
    (Service::ApiGateway, "POST", "/v2/apis", "CreateApi"),
    (Service::ApiGateway, "GET", "/v2/apis", "GetApis"),
    (Service::ApiGateway, "GET", "/v2/apis/*", "GetApi"),
    (Service::ApiGateway, "PATCH", "/v2/apis/*", "UpdateApi"),
    (Service::ApiGateway, "DELETE", "/v2/apis/*", "DeleteApi"),
    (Service::ApiGateway, "POST", "/v2/apis/*/authorizers", "CreateAuthorizer"),
    (Service::ApiGateway, "GET", "/v2/apis/*/authorizers", "GetAuthorizers"),
    (Service::ApiGateway, "GET", "/v2/apis/*/authorizers/*", "GetAuthorizer"),
    (Service::ApiGateway, "PATCH", "/v2/apis/*/authorizers/*", "UpdateAuthorizer"),
    (Service::ApiGateway, "DELETE", "/v2/apis/*/authorizers/*", "DeleteAuthorizer"),
    (Service::ApiGateway, "POST", "/v2/apis/*/integrations", "CreateIntegration"),
    (Service::ApiGateway, "GET", "/v2/apis/*/integrations", "GetIntegrations"),
    (Service::ApiGateway, "GET", "/v2/apis/*/integrations/*", "GetIntegration"),
    (Service::ApiGateway, "PATCH", "/v2/apis/*/integrations/*", "UpdateIntegration"),
    (Service::ApiGateway, "DELETE", "/v2/apis/*/integrations/*", "DeleteIntegration"),
    (Service::ApiGateway, "POST", "/v2/apis/*/routes", "CreateRoute"),
    (Service::ApiGateway, "GET", "/v2/apis/*/routes", "GetRoutes"),
    (Service::ApiGateway, "GET", "/v2/apis/*/routes/*", "GetRoute"),
    (Service::ApiGateway, "PATCH", "/v2/apis/*/routes/*", "UpdateRoute"),
    (Service::ApiGateway, "DELETE", "/v2/apis/*/routes/*", "DeleteRoute"),
    (Service::ApiGateway, "POST", "/v2/apis/*/routes/*/routeresponses", "CreateRouteResponse"),
    (Service::ApiGateway, "GET", "/v2/apis/*/routes/*/routeresponses", "GetRouteResponses"),
    (Service::ApiGateway, "DELETE", "/v2/apis/*/routes/*/routeresponses/*", "DeleteRouteResponse"),
    (Service::ApiGateway, "POST", "/v2/apis/*/deployments", "CreateDeployment"),
    (Service::ApiGateway, "GET", "/v2/apis/*/deployments", "GetDeployments"),
    (Service::ApiGateway, "GET", "/v2/apis/*/deployments/*", "GetDeployment"),
    (Service::ApiGateway, "DELETE", "/v2/apis/*/deployments/*", "DeleteDeployment"),
    (Service::ApiGateway, "POST", "/v2/apis/*/stages", "CreateStage"),
    (Service::ApiGateway, "GET", "/v2/apis/*/stages", "GetStages"),
    (Service::ApiGateway, "GET", "/v2/apis/*/stages/*", "GetStage"),
    (Service::ApiGateway, "PATCH", "/v2/apis/*/stages/*", "UpdateStage"),
    (Service::ApiGateway, "DELETE", "/v2/apis/*/stages/*", "DeleteStage"),
    (Service::ApiGateway, "DELETE", "/v2/apis/*/stages/*/accesslogsettings", "DeleteAccessLogSettings"),
    (Service::ApiGateway, "DELETE", "/v2/apis/*/stages/*/routesettings/*", "DeleteRouteSettings"),
    (Service::ApiGateway, "POST", "/v2/tags/*", "TagResource"),
    (Service::ApiGateway, "DELETE", "/v2/tags/*", "UntagResource"),
    (Service::ApiGateway, "GET", "/v2/tags/*", "GetTags"),
    (Service::ApiGateway, "POST", "/v2/domainnames", "CreateDomainName"),
    (Service::ApiGateway, "GET", "/v2/domainnames", "GetDomainNames"),
    (Service::ApiGateway, "GET", "/v2/domainnames/*", "GetDomainName"),
    (Service::ApiGateway, "PATCH", "/v2/domainnames/*", "UpdateDomainName"),
    (Service::ApiGateway, "DELETE", "/v2/domainnames/*", "DeleteDomainName"),
    (Service::ApiGateway, "POST", "/v2/domainnames/*/apimappings", "CreateApiMapping"),
    (Service::ApiGateway, "GET", "/v2/domainnames/*/apimappings", "GetApiMappings"),
    (Service::ApiGateway, "GET", "/v2/domainnames/*/apimappings/*", "GetApiMapping"),
    (Service::ApiGateway, "PATCH", "/v2/domainnames/*/apimappings/*", "UpdateApiMapping"),
    (Service::ApiGateway, "DELETE", "/v2/domainnames/*/apimappings/*", "DeleteApiMapping"),
    (Service::Lambda, "POST", "/2015-03-31/functions", "CreateFunction"),
    (Service::Lambda, "GET", "/2015-03-31/functions", "ListFunctions"),
    (Service::Lambda, "GET", "/2015-03-31/functions/*", "GetFunction"),
    (Service::Lambda, "DELETE", "/2015-03-31/functions/*", "DeleteFunction"),
    (Service::Lambda, "PUT", "/2015-03-31/functions/*/code", "UpdateFunctionCode"),
    (Service::Lambda, "GET", "/2015-03-31/functions/*/configuration", "GetFunctionConfiguration"),
    (Service::Lambda, "PUT", "/2015-03-31/functions/*/configuration", "UpdateFunctionConfiguration"),
    (Service::Lambda, "GET", "/2015-03-31/functions/*/policy", "GetPolicy"),
    (Service::Lambda, "POST", "/2015-03-31/functions/*/policy", "AddPermission"),
    (Service::Lambda, "DELETE", "/2015-03-31/functions/*/policy/*", "RemovePermission"),
    (Service::Lambda, "POST", "/2015-03-31/functions/*/invocations", "Invoke"),
    (Service::Lambda, "POST", "/2015-03-31/event-source-mappings", "CreateEventSourceMapping"),
    (Service::Lambda, "GET", "/2015-03-31/event-source-mappings", "ListEventSourceMappings"),
    (Service::Lambda, "GET", "/2015-03-31/event-source-mappings/*", "GetEventSourceMapping"),
    (Service::Lambda, "PUT", "/2015-03-31/event-source-mappings/*", "UpdateEventSourceMapping"),
    (Service::Lambda, "DELETE", "/2015-03-31/event-source-mappings/*", "DeleteEventSourceMapping"),
    (Service::Lambda, "POST", "/2017-03-31/tags/*", "TagResource"),
    (Service::Route53, "POST", "/2013-04-01/hostedzone", "CreateHostedZone"),
    (Service::Route53, "POST", "/2013-04-01/hostedzone/*/rrset", "ChangeResourceRecordSets"),
    (Service::Route53, "GET", "/2013-04-01/hostedzone/*/rrset", "ListResourceRecordSets"),
    (Service::Lambda, "DELETE", "/2017-03-31/tags/*", "UntagResource"),
    (Service::Lambda, "GET", "/2017-03-31/tags/*", "ListTags"),
];

const TARGETS: [(&str, Service); 3] =
    [("DynamoDB_20120810", Service::DynamoDb), ("AmazonSQS", Service::Sqs), ("Logs_20140328", Service::Logs)];

impl Service {
    /// Its name in lists and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiGateway => "API Gateway",
            Self::Lambda => "Lambda",
            Self::DynamoDb => "DynamoDB",
            Self::Sqs => "SQS",
            Self::Logs => "CloudWatch Logs",
            Self::Iam => "IAM",
            Self::Sns => "SNS",
            Self::Sts => "STS",
            Self::Route53 => "Route 53",
        }
    }
}

impl Call {
    /// The call that a request is; nothing when it is no call of a service above.
    #[must_use]
    pub fn recognise(parts: &Parts, body: &Bytes) -> Option<Self> {
        let (service, operation, ids, is_form) = if let Some((service, operation)) = by_target(&parts.headers) {
            (service, operation, Vec::new(), false)
        } else if let Some((service, operation, ids)) = by_path(&parts.method, parts.uri.path()) {
            (service, operation.to_owned(), ids, false)
        } else {
            let (service, operation) = by_action(parts, body)?;
            (service, operation, Vec::new(), true)
        };
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let signature = parts.headers.get("authorization").and_then(|signature| signature.to_str().ok());
        let (caller, region) = signature.and_then(caller_and_region).unwrap_or_default();
        let (caller, region) = (caller.to_owned(), region.to_owned());
        let (method, path) = (parts.method.clone(), decoded(parts.uri.path()));
        let (body, input) = (body.clone(), OnceLock::new());
        Some(Self { service, operation, ids, caller, region, method, path, query, body, is_form, input })
    }

    /// The input: the JSON that was sent, or the fields of the form.
    pub fn input(&self) -> &Value {
        self.input.get_or_init(|| {
            if self.is_form {
                let fields = form_urlencoded::parse(&self.body);
                return Value::Object(fields.map(|(key, value)| (key.into_owned(), value.into())).collect());
            }
            let text = std::str::from_utf8(&self.body).unwrap_or_default();
            serde_json::from_str(&without_package(text)).unwrap_or_default()
        })
    }

    /// A text of the input; empty when it is absent.
    #[must_use]
    pub fn text(&self, member: &str) -> &str {
        self.input()[member].as_str().unwrap_or_default()
    }

    /// A member of the path; empty when it is absent.
    #[must_use]
    pub fn id(&self, at: usize) -> &str {
        self.ids.get(at).map_or("", String::as_str)
    }

    /// A member of the query.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let found = form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    }

    /// The texts of an element of XML that was sent, in their order. None of those that rules look for has attributes.
    #[must_use]
    pub fn elements(&self, name: &str) -> Vec<&str> {
        let body = std::str::from_utf8(&self.body).unwrap_or_default();
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        body.split(&open).skip(1).filter_map(|rest| rest.split_once(&close)).map(|(text, _)| text).collect()
    }

    /// Whether a text is in its path, its query or its body.
    #[must_use]
    pub fn speaks_of(&self, text: &str) -> bool {
        let body = std::str::from_utf8(&self.body).unwrap_or_default();
        body.contains(text) || self.query.contains(text) || self.ids.iter().any(|id| id.contains(text))
    }

    /// What only the same call has.
    #[must_use]
    pub fn identity(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        format!("{} {} {} {} {body}", self.service.name(), self.operation, self.ids.join("/"), self.query)
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_read(&self) -> bool {
        ["Get", "List", "Describe", "Simulate"].iter().any(|word| self.operation.starts_with(word))
    }
}

/// A JSON input without the package of a function, which may be tens of megabytes of text.
fn without_package(text: &str) -> String {
    const MEMBER: &str = "\"ZipFile\"";
    let package = || {
        let member = text.find(MEMBER)? + MEMBER.len();
        let begin = member + text[member..].find('"')? + 1;
        // Base64 has no quotes.
        Some((begin, begin + text[begin..].find('"')?))
    };
    package().map_or_else(|| text.to_owned(), |(begin, end)| format!("{}{}", &text[..begin], &text[end..]))
}

fn by_target(headers: &HeaderMap) -> Option<(Service, String)> {
    let (target, operation) = headers.get("x-amz-target")?.to_str().ok()?.split_once('.')?;
    let (_, service) = TARGETS.iter().find(|(known, _)| *known == target)?;
    Some((*service, operation.to_owned()))
}

fn by_path(method: &Method, path: &str) -> Option<(Service, &'static str, Vec<String>)> {
    let members: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    PATHS.iter().filter(|(_, known, ..)| *known == method.as_str()).find_map(|(service, _, pattern, operation)| {
        let mut ids = Vec::new();
        let mut pattern = pattern.split('/');
        for member in &members {
            match pattern.next()? {
                "*" => ids.push(decoded(member)),
                literal if literal == *member => {}
                _ => return None,
            }
        }
        pattern.next().is_none().then_some((*service, *operation, ids))
    })
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// The access key and the region in a signature of version 4.
#[must_use]
pub fn caller_and_region(signature: &str) -> Option<(&str, &str)> {
    let (_, credential) = signature.split_once("Credential=")?;
    // The key, the day, the region.
    let mut scope = credential.split('/');
    Some((scope.next()?, scope.nth(1).unwrap_or_default()))
}

/// The services of forms tell theirs only by the scope of the signature.
fn by_action(parts: &Parts, body: &Bytes) -> Option<(Service, String)> {
    let kind = parts.headers.get("content-type")?.to_str().ok()?;
    if parts.method != Method::POST || !kind.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    let action = form_urlencoded::parse(body).find(|(key, _)| key == "Action")?.1;
    // Whoever has only a token has nothing to sign with yet.
    if action == "AssumeRoleWithWebIdentity" {
        return Some((Service::Sts, action.into_owned()));
    }
    let scope = parts.headers.get("authorization")?.to_str().ok()?;
    let scopes = [("iam", Service::Iam), ("sns", Service::Sns), ("sts", Service::Sts)];
    let (_, service) = scopes.iter().find(|(name, _)| scope.contains(&format!("/{name}/aws4_request")))?;
    Some((*service, action.into_owned()))
}
