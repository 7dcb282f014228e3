//! An API server whose answers a test gives.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

/// An answer of the API server.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Status and body.
    Body(u16, Value),
    /// The connection ends without an answer.
    Cut,
    /// Status 429 with the number of seconds after which the client may try again.
    RetryAfter(u32),
}

/// The answers for a path with its query, in order. The last one stays.
pub(crate) type Answers = BTreeMap<String, Vec<Answer>>;

/// An API server on a port of its own.
pub(crate) struct ApiServer {
    /// Host and port.
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ApiServer {
    /// Starts the server.
    pub(crate) fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answers, log) = (Arc::new(Mutex::new(answers)), asked.clone());
        // It ends with the process of the test.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, log) = (answers.clone(), log.clone());
                thread::spawn(move || serve(&stream.unwrap(), &answers, &log));
            }
        });
        Self { address, asked }
    }

    /// Returns a kubeconfig of the server.
    pub(crate) fn kubeconfig(&self) -> String {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "a",
            "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
            "clusters": [{ "name": "a", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "a", "user": {} }],
        })
        .to_string()
    }

    /// Returns the paths of the requests.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers the requests of a connection.
fn serve(stream: &TcpStream, answers: &Mutex<Answers>, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
        let target = request.split(' ').nth(1).unwrap().to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        // Only the position in the list distinguishes pages.
        let page = query.split('&').find(|part| part.starts_with("continue="));
        let key = [path, page.unwrap_or_default()].join(" ").trim_end().to_owned();
        log.lock().unwrap().push(key.clone());
        let answer = {
            let mut answers = answers.lock().unwrap();
            match answers.get_mut(&key) {
                Some(list) if list.len() > 1 => list.remove(0),
                Some(list) => list[0].clone(),
                None => status(404, "NotFound", "not found"),
            }
        };
        let (code, header, body) = match answer {
            Answer::Body(code, body) => (code, String::new(), body.to_string()),
            Answer::Cut => return,
            Answer::RetryAfter(seconds) => {
                (429, format!("Retry-After: {seconds}\r\n"), "too many requests".to_owned())
            }
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {code} Status\r\nContent-Length: {length}\r\n{header}\r\n");
        let mut stream = stream;
        if stream.write_all([head, body].concat().as_bytes()).is_err() {
            return;
        }
    }
}

/// Returns an answer with a status of Kubernetes.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Answer {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    });
    Answer::Body(code, body)
}
