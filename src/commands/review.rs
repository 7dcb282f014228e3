//! `imageswap review`: sends a review to a running webhook, and prints the answer.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Exit, Field, Output};
use crate::{
    client::{ClientError, HttpAnswer, post_json},
    excerpt::excerpt,
    https_url::HttpsUrl,
    tls::read_ca_file,
};

/// Maximum length of an error of the server that is printed, in bytes.
const MAX_ERROR_BYTES: usize = 1024;

/// Fields of a line of `review --output json`.
pub const FIELDS: [Field; 3] = [
    Field { name: "image", meaning: "Image as given" },
    Field { name: "result", meaning: "Image as it is after the review" },
    Field {
        name: "swapped",
        meaning: "`true` if the image is rewritten, `false` if it is unchanged",
    },
];

/// Arguments of `review`.
#[derive(Args, Debug)]
pub struct ReviewArguments {
    /// URL of the webhook, such as `https://imageswap.imageswap-system.svc/`
    #[arg(long, value_name = "URL")]
    url: HttpsUrl,

    /// PEM file with the CA certificates that the server's certificate is verified with
    #[arg(long, value_name = "FILE")]
    ca_file: PathBuf,

    /// Output format
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Images of the pod that is reviewed
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Line of `review --output json`.
#[derive(Serialize)]
struct Record<'a> {
    image: &'a str,
    result: &'a str,
    swapped: bool,
}

#[derive(Deserialize)]
struct AdmissionReview {
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    allowed: bool,
    patch: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Operation {
    path: String,
    #[serde(default)]
    value: Value,
}

/// Posts a review of a pod with the images of the arguments, and prints how the webhook rewrites them. Warnings of the
/// webhook go to `errors`.
///
/// # Errors
/// If the CA file cannot be used, or the output cannot be written. A webhook that does not answer as it should is
/// [`Exit::Failure`].
pub fn run(
    arguments: &ReviewArguments,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<Exit> {
    let roots = read_ca_file(&arguments.ca_file).context("--ca-file")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let review = review(&arguments.images).to_string();
    let answer = runtime.block_on(post_json(&arguments.url, &roots, review));
    let results = results(answer, &arguments.images, errors);
    let results = match results.with_context(|| arguments.url.as_str().to_owned()) {
        Ok(results) => results,
        Err(error) => {
            // If standard error is closed, the error cannot be reported.
            let _ = writeln!(errors, "error: {error:#}");
            return Ok(Exit::Failure);
        }
    };
    for (image, result) in arguments.images.iter().zip(&results) {
        if arguments.output == Output::Json {
            let record = Record { image, result, swapped: image != result };
            serde_json::to_writer(&mut *output, &record).map_err(io::Error::from)?;
            writeln!(output)?;
        } else {
            writeln!(output, "{result}")?;
        }
    }
    Ok(Exit::Success)
}

/// Returns the review of the creation of a pod, as the API server would send it.
fn review(images: &[String]) -> Value {
    let containers = images.iter().enumerate();
    let containers: Vec<_> = containers
        .map(|(number, image)| json!({ "name": format!("image-{number}"), "image": image }))
        .collect();
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "imageswap-review",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "name": "imageswap-review",
            "namespace": "default",
            "operation": "CREATE",
            "dryRun": true,
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": { "name": "imageswap-review", "namespace": "default" },
                "spec": { "containers": containers },
            },
        },
    })
}

/// Returns the images after the review.
fn results(
    answer: Result<HttpAnswer, ClientError>,
    images: &[String],
    errors: &mut impl Write,
) -> anyhow::Result<Vec<String>> {
    let HttpAnswer { status, body } = answer.context("the webhook does not answer")?;
    if !status.is_success() {
        let body = String::from_utf8_lossy(&body);
        let message = serde_json::from_str(&body).ok();
        let message = message.as_ref().and_then(|status: &Value| status["message"].as_str());
        let message = message.unwrap_or(&body);
        bail!("the webhook answers {status}: {}", excerpt(message, MAX_ERROR_BYTES));
    }
    let answer: AdmissionReview =
        serde_json::from_slice(&body).context("the answer is not an AdmissionReview")?;
    let Response { allowed, patch, warnings } = answer.response;
    for warning in warnings {
        // The results are valid even if the warnings cannot be written.
        let _ = writeln!(errors, "warning: {}", excerpt(&warning, MAX_ERROR_BYTES));
    }
    if !allowed {
        bail!("the webhook refuses the pod");
    }
    let mut results = images.to_vec();
    for Operation { path, value } in operations(patch)? {
        let number =
            path.strip_prefix("/spec/containers/").and_then(|path| path.strip_suffix("/image"));
        let result = number.and_then(|number| results.get_mut(number.parse::<usize>().ok()?));
        // Other operations do not change an image.
        if let (Some(result), Some(image)) = (result, value.as_str()) {
            image.clone_into(result);
        }
    }
    Ok(results)
}

/// Returns the operations of a JSON Patch in base64.
fn operations(patch: Option<String>) -> anyhow::Result<Vec<Operation>> {
    let Some(patch) = patch else { return Ok(Vec::new()) };
    let patch = STANDARD.decode(patch).context("the patch is not base64")?;
    serde_json::from_slice(&patch).context("the patch is not a JSON Patch")
}
