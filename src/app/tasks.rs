//! The tasks of the process, each with an owner that waits for it.

use std::{fmt, future::Future};

use anyhow::Context;
use tokio::task::{JoinError, JoinSet};

use crate::closed_enum::closed_enum;

closed_enum! {
    /// The tasks of the process.
    pub(super) enum Task {
        /// Serves probes and metrics.
        AdminServer => "admin server",
        /// Follows the candidate map.
        CandidateMapReload => "candidate map reload",
        /// Follows the certificate files.
        CertificateReload => "certificate reload",
        /// Follows the client CA file.
        ClientCaReload => "client CA reload",
        /// Watches the objects of the cluster.
        ClusterWatch => "cluster watch",
        /// Keeps certificates and the webhook configuration right.
        Controller => "controller",
        /// Follows the map file.
        MapReload => "map reload",
        /// Follows the maps of namespaces.
        NamespaceMapReload => "namespace map reload",
        /// Follows the CAs of registries.
        RegistryCaReload => "registry CA reload",
        /// Follows the credentials of registries.
        RegistryConfigReload => "registry config reload",
        /// Follows the file with sites.
        SitesReload => "sites reload",
        /// Asks for the new images of pods that were created lately.
        TargetWarmUp => "target warm-up",
        /// Follows the template of the webhook configuration.
        TemplateReload => "webhook template reload",
        /// Serves the webhook.
        Webhook => "webhook",
    }
}

/// The tasks that are running.
#[derive(Debug, Default)]
pub(super) struct Tasks(JoinSet<Task>);

/// A task that has stopped, for errors.
#[derive(Debug)]
pub(super) struct Ended(Option<Result<Task, JoinError>>);

impl Tasks {
    /// Starts a task.
    pub(super) fn spawn(&mut self, task: Task, run: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(async move {
            run.await;
            task
        });
    }

    /// Waits for the next task that stops.
    pub(super) async fn next(&mut self) -> Ended {
        Ended(self.0.join_next().await)
    }

    /// Waits until no more than `left` tasks run.
    ///
    /// # Errors
    /// If one of the others panicked.
    pub(super) async fn join_to(&mut self, left: usize) -> anyhow::Result<()> {
        while self.0.len() > left
            && let Some(ended) = self.0.join_next().await
        {
            ended.context("a task failed during the shutdown")?;
        }
        Ok(())
    }
}

impl Ended {
    /// Returns true if it is this task, and it did not panic.
    pub(super) fn is(&self, task: Task) -> bool {
        matches!(&self.0, Some(Ok(ended)) if *ended == task)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(Ok(task)) => write!(formatter, "the task `{}`", task.as_str()),
            Some(Err(error)) => write!(formatter, "a task ({error})"),
            None => formatter.write_str("every task"),
        }
    }
}
