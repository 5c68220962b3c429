//! The second door: commands of others that pass the gate, run once, and are recorded.

use crate::journey::{SOON, writ};
use crate::pin::serve;
use crate::program;
use crate::server::{address, raw};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use writ_bench::{Dev, Place, Signal, kill, wait_until};

/// A place where `--action job` is allowed, `rm` is denied, and everything else needs a person.
fn place() -> (Place, Dev) {
    let place = Place::new(program()).unwrap();
    let rules = "policies/security-policies.yaml";
    let from = "      action.origin == 'exec'\n      && !(has";
    place.edit(rules, from, "      action.origin == 'exec' && action.name != 'job'\n      && !(has").unwrap();
    let more = "
  - id: JOB-001
    effect: allow
    actions: [job]
    when: action.origin == 'exec'
    message: Jobs may run
  - id: RM-001
    effect: deny
    actions: ['*']
    when: has(outside.program) && outside.program == 'rm'
    message: Nothing is removed
";
    let path = place.files().join(rules);
    fs::write(&path, fs::read_to_string(&path).unwrap() + more).unwrap();
    let dev = serve(&place);
    (place, dev)
}

fn exec(place: &Place, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("exec").args(args).current_dir(place.path("."));
    for name in ["WRIT_SERVER", "WRIT_TOKEN", "WRIT_OUTPUT"] {
        command.env_remove(name);
    }
    command.env("WRIT_STATE", place.state()).env("WRIT_PINS", place.path("pins"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub(crate) fn ends(place: &Place, args: &[&str], code: i32) -> (String, String) {
    let output = exec(place, args).output().unwrap();
    let said = err(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), said)
}

/// The newest run.
fn run(place: &Place) -> String {
    place.list("runs").unwrap().last().unwrap()["id"].as_str().unwrap().to_owned()
}

fn state(place: &Place, run: &str) -> String {
    let doc = place.writ(&["run", "get", run, "-o", "json"]).unwrap().json();
    doc["state"].as_str().unwrap_or_default().to_owned()
}

/// Starts a command and waits until it has written its file: it runs.
fn running(place: &Place, args: &[&str], script: &str) -> (Child, PathBuf) {
    let began = place.path("began");
    let script = format!("echo x >> began; {script}");
    let child = exec(place, &[args, &["--action", "job", "--", "sh", "-c", &script]].concat()).spawn().unwrap();
    wait_until(SOON, || fs::read(&began).is_ok_and(|bytes| !bytes.is_empty())).unwrap();
    (child, began)
}

/// How often it ran.
fn times(began: &PathBuf) -> usize {
    fs::read_to_string(began).unwrap().lines().count()
}

#[test]
fn a_command_that_is_denied_never_runs_and_the_denial_is_an_entry() {
    let (place, dev) = place();
    fs::write(place.path("kept"), "x").unwrap();
    let (_, said) = ends(&place, &["--action", "job", "--", "rm", "kept"], 3);
    assert!(said.contains("RM-001") && said.contains("hint: writ why evt_"), "{said}");
    assert!(place.path("kept").exists());
    assert!(place.list("runs").unwrap().is_empty());
    let entry = said.split("writ why ").nth(1).unwrap().trim();
    assert!(writ(&place, &["why", entry], 0).contains("denied — RM-001"));

    // What cannot be judged, and what is not the caller's.
    for (args, code, told) in [
        (&["--action", "restart_service", "--", "true"][..], 64, "what writ itself does"),
        (&["--action", "deploy_instances", "--", "true"], 64, "what writ itself does"),
        (&["--action", "No Name", "--", "true"], 64, "is no name for an action"),
        (&["--intent", "NO-SUCH-INTENT", "--", "true"], 5, "there is no intent"),
        (&["--as", "reviewer", "--", "true"], 4, "does not hold the role `operator`"),
        (&["--resume", "run_01m7zpqb1z4qnf8865chd1k565"], 5, "there is no run"),
        (&[], 64, "there is no command"),
    ] {
        let (_, said) = ends(&place, args, code);
        assert!(said.contains(told), "{args:?}: {said}");
    }
    let many: Vec<String> = std::iter::repeat_n("a".to_owned(), 10_000).collect();
    let args: Vec<&str> = ["--", "echo"].into_iter().chain(many.iter().map(String::as_str)).collect();
    assert!(ends(&place, &args, 64).1.contains("10001 words"));
    writ(&place, &["agent", "quarantine", "outside-agent-001", "--reason", "x"], 0);
    assert!(ends(&place, &["--action", "job", "--", "true"], 3).1.contains("nobody may do `job`"));
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_command_that_is_approved_runs_once_and_its_output_is_in_the_evidence() {
    let (place, dev) = place();
    let script = "echo ran >> times; printf 'out \\377'; echo error >&2; exit 7";
    let waits = exec(&place, &["-m", "Zebulon wants it", "--", "sh", "-c", script]).spawn().unwrap();
    let asked = || place.list("approvals").unwrap().into_iter().find(|one| one.get("subject").is_some());
    wait_until(SOON, || asked().is_some()).expect("somebody is asked");
    let approval = asked().unwrap()["id"].as_str().unwrap().to_owned();
    let approval = approval.as_str();
    writ(&place, &["approve", approval, "-m", "mine"], 3);
    let shown = writ(&place, &["approval", "get", approval, "--as", "reviewer"], 0);
    assert!(shown.contains("command   sh -c 'echo ran >> times; printf '"), "{shown}");
    assert!(!place.path("times").exists());
    writ(&place, &["approve", approval, "--as", "reviewer", "-m", "looked at it"], 0);
    let output = waits.wait_with_output().unwrap();
    let said = err(&output);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(7), &b"out \xff"[..]), "{said}");
    assert!(said.contains("needs approval by 1 of approver") && said.contains(&format!("/approvals/{approval}")));
    assert!(said.contains("\nerror\n") && said.contains(&format!("writ approve {approval}")), "{said}");
    assert_eq!(fs::read_to_string(place.path("times")).unwrap(), "ran\n");

    let run = run(&place);
    assert_eq!(state(&place, &run), "failed");
    assert!(ends(&place, &["--resume", &run], 1).1.contains("the command ended with exit status 7"));
    let why = writ(&place, &["why", &run], 0);
    for part in ["SEC-EXEC-001", "“Zebulon wants it”", "take order exec/sh: started", "exit status 7", "permit pmt_"]
    {
        assert!(why.contains(part), "{part} in {why}");
    }
    let file = place.path("e.json");
    writ(&place, &["audit", "evidence", &run, "--out", file.to_str().unwrap()], 0);
    assert!(writ(&place, &["verify", file.to_str().unwrap()], 0).contains("holds"));
    let bundle: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let digest = |bytes: &[u8]| writ_seal::sha256(bytes).to_string();
    assert!(bundle["attachments"].get(digest(b"out \xff")).is_some(), "the output is in the evidence");
    assert!(bundle["attachments"].get(digest(b"error\n")).is_some());
    let entries: Vec<Value> = bundle["entries"].as_array().unwrap().iter().map(entry).collect();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    for kind in
        ["policy.decided/1", "approval.granted/1", "run.step_started/1", "outside.claimed/1", "run.step_failed/1"]
    {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    assert_eq!(dev.end(), Some(0));
}

fn entry(bundled: &Value) -> Value {
    serde_json::from_str(bundled["entry"].as_str().unwrap()).unwrap()
}

#[test]
fn a_request_that_nobody_waits_for_stays_and_is_resumed_by_whoever_asked() {
    let (place, dev) = place();
    let (_, said) = ends(&place, &["--no-wait", "--", "echo", "hello"], 7);
    let run = run(&place);
    assert!(said.contains(&format!("next: writ exec --resume {run}")), "{said}");
    let rejected = ends(&place, &["--no-wait", "--", "touch", "made"], 7).1;
    let id = |said: &str| said.split("writ approve ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    writ(&place, &["reject", &id(&rejected), "--as", "reviewer", "-m", "no"], 0);
    let second = rejected.split("--resume ").nth(1).unwrap().trim().to_owned();
    assert!(ends(&place, &["--resume", &second], 3).1.contains("is rejected"));
    assert!(!place.path("made").exists());

    let mut waits = exec(&place, &["--resume", &run]).spawn().unwrap();
    let mut told = BufReader::new(waits.stderr.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("/approvals/apr_")), "it says whom it waits for");
    kill(waits.id(), Signal::INT);
    assert_eq!(waits.wait().unwrap().code(), Some(7), "the request stays");
    writ(&place, &["approve", &id(&said), "--as", "reviewer", "-m", "yes"], 0);
    assert!(ends(&place, &["--resume", &run, "--as", "reviewer"], 4).1.contains("role `operator`"));
    assert_eq!(ends(&place, &["--resume", &run], 0).0, "hello\n");
    assert_eq!(state(&place, &run), "succeeded");
    ends(&place, &["--resume", &run], 1);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn the_exit_code_is_the_commands_own_and_signals_reach_it() {
    let (place, dev) = place();
    for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137)] {
        ends(&place, &["--action", "job", "--", "sh", "-c", script], code);
    }
    assert!(ends(&place, &["--action", "job", "--", "no-such-program"], 127).1.contains("no such program"));
    assert!(writ(&place, &["why", &run(&place)], 0).contains("nothing ran: `no-such-program`"));
    fs::write(place.path("plain"), "x").unwrap();
    ends(&place, &["--action", "job", "--", "./plain"], 126);

    let (child, began) = running(&place, &[], "exec sleep 60");
    kill(child.id(), Signal::TERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", err(&output));
    assert!(writ(&place, &["why", &run(&place)], 0).contains("signal 15 ended the command"));

    // What the command leaves behind holds its outputs, and nobody waits for that.
    ends(&place, &["--action", "job", "--", "sh", "-c", "sleep 30 & echo $! > left"], 0);
    let left = fs::read_to_string(place.path("left")).unwrap().trim().parse().unwrap();
    kill(left, Signal::KILL);

    // Input is the command's, and a lot of output passes whole.
    let mut child = exec(&place, &["--action", "job", "--", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&vec![b'x'; 3 << 20]));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 3 << 20), "{}", err(&output));
    assert_eq!(times(&began), 1);
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_command_whose_writ_is_killed_is_unknown_and_not_repeated() {
    let (place, dev) = place();
    let (mut child, began) = running(&place, &["--silent", "2"], "exec sleep 60");
    let run = run(&place);
    // Nobody else takes what was taken.
    assert!(ends(&place, &["--resume", &run], 1).1.contains("taken before, by another process"));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until(SOON, || state(&place, &run) == "needs_operator").expect("a person is called");
    let why = writ(&place, &["why", &run], 0);
    assert!(why.contains("agent `outside-agent-001` went silent"), "{why}");
    assert_eq!(times(&began), 1);
    ends(&place, &["--resume", &run], 1);
    let doc = place.writ(&["run", "get", &run, "-o", "json"]).unwrap().json();
    let step = doc["steps"][0]["key"].as_str().unwrap().to_owned();
    writ(&place, &["run", "resolve", &run, "--step", &step, "--happened", "-m", "it was there"], 0);
    assert_eq!((state(&place, &run).as_str(), times(&began)), ("succeeded", 1));
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn an_outcome_lands_after_the_control_plane_was_killed_while_the_command_ran() {
    let (place, dev) = place();
    let (child, began) = running(&place, &[], "while [ ! -e go ]; do sleep 0.05; done; echo done");
    let run = run(&place);
    dev.crash();
    let dev = serve(&place);
    assert_eq!(state(&place, &run), "running");
    assert!(ends(&place, &["--resume", &run], 1).1.contains("taken before, by another process"));
    fs::write(place.path("go"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"done\n"[..]), "{}", err(&output));
    assert_eq!((state(&place, &run).as_str(), times(&began)), ("succeeded", 1));
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_command_that_failed_is_no_failed_deployment() {
    let (place, dev) = place();
    assert_eq!(dev.end(), Some(0));
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    ends(&place, &["--action", "job", "--", "false"], 1);
    let feedback = place.writ(&["recommend", "collect", "-o", "json"]).unwrap().json();
    let feedback = &feedback["intents"][0]["feedback"];
    assert_eq!(feedback["metrics_collected"]["deployment"]["success_rate"], 100, "{feedback}");
    assert!(!feedback["analysis"].to_string().contains("deployment failure"), "{feedback}");
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn who_waits_for_people_waits_through_a_restart() {
    let (place, dev) = place();
    let mut waits = exec(&place, &["--", "echo", "hello"]).spawn().unwrap();
    let mut told = BufReader::new(waits.stderr.take().unwrap()).lines();
    let line = told.by_ref().map(Result::unwrap).find(|line| line.contains("writ approve ")).unwrap();
    let approval = line.split("writ approve ").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(dev.end(), Some(0));
    let dev = serve(&place);
    writ(&place, &["approve", approval, "--as", "reviewer", "-m", "yes"], 0);
    let output = waits.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"hello\n"[..]));
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn what_was_decided_without_the_outcome_stands_and_the_outcome_is_kept() {
    let (place, dev) = place();
    let script = "while [ ! -e go ]; do sleep 0.05; done; exit 5";
    let (child, _) = running(&place, &["--silent", "1"], script);
    let run = run(&place);
    kill(child.id(), Signal::STOP);
    wait_until(SOON, || state(&place, &run) == "needs_operator").unwrap();
    let doc = place.writ(&["run", "get", &run, "-o", "json"]).unwrap().json();
    let step = doc["steps"][0]["key"].as_str().unwrap().to_owned();
    writ(&place, &["run", "resolve", &run, "--step", &step, "--happened", "-m", "it was there"], 0);
    fs::write(place.path("go"), "").unwrap();
    kill(child.id(), Signal::CONT);
    let output = child.wait_with_output().unwrap();
    let said = err(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("came too late") && said.contains("is not recorded"), "{said}");
    assert!(place.state().join(format!("outcomes/{run}.json")).exists());
    assert_eq!(state(&place, &run), "succeeded");
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn whatever_is_sent_to_the_second_door_is_answered_and_begins_nothing() {
    let (place, dev) = place();
    let token = fs::read_to_string(place.state().join("tokens/operator")).unwrap();
    let post = |path: &str, body: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nhost: writ\r\nauthorization: Bearer {}\r\n", token.trim());
        let rest = format!("content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
        raw(address(&place), &format!("{head}{rest}\r\n{body}"))
    };
    let run = "/api/v1/actions/run_01m7zpqb1z4qnf8865chd1k565";
    let (claim, outcome, odd) = (format!("{run}/claim"), format!("{run}/outcome"), format!("{run}/steal"));
    let named = r#""claim":"0123456789abcdef""#;
    let deep = "[".repeat(100_000);
    for (path, body, status, told) in [
        ("/api/v1/actions", "", 400, "invalid"),
        ("/api/v1/actions", "{}", 422, "command"),
        ("/api/v1/actions", deep.as_str(), 400, "invalid"),
        ("/api/v1/actions", r#"{"command":[]}"#, 400, "there is no command"),
        ("/api/v1/actions", r#"{"command":"true"}"#, 422, "invalid"),
        ("/api/v1/actions", r#"{"command":["true"],"colour":1}"#, 422, "unknown field"),
        ("/api/v1/actions", r#"{"command":["a","b\u0000"]}"#, 400, "NUL byte"),
        ("/api/v1/actions", r#"{"command":["rm"],"changes":[]}"#, 400, "nothing says what this command would change"),
        ("/api/v1/actions", r#"{"command":["terraform","apply","p"],"changes":[]}"#, 400, "the digests are of nothing"),
        ("/api/v1/actions", r#"{"command":["true"],"resource":"../x y"}"#, 400, "is no name for a resource"),
        ("/api/v1/actions", r#"{"command":["true"],"intent":"a b"}"#, 400, "invalid"),
        (claim.as_str(), "{}", 422, "claim"),
        (&claim, r#"{"claim":"short"}"#, 400, "16 to 128 bytes"),
        (&claim, &format!("{{{named}}}"), 404, "not-found"),
        (&outcome, &format!("{{{named}}}"), 400, "an `outcome` is missing"),
        (&outcome, &format!(r#"{{{named},"outcome":{{}}}}"#), 400, "one of `exit`"),
        (&outcome, &format!(r#"{{{named},"outcome":{{"exit":300}}}}"#), 422, "invalid"),
        (&outcome, &format!(r#"{{{named},"outcome":{{"exit":0,"stdout":{{"kept":"*"}}}}}}"#), 400, "base 64"),
        (&odd, &format!("{{{named}}}"), 404, "one of claim, alive, outcome"),
        ("/api/v1/actions/nonsense/claim", &format!("{{{named}}}"), 400, "which starts with"),
    ] {
        let answer = post(path, body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {body:.80}: {answer}");
        assert!(answer.contains("application/problem+json") && answer.contains(told), "{path} {body:.80}: {answer}");
    }
    assert!(place.list("runs").unwrap().is_empty());
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn an_outcome_that_nobody_hears_is_kept_and_reported_later() {
    let (place, dev) = place();
    let (child, began) = running(&place, &["--patience", "0"], "while [ ! -e go ]; do sleep 0.05; done; exit 3");
    let run = run(&place);
    dev.crash();
    fs::write(place.path("go"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = err(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("error: what came of the command is not recorded"), "{said}");
    let file = place.state().join(format!("outcomes/{run}.json"));
    assert!(said.contains(&format!("writ exec --report {}", file.display())), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let dev = serve(&place);
    ends(&place, &["--report", place.path("intent.yaml").to_str().unwrap()], 64);
    let kept = fs::read(&file).unwrap();
    assert!(ends(&place, &["--report", file.to_str().unwrap()], 0).0.contains("is failed"));
    assert_eq!((state(&place, &run).as_str(), times(&began)), ("failed", 1));
    // Saying the same twice is saying it once; another outcome comes too late.
    fs::write(&file, &kept).unwrap();
    ends(&place, &["--report", file.to_str().unwrap()], 0);
    fs::write(&file, String::from_utf8(kept).unwrap().replace("\"exit\":3", "\"exit\":0")).unwrap();
    assert!(ends(&place, &["--report", file.to_str().unwrap()], 1).1.contains("came too late"));
    assert_eq!(state(&place, &run), "failed");
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

/// A `terraform` that tells a stored plan and notes each `apply`.
fn terraform(place: &Place, actions: &str) -> String {
    let change = format!(
        r#"{{"address":"aws_instance.web","type":"aws_instance","change":{{"actions":{actions},"after":{{"password":"hunter2"}}}}}}"#
    );
    let shown = format!(r#"{{"format_version":"1.2","resource_changes":[{change}]}}"#);
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in\nshow) echo '{shown}' ;;\napply) echo applied >> applied; echo Apply complete ;;\nesac\n"
    );
    fs::write(place.path("tfplan"), "the plan").unwrap();
    tool(place, "terraform", &script)
}

/// A program of the place's own; where programs are looked for, with it first.
fn tool(place: &Place, name: &str, script: &str) -> String {
    let bin = place.path("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join(name), script).unwrap();
    fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", bin.display())
}

#[test]
fn manifests_are_judged_by_what_they_say_and_stale_when_they_say_something_else() {
    let (place, dev) = place();
    let path = tool(&place, "kubectl", "#!/bin/sh\necho \"$@\" >> applied\necho deployment.apps/web configured\n");
    let manifest =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {replicas: 2}\n";
    fs::write(place.path("web.yaml"), manifest).unwrap();
    let apply = || exec(&place, &["--no-wait", "--", "kubectl", "apply", "-f", "web.yaml"]).env("PATH", &path).output();
    let resume = || exec(&place, &["--resume", &run(&place)]).env("PATH", &path).output().unwrap();
    // A person sees what would be applied, and that is what runs.
    let agreed = || {
        let said = err(&apply().unwrap());
        let approval =
            said.split("writ approve ").nth(1).unwrap_or_else(|| panic!("{said}")).split(' ').next().unwrap();
        let shown = writ(&place, &["approval", "get", approval], 0);
        writ(&place, &["approve", approval, "--as", "reviewer", "-m", "yes"], 0);
        (said, shown)
    };
    let (_, shown) = agreed();
    assert!(shown.contains("Deployment"), "{shown}");
    let output = resume();
    assert_eq!(
        (output.status.code(), &*output.stdout),
        (Some(0), &b"deployment.apps/web configured\n"[..]),
        "{}",
        err(&output)
    );
    agreed();
    fs::write(place.path("web.yaml"), manifest.replace("replicas: 2", "replicas: 20")).unwrap();
    let output = resume();
    assert_eq!(output.status.code(), Some(6), "{}", err(&output));
    assert!(err(&output).contains("`web.yaml` has changed since it was judged; nothing ran"));

    // What cannot be read is not known.
    fs::write(place.path("web.yaml"), "kind: [Deployment\n").unwrap();
    let (said, _) = agreed();
    assert!(said.contains("warning: what this would change is not known"), "{said}");
    assert_eq!(fs::read_to_string(place.path("applied")).unwrap(), "apply -f web.yaml\n");
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_terraform_plan_is_judged_by_what_it_would_change_and_stale_when_its_file_is_another_one() {
    let (place, dev) = place();
    let path = terraform(&place, r#"["create"]"#);
    let apply = |args: &[&str]| exec(&place, &[args, &["--", "terraform", "apply", "tfplan"]].concat());
    let output = apply(&[]).env("PATH", &path).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(output.stdout, b"Apply complete\n");
    let file = place.path("e.json");
    writ(&place, &["audit", "evidence", &run(&place), "--out", file.to_str().unwrap()], 0);
    let bundle: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let changes = br#"[{"address":"aws_instance.web","deed":"create","kind":"aws_instance"}]"#;
    let changes = writ_seal::sha256(changes).to_string();
    assert!(
        bundle["attachments"].get(&changes).is_some(),
        "what it would change is in the evidence, without its values"
    );

    // What takes something away needs a person, and what they saw is what runs.
    let path = terraform(&place, r#"["delete"]"#);
    let output = apply(&["--no-wait"]).env("PATH", &path).output().unwrap();
    let said = err(&output);
    assert_eq!(output.status.code(), Some(7), "{said}");
    let approval = said.split("writ approve ").nth(1).unwrap().split(' ').next().unwrap();
    writ(&place, &["approve", approval, "--as", "reviewer", "-m", "yes"], 0);
    fs::write(place.path("tfplan"), "another plan").unwrap();
    let output = exec(&place, &["--resume", &run(&place)]).env("PATH", &path).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{}", err(&output));
    assert!(err(&output).contains("`tfplan` has changed since it was judged; nothing ran"));
    assert_eq!(fs::read_to_string(place.path("applied")).unwrap(), "applied\n");
    assert!(writ(&place, &["why", &run(&place)], 0).contains("nothing ran: `tfplan` has changed"));

    // What a tool does not say is not assumed.
    fs::write(place.path("bin/terraform"), "#!/bin/sh\necho '{}'\n").unwrap();
    let output = apply(&["--no-wait"]).env("PATH", &path).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", err(&output));
    assert!(err(&output).contains("warning: what this would change is not known"), "{}", err(&output));
    assert_eq!(dev.end(), Some(0));
}
