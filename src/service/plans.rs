//! The plans in memory: there are few of them, so all are read at once.

use std::collections::HashMap;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::domain::plan::PlanId;
use crate::domain::{PlanLimits, SubscriberRows};
use crate::engine::quota::CompiledPlan;

/// All plans.
#[derive(Debug, Default)]
pub(super) struct Plans {
    by_id: HashMap<PlanId, Arc<CompiledPlan>>,
    by_group: HashMap<SmolStr, Arc<CompiledPlan>>,
}

impl Plans {
    pub(super) fn new(plans: &[PlanLimits]) -> Self {
        let compiled = plans.iter().map(|plan| Arc::new(CompiledPlan::new(plan)));
        let by_id: HashMap<_, _> = compiled.map(|plan| (plan.id, plan)).collect();
        let by_group = by_id.values().map(|plan| (plan.group.clone(), Arc::clone(plan))).collect();
        Self { by_id, by_group }
    }

    /// Does the row of a subscriber name a plan that is not here?
    pub(super) fn lacks(&self, rows: &SubscriberRows) -> bool {
        rows.terms.plan.is_some_and(|id| !self.by_id.contains_key(&id))
    }

    /// The plan of a subscriber: the one that its row names; where it names none, since another tool made
    /// it, that of its first group.
    pub(super) fn of(&self, rows: &SubscriberRows) -> Option<Arc<CompiledPlan>> {
        let plan = match rows.terms.plan {
            Some(id) => self.by_id.get(&id),
            None => self.by_group.get(rows.groups.first()?),
        };
        plan.map(Arc::clone)
    }
}
