//! Asks registries for the new images.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write, stderr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use clap::Args;
use futures_util::{StreamExt, stream};

use super::tally::Tally;
use crate::{
    image::split_port,
    registry::{Check, CheckResult, Checked, Client, Credentials, Presence, Target},
    settings::{RegistryArguments, RegistrySettings},
    sources::{FollowedFile, Loaded, RegistryFileSource, Source},
    state::{Live, Subject, Summary},
    tls::Roots,
};

/// Maximum number of questions at the same time. Registries limit the rate of clients.
const CONCURRENCY: usize = 8;

/// Number of failures in a row after which a registry is asked no more.
const MAX_FAILURES: usize = 3;

/// Arguments for questions to registries.
#[derive(Args, Debug)]
pub(super) struct VerifyArguments {
    /// Ask the registries whether they have the new images; exit code 4 if one says that it does not
    #[arg(long)]
    pub(super) verify: bool,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// Asks registries for images.
pub(super) struct Verifier {
    client: Client,
    /// Registries that are never asked.
    except: Vec<String>,
}

/// The failures of a registry.
#[derive(Default)]
struct Failures {
    in_a_row: usize,
    /// The last check.
    last: Option<Checked>,
}

impl VerifyArguments {
    /// Creates the client of the registries; `None` if they are not asked. Warnings go to `errors`.
    ///
    /// # Errors
    /// If a flag or a file cannot be used.
    pub(super) fn verifier(&self, errors: &mut impl Write) -> anyhow::Result<Option<Verifier>> {
        let RegistrySettings { config, ca, except, client } = self.registry.parse()?;
        if !self.verify {
            return Ok(None);
        }
        let credentials = credentials(config, errors).context("--registry-config")?;
        let roots = roots(ca).context("--registry-ca-file")?;
        let client = Client::new(&client, credentials, roots.as_ref())
            .context("creating the client of the registries")?;
        let except = except.iter().map(ToString::to_string).collect();
        Ok(Some(Verifier { client, except }))
    }
}

impl Verifier {
    /// Asks for the new images of a tally, and records the answers in it. The progress goes to `errors`, if that is a
    /// terminal.
    pub(super) async fn verify(&self, tally: &mut Tally, errors: &mut impl Write) {
        let targets: Vec<_> = tally
            .verifiable()
            .into_iter()
            .filter_map(|image| Some((Target::parse(&image)?, image)))
            .filter(|(target, _)| !self.is_exempt(target.registry()))
            .collect();
        let total = targets.len();
        let failures = Mutex::<BTreeMap<String, Failures>>::default();
        let answers = stream::iter(targets).map(|(target, image)| {
            let failures = &failures;
            async move {
                let checked = self.check(&target, failures).await;
                (target, image, checked)
            }
        });
        let mut answers = answers.buffer_unordered(CONCURRENCY);
        let is_terminal = stderr().is_terminal();
        let mut answered = 0;
        let mut reasons = BTreeMap::<(String, CheckResult, String), usize>::new();
        while let Some((target, image, Checked { result, detail, .. })) = answers.next().await {
            answered += 1;
            if is_terminal {
                // The progress is lost if it cannot be written.
                let _ = write!(errors, "\rasking registries: {answered} of {total}");
                let _ = errors.flush();
            }
            if result.presence() == Presence::Unknown {
                *reasons.entry((target.registry().to_owned(), result, detail)).or_default() += 1;
            }
            tally.targets.insert(image, result.presence());
        }
        if is_terminal && total > 0 {
            let _ = write!(errors, "\r\x1b[K");
        }
        for ((registry, result, detail), images) in reasons {
            let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
            let images = super::counted(images, "target");
            let result = result.as_str();
            tally.unknown.push(format!("{registry}: {images} unknown, {result}{detail}"));
        }
    }

    /// Returns true if a registry is never asked. A host without a port stands for all of its ports.
    fn is_exempt(&self, registry: &str) -> bool {
        let host = split_port(registry).0;
        self.except.iter().any(|except| except == registry || except == host)
    }

    /// Asks for an image, unless its registry has failed too often.
    async fn check(
        &self,
        target: &Target,
        failures: &Mutex<BTreeMap<String, Failures>>,
    ) -> Checked {
        let failures = || failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failing) = failures().get(target.registry())
            && failing.in_a_row >= MAX_FAILURES
            && let Some(last) = &failing.last
        {
            // The reason is that of the last failure.
            return last.clone();
        }
        let checked = self.client.check(target).await;
        let mut failures = failures();
        let of_registry = failures.entry(target.registry().to_owned()).or_default();
        of_registry.in_a_row =
            if checked.result.is_failure() { of_registry.in_a_row + 1 } else { 0 };
        of_registry.last = Some(checked.clone());
        checked
    }
}

/// Reads the credentials; there are none without a file at the default path.
fn credentials(file: FollowedFile, errors: &mut impl Write) -> anyhow::Result<Credentials> {
    let live = Live::new(Subject::RegistryConfig, Arc::default());
    let path = file.path().display().to_string();
    let loaded = RegistryFileSource::credentials(file).load(&live)?;
    let Loaded::New(credentials, load) = loaded else { return Ok(Credentials::default()) };
    if let Summary::RegistryConfig { problems, .. } = load.summary {
        for problem in problems {
            // The result is valid even if the warning cannot be written.
            let _ = writeln!(errors, "warning: {path}: {problem}");
        }
    }
    Ok(credentials)
}

/// Reads the CAs; `None` without a file at the default path.
fn roots(file: FollowedFile) -> anyhow::Result<Option<Roots>> {
    let live = Live::new(Subject::RegistryCa, Arc::default());
    Ok(match RegistryFileSource::authorities(file).load(&live)? {
        Loaded::New(roots, _) => Some(roots),
        Loaded::InUse | Loaded::Unchanged => None,
    })
}
