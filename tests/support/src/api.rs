//! A client of the Kubernetes API, for requests that are too frequent or too specific for kubectl.

use std::path::Path;

use hyper::{Method, Request};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;
use tokio::runtime::Runtime;

/// A client of the API server, as the administrator.
pub struct Api {
    client: Client,
    runtime: Runtime,
}

/// An object after one write.
#[derive(Clone, Debug)]
pub struct Version {
    /// The type of the write: `ADDED`, `MODIFIED` or `DELETED`.
    pub event: String,
    /// The object as it was written.
    pub object: Value,
}

impl Version {
    /// Returns the number of the version, which orders the versions of all objects.
    pub fn number(&self) -> u64 {
        number(&self.object)
    }
}

/// Returns the resource version of an object or a list.
pub fn number(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

impl Api {
    /// Creates a client from a kubeconfig file.
    pub fn new(kubeconfig: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let client = runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
            Client::try_from(config).unwrap()
        });
        Self { client, runtime }
    }

    /// Returns the runtime for the asynchronous parts of the tests.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns the client, for asynchronous use.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Reads an object or list; `None` if it does not exist.
    pub fn get(&self, path: &str) -> Option<Value> {
        match self.try_get(path) {
            Ok(found) => found,
            Err(error) => panic!("GET {path}: {error}"),
        }
    }

    /// Reads an object or list; `None` if it does not exist. Fails if the API server does not answer.
    pub fn try_get(&self, path: &str) -> kube::Result<Option<Value>> {
        match self.send(Method::GET, path, None) {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            found => found.map(Some),
        }
    }

    /// Creates an object in a list.
    pub fn post(&self, path: &str, object: &Value) -> Value {
        self.try_post(path, object).unwrap()
    }

    /// Creates an object in a list. Fails if it is refused.
    pub fn try_post(&self, path: &str, object: &Value) -> kube::Result<Value> {
        self.send(Method::POST, path, Some(object))
    }

    /// Replaces an object.
    pub fn put(&self, path: &str, object: &Value) -> Value {
        self.send(Method::PUT, path, Some(object)).unwrap()
    }

    /// Changes some fields of an object.
    pub fn patch(&self, path: &str, fields: &Value) -> Value {
        self.send(Method::PATCH, path, Some(fields)).unwrap()
    }

    /// Deletes an object if it exists.
    pub fn delete(&self, path: &str) {
        match self.send(Method::DELETE, path, None) {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            deleted => drop(deleted.unwrap()),
        }
    }

    /// Returns the current version of a list, for `history`.
    pub fn now(&self, list: &str) -> u64 {
        number(&self.get(list).unwrap())
    }

    /// Returns all writes to the objects of a list after a version of it, in order. Short-lived states are included.
    pub fn history(&self, list: &str, since: u64) -> Vec<Version> {
        self.try_history(list, since).unwrap()
    }

    /// Returns all writes after a version of a list. Fails if the API server no longer knows that version.
    pub fn try_history(&self, list: &str, since: u64) -> Result<Vec<Version>, String> {
        // The API server ends the watch after a second, which is the minimum.
        let path = format!("{list}?watch=1&resourceVersion={since}&timeoutSeconds=1");
        let request = Request::get(path).body(Vec::new()).unwrap();
        let events = self.runtime.block_on(self.client.request_text(request));
        let events = events.map_err(|error| error.to_string())?;
        let versions = events.lines().map(|event| {
            let mut event: Value = serde_json::from_str(event).unwrap();
            let kind = event["type"].as_str().unwrap().to_owned();
            if kind == "ERROR" {
                return Err(event.to_string());
            }
            Ok(Version { event: kind, object: event["object"].take() })
        });
        versions.collect()
    }

    fn send(&self, method: Method, path: &str, body: Option<&Value>) -> kube::Result<Value> {
        let content_type = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let request =
            Request::builder().method(method).uri(path).header("content-type", content_type);
        let request =
            request.body(body.map(Value::to_string).unwrap_or_default().into_bytes()).unwrap();
        self.runtime.block_on(self.client.request(request))
    }
}
