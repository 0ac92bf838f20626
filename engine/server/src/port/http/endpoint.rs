//! An application as the clients of this port see it.
//!
//! Made by the control thread with everything that is told of the application rendered once, moved
//! in and out by the changes that add, link and remove it. The core's application and this one have
//! the same id.
//!
//! A request's application is found here by name, once; from then on it is known by its id. What
//! was found holds as long as no endpoint comes, changes or goes: the changes are counted, and a
//! [`Route`] says after how many it was found. So what a connection remembers never leads to an
//! application that was removed, nor to another in its place, and hides none that was added.

use std::ops::Index;
use std::sync::Arc;

use cutter_core::Change;
use cutter_core::ids::{ApplicationId, OfApplication};
use cutter_core::slab::Slab;
use cutter_core::stats::ApplicationStats;
use cutter_tensor::TensorSpec;
use cutter_wire::clipper::{
    Directory, Problem, Routed, Verb, body_bytes_max_of, check_version, routed, update_bytes_max_of,
};
use cutter_wire::http::Routes;
use cutter_wire::json::render::{TextRule, embed_text};
use cutter_wire::limits::UNROUTED_BODY_BYTES_MAX;

use super::Frontend;
use super::memo::Memo;
use crate::port::policy::PolicyView;

/// What clients see of an application.
#[derive(Debug)]
pub struct Endpoint {
    pub name: String,
    pub input: TensorSpec,
    pub slo_ns: u64,
    /// The default output as JSON, rendered once.
    pub default_json: Vec<u8>,
    /// Name and version of each linked model, in order.
    pub models: Vec<(String, String)>,
    /// Of one that has a policy.
    pub policy: Option<PolicyView>,
    /// The largest body that may ask, and the largest that may tell what was right.
    pub body_bytes_max: usize,
    pub update_bytes_max: usize,
    /// The rows of its input pool: the queries that may wait.
    pub rows: u32,
    /// Whether a string output that is JSON is embedded as JSON, not as a string.
    pub json_output: bool,
    /// Bodies that were read a moment ago, where that pays.
    pub(super) memo: Option<Memo>,
    pub stats: Arc<ApplicationStats>,
    /// It takes no questions any more.
    pub is_draining: bool,
    /// Answers of which an item is still to come.
    pub owed: usize,
}

impl Endpoint {
    /// `default_output` is as it stands in the configuration: JSON if it is JSON, else a text.
    /// Without rows; outputs that are strings stay strings.
    pub fn new(
        name: String,
        input: TensorSpec,
        slo_ns: u64,
        default_output: &str,
        models: Vec<(String, String)>,
        stats: Arc<ApplicationStats>,
    ) -> Self {
        let mut default_json = Vec::new();
        embed_text(&mut default_json, default_output);
        let body_bytes_max = body_bytes_max_of(&input);
        let update_bytes_max = update_bytes_max_of(&input);
        Self {
            name,
            input,
            slo_ns,
            default_json,
            models,
            policy: None,
            body_bytes_max,
            update_bytes_max,
            rows: 0,
            json_output: false,
            memo: None,
            stats,
            is_draining: false,
            owed: 0,
        }
    }

    /// Bodies that come again are not read again. A seed keys the hash by which they are found.
    pub fn remember_bodies(&mut self, seed: u64) {
        self.memo = Some(Memo::new(&self.input, seed));
    }

    /// How its string outputs are told.
    pub(super) fn text_rule(&self) -> TextRule {
        if self.json_output { TextRule::Json } else { TextRule::String }
    }

    pub(super) fn check_version(&self, asked: Option<&str>) -> Result<(), Problem> {
        let model = self.models.first();
        check_version(asked, model.map(|(name, version)| (name.as_str(), version.as_str())))
    }
}

/// The endpoints of the applications that are there.
#[derive(Debug)]
pub struct Endpoints {
    by_id: Slab<Box<Endpoint>, OfApplication>,
    /// Counts what changes where requests go, or how much they may bring.
    changes: u64,
}

/// Where a request goes, as it was found after so many changes.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The application that its path names, of those that take questions, and what is asked of it.
    pub routed: Option<Routed<ApplicationId>>,
    changes: u64,
}

impl Endpoints {
    /// None, with room for so many.
    pub fn new(room: usize) -> Self {
        Self { by_id: Slab::new(room), changes: 0 }
    }

    #[inline]
    pub fn get(&self, application: ApplicationId) -> Option<&Endpoint> {
        self.by_id.get(application).map(|endpoint| &**endpoint)
    }

    /// Those that are there, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (ApplicationId, &Endpoint)> {
        self.by_id.iter().map(|(id, endpoint)| (id, &**endpoint))
    }

    /// The bodies that are known of an application.
    #[inline]
    pub(super) fn memo(&mut self, application: ApplicationId) -> Option<&mut Memo> {
        self.by_id[application].memo.as_mut()
    }

    /// Those that are known are others now.
    #[cfg(test)]
    pub(super) fn set_memo(&mut self, application: ApplicationId, memo: Option<Memo>) {
        self.by_id[application].memo = memo;
    }

    /// What clients see of an application that is added.
    pub fn add(&mut self, application: ApplicationId, endpoint: Box<Endpoint>) {
        self.changes += 1;
        self.by_id.put(application, endpoint);
    }

    /// Gives back the endpoint that was shown. The new one keeps what is owed.
    fn replace(
        &mut self,
        application: ApplicationId,
        mut endpoint: Box<Endpoint>,
    ) -> Box<Endpoint> {
        self.changes += 1;
        let shown = &mut self.by_id[application];
        (endpoint.is_draining, endpoint.owed) = (shown.is_draining, shown.owed);
        std::mem::replace(shown, endpoint)
    }

    fn drain(&mut self, application: ApplicationId) {
        self.changes += 1;
        self.by_id[application].is_draining = true;
    }

    fn remove(&mut self, application: ApplicationId) -> Option<Box<Endpoint>> {
        self.changes += 1;
        self.by_id.remove(application)
    }

    /// An answer of an application is owed.
    #[inline]
    pub(super) fn owe(&mut self, application: ApplicationId) {
        self.by_id[application].owed += 1;
    }

    /// No item of an answer is to come any more.
    #[inline]
    pub(super) fn complete(&mut self, application: ApplicationId) {
        if let Some(endpoint) = self.by_id.get_mut(application) {
            endpoint.owed -= 1;
        }
    }

    /// Those that take questions.
    fn open(&self) -> impl Iterator<Item = (ApplicationId, &Endpoint)> {
        self.iter().filter(|(_, endpoint)| !endpoint.is_draining)
    }
}

impl Directory for Endpoints {
    type Id = ApplicationId;

    fn find(&self, name: &[u8]) -> Option<ApplicationId> {
        self.open().find(|(_, endpoint)| endpoint.name.as_bytes() == name).map(|(id, _)| id)
    }

    fn names(&self) -> Vec<&str> {
        self.open().map(|(_, endpoint)| endpoint.name.as_str()).collect()
    }
}

impl Routes for Endpoints {
    type Route = Route;

    fn find(&self, path: &str) -> Route {
        Route { routed: routed(path, self), changes: self.changes }
    }

    #[inline]
    fn is_current(&self, route: Route) -> bool {
        route.changes == self.changes
    }

    #[inline]
    fn body_bytes_max(&self, route: Route) -> usize {
        let Some(Routed { application, verb }) = route.routed else {
            return UNROUTED_BODY_BYTES_MAX;
        };
        self.get(application).map_or(UNROUTED_BODY_BYTES_MAX, |endpoint| match verb {
            Verb::Predict => endpoint.body_bytes_max,
            Verb::Update => endpoint.update_bytes_max,
        })
    }
}

/// Of an endpoint that must be there: one of ours names it.
impl Index<ApplicationId> for Endpoints {
    type Output = Endpoint;

    #[inline]
    fn index(&self, application: ApplicationId) -> &Endpoint {
        &self.by_id[application]
    }
}

impl Frontend {
    /// What clients see of a change. Gives back the endpoint that is not shown any more. One that
    /// is linked anew keeps what is owed.
    pub fn change(
        &mut self,
        change: &Change,
        endpoint: Option<Box<Endpoint>>,
    ) -> Option<Box<Endpoint>> {
        let endpoints = &mut self.replies.endpoints;
        match (change, endpoint) {
            (Change::AddApplication { id, .. }, Some(endpoint)) => {
                endpoints.add(*id, endpoint);
                None
            }
            (Change::Link { application, .. }, Some(endpoint)) => {
                Some(endpoints.replace(*application, endpoint))
            }
            (Change::DrainApplication(id), _) => {
                endpoints.drain(*id);
                None
            }
            (Change::RemoveApplication(id), _) => endpoints.remove(*id),
            (_, endpoint) => endpoint,
        }
    }

    /// Whether an application is there and takes queries.
    pub fn takes_queries(&self, application: ApplicationId) -> bool {
        self.replies.endpoints.get(application).is_some_and(|endpoint| !endpoint.is_draining)
    }

    /// Whether an answer of an application is still to be completed here.
    pub fn owes(&self, application: ApplicationId) -> bool {
        self.replies.endpoints.get(application).is_some_and(|endpoint| endpoint.owed > 0)
    }
}
