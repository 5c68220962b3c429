//! The `writ` command.
//!
//! Answers go to standard output, everything else to standard error; exit codes stand in `exit.rs`. Commands that ask a
//! running writ speak HTTP; `init`, `validate`, `plan --local`, `policy test`, `audit verify
//! --file` and `verify` need none.

mod client;
mod cmd;
mod exit;
mod findings;
mod follow;
mod out;
mod pin;

use crate::client::{Client, ClientError};
use crate::exit::Exit;
use crate::out::{Form, Out};
use crate::pin::Pins;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The stack of threads that evaluate policies, in bytes.
const STACK: usize = 8 << 20;

/// Governance and self-healing for infrastructure: every change is judged, permitted, verified and proved
#[derive(Debug, Parser)]
#[command(name = "writ", version, disable_help_subcommand = true, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command has.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The form of the answer
    #[arg(short, long, global = true, value_enum, default_value = "table", env = "WRIT_OUTPUT")]
    output: Form,
    /// Say nothing but the answer
    #[arg(short, long, global = true)]
    quiet: bool,
    /// The server to ask; without one, the one that the state directory announces
    #[arg(long, global = true, env = "WRIT_SERVER", value_name = "URL")]
    server: Option<String>,
    /// Certificates to trust, in PEM, when the server has TLS; without them, those that this machine trusts
    #[arg(long, global = true, env = "WRIT_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The token to ask with; without one, the one that the state directory keeps for `--as`
    #[arg(long, global = true, env = "WRIT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Whose token of the state directory to use
    #[arg(long = "as", global = true, default_value = "operator", value_name = "NAME")]
    name: String,
    /// The state directory
    #[arg(long, global = true, env = "WRIT_STATE", default_value = ".writ", value_name = "DIR")]
    state: PathBuf,
    /// Whether it stands on the command line
    #[arg(skip)]
    state_given: bool,
    /// Where to look, as far as it stands on the command line
    #[arg(skip)]
    at: &'static str,
    /// Where this client keeps what it has seen of journals
    #[arg(long, global = true, env = "WRIT_PINS", value_name = "DIR", hide = true)]
    pins: Option<PathBuf>,
}

impl Common {
    pub(crate) fn pins(&self) -> Result<Pins, cmd::Failure> {
        Pins::of(self.pins.as_deref()).map_err(|error| cmd::Failure::of(exit::FAILED, &error))
    }

    /// The options that say where to look, as they would be typed again. What the environment says, the next command is told too.
    fn at(&self, matches: &ArgMatches) -> String {
        let (state, ca) = (Some(self.state.as_path()), self.ca.as_deref());
        let all = [("server", self.server.as_ref().map(Path::new)), ("ca", ca), ("state", state)];
        let typed = |(name, value): (&str, Option<&Path>)| {
            let value = value.filter(|_| given(matches, name))?;
            Some(format!(" --{name} {}", writ_pipeline::input::typed(&value.to_string_lossy())))
        };
        all.into_iter().filter_map(typed).collect()
    }

    /// Where this client looks for a journal: the server that was named, or the state directory.
    pub(crate) fn place(&self) -> String {
        let state = || self.state.canonicalize().unwrap_or_else(|_| self.state.clone()).display().to_string();
        self.server.as_ref().map_or_else(state, |url| url.trim_end_matches('/').to_owned())
    }

    pub(crate) fn out(&self) -> Out {
        Out { form: self.output, quiet: self.quiet, at: self.at }
    }

    pub(crate) fn client(&self) -> Result<Client, ClientError> {
        Client::new(self)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Noun(Noun),
    /// Make steady load on a URL and count what came of it
    Load(cmd::load::Load),
    #[command(name = "__launch", hide = true)]
    Launch(cmd::dev::Face),
    #[command(name = "__balance", hide = true)]
    Balance(cmd::dev::Face),
    #[command(name = "__sample", hide = true)]
    Sample(cmd::dev::Face),
}

/// What people type.
#[derive(Debug, Subcommand)]
enum Noun {
    /// Write a small example to begin with
    Init(cmd::init::Init),
    /// Run everything on this machine from one directory, until interrupted
    Dev(cmd::dev::Dev),
    /// Check a manifest against its form and the policies; needs no server
    Validate(cmd::intent::Validate),
    /// Show what a manifest would do
    Plan(cmd::intent::Plan),
    /// Carry a manifest out
    Apply(cmd::intent::Apply),
    /// Run a command that passes the gate first: judged, approved, permitted, recorded
    Exec(cmd::exec::Exec),
    /// Approve what waits for you
    Approve(cmd::approval::Decide),
    /// Reject what waits for you
    Reject(cmd::approval::Decide),
    /// Check an evidence file; needs no server
    Verify(cmd::audit::VerifyFile),
    /// Write the evidence for anything to a file that `writ verify` checks with no server; `writ audit evidence` is the same
    Evidence(cmd::audit::Evidence),
    /// Tell why anything is as it is: an intent, run, incident, approval, recommendation, entry, resource or process
    Why(cmd::audit::Why),
    /// Intents
    #[command(subcommand)]
    Intent(cmd::list::Intent),
    /// Runs: changes that are, were or will be carried out
    #[command(subcommand, visible_alias = "change")]
    Run(cmd::run::Run),
    /// Approvals
    #[command(subcommand)]
    Approval(cmd::approval::Approval),
    /// Policies
    #[command(subcommand)]
    Policy(cmd::policy::Policy),
    /// Contracts
    #[command(subcommand)]
    Contract(cmd::contract::Contract),
    /// Agents and the kill switch
    #[command(subcommand)]
    Agent(cmd::agent::Agent),
    /// Incidents
    #[command(subcommand)]
    Incident(cmd::incident::Incident),
    /// The audit trail
    #[command(subcommand)]
    Audit(cmd::audit::Audit),
    /// Feedback and recommendations
    #[command(subcommand)]
    Recommend(cmd::recommend::Recommend),
    /// Exceptions from rules, for a while, when somebody else agrees
    #[command(subcommand)]
    Waiver(cmd::waiver::Waiver),
    /// People and what they may do
    #[command(subcommand)]
    Person(cmd::change::Person),
    /// Standing approvals: what people agree to beforehand
    #[command(subcommand)]
    Standing(cmd::change::Standing),
    /// Breaking the glass: acting for a while without the approval that policy asks for
    #[command(subcommand)]
    Glass(cmd::glass::Glass),
    /// The freeze of changes
    #[command(subcommand)]
    Maintenance(cmd::waiver::Maintenance),
    /// Tokens, and the people whose they are
    #[command(subcommand)]
    Token(cmd::token::Token),
    /// Print the JSON Schema of a file
    Schema(cmd::policy::SchemaOf),
    /// Serve an installation until told to end
    Server(cmd::server::ServerOf),
    /// The server's configuration
    #[command(subcommand)]
    Config(cmd::config::ConfigOf),
    /// Playbooks: written sequences of actions on what an intent brought up
    #[command(subcommand)]
    Playbook(cmd::playbook::Playbook),
}

impl Noun {
    /// Whether this command answers in that form: SARIF and JUnit are what checks answer in.
    fn takes(&self, form: Form) -> Result<(), cmd::Failure> {
        let check = match (self, form) {
            (_, Form::Table | Form::Wide | Form::Json | Form::Yaml | Form::Ndjson)
            | (Noun::Validate(_), Form::Sarif | Form::Junit)
            | (Noun::Policy(cmd::policy::Policy::Test { .. }), Form::Junit) => true,
            (_, Form::Sarif | Form::Junit) => false,
        };
        if check {
            return Ok(());
        }
        Err(cmd::Failure::Other {
            exit: exit::USAGE,
            text: "this command does not answer in that form".into(),
            hint: Some(
                "give `-o` one of table, wide, json, yaml, ndjson; sarif is for `validate`, junit for `validate` and `policy test`"
                    .into(),
            ),
        })
    }
}

fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        let mut cli = Cli::from_arg_matches(&matches)?;
        cli.common.state_given = given(&matches, "state");
        cli.common.at = cli.common.at(&matches).leak();
        Ok(cli)
    });
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let help = !error.use_stderr();
            // Nobody is left to tell when the terminal is gone.
            drop(error.print());
            return ExitCode::from(if help { exit::OK.0 } else { exit::USAGE.0 });
        }
    };
    match cli.command {
        // The faces make their own runtimes, or become another program altogether.
        Command::Launch(face) => writ_server::faces::launch::main(face.args),
        Command::Balance(face) => writ_server::faces::balance::main(face.args),
        Command::Sample(face) => writ_server::faces::sample::main(face.args),
        Command::Load(load) => load.run(),
        Command::Noun(noun) => ExitCode::from(serve(noun, cli.common).0),
    }
}

/// Whether an option stands on the command line itself.
fn given(matches: &ArgMatches, name: &str) -> bool {
    let below = matches.subcommand().is_some_and(|(_, below)| given(below, name));
    below
        || matches!(matches.try_get_raw(name), Ok(Some(_)))
            && matches.value_source(name) == Some(ValueSource::CommandLine)
}

fn serve(noun: Noun, common: Common) -> Exit {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_stack_size(STACK).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(answer(noun, common)),
        Err(error) => {
            common.out().say(&format!("error: the runtime cannot start: {error}"));
            exit::INTERNAL
        }
    }
}

async fn answer(noun: Noun, common: Common) -> Exit {
    // Policies are evaluated on a worker's stack, which is large; the main thread's is the system's.
    let told = common.clone();
    if let Err(failure) = noun.takes(told.output) {
        failure.tell(told.out());
        return failure.exit();
    }
    let task = tokio::spawn(async move { run(noun, &common).await });
    let outcome = match task.await {
        Ok(outcome) => outcome,
        Err(error) => {
            told.out().say(&format!("error: a fault of writ's own: {error}"));
            return exit::INTERNAL;
        }
    };
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            failure.answer(told.out());
            failure.tell(told.out());
            failure.exit()
        }
    }
}

async fn run(noun: Noun, common: &Common) -> Result<Exit, cmd::Failure> {
    match noun {
        Noun::Init(init) => init.run(common),
        Noun::Dev(dev) => dev.run(common).await,
        Noun::Validate(validate) => validate.run(common).await,
        Noun::Plan(plan) => plan.run(common).await,
        Noun::Apply(apply) => apply.run(common).await,
        Noun::Exec(exec) => exec.run(common).await,
        Noun::Approve(decide) => decide.run(common, true).await,
        Noun::Reject(decide) => decide.run(common, false).await,
        Noun::Verify(verify) => verify.run(common),
        Noun::Evidence(evidence) => evidence.run(common).await,
        Noun::Why(why) => why.run(common).await,
        Noun::Intent(intent) => intent.run(common).await,
        Noun::Run(run) => run.run(common).await,
        Noun::Approval(approval) => approval.run(common).await,
        Noun::Policy(policy) => policy.run(common).await,
        Noun::Contract(contract) => contract.run(common).await,
        Noun::Agent(agent) => agent.run(common).await,
        Noun::Incident(incident) => incident.run(common).await,
        Noun::Audit(audit) => audit.run(common).await,
        Noun::Recommend(recommend) => recommend.run(common).await,
        Noun::Waiver(waiver) => waiver.run(common).await,
        Noun::Person(person) => person.run(common).await,
        Noun::Standing(standing) => standing.run(common).await,
        Noun::Glass(glass) => glass.run(common).await,
        Noun::Maintenance(maintenance) => maintenance.run(common).await,
        Noun::Token(token) => token.run(common).await,
        Noun::Schema(schema) => schema.run(common),
        Noun::Server(server) => server.run(common).await,
        Noun::Config(config) => config.run(common),
        Noun::Playbook(playbook) => playbook.run(common).await,
    }
}
