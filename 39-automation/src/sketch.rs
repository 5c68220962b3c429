//! A run with changes laid over it: what a decision is made on before anything is recorded. Costs what it touches.

use crate::cell::{Cell, StepState};
use crate::event::{RunEvent, What};
use crate::fold::{Board, apply};
use crate::graph::Graph;
use crate::run::{FoldError, Head, Run};
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_core::Timestamp;

pub(crate) struct Sketch<'a> {
    cells: BTreeMap<usize, Cell>,
    pub(crate) events: Vec<RunEvent>,
    head: Head,
    pub(crate) now: Timestamp,
    replaced: Option<(Arc<Graph>, Vec<Cell>)>,
    run: &'a Run,
}

impl<'a> Sketch<'a> {
    pub(crate) fn of(run: &'a Run, now: Timestamp) -> Self {
        Self { cells: BTreeMap::new(), events: Vec::new(), head: run.head.clone(), now, replaced: None, run }
    }

    /// Decides that something happened: later decisions of this sketch see it.
    pub(crate) fn say(&mut self, what: What) -> Result<(), FoldError> {
        let event = RunEvent { at: self.now, run: self.head.id.clone(), what };
        apply(self, &event)?;
        self.events.push(event);
        Ok(())
    }

    /// The run before anything was decided.
    pub(crate) fn run(&self) -> &'a Run {
        self.run
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = (usize, &StepState)> {
        (0..self.graph().nodes.len()).map(|at| (at, &self.cell(at).state))
    }
}

impl Board for Sketch<'_> {
    fn cell(&self, at: usize) -> &Cell {
        if let Some(cell) = self.cells.get(&at) {
            return cell;
        }
        match &self.replaced {
            Some((_, cells)) => &cells[at],
            None => &self.run.cells[at],
        }
    }

    fn cell_mut(&mut self, at: usize) -> &mut Cell {
        let ground = match &self.replaced {
            Some((_, cells)) => &cells[at],
            None => &self.run.cells[at],
        };
        self.cells.entry(at).or_insert_with(|| ground.clone())
    }

    fn graph(&self) -> &Arc<Graph> {
        self.replaced.as_ref().map_or(&self.run.graph, |(graph, _)| graph)
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    // Which steps are ready or wait for people is asked of the run itself, once what was decided is applied to it.
    fn set_ready(&mut self, _at: usize, _ready: bool) {}
    fn set_asking(&mut self, _at: usize, _asking: bool) {}

    fn replace(&mut self, graph: Graph, cells: Vec<Cell>) {
        self.cells.clear();
        self.replaced = Some((Arc::new(graph), cells));
    }
}
