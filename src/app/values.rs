//! The values that can change at run time, and the status page that shows them.

use std::sync::Arc;

use crate::{
    admission::{AdmissionSettings, Sites},
    metrics::Registry,
    registry::Resolver,
    rules::{NamespaceMaps, Policy, RuleSet},
    settings::{RuleSource, ServeSettings},
    state::{CurrentWorld, HasStatus, Live, LoadObserver, Readiness, Subject},
    status_page::{RulesMode, ShownSettings, StatusPage},
    tls::ServingCertificate,
};

/// The values that can change at run time.
pub(super) struct Values {
    pub(super) observer: Arc<LoadObserver>,
    /// The values in the order of the status page.
    pub(super) followed: Vec<Arc<dyn HasStatus>>,
    pub(super) world: Arc<CurrentWorld>,
    pub(super) policy: Arc<Live<Policy>>,
    pub(super) namespaces: Arc<Live<NamespaceMaps>>,
    pub(super) candidate: Arc<Live<Option<RuleSet>>>,
    pub(super) sites: Arc<Live<Sites>>,
    pub(super) certificate: Arc<Live<ServingCertificate>>,
}

impl Values {
    pub(super) fn new(admission: AdmissionSettings, registry: &Registry) -> Self {
        let observer = Arc::new(LoadObserver::new(registry));
        let world = Arc::new(CurrentWorld::new(admission));
        let policy = Live::new(Subject::Map, observer.clone()).on_change({
            let world = world.clone();
            move |policy| world.set_policy(policy)
        });
        let namespaces = Live::new(Subject::NamespaceMaps, observer.clone()).on_change({
            let world = world.clone();
            move |namespaces| world.set_namespaces(namespaces)
        });
        let candidate = Live::new(Subject::CandidateMap, observer.clone()).on_change({
            let world = world.clone();
            move |candidate| world.set_candidate(candidate)
        });
        let sites = Live::new(Subject::Sites, observer.clone()).on_change({
            let world = world.clone();
            move |sites| world.set_sites(sites)
        });
        let certificate = Arc::new(Live::new(Subject::Certificate, observer.clone()));
        let (policy, namespaces) = (Arc::new(policy), Arc::new(namespaces));
        let (candidate, sites) = (Arc::new(candidate), Arc::new(sites));
        let followed: Vec<Arc<dyn HasStatus>> = vec![
            policy.clone(),
            namespaces.clone(),
            candidate.clone(),
            sites.clone(),
            certificate.clone(),
        ];
        Self { observer, followed, world, policy, namespaces, candidate, sites, certificate }
    }

    /// Creates the status page of the values that are followed.
    pub(super) fn status_page(
        &self,
        pod: &str,
        settings: &ServeSettings,
        readiness: &Arc<Readiness>,
        resolver: Option<Arc<Resolver>>,
    ) -> StatusPage {
        let mode = match &settings.rules {
            RuleSource::Legacy(_) => RulesMode::Legacy,
            RuleSource::BuiltIn(_) | RuleSource::DefaultMapFile(_) | RuleSource::MapFile(_) => {
                RulesMode::Maps
            }
        };
        let (source, shadow) = (&settings.rules.to_string(), &settings.admission.shadow);
        let shown = ShownSettings { pod, mode, source, shadow };
        let (followed, readiness) = (self.followed.clone(), readiness.clone());
        StatusPage::new(shown, followed, self.world.clone(), readiness, resolver)
    }
}
