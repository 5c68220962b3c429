use crate::{borrowed, example};
use writ_policy::{Bundle, run_tests};

#[test]
fn the_examples_policies_load_and_pass_their_tests() {
    let (policies, tests) = example();
    let bundle = Bundle::load(&borrowed(&policies)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(bundle.files(), ["architecture-policies.yaml", "compliance-policies.yaml", "security-policies.yaml"]);
    assert!(bundle.lints().is_empty(), "{:?}", bundle.lints());
    let report = run_tests(&bundle, &borrowed(&tests));
    assert!(report.passed(), "{}", report.table());
    assert_eq!(report.untested, Vec::<String>::new());
    assert!(report.trials.len() > 30);
}

#[test]
fn a_test_that_fails_says_what_was_decided_and_why() {
    let (policies, _) = example();
    let bundle = Bundle::load(&borrowed(&policies)).unwrap();
    let report = run_tests(
        &bundle,
        &[(
            "x.test.yaml",
            b"facts: {}\ntests:\n  - name: wrong\n    stage: action\n    change: {action: {name: x, verb: x, class: keyed, resource: r, origin: intent, permission: p}, agent: {id: a, type: t, permissions: [p]}, requester: {id: b, kind: human, roles: []}, maintenance: false}\n    expect: {decision: allow, rules: {SEC-PERM-001: failed}}\n",
        ), ("y.test.yaml", b"tests:\n  - name: a\n    stage: plam\n    expect: {rules: {SEC-PERM-01: failed}}\n")],
    );
    assert!(!report.passed());
    assert_eq!(
        report.trials[0].failures,
        [
            "expected allow, decided deny: default-deny: no rule allows `x` on `r` ",
            "expected `SEC-PERM-001` failed, it passed: The agent holds the permission",
        ]
    );
    let told: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "y.test.yaml:3:12: `stage` cannot be `plam`; did you mean `plan`?",
            "y.test.yaml:4:22: the bundle has no rule `SEC-PERM-01`; did you mean `SEC-PERM-001`?",
        ]
    );
    assert!(report.junit().contains("<failure message=\"expected allow, decided deny"));
}

#[test]
fn tests_that_there_is_no_time_for_are_counted_and_nothing_has_passed() {
    let (policies, tests) = example();
    let bundle = Bundle::load(&borrowed(&policies)).unwrap();
    let all = run_tests(&bundle, &borrowed(&tests)).trials.len();
    let mut left = 2;
    let report = writ_policy::run_tests_while(&bundle, &borrowed(&tests), &mut || {
        left -= 1;
        left >= 0
    });
    assert_eq!((report.trials.len(), report.cut), (2, all - 2));
    assert!(!report.passed() && report.trials.iter().all(|trial| trial.failures.is_empty()));
}
