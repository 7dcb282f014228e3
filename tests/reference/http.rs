//! `http.md`: ports, paths, methods and statuses, from the vocabulary of the server and the answers of a running one.

use std::collections::BTreeSet;

use hyper::{Method as HttpMethod, StatusCode, header::CONTENT_TYPE};
use imageswap::{
    server::{Limits, Method, Path, Status},
    settings::{DefaultValue, SETTINGS},
    status_page,
};
use serde_json::{Value, json};
use support::{
    body::Pieces,
    client::{Answer, Client, admin_get, admin_send},
    server::{await_ready, started},
    tls::Protocol,
};

use crate::markdown::{self, code, literal};

const PORTS: &str = "
TLS 1.2 and 1.3 are supported. With [`IMAGESWAP_CLIENT_CA_FILE`](settings.md), reviews are answered only for clients
with a certificate of these CAs; the other paths are answered for all clients.

";

const PATHS: &str = "\
Only the status page reads the query. Doubled and trailing slashes are ignored for reviews: `//mutate/` is `/mutate`. A
method that a path does not have is answered with 405 and the header `Allow`.

";

const STATUSES: &str = "\
The reason is that of the Kubernetes `Status` in the body. With `failurePolicy: Fail` the API server refuses to create
a pod if the answer to its review is an error.

";

const ERRORS: &str = "
## Errors

The body of each error is a Kubernetes `Status`. `message` says what is wrong, where, and how to fix it; the API server
passes it on to the client that creates the pod. Two answers have no body: 503 if the memory for answers is used up, and
the answer to a request that is not valid HTTP. The latter is not counted in the metrics.

";

const REVIEWS: &str = "
## Reviews

Post an `AdmissionReview` of `admission.k8s.io/v1` or `v1beta1` with `Content-Type: application/json`. The answer is an
`AdmissionReview` of the same version with `allowed: true`. If images are rewritten, `patch` is a JSON Patch in base64.
[Settings](settings.md) has the maximum size of a body.

";

const STATUS_PAGE: &str = "
## Status page

`GET /` on the admin port answers with the [status page](../status-page.md) as HTML. With `Accept: application/json` the
answer is a JSON object with the same content. Times are in UTC, as in RFC 3339. Texts of maps, files and clients are
cut to 400 bytes, and control and bidirectional characters in them are escaped. The parameters `image` and `namespace`
of the query ask for an explanation. New fields may be added; the names and meanings of these fields do not change
within a major version.

";

/// Setting, name, protocol and content of each port.
const PORT_ROWS: [[&str; 4]; 2] = [
    ["IMAGESWAP_LISTEN", "webhook", "HTTP/1.1 and HTTP/2 over TLS", "reviews, probes, metrics"],
    ["IMAGESWAP_ADMIN_LISTEN", "admin", "HTTP/1.1 without TLS", "probes, metrics, status page"],
];

fn purpose(path: Path) -> &'static str {
    match path {
        Path::Mutate => "Answers reviews",
        Path::Root => {
            "Answers reviews on the webhook port. On the admin port the [status page](../status-page.md), unless \
             `IMAGESWAP_STATUS_PAGE` is `false`"
        }
        Path::Healthz => "Health check of the Python ImageSwap; always 200",
        Path::Livez => "Liveness probe; 200 while the process runs",
        Path::Readyz => {
            "Readiness probe; 200, or 503 with the reasons. After SIGTERM the webhook port answers 503, for load \
             balancers, and the admin port still 200, for the kubelet"
        }
        Path::Startupz => {
            "Startup probe; 200 when the process is ready, and after 8 s at the latest"
        }
        Path::Metrics => "[Metrics](metrics.md) in the Prometheus text format",
        Path::Other => "Nothing",
    }
}

fn meaning(status: Status) -> &'static str {
    match status {
        Status::Ok => "The request is answered.",
        Status::BadRequest => {
            "The body is not a valid AdmissionReview, or cannot be read to its end."
        }
        Status::Forbidden => {
            "The client has no valid certificate of a CA in `IMAGESWAP_CLIENT_CA_FILE`. See \
             [troubleshooting](../troubleshooting.md#imageswap-answers-known-clients-only). Or the status page was \
             requested with a `Host` that is neither an IP address nor `localhost`."
        }
        Status::NotFound => {
            "There is nothing at this path. The admin port does not answer reviews."
        }
        Status::MethodNotAllowed => {
            "The path does not have this method; the header `Allow` lists those it has."
        }
        Status::RequestTimeout => "The body did not arrive in time.",
        Status::PayloadTooLarge => "The body is larger than `IMAGESWAP_MAX_BODY_BYTES`.",
        Status::UnsupportedMediaType => "The `Content-Type` of a review is not `application/json`.",
        Status::InternalServerError => "A fault of ImageSwap; its log says more.",
        Status::ServiceUnavailable => {
            "A review: no map is loaded yet, too many large bodies at once, or too many requests that wait for their \
             bodies. `/readyz`: not ready. The status page: too many clients wait for it. Any path: the memory for \
             answers is used up."
        }
    }
}

pub(crate) fn page() -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = started(Limits::default()).await;
        await_ready(app.admin_address()).await;
        let mut client = Client::connect(app.address(), Protocol::Http1).await.unwrap();
        let mut paths = Vec::new();
        let mut all = Path::ALL;
        all.sort_by_key(|path| (*path == Path::Other, path.as_str()));
        for path in all {
            paths.push(path_row(path, &mut client, app.admin_address()).await);
        }
        let error = post(&mut client, "text/plain", "").await;
        assert_eq!(error.status, 415);
        let review = post(&mut client, "application/json", &review().to_string()).await;
        let healthz = client.get("/healthz").await;
        let readyz = admin_get(app.admin_address(), "/readyz").await;
        let livez = admin_get(app.admin_address(), "/livez").await;
        let startupz = admin_get(app.admin_address(), "/startupz").await;
        markdown::page("HTTP")
            + "## Ports\n\n"
            + &ports()
            + PORTS
            + "## Paths\n\n"
            + PATHS
            + &markdown::table(
                ["path", "purpose", "methods, webhook port", "methods, admin port", "Content-Type"],
                paths,
            )
            + &probes(&[
                ("/healthz", healthz),
                ("/livez", livez),
                ("/readyz", readyz),
                ("/startupz", startupz),
            ])
            + "## Statuses\n\n"
            + STATUSES
            + &statuses()
            + ERRORS
            + &code("json", &pretty(&error))
            + REVIEWS
            + &format!("A review:\n\n{}\n", code("json", &format!("{:#}", self::review())))
            + &format!(
                "Its answer with the map `default::d.io`:\n\n{}",
                code("json", &pretty(&review))
            )
            + STATUS_PAGE
            + &markdown::table(
                ["field", "meaning"],
                status_page::FIELDS
                    .iter()
                    .map(|field| [literal(field.name), field.meaning.to_owned()]),
            )
    })
}

fn ports() -> String {
    let rows = PORT_ROWS.map(|[variable, name, protocol, content]| {
        let setting = SETTINGS.iter().find(|setting| setting.variable() == variable).unwrap();
        let (DefaultValue::Described(default) | DefaultValue::Text(default)) = setting.default();
        [
            name.to_owned(),
            literal(variable),
            literal(default),
            protocol.to_owned(),
            content.to_owned(),
        ]
    });
    markdown::table(["port", "setting", "default", "protocol", "answers"], rows)
}

/// Asks both ports for a path with each method, and returns what they answer.
async fn path_row(path: Path, client: &mut Client, admin: std::net::SocketAddr) -> [String; 5] {
    let is_review = matches!(path, Path::Root | Path::Mutate);
    let (url, shown) = match path {
        Path::Other => ("/nothing", "any other".to_owned()),
        path => (path.as_str(), literal(path.as_str())),
    };
    let body = || Pieces::from(if is_review { review().to_string() } else { String::new() });
    let content_type = Some("application/json");
    let (mut webhook_methods, mut admin_methods) = (Vec::new(), Vec::new());
    let mut media_types = BTreeSet::new();
    let media_type = |answer: &Answer| literal(answer.headers[CONTENT_TYPE].to_str().unwrap());
    for method in Method::ALL {
        // A word in the place of a method that the server does not know.
        let name = if method == Method::Other { "PUT" } else { method.as_str() };
        let http_method: HttpMethod = name.parse().unwrap();
        let answer = client.send(http_method.clone(), url, content_type, body()).await.unwrap();
        if is_served(&answer) {
            assert_eq!(answer.status, 200, "{name} {url}: {answer:?}");
            media_types.insert(media_type(&answer));
            webhook_methods.push(literal(name));
        }
        let answer = admin_send(admin, http_method, url, content_type, body()).await;
        if is_served(&answer) {
            media_types.insert(media_type(&answer));
            admin_methods.push(literal(name));
        }
    }
    let listed = |methods: Vec<String>| match methods.as_slice() {
        [] => "404".to_owned(),
        methods => methods.join(", "),
    };
    let media_types = media_types.into_iter().collect::<Vec<_>>().join(", ");
    [shown, purpose(path).to_owned(), listed(webhook_methods), listed(admin_methods), media_types]
}

fn is_served(answer: &Answer) -> bool {
    ![StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&answer.status)
}

fn probes(answers: &[(&str, Answer)]) -> String {
    let rows = answers.iter().map(|(path, answer)| {
        let mut body: Value = serde_json::from_str(&answer.body).unwrap();
        if let Some(time) = body.get_mut("date_time") {
            *time = "2026-01-31T12:00:00Z".into();
        }
        [literal(path), literal(&body.to_string())]
    });
    format!("\n{}\n", markdown::table(["path", "body"], rows))
}

fn statuses() -> String {
    let rows = Status::ALL.map(|status| {
        let reason = Some(status.reason()).filter(|reason| !reason.is_empty());
        [
            status.as_str().to_owned(),
            reason.map(literal).unwrap_or_default(),
            meaning(status).to_owned(),
        ]
    });
    markdown::table(["status", "reason", "meaning"], rows)
}

fn review() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "operation": "CREATE",
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "spec": { "containers": [{ "name": "web", "image": "nginx:1.27" }] },
            },
        },
    })
}

async fn post(client: &mut Client, content_type: &str, body: &str) -> Answer {
    let body = Pieces::from(body.to_owned());
    client.send(HttpMethod::POST, "/", Some(content_type), body).await.unwrap()
}

fn pretty(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    format!("{body:#}")
}
