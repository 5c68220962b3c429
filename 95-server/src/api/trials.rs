//! Tests of policies that somebody writes: run, and nothing else.

use super::changes::{PolicyFile, few, unsound};
use super::route::Route;
use super::{Answer, App, Body, Caller, Needs, Of};
use crate::error::Failure;
use crate::wrong::Wrong;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use writ_pipeline::ChangeError;
use writ_pipeline::input::{Bundle, Problem, TrialReport, run_tests_while};

/// For how long tests are run; what is left then is told as not run.
const TIME: Duration = Duration::from_secs(5);

/// How many people's tests are run at once: they keep a processor busy each. The others wait, as long as requests may.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/policies/test", Needs::Reader, Of::Nothing, test)
            .harmless()
            .says(
                "policies",
                "Run the tests of policies",
                "The policies and their tests as they are sent, in the form of `writ policy test`; the policies in force have no part in \
                 it, and nothing is recorded. Within five seconds: what is not run by then is counted in `not_run`, and nothing has \
                 passed as a whole.",
            )
            .takes::<TestsWanted>()
            .answers::<Tested>(),
    ]
}

/// Policies and their tests.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestsWanted {
    /// The policies: all files of a bundle.
    #[schema(min_items = 1, max_items = 200)]
    files: Vec<PolicyFile>,
    /// Files of tests.
    #[schema(max_items = 200)]
    tests: Vec<PolicyFile>,
}

/// What tests came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tested {
    /// Whether every test was run and passed.
    passed: bool,
    tests: Vec<TestTold>,
    /// Tests that there was no time for.
    not_run: usize,
    /// Rules that no test saw speak against anything, or, of permissions, allow anything.
    untested: Vec<String>,
}

/// What a test came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestTold {
    name: String,
    /// Its file.
    file: String,
    /// Where in it.
    line: u32,
    passed: bool,
    /// What was expected and did not come.
    failures: Vec<String>,
}

type Named = Vec<(String, Vec<u8>)>;

async fn test(State(shared): App, caller: Caller, Body(wanted): Body<TestsWanted>) -> Answer<Tested> {
    few(&wanted.files, &wanted.tests)?;
    shared.throttle.trial(&caller.0.id)?;
    let named = |files: Vec<PolicyFile>| -> Named {
        files.into_iter().map(|file| (file.name, file.text.into_bytes())).collect()
    };
    let (files, tests) = (named(wanted.files), named(wanted.tests));
    let names = |files: &Named| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let (file_names, test_names) = (names(&files), names(&tests));
    let clock = shared.pipeline.journal().base().clock.clone();
    let _turn = AT_ONCE.acquire().await.map_err(|closed| Failure::internal(&closed))?;
    let run = tokio::task::spawn_blocking(move || {
        let until = clock.now().plus(TIME);
        let bundle = Bundle::load(&borrowed(&files))?;
        Ok(run_tests_while(&bundle, &borrowed(&tests), &mut || clock.now() < until))
    });
    let report = run.await.map_err(|gone| Failure::internal(&gone))?;
    let report = report.map_err(|problems| unsound(&file_names, ChangeError::Policies(problems)))?;
    if report.problems.is_empty() { Ok(Json(told(&report))) } else { Err(unreadable(&test_names, &report.problems)) }
}

fn borrowed(files: &Named) -> Vec<(&str, &[u8])> {
    files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect()
}

fn told(report: &TrialReport) -> Tested {
    let each = report.trials.iter().map(|trial| TestTold {
        name: trial.name.clone(),
        file: trial.at.file.clone(),
        line: trial.at.line,
        passed: trial.failures.is_empty(),
        failures: trial.failures.clone(),
    });
    Tested { passed: report.passed(), tests: each.collect(), not_run: report.cut, untested: report.untested.clone() }
}

/// Files of tests that cannot be read, with the place of each problem.
fn unreadable(names: &[String], problems: &[Problem]) -> Failure {
    let pointer = |problem: &Problem| match names.iter().position(|name| *name == problem.at.file) {
        Some(at) => format!("/tests/{at}/text"),
        None => "/tests".to_owned(),
    };
    let wrong = problems.iter().map(|problem| Wrong::within(pointer(problem), problem)).collect();
    let detail = format!("the tests have {}", writ_text::problems(problems.len()));
    Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).wrong(wrong).with(json!({"problems": problems}))
}
