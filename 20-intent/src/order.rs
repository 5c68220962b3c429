//! What must come before what, among the steps of a plan.

use petgraph::algo::toposort;
use petgraph::algo::tred::{dag_to_toposorted_adjacency_list, dag_transitive_reduction_closure};
use petgraph::graph::{DefaultIx, DiGraph, NodeIndex};
use petgraph::visit::IntoNeighbors as _;
use std::collections::{BTreeMap, BTreeSet};
use writ_core::{Step, StepKey};

/// For every key, the keys it needs.
pub(crate) type Needs = BTreeMap<StepKey, BTreeSet<StepKey>>;

/// What every step needs, directly and by way of others; and the same without what others bring along anyway. Steps that wait
/// for each other in a ring come out with their direct needs.
pub(crate) fn closure_and_reduction(steps: &[Step]) -> (Needs, Needs) {
    let mut graph: DiGraph<&StepKey, (), DefaultIx> = DiGraph::new();
    let at: BTreeMap<&StepKey, NodeIndex> = steps.iter().map(|step| (&step.key, graph.add_node(&step.key))).collect();
    for step in steps {
        for need in step.needs.iter().filter_map(|need| at.get(need)) {
            graph.add_edge(*need, at[&step.key], ());
        }
    }
    let Ok(sorted) = toposort(&graph, None) else {
        let direct: Needs = steps.iter().map(|step| (step.key.clone(), step.needs.iter().cloned().collect())).collect();
        return (direct.clone(), direct);
    };
    let (list, _) = dag_to_toposorted_adjacency_list::<_, NodeIndex>(&graph, &sorted);
    let (reduced, closed) = dag_transitive_reduction_closure(&list);
    let named = |edges: &mut dyn Iterator<Item = (NodeIndex, NodeIndex)>| {
        let mut needs: Needs = steps.iter().map(|step| (step.key.clone(), BTreeSet::new())).collect();
        for (from, to) in edges {
            let (from, to) = (graph[sorted[from.index()]], graph[sorted[to.index()]]);
            needs.entry(to.clone()).or_default().insert(from.clone());
        }
        needs
    };
    let closure = named(&mut pairs(&closed).into_iter());
    let reduction = named(&mut pairs(&reduced).into_iter());
    (closure, reduction)
}

fn pairs(list: &petgraph::adj::UnweightedList<NodeIndex>) -> Vec<(NodeIndex, NodeIndex)> {
    list.node_indices().flat_map(|from| list.neighbors(from).map(move |to| (from, to))).collect()
}

/// For every step, how many steps stand before it on the longest way: the row a drawing puts it in.
pub(crate) fn ranks(steps: &[Step]) -> BTreeMap<StepKey, usize> {
    let (closure, _) = closure_and_reduction(steps);
    let mut order: Vec<&StepKey> = steps.iter().map(|step| &step.key).collect();
    order.sort_by_key(|key| closure.get(*key).map_or(0, BTreeSet::len));
    let mut ranks: BTreeMap<StepKey, usize> = BTreeMap::new();
    for key in order {
        let before = closure.get(key).into_iter().flatten().filter_map(|need| ranks.get(need)).max();
        let rank = before.map_or(0, |before| before + 1);
        ranks.insert(key.clone(), rank);
    }
    ranks
}

/// Steps in an order that respects what they need; among those that may come next, the one that stood first.
pub(crate) fn sorted(steps: Vec<Step>) -> Vec<Step> {
    let mut waiting = steps;
    let mut done: BTreeSet<StepKey> = BTreeSet::new();
    let mut order = Vec::with_capacity(waiting.len());
    let known: BTreeSet<StepKey> = waiting.iter().map(|step| step.key.clone()).collect();
    while !waiting.is_empty() {
        let ready = |step: &Step| step.needs.iter().all(|need| done.contains(need) || !known.contains(need));
        let (mut now, later): (Vec<Step>, Vec<Step>) = waiting.into_iter().partition(ready);
        if now.is_empty() {
            order.extend(later); // A ring; `Plan::check` names it.
            return order;
        }
        done.extend(now.iter().map(|step| step.key.clone()));
        order.append(&mut now);
        waiting = later;
    }
    order
}
